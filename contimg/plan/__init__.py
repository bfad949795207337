"""The plan: which tiles, groups and calibrations there are, and what each is made from.

`make_plan` is pure: it opens no file, and the order in which files arrived does not matter. `observe`
reads the disk for it, and `freeze` fixes a plan for the run that carries it out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from contimg import naming
from contimg.config import Config
from contimg.inbox import Cluster, FileFacts, Listing
from contimg.plan.calibration import add_calibrations
from contimg.plan.groups import add_groups
from contimg.plan.model import (
    CalibrationRecord,
    Choice,
    CommittedGroup,
    CommittedTile,
    Group,
    Late,
    Plan,
    PlannedCalibration,
    Tile,
    Waiting,
)
from contimg.plan.tiles import add_tile

__all__ = [
    "CalibrationRecord",
    "Choice",
    "CommittedGroup",
    "CommittedTile",
    "Group",
    "Late",
    "Plan",
    "PlannedCalibration",
    "Tile",
    "Waiting",
    "has_open_work",
    "make_plan",
]


def make_plan(
    listing: Listing,
    facts: Mapping[str, FileFacts],
    committed: Sequence[CommittedGroup],
    records: Sequence[CalibrationRecord],
    calibrator_of: Callable[[Tile], str | None],
    config: Config,
    now: datetime,
) -> Plan:
    """Decide what is to be done, from what is there.

    Parameters
    ----------
    listing : Listing
        The clusters of file names.
    facts : mapping of path to FileFacts
        What the headers say, at least for the clusters that `has_open_work`.
    committed : sequence of CommittedGroup
        Groups whose membership is fixed.
    records : sequence of CalibrationRecord
        Calibrations that have been solved, certified or not.
    calibrator_of : callable
        Names the calibrator that transits within the beam in a tile, or None.
    config : Config
    now : datetime
        Aware; decides only what is overdue.
    """
    plan = Plan(quarantined=list(listing.quarantined))
    plan.late = _late(listing.clusters, committed, config)
    for cluster in listing.clusters:
        if any(file.path in facts for file in cluster.files):
            add_tile(cluster, facts, config.ingest, now, plan)
    add_groups(plan, committed, listing.clusters, config, now)
    calibrators = {tile.id: name for tile in plan.tiles.values() if (name := calibrator_of(tile)) is not None}
    add_calibrations(plan, records, calibrators, config)
    used = {t for group in plan.groups.values() for t in group.tiles}
    used |= {calibration.tile for calibration in plan.calibrations.values()}
    plan.tiles = {key: tile for key, tile in sorted(plan.tiles.items()) if key in used}
    plan.quarantined.sort(key=lambda item: item.path)
    plan.waiting.sort(key=lambda item: (item.since, item.id))
    return plan


def has_open_work(cluster: Cluster, committed: Mapping[str, CommittedGroup], config: Config) -> bool:
    """Tell whether a cluster's files must be opened: its group is not settled, asked for, or has late files.

    Parameters
    ----------
    committed : mapping of name time to CommittedGroup
        The group that holds the tile of that name time.
    """
    group = committed.get(f"{cluster.name_time:{naming.ID_FORMAT}}")
    if group is None or not group.settled or naming.date(group.id) in config.nights:
        return True
    again = {late.group for late in _late([cluster], [group], config) if late.action == "reprocess"}
    return bool(again)


def _late(clusters: Sequence[Cluster], committed: Sequence[CommittedGroup], config: Config) -> list[Late]:
    """Return the files that came for groups after these were settled."""
    settled = {tile.name_time: (group, tile) for group in committed if group.settled for tile in group.tiles}
    late = []
    for cluster in clusters:
        owner = settled.get(f"{cluster.name_time:{naming.ID_FORMAT}}")
        if owner is None:
            continue
        group, tile = owner
        new = tuple(sorted({file.name for file in cluster.files} - set(tile.files)))
        if new:
            late.append(Late(group.id, tile.id, new, config.group.late))
    return late
