"""`contimg registry`: what is registered, in what state, and whether the archive holds it."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from contimg.cli.common import Context, json_option, print_json, print_table

if TYPE_CHECKING:
    from contimg.registry.engine import Registry


@click.group()
def registry() -> None:
    """List, show and verify registered mosaics."""


@contextlib.contextmanager
def opened(context: Context) -> Iterator[Registry]:
    """Open the configured registry for a command."""
    from contimg.registry.engine import open_registry

    with contextlib.closing(open_registry(context.config)) as database:
        yield database


def as_record(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row for programs, its JSON columns read."""
    record = {key: value for key, value in row.items() if not key.endswith("_json")}
    record["held"] = json.loads(row["held_json"] or "[]")
    return record


@registry.command("list")
@click.option("--status", "statuses", multiple=True, help="Only products in this state; may be given more than once.")
@click.option("--all-versions", is_flag=True, help="Also versions that have a later one.")
@json_option
@click.pass_obj
def list_products(context: Context, statuses: tuple[str, ...], all_versions: bool, as_json: bool) -> None:
    """List registered mosaics with state and verdict."""
    from contimg.registry import queries
    from contimg.registry.schema import STATUSES

    for status in statuses:
        if status not in STATUSES:
            raise click.BadParameter(f"'{status}' is none of {', '.join(STATUSES)}", param_hint="--status")
    with opened(context) as database:
        rows = queries.listing(database, statuses=statuses, latest_only=not all_versions)
    if as_json:
        print_json([as_record(row) for row in rows])
        return
    columns = ("mosaic", "version", "state", "verdict", "validation", "attempts", "where", "error")
    table = [
        (
            row["data_id"], row["version"], row["status"], row["qa_status"], row["validation_status"], row["attempts"],
            row["published_path"] or row["stage_path"], row["error"],
        )
        for row in rows
    ]  # fmt: skip
    print_table("Registered mosaics", columns, table)


@registry.command()
@click.argument("mosaic")
@click.option("--version", type=click.IntRange(min=1), help="A version; the latest when not given.")
@json_option
@click.pass_obj
def show(context: Context, mosaic: str, version: int | None, as_json: bool) -> None:
    """Show all that the registry knows of MOSAIC: state, metadata, what it was made from, its history."""
    from contimg import naming
    from contimg.registry import queries
    from contimg.registry.register import lineage_counts

    data_id = naming.as_mosaic_id(mosaic)
    with opened(context) as database:
        row = queries.get(database, data_id, version)
        history = [dict(event) for event in queries.events(database, data_id)]
        with database.read() as connection:
            counts = lineage_counts(connection, data_id, row["version"])
        known = [other["version"] for other in queries.versions(database, data_id)]
    metadata = json.loads(row["metadata_json"])
    if as_json:
        record = as_record(row) | {"versions": known, "lineage": counts, "metadata": metadata, "events": history}
        print_json(record)
        return
    facts = {key: value for key, value in as_record(row).items() if value not in (None, [], "")}
    facts["held"] = "; ".join(reason["message"] for reason in facts.get("held", [])) or None
    facts["made from"] = ", ".join(f"{count} {table}" for table, count in counts.items())
    for key in ("n_images", "start_utc", "end_utc", "calibrators", "flux_anchor", "freq_hz", "beam", "rms_mjy"):
        facts[key] = metadata.get(key)
    print_table(f"{data_id} version {row['version']} of {known[-1]}", ("", ""), list(facts.items()))
    columns = ("time", "version", "event", "by", "message")
    table = [
        (event["time"], event["version"], event["event"], f"{event['actor']}@{event['host']}", event["message"])
        for event in history
    ]
    print_table("History", columns, table)


@registry.command()
@click.argument("mosaic", required=False)
@click.option("--all", "everything", is_flag=True, help="Every published mosaic.")
@json_option
@click.pass_obj
def verify(context: Context, mosaic: str | None, everything: bool, as_json: bool) -> None:
    """Read every byte of the published MOSAIC and compare with its manifest and the registry.

    Exit code 3 when something differs.
    """
    from contimg import bundle, naming
    from contimg.errors import InputError, RegistryError
    from contimg.registry import queries

    if (mosaic is None) != everything:
        raise click.UsageError("name one MOSAIC, or --all")
    with opened(context) as database:
        if mosaic is None:
            rows = queries.listing(database, statuses=("published",), latest_only=False)
        else:
            data_id = naming.as_mosaic_id(mosaic)
            row = queries.get(database, data_id)
            rows = [other for other in queries.versions(database, data_id) if other["status"] == "published"]
            if not rows:
                raise RegistryError(
                    f"{data_id} is {row['status']}, not published: see 'contimg registry show {data_id}'"
                )
    results = []
    for row in _with_progress(rows):
        result = {"data_id": row["data_id"], "version": row["version"], "path": row["published_path"]}
        try:
            found = bundle.verify(Path(row["published_path"]), expected=row["sha256"])
        except InputError as error:
            result |= {"ok": False, "files": 0, "bytes": 0, "problems": [str(error)]}
        else:
            problems = [problem.message for problem in found.problems]
            result |= {"ok": found.ok, "files": found.n_files, "bytes": found.n_bytes, "problems": problems}
        results.append(result)
    if as_json:
        print_json(results)
    else:
        columns = ("mosaic", "version", "verified", "files", "bytes", "problems")
        table = [
            (r["data_id"], r["version"], "yes" if r["ok"] else "NO", r["files"], r["bytes"], "; ".join(r["problems"]))
            for r in results
        ]
        print_table("Verified against manifest and registry", columns, table)
    if not all(result["ok"] for result in results):
        sys.exit(3)


def _with_progress(rows: list[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    from rich.console import Console
    from rich.progress import track

    yield from track(rows, "verifying", console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())
