"""The plan of a run, fixed on disk before its first job and read by all of them."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from contimg import naming
from contimg.config import Config
from contimg.config.used_keys import USED_KEYS
from contimg.correlator.inbox import Quarantined
from contimg.errors import InputError
from contimg.plan.model import Plan
from contimg.plan.standing import read_quarantine
from contimg.products.gates import threshold_keys
from contimg.products.twin import read_twin
from contimg.storage.atomic import write_json
from contimg.storage.json_files import read_json, read_object

THRESHOLD_KINDS = ("calibration", "image", "mosaic", "crossmatch")
_DIGEST = "sha256"
_REMEDY = "start the work with snakemake, which makes it"
_LEFT_OUT = ("subband_empty", "subband_rejected")


def freeze(plan: Plan, config: Config) -> None:
    """Write the plan of a run, the membership of its groups, and the list of files set aside.

    The published markers of groups that late files open again are removed.
    """
    layout = config.layout
    for late in plan.late:
        if late.action == "reprocess" and late.group in plan.groups:  # open again until its new version is published
            layout.twin("published", late.group).unlink(missing_ok=True)
    for group in plan.groups.values():
        tiles = [plan.tiles[t] for t in group.tiles]
        content = {
            "id": group.id,
            "tiles": [{"id": t.id, "name_time": t.name_time, "files": t.file_names} for t in tiles],
        }
        place = layout.group(group.id)
        if read_json(place) != json.loads(json.dumps(content)):
            write_json(place, content)
    write_quarantine(plan, config)
    frozen = plan.to_json() | {"thresholds": _beside_the_parameters(config), "working_folder": os.getcwd()}
    write_json(layout.frozen_plan, frozen | {_DIGEST: _digest(frozen)})


def working_folder(config: Config) -> Path | None:
    """Return the folder in which Snakemake last ran on a configuration; None before its first run, or where damaged."""
    try:
        content = _read(config.layout.frozen_plan)
    except (OSError, InputError):
        return None
    found = content.get("working_folder")
    return Path(found) if isinstance(found, str) else None


def _beside_the_parameters(config: Config) -> dict[str, dict[str, Any]]:
    """Return the thresholds that rules write a first verdict with, and which are not parameters of the rules."""
    solving = USED_KEYS["solve_calibration"]["calibration"]
    return {
        "qa": config.qa.model_dump(mode="json"),
        "calibration": config.calibration.model_dump(mode="json", exclude=set(solving or ())),
    }


def threshold_options(config: Config) -> dict[str, dict[str, Any]]:
    """Return the keys of the configuration that verdicts depend on, by section."""
    found: dict[str, dict[str, Any]] = {"qa": config.qa.model_dump(mode="json"), "calibration": {}}
    for kind in THRESHOLD_KINDS:
        keys = set(threshold_keys(kind).get("calibration", ()))
        found["calibration"] |= config.calibration.model_dump(mode="json", include=keys)
    return found


def read_thresholds(place: str | Path, section: str) -> dict[str, Any]:
    """Read the thresholds of a section from a frozen plan.

    Rules take them from here and not as parameters, since what they make does not depend on them: the verdict that
    they write is judged again by whoever reads it.

    Raises
    ------
    InputError
        If the plan is missing.
    """
    return _read(place, "thresholds")[section]


def write_quarantine(plan: Plan, config: Config) -> None:
    """Write the files that the plan, or the conversion of a tile, set aside, in one JSON file for each day.

    Rows of earlier plans stay unless their file is used now.
    """
    days: dict[str, dict[str, dict[str, Any]]] = {tile.name_time[:10]: {} for tile in plan.tiles.values()}
    for item in (*plan.quarantined, *found_in_data(plan, config)):
        parsed = naming.SubbandName.parse(item.path.rpartition("/")[2])
        day = item.name_time[:10] or (f"{parsed.time:%Y-%m-%d}" if parsed else "unnamed")
        days.setdefault(day, {})[item.path] = vars(item)
    used = {path for tile in plan.tiles.values() for path in tile.files}
    for day, items in days.items():
        place = config.layout.quarantine(day)
        before = read_quarantine(place)
        kept = {row["path"]: row for row in before or () if row["path"] not in {"", *used}} | items
        rows = [row for _, row in sorted(kept.items())]
        if rows != before:
            write_json(place, rows)


def found_in_data(plan: Plan, config: Config) -> list[Quarantined]:
    """Return the files that the conversions of a plan's tiles left out, or flagged in part, for their data."""
    found = []
    for tile in plan.tiles.values():
        place = config.layout.twin("ms", tile.id)
        try:
            converted, twin = place.stat().st_mtime_ns, read_twin(place)
        except FileNotFoundError:
            continue
        reasons = {
            reason.measured: (reason.code, reason.message) for reason in twin.reasons if reason.code in _LEFT_OUT
        }
        for label, share in twin.qa.get("not_finite_by_subband", {}).items():
            reasons.setdefault(label, ("not_finite", f"{share:.2%} of the samples of {label} are not finite: flagged"))
        for path, subband, signature in zip(tile.files, tile.subbands, tile.signature, strict=True):
            if f"sb{subband:02d}" in reasons and signature.mtime_ns <= converted:  # not a file that was replaced since
                found.append(Quarantined(path, *reasons[f"sb{subband:02d}"], tile.name_time))
    return found


def frozen_plan(config: Config) -> Plan:
    """Read the plan of the current run; its jobs, on any node, read it from disk.

    Raises
    ------
    InputError
        If no run has frozen one.
    """
    place = config.layout.frozen_plan
    content = _read(place)
    try:
        return Plan.from_json(content)
    except (KeyError, TypeError, AttributeError, ValueError):
        raise InputError(f"{place} is damaged (it describes no plan): {_REMEDY}") from None


def for_report(plan: Plan, config: Config) -> Plan:
    """Return the plan that a report describes: the present one, or the last run's where nothing is left to do."""
    if plan.groups or not config.layout.frozen_plan.exists():
        return plan
    return frozen_plan(config)


def read_choice(place: str | Path, tile_id: str) -> dict[str, Any]:
    """Read from a frozen plan which calibrations a tile uses, why, and what was rejected.

    Raises
    ------
    InputError
        If the plan is missing or does not hold the tile.
    """
    choices = _read(place, "choices")
    if tile_id not in choices:
        raise InputError(
            f"{place} holds no calibration choice for tile {tile_id}: type the same snakemake command again"
        )
    return choices[tile_id]


def read_previous(place: str | Path, twin: Path) -> Path | None:
    """Return the twin of the certified bandpass that a frozen plan compares a calibration with, or None.

    Not an input of the rule: a set before it that appears later does not make a calibration out of date.

    Parameters
    ----------
    place : str or Path
        The frozen plan.
    twin : Path
        Of the calibration, which may not be there yet; the other stands in the same tree.

    Raises
    ------
    InputError
        If the plan is missing.
    """
    planned = _read(place, "calibrations")
    previous = planned.get(twin.stem, {}).get("previous")
    return None if previous is None else twin.parents[1] / naming.date(previous) / f"{previous}.json"


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _read(place: str | Path, part: str | None = None) -> Any:
    """Return a frozen plan, or a part of it."""
    try:
        content = read_object(Path(place), _REMEDY, (part,) if part else ())
    except FileNotFoundError:
        raise InputError(f"{place} does not exist: {_REMEDY}") from None
    digest = content.pop(_DIGEST, None)  # plans of earlier versions have none
    if digest is not None and digest != _digest(content):
        raise InputError(f"{place} is damaged (it does not have the digest that it was written with): {_REMEDY}")
    return content[part] if part else content
