"""Rule image_tile: Stokes I images of one calibrated tile, apparent and corrected for its effective primary beam."""

from __future__ import annotations

import logging
import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from contimg import measurement_set, naming
from contimg.config import BeamOptions, ImageOptions, QaOptions
from contimg.config.used_keys import used_options
from contimg.imaging import fits_output, limits, wsclean
from contimg.imaging.checks import beam_and_geometry, image_quality
from contimg.imaging.checks.catalogue import ApparentImage, compare
from contimg.imaging.checks.gain_noise import Baselines, GainErrors, gain_noise_jy
from contimg.imaging.imager import make_image
from contimg.imaging.imager_result import ImagerResult, NoRestoringBeam
from contimg.imaging.prepare import ImagingJob, PreparedTile, Unusable, prepare
from contimg.imaging.tile_data import TileData
from contimg.imaging.tile_products import FinishedTile, write_products
from contimg.imaging.transforms.wgridder import Gridder
from contimg.imaging.visibilities.weights import expected_rms
from contimg.measurement_set import Coordinates
from contimg.products import gates
from contimg.products.draft import TwinDraft
from contimg.products.twin import Twin
from contimg.sky.primary_beam import measured_beam
from contimg.statistics import interpolated_peak, robust_sigma

_LOG = logging.getLogger(__name__)

# Facts of the calibrated tile that its image hands on.
_INHERITED = (
    "phase_centre_deg", "dec_app_deg", "telescope", "n_antennas", "n_subbands", "missing_subbands",
    "bandpass", "gains", "calibrator", "flux_anchor", "gain_error", "primary_beam", "applied_delays_sha256",
    "antenna_order_sha256",
    "sun", "clock_epoch",
)  # fmt: skip
THRESHOLDS = QaOptions()
_LIBRARIES = ("numpy", "scipy", "ducc0", "radler", "astropy", "python-casacore")


# One parameter for each input, output and section of the configuration of the rule.
def image_tile(
    calibrated: Path,
    calibrated_twin: Path,
    output: Path,
    twin: Path,
    *,
    tile_id: str,
    options: ImageOptions,
    beam: BeamOptions,
    catalogue: Path | None,
    threads: int,
    qa: QaOptions = THRESHOLDS,
) -> Twin:
    """Image a calibrated tile.

    Parameters
    ----------
    calibrated, calibrated_twin : Path
        The calibrated Measurement Set and its twin.
    output : Path
        Folder for ``<stem>.{image,pb,pbcor,residual,model,psf}.fits`` and ``<stem>.png``, with channel
        groups ``<stem>.alpha.fits`` and ``<stem>.group<n>.{image,pb}.fits`` too; empty without usable data.
    twin : Path
    tile_id : str
    options : ImageOptions
    beam : BeamOptions
        Where it says ``auto``, the beam that the tile's bandpass calibration measured is taken.
    catalogue : Path, optional
        Sky catalogue that provides spectral indices of bright sources, and that the image is compared with.
    threads : int
    qa : QaOptions
        The thresholds of the verdict; those of an untouched configuration by default.

    Returns
    -------
    Twin
        ``qa.rms_mjy`` is 1.4826 MAD over all pixels of the apparent image; ``qa.radiometer_rms_mjy`` follows from the
        scatter of the visibilities (see `weights.expected_rms`), ``qa.gain_rms_mjy`` from the errors of the bandpass
        (see `gain_noise`), and ``qa.expected_rms_mjy`` is both.

    Raises
    ------
    ConfigError
        If ``image.backend`` is not installed or cannot do what is asked, or the image is too large.
    InputError
        If the catalogue, the beam cube or the Measurement Set cannot be read.
    """
    _check(options)
    draft = TwinDraft("image", naming.iso(tile_id))
    source = draft.use(calibrated_twin)
    draft.facts = {key: source.facts[key] for key in _INHERITED if key in source.facts}
    beam = _measured_beam(beam, draft) if any(beam.measures) else beam
    job = ImagingJob(calibrated, source, naming.iso(tile_id), options, beam, catalogue, qa, threads)
    with draft.product(output) as folder:
        folder.mkdir()
        _image_or_record(job, folder, draft)
    draft.use_file("beam_cube", beam.cube)
    draft.use_file("catalogue", catalogue)
    sections = {"image": options, "beam": beam}
    parameters = {name: used_options("image_tile", name, section) for name, section in sections.items()}
    return draft.write(twin, parameters=parameters, libraries=_LIBRARIES, judged_by={"qa": qa})


def _measured_beam(beam: BeamOptions, draft: TwinDraft) -> BeamOptions:
    """Return the beam that the tile's bandpass calibration measured; where there is none, the nominal one, and warn."""
    found = draft.facts.get("primary_beam") or {}
    if "offset_deg" not in found:
        why = found.get("problem", "its bandpass was solved without measuring it: solve it again")
        draft.warn("beam_not_measured", f"the beam is the nominal one, as it was not measured: {why}")
    return measured_beam(beam, draft.facts)


def _check(options: ImageOptions) -> None:
    """Refuse what cannot be imaged, before anything is read."""
    limits.check_size(options)
    if options.backend == "wsclean":
        wsclean.check(options)


def _image_or_record(job: ImagingJob, folder: Path, draft: TwinDraft) -> None:
    """Image a tile into a folder, or record in the draft of its twin why it cannot be imaged."""
    try:
        coordinates = _read_coordinates(job)
        draft.synthetic = draft.synthetic or coordinates.synthetic
        _image(job, folder, prepare(job, coordinates), draft)
    except Unusable as unusable:
        unusable.record(draft)


def _read_coordinates(job: ImagingJob) -> Coordinates:
    """Return the coordinates of the calibrated tile.

    Raises
    ------
    Unusable
        If its calibration failed, or it has no rows.
    """
    if job.source.verdict == "failed":
        codes = ", ".join(reason.code for reason in job.source.reasons) or "no reason given"
        raise Unusable("calibration_failed", f"the calibrated tile failed ({codes})")
    if measurement_set.count_rows(job.ms) == 0:
        raise Unusable("no_data", "the tile's Measurement Set has no rows")
    return measurement_set.read_coordinates(job.ms)


def _image(job: ImagingJob, folder: Path, tile: PreparedTile, draft: TwinDraft) -> None:
    """Deconvolve a prepared tile, measure and judge the image, and write its products.

    Raises
    ------
    Unusable
        If there is no restoring beam, or CLEAN diverged.
    """
    _LOG.info(
        "prepared: %d samples, image of %d pixels, expected noise %.4g mJy/beam",
        tile.facts["n_samples"], tile.grid.size_px, 1e3 * (tile.expected_jy or 0),
    )  # fmt: skip
    imaged = _deconvolve(job, folder, tile)
    facts = tile.facts | _selfcal_facts(job, tile) | imaged.facts
    if isinstance(imaged, NoRestoringBeam):
        message = "no restoring beam can be fitted to the point spread function"
        raise Unusable("beam_fit", message, facts, tile.qa)
    if imaged.diverged:
        message = "no components of CLEAN bring the model closer to the visibilities"
        if not job.qa.commissioning:
            raise Unusable("deconvolution_diverged", message, facts, tile.qa, imaged.notes)
        draft.warn("deconvolution_diverged", message)
    counts = [f"{facts[key]} {key.replace('_', ' ')}" for key in ("iterations", "major_cycles") if key in facts]
    _LOG.info("deconvolved: %s", ", ".join(counts) or job.options.backend)
    # After self-calibration: differences of the correlations that were due to their gains are no noise.
    expected_jy = tile.expected_jy if tile.selfcal is None else expected_rms(tile.samples, tile.weight)
    qa = tile.qa | _measured(imaged, expected_jy, _gain_noise_jy(job, tile, facts, imaged)) | imaged.gains
    qa |= image_quality.measure(imaged.image, imaged.residual, imaged.psf, imaged.beam, tile.grid.cell_rad)
    qa |= beam_and_geometry.measure(tile.coordinates, tile.sums, tile.response, job.beam)
    pb = tile.attenuation.image()
    compared = None
    if tile.catalogue is not None:
        plane = ApparentImage(imaged.image, pb, tile.grid, imaged.beam, qa["rms_mjy"] / 1e3, tile.freq_hz)
        compared = compare(plane, job.options.pb_limit, tile.catalogue)
        qa |= compared.numbers(job.qa.min_matches)
    draft.facts |= facts | _file_facts(job, imaged)
    draft.qa |= qa
    draft.notes += [*imaged.notes, *(tile.catalogue.notes if tile.catalogue is not None else ())]
    draft.reasons += gates.judge("image", qa, {"qa": job.qa})
    _name_sun(draft)
    write_products(folder, FinishedTile(job, tile, imaged, pb, compared), draft)


def _name_sun(draft: TwinDraft) -> None:
    """Say that the Sun is in the data where it was found: as a reason where the noise is too high, else as a note."""
    if not draft.facts.get("sun_in_data"):
        return
    shortest = draft.facts["min_uv_klambda"]
    message = (
        f"the Sun is in the data, {draft.qa['sun_jy']:g} Jy apparent: baselines below {shortest:g} klambda left out"
    )
    if any(reason.code == "noise_ratio_high" for reason in draft.reasons):
        draft.warn("sun", message, draft.qa["sun_jy"])
    else:
        draft.notes.append(message)


def _file_facts(job: ImagingJob, imaged: ImagerResult) -> dict[str, Any]:
    """Return names and restoring beam of the planes, and frequencies of the channel groups."""
    return {
        "files": fits_output.file_names(naming.stem(job.tile_id), len(imaged.groups)),
        "groups": [
            {"freq_hz": round(group.freq_hz, 3), "bandwidth_hz": round(group.bandwidth_hz, 3)}
            for group in imaged.groups
        ],
        "beam": imaged.beam.facts(),
    }


def _deconvolve(job: ImagingJob, folder: Path, tile: PreparedTile) -> ImagerResult | NoRestoringBeam:
    """Image a prepared tile with the imager that was asked for."""
    if job.options.backend == "wsclean":
        with tempfile.TemporaryDirectory(prefix="wsclean-", dir=folder) as scratch:
            return wsclean.make_image(job.ms, Path(scratch), tile.grid, job.options, job.threads)
    data = TileData(
        coordinates=tile.coordinates,
        samples=tile.samples,
        sums=tile.sums,
        gridder=Gridder(tile.samples, tile.weight, tile.grid, job.threads),
        response=tile.attenuation,
        options=job.options,
        beam=job.beam,
        catalogue=tile.catalogue,
        freq_hz=tile.freq_hz,
        smearing=tile.smearing_map,
    )
    return make_image(data, tile.expected_jy or 0.0, tile.selfcal)


def _selfcal_facts(job: ImagingJob, tile: PreparedTile) -> dict[str, Any]:
    """Return what self-calibration did, for the twin; nothing for WSClean, which has none."""
    if job.options.backend != "contimg":
        return {}
    return {"selfcal": {"applied": False, "why": "switched off"} if tile.selfcal is None else tile.selfcal.facts()}


def _gain_noise_jy(job: ImagingJob, tile: PreparedTile, facts: dict[str, Any], imaged: ImagerResult) -> float | None:
    """Return the noise that errors of the gains leave beside bright sources; None where these are not known.

    Without known bright sources the image's brightest pixel stands for them.
    """
    bandpass = job.source.facts.get("gain_error")
    if bandpass is None:
        return None
    errors = GainErrors(bandpass, imaged.gains.get("antenna_gain_scatter") or 0.0, _phase_error(facts))
    bright = facts.get("bright_sources", ())
    if bright:
        apparent_jy = np.array([one["apparent_jy"] for one in bright])
        places = np.radians([(one["ra_deg"], one["dec_deg"]) for one in bright]).T
        directions = np.stack(tile.grid.radec_cosines(*places), axis=1)
    else:
        y, x = np.unravel_index(int(np.argmax(imaged.image)), imaged.image.shape)
        apparent_jy = np.array([float(imaged.image[y, x])])
        directions = np.stack(tile.grid.cosines([x], [y]), axis=1)
    baselines = Baselines.of(tile.coordinates, tile.samples, tile.weight)
    return gain_noise_jy(errors, apparent_jy, directions, baselines, tile.grid)


def _phase_error(facts: dict[str, Any]) -> float:
    """Return the error of the antennas' phases (rad) that self-calibration left, or saw and did not improve."""
    found = facts.get("selfcal", {})
    error_deg = found.get("phase_error_deg")
    if error_deg is None:
        return 0.0
    if found["applied"]:
        return math.radians(error_deg)
    return math.radians(math.sqrt(max(0.0, found["phase_rms_deg"] ** 2 - error_deg**2)))


def _measured(imaged: ImagerResult, radiometer_jy: float | None, gains_jy: float | None) -> dict[str, Any]:
    """Return noise, highest and lowest pixel and dynamic range (of the peak between pixels), for the twin's ``qa``."""
    y, x = np.unravel_index(int(imaged.image.argmax()), imaged.image.shape)
    highest_jy, rms_jy = float(imaged.image[y, x]), robust_sigma(imaged.image)
    peak_jy = interpolated_peak(imaged.image, int(y), int(x))
    expected_jy = math.hypot(radiometer_jy, gains_jy or 0.0) if radiometer_jy else radiometer_jy
    return {
        "rms_mjy": round(rms_jy * 1e3, 6),
        "residual_rms_mjy": round(robust_sigma(imaged.residual) * 1e3, 6),
        "radiometer_rms_mjy": None if radiometer_jy is None else round(radiometer_jy * 1e3, 6),
        "gain_rms_mjy": None if gains_jy is None else round(gains_jy * 1e3, 6),
        "expected_rms_mjy": None if expected_jy is None else round(expected_jy * 1e3, 6),
        "noise_ratio": round(rms_jy / expected_jy, 5) if expected_jy else None,
        "peak_mjy": round(highest_jy * 1e3, 4),
        "min_mjy": round(float(np.min(imaged.image)) * 1e3, 4),
        "dynamic_range": round(peak_jy / rms_jy, 2) if rms_jy > 0 else None,
    }
