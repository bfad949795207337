"""Calibrations applied to a tile in one pass: corrected data, flags and weights, in a new Measurement Set.

Conventions, CASA's: ``V_observed = J_p conj(J_q) V_true`` with ``J = exp(2 pi i delay (f - f0)) B(f) G(t)``, f0 the
frequency of the delay table; corrected data are ``V / (J_p conj(J_q))``. Weights become the inverse
variances of each part of the corrected visibilities, in Jy^-2: ``(nsamples / nsamples of the calibration) 2 df dt
/ (SEFD_p SEFD_q)`` with the receptors' SEFDs that the bandpass calibration measured. CASA's ``calwt``,
``W |J_p|^2 |J_q|^2``, presumes that the noise does not know the gains; this correlator's products are not
normalised, so receiver noise and sky pass through the same gains. Delays and
bandpasses are those nearest in time; gains are interpolated in time, amplitude and phase separately,
between the two solutions that bracket an integration, and are the nearest one outside. A solution
that is flagged is not used; where none is left, the data are flagged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg import measurement_set
from contimg.calibration.caltables import FILES, Solutions
from contimg.calibration.jones import Correction, read_table
from contimg.config import CalibrationOptions
from contimg.measurement_set import Coordinates
from contimg.products.draft import TwinDraft
from contimg.products.twin import Reason, Twin
from contimg.storage.atomic import remove

_BLOCK_BYTES = 8 << 20  # of DATA; the products stay in the processor's cache


@dataclass(frozen=True)
class _Calibration:
    """The twin of a calibration and the folder of its tables."""

    twin: Twin
    folder: Path

    def table(self, kind: str, tile: Coordinates) -> Solutions | None:
        """Return its solutions of a kind, which must fit the tile, or None when it has none."""
        return read_table(self.folder / FILES[kind], kind, tile)


def apply_calibration(
    ms: Path,
    ms_twin: Path,
    output: Path,
    twin: Path,
    *,
    calibrations: Sequence[Path],
    choice: Mapping[str, Any],
    options: CalibrationOptions,
) -> Twin:
    """Apply calibrations to a tile.

    Parameters
    ----------
    ms, ms_twin : Path
        The tile; only read.
    output, twin : Path
        The calibrated Measurement Set and its twin.
    calibrations : sequence of Path
        Twins of the calibrations to apply together, their products beside them. The first gives K
        and B; the others, solved on top of it, give G, all of them interpolated in time. Alone, the
        first gives its own G too. Named again among the others, its G is one of theirs.
    choice : mapping
        How the plan chose them; recorded as it is.
    options : CalibrationOptions

    Returns
    -------
    Twin
        Kind ``calibrated``. A pair that must not be combined is 'failed', with an empty directory.

    Raises
    ------
    InputError
        If a twin or table is missing, damaged or does not fit the tile.
    """
    draft = TwinDraft("calibrated")
    tile = draft.use(ms_twin)
    draft.id = tile.id
    used = [_Calibration(draft.use(path), Path(path).with_suffix("")) for path in calibrations]
    reasons = _refusals(tile, used, options)
    draft.facts = dict(tile.facts) | _origin(used) | {"choice": dict(choice)}
    draft.notes += tile.notes
    with draft.product(output) as part:
        if reasons:
            part.mkdir()
        else:
            coordinates = measurement_set.read_coordinates(Path(ms))
            bandpass = used[0]
            delays, shape = (bandpass.table(kind, coordinates) for kind in "KB")
            gains = _gain_sets(used, coordinates)
            correction = Correction(coordinates, delays, shape, gains)
            coordinates.history.append(f"calibrated with {', '.join(c.twin.id for c in used)}")
            draft.qa = qa = _stream(
                Path(ms), part, coordinates, correction, _weight_factors(coordinates, bandpass.twin)
            )
            draft.notes += _notes(coordinates, used, gains)
            if qa["flagged_fraction"] == 1:
                reasons.append(
                    Reason(
                        code="no_data",
                        severity="failed",
                        message="no visibility is left once the flagged solutions are left out",
                        measured=1.0,
                    )
                )
                remove(part)
                part.mkdir()
    inherited = [reason for reason in tile.reasons if reason.severity == "warning"]
    inherited += [reason for c in used for reason in c.twin.reasons if reason.severity == "warning"]
    reasons += [reason for i, reason in enumerate(inherited) if reason not in inherited[:i]]
    draft.reasons = reasons
    return draft.write(
        twin,
        parameters={"calibrations": [c.twin.id for c in used], "calibration": options.model_dump()},
        libraries=("numpy", "python-casacore"),
    )


def _origin(used: Sequence[_Calibration]) -> dict[str, Any]:
    """Return what a calibrated tile says about where its calibration comes from."""
    if not used:
        return {"bandpass": None, "gains": None, "gain_sets": [], "flux_anchor": None, "calibrator": None}
    others = [c.twin.id for c in used[1:]] or [used[0].twin.id]
    first = used[0].twin.facts
    return {
        "bandpass": used[0].twin.id,
        "gains": others[0],
        "gain_sets": others,
        "flux_anchor": first.get("flux_anchor"),
        "calibrator": first.get("calibrator"),
    }


def _refusals(tile: Twin, used: Sequence[_Calibration], options: CalibrationOptions) -> list[Reason]:
    """Return why these calibrations must not be applied to this tile; empty when they may."""

    def refuse(code: str, message: str, measured: Any = None, threshold: Any = None) -> Reason:
        return Reason(code=code, severity="failed", message=message, measured=measured, threshold=threshold)

    if tile.verdict == "failed":
        return [refuse("tile_failed", f"tile {tile.id} is failed: {tile.reasons[0].message}")]
    if not used:
        return [refuse("no_calibration", f"the plan has no calibration for tile {tile.id}")]
    reasons = []
    for calibration in used:
        one = calibration.twin
        if one.verdict == "failed":
            why = one.reasons[0].message
            reasons.append(refuse("calibration_failed", f"calibration {one.id} is failed: {why}", one.verdict))
            continue
        for key, code, what in (
            ("applied_delays_sha256", "delays_disagree", "applied delays"),
            ("antenna_order_sha256", "antennas_disagree", "antenna order"),
            ("fs_table", "fringe_stopping_disagrees", "fringe-stopping tables"),
        ):
            if one.facts.get(key) != tile.facts.get(key):
                reasons.append(refuse(code, f"tile {tile.id} and calibration {one.id} have different {what}"))
        turn_deg = abs(one.facts["dec_app_deg"] - tile.facts["dec_app_deg"])
        if turn_deg > options.max_dec_difference_deg:
            reasons.append(
                refuse(
                    "declination_strip",
                    f"calibration {one.id} is from a strip {turn_deg:.2f} deg away",
                    round(turn_deg, 4),
                    options.max_dec_difference_deg,
                )
            )
        if calibration is used[0] and one.facts.get("type") != "bandpass":
            reasons.append(refuse("no_bandpass", f"calibration {one.id} comes first but holds gains only"))
        if calibration is not used[0]:
            base = one.id if one.facts.get("type") == "bandpass" else one.facts.get("bandpass")
            if base != used[0].twin.id:
                reasons.append(
                    refuse(
                        "gains_of_another_bandpass",
                        f"the gains of {one.id} were solved on bandpass {base}, not on {used[0].twin.id}",
                    )
                )
    return reasons


def _gain_sets(used: Sequence[_Calibration], tile: Coordinates) -> list[Solutions]:
    tables = [calibration.table("G", tile) for calibration in (used[1:] or used[:1])]
    return [table for table in tables if table is not None]


def _stream(
    ms: Path,
    part: Path,
    coordinates: Coordinates,
    correction: Correction,
    factors: NDArray[np.float32] | None,
) -> dict[str, Any]:
    """Write the corrected tile, some baselines of an integration at a time; return how much is flagged.

    Fractions are of what was received.
    """
    received = before = after = 0
    baselines = len(coordinates.uvw_m) // len(coordinates.times_mjd_s)
    whole = measurement_set.rows_of_tile(coordinates)
    count = max(1, _BLOCK_BYTES // (8 * coordinates.shape[1] * coordinates.shape[2] * whole)) * whole
    with measurement_set.create(part, coordinates) as writer:
        for rows, data, flag, weight in measurement_set.blocks(ms, count, every=baselines):
            known = None if weight.min() > 0 else weight > 0
            received += weight.size if known is None else int(np.count_nonzero(known))
            before += int(np.count_nonzero(flag if known is None else flag & known))
            correction.apply(data, flag, rows)
            after += int(np.count_nonzero(flag if known is None else flag & known))
            if factors is not None:
                weight *= factors[rows.start % baselines :][: len(weight), None, :]
            writer.put(rows.start, data, weight)
            writer.put_flags(rows.start, flag)
    fraction_before, fraction = (count / received if received else 1.0 for count in (before, after))
    return {
        "flagged_fraction": round(fraction, 6),
        "flagged_fraction_before": round(fraction_before, 6),
        "flagged_by_calibration": round(fraction - fraction_before, 6),
    }


def _weight_factors(vis: Coordinates, calibration: Twin) -> NDArray[np.float32] | None:
    """Return what turns weights into inverse variances (nbl, npol).

    Receptors of unknown noise count as the median one; None in noise-free simulations, which have nothing to weigh by.
    """
    sefd = np.full((len(vis.antenna_names), len(vis.polarisations)), np.nan)
    for i, name in enumerate(vis.antenna_names):
        measured = calibration.facts["sefd_jy"].get(name, [])
        sefd[i, : len(measured)] = [np.nan if value is None else value for value in measured]
    if not np.isfinite(sefd).any():
        return None
    sefd = np.where(np.isfinite(sefd), sefd, np.nanmedian(sefd))
    samples = 2 * vis.channel_width_hz * vis.integration_s / calibration.facts["nsamples"]
    baselines = slice(len(vis.uvw_m) // len(vis.times_mjd_s))
    return (samples / (sefd[vis.antenna1[baselines]] * sefd[vis.antenna2[baselines]])).astype(np.float32)


def _notes(vis: Coordinates, used: Sequence[_Calibration], gains: Sequence[Solutions]) -> list[str]:
    notes = []
    if not gains:
        notes.append(f"no gains: the delays and bandpass of {used[0].twin.id} alone are applied")
        return notes
    ends = [one.time_mjd_s[[0, -1]] for one in gains]
    first, last = min(end[0] for end in ends), max(end[1] for end in ends)
    middle = vis.times_mjd_s.mean()
    if not first <= middle <= last:
        away_min = max(first - middle, middle - last) / 60
        notes.append(f"gains of the nearest solution, {away_min:.1f} min away")
    return notes
