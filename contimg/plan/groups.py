"""Groups of tiles, one mosaic each: scans are cut in time order, and committed groups keep their members."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from contimg import naming, times
from contimg.config import Config
from contimg.correlator.setup import setup_differences, strips_apart_deg
from contimg.plan.model import CommittedGroup, Group, Plan, PlannedTile, Waiting

_MAY_COME = ("growing", "subbands")  # tiles that wait for these may yet be part of the scan beside them


def add_groups(
    plan: Plan,
    committed: Sequence[CommittedGroup],
    config: Config,
    now: datetime,
) -> None:
    """Add the groups of the nights asked for to the plan: committed ones unchanged, and new ones of the other tiles."""
    owner = {tile.id: group for group in committed for tile in group.tiles}
    for group in committed:
        _keep(plan, group, config)
    # Only what was observed shows that a scan is over: names alone may be those of any file, of any time.
    observed = [tile.name_time for tile in plan.tiles.values()]
    observed += [tile.name_time for group in committed for tile in group.tiles]
    newest = naming.parse_id(max(observed, default="0001-01-01T00:00:00"))
    pending = sorted(naming.parse_id(w.id) for w in plan.waiting if w.what == "tile" and w.code in _MAY_COME)
    for run, before in _free_runs(plan, owner, config):
        _cut(plan, run, before, newest, pending, config, now)
    if config.nights:
        plan.groups = {k: g for k, g in plan.groups.items() if naming.date(k) in config.nights}
        plan.waiting = [w for w in plan.waiting if naming.date(w.since) in config.nights]
    plan.groups = dict(sorted(plan.groups.items()))


def is_asked_for(group: CommittedGroup, config: Config) -> bool:
    """Return True if the night of a group is named in `nights`; False for groups pruned after they were settled."""
    return naming.date(group.id) in config.nights and not (group.settled and group.pruned)


def _keep(plan: Plan, group: CommittedGroup, config: Config) -> None:
    """Add a committed group to the plan if it is open or asked for; it waits where its files are gone."""
    again = any(late.group == group.id and late.action == "reprocess" for late in plan.late)
    asked = is_asked_for(group, config)
    if group.settled and not (again or asked):
        return
    absent = [tile for tile in group.tiles if tile.id not in plan.tiles]
    if absent and not (group.settled and asked):
        message = f"files of {len(absent)} tiles, first {absent[0].id}, are gone from the inbox: bring them back"
        plan.waiting.append(Waiting(naming.mosaic_id(group.id), "group", "inputs_gone", message, group.id))
    elif not absent:
        plan.groups[group.id] = Group(group.id, tuple(tile.id for tile in group.tiles))


def _free_runs(
    plan: Plan, owner: dict[str, CommittedGroup], config: Config
) -> list[tuple[list[PlannedTile], tuple[str, ...]]]:
    """Return the runs of uncommitted tiles within each scan, with the members of the group just before."""
    runs: list[tuple[list[PlannedTile], tuple[str, ...]]] = []
    previous: PlannedTile | None = None
    before: tuple[str, ...] = ()
    fresh = True
    for tile in sorted(plan.tiles.values(), key=lambda t: t.start_mjd):
        if previous is not None and not _same_scan(previous, tile, config):
            before, fresh = (), True
        if tile.id in owner:
            before, fresh = tuple(member.id for member in owner[tile.id].tiles), True
        elif fresh:
            runs.append(([tile], before))
            fresh = False
        else:
            runs[-1][0].append(tile)
        previous = tile
    return runs


def _same_scan(one: PlannedTile, other: PlannedTile, config: Config) -> bool:
    """Return True if two successive tiles are of one scan: no gap, one declination strip, one correlator setup."""
    gap_s = (other.start_mjd - one.start_mjd) * 86400
    limit_deg = config.group.max_dec_difference_deg
    return (
        gap_s <= config.group.max_gap_s
        and strips_apart_deg(one.dec_app_deg, other.dec_app_deg, limit_deg) is None
        and not setup_differences(one.setup, other.setup)
        and one.products == other.products
    )


def _cut(  # the run, and the times from which its scan is known to be over
    plan: Plan,
    run: list[PlannedTile],
    before: tuple[str, ...],
    newest: datetime,
    pending: list[datetime],
    config: Config,
    now: datetime,
) -> None:
    """Cut a run into groups of ``group.tiles``, one every ``group.stride``.

    Where groups overlap, the first reaches back into the committed group before it. A run that may still
    grow gives its full groups only; one that may still grow at its beginning gives none.
    """
    options = config.group
    gap = timedelta(seconds=options.max_gap_s)
    first, last = naming.parse_id(run[0].name_time), naming.parse_id(run[-1].name_time)
    if any(first - gap <= moment < first for moment in pending):
        plan.waiting.append(Waiting(run[0].id, "group", "tile_before", "the tile before it is not ready", run[0].id))
        return
    end = last + gap + timedelta(seconds=config.ingest.deadline_s)
    closed = (now > end or newest > last + gap) and not any(last < m <= last + gap for m in pending)
    overlap = options.tiles - options.stride
    members = [*before[len(before) - overlap :], *(tile.id for tile in run)] if overlap else [t.id for t in run]
    for start in range(0, len(members), options.stride):
        part = members[start : start + options.tiles]
        if start and len(part) <= overlap:  # all of them are in the group before
            break
        if len(part) < options.tiles and not closed:
            message = f"{len(part)} of {options.tiles} tiles so far, its scan goes on"
            ready = times.utc_not_before(end) if len(part) >= options.min_tiles else None
            plan.waiting.append(Waiting(part[0], "group", "scan_open", message, part[0], ready))
        elif len(part) < options.min_tiles:
            message = f"{len(part)} {'tile' if len(part) == 1 else 'tiles'}, group.min_tiles is {options.min_tiles}"
            plan.waiting.append(Waiting(part[0], "group", "too_few_tiles", message, part[0]))
        else:
            plan.groups[part[0]] = Group(part[0], tuple(part))
