"""The rule apply_calibration: corrected data, flags and weights of a tile in a new Measurement Set, in one pass.

Conventions, CASA's: ``V_observed = J_p conj(J_q) V_true`` with ``J = exp(2 pi i delay (f - f0)) B(f) G(t)``, f0 the
frequency of the delay table; corrected data are ``V / (J_p conj(J_q))``. Weights become the inverse
variances of each part of the corrected visibilities, in Jy^-2: ``(nsamples / nsamples of the calibration) 2 df dt
/ (SEFD_p SEFD_q)`` with the receptors' SEFDs that the bandpass calibration measured. CASA's ``calwt``,
``W |J_p|^2 |J_q|^2``, assumes that the noise is independent of the gains; this correlator's products are not
normalised, so that receiver noise and sky pass through the same gains. Delays and bandpasses are those nearest in
time; gains are interpolated in time, amplitude and phase separately, between the two solutions that bracket an
integration, and are the nearest solution outside. Flagged solutions are not used; where none is left, the data are
flagged.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg import measurement_set
from contimg.calibration.calibration_set import CalibrationSet
from contimg.calibration.caltables import Solutions
from contimg.calibration.compatibility import dec_difference_deg, seconds_later, setup_differences, time_apart
from contimg.calibration.jones import Correction
from contimg.config import CalibrationOptions
from contimg.config.used_keys import used_options
from contimg.measurement_set import Coordinates
from contimg.products.draft import TwinDraft
from contimg.products.facts import is_converted
from contimg.products.twin import Reason, Twin
from contimg.storage.atomic import remove

_LOG = logging.getLogger(__name__)

_BLOCK_BYTES = 8 << 20  # of DATA; the products stay in the processor's cache


def apply_calibration(  # one parameter for each input, output and parameter of the rule
    ms: Path,
    ms_twin: Path,
    output: Path,
    twin: Path,
    *,
    calibrations: Sequence[Path],
    choice: Mapping[str, Any],
    options: CalibrationOptions,
    commissioning: bool = False,
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
        and B; the others, solved on top of it, give G, all of them interpolated in time. Where the first is the only
        one, or named again among the others, its own G is applied too, unless `choice` says that there are no gains.
    choice : mapping
        How the plan chose them (`contimg.plan.model.Choice` as JSON), recorded as it is. Where its ``gains`` are None,
        no gains are within their validity, and delays and bandpass alone are applied.
    options : CalibrationOptions
    commissioning : bool
        ``qa.commissioning``: failed tiles and calibrations are used where they have data and tables.

    Returns
    -------
    Twin
        Kind ``calibrated``. A pair that must not be combined is 'failed', with an empty directory.

    Raises
    ------
    InputError
        If a twin or a table of these calibrations is missing, damaged, not the one that was judged, or does not fit
        the tile.
    """
    draft = TwinDraft("calibrated")
    tile = draft.use(ms_twin)
    draft.id = tile.id
    used = [CalibrationSet.beside(draft.use(path), path) for path in calibrations]
    draft.facts = dict(tile.facts) | _origin(used, choice) | {"choice": dict(choice)}
    draft.notes += tile.notes
    draft.reasons += _refusals(tile, used, options, commissioning=commissioning)
    with draft.product(output) as part:
        if draft.failed:
            part.mkdir()
        else:
            _apply(Path(ms), part, draft, used)
    sources = [tile, *(one.twin for one in used)]
    _inherit_warnings(draft, sources)
    draft.notes += _failures_overruled(draft, sources)
    parameters = {
        "calibrations": [one.twin.id for one in used],
        "calibration": used_options("apply_calibration", "calibration", options),
    }
    return draft.write(twin, parameters=parameters, libraries=("numpy", "python-casacore"))


def _failures_overruled(draft: TwinDraft, sources: Sequence[Twin]) -> list[str]:
    """Return a note for each failed tile or calibration that was used because of ``qa.commissioning``."""
    return [
        f"used all the same (qa.commissioning): {one.id} is failed: {one.reasons[0].message}"
        for one in sources
        if one.verdict == "failed" and not draft.failed
    ]


def _apply(ms: Path, part: Path, draft: TwinDraft, used: Sequence[CalibrationSet]) -> None:
    """Write the corrected tile; an empty folder and a reason where no visibility is left."""
    tile = measurement_set.read_coordinates(ms)
    delays, bandpass = (used[0].solutions_for(kind, tile) for kind in "KB")
    gain_sets = _gain_sets(used, draft.facts["choice"])
    gains = [one.solutions_for("G", tile) for one in gain_sets]
    _LOG.info("applies K and B of %s, G of %s", used[0].twin.id, ", ".join(one.twin.id for one in gain_sets))
    correction = Correction(tile, delays, bandpass, gains)
    tile.history.append(f"calibrated with {', '.join(one.twin.id for one in used)}")
    factors = _weight_factors(tile, used[0].twin)
    draft.facts["inverse_variance_weights"] = factors is not None
    draft.qa = _stream(ms, part, tile, correction, factors)
    draft.notes += _notes(draft.facts, tile, used[0], gain_sets, gains)
    if draft.qa["flagged_fraction"] == 1:
        draft.fail("no_data", "no visibility is left once the flagged solutions are left out", 1.0)
        remove(part)
        part.mkdir()


def _inherit_warnings(draft: TwinDraft, sources: Sequence[Twin]) -> None:
    """Add the warnings of a tile's inputs to its own reasons, each once."""
    inherited = [reason for twin in sources for reason in twin.reasons if reason.severity == "warning"]
    draft.reasons += [reason for i, reason in enumerate(inherited) if reason not in inherited[:i]]


def _origin(used: Sequence[CalibrationSet], choice: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of a calibrated tile about the origin of its calibration."""
    if not used:
        nothing = dict.fromkeys(("bandpass", "gains", "flux_anchor", "calibrator", "gain_error"))
        return nothing | {"gain_sets": [], "uncalibrated_subbands": []}
    measured = {"primary_beam": beam} if (beam := used[0].twin.facts.get("primary_beam")) else {}
    gain_sets = [one.twin.id for one in _gain_sets(used, choice)]
    first = used[0].twin.facts
    # Gains on a bandpass of a listed flux density may be tied to the ensemble of their own field.
    scaled = [one.twin.facts for one in used if one.twin.facts.get("flux_scale") == "ensemble"]
    return {
        "bandpass": used[0].twin.id,
        "gains": gain_sets[0] if gain_sets else None,
        "gain_sets": gain_sets,
        "flux_anchor": (scaled or [first])[0].get("flux_anchor"),
        "calibrator": first.get("calibrator"),
        "gain_error": used[0].twin.qa.get("gain_error"),
        "uncalibrated_subbands": first.get("missing_subbands") or [],
    } | measured


def _gain_sets(used: Sequence[CalibrationSet], choice: Mapping[str, Any]) -> list[CalibrationSet]:
    """Return the calibrations whose gains are applied; none where the plan found no gains within their validity.

    The gains of a bandpass that is used beyond that time are those of another hour: its delays and bandpass hold the
    mean phases and amplitudes over its transit, and the flux scale. A calibration whose gains could not be solved says
    so in its twin (outcome ``bandpass only``) and gives none; any other one must have them.
    """
    if "gains" in choice and choice["gains"] is None:
        return []
    return [one for one in (used[1:] or used[:1]) if one.twin.facts.get("outcome") != "bandpass only"]


def _refusals(
    tile: Twin, used: Sequence[CalibrationSet], options: CalibrationOptions, *, commissioning: bool
) -> list[Reason]:
    """Return why these calibrations must not be applied to this tile; empty when they may."""
    if tile.verdict == "failed" and not (commissioning and is_converted(tile)):
        return [_refusal("tile_failed", f"tile {tile.id} is failed: {tile.reasons[0].message}")]
    if not used:
        return [_refusal("no_calibration", f"the plan has no calibration for tile {tile.id}")]
    reasons: list[Reason] = []
    for number, calibration in enumerate(used):
        one = calibration.twin
        if one.verdict == "failed" and not (commissioning and one.facts.get("files")):
            message = f"calibration {one.id} is failed: {one.reasons[0].message}"
            reasons.append(_refusal("calibration_failed", message, one.verdict))
            continue
        reasons += _differences(tile, one, options)
        reasons += _wrong_part(used[0].twin, one, is_bandpass=number == 0)
    return reasons


def _refusal(code: str, message: str, measured: Any = None, threshold: Any = None) -> Reason:
    return Reason(code=code, severity="failed", message=message, measured=measured, threshold=threshold)


def _differences(tile: Twin, one: Twin, options: CalibrationOptions) -> Iterator[Reason]:
    """Give in what a calibration differs from the tile: setup of the correlator, declination strip."""
    for code, what in setup_differences(one.facts, tile.facts):
        yield _refusal(code, f"tile {tile.id} and calibration {one.id} differ in their {what}")
    turn_deg, limit = dec_difference_deg(one.facts, tile.facts), options.max_dec_difference_deg
    if turn_deg > limit:
        message = f"calibration {one.id} is from a strip {turn_deg:.2f} deg away"
        yield _refusal("declination_strip", message, round(turn_deg, 4), limit)


def _wrong_part(bandpass: Twin, one: Twin, *, is_bandpass: bool) -> Iterator[Reason]:
    """Give why a calibration cannot be the bandpass, or cannot give gains on top of it."""
    holds_bandpass = one.facts.get("type") == "bandpass"
    if is_bandpass:
        if not holds_bandpass:
            yield _refusal("no_bandpass", f"calibration {one.id} comes first but holds gains only")
        return
    base = one.id if holds_bandpass else one.facts.get("bandpass")
    if base != bandpass.id:
        message = f"the gains of {one.id} were solved on bandpass {base}, not on {bandpass.id}"
        yield _refusal("gains_of_another_bandpass", message)


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


def _notes(
    facts: Mapping[str, Any],
    tile: Coordinates,
    bandpass: CalibrationSet,
    gain_sets: Sequence[CalibrationSet],
    gains: Sequence[Solutions],
) -> list[str]:
    """Return what a reader should know about the gains: none, or not interpolated and from how far."""
    if not gains:
        return [f"no gains: the delays and bandpass of {bandpass.twin.id} alone are applied"]
    ends = [one.time_mjd_s[[0, -1]] for one in gains]
    first, last = min(end[0] for end in ends), max(end[1] for end in ends)
    if first <= tile.times_mjd_s.mean() <= last:
        return []
    middle = facts["mid_mjd"]
    nearest = min((one.twin for one in gain_sets), key=lambda one: abs(seconds_later(one.facts["mid_mjd"], middle)))
    apart = time_apart(nearest.facts["mid_mjd"], middle)
    return [f"gains are not interpolated: those of {nearest.id} alone, {apart}, at the nearest solution"]
