"""`contimg verify`: published mosaics compared byte for byte with manifest and registry."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from contimg.cli.common import DAYS, Context, Number, echo, json_option, opened, print_json, print_table

if TYPE_CHECKING:
    from contimg.storage.pace import Pace

_SHOWN = 10  # problems of one bundle


@click.command(short_help="Read every byte of published mosaics and compare.")
@click.argument("mosaic", required=False)
@click.option("--all", "everything", is_flag=True, help="Every published mosaic, the longest unread first.")
@click.option("--older-than", type=DAYS, metavar="DAYS", help="With --all: those unread for so long.")
@click.option("--rate", type=Number(min=0, min_open=True), metavar="MB/S", help="Read no faster than this.")
@click.option("--for", "hours", type=Number(min=0), metavar="HOURS", help="Begin none after so many hours.")
@click.option("--replicas", "in_replicas", is_flag=True, help="Read the copies in publish.replicas instead.")
@json_option
@click.pass_obj
def verify(
    context: Context,
    mosaic: str | None,
    everything: bool,
    older_than: float | None,
    rate: float | None,
    hours: float | None,
    in_replicas: bool,
    as_json: bool,
) -> None:
    """Read every byte of the published MOSAIC and compare with its manifest and the registry.

    MOSAIC may also be the folder of a bundle, wherever it stands: it is compared with its own manifest,
    without a registry. When a bundle was last found right is noted, so that an interrupted `verify --all` goes on
    where it was. Exit code 3 when something differs.
    """
    from contimg.storage.pace import Pace

    if (mosaic is None) != everything:
        raise click.UsageError("name one MOSAIC, or --all")
    if older_than is not None and not everything:
        raise click.UsageError("--older-than goes with --all")
    pace = Pace(rate, None if hours is None else hours * 3600)
    started = time.monotonic()
    if in_replicas:
        _replicas(context, mosaic, older_than, pace, as_json)
        return
    results = _one(context, mosaic, pace) if mosaic is not None else _all(context, older_than, pace)
    took_s = time.monotonic() - started
    if as_json:
        print_json(results)
    else:
        columns = ("mosaic", "version", "verified", "files", "bytes", "problems")
        table = [
            (r["data_id"], r["version"], "yes" if r["ok"] else "NO", r["files"], r["bytes"], _in_short(r["problems"]))
            for r in results
        ]
        print_table("Verified against manifest and registry", columns, table)
        megabytes = sum(r["bytes"] for r in results) / 1e6
        echo(f"{megabytes:.1f} MB in {took_s:.2f} s: {megabytes / max(took_s, 1e-9):.0f} MB/s")
    if not all(result["ok"] for result in results):
        sys.exit(3)


def _in_short(problems: Sequence[str]) -> str:
    """Return the first problems of a bundle, and how many there are more."""
    more = [f"and {len(problems) - _SHOWN} more (--json lists them)"] if len(problems) > _SHOWN else []
    return "; ".join([*problems[:_SHOWN], *more])


def _replicas(context: Context, mosaic: str | None, older_than: float | None, pace: Pace, as_json: bool) -> None:
    """Verify the copies in all replicas; exit with code 3 when one is missing or damaged, or a replica is not there."""
    from contimg import naming
    from contimg.cli.replicas import configured
    from contimg.errors import ContimgError
    from contimg.publishing import archive_root
    from contimg.replicas import sync
    from contimg.times import ago

    since = None if older_than is None else ago(older_than)
    data_id = None if mosaic is None else naming.as_mosaic_id(mosaic)
    rows = []
    with opened(context) as database:
        archive_root.require_whole(database, context.config.layout)
        for one in configured(context):
            try:
                found = sync.verify(
                    database, context.config.layout, one, unread_since=since, data_id=data_id, pace=pace,
                    note=not database.read_only,
                )  # fmt: skip
                for done in found:  # one by one: those before a replica is lost are shown
                    rows.append(vars(done))
            except ContimgError as error:
                rows.append({"replica": one.url, "data_id": "", "version": 0, "what": "problem", "message": str(error)})
    ok = all(row["what"] == "whole" for row in rows)
    if as_json:
        print_json(rows)
    else:
        columns = ("replica", "mosaic", "version", "verified", "message")
        table = [(r["replica"], r["data_id"], r["version"] or None, r["what"], r["message"]) for r in rows]
        print_table("Copies read again", columns, table)
    if not ok:
        sys.exit(3)


def _all(context: Context, older_than: float | None, pace: Pace) -> list[dict[str, Any]]:
    """Verify all published bundles, or those that were not read for some days."""
    from contimg.publishing import archive_root, scrub
    from contimg.registry import verifications
    from contimg.times import ago

    since = None if older_than is None else ago(older_than)
    with opened(context) as database:
        archive_root.require_whole(database, context.config.layout)
        total = sum(_size(row["published_path"]) for row in verifications.longest_unread(database, since))
        with _progress(total) as advance:
            return list(
                scrub.scrub(database, unread_since=since, pace=pace, note=not database.read_only, progress=advance)
            )


def _one(context: Context, mosaic: str, pace: Pace) -> list[dict[str, Any]]:
    """Verify the published versions of one mosaic, or a folder by its own manifest."""
    from contimg import naming
    from contimg.bundle import bundle
    from contimg.errors import RegistryError
    from contimg.publishing import archive_root
    from contimg.publishing.scrub import verify_row
    from contimg.registry import queries

    if (Path(mosaic) / bundle.MANIFEST).exists():
        path = Path(mosaic).resolve()
        row = {"data_id": path.name, "version": None, "published_path": str(path), "sha256": None}
        with _progress(_size(str(path))) as advance:
            return [verify_row(None, row, _both(pace, advance))]
    with opened(context) as database:
        archive_root.require_whole(database, context.config.layout)
        data_id = naming.as_mosaic_id(mosaic)
        row = dict(queries.get(database, data_id))
        rows = [other for other in queries.versions(database, data_id) if other["status"] == "published"]
        if not rows:
            raise RegistryError(f"{data_id} is {row['status']}, not published: see 'contimg registry show {data_id}'")
        with _progress(sum(_size(one["published_path"]) for one in rows)) as advance:
            note = not database.read_only
            return [verify_row(database, one, _both(pace, advance), note=note) for one in rows]


def _both(pace: Pace, advance: Callable[[int], None]) -> Callable[[int], None]:
    def spend(count: int) -> None:
        pace.spend(count)
        advance(count)

    return spend


def _size(path: str) -> int:
    """Return the bytes below a folder, for the progress bar; what cannot be looked at is said by its verification."""
    from contimg.storage.filesystem import walk

    total = 0
    for folder, _, names in walk(path):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(folder, name)).st_size
    return total


@contextlib.contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """Yield a function to call with the number of bytes read; on a terminal they are shown with the speed."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("verifying"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("verifying", total=total)
        yield lambda count: progress.advance(task, count)
