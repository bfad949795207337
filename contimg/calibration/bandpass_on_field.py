"""Delays, bandpass and gains solved against the catalogue's sky, in a strip that no calibrator crosses."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from contimg import measurement_set
from contimg.calibration import casa, casa_solver, reference_antenna, working_copy
from contimg.calibration.caltables import FILES
from contimg.calibration.field_model import apparent_jy, field_sources, predict_sources
from contimg.calibration.flux_ensemble import MIN_REFERENCES
from contimg.calibration.flux_scale import record_sefd, solutions_so_far, subtract_model, tie_on_field
from contimg.calibration.gain_error import field_model_error
from contimg.calibration.measured_beam import PASSES, FieldInBeam, measure_beam
from contimg.calibration.quality import SolvedTable
from contimg.calibration.reference_antenna import ReferenceAntenna
from contimg.calibration.solving import SolvingJob, data_cells, has_data, read_solved, write_scratch
from contimg.measurement_set import Visibilities
from contimg.sky.catalogue import Catalogue
from contimg.storage.atomic import remove


def solve_bandpass_on_field(job: SolvingJob) -> tuple[SolvedTable, ...]:
    """Solve delays, bandpass and gains against the catalogue's sources in a tile.

    Parameters
    ----------
    job : SolvingJob

    Returns
    -------
    tuple of SolvedTable
        K, B and G, whose flux scale is tied to the ensemble of the field's sources; empty where they could not be
        solved: the draft then has the reason.
    """
    draft = job.draft
    draft.facts |= {"calibrator": None, "bandpass": None, "flux_anchor": "catalogue sky", "flux_scale": "field"}
    draft.facts |= {"apparent_flux_jy": None, "field_sources": 0, "outcome": "not solved"}
    solved = _solve(job)
    if any(job.beam.measures):
        job, solved = _solve_with_measured_beam(job, solved)
    if solved is None:
        return ()
    scale = None if solved.residual is None else tie_on_field(job, solved.residual, solved.sources, "B")
    tables = read_solved(job, solved.antennas, solved.data, ("K", "B", "G"))
    if tables and solved.residual is not None:
        record_sefd(solved.residual, scale or 1.0, draft)
        if scale is None:
            count = draft.qa.get("ensemble_references", 0)
            draft.warn("few_references", f"the flux scale rests on {count} sources of the field", count, MIN_REFERENCES)
    return tables


@dataclass(frozen=True)
class _SolvedOnField:
    """What is left of a tile after CASA has solved it.

    Attributes
    ----------
    antennas : ReferenceAntenna
    data : (nant, nchan, npol) bool
    residual : Visibilities or None
        Some channels, calibrated and less the model; None where a table is missing.
    sources : Catalogue
        The model.
    """

    antennas: ReferenceAntenna
    data: NDArray[np.bool_]
    residual: Visibilities | None
    sources: Catalogue


def _solve_with_measured_beam(
    job: SolvingJob, solved: _SolvedOnField | None
) -> tuple[SolvingJob, _SolvedOnField | None]:
    """Measure the beam with a solved calibration and solve it with that beam, until both agree."""
    asked = job.beam
    for _ in range(PASSES):
        if solved is None or solved.residual is None:
            break
        beam = measure_beam(FieldInBeam(solved.residual, solved.sources, None, job.beam), asked, job.draft)
        if beam is None:
            break
        for kind in FILES:
            remove(job.table(kind))
        job, solved = replace(job, beam=beam), None  # its data are no longer needed in memory
        solved = _solve(job)
    return job, solved


def _solve(job: SolvingJob) -> _SolvedOnField | None:
    """Solve K, B and G with the beam of the job; None, with the reason, where data or sky will not do."""
    vis = measurement_set.read(job.ms)
    if not has_data(vis, job.draft):
        return None
    sources = _bright_enough(job, vis)
    if sources is None:
        return None
    model = predict_sources(vis, sources, job.beam)
    antennas = reference_antenna.choose(vis, job.options.refant, point_source=False)
    data = data_cells(vis)
    job.draft.facts["nsamples"] = working_copy.typical_weight(vis)
    sample, sample_model = working_copy.thin(vis, model)
    # The sky itself changes between integrations: the noise is a little too high, alike on all baselines.
    scratch = write_scratch(job.part, vis, model, working_copy.noise_per_baseline(sample))
    with casa.tasks() as tasks:
        casa_solver.Solver(tasks, scratch / "solve.ms", antennas.names, job.options).solve_bandpass(job.part)
    shutil.rmtree(scratch)
    residual = None
    if solutions := solutions_so_far(job, "KBG"):
        residual = subtract_model(sample, sample_model, solutions)
    return _SolvedOnField(antennas, data, residual, sources)


def _bright_enough(job: SolvingJob, vis: Visibilities) -> Catalogue | None:
    """Return the catalogue's sources in the beam; None, with the reason, where they are too faint to solve on."""
    draft, least = job.draft, job.options.min_field_jy
    if job.known is None:
        draft.fail("no_sky_model", "no catalogue is configured (sky.catalogue), and no calibrator transits")
        return None
    sources = field_sources(vis, job.beam, job.known, away_from=None)
    apparent = apparent_jy(vis, sources, job.beam)
    total = round(float(np.sum(apparent)), 4)
    draft.facts |= {"field_sources": len(sources), "apparent_flux_jy": total}
    rms_jy = float(np.sqrt(np.sum(apparent**2)))  # of the model visibilities
    draft.qa["field_model_error"] = float(f"{field_model_error(sources, apparent, rms_jy):.4g}") if rms_jy else None
    if total < least:
        draft.fail("field_too_faint", f"the catalogue has {total:.2f} Jy in the beam", total, least)
        return None
    return sources
