"""`contimg registry`: what is registered, in what state, and whether the archive holds it; backups of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from contimg.cli.common import (
    VERSION,
    Context,
    echo,
    in_words,
    json_option,
    opened,
    print_json,
    print_table,
    say_if_lost,
)
from contimg.cli.verify import verify
from contimg.plotting.words import digits


@click.group()
def registry() -> None:
    """List, show and verify registered mosaics; back the registry up and restore it."""


def as_record(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row for programs, its JSON columns read."""
    from contimg.registry.columns import held_reasons

    record = {key: value for key, value in row.items() if not key.endswith("_json")}
    record["held"] = held_reasons(row)
    return record


@registry.command("list", short_help="List registered mosaics with state and verdict.")
@click.option("--status", "statuses", multiple=True, help="Only products in this state; may be given more than once.")
@click.option("--all-versions", is_flag=True, help="Also versions that have a later one.")
@click.option("--limit", type=click.IntRange(min=0), help="The last so many; 0 = all, as --json does.  [default: 100]")
@json_option
@click.pass_obj
def list_products(
    context: Context, statuses: tuple[str, ...], all_versions: bool, limit: int | None, as_json: bool
) -> None:
    """List registered mosaics with state and verdict; the last 100 unless --limit is given."""
    from contimg.registry import queries
    from contimg.registry.schema import STATUSES

    for status in statuses:
        if status not in STATUSES:
            raise click.BadParameter(f"'{status}' is none of {', '.join(STATUSES)}", param_hint="--status")
    with opened(context) as database:
        say_if_lost(context, database)
        if limit is None:
            limit = 0 if as_json else 100
        latest_only = not all_versions
        rows = queries.listing(
            database, statuses=statuses, latest_only=latest_only, with_metadata=False, limit=limit or None
        )
        whole = queries.count(database, statuses)
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
    if limit and len(rows) == limit < whole:
        echo(f"The last {limit}; the registry holds {whole} rows: --limit 0 lists all.")


@registry.command(short_help="Show state, metadata, inputs and history of a mosaic.")
@click.argument("mosaic")
@click.option("--version", type=VERSION, help="A version; the latest when not given.")
@json_option
@click.pass_obj
def show(context: Context, mosaic: str, version: int | None, as_json: bool) -> None:
    """Show all that the registry knows of MOSAIC: state, metadata, what it was made from, its history."""
    from contimg import naming
    from contimg.registry import queries
    from contimg.registry.columns import summary
    from contimg.registry.queries import lineage_counts

    data_id = naming.as_mosaic_id(mosaic)
    with opened(context) as database:
        say_if_lost(context, database)
        row = queries.get(database, data_id, version)
        history = [dict(event) for event in queries.events(database, data_id)]
        with database.read() as connection:
            counts = lineage_counts(connection, data_id, row["version"])
        known = [other["version"] for other in queries.versions(database, data_id)]
    metadata = summary(row)
    if as_json:
        record = as_record(row) | {"versions": known, "lineage": counts, "metadata": metadata, "events": history}
        print_json(record)
        return
    facts = {key: value for key, value in as_record(row).items() if value not in (None, [], "")}
    facts["held"] = "; ".join(reason["message"] for reason in facts.get("held", [])) or None
    facts["made from"] = ", ".join(f"{count} {table}" for table, count in counts.items())
    facts = {key: in_words(value) for key, value in facts.items()} | _measured(metadata)
    print_table(f"{data_id} version {row['version']} of {known[-1]}", ("", ""), list(facts.items()))
    columns = ("time", "version", "event", "by", "message")
    table = [
        (event["time"], event["version"], event["event"], f"{event['actor']}@{event['host']}", event["message"])
        for event in history
    ]
    print_table("\nHistory", columns, table)


def _measured(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return what a mosaic is, in words with units; what was not measured is left out."""
    found = {words: in_words(metadata.get(key)) for words, key in (("tiles used", "n_images"), ("start", "start_utc"),
             ("end", "end_utc"), ("calibrators", "calibrators"), ("flux anchor", "flux_anchor"))}  # fmt: skip
    if (freq_hz := metadata.get("freq_hz")) is not None:
        found["frequency"] = f"{freq_hz / 1e9:.4f} GHz"
    if beam := metadata.get("beam"):
        major, minor, angle = beam["bmaj_arcsec"], beam["bmin_arcsec"], beam["bpa_deg"]
        found["beam"] = f'{major:.1f}" x {minor:.1f}", position angle {angle:.1f} deg'
    if (rms_mjy := metadata.get("rms_mjy")) is not None:
        found["rms"] = f"{digits(rms_mjy)} mJy/beam"
    return found


@registry.command(short_help="Write the registry as it is now to a file.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--replace", is_flag=True, help="Replace a backup of another registry, or one that holds more.")
@json_option
@click.pass_obj
def backup(context: Context, file: Path, replace: bool, as_json: bool) -> None:
    """Write the registry as it is now to FILE, while others go on working with it.

    An earlier backup of the same registry at FILE is replaced; nothing else is.
    """
    from contimg.registry.backup import backup as make

    with opened(context) as database:
        say_if_lost(context, database)
        _tell(make(database, file.absolute(), replace=replace), f"{file} holds", as_json)


@registry.command(short_help="Copy a backup into an empty registry.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@json_option
@click.pass_obj
def restore(context: Context, file: Path, as_json: bool) -> None:
    """Copy the backup FILE into the configured registry, which must be empty; then type: contimg reconcile."""
    from contimg.registry.backup import restore as put_back

    with opened(context) as database:
        _tell(put_back(database, file.absolute()), f"{database.where} holds", as_json)


def _tell(counts: Mapping[str, int], what: str, as_json: bool) -> None:
    if as_json:
        print_json(counts)
    else:
        click.echo(f"{what} {counts['data_registry']} versions of mosaics and {counts['publish_events']} events")


registry.add_command(verify)
