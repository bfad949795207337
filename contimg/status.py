"""What became of groups, tiles and mosaics, read from twins and markers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from contimg import naming
from contimg.config import Config
from contimg.errors import UnknownIdError
from contimg.plan.model import Plan
from contimg.plan.observe import committed_groups
from contimg.product import Twin, read_twin, worst


def read_marker(path: Path) -> dict[str, Any] | None:
    """Return the content of a marker, or None where there is none."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None


def find_twin(path: Path) -> Twin | None:
    """Return a twin, or None where there is none yet."""
    return read_twin(path) if path.exists() else None


def group_states(config: Config) -> list[dict[str, Any]]:
    """Return one row a committed group: how far its tiles and its mosaic are."""
    layout = config.layout
    rows = []
    for group in committed_groups(config):
        done = {
            kind: sum(layout.twin(kind, tile.id).exists() for tile in group.tiles)
            for kind in ("calibrated", "image")
        }
        mosaic = find_twin(layout.twin("mosaic", group.id))
        marker = read_marker(layout.twin("published", group.id)) or read_marker(
            layout.twin("registered", group.id)
        )
        state = marker["status"] if marker else "open"
        rows.append(
            {
                "group": group.id,
                "mosaic": naming.mosaic_id(group.id),
                "tiles": len(group.tiles),
                "calibrated": done["calibrated"],
                "imaged": done["image"],
                "verdict": mosaic.verdict if mosaic else None,
                "state": state,
                "version": marker["version"] if marker else None,
                "path": marker["path"] if marker else None,
                "next": _next(naming.mosaic_id(group.id), state),
            }
        )
    return rows


def _next(mosaic_id: str, state: str) -> str:
    if state == "held":
        return f"contimg publish approve {mosaic_id} --reason TEXT"
    return "" if state in ("published", "rejected", "withdrawn") else "snakemake"


def mosaic_record(config: Config, text: str) -> dict[str, Any]:
    """Return what is known of one mosaic: verdict, reasons, numbers and places.

    Raises
    ------
    UnknownIdError
        If no such mosaic has been made.
    """
    layout = config.layout
    mosaic_id = naming.as_mosaic_id(text)
    mosaic = find_twin(layout.twin("mosaic", mosaic_id))
    if mosaic is None:
        raise UnknownIdError(f"no mosaic {mosaic_id} has been made: see `contimg status`")
    crossmatch = find_twin(layout.twin("crossmatch", mosaic_id))
    marker = read_marker(layout.twin("published", mosaic_id)) or read_marker(
        layout.twin("registered", mosaic_id)
    )
    folder = (
        Path(marker["path"])
        if marker and marker["status"] == "published"
        else layout.product("mosaic", mosaic_id)
    )
    twins = [mosaic] + ([crossmatch] if crossmatch else [])
    return {
        "mosaic": mosaic_id,
        "synthetic": mosaic.synthetic,
        "verdict": worst([t.verdict for t in twins]),
        "state": marker["status"] if marker else "open",
        "version": marker["version"] if marker else None,
        "folder": str(folder),
        "fits": str(folder / f"{mosaic_id}.fits"),
        "png": str(folder / f"{mosaic_id}.png"),
        "page": str(layout.product("summary", mosaic_id)),
        "reasons": [f"{r.code}: {r.message}" for t in twins for r in t.reasons],
        "notes": [note for t in twins for note in t.notes],
        "facts": mosaic.facts,
        "qa": mosaic.qa | (crossmatch.qa if crossmatch else {}),
    }


def outcome(config: Config, plan: Plan) -> str:
    """Return the closing words of a run: each mosaic with its verdict, and where it stands."""
    lines = [""]
    for group in plan.groups.values():
        if not config.layout.twin("mosaic", group.id).exists():  # a run that was asked for less
            lines.append(f"{group.mosaic_id}: not made yet")
            continue
        record = mosaic_record(config, group.id)
        lines.append(
            f"{record['mosaic']}: verdict {record['verdict']}, {record['state']} ({record['folder']})"
        )
        lines += [f"    {reason}" for reason in record["reasons"]]
        if record["state"] == "held":
            lines.append(f"    look at {record['page']}, then: {_next(record['mosaic'], 'held')}")
    if not plan.groups:
        lines.append("No group has open work.")
    lines += [f"waiting: {w.what} {w.id}: {w.message}" for w in plan.waiting]
    lines += [
        f"late: {x.tile} got {', '.join(x.files)} after its group {x.group} was settled" for x in plan.late
    ]
    if plan.quarantined:
        where = config.layout.stage / "quarantine"
        lines.append(f"set aside: {len(plan.quarantined)} files, with reasons in {where}")
    return "\n".join(lines)


def failure() -> str:
    """Return the closing words of a run in which a job failed."""
    return (
        "\nA job failed: its reason stands above after 'contimg:', the whole story in the log named there."
        "\nNothing half-made was left behind. Mend the cause and type the same command again."
    )
