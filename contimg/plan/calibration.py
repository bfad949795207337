"""The choice of calibrations for each tile: nearest in time, with the reason.

Candidates are the certified calibrations on disk and those that this plan will solve. The gains nearest in time are
chosen first, with the bandpass that they were solved on. Where no gains are within their validity, the nearest bandpass
is applied without gains.

Gains are corrections on top of one bandpass, so that only gains on the *same* bandpass can be interpolated in time:
where there are such gains on the other side of the tile in time, the nearest of them is the partner of the chosen ones.
Of two candidates equally near in time the earlier one is taken, then the one with the lower id.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Generic, TypeVar

from contimg import naming
from contimg.config import CalibrationOptions, Config
from contimg.correlator.setup import setup_differences, strips_apart_deg
from contimg.plan.model import CalibrationRecord, Choice, Group, Plan, PlannedCalibration, PlannedTile, Waiting
from contimg.plan.suitability import ahead_s, apart, bandpass_of, from_record, nearest_usable, refusal, refusals
from contimg.times import mjd_from_datetime

Set = TypeVar("Set", CalibrationRecord, PlannedCalibration)


def add_calibrations(
    plan: Plan,
    records: Sequence[CalibrationRecord],
    calibrators: Calibrators,
    config: Config,
    patience: Patience,
) -> None:
    """Choose the calibrations of every tile of every group, and plan those that have to be solved.

    Parameters
    ----------
    plan : Plan
        Gets ``calibrations`` and ``choices``; a group without a bandpass moves to ``waiting``.
    records : sequence of CalibrationRecord
        Calibrations solved before, certified or not.
    calibrators : Calibrators
    config : Config
    patience : Patience
        Which groups may go on without a tile that has no bandpass.
    """
    options, unsteady = config.calibration, calibrators.unsteady
    bad = [record for record in records if not record.certified]
    rejected = {record.id: record.reason for record in bad}
    sets = {r.id: replace(from_record(r), unsteady=r.calibrator in unsteady) for r in records if r.certified}
    for tile_id, name in sorted(calibrators.by_tile.items()):
        planned = replace(_bandpass(plan.tiles[tile_id], name), unsteady=name in unsteady)
        if planned.id not in rejected:
            sets.setdefault(planned.id, planned)
    tiles = {t: plan.tiles[t] for group in plan.groups.values() for t in group.tiles}
    members = [[tiles[t] for t in group.tiles] for group in plan.groups.values()]
    _plan_field_bandpasses(members, sets, rejected, calibrators, options)
    _plan_gains(plan, tiles, sets, rejected, config)
    known, unusable = _Timeline(sets.values(), options), _Timeline(bad, options)
    for group in list(plan.groups.values()):
        choices = {t: _choose(tiles[t], known.near(tiles[t]), unusable.near(tiles[t]), options) for t in group.tiles}
        chosen = {t: choice for t, choice in choices.items() if choice is not None}
        lacking = [tiles[t] for t in group.tiles if t not in chosen]
        if lacking:
            del plan.groups[group.id]
        messages = {t.id: _without_bandpass(t, known.near(t), unusable.near(t), options) for t in lacking}
        rest = tuple(t for t in group.tiles if t in chosen)
        if not lacking:
            plan.choices.update(chosen)
        elif rest and _may_stand(rest, plan, config) and patience.is_over(group, lacking, options):
            plan.groups[rest[0]] = Group(rest[0], rest)
            plan.choices.update(chosen)
            plan.waiting += [Waiting(t, "tile", "no_bandpass", message, t) for t, message in messages.items()]
        else:
            message = messages[lacking[0].id]
            plan.waiting.append(Waiting(group.mosaic_id, "group", "no_bandpass", message, group.id))
    plan.groups = dict(sorted(plan.groups.items()))
    _keep_used(plan, sets, [record for record in records if record.certified], options)


def _may_stand(tiles: Sequence[str], plan: Plan, config: Config) -> bool:
    """Return True if the rest of a group can be a group: it is large enough, and no other group has its id."""
    return len(tiles) >= config.group.min_tiles and tiles[0] not in plan.groups


@dataclass(frozen=True)
class Calibrators:
    """What the list of calibrators has for the tiles of a plan.

    Attributes
    ----------
    by_tile : mapping of str to str
        By ready tile in which one transits within the beam: the best one's name.
    unsteady : collection of str
        Names of calibrators that are used only where no other is in reach.
    without : collection of str
        Ready tiles of strips that no calibrator ever crosses, where the bandpass is solved on the catalogue's sky.
    """

    by_tile: Mapping[str, str]
    unsteady: Collection[str] = ()
    without: Collection[str] = ()


@dataclass(frozen=True)
class Patience:
    """Decides which groups go on without a tile that has no bandpass.

    Those that are not committed, once the time in which a bandpass for the tile can be observed is over.

    Attributes
    ----------
    committed : collection of str
        Ids of the groups whose membership is fixed.
    now : datetime
    """

    committed: Collection[str]
    now: datetime

    def is_over(self, group: Group, lacking: Sequence[PlannedTile], options: CalibrationOptions) -> bool:
        """Return True if a group need not wait for a bandpass of the tiles that lack one."""
        reach_days = 0 if options.policy == "causal" else options.bandpass_validity_h / 24
        last = max(tile.end_mjd for tile in lacking) + reach_days
        return group.id not in self.committed and mjd_from_datetime(self.now) > last


def _without_bandpass(
    tile: PlannedTile,
    sets: Sequence[PlannedCalibration],
    bad: Sequence[CalibrationRecord],
    options: CalibrationOptions,
) -> str:
    """Return why a tile has no bandpass: what is nearest in time, and what stands against it."""
    where = f"{tile.id} at declination {tile.dec_app_deg:.2f} deg"
    refused = [(c, refusal(tile, c, "bandpass", options) or "") for c in sets if c.type == "bandpass"]
    refused += [
        (from_record(record), f"not certified ({record.reason})") for record in bad if record.type == "bandpass"
    ]
    message = f"no certified or planned bandpass within {options.bandpass_validity_h:g} h of {where}"
    if refused:
        nearest, why = min(refused, key=lambda one: (abs(ahead_s(tile, one[0])), one[0].id))
        message += f" serves it; the nearest, {nearest.id}: {why}"
        message += f" ({len(refused) - 1} more: contimg calibration list)" if len(refused) > 1 else ""
    return message


class _Timeline(Generic[Set]):
    """Calibrations in order of time, searched by bisection for those within the longest validity of a tile."""

    def __init__(self, sets: Iterable[Set], options: CalibrationOptions) -> None:
        self._sets: list[Set] = sorted(sets, key=lambda c: (c.mid_mjd, c.id))
        self._times: list[float] = [c.mid_mjd for c in self._sets]
        reach_s = max(options.bandpass_validity_h * 3600, options.gain_validity_min * 60)
        self._reach_days = (reach_s + 1) / 86400  # one second more, as times are compared in whole seconds

    def near(self, tile: PlannedTile) -> list[Set]:
        """Return the calibrations within the longest validity of a tile."""
        first = bisect_left(self._times, tile.mid_mjd - self._reach_days)
        return self._sets[first : bisect_right(self._times, tile.mid_mjd + self._reach_days)]


def _bandpass(tile: PlannedTile, calibrator: str | None) -> PlannedCalibration:
    """Return the bandpass calibration to be solved in a tile: on a calibrator's transit, or on the catalogue's sky."""
    return PlannedCalibration(
        naming.calibration_id(tile.id),
        "bandpass",
        tile.id,
        tile.mid_mjd,
        tile.dec_app_deg,
        calibrator,
        None,
        tile.setup,
    )


def _plan_field_bandpasses(
    groups: Iterable[Sequence[PlannedTile]],
    sets: dict[str, PlannedCalibration],
    rejected: Mapping[str, str],
    calibrators: Calibrators,
    options: CalibrationOptions,
) -> None:
    """Plan a bandpass on the catalogue's sky for each group that no other reaches, in strips without any calibrator.

    It is solved on the group's middle tile, or the nearest to it on which it has not failed.
    """
    for members in groups:
        if any(tile.id not in calibrators.without for tile in members):
            continue
        known = _Timeline(sets.values(), options)
        if all(_serving(t, known.near(t), "bandpass", options) is not None for t in members):
            continue
        middle = (len(members) - 1) // 2
        free = [i for i, tile in enumerate(members) if naming.calibration_id(tile.id) not in {*rejected, *sets}]
        chosen = min(free, key=lambda i: (abs(i - middle), i), default=None)
        if chosen is not None:
            planned = _bandpass(members[chosen], None)
            sets[planned.id] = planned


def _plan_gains(
    plan: Plan,
    tiles: Mapping[str, PlannedTile],
    sets: dict[str, PlannedCalibration],
    rejected: Mapping[str, str],
    config: Config,
) -> None:
    """Plan gains on the middle tile of each group that has a tile out of reach of every other gain set."""
    if config.sky.catalogue is None:
        return
    options = config.calibration
    known = _Timeline(sets.values(), options)
    for group in plan.groups.values():
        members = [tiles[t] for t in group.tiles]
        if all(_serving(t, known.near(t), "gains", options) is not None for t in members):
            continue
        middle = _tile_for_gains(members, sets)
        new_id = naming.calibration_id(middle.id)
        bandpass = _serving(middle, known.near(middle), "bandpass", options)
        # Gains whose bandpass failed, was withdrawn or is not preferred any more are solved again, on another.
        refused = refusals(middle, known.near(middle), "bandpass", options)
        solved = new_id in sets and sets[new_id].bandpass not in {*rejected, *refused}
        if bandpass is not None and new_id not in rejected and not solved:
            sets[new_id] = PlannedCalibration(
                new_id, "gains", middle.id, middle.mid_mjd, middle.dec_app_deg, None, bandpass.id, middle.setup
            )


def _tile_for_gains(members: Sequence[PlannedTile], sets: Mapping[str, PlannedCalibration]) -> PlannedTile:
    """Return the tile of a group that gains are solved on: the middle one.

    If an unsteady calibrator transits there, the set with that id is the one on it: then it is the nearest other tile.
    """
    middle = (len(members) - 1) // 2
    free = [i for i, tile in enumerate(members) if not _is_unsteady(sets.get(naming.calibration_id(tile.id)))]
    return members[min(free, key=lambda i: (abs(i - middle), i), default=middle)]


def _is_unsteady(planned: PlannedCalibration | None) -> bool:
    """Return True for a set that is solved on an unsteady calibrator."""
    return planned is not None and planned.unsteady


def _serving(
    tile: PlannedTile, sets: Sequence[PlannedCalibration], kind: str, options: CalibrationOptions
) -> PlannedCalibration | None:
    """Return the nearest calibration that a tile can use as its bandpass or gains (`kind`), or None."""
    return nearest_usable(tile, sets, refusals(tile, sets, kind, options))


def _choose(
    tile: PlannedTile,
    sets: Sequence[PlannedCalibration],
    bad: Sequence[CalibrationRecord],
    options: CalibrationOptions,
) -> Choice | None:
    """Return the choice for one tile, or None without a bandpass; gains come first, with the bandpass below them."""
    refused = {kind: refusals(tile, sets, kind, options) for kind in ("bandpass", "gains")}
    gains = nearest_usable(tile, sets, refused["gains"])
    partner = None
    if gains is not None:
        bandpass = next(c for c in sets if c.id == bandpass_of(gains))
        partner = nearest_usable(tile, _across(tile, sets, gains), refused["gains"])
        why = [f"bandpass {bandpass.id}: the one its gains were solved on, {apart(tile, bandpass)}"]
        why.append(f"gains {gains.id}: nearest of its strip, {apart(tile, gains)}")
    else:
        nearest = nearest_usable(tile, sets, refused["bandpass"])
        if nearest is None:
            return None
        bandpass = nearest
        why = [f"bandpass {bandpass.id}: nearest of its strip, {apart(tile, bandpass)}"]
        why.append(f"no gains within {options.gain_validity_min:g} min: bandpass only")
    if partner is not None:
        why.append(f"gains {partner.id}: on the same bandpass, {apart(tile, partner)}: interpolated between the two")
    turned_down = [(record.id, "any", record.reason) for record in sorted(bad, key=lambda r: r.id)]
    for kind, chosen in (("bandpass", (bandpass,)), ("gains", (gains, partner))):
        for candidate in sorted(sets, key=lambda c: c.id):
            if candidate not in chosen:
                reason = refused[kind].get(candidate.id) or _second(
                    tile, candidate, bandpass if kind == "gains" else None
                )
                turned_down.append((candidate.id, kind, reason))
    return Choice(
        bandpass.id, gains.id if gains else None, tuple(why), tuple(turned_down), partner.id if partner else None
    )


def _across(
    tile: PlannedTile, sets: Iterable[PlannedCalibration], gains: PlannedCalibration
) -> list[PlannedCalibration]:
    """Return the calibrations on the other side of a tile in time with gains on the bandpass of the chosen ones."""
    side = ahead_s(tile, gains)
    return [c for c in sets if ahead_s(tile, c) * side < 0 and bandpass_of(c) == bandpass_of(gains)]


def _second(tile: PlannedTile, candidate: PlannedCalibration, bandpass: PlannedCalibration | None) -> str:
    """Return why a usable calibration was not chosen; `bandpass` is the one that gains must be on top of."""
    reason = f"not the nearest, {apart(tile, candidate)}"
    if bandpass is not None and bandpass_of(candidate) != bandpass.id:
        reason += f"; on bandpass {bandpass_of(candidate)}, so not to be interpolated with"
    return reason


def _keep_used(
    plan: Plan,
    sets: Mapping[str, PlannedCalibration],
    certified: Sequence[CalibrationRecord],
    options: CalibrationOptions,
) -> None:
    """Put the calibrations that tiles use, and the bandpasses below them, into the plan."""
    used = {c for choice in plan.choices.values() for c in choice.calibrations}
    used |= {base for c in used if (base := sets[c].bandpass) is not None and base in sets}
    plan.calibrations = {c: replace(sets[c], previous=_previous(sets[c], certified, options)) for c in sorted(used)}


def _previous(
    planned: PlannedCalibration, certified: Sequence[CalibrationRecord], options: CalibrationOptions
) -> str | None:
    """Return the latest certified bandpass before a bandpass, of its strip and setup, which it is compared with."""
    if planned.type != "bandpass":
        return None
    before = [
        r
        for r in certified
        if r.type == "bandpass"
        and r.mid_mjd < planned.mid_mjd
        and strips_apart_deg(r.dec_app_deg, planned.dec_app_deg, options.max_dec_difference_deg) is None
        and not setup_differences(r.setup, planned.setup)
    ]
    return max(before, key=lambda r: (r.mid_mjd, r.id)).id if before else None
