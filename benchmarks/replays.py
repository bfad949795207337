"""Fresh seeds of `contimg replay`, on record: ranges of seeds, with the commit of the code and what broke a promise.

::

    python -m benchmarks.replays --seconds 600 [--nights 1] [--processes 2] [--record docs/records/replay.jsonl]

A run goes on after the highest seed of the record, writes a line each thousand seeds, and may be stopped at any time.
At its end it says what the record holds, and how long 10^6 seeds and 36 500 nights would take at this speed. Exit
code 3 when a seed broke a promise.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import itertools
import json
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

from contimg.trials.bench import Bench
from contimg.trials.history import run

ROOT = Path(__file__).parents[1]
RECORD = ROOT / "docs/records/replay.jsonl"
FIRST = 2_000_000  # beyond all seeds of tests
CHUNK = 1000
GOALS = {"seeds": 1_000_000, "nights": 36_500}


def commit() -> str:
    """Return the commit of the checkout; with a plus sign when its code is another."""
    name = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    changed = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", "contimg"], cwd=ROOT, check=False).returncode
    return name.stdout.strip() + ("+" if changed else "")


def read(record: Path) -> list[dict[str, Any]]:
    """Return the lines of a record; none when it does not exist."""
    return [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []


def next_seed(lines: list[dict[str, Any]]) -> int:
    """Return the first seed after all of a record."""
    return max((line["first"] + line["count"] for line in lines), default=FIRST)


def chunk(folder: str, first: int, count: int, nights: int) -> dict[str, Any]:
    """Try some seeds below a folder; return their line of the record."""
    began = time.process_time()
    logging.disable(logging.WARNING)
    gc.unfreeze()
    gc.collect()  # else what an earlier chunk left would be frozen too, and never be freed
    gc.freeze()
    gc.set_threshold(20_000)  # collecting more often is a twentieth of the time
    with contextlib.closing(Bench(Path(folder) / f"world{first}")) as bench:
        outcomes = [run(seed, bench, nights) for seed in range(first, first + count)]
    return {
        "first": first,
        "count": count,
        "nights": sum(one.nights for one in outcomes),
        "calls": sum(one.gates for one in outcomes),
        "broken": [one.seed for one in outcomes if one.problems],
        "cpu_s": round(time.process_time() - began, 1),
        "commit": commit(),
    }


def chunks(first: int, nights: int, seconds: float, processes: int) -> Iterator[dict[str, Any]]:
    """Try seeds in several processes from a seed on; give the line of each chunk as it ends, which may be out of order.

    No chunk is begun after `seconds`, but one is in any case.
    """
    started, starts = time.monotonic(), itertools.count(first, CHUNK)
    memory = Path("/dev/shm")
    place = memory if os.access(memory, os.W_OK) else None
    with (
        tempfile.TemporaryDirectory(prefix="contimg-replays-", dir=place) as folder,
        ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool,
    ):
        try:
            running = {pool.submit(chunk, folder, next(starts), CHUNK, nights) for _ in range(processes)}
            while running:
                ended, running = wait(running, return_when=FIRST_COMPLETED)
                for one in ended:
                    yield one.result()
                    if time.monotonic() - started < seconds:
                        running.add(pool.submit(chunk, folder, next(starts), CHUNK, nights))
        except BaseException:  # Ctrl-C and SIGTERM, too: what is not finished is no line of the record
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def totals(lines: list[dict[str, Any]]) -> dict[str, float]:
    """Return how many seeds, nights, calls, broken seeds and CPU seconds [s] a record holds."""
    found = {"seeds": sum(line["count"] for line in lines), "broken": sum(len(line["broken"]) for line in lines)}
    return found | {name: sum(line[name] for line in lines) for name in ("nights", "calls", "cpu_s")}


def forecast(lines: list[dict[str, Any]]) -> dict[str, float]:
    """Return the CPU hours that the goals would take at the speed of some lines."""
    done = totals(lines)
    return {name: done["cpu_s"] / done[name] * goal / 3600 for name, goal in GOALS.items()}


def main(arguments: list[str] | None = None) -> None:
    """Try seeds for a while, and say what the record holds then."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=600.0, help="begin no further thousand after so long")
    parser.add_argument("--nights", type=int, default=1, help="nights of each seed")
    parser.add_argument("--processes", type=int, default=1, help="how many work at a time")
    parser.add_argument("--record", type=Path, default=RECORD)
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    lines, new = read(options.record), []
    for line in chunks(next_seed(lines), options.nights, options.seconds, options.processes):
        new.append(line)
        with options.record.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)
    done = totals(lines + new)
    print(
        f"{done['seeds']} seeds, {done['nights']} nights, {done['calls']} calls, {done['broken']} seeds broke a promise"
    )
    if new:
        hours = forecast(new)
        print(f"at this speed: 10^6 seeds {hours['seeds']:.0f} CPU h, 36 500 nights {hours['nights']:.1f} CPU h")
    if any(line["broken"] for line in new):
        sys.exit(3)


if __name__ == "__main__":
    main()
