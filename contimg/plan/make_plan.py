"""The plan: which tiles, groups and calibrations there are, and what each is made from.

`make_plan` is pure: it opens no file, and the order in which files arrived does not matter. `observe`
reads the disk for it, and `freeze` fixes a plan for the run that carries it out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime

from contimg import naming
from contimg.config import Config
from contimg.correlator.facts import FileFacts
from contimg.correlator.inbox import Cluster, Listing, Quarantined, subbands_text
from contimg.plan.calibration import Calibrators, Patience, add_calibrations
from contimg.plan.groups import add_groups, is_asked_for
from contimg.plan.model import (
    CalibrationRecord,
    Choice,
    CommittedGroup,
    CommittedTile,
    Group,
    Late,
    Plan,
    PlannedCalibration,
    PlannedTile,
    Waiting,
)
from contimg.plan.tiles import SoundFiles, ready_tile, sound_files

__all__ = [
    "CalibrationRecord",
    "Choice",
    "CommittedGroup",
    "CommittedTile",
    "Group",
    "Late",
    "Plan",
    "PlannedCalibration",
    "PlannedTile",
    "Waiting",
    "has_open_work",
    "held_by",
    "make_plan",
    "make_tiles",
    "may_be_late",
    "owners",
]


def make_plan(  # everything that a plan depends on: it reads nothing by itself
    listing: Listing,
    facts: Mapping[str, FileFacts],
    committed: Sequence[CommittedGroup],
    records: Sequence[CalibrationRecord],
    calibrator_of: Callable[[PlannedTile], str | None],
    config: Config,
    now: datetime,
    unsteady: Collection[str] = (),
    is_without: Callable[[PlannedTile], bool] = lambda tile: False,
) -> Plan:
    """Return the plan: the tiles, groups and calibrations to be made from the files and products that exist.

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
        With a time zone; decides only what is overdue.
    unsteady : collection of str
        Names of calibrators that are used only where no other is in reach.
    is_without : callable
        Tells whether no calibrator ever crosses a tile's strip, so that its bandpass is solved on the catalogue's sky.
    """
    plan = make_tiles(listing, facts, committed, config, now)
    add_groups(plan, committed, config, now)
    by_tile = {tile.id: name for tile in plan.tiles.values() if (name := calibrator_of(tile)) is not None}
    without = {tile.id for tile in plan.tiles.values() if is_without(tile)}
    patience = Patience(frozenset(group.id for group in committed), now)
    add_calibrations(plan, records, Calibrators(by_tile, unsteady, without), config, patience)
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
    """Return a plan of tiles alone: ready, waiting, set aside and late ones. Parameters as of `make_plan`."""
    # What was set aside for its name alone; files that were opened are judged by what they hold.
    plan = Plan(quarantined=[item for item in listing.quarantined if item.path not in facts])
    owner = owners(committed)
    for cluster in listing.clusters:
        if any(file.path in facts for file in (*cluster.files, *cluster.spares)):
            tile = _tile_of(cluster, facts, _holders(cluster, owner), config, now, plan)
            if tile is not None:
                _add(tile, plan)
    return plan


def _tile_of(
    cluster: Cluster,
    facts: Mapping[str, FileFacts],
    holders: Sequence[tuple[CommittedGroup, CommittedTile]],
    config: Config,
    now: datetime,
    plan: Plan,
) -> PlannedTile | None:
    """Return the tile of a cluster, or None if it cannot be used; the plan gets what waits, is late or set aside."""
    used = frozenset[int]().union(*(tile.subbands for _, tile in holders))
    settled = bool(holders) and all(group.settled for group, _ in holders)
    sound = sound_files(cluster, facts, plan, settled=used if settled else frozenset())
    gone = used - sound.subbands
    if gone and not sound.growing and any(tile.made for _, tile in holders):
        _keep_as_made(holders[0][1], gone, plan)
        return None
    late = _late(sound, holders, config)
    plan.late += late
    if settled and config.group.late == "report":
        if not any(naming.date(group.id) in config.nights for group, _ in holders):
            return None  # looked at only for what may have come late
        sound = sound.only(used)
    return ready_tile(cluster, sound, facts, config.ingest, now, plan)


def _keep_as_made(tile: CommittedTile, gone: Iterable[int], plan: Plan) -> None:
    """Let a tile wait whose files are partly gone after it was made: it is never made again from fewer files."""
    lost = sorted(gone)
    message = (
        f"{subbands_text(lost)} of the {len(tile.subbands)} subbands that it was made from are gone from the inbox or"
        f" not readable any more, so its products stay as they are: bring the files back, or let it be made again"
        f" without them (contimg inbox --accept-loss {tile.id})"
    )
    plan.waiting.append(Waiting(tile.id, "tile", "inputs_gone", message, tile.id))


def _add(tile: PlannedTile, plan: Plan) -> None:
    """Add a tile to the plan, unless another has its id."""
    if tile.id not in plan.tiles:
        plan.tiles[tile.id] = tile
        return
    message = f"its header time {tile.id} is that of the tile named {plan.tiles[tile.id].name_time}"
    plan.quarantined.extend(Quarantined(path, "same_time", message, tile.name_time) for path in tile.files)


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
    """Return True if a cluster's files must be opened: it is in no settled group, or in one of a night asked for."""
    holders = _holders(cluster, owner)
    return not holders or any(not group.settled or is_asked_for(group, config) for group, _ in holders)


def may_be_late(cluster: Cluster, owner: Owners) -> bool:
    """Return True if a cluster has, by the names of its files, subbands that a settled group was made without."""
    names = {file.subband for file in cluster.files}
    return any(group.settled and not names <= tile.subbands for group, tile in _holders(cluster, owner))


def held_by(cluster: Cluster, owner: Owners, groups: Collection[str]) -> bool:
    """Return True if a cluster is a tile of one of some groups (ids)."""
    return any(group.id in groups for group, _ in _holders(cluster, owner))


def _holders(cluster: Cluster, owner: Owners) -> Sequence[tuple[CommittedGroup, CommittedTile]]:
    """Return the committed groups and tiles of a cluster, by the first of its files that is in a committed tile."""
    return next((owner[file.name] for file in cluster.files if file.name in owner), ())


def _late(sound: SoundFiles, holders: Iterable[tuple[CommittedGroup, CommittedTile]], config: Config) -> list[Late]:
    """Return the sound files of new subbands that came for groups after these were settled."""
    late = []
    for group, tile in holders:
        new = tuple(sorted(file.name for file, _ in sound.files if file.subband not in tile.subbands))
        if group.settled and new:
            late.append(Late(group.id, tile.id, new, config.group.late))
    return late
