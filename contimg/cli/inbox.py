"""`contimg inbox`: tiles in the inbox that are ready, wait, came late or were set aside."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import click

from contimg.cli.common import Context, echo, json_option, print_json, print_table
from contimg.config import Config
from contimg.correlator.inbox import count_by_code, subbands_text
from contimg.times import utc_from_datetime


@click.command()
@json_option
@click.option(
    "--accept-loss",
    metavar="TILE",
    help="Let a tile be made again without those of its files that are gone: the next snakemake does so.",
)
@click.pass_obj
def inbox(context: Context, as_json: bool, accept_loss: str | None) -> None:
    """Show which tiles are ready, which wait (for what, since when), what came late and what was set aside.

    Opens headers, changes nothing (but for --accept-loss). Tiles of settled groups are only counted.
    """
    if accept_loss is not None:
        _accept_loss(context.config, accept_loss, as_json)
        return
    state = _state(context.config)
    if as_json:
        print_json(state)
        return
    tables = (
        ("Ready", ("tile", "name", "subbands", "missing"), "ready", ("tile", "name_time", "n_subbands", "missing")),
        ("Waiting", ("name", "for", "ready [UTC]"), "waiting", ("name_time", "message", "ready")),
        ("Late files of settled groups", ("group", "tile", "files", "action"), "late", None),
        ("Set aside", ("reason", "file", "what"), "quarantined", ("code", "file", "message")),
        ("Still open", ("file", "last written", "leftover"), "open", ("file", "since", "leftover")),
    )
    for title, columns, key, fields in tables:
        if state[key]:
            rows = [[_cell(name, row[name]) for name in fields or columns] for row in state[key]]
            print_table(f"\n{title}", columns, rows)
    counts = ", ".join(f"{number} {code}" for code, number in state["quarantined_by_code"].items())
    echo(
        f"\n{state['left_alone']} tiles of settled groups or other nights, {len(state['ready'])} ready "
        f"({state['complete']} complete), {len(state['waiting'])} waiting; set aside: {counts or 'nothing'}"
    )


def _accept_loss(config: Config, tile: str, as_json: bool) -> None:
    from contimg.operations.accept_loss import accept_loss

    opened = accept_loss(config, tile)
    if as_json:
        print_json({"tile": tile, "reopened": opened})
    else:
        echo(f"{', '.join(opened)}: open again; 'contimg plan' shows what will be made anew from the files left")


def _state(config: Config) -> dict[str, Any]:
    from contimg.plan.frozen import found_in_data
    from contimg.plan.make_plan import make_tiles
    from contimg.plan.observe import look_now, with_step

    seen, now, ahead_s = look_now(config)
    plan = make_tiles(seen.listing, seen.facts, seen.committed, config, now)
    ready = [
        {
            "tile": tile.id,
            "name_time": tile.name_time,
            "n_subbands": len(tile.subbands),
            "complete": not tile.missing,
            "missing": list(tile.missing),
        }
        for _, tile in sorted(plan.tiles.items())
    ]
    quarantined = sorted((*plan.quarantined, *found_in_data(plan, config)), key=lambda item: item.path)
    return {
        "incoming": str(config.layout.incoming),
        "ready": ready,
        "complete": sum(tile["complete"] for tile in ready),
        "left_alone": len(seen.listing.clusters) - len(seen.in_scope),
        "waiting": [
            {"name_time": w.id, "code": w.code, "message": w.message, "since": w.since, "ready": w.ready}
            for w in sorted((with_step(one, ahead_s) for one in plan.waiting), key=lambda w: w.id)
        ],
        "late": [{"group": x.group, "tile": x.tile, "files": list(x.files), "action": x.action} for x in plan.late],
        "quarantined": [item.__dict__ | {"file": os.path.basename(item.path)} for item in quarantined],
        "quarantined_by_code": count_by_code(quarantined),
        "open": list(_open_files(seen.listing.open_files, config, now)),
    }


def _open_files(paths: Iterable[str], config: Config, now: datetime) -> Iterable[dict[str, Any]]:
    """Describe files that the correlator has not closed: one not written to for the deadline is a leftover."""
    for path in paths:
        try:
            written = datetime.fromtimestamp(os.lstat(path).st_mtime, UTC)
        except FileNotFoundError:  # closed since it was listed
            continue
        leftover = (now - written).total_seconds() > config.ingest.deadline_s
        since = utc_from_datetime(written, 0)
        yield {"path": path, "file": os.path.basename(path), "since": since, "leftover": leftover}


def _cell(name: str, value: Any) -> Any:
    if name == "missing":
        return subbands_text(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, list) else value
