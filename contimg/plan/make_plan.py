"""The plan: which tiles, groups and calibrations there are, and what each is made from.

`make_plan` is pure: it opens no file, and the order in which files arrived does not matter. `observe`
reads the disk for it, and `freeze` fixes a plan for the run that carries it out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from contimg import naming
from contimg.config import Config
from contimg.correlator.inbox import Cluster, FileFacts, Listing
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
    "make_tiles",
    "owners",
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
    plan = make_tiles(listing, facts, committed, config, now)
    add_groups(plan, committed, listing.clusters, config, now)
    calibrators = {tile.id: name for tile in plan.tiles.values() if (name := calibrator_of(tile)) is not None}
    add_calibrations(plan, records, calibrators, config)
    used = {t for group in plan.groups.values() for t in group.tiles}
    used |= {calibration.tile for calibration in plan.calibrations.values()}
    plan.tiles = {key: tile for key, tile in sorted(plan.tiles.items()) if key in used}
    plan.quarantined.sort(key=lambda item: item.path)
    plan.waiting.sort(key=lambda item: (item.since, item.id))
    return plan


def make_tiles(
    listing: Listing,
    facts: Mapping[str, FileFacts],
    committed: Sequence[CommittedGroup],
    config: Config,
    now: datetime,
) -> Plan:
    """Return a plan with nothing but tiles: which are ready, wait, were set aside or came late; see `make_plan`."""
    # What was set aside for its name alone; files that were opened are judged by what they hold.
    plan = Plan(quarantined=[item for item in listing.quarantined if item.path not in facts])
    owner = owners(committed)
    plan.late = _late(listing.clusters, owner, config)
    for cluster in listing.clusters:
        if config.group.late == "report":
            cluster = _as_settled(cluster, owner)
        if any(file.path in facts for file in (*cluster.files, *cluster.spares)):
            add_tile(cluster, facts, config.ingest, now, plan)
    return plan


Owners = Mapping[str, Sequence[tuple[CommittedGroup, CommittedTile]]]


def owners(committed: Iterable[CommittedGroup]) -> Owners:
    """Return, for every file name of committed tiles, the groups that hold it (several where groups overlap)."""
    found: dict[str, list[tuple[CommittedGroup, CommittedTile]]] = {}
    for group in committed:
        for tile in group.tiles:
            holders = next((found[name] for name in tile.files if name in found), [])
            holders.append((group, tile))
            found.update(dict.fromkeys(tile.files, holders))
    return found


def has_open_work(cluster: Cluster, owner: Owners, config: Config) -> bool:
    """Tell whether a cluster's files must be opened: its group is not settled, asked for, or has late files."""
    holders = _holders(cluster, owner)
    if not holders or any(not group.settled or naming.date(group.id) in config.nights for group, _ in holders):
        return True
    return config.group.late == "reprocess" and bool(_late([cluster], owner, config))


def _holders(cluster: Cluster, owner: Owners) -> Sequence[tuple[CommittedGroup, CommittedTile]]:
    """Return the groups and tiles that hold a cluster: those that hold the first of its files that any holds."""
    return next((owner[file.name] for file in cluster.files if file.name in owner), ())


def _as_settled(cluster: Cluster, owner: Owners) -> Cluster:
    """Return a cluster without the files that came late where all its groups are settled: they are only reported."""
    holders = _holders(cluster, owner)
    if not holders or not all(group.settled for group, _ in holders):
        return cluster
    known = set().union(*(_subbands(tile) for _, tile in holders))
    files, spares = (tuple(f for f in part if f.subband in known) for part in (cluster.files, cluster.spares))
    return replace(cluster, files=files, spares=spares)


def _subbands(tile: CommittedTile) -> set[int]:
    return {parsed.subband for name in tile.files if (parsed := naming.SubbandName.parse(name))}


def _late(clusters: Iterable[Cluster], owner: Owners, config: Config) -> list[Late]:
    """Return the files of new subbands that came for groups after these were settled."""
    late = []
    for cluster in clusters:
        for group, tile in _holders(cluster, owner):
            if group.settled:
                known = _subbands(tile)
                new = tuple(sorted(file.name for file in cluster.files if file.subband not in known))
                if new:
                    late.append(Late(group.id, tile.id, new, config.group.late))
    return late
