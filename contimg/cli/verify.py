"""`contimg verify`: published mosaics compared byte for byte with manifest and registry."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from contimg.cli.common import Context, json_option, opened, print_json, print_table


@click.command()
@click.argument("mosaic", required=False)
@click.option("--all", "everything", is_flag=True, help="Every published mosaic.")
@json_option
@click.pass_obj
def verify(context: Context, mosaic: str | None, everything: bool, as_json: bool) -> None:
    """Read every byte of the published MOSAIC and compare with its manifest and the registry.

    MOSAIC may also be the folder of a bundle, wherever it stands: it is compared with its own manifest,
    without a registry. Exit code 3 when something differs.
    """
    if (mosaic is None) != everything:
        raise click.UsageError("name one MOSAIC, or --all")
    wanted = _wanted(context, mosaic)  # imports happen here, so that the printed speed is that of reading
    started = time.monotonic()
    with _progress(sum(_size(one["path"]) for one in wanted)) as advance:
        results = [_verify(one, advance) for one in wanted]
    took_s = time.monotonic() - started
    if as_json:
        print_json(results)
    else:
        columns = ("mosaic", "version", "verified", "files", "bytes", "problems")
        table = [
            (r["data_id"], r["version"], "yes" if r["ok"] else "NO", r["files"], r["bytes"], "; ".join(r["problems"]))
            for r in results
        ]
        print_table("Verified against manifest and registry", columns, table)
        megabytes = sum(r["bytes"] for r in results) / 1e6
        click.echo(f"{megabytes:.1f} MB in {took_s:.2f} s: {megabytes / max(took_s, 1e-9):.0f} MB/s")
    if not all(result["ok"] for result in results):
        sys.exit(3)


def _wanted(context: Context, mosaic: str | None) -> list[dict[str, Any]]:
    """Return id, version, path and expected manifest digest of what is to be read."""
    from contimg import naming
    from contimg.bundle import bundle
    from contimg.errors import RegistryError
    from contimg.publishing import archive_root
    from contimg.registry import queries

    if mosaic is not None and (Path(mosaic) / bundle.MANIFEST).exists():
        path = Path(mosaic).resolve()
        return [{"data_id": path.name, "version": None, "path": str(path), "expected": None}]
    with opened(context) as database:
        archive_root.require(database, context.config.layout, change=False)
        if mosaic is None:
            rows = queries.listing(database, statuses=("published",), latest_only=False, with_metadata=False)
        else:
            data_id = naming.as_mosaic_id(mosaic)
            row = queries.get(database, data_id)
            rows = [other for other in queries.versions(database, data_id) if other["status"] == "published"]
            if not rows:
                raise RegistryError(
                    f"{data_id} is {row['status']}, not published: see 'contimg registry show {data_id}'"
                )
    return [
        {key: row[key] for key in ("data_id", "version")} | {"path": row["published_path"], "expected": row["sha256"]}
        for row in rows
    ]


def _verify(one: dict[str, Any], advance: Callable[[int], None]) -> dict[str, Any]:
    from contimg.bundle import bundle
    from contimg.errors import InputError

    result = {key: one[key] for key in ("data_id", "version", "path")}
    try:
        found = bundle.verify(Path(one["path"]), expected=one["expected"], progress=advance)
    except InputError as error:
        return result | {"ok": False, "files": 0, "bytes": 0, "problems": [str(error)]}
    problems = [problem.message for problem in found.problems]
    return result | {"ok": found.ok, "files": found.n_files, "bytes": found.n_bytes, "problems": problems}


def _size(path: str) -> int:
    return sum(file.stat().st_size for file in Path(path).rglob("*") if file.is_file())


@contextlib.contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """Yield a function to call with the number of bytes read; on a terminal they are shown with the speed."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("verifying"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("verifying", total=total)
        yield lambda count: progress.advance(task, count)
