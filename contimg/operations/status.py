"""The state of groups, tiles and mosaics, read from twins and markers (``contimg status``)."""

from __future__ import annotations

import contextlib
import heapq
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from contimg import naming
from contimg.bundle.bundle import payload
from contimg.config import Config
from contimg.errors import ContimgError, InputError, UnknownIdError
from contimg.operations.job_log import sentence
from contimg.plan.model import Plan
from contimg.plan.observe import current_plan
from contimg.plan.standing import read_group, read_marker
from contimg.plotting.words import counted
from contimg.products.facts import mosaic_facts
from contimg.products.judged import options_of, read_judged
from contimg.products.twin import Twin, worst
from contimg.publishing.commands import approve_command, decision_commands

UNREAD_DAYS = 30  # status counts the published mosaics that were not read for longer
RECENT = 50  # groups that `contimg status` shows although nothing is to be done about them


_TEXTS = ("status", "path", "message", "time", "manifest_sha256")  # of a marker


def find_marker(path: Path) -> dict[str, Any] | None:
    """Return the content of a marker, or None where there is none; raises as `read_marker` does."""
    try:
        content = read_marker(path)
    except FileNotFoundError:
        return None
    odd = next((name for name in _TEXTS if not isinstance(content.get(name), str)), None)
    if odd is not None:
        raise InputError(f"{path} is damaged (its '{odd}' is no text): type contimg reconcile, which writes it anew")
    return content


def find_twin(path: Path, config: Config) -> Twin | None:
    """Return a twin, judged by the present thresholds, or None where there is none yet."""
    return read_judged(path, options_of(config)) if path.exists() else None


def group_states(
    config: Config, *, everything: bool = True, plan: Plan | None = None
) -> tuple[list[dict[str, Any]], int]:
    """Return one row for each committed group (tiles made, verdict, state), and the number of groups not shown.

    Parameters
    ----------
    config : Config
    everything : bool
        False: only groups with open work and the last `RECENT` others, so that the time does not grow with the
        archive.
    plan : Plan, optional
        The present plan, where the caller has made it; else it is made if a group needs it.
    """
    from contimg.registry import queries
    from contimg.registry.engine import open_registry

    stems = [name.removesuffix(".json") for name in _names(config.layout.stage / "groups")]
    with contextlib.closing(open_registry(config)) as registry:
        closed = queries.closed_ids(registry)
        stuck = queries.stuck(registry, config.publish.max_attempts)
    shown = set(stems)
    if not everything:
        recent = heapq.nlargest(RECENT, stems)
        shown = {stem for stem in stems if f"mosaic_{stem}" not in closed}.union(recent)
    states = [_group_state(config, stem, stuck) for stem in sorted(shown)]
    _say_what_waits(config, states, plan)
    return states, len(stems) - len(shown)


def unverified(config: Config) -> tuple[int, int]:
    """Return how many published mosaics (versions) were not verified for `UNREAD_DAYS`, and how many there are."""
    from contimg.registry import verifications
    from contimg.registry.engine import open_registry
    from contimg.times import ago

    with contextlib.closing(open_registry(config)) as registry:
        return verifications.count_unread(registry, ago(UNREAD_DAYS))


def found_wrong(config: Config) -> list[str]:
    """Return the published mosaics that their last verification found wrong."""
    from contimg.registry import verifications
    from contimg.registry.engine import open_registry

    with contextlib.closing(open_registry(config)) as registry:
        return verifications.found_wrong(registry)


def replica_counts(config: Config) -> dict[str, dict[str, int]]:
    """Return for each replica how many copies it lacks, and how many were found damaged; nothing is read of it."""
    from contimg.registry.engine import open_registry
    from contimg.replicas import copy_rows

    if not config.publish.replicas:
        return {}
    with contextlib.closing(open_registry(config)) as registry:
        return {one.url: copy_rows.counts(registry, one.url, one.keep) for one in config.publish.replicas}


def _say_what_waits(config: Config, states: list[dict[str, Any]], plan: Plan | None) -> None:
    """Replace the next step 'snakemake' by what the plan waits for, where snakemake would do nothing."""
    asked = [state for state in states if state["next"] == "snakemake"]
    if not asked:
        return
    try:
        plan = plan or current_plan(config)
    except ContimgError:  # snakemake reports it
        return
    waiting = {item.id: item.message for item in plan.waiting}
    for state in asked:
        ids = (state["mosaic"], state["group"])
        reason = next((waiting[one] for one in ids if one in waiting), None)
        if reason is not None:
            state["next"] = f"waits: {reason}"
        elif state["group"] not in plan.groups:
            state["next"] = "snakemake, with its night in nights or none named there"


def _names(folder: Path) -> list[str]:
    """Return the names of the JSON files in a folder; none where the folder does not exist."""
    try:
        return [name for name in os.listdir(folder) if name.endswith(".json") and not name.startswith(".")]
    except FileNotFoundError:
        return []


def _group_state(config: Config, stem: str, stuck: Mapping[str, str]) -> dict[str, Any]:
    """Return the row of one group; `stuck`: mosaic -> last error, where publication has failed too often.

    A damaged file of one group is reported in its row, and the other groups are shown.
    """
    try:
        return _sound_state(config, stem, stuck)
    except (InputError, OSError) as error:
        what, _, remedy = sentence(error).rpartition(": ")  # what a parser says has colons, too
        nothing = dict.fromkeys(("tiles", "calibrated", "imaged", "verdict", "sun", "synthetic", "version", "path"))
        name = {"group": naming.iso(stem), "mosaic": naming.mosaic_id(stem)}
        return {**name, **nothing, "state": "damaged", "next": remedy, "error": what}


def _sound_state(config: Config, stem: str, stuck: Mapping[str, str]) -> dict[str, Any]:
    """Return the row of a group whose files can be read."""
    layout = config.layout
    content = read_group(layout.group(stem))
    group, tiles = content["id"], [tile["id"] for tile in content["tiles"]]
    mosaic_id = naming.mosaic_id(group)
    done = {kind: sum(layout.twin(kind, tile).exists() for tile in tiles) for kind in ("calibrated", "image")}
    twins = [t for kind in ("mosaic", "crossmatch") if (t := find_twin(layout.twin(kind, group), config)) is not None]
    marker = find_marker(layout.twin("published", group)) or find_marker(layout.twin("registered", group))
    state = marker["status"] if marker else "open"
    return {
        "group": group,
        "mosaic": mosaic_id,
        "tiles": len(tiles),
        "calibrated": done["calibrated"],
        "imaged": done["image"],
        "verdict": worst([t.verdict for t in twins]) if twins else None,
        "sun": _sun(twins),
        "synthetic": any(t.synthetic for t in twins) if twins else None,
        "state": state,
        "version": marker["version"] if marker else None,
        "path": marker["path"] if marker else None,
        "next": _next(mosaic_id, state, mosaic_id in stuck, marker),
        "error": stuck.get(mosaic_id),
    }


def _sun(twins: Sequence[Twin]) -> str | None:
    """Return ``day``, ``night`` or both, as the mosaic says; None where there is none, or it is of an older version."""
    mosaics = [mosaic_facts(twin).sun for twin in twins if twin.kind == "mosaic"]
    return mosaics[0].daytime if mosaics and mosaics[0] is not None else None


def _next(mosaic_id: str, state: str, stuck: bool, marker: dict[str, Any] | None) -> str:
    """Return the command that a mosaic waits for; `stuck`: publication has failed too often to be tried again."""
    if stuck:
        return f"contimg publish retry {mosaic_id}"
    if state == "held" and marker is not None:
        return approve_command(marker | {"sha256": marker["manifest_sha256"]})
    return "" if state in ("published", "rejected", "withdrawn") else "snakemake"


def mosaic_record(config: Config, text: str) -> dict[str, Any]:
    """Return the record of one mosaic: verdict, reasons, measured numbers and paths.

    Raises
    ------
    UnknownIdError
        If no such mosaic has been made.
    """
    layout = config.layout
    mosaic_id = naming.as_mosaic_id(text)
    mosaic = find_twin(layout.twin("mosaic", mosaic_id), config)
    if mosaic is None:
        raise UnknownIdError(f"no mosaic {mosaic_id} has been made: see `contimg status`")
    crossmatch = find_twin(layout.twin("crossmatch", mosaic_id), config)
    marker = find_marker(layout.twin("published", mosaic_id)) or find_marker(layout.twin("registered", mosaic_id))
    published = marker is not None and marker["status"] == "published"
    folder = Path(marker["path"]) if marker and published else layout.product("mosaic", mosaic_id)
    inside = payload(folder)
    twins = [mosaic] + ([crossmatch] if crossmatch else [])
    state = marker["status"] if marker else "open"
    error = _error(config, mosaic_id) if state == "registered" else None
    return {
        "mosaic": mosaic_id,
        "synthetic": mosaic.synthetic,
        "verdict": worst([t.verdict for t in twins]),
        "state": state,
        "version": marker["version"] if marker else None,
        "next": _next(mosaic_id, state, error is not None, marker),
        "error": error,
        "folder": str(folder),
        "fits": str(inside / f"{mosaic_id}.fits"),
        "png": str(inside / f"{mosaic_id}.png"),
        "page": str(layout.product("summary", mosaic_id)),
        "reasons": [f"{r.code}: {r.message}" for t in twins for r in t.reasons],
        "notes": [note for t in twins for note in t.notes],
        "facts": mosaic.facts,
        "qa": mosaic.qa | (crossmatch.qa if crossmatch else {}),
    }


def _error(config: Config, mosaic_id: str) -> str | None:
    """Return the last error of a publication that failed too often and waits for a person, or None."""
    from contimg.registry import queries
    from contimg.registry.engine import open_registry

    with contextlib.closing(open_registry(config)) as registry:
        return queries.stuck(registry, config.publish.max_attempts).get(mosaic_id)


def outcome(config: Config, plan: Plan) -> str:
    """Return the closing message of a run: each mosaic with its verdict and folder."""
    lines = [""]
    for group in plan.groups.values():
        if not config.layout.twin("mosaic", group.id).exists():  # a run that was asked for less
            lines.append(f"{group.mosaic_id}: not made yet")
            continue
        record = mosaic_record(config, group.id)
        lines.append(f"{record['mosaic']}: verdict {record['verdict']}, {record['state']} ({record['folder']})")
        lines += [f"    {reason}" for reason in record["reasons"]]
        if record["state"] == "held":
            lines.append(f"    look at {record['page']}, then: {record['next']}")
    if not plan.groups:
        lines.append("No group has open work.")
    lines += [f"waiting: {w.what} {w.id}: {w.message}" for w in plan.waiting]
    lines += [f"late: {x.tile} got {', '.join(x.files)} after its group {x.group} was settled" for x in plan.late]
    if plan.quarantined:
        where = config.layout.stage / "quarantine"
        lines.append(f"set aside: {counted(len(plan.quarantined), 'file')}, with reasons in {where}")
    return "\n".join(lines)


def held_mosaics(config: Config, pasteable: Callable[[str], str]) -> str:
    """Bring the page of held mosaics up to date, and return a sentence about it; empty where nothing is held.

    Parameters
    ----------
    config : Config
    pasteable : callable
        Gives a command the options that name the configuration.
    """
    from contimg.archive.held_page import update_held_page
    from contimg.registry.engine import open_registry

    if not config.publish.update_archive or not (config.layout.stage / "registered").is_dir():
        return ""
    with contextlib.closing(open_registry(config)) as registry:
        return update_held_page(registry, config.layout, lambda row: decision_commands(row, pasteable))


def failure(signal: str | None = None) -> str:
    """Return the closing message of a run in which a job failed, or that a signal (its name) ended."""
    if signal is not None:
        how = "by the keyboard" if signal == "SIGINT" else f"by {signal}"
        return f"\nStopped {how}. Nothing half-made was left behind: type the same command again to go on."
    return (
        "\nA job failed: its reason stands above after 'contimg:', with its traceback in the log named there."
        "\nNothing half-made was left behind. Remove the cause, then type the same command again."
    )
