"""The state of inbox and stage that a plan is made from, read from disk."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from contimg import naming, times
from contimg.calibration import certification
from contimg.config import Config
from contimg.correlator.facts import FactsCache, FileFacts, inspect
from contimg.correlator.inbox import Cluster, Listing, arrange
from contimg.correlator.setup import CorrelatorSetup
from contimg.errors import InputError
from contimg.plan import clock, raw_copies
from contimg.plan.make_plan import has_open_work, held_by, make_plan, make_tiles, may_be_late, owners
from contimg.plan.model import (
    CalibrationRecord,
    CommittedGroup,
    CommittedTile,
    Plan,
    PlannedTile,
    Waiting,
)
from contimg.plan.settled import SettledGroups
from contimg.plan.standing import read_group, read_marker, read_pruned
from contimg.plan.strip_advice import note_on_strip, scan_of, strips_without, with_advice
from contimg.plan.tiles import compare_spares
from contimg.products.facts import check_facts
from contimg.products.judged import options_of, read_judged
from contimg.products.twin import DamagedTwinError
from contimg.sky import calibrator_lists
from contimg.sky.calibrators import Calibrator
from contimg.sky.preference import is_unsteady
from contimg.sky.strip_files import read_header
from contimg.sky.strips import catalogue_at, strips_of
from contimg.sky.transits import transits as find_transits
from contimg.times import mjd_from_datetime

# A catalogue of text above this size takes seconds to read: the plan does without it.
_LARGE_BYTES = 20e6
# Calibrators further from a tile's declination are beyond the first null of the beam.
_STRIP_DEG = 20.0
_WITH_DEADLINE = frozenset({"subbands", "scan_open", "no_bandpass"})
# Of a group before the oldest file of the inbox, beyond which none of its tiles can reach into the inbox.
_REACH = timedelta(days=2)
_EARLIEST = datetime.min.replace(tzinfo=UTC)
# A mosaic with one of these outcomes needs nothing more, unless its night is asked for by name.
SETTLED = ("published", "rejected", "withdrawn")


@dataclass(frozen=True)
class Inbox:
    """The present inbox: all file names, and the headers of the files of tiles with open work."""

    listing: Listing
    committed: Sequence[CommittedGroup]
    in_scope: Sequence[Cluster]
    facts: Mapping[str, FileFacts]
    elsewhere: Sequence[str]
    """Names (times) of tiles with open work whose date `nights` does not name."""


def look(config: Config, now: datetime) -> Inbox:
    """List the inbox and read the headers of tiles with open work that are not in the cache.

    Raises
    ------
    InputError
        If the inbox is missing, unreadable or empty.
    """
    layout = config.layout
    listing = arrange(raw_copies.inbox_files(config), config.ingest)
    if not listing.clusters and not listing.quarantined:
        still_open = f" but {len(listing.open_files)} that the correlator has not closed" if listing.open_files else ""
        raise InputError(
            f"paths.incoming {layout.incoming} holds no subband files{still_open}: wait for some or correct the key"
        )
    oldest = min((cluster.name_time for cluster in listing.clusters), default=now)
    committed = committed_groups(config, since=max(oldest, _EARLIEST + _REACH) - _REACH)
    owner = owners(committed)
    near = [c for c in listing.clusters if _near(c, config)]
    in_scope = [c for c in near if has_open_work(c, owner, config)]
    cache = FactsCache(layout.cache / "headers")

    def open_files(clusters: Sequence[Cluster]) -> dict[str, FileFacts]:
        found = inspect(clusters, cache, config.ingest, now)
        compare_spares(clusters, found, cache)
        return found

    facts = open_files(in_scope)
    doubtful = [c for c in near if may_be_late(c, owner) and not has_open_work(c, owner, config)]
    if doubtful:  # a file is late if its tile can use it, which its name does not tell
        facts |= open_files(doubtful)
    if config.group.late == "reprocess":
        late = {item.group for item in make_tiles(listing, facts, committed, config, now).late}
        again = [c for c in near if held_by(c, owner, late) and c not in in_scope]
        facts |= open_files(again)
        in_scope += again
    cache.save()
    elsewhere = [c.key for c in listing.clusters if _is_elsewhere(c, config) and has_open_work(c, owner, config)]
    return Inbox(listing, committed, in_scope, facts, elsewhere)


def current_plan(config: Config, *, now: datetime | None = None) -> Plan:
    """Return the plan from the present state of inbox and stage.

    Raises
    ------
    InputError
        If the inbox is missing, unreadable or empty.
    """
    seen, now, ahead_s = look_now(config) if now is None else (look(config, now), now, 0.0)
    records = calibration_records(config, _in_reach(seen.in_scope, config))
    finder, tiles = calibrator_finder(config), dict[str, PlannedTile]()

    def calibrator_of(tile: PlannedTile) -> str | None:
        tiles[tile.id] = tile
        return finder(tile)

    unsteady = {one.name for one in calibrator_lists.load(config.calibration.calibrators) if is_unsteady(one)}
    without = strips_without(config)
    plan = make_plan(seen.listing, seen.facts, seen.committed, records, calibrator_of, config, now, unsteady, without)
    plan.notes = [note for one in plan.calibrations.values() if (note := note_on_strip(one, tiles, config))]
    plan.notes += raw_copies.loss_notes(seen.in_scope, plan, config, now)
    plan.waiting = [with_step(with_advice(one, tiles, config), ahead_s) for one in plan.waiting]
    # The last tiles of a group of a night asked for may be of the date after it.
    shown = {tile.name_time for tile in plan.tiles.values()} | {one.id for one in plan.waiting}
    plan.other_nights = dict(Counter(key[:10] for key in seen.elsewhere if key not in shown))
    plan.open_files = len(seen.listing.open_files)
    return plan


def look_now(config: Config) -> tuple[Inbox, datetime, float]:
    """Return the inbox, the time that deadlines are counted with, and how far this computer's clock is ahead of it [s].

    Raises
    ------
    InputError
        As `look`.
    """
    seen = look(config, datetime.now(UTC))
    return seen, *clock.time_of_plan(config.layout.cache, seen.facts, config.ingest)


def with_step(waiting: Waiting, ahead_s: float) -> Waiting:
    """Add to what waits for a deadline that the clock is ahead of the time that deadlines are counted with, if so."""
    if not ahead_s or waiting.code not in _WITH_DEADLINE:
        return waiting
    message = (
        f"{waiting.message}; this computer's clock was set ahead by {times.span_text(ahead_s)} and no file is of its"
        " time yet: until then the deadline is counted without that step"
    )
    return replace(waiting, message=message, ready=None)


def _in_reach(clusters: Iterable[Cluster], config: Config) -> set[str]:
    """Return the UTC dates of calibrations that may be within their validity at some clusters."""
    options = config.calibration
    reach_days = math.ceil(max(options.bandpass_validity_h / 24, options.gain_validity_min / 1440)) + 1
    days = {cluster.name_time.toordinal() for cluster in clusters}
    reach = range(-reach_days, reach_days + 1)
    all_days = {day + step for day in days for step in reach}
    last = date.max.toordinal()
    return {date.fromordinal(day).isoformat() for day in all_days if 1 <= day <= last}  # names may be of any year


def _is_elsewhere(cluster: Cluster, config: Config) -> bool:
    """Return True if `nights` names others than the date of a cluster."""
    return bool(config.nights) and cluster.key[:10] not in config.nights


def _near(cluster: Cluster, config: Config) -> bool:
    """Return True if a cluster is of a night asked for, or so near that its calibration may be used there."""
    if not config.nights:
        return True
    reach_days = config.calibration.bandpass_validity_h / 24 + 1
    moment = mjd_from_datetime(cluster.name_time)
    midnights = [mjd_from_datetime(naming.parse_id(f"{night}T00:00:00")) for night in config.nights]
    return any(midnight - reach_days <= moment <= midnight + 1 + reach_days for midnight in midnights)


def calibrator_finder(config: Config) -> Callable[[PlannedTile], str | None]:
    """Return a function that names the best calibrator transiting within the beam in a tile."""
    known = calibrator_lists.load(config.calibration.calibrators)
    strips: dict[int, tuple[Calibrator, ...]] = {}

    def of_strip(dec_deg: float) -> tuple[Calibrator, ...]:
        """Return the calibrators within some degrees of a declination: of the VLA's 1800 a few dozen."""
        whole = round(dec_deg)
        if whole not in strips:
            strips[whole] = tuple(one for one in known if abs(one.dec_deg - whole) <= _STRIP_DEG)
        return strips[whole]

    def find(tile: PlannedTile) -> str | None:
        catalogue = field_catalogue(config, tile.dec_app_deg)
        transits = find_transits(
            of_strip(tile.dec_app_deg), scan_of(tile), config.beam, config.calibration, catalogue=catalogue
        )
        return transits[0].name if transits else None

    return find


def field_catalogue(config: Config, dec_deg: float) -> Path | None:
    """Return the catalogue in which calibrators' fields are looked up; None where it is missing or slow to read."""
    if config.sky.catalogue is None:
        return None
    place = Path(config.sky.catalogue)
    strips = (
        [strip for strip in strips_of(place) if strip.min_deg <= dec_deg <= strip.max_deg] if place.is_dir() else []
    )
    chosen = catalogue_at(place, dec_deg) if strips else place
    return chosen if chosen.is_file() and (read_header(chosen) or chosen.stat().st_size < _LARGE_BYTES) else None


def committed_groups(config: Config, *, since: datetime | None = None) -> list[CommittedGroup]:
    """Read the groups whose membership is fixed, and which of them are settled.

    Parameters
    ----------
    config : Config
    since : datetime, optional
        Leave out groups that begin before and are settled, unless their night is asked for: they cost no reading.
    """
    standing, remembered = _Standing(config.layout.stage), SettledGroups(config.layout)
    groups = []
    first = None if since is None else naming.stem(naming.id_from_datetime(since))
    asked, unchanged = {night.replace("-", "") for night in config.nights}, remembered.unchanged()
    folder = config.layout.stage / "groups"
    for stem in sorted(name[:-5] for name in _listed(folder) if name.endswith(".json")):
        if first is not None and stem < first and stem in unchanged and stem[:8] not in asked:
            continue
        content = read_group(folder / f"{stem}.json")
        tiles = tuple(
            CommittedTile(t["id"], t["name_time"], tuple(t["files"]), standing.holds_any_of_tile(t["id"]))
            for t in content["tiles"]
        )
        settled, pruned = _outcome(config, content["id"], standing)
        remembered.note(stem, settled=settled)
        groups.append(CommittedGroup(content["id"], tiles, settled, pruned))
    if since is not None:
        remembered.save()
    return groups


def _listed(folder: Path) -> list[str]:
    """Return the names in a folder; none where it does not exist."""
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


class _Standing:
    """The products that exist on the stage; each folder is listed once, as a season has too many files to stat."""

    def __init__(self, stage: Path) -> None:
        self._stage = stage
        self._names: dict[str, frozenset[str]] = {}

    def holds_marker(self, kind: str, any_id: str) -> bool:
        """Return True if a marker or twin exists."""
        folder, _, name = naming.relative(kind, any_id).removesuffix(".ms").rpartition("/")
        return f"{name}.json" in self._list(folder)

    def holds_any_of_tile(self, tile_id: str) -> bool:
        """Return True if something was made from the files of a tile; twins stay when MSs are removed."""
        return any(self.holds_marker(kind, tile_id) for kind in ("image", "calibrated", "ms"))

    def holds_note_of_pruning(self, group_id: str) -> bool:
        """Return True if `contimg prune` removed products of a group."""
        return f"{naming.stem(group_id)}.json" in self._list("pruned")

    def _list(self, folder: str) -> frozenset[str]:
        if folder not in self._names:
            self._names[folder] = frozenset(_listed(self._stage / folder))
        return self._names[folder]


def _outcome(config: Config, group_id: str, standing: _Standing) -> tuple[bool, bool]:
    """Return whether a group is settled, and whether it was pruned since.

    Its published marker says that its mosaic has its final outcome. What it was made from may be gone from the stage.
    """
    if not standing.holds_marker("published", group_id):
        return False, False
    marker = read_marker(config.layout.twin("published", group_id))
    pruned = False
    if standing.holds_note_of_pruning(group_id):
        pruned = read_pruned(config.layout.pruned(group_id))["version"] == marker["version"]
    return marker["status"] in SETTLED, pruned


def calibration_records(config: Config, dates: Collection[str]) -> list[CalibrationRecord]:
    """Read the twins of the calibrations on the stage whose tiles are of some UTC dates.

    One that is damaged counts as not made yet; see `contimg.operations.damaged_twins`.
    """
    standing = certification.standing(config.layout)
    folder = config.layout.stage / "calibrations"
    records = []
    for place in sorted(path for day in dates for path in (folder / day).glob("cal_*.json")):
        try:
            twin = read_judged(place, options_of(config))
            check_facts(twin, place)
        except DamagedTwinError:
            continue
        facts = twin.facts
        reason = "; ".join(f"{r.code}: {r.message}" for r in twin.reasons) or "passed"
        decision = standing.get(twin.id)
        if decision is not None and decision["decision"] == "withdrawn":
            reason = f"withdrawn by {decision['by']}: {decision['reason']}"
        # A failed tile may lack its facts.
        certified = certification.is_certified(twin, decision, commissioning=config.qa.commissioning)
        records.append(
            CalibrationRecord(
                id=twin.id,
                type=facts["type"],
                tile=naming.iso(twin.id),
                mid_mjd=facts["mid_mjd"] if "mid_mjd" in facts or certified else _start_mjd(twin.id),
                dec_app_deg=facts["dec_app_deg"] if certified else facts.get("dec_app_deg", math.nan),
                certified=certified,
                reason=reason,
                calibrator=facts.get("calibrator"),
                bandpass=facts.get("bandpass"),
                setup=CorrelatorSetup.of_facts(facts),
            )
        )
    return records


def _start_mjd(calibration_id: str) -> float:
    """Return the start (UTC MJD) of the tile of a calibration, from its id."""
    return mjd_from_datetime(naming.parse_id(calibration_id))
