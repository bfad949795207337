"""The rule solve_calibration: from a tile to gain solutions, plots, a verdict and its reasons."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contimg import naming
from contimg.calibration import plots
from contimg.calibration.bandpass_on_field import solve_bandpass_on_field
from contimg.calibration.calibration_set import CalibrationSet
from contimg.calibration.gain_error import expected_gain_error
from contimg.calibration.on_calibrator import solve_on_calibrator
from contimg.calibration.on_field import solve_on_field
from contimg.calibration.previous_bandpass import NOT_COMPARED, BandpassAndGains, compare_with_previous
from contimg.calibration.quality import SolvedTable
from contimg.calibration.solving import SolvingJob
from contimg.calibration.subband_checks import named_above
from contimg.config import BeamOptions, CalibrationOptions
from contimg.config.used_keys import used_options
from contimg.products import gates
from contimg.products.draft import TwinDraft
from contimg.products.manifest import read_product
from contimg.products.twin import Twin
from contimg.sky.catalogue import Catalogue, read_catalogue

COPIED_FACTS = (
    "dec_app_deg",
    "mid_mjd",
    "start_mjd",
    "end_mjd",
    "applied_delays_sha256",
    "antenna_order_sha256",
    "fs_table",
    "telescope",
    "band_hz",
    "n_channels",
    "missing_subbands",
    "sun",
    "clock_epoch",
)
"""Facts of the tile that its calibration takes over."""


LIBRARIES = ("casatasks", "casatools", "casadata", "python-casacore", "numpy", "scipy")


def solve_calibration(  # one parameter for each input, output and parameter of the rule
    ms: Path,
    ms_twin: Path,
    output: Path,
    twin: Path,
    *,
    calibrator: str | None,
    bandpass: Path | None,
    options: CalibrationOptions,
    beam: BeamOptions,
    catalogue: Path | None,
    previous: Path | None = None,
    first_light: Mapping[str, Any] | None = None,
) -> Twin:
    """Solve a calibration on a tile and write it with its twin.

    Parameters
    ----------
    ms, ms_twin : Path
        The tile; only read. The MS may stand elsewhere than beside its twin.
    output, twin : Path
        The product directory (``K.cal``, ``B.cal``, ``G.cal`` as applicable, plots) and its twin.
    calibrator : str or None
        The calibrator that transits in the tile, for K, B and G; None to solve against the catalogue's sky.
    bandpass : Path or None
        For gains alone: the twin of the calibration whose K and B apply; its product stands beside it. None for K, B
        and G.
    options, beam : CalibrationOptions, BeamOptions
    catalogue : Path or None
        The sky model: gains are solved on it, and it adds a calibrator's neighbours to the model.
    previous : Path or None
        The twin of the certified bandpass before, which a bandpass is compared with; not an input.
    first_light : mapping or None
        What the tile's raw files say about the telescope (`contimg check`), recorded as a fact.

    Returns
    -------
    Twin
        Kind ``calibration``; 'failed', with an empty directory, where it could not be solved from its data.

    Raises
    ------
    UnknownIdError
        If the calibrator is not in the list.
    InputError
        If an input is missing, unreadable or not the one that was judged.
    """
    kind = "gains" if calibrator is None and bandpass is not None else "bandpass"
    draft, tile, known = _begin(Path(ms), ms_twin, kind, catalogue)
    _use_reference_files(draft, options, beam, calibrator)
    _record_first_light(draft, first_light)
    with draft.product(output) as part:
        part.mkdir()
        job = SolvingJob(Path(ms), part, draft, _without_sun(options, first_light, draft), beam, known)
        tables = _solve(job, tile, calibrator, bandpass)
        if tables:
            before = _judge(job, tables, previous)
            about = plots.About(draft.id, draft.facts.get("refant"), before, synthetic=tile.synthetic)
            plots.plot_solutions(tables, part, about)
    parameters = _parameters(calibrator, options, beam)
    return draft.write(twin, parameters=parameters, libraries=LIBRARIES, judged_by={"calibration": options})


def _begin(ms: Path, ms_twin: Path, kind: str, catalogue: Path | None) -> tuple[TwinDraft, Twin, Catalogue | None]:
    """Return the draft of a calibration with its inputs and its tile's facts, the tile's twin and the sky model."""
    draft = TwinDraft("calibration")
    tile = draft.use(ms_twin, ms)
    draft.id = naming.calibration_id(tile.id)
    draft.facts |= {"type": kind, "tile": tile.id}
    draft.facts |= {key: tile.facts[key] for key in COPIED_FACTS if key in tile.facts}
    known = read_catalogue(catalogue) if catalogue is not None else None
    draft.use_file("catalogue", catalogue)
    return draft, tile, known


def _record_first_light(draft: TwinDraft, first_light: Mapping[str, Any] | None) -> None:
    """Record the check of the raw files; what it refutes is a note, for the calibration is judged by its solutions."""
    if first_light is not None:
        draft.facts["first_light"] = dict(first_light)
        refuted = [one["text"] for one in first_light.get("findings", ()) if one["verdict"] == "refuted"]
        draft.notes += [f"first light: {text}" for text in refuted]


def _without_sun(
    options: CalibrationOptions, first_light: Mapping[str, Any] | None, draft: TwinDraft
) -> CalibrationOptions:
    """Return the options, without the baselines on which the Sun is seen where the check of the raw files found it."""
    shortest = max(options.min_uv_klambda, options.sun_min_uv_klambda)
    if "sun" not in (first_light or {}).get("refuted", ()) or shortest == options.min_uv_klambda:
        return options
    draft.notes.append(f"the Sun is in the data: solved on baselines above {shortest:g} klambda")
    return options.model_copy(update={"min_uv_klambda": shortest})


def _use_reference_files(
    draft: TwinDraft, options: CalibrationOptions, beam: BeamOptions, calibrator: str | None
) -> None:
    """Record the list of the calibrator that is solved on, and the beam cube, as inputs where they are files.

    What is solved on the catalogue's sky reads no list of calibrators.
    """
    if calibrator is not None and options.calibrators != "builtin":
        draft.use_file("calibrators", options.calibrators)
    draft.use_file("beam_cube", beam.cube)


def _parameters(calibrator: str | None, options: CalibrationOptions, beam: BeamOptions) -> dict[str, Any]:
    """Return the parameters that the calibration's twin records."""
    return {
        "calibrator": calibrator,
        "calibration": used_options("solve_calibration", "calibration", options),
        "beam": used_options("solve_calibration", "beam", beam),
    }


def _solve(job: SolvingJob, tile: Twin, calibrator: str | None, bandpass: Path | None) -> tuple[SolvedTable, ...]:
    """Solve on the calibrator, or gains on top of the bandpass; empty, with a reason, where that is not possible."""
    if tile.verdict == "failed":
        job.draft.fail("tile_failed", f"tile {tile.id} is failed: {tile.reasons[0].message}")
        return ()
    if calibrator is not None:
        return solve_on_calibrator(job, calibrator)
    return solve_bandpass_on_field(job) if bandpass is None else solve_on_field(job, bandpass)


def _judge(job: SolvingJob, tables: tuple[SolvedTable, ...], previous: Path | None) -> plots.Before | None:
    """Judge what was solved; a bandpass also against the certified one before it, whose gains are returned."""
    before = None
    draft, is_bandpass = job.draft, job.draft.facts["type"] == "bandpass"
    if is_bandpass:
        draft.qa["gain_error"] = _gain_error(draft)
        before = _compare(job, tables, previous)
    draft.reasons += gates.judge("calibration", draft.qa, {"calibration": job.options})
    if is_bandpass:
        draft.facts["outcome"] = "not solved" if draft.failed else "solved"
    return before


def _gain_error(draft: TwinDraft) -> float | None:
    """Return the expected error of the bandpass's gains; see `gain_error`."""
    error = expected_gain_error(
        draft.qa.get("snr_median_B") or 0.0,
        draft.qa.get("field_model_error") or 0.0,
        n_antennas=draft.qa.get("antennas_with_data") or 0,
        n_channels=draft.facts.get("n_channels") or 0,
        n_subbands=len(draft.qa.get("lost_by_subband") or ()),
    )
    return None if error is None else float(f"{error:.4g}")


def _compare(job: SolvingJob, tables: tuple[SolvedTable, ...], previous: Path | None) -> plots.Before | None:
    """Compare a bandpass with the certified one before it, and return that one's gains.

    What it was compared with is a fact, not an input: the solutions do not depend on it, and they are not out of date
    when the calibration before is made again.
    """
    draft = job.draft
    draft.facts["compared_with"] = None
    if previous is None:
        draft.notes.append("no certified bandpass before it in reach: compared with none")
        return None
    twin, record = read_product(previous)
    before = CalibrationSet.beside(twin, previous)
    draft.facts["compared_with"] = {"id": twin.id, "sha256": record.sha256}
    _, bandpass, gains = (table.solutions for table in tables)
    old = BandpassAndGains(before.solutions("B"), before.solutions("G"))
    changes = compare_with_previous(BandpassAndGains(bandpass, gains), old, job.options)
    if changes is None:
        draft.notes.append(f"no antenna has solutions here and in {twin.id}: not compared with it")
    draft.qa |= changes or NOT_COMPARED
    changed = named_above(draft.qa["bandpass_change_by_subband"], job.options.max_subband_change, ".0%")
    if changed:
        draft.notes.append(f"subbands whose amplitude changed since {twin.id}: {changed}")
    return plots.Before(twin.id, old.gains)
