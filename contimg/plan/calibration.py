"""Which calibration a tile uses: nearest in time, for a stated reason.

Candidates are the certified sets on disk and the sets that this plan will solve. The nearest gains are chosen
first; they bring the bandpass that they were solved on. Without gains in reach it is the nearest bandpass alone.
Gains are changes on top of one bandpass, so that only gains on the *same* bandpass can be interpolated: where such a
set lies on the other side of the tile, the nearest of them is the partner of the chosen one.
Written rule for a tie: of two candidates equally near in time the earlier one, then the lower id.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Generic, TypeVar

from contimg import naming
from contimg.calibration.compatibility import seconds_later, time_apart
from contimg.config import CalibrationOptions, Config
from contimg.correlator.setup import CorrelatorSetup, setup_differences, strips_apart_deg
from contimg.plan.model import CalibrationRecord, Choice, Group, Plan, PlannedCalibration, PlannedTile, Waiting
from contimg.times import mjd_from_datetime

Set = TypeVar("Set", CalibrationRecord, PlannedCalibration)


def add_calibrations(
    plan: Plan,
    records: Sequence[CalibrationRecord],
    calibrators: Mapping[str, str],
    config: Config,
    patience: Patience,
) -> None:
    """Choose the calibrations of every tile of every group, and plan those that have to be solved.

    Parameters
    ----------
    plan : Plan
        Gets ``calibrations`` and ``choices``; a group without a bandpass moves to ``waiting``.
    records : sequence of CalibrationRecord
        Sets solved before, certified or not.
    calibrators : mapping of tile id to calibrator name
        The ready tiles in which a calibrator transits within the beam.
    config : Config
    patience : Patience
        Which groups may go on without a tile that has no bandpass.
    """
    options = config.calibration
    bad = [record for record in records if not record.certified]
    rejected = {record.id: record.reason for record in bad}
    sets = {r.id: _from_record(r) for r in records if r.certified}
    for tile_id, name in sorted(calibrators.items()):
        planned = _bandpass(plan.tiles[tile_id], name)
        if planned.id not in rejected:
            sets.setdefault(planned.id, planned)
    tiles = {t: plan.tiles[t] for group in plan.groups.values() for t in group.tiles}
    _plan_gains(plan, tiles, sets, rejected, config)
    known, unusable = _Timeline(sets.values(), options), _Timeline(bad, options)
    for group in list(plan.groups.values()):
        choices = {t: _choose(tiles[t], known.near(tiles[t]), unusable.near(tiles[t]), options) for t in group.tiles}
        chosen = {t: choice for t, choice in choices.items() if choice is not None}
        lacking = [tiles[t] for t in group.tiles if t not in chosen]
        if lacking:
            del plan.groups[group.id]
        said = {t.id: _without_bandpass(t, known.near(t), unusable.near(t), options) for t in lacking}
        rest = tuple(t for t in group.tiles if t in chosen)
        if not lacking:
            plan.choices.update(chosen)
        elif rest and _may_stand(rest, plan, config) and patience.is_over(group, lacking, options):
            plan.groups[rest[0]] = Group(rest[0], rest)
            plan.choices.update(chosen)
            plan.waiting += [Waiting(t, "tile", "no_bandpass", message, t) for t, message in said.items()]
        else:
            message = said[lacking[0].id]
            plan.waiting.append(Waiting(group.mosaic_id, "group", "no_bandpass", message, group.id))
    plan.groups = dict(sorted(plan.groups.items()))
    _keep_used(plan, sets, [record for record in records if record.certified], options)


def _may_stand(tiles: Sequence[str], plan: Plan, config: Config) -> bool:
    """Tell whether the rest of a group can be a group of its own: large enough, with an id that no other has."""
    return len(tiles) >= config.group.min_tiles and tiles[0] not in plan.groups


@dataclass(frozen=True)
class Patience:
    """Which groups go on without a tile that has no bandpass: those not committed, once none can come any more."""

    committed: Collection[str]
    now: datetime

    def is_over(self, group: Group, lacking: Sequence[PlannedTile], options: CalibrationOptions) -> bool:
        """Tell whether a group need not wait for the bandpass of some of its tiles."""
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
    refused = [(c, _refusal(tile, c, "bandpass", options) or "") for c in sets if c.type == "bandpass"]
    refused += [
        (_from_record(record), f"not certified ({record.reason})") for record in bad if record.type == "bandpass"
    ]
    message = f"no certified or planned bandpass within {options.bandpass_validity_h:g} h of {where}"
    if refused:
        nearest, why = min(refused, key=lambda one: (abs(_ahead_s(tile, one[0])), one[0].id))
        message += f" serves it; the nearest, {nearest.id}: {why}"
        message += f" ({len(refused) - 1} more: contimg calibration list)" if len(refused) > 1 else ""
    return message


class _Timeline(Generic[Set]):
    """Sets in order of time: a tile has candidates within the longest validity, however many there are in all."""

    def __init__(self, sets: Iterable[Set], options: CalibrationOptions) -> None:
        self._sets: list[Set] = sorted(sets, key=lambda c: (c.mid_mjd, c.id))
        self._times: list[float] = [c.mid_mjd for c in self._sets]
        reach_s = max(options.bandpass_validity_h * 3600, options.gain_validity_min * 60)
        self._reach_days = (reach_s + 1) / 86400  # a second more, as times are compared in whole seconds

    def near(self, tile: PlannedTile) -> list[Set]:
        """Return the sets within reach of a tile."""
        first = bisect_left(self._times, tile.mid_mjd - self._reach_days)
        return self._sets[first : bisect_right(self._times, tile.mid_mjd + self._reach_days)]


def _from_record(record: CalibrationRecord) -> PlannedCalibration:
    return PlannedCalibration(
        record.id,
        record.type,
        record.tile,
        record.mid_mjd,
        record.dec_app_deg,
        record.calibrator,
        record.bandpass,
        record.setup,
    )


def _bandpass(tile: PlannedTile, calibrator: str) -> PlannedCalibration:
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
        middle = members[(len(members) - 1) // 2]
        new_id = naming.calibration_id(middle.id)
        bandpass = _serving(middle, known.near(middle), "bandpass", options)
        # Gains whose bandpass failed or was withdrawn since are solved again, on another.
        solved = new_id in sets and sets[new_id].bandpass not in rejected
        if bandpass is not None and new_id not in rejected and not solved:
            sets[new_id] = PlannedCalibration(
                new_id, "gains", middle.id, middle.mid_mjd, middle.dec_app_deg, None, bandpass.id, middle.setup
            )


def _serving(
    tile: PlannedTile, sets: Sequence[PlannedCalibration], kind: str, options: CalibrationOptions
) -> PlannedCalibration | None:
    """Return the nearest set that can serve a tile for one table type, if there is one."""
    return _nearest(tile, sets, _refusals(tile, sets, kind, options))


def _choose(
    tile: PlannedTile,
    sets: Sequence[PlannedCalibration],
    bad: Sequence[CalibrationRecord],
    options: CalibrationOptions,
) -> Choice | None:
    """Choose for one tile: the gains first, as they bring the bandpass that they were solved on."""
    refused = {kind: _refusals(tile, sets, kind, options) for kind in ("bandpass", "gains")}
    gains = _nearest(tile, sets, refused["gains"])
    partner = None
    if gains is not None:
        bandpass = next(c for c in sets if c.id == _bandpass_of(gains))
        partner = _nearest(tile, _across(tile, sets, gains), refused["gains"])
        why = [f"bandpass {bandpass.id}: the one its gains were solved on, {_apart(tile, bandpass)}"]
        why.append(f"gains {gains.id}: nearest of its strip, {_apart(tile, gains)}")
    else:
        nearest = _nearest(tile, sets, refused["bandpass"])
        if nearest is None:
            return None
        bandpass = nearest
        why = [f"bandpass {bandpass.id}: nearest of its strip, {_apart(tile, bandpass)}"]
        why.append(f"no gains within {options.gain_validity_min:g} min: bandpass only")
    if partner is not None:
        why.append(f"gains {partner.id}: on the same bandpass, {_apart(tile, partner)}: interpolated between the two")
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
    """Return the sets on the other side of a tile whose gains rest on the same bandpass as the chosen ones."""
    side = _ahead_s(tile, gains)
    return [c for c in sets if _ahead_s(tile, c) * side < 0 and _bandpass_of(c) == _bandpass_of(gains)]


def _second(tile: PlannedTile, candidate: PlannedCalibration, bandpass: PlannedCalibration | None) -> str:
    """Return why a set that could serve was not taken; `bandpass` is the one that gains must rest on."""
    reason = f"not the nearest, {_apart(tile, candidate)}"
    if bandpass is not None and _bandpass_of(candidate) != bandpass.id:
        reason += f"; on bandpass {_bandpass_of(candidate)}, so not to be interpolated with"
    return reason


def _bandpass_of(gains: PlannedCalibration) -> str | None:
    return gains.id if gains.type == "bandpass" else gains.bandpass


def _refusals(
    tile: PlannedTile, sets: Sequence[PlannedCalibration], kind: str, options: CalibrationOptions
) -> dict[str, str]:
    """Return the sets that cannot serve a tile for one table type, with the reason."""
    reasons = {c.id: reason for c in sets if (reason := _refusal(tile, c, kind, options)) is not None}
    if kind == "gains":
        useless = _refusals(tile, sets, "bandpass", options)
        usable = {c.id for c in sets} - set(useless)
        for candidate in sets:
            if _bandpass_of(candidate) not in usable:
                reasons.setdefault(candidate.id, f"its bandpass {_bandpass_of(candidate)} does not serve this tile")
    return reasons


def _nearest(
    tile: PlannedTile, sets: Iterable[PlannedCalibration], refused: Mapping[str, str]
) -> PlannedCalibration | None:
    """Return the nearest set that is not refused; ties go to the earlier one, then the lower id."""
    admissible = [c for c in sets if c.id not in refused]
    return min(admissible, key=lambda c: (abs(_ahead_s(tile, c)), _ahead_s(tile, c), c.id), default=None)


def _refusal(tile: PlannedTile, candidate: PlannedCalibration, kind: str, options: CalibrationOptions) -> str | None:
    """Return why a set cannot serve a tile for one table type, or None.

    A set solved on a calibrator serves for both types; a gains-only set for gains.
    """
    if kind == "bandpass" and candidate.type != "bandpass":
        return "holds gains only"
    apart_deg = strips_apart_deg(candidate.dec_app_deg, tile.dec_app_deg, options.max_dec_difference_deg)
    if apart_deg is not None:
        return f"another declination strip, {apart_deg:.2f} deg away"
    differing = setup_differences(tile.setup, candidate.setup)
    if differing:
        return f"correlated with another {' and '.join(differing.values())} than the tile"
    reach_min = options.bandpass_validity_h * 60 if kind == "bandpass" else options.gain_validity_min
    if abs(_ahead_s(tile, candidate)) > reach_min * 60:
        return f"outside its validity of {reach_min:g} min, {_apart(tile, candidate)}"
    if options.policy == "causal" and _ahead_s(tile, candidate) > 0:
        return "in the future of the tile, and calibration.policy is causal"
    return None


def bandpass_refusal(facts: Mapping[str, Any], record: CalibrationRecord, options: CalibrationOptions) -> str | None:
    """Return why a solved set cannot be the bandpass of a tile (the facts of its twin), or None; for `contimg why`."""
    tile = PlannedTile(
        facts["tile"], facts["tile"], (), (), (), (), facts["start_mjd"], facts["end_mjd"], 0.0, facts["dec_app_deg"],
        0.0, 0.0, False, CorrelatorSetup.of_facts(facts),
    )  # fmt: skip
    return _refusal(tile, _from_record(record), "bandpass", options) if record.certified else record.reason


def _ahead_s(tile: PlannedTile, candidate: PlannedCalibration) -> int:
    """Return how much later than the tile a set is: whole seconds, so that rounding of MJDs decides nothing."""
    return seconds_later(candidate.mid_mjd, tile.mid_mjd)


def _apart(tile: PlannedTile, candidate: PlannedCalibration) -> str:
    if candidate.tile == tile.id:
        return "the same tile"
    return time_apart(candidate.mid_mjd, tile.mid_mjd)


def _keep_used(
    plan: Plan,
    sets: Mapping[str, PlannedCalibration],
    certified: Sequence[CalibrationRecord],
    options: CalibrationOptions,
) -> None:
    used = {c for choice in plan.choices.values() for c in choice.calibrations}
    used |= {base for c in used if (base := sets[c].bandpass) is not None and base in sets}
    plan.calibrations = {c: replace(sets[c], previous=_previous(sets[c], certified, options)) for c in sorted(used)}


def _previous(
    planned: PlannedCalibration, certified: Sequence[CalibrationRecord], options: CalibrationOptions
) -> str | None:
    """Return the latest certified bandpass before a set, of its strip and setup, that it can be compared with."""
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
