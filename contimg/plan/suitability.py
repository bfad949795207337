"""Which calibrations can serve a tile, why the others cannot, and which of them is nearest in time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from contimg.calibration.compatibility import seconds_later, time_apart
from contimg.config import CalibrationOptions
from contimg.correlator.setup import CorrelatorSetup, setup_differences, strips_apart_deg
from contimg.plan.model import CalibrationRecord, PlannedCalibration, PlannedTile


def refusal(tile: PlannedTile, candidate: PlannedCalibration, kind: str, options: CalibrationOptions) -> str | None:
    """Return why a tile cannot use a calibration as its bandpass or gains (`kind`), or None.

    A calibration solved on a calibrator has both; one solved on the catalogue sky has gains only.
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
    if abs(ahead_s(tile, candidate)) > reach_min * 60:
        return f"outside its validity of {reach_min:g} min, {apart(tile, candidate)}"
    if options.policy == "causal" and ahead_s(tile, candidate) > 0:
        return "in the future of the tile, and calibration.policy is causal"
    return None


def refusals(
    tile: PlannedTile, sets: Sequence[PlannedCalibration], kind: str, options: CalibrationOptions
) -> dict[str, str]:
    """Return the reasons against the calibrations that a tile cannot use as bandpass or gains, by id.

    Bandpasses on an unsteady calibrator are refused where one on another calibrator can be used.
    """
    reasons = {c.id: reason for c in sets if (reason := refusal(tile, c, kind, options)) is not None}
    if kind == "bandpass":
        steady = nearest_usable(tile, [c for c in sets if not c.unsteady], reasons)
        if steady is not None:
            preferred = f"{steady.id} on {steady.calibrator} is preferred"
            for candidate in sets:
                if candidate.unsteady:
                    reasons.setdefault(candidate.id, f"its calibrator {candidate.calibrator} varies: {preferred}")
    if kind == "gains":
        useless = refusals(tile, sets, "bandpass", options)
        usable = {c.id for c in sets} - set(useless)
        for candidate in sets:
            if bandpass_of(candidate) not in usable:
                reasons.setdefault(candidate.id, f"its bandpass {bandpass_of(candidate)} does not serve this tile")
    return reasons


def nearest_usable(
    tile: PlannedTile, sets: Iterable[PlannedCalibration], refused: Mapping[str, str]
) -> PlannedCalibration | None:
    """Return the nearest calibration that is not refused; of equally near ones the earlier, then the lower id."""
    admissible = [c for c in sets if c.id not in refused]
    return min(admissible, key=lambda c: (abs(ahead_s(tile, c)), ahead_s(tile, c), c.id), default=None)


def bandpass_refusal(facts: Mapping[str, Any], record: CalibrationRecord, options: CalibrationOptions) -> str | None:
    """Return why a solved calibration cannot be the bandpass of a tile, or None; for `contimg why`.

    Parameters
    ----------
    facts : mapping
        Facts of a calibration solved on the tile.
    record : CalibrationRecord
    options : CalibrationOptions
    """
    tile = PlannedTile(
        facts["tile"], facts["tile"], (), (), (), (), facts["start_mjd"], facts["end_mjd"], 0.0, facts["dec_app_deg"],
        0.0, 0.0, False, CorrelatorSetup.of_facts(facts),
    )  # fmt: skip
    return refusal(tile, from_record(record), "bandpass", options) if record.certified else record.reason


def bandpass_of(gains: PlannedCalibration) -> str | None:
    """Return the id of the bandpass that gains were solved on top of."""
    return gains.id if gains.type == "bandpass" else gains.bandpass


def ahead_s(tile: PlannedTile, candidate: PlannedCalibration) -> int:
    """Return how much later than the tile a calibration is, in whole seconds: rounding of MJDs must decide nothing."""
    return seconds_later(candidate.mid_mjd, tile.mid_mjd)


def apart(tile: PlannedTile, candidate: PlannedCalibration) -> str:
    """Return the time between a tile and a calibration in words."""
    if candidate.tile == tile.id:
        return "the same tile"
    return time_apart(candidate.mid_mjd, tile.mid_mjd)


def from_record(record: CalibrationRecord) -> PlannedCalibration:
    """Return a solved calibration as a candidate."""
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
