"""What a plan leaves for later, in a line for each reason: how many tiles, groups or files, and when they are ready."""

from __future__ import annotations

from collections.abc import Sequence

from contimg import times
from contimg.config import Config
from contimg.correlator.inbox import count_by_code
from contimg.plan.model import Plan, Waiting
from contimg.plotting.words import counted

REASONS = {
    "growing": "files younger than ingest.settle_s = {ingest.settle_s:.10g} s",
    "subbands": "subbands that are missing, until ingest.deadline_s = {ingest.deadline_s:.10g} s after the tile's time",
    "future": "a time that is ahead of this computer's clock",
    "inputs_gone": "files that are gone from the inbox",
    "tile_before": "the tile before it, which is not ready",
    "scan_open": "more tiles of the scan, up to group.tiles = {group.tiles}",
    "too_few_tiles": "at least group.min_tiles = {group.min_tiles} tiles in one scan",
    "no_bandpass": "a calibrator",
    "no_room": "room on the disks",
}
"""Code of what waits -> what it waits for."""


def lines(config: Config, plan: Plan) -> list[str]:
    """Return what a run of a plan leaves for later, a line a reason, and the commands that show which; [] if nothing.

    Where a plan has no work and leaves nothing for later, one line says so.
    """
    kinds = dict.fromkeys((one.what, one.code) for one in plan.waiting)
    said = [_waiting([one for one in plan.waiting if (one.what, one.code) == kind], config) for kind in kinds]
    said += _left_out(config, plan)
    if not said:
        return [] if plan.groups else ["nothing to do: all tiles of the inbox are of settled groups"]
    shows = [("contimg inbox", "tiles and files")]
    shows += [("contimg plan", "groups")] if any(what == "group" for what, _ in kinds) else []
    return [*said, "which ones: " + ", ".join(f"{command} ({what})" for command, what in shows)]


def _waiting(alike: Sequence[Waiting], config: Config) -> str:
    """Return the line of what waits for one reason."""
    what, code = alike[0].what, alike[0].code
    verb = "waits" if len(alike) == 1 else "wait"
    values = {"ingest": config.ingest, "group": config.group}
    return f"{counted(len(alike), what)} {verb}: {REASONS[code].format(**values)}{_ready(alike)}"


def _ready(alike: Sequence[Waiting]) -> str:
    """Return when the first and the last of some that wait are ready, as far as that is known."""
    known = sorted(one.ready for one in alike if one.ready is not None)
    if not known:
        return ""
    today = times.now(0)[:10]
    first, last = (one[11:] if one[:10] == today else one.replace("T", " ") for one in (known[0], known[-1]))
    rest = len(alike) - len(known)
    span = f"at {last} UTC" if first == last else f"from {first} to {last} UTC"
    return f"; ready {span}" if not rest else f"; {len(known)} of them ready {span}"


def _left_out(config: Config, plan: Plan) -> list[str]:
    """Return the lines about tiles of other nights, files still open or set aside, and late ones."""
    said = []
    if plan.other_nights:
        nights = sorted(plan.other_nights)
        dates = ", ".join(nights[:3]) + (f" and {len(nights) - 3} more" if len(nights) > 3 else "")
        number = sum(plan.other_nights.values())
        asked = ", ".join(config.nights[:3]) + (f" and {len(config.nights) - 3} more" if len(config.nights) > 3 else "")
        said.append(f"{counted(number, 'tile')} of {dates} left out: nights names {asked} only")
    if plan.open_files:
        said.append(f"{counted(plan.open_files, 'file')} still open: the correlator has not closed them")
    late = [one for one in plan.late if one.action != "reprocess"]
    if late:
        said.append(
            f"{counted(len(late), 'tile')} got files after the group was settled: left as they are (group.late)"
        )
    if plan.quarantined:
        codes = ", ".join(f"{number} {code}" for code, number in count_by_code(plan.quarantined).items())
        said.append(f"{counted(len(plan.quarantined), 'file')} set aside: {codes}")
    return said
