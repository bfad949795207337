"""Gains against the catalogue's sky, on top of a bandpass; with fallbacks, each said in the twin."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg import measurement_set
from contimg.calibration import casa, casa_solver, reference_antenna
from contimg.calibration.caltables import FILES, Solutions, normalise_amplitudes
from contimg.calibration.field_model import apparent_jy, field_sources, predict_sources
from contimg.calibration.jones import read_table
from contimg.calibration.outcome import data_cells, finish, has_data, lost_fraction, write_scratch
from contimg.config import BeamOptions, CalibrationOptions
from contimg.errors import InputError
from contimg.measurement_set import Visibilities
from contimg.products.draft import TwinDraft
from contimg.products.twin import Twin
from contimg.sky.catalogue import Catalogue
from contimg.storage.atomic import remove


def solve_on_field(
    ms: Path,
    part: Path,
    work: TwinDraft,
    bandpass: Path | None,
    options: CalibrationOptions,
    beam: BeamOptions,
    known: Catalogue | None,
) -> None:
    """Solve gains on top of a bandpass, against the catalogue; fall back step by step."""
    if bandpass is None:
        raise ValueError("gains are solved on top of a bandpass: name its twin")
    base = work.use(bandpass)
    tables = {kind: Path(bandpass).with_suffix("") / FILES[kind] for kind in ("K", "B")}
    work.facts |= {"calibrator": None, "bandpass": base.id, "flux_anchor": base.facts.get("flux_anchor")}
    work.facts |= {"apparent_flux_jy": None, "field_sources": 0, "outcome": "not solved"}
    if base.verdict == "failed":
        work.fail("bandpass_failed", f"bandpass {base.id} is failed: {base.reasons[0].message}")
        return
    for key, what in (
        ("applied_delays_sha256", "delays"),
        ("antenna_order_sha256", "antenna order"),
        ("fs_table", "fringe-stopping tables"),
    ):
        if base.facts.get(key) != work.facts.get(key):
            work.fail("bandpass_disagrees", f"tile and bandpass {base.id} were correlated with different {what}")
            return
    turn_deg = abs(base.facts["dec_app_deg"] - work.facts["dec_app_deg"])
    if turn_deg > options.max_dec_difference_deg:
        work.fail(
            "declination_strip",
            f"bandpass {base.id} is from a strip {turn_deg:.2f} deg away",
            round(turn_deg, 4),
            options.max_dec_difference_deg,
        )
        return
    vis = measurement_set.read(ms)
    if not has_data(vis, work):
        return
    delays, shape = (read_table(path, kind, vis) for kind, path in tables.items())
    if delays is None or shape is None:
        raise InputError(f"{Path(bandpass).with_suffix('')} lacks a table of bandpass {base.id}: solve it again")
    if known is None:
        _bandpass_only(work, "no_sky_model", "no catalogue is configured (sky.catalogue)")
        return
    sources = field_sources(vis, beam, known, away_from=None)
    apparent = apparent_jy(vis, sources, beam)
    work.facts["field_sources"] = len(sources)
    work.facts["apparent_flux_jy"] = round(float(apparent.sum()), 4)
    if apparent.sum() < options.min_field_jy:
        _bandpass_only(
            work,
            "field_too_faint",
            f"the catalogue has {apparent.sum():.2f} Jy in the beam",
            round(float(apparent.sum()), 4),
            options.min_field_jy,
        )
        return
    model = predict_sources(vis, sources, beam)
    antennas = reference_antenna.choose(vis, options.refant, point_source=False)
    data = data_cells(vis)
    noise = _expected_noise(vis, base, shape)
    scratch = write_scratch(part, vis, model, noise)
    del vis, model
    attempts = (
        ("solved", "ap", options.gain_interval_s),
        ("solved, one interval", "ap", None),
        ("phase only", "p", None),
    )
    table = part / FILES["G"]
    outcome = ""
    with casa.tasks() as tasks:
        for outcome, mode, interval_s in attempts:  # noqa: B007 - the last one tried is what came of it
            remove(table)
            casa_solver.solve_gains(
                tasks, scratch / "solve.ms", table, antennas.names, options, tables, mode, interval_s
            )
            lost = lost_fraction(table, data)
            work.qa[f"lost_{mode}_{'all' if interval_s is None else f'{interval_s:g}s'}"] = round(lost, 4)
            if lost <= options.max_flagged:
                break
        else:
            remove(table)
    shutil.rmtree(scratch)
    if not table.exists():
        _bandpass_only(
            work,
            "gains_lost",
            f"the gains lost {lost:.0%} of their solutions in every way of solving them",
            round(lost, 4),
            options.max_flagged,
        )
        return
    if outcome.startswith("solved"):
        _keep_flux_scale(table, work, options)
    finish(part, work, antennas, data, options, ("G",))
    work.facts["outcome"] = outcome


def _expected_noise(vis: Visibilities, base: Twin, bandpass: Solutions) -> NDArray[np.float64]:
    """Return the baselines' noise (nbl, npol) that the bandpass and its SEFDs foretell, in raw units.

    In a field without a dominant source at the phase centre the sky itself changes between integrations.
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


def _keep_flux_scale(table: Path, work: TwinDraft, options: CalibrationOptions) -> None:
    """Leave the flux scale to the bandpass and its anchor; measure how the catalogue's differs.

    A few sources of the catalogue, each some per cent wrong or variable, dominate a field.
    """
    mean = normalise_amplitudes(table)
    ratio = mean**2
    work.qa["flux_ratio_to_catalogue"] = round(ratio, 4)
    if abs(ratio - 1) > options.max_flux_scale_change:
        work.warn(
            "flux_scale_disagrees",
            f"on the bandpass's flux scale the field has {ratio:.2f} of the catalogue's flux",
            round(ratio, 4),
            options.max_flux_scale_change,
        )


def _bandpass_only(work: TwinDraft, code: str, why: str, measured: Any = None, threshold: Any = None) -> None:
    work.facts["outcome"] = "bandpass only"
    work.warn(code, f"no gains, the bandpass alone is applied: {why}", measured, threshold)
