"""K, B and G against a calibrator that transits in the tile."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contimg import measurement_set
from contimg.calibration import casa, casa_solver, reference_antenna, working_copy
from contimg.calibration.caltables import FILES, read_solutions
from contimg.calibration.field_model import field_sources, predict_sources
from contimg.calibration.jones import correct
from contimg.calibration.outcome import data_cells, finish, has_data, write_scratch
from contimg.config import BeamOptions, CalibrationOptions
from contimg.measurement_set import Visibilities
from contimg.products.draft import TwinDraft
from contimg.sky import calibrator_lists
from contimg.sky.catalogue import Catalogue
from contimg.sky.predict import attenuation, predict


def solve_on_calibrator(
    ms: Path,
    part: Path,
    work: TwinDraft,
    name: str,
    options: CalibrationOptions,
    beam: BeamOptions,
    known: Catalogue | None,
) -> None:
    """Solve K, B and G against a calibrator."""
    calibrator = calibrator_lists.find(calibrator_lists.load(options.calibrators), name)
    work.facts |= {"calibrator": calibrator.name, "flux_anchor": calibrator.anchor, "bandpass": None}
    work.facts |= {"calibrator_deg": [calibrator.ra_deg, calibrator.dec_deg], "apparent_flux_jy": None}
    work.facts["outcome"] = "not solved"
    if calibrator.coefficients is None:
        work.fail("no_flux_anchor", f"calibrator {calibrator.name} has no flux: give it one in its list")
        return
    vis = measurement_set.read(ms)
    if not has_data(vis, work):
        return
    flux = calibrator.flux_jy(vis.freq_hz)
    ra, dec = np.radians([calibrator.ra_deg, calibrator.dec_deg])
    response = attenuation(vis, ra, dec, beam)[0]
    at_best = float(response.mean(1).max())
    apparent = float((response * flux).mean())
    work.facts["apparent_flux_jy"] = round(apparent, 4)
    work.facts["flux_jy"] = round(float(flux.mean()), 4)
    work.facts["transit_mjd"] = float(vis.times_mjd_s[np.argmax(response.mean(1))] / 86400)
    work.qa["beam_response"] = round(at_best, 4)
    if at_best < options.min_beam:
        work.fail(
            "calibrator_outside_beam",
            f"the beam's response to {calibrator.name} reaches only {at_best:.2f} during the tile",
            round(at_best, 4),
            options.min_beam,
        )
        return
    if apparent < options.min_calibrator_jy:
        work.fail(
            "calibrator_too_faint",
            f"{calibrator.name} has {apparent:.2f} Jy through the beam",
            round(apparent, 4),
            options.min_calibrator_jy,
        )
        return
    if calibrator.extent_arcsec > options.max_extent_arcsec:
        work.fail(
            "calibrator_resolved",
            f"{calibrator.name} spans {calibrator.extent_arcsec:g} arcsec and is modelled as a point",
            calibrator.extent_arcsec,
            options.max_extent_arcsec,
        )
        return
    if calibrator.notes:
        work.notes.append(f"{calibrator.name}: {calibrator.notes}; {calibrator.extent_arcsec:g} arcsec across")
    others = None
    if known is not None:
        others = field_sources(vis, beam, known, away_from=(ra, dec))
    work.facts["field_sources"] = 0 if others is None else len(others)
    vis = working_copy.shift_phase_centre(vis, np.array([ra, dec]))
    model = predict(vis, ra, dec, flux[None, :], beam, true_places=True)
    if others is not None and len(others):
        model += predict_sources(vis, others, beam)
    antennas = reference_antenna.choose(vis, options.refant, point_source=True)
    data = data_cells(vis)
    work.facts["nsamples"] = working_copy.typical_weight(vis)
    sample, sample_model = working_copy.thin(vis, model)
    scratch = write_scratch(part, vis, model, working_copy.noise_per_baseline(sample))
    del vis, model
    with casa.tasks() as tasks:
        casa_solver.solve_bandpass(tasks, scratch / "solve.ms", part, antennas.names, options)
    shutil.rmtree(scratch)
    finish(part, work, antennas, data, options, ("K", "B", "G"))
    work.facts["outcome"] = "not solved" if work.failed else "solved"
    if (part / FILES["B"]).exists():
        _measure_sefd(part, sample, sample_model, work)


def _measure_sefd(part: Path, sample: Visibilities, model: NDArray[np.complex64], work: TwinDraft) -> None:
    """Record the system equivalent flux density of each receptor, from the calibrated data less the model.

    The radiometer equation: ``sigma_pq = sqrt(SEFD_p SEFD_q / (2 df dt))`` in each part of a visibility.
    """
    delays, bandpass, gains = (read_solutions(part / FILES[kind]) for kind in "KBG")
    correct(sample, delays, bandpass, [gains])
    sample.data -= model[:, :, None]
    noise = working_copy.antenna_noise(sample, working_copy.noise_per_baseline(sample))
    sefd = noise**2 * np.sqrt(2 * sample.channel_width_hz * sample.integration_s)
    work.facts["sefd_jy"] = {
        name: [float(f"{value:.5g}") if np.isfinite(value) else None for value in row]
        for name, row in zip(sample.antenna_names, sefd, strict=True)
        if np.isfinite(row).any()
    }
    work.qa["sefd_median_jy"] = float(f"{np.nanmedian(sefd):.5g}") if np.isfinite(sefd).any() else None
