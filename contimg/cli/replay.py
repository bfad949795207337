"""`contimg replay`: the archive's code under simulated kills, failing disks and power cuts, by a seed."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click

from contimg.cli.common import json_option, plain, print_json


@click.command()
@click.argument("seed", type=click.IntRange(min=0))
@click.option("--count", type=click.IntRange(min=1), default=1, help="Try so many seeds, from SEED on.  [default: 1]")
@click.option("--nights", type=click.IntRange(min=1), default=2, show_default=True, help="Nights of each seed.")
@json_option
def replay(seed: int, count: int, nights: int, as_json: bool) -> None:
    """Let simulated nights be planned, published and decided about while SEED lets processes, disk and power fail.

    The same seed repeats the same history, which is printed for one seed; of more, only those that break a promise.
    Nothing of the configured registry and archive is touched. Exit code 3 when a promise was broken.
    """
    from contimg.trials.bench import Bench
    from contimg.trials.history import run

    memory = Path("/dev/shm")
    place = memory if os.access(memory, os.W_OK) else None
    with (
        _quiet(),
        tempfile.TemporaryDirectory(prefix="contimg-replay-", dir=place) as folder,
        contextlib.closing(Bench(Path(folder) / "world")) as bench,
    ):
        outcomes = [run(number, bench, nights) for number in range(seed, seed + count)]
    broken = [one for one in outcomes if one.problems]
    if as_json:
        shown = outcomes if count == 1 else broken
        print_json({"seeds": count, "broken": len(broken), "outcomes": [vars(one) for one in shown]})
    else:
        for one in outcomes if count == 1 else broken:
            click.echo(plain("\n".join([f"seed {one.seed}", *one.story])))
        gates, passed = sum(one.gates for one in outcomes), sum(one.nights for one in outcomes)
        click.echo(f"{count} seeds, {passed} nights, {gates} calls: {len(broken)} seeds broke a promise")
    if broken:
        sys.exit(3)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Let nothing below an error be logged: what is worth a warning happens in every history."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
