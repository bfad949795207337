"""Delays, bandpass and gains solved against a calibrator that transits in the tile."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg import measurement_set
from contimg.calibration import casa, casa_solver, reference_antenna, working_copy
from contimg.calibration.caltables import FILES
from contimg.calibration.field_model import apparent_jy, field_sources, predict_sources
from contimg.calibration.flux_scale import as_catalogue, record_sefd, solutions_so_far, subtract_model, tie_bandpass
from contimg.calibration.gain_error import field_model_error
from contimg.calibration.measured_beam import PASSES, FieldInBeam, measure_beam
from contimg.calibration.quality import SolvedTable
from contimg.calibration.reference_antenna import ReferenceAntenna
from contimg.calibration.solving import SolvingJob, data_cells, has_data, read_solved, write_scratch
from contimg.config import BeamOptions, CalibrationOptions
from contimg.measurement_set import Visibilities
from contimg.products.draft import TwinDraft
from contimg.sky import calibrator_lists
from contimg.sky.calibrators import Calibrator
from contimg.sky.catalogue import Catalogue
from contimg.sky.predict import attenuation, predict
from contimg.storage.atomic import remove


@dataclass(frozen=True)
class _Transit:
    """A calibrator as the tile sees it.

    Attributes
    ----------
    calibrator : Calibrator
    ra_rad, dec_rad : float
        ICRS.
    flux_jy : (nchan,) float64
        Flux density outside the beam.
    response : (ntime, nchan) float64
        Power response of the primary beam.
    """

    calibrator: Calibrator
    ra_rad: float
    dec_rad: float
    flux_jy: NDArray[np.float64]
    response: NDArray[np.float64]

    @classmethod
    def of(cls, calibrator: Calibrator, vis: Visibilities, beam: BeamOptions) -> _Transit:
        """Return the transit of a calibrator through a tile's beam."""
        ra, dec = np.radians([calibrator.ra_deg, calibrator.dec_deg])
        flux = calibrator.flux_jy(vis.freq_hz)
        return cls(calibrator, ra, dec, flux, attenuation(vis, ra, dec, beam)[0])

    @property
    def largest_response(self) -> float:
        """The mean response over the band at the best time."""
        return float(self.response.mean(1).max())

    @property
    def apparent_jy(self) -> float:
        """The mean flux density through the beam."""
        return float((self.response * self.flux_jy).mean())


@dataclass(frozen=True)
class _Prepared:
    """What solving needs of a tile, and what remains in memory meanwhile.

    Attributes
    ----------
    scratch : Path
        Folder of the working copy.
    antennas : ReferenceAntenna
    data : (nant, nchan, npol) bool
    sample, sample_model
        Visibilities and model (nrow, nchan) of some channels, from which the receivers' noise and the flux scale of the
        field are measured afterwards.
    others : Catalogue or None
        The other sources of the field.
    """

    scratch: Path
    antennas: ReferenceAntenna
    data: NDArray[np.bool_]
    sample: Visibilities
    sample_model: NDArray[np.complex64]
    others: Catalogue | None


@dataclass(frozen=True)
class _SolvedOnCalibrator:
    """What is left of a tile after CASA has solved it.

    Attributes
    ----------
    antennas : ReferenceAntenna
    data : (nant, nchan, npol) bool
    residual : Visibilities or None
        Some channels, calibrated and less the model; None where a table is missing.
    others : Catalogue or None
        The other sources of the field.
    """

    antennas: ReferenceAntenna
    data: NDArray[np.bool_]
    residual: Visibilities | None
    others: Catalogue | None


def solve_on_calibrator(job: SolvingJob, name: str) -> tuple[SolvedTable, ...]:
    """Solve delays, bandpass and gains against a calibrator.

    Parameters
    ----------
    job : SolvingJob
    name : str
        The calibrator, of the list ``options.calibrators``.

    Returns
    -------
    tuple of SolvedTable
        K, B and G; empty where they could not be solved: the draft then has the reason.

    Raises
    ------
    UnknownIdError
        If the calibrator is not in the list.
    """
    draft = job.draft
    calibrator = calibrator_lists.find(calibrator_lists.load(job.options.calibrators), name)
    draft.facts |= {"calibrator": calibrator.name, "flux_anchor": calibrator.anchor, "bandpass": None}
    draft.facts |= {"calibrator_deg": [calibrator.ra_deg, calibrator.dec_deg], "apparent_flux_jy": None}
    draft.facts["outcome"] = "not solved"
    if calibrator.coefficients is None:
        draft.fail("no_flux_anchor", f"calibrator {calibrator.name} has no flux: give it one in its list")
        return ()
    _note_of(calibrator, draft)
    solved = _solve(job, calibrator)
    if any(job.beam.measures):
        job, solved = _solve_with_measured_beam(job, calibrator, solved)
    if solved is None:
        return ()
    scale = 1.0
    if solved.residual is not None:
        scale = tie_bandpass(job, solved.residual, solved.others, calibrator)
    tables = read_solved(job, solved.antennas, solved.data, ("K", "B", "G"))
    if tables and solved.residual is not None:
        record_sefd(solved.residual, scale, draft)
    return tables


def _solve(job: SolvingJob, calibrator: Calibrator) -> _SolvedOnCalibrator | None:
    """Solve K, B and G with the beam of the job; None where the tile or the calibrator will not do."""
    prepared = _prepare(job, calibrator)
    if prepared is None:
        return None
    with casa.tasks() as tasks:
        limits = (calibrator.min_klambda, calibrator.max_klambda)
        solver = casa_solver.Solver(tasks, prepared.scratch / "solve.ms", prepared.antennas.names, job.options, limits)
        solver.solve_bandpass(job.part)
    shutil.rmtree(prepared.scratch)
    residual = None
    if solutions := solutions_so_far(job, "KBG"):
        residual = subtract_model(prepared.sample, prepared.sample_model, solutions)
    return _SolvedOnCalibrator(prepared.antennas, prepared.data, residual, prepared.others)


def _solve_with_measured_beam(
    job: SolvingJob, calibrator: Calibrator, solved: _SolvedOnCalibrator | None
) -> tuple[SolvingJob, _SolvedOnCalibrator | None]:
    """Measure the beam with a solved calibration and solve it with that beam, until both agree."""
    asked = job.beam
    for _ in range(PASSES):
        if solved is None or solved.residual is None:
            break
        listed = as_catalogue(calibrator, float(np.median(solved.residual.freq_hz)))
        beam = measure_beam(FieldInBeam(solved.residual, solved.others, listed, job.beam), asked, job.draft)
        if beam is None:
            break
        for kind in FILES:
            remove(job.table(kind))
        job, solved = replace(job, beam=beam), None  # its data are no longer needed in memory
        solved = _solve(job, calibrator)
    return job, solved


def _prepare(job: SolvingJob, calibrator: Calibrator) -> _Prepared | None:
    """Write the working copy at the calibrator's phase centre; None where the tile or the calibrator will not do."""
    draft = job.draft
    vis = measurement_set.read(job.ms)
    if not has_data(vis, draft):
        return None
    transit = _Transit.of(calibrator, vis, job.beam)
    _record_transit(transit, vis, draft)
    refused = next(_refusals(transit, job.options), None)
    if refused is not None:
        draft.fail(*refused)
        return None
    ra, dec = transit.ra_rad, transit.dec_rad
    others = None
    if job.known is not None:
        listed = calibrator_lists.load(job.options.calibrators)
        others = field_sources(vis, job.beam, job.known, away_from=(ra, dec), calibrators=listed)
    draft.facts["field_sources"] = 0 if others is None else len(others)
    draft.qa["field_model_error"] = None
    if others is not None:
        error = field_model_error(others, apparent_jy(vis, others, job.beam), transit.apparent_jy)
        draft.qa["field_model_error"] = float(f"{error:.4g}")
    vis = working_copy.shift_phase_centre(vis, np.array([ra, dec]))
    model = predict(vis, ra, dec, transit.flux_jy[None, :], job.beam, true_places=True)
    if others is not None and len(others):
        model += predict_sources(vis, others, job.beam)
    antennas = reference_antenna.choose(vis, job.options.refant, point_source=True)
    data = data_cells(vis)
    draft.facts["nsamples"] = working_copy.typical_weight(vis)
    sample, sample_model = working_copy.thin(vis, model)
    scratch = write_scratch(job.part, vis, model, working_copy.noise_per_baseline(sample))
    return _Prepared(scratch, antennas, data, sample, sample_model, others)


def _note_of(calibrator: Calibrator, draft: TwinDraft) -> None:
    """Note what the list says of a calibrator."""
    if calibrator.notes:
        draft.notes.append(f"{calibrator.name}: {calibrator.notes}; {calibrator.extent_arcsec:g} arcsec across")
    if limits := casa_solver.uv_range(calibrator.min_klambda, calibrator.max_klambda):
        draft.notes.append(f"{calibrator.name} is used on baselines {limits}, as its list of calibrators says")


def _record_transit(transit: _Transit, vis: Visibilities, draft: TwinDraft) -> None:
    draft.facts["apparent_flux_jy"] = round(transit.apparent_jy, 4)
    draft.facts["flux_jy"] = round(float(transit.flux_jy.mean()), 4)
    draft.facts["transit_mjd"] = float(vis.times_mjd_s[np.argmax(transit.response.mean(1))] / 86400)
    draft.qa["beam_response"] = round(transit.largest_response, 4)


def _refusals(transit: _Transit, options: CalibrationOptions) -> Iterator[tuple[str, str, Any, Any]]:
    """Give why a calibrator will not do: code, message, measured value and limit.

    These decide whether there is anything to judge, and so are no gates: under another limit the calibration must be
    solved, not judged again.
    """
    name, extent = transit.calibrator.name, transit.calibrator.extent_arcsec
    response, apparent = transit.largest_response, transit.apparent_jy
    if response < options.min_beam:
        message = f"the beam's response to {name} reaches only {response:.2f} during the tile"
        yield "calibrator_outside_beam", message, round(response, 4), options.min_beam
    if apparent < options.min_calibrator_jy:
        message = f"{name} has {apparent:.2f} Jy through the beam"
        yield "calibrator_too_faint", message, round(apparent, 4), options.min_calibrator_jy
    if extent > options.max_extent_arcsec:
        message = f"{name} spans {extent:g} arcsec and is modelled as a point"
        yield "calibrator_resolved", message, extent, options.max_extent_arcsec
