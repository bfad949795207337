"""The flux scale of a solved calibration: a standard's, or tied to the catalogued sources of the field."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from contimg.calibration.caltables import Solutions, read_solutions, scale_amplitudes
from contimg.calibration.flux_ensemble import MIN_REFERENCES, EnsembleScale, measure_ensemble
from contimg.calibration.jones import correct
from contimg.calibration.solving import SolvingJob
from contimg.calibration.working_copy import antenna_noise, noise_per_baseline
from contimg.measurement_set import Visibilities
from contimg.products.draft import TwinDraft
from contimg.sky.calibrators import Calibrator
from contimg.sky.catalogue import Catalogue

STANDARD_ERROR = 0.05
"""Flux densities known to this fraction are a standard's; others are tied to the ensemble."""
# A standard is off the ensemble if it differs by this and by three errors: a note, since catalogues have errors too.
_NOTED, _NOTED_ERRORS = 0.05, 3.0


def solutions_so_far(job: SolvingJob, kinds: str) -> dict[str, Solutions] | None:
    """Return the solutions that CASA wrote, by kind; None where a table is missing."""
    if not all(job.table(kind).exists() for kind in kinds):
        return None
    return {kind: read_solutions(job.table(kind)) for kind in kinds}


def subtract_model(
    sample: Visibilities, model: NDArray[np.complex64], solutions: Mapping[str, Solutions]
) -> Visibilities:
    """Return a sample of the tile, calibrated and less its model; the sample's data are overwritten."""
    correct(sample, solutions.get("K"), solutions.get("B"), [solutions["G"]])
    sample.data -= model[:, :, None]
    return sample


def as_catalogue(calibrator: Calibrator, freq_hz: float) -> Catalogue:
    """Return a calibrator as a catalogue of one source, with its spectral index at a frequency."""
    low, middle = calibrator.flux_jy(np.array([freq_hz, freq_hz * 1.01]))
    index = math.log(middle / low) / math.log(1.01)
    return Catalogue(
        name=np.array([calibrator.name]),
        ra_deg=np.array([calibrator.ra_deg]),
        dec_deg=np.array([calibrator.dec_deg]),
        flux_jy=np.array([float(low)]),
        flux_err_jy=np.array([calibrator.flux_error * float(low)]),
        ref_freq_hz=np.array([freq_hz]),
        spectral_index=np.array([index]),
    )


def tie_bandpass(job: SolvingJob, residual: Visibilities, sources: Catalogue | None, calibrator: Calibrator) -> float:
    """Measure the field's flux scale beside a calibrator that is no standard, and tie the bandpass to it.

    Parameters
    ----------
    job : SolvingJob
        Its draft gets ``flux_scale`` (``standard``, ``ensemble``, or ``list`` where the ensemble is too small), the
        numbers of the ensemble and the flux anchor.
    residual : Visibilities
        From `subtract_model`.
    sources : Catalogue or None
        The catalogue's sources in the field, without the calibrator.
    calibrator : Calibrator

    Returns
    -------
    float
        Factor that calibrated data are divided by with the bandpass as it is now: 1 where it was not tied.
    """
    draft, is_standard = job.draft, calibrator.flux_error <= STANDARD_ERROR
    draft.facts["flux_scale"] = "standard" if is_standard else "list"
    if sources is None or not len(sources):
        return 1.0
    listed = as_catalogue(calibrator, float(np.median(residual.freq_hz)))
    found = measure_ensemble(residual, sources, job.beam, listed)
    if found is None:
        return 1.0
    draft.qa |= found.numbers
    if is_standard:
        _note_difference(draft, found, calibrator.name)
        return 1.0
    if found.n < MIN_REFERENCES:
        draft.notes.append(
            f"flux scale of {calibrator.name} as listed (± {calibrator.flux_error:.0%}): the field has {found.n}"
            f" references, {MIN_REFERENCES} are needed to tie it to them"
        )
        return 1.0
    scale_amplitudes(job.table("B"), math.sqrt(found.scale))
    _tied(draft, found, f"{calibrator.name}, {calibrator.anchor}, x {1 / found.scale:.3f}")
    return found.scale


def tie_on_field(job: SolvingJob, residual: Visibilities, sources: Catalogue, kind: str) -> float | None:
    """Tie solutions that rest on the catalogue's sky to all of its sources, each counted by its errors (Huber).

    Parameters
    ----------
    job : SolvingJob
        Its draft gets the numbers of the ensemble and, where it is large enough, flux scale and anchor.
    residual : Visibilities
        From `subtract_model`.
    sources : Catalogue
        Of the field.
    kind : ``B`` or ``G``
        The table whose amplitudes are scaled.

    Returns
    -------
    float or None
        Factor that calibrated data are divided by with the table as it is now; None where it was not tied, since the
        field has fewer than 20 references.
    """
    found = measure_ensemble(residual, sources, job.beam)
    if found is None:
        return None
    job.draft.qa |= found.numbers
    if found.n < MIN_REFERENCES:
        return None
    scale_amplitudes(job.table(kind), math.sqrt(found.scale))
    _tied(job.draft, found, "catalogue sky")
    return found.scale


def _tied(draft: TwinDraft, found: EnsembleScale, rests_on: str) -> None:
    """Record that the flux scale is the ensemble's."""
    draft.facts["flux_scale"] = "ensemble"
    error = found.error / found.scale
    draft.facts["flux_anchor"] = f"ensemble of {found.n} catalogued sources, known to {error:.1%} ({rests_on})"


def _note_difference(draft: TwinDraft, found: EnsembleScale, name: str) -> None:
    """Note where the catalogued sources of the field do not have the flux scale of a standard."""
    off = abs(found.scale - 1)
    if found.n >= MIN_REFERENCES and off > max(_NOTED, _NOTED_ERRORS * found.error):
        draft.notes.append(
            f"the {found.n} catalogued sources of the field are {found.scale:.3f} ± {found.error:.3f} of their"
            f" catalogued fluxes on the scale of {name}"
        )


def record_sefd(residual: Visibilities, scale: float, draft: TwinDraft) -> None:
    """Record the system equivalent flux density of each receptor, from the calibrated data less the model.

    The radiometer equation: ``sigma_pq = sqrt(SEFD_p SEFD_q / (2 df dt))`` in each part of a visibility.

    Parameters
    ----------
    residual : Visibilities
    scale : float
        Factor that the data are too large by.
    draft : TwinDraft
    """
    noise = antenna_noise(residual, noise_per_baseline(residual))
    sefd = noise**2 * np.sqrt(2 * residual.channel_width_hz * residual.integration_s) / scale
    draft.facts["sefd_jy"] = {
        name: [float(f"{value:.5g}") if np.isfinite(value) else None for value in row]
        for name, row in zip(residual.antenna_names, sefd, strict=True)
        if np.isfinite(row).any()
    }
    draft.qa["sefd_median_jy"] = float(f"{np.nanmedian(sefd):.5g}") if np.isfinite(sefd).any() else None
