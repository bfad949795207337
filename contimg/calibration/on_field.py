"""Gains solved against the catalogue's sky, on top of a bandpass; with fallbacks, each named in the twin."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg import measurement_set
from contimg.calibration import casa, casa_solver, reference_antenna, working_copy
from contimg.calibration.calibration_set import CalibrationSet
from contimg.calibration.caltables import FILES, Solutions, normalise_amplitudes, read_solutions
from contimg.calibration.compatibility import dec_difference_deg, setup_differences
from contimg.calibration.field_model import apparent_jy, field_sources, predict_sources
from contimg.calibration.flux_scale import subtract_model, tie_on_field
from contimg.calibration.quality import SolvedTable
from contimg.calibration.reference_antenna import ReferenceAntenna
from contimg.calibration.solving import SolvingJob, data_cells, has_data, lost_fraction, read_solved, write_scratch
from contimg.measurement_set import Visibilities
from contimg.products.draft import TwinDraft
from contimg.products.twin import Twin
from contimg.sky.catalogue import Catalogue
from contimg.sky.primary_beam import measured_beam
from contimg.storage.atomic import remove


@dataclass(frozen=True)
class _Prepared:
    """What solving needs of a tile: the folder of its working copy, reference antennas, cells that have data.

    Attributes
    ----------
    sources : Catalogue
        The model.
    sample, sample_model
        Visibilities and model (nrow, nchan) of some channels, from which the flux scale of the field is measured.
    """

    scratch: Path
    antennas: ReferenceAntenna
    data: NDArray[np.bool_]
    sources: Catalogue
    sample: Visibilities
    sample_model: NDArray[np.complex64]


def solve_on_field(job: SolvingJob, bandpass: Path) -> tuple[SolvedTable, ...]:
    """Solve gains on top of a bandpass, against the catalogue; fall back step by step.

    Gains in amplitude and phase every ``gain_interval_s``; else over the whole tile; else phases over the whole tile;
    else the bandpass alone serves, which is a warning.

    Parameters
    ----------
    job : SolvingJob
    bandpass : Path
        The twin of the calibration whose K and B apply.

    Returns
    -------
    tuple of SolvedTable
        G; empty where it could not be solved: the draft then has the reason.

    Raises
    ------
    InputError
        If a table of the bandpass is missing or is not the one that was judged.
    """
    draft = job.draft
    base = CalibrationSet.beside(draft.use(bandpass), bandpass)
    draft.facts |= {"calibrator": None, "bandpass": base.twin.id, "flux_anchor": base.twin.facts.get("flux_anchor")}
    draft.facts["flux_scale"] = base.twin.facts.get("flux_scale")
    draft.facts |= {"apparent_flux_jy": None, "field_sources": 0, "outcome": "not solved"}
    if _refuse_bandpass(job, base.twin):
        return ()
    if any(job.beam.measures):
        draft.facts["primary_beam"] = base.twin.facts.get("primary_beam")
        job = replace(job, beam=measured_beam(job.beam, base.twin.facts))
    prepared = _prepare(job, base)
    if prepared is None:
        return ()
    outcome = _solve_in_steps(job, prepared, base.folder)
    shutil.rmtree(prepared.scratch)
    if outcome is None:
        return ()
    if outcome.startswith("solved"):
        _keep_flux_scale(job.table("G"), draft)
        _tie_flux_scale(job, prepared, base)
    tables = read_solved(job, prepared.antennas, prepared.data, ("G",))
    draft.facts["outcome"] = outcome
    return tables


def _refuse_bandpass(job: SolvingJob, base: Twin) -> bool:
    """Return whether a bandpass must not be used for the tile; the draft then has the reason."""
    draft, limit = job.draft, job.options.max_dec_difference_deg
    if base.verdict == "failed":
        draft.fail("bandpass_failed", f"bandpass {base.id} is failed: {base.reasons[0].message}")
        return True
    for _, what in setup_differences(draft.facts, base.facts)[:1]:
        draft.fail("bandpass_disagrees", f"tile and bandpass {base.id} differ in their {what}")
        return True
    turn_deg = dec_difference_deg(draft.facts, base.facts)
    if turn_deg > limit:
        message = f"bandpass {base.id} is from a strip {turn_deg:.2f} deg away"
        draft.fail("declination_strip", message, round(turn_deg, 4), limit)
        return True
    return False


def _prepare(job: SolvingJob, base: CalibrationSet) -> _Prepared | None:
    """Write the working copy with the catalogue's sky as its model; None where data or sky will not do."""
    vis = measurement_set.read(job.ms)
    if not has_data(vis, job.draft):
        return None
    base.solutions_for("K", vis)
    bandpass = base.solutions_for("B", vis)
    sources = _bright_enough(job, vis)
    if sources is None:
        return None
    model = predict_sources(vis, sources, job.beam)
    antennas = reference_antenna.choose(vis, job.options.refant, point_source=False)
    data = data_cells(vis)
    sample, sample_model = working_copy.thin(vis, model)
    scratch = write_scratch(job.part, vis, model, _expected_noise(vis, base.twin, bandpass))
    return _Prepared(scratch, antennas, data, sources, sample, sample_model)


def _bright_enough(job: SolvingJob, vis: Visibilities) -> Catalogue | None:
    """Return the catalogue's sources in the beam; None where they are too faint to solve gains on."""
    draft, least = job.draft, job.options.min_field_jy
    if job.known is None:
        _bandpass_only(draft, "no_sky_model", "no catalogue is configured (sky.catalogue)")
        return None
    sources = field_sources(vis, job.beam, job.known, away_from=None)
    total = apparent_jy(vis, sources, job.beam).sum()
    draft.facts["field_sources"] = len(sources)
    draft.facts["apparent_flux_jy"] = round(float(total), 4)
    if total < least:
        message = f"the catalogue has {total:.2f} Jy in the beam"
        _bandpass_only(draft, "field_too_faint", message, round(float(total), 4), least)
        return None
    return sources


def _solve_in_steps(job: SolvingJob, prepared: _Prepared, bandpass: Path) -> str | None:
    """Solve until few enough solutions are lost; return which step did, or None: the draft then has the reason."""
    options, table = job.options, job.table("G")
    attempts = (
        ("solved", "ap", options.gain_interval_s),
        ("solved, one interval", "ap", None),
        ("phase only", "p", None),
    )
    applied = {kind: bandpass / FILES[kind] for kind in ("K", "B")}
    lost = 1.0
    with casa.tasks() as tasks:
        solver = casa_solver.Solver(tasks, prepared.scratch / "solve.ms", prepared.antennas.names, options)
        for outcome, mode, interval_s in attempts:
            remove(table)
            solver.solve_gains(table, applied, mode, interval_s)
            lost = lost_fraction(table, prepared.data)
            job.draft.qa[f"lost_{mode}_{'all' if interval_s is None else f'{interval_s:g}s'}"] = round(lost, 4)
            if lost <= options.max_flagged:
                return outcome
    remove(table)
    message = f"the gains lost {lost:.0%} of their solutions in every way of solving them"
    _bandpass_only(job.draft, "gains_lost", message, round(lost, 4), options.max_flagged)
    return None


def _expected_noise(vis: Visibilities, base: Twin, bandpass: Solutions) -> NDArray[np.float64]:
    """Return the baselines' noise (nbl, npol) that follows from the bandpass and its SEFDs, in raw units.

    It cannot be measured from successive integrations here: in a field without a dominant source at the phase centre
    the sky itself changes between them.
    """
    size = _median_amplitude(bandpass)
    sefd = np.full(size.shape, np.nan)
    for i, name in enumerate(bandpass.antenna_names):
        for pol, value in enumerate(base.facts["sefd_jy"].get(name, [])):
            sefd[i, pol] = np.nan if value is None else value
    part = np.sqrt(sefd) * size / (2 * vis.channel_width_hz * vis.integration_s) ** 0.25
    nbl = len(vis.uvw_m) // len(vis.times_mjd_s)
    return part[vis.antenna1[:nbl]] * part[vis.antenna2[:nbl]]


def _median_amplitude(bandpass: Solutions) -> NDArray[np.float64]:
    """Return the receptors' median amplitude over channels (nant, npol); NaN where there is none."""
    size = np.abs(np.where(bandpass.flag, np.nan, bandpass.values))[0]
    solved = np.isfinite(size).any(1)
    middle = np.full(solved.shape, np.nan)
    middle[solved] = np.nanmedian(size.transpose(0, 2, 1)[solved], axis=1)
    return middle


def _keep_flux_scale(table: Path, draft: TwinDraft) -> None:
    """Normalise the gains so that the flux scale stays that of the bandpass; measure how the catalogue's differs.

    A few sources dominate a field, each with an error of some per cent in the catalogue, or variable.
    """
    ratio = normalise_amplitudes(table) ** 2
    draft.qa["flux_ratio_to_catalogue"] = round(ratio, 4)
    draft.qa["flux_scale_change"] = round(abs(ratio - 1), 4)


def _tie_flux_scale(job: SolvingJob, prepared: _Prepared, base: CalibrationSet) -> None:
    """Tie the gains to the ensemble of the field where their bandpass has the scale of few sources."""
    if job.draft.facts["flux_scale"] not in ("list", "field"):
        return
    solutions = {kind: base.solutions(kind) for kind in "KB"} | {"G": read_solutions(job.table("G"))}
    tie_on_field(job, subtract_model(prepared.sample, prepared.sample_model, solutions), prepared.sources, "G")


def _bandpass_only(draft: TwinDraft, code: str, why: str, measured: Any = None, threshold: Any = None) -> None:
    draft.facts["outcome"] = "bandpass only"
    draft.warn(code, f"no gains, the bandpass alone is applied: {why}", measured, threshold)
