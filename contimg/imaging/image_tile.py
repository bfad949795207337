"""Tile images: Stokes I of one calibrated tile, with its effective beam, in apparent and true brightness."""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg import measurement_set, naming
from contimg.config import BeamOptions, ImageOptions, QaOptions
from contimg.imaging import field_of_view, fits_output, limits, wsclean
from contimg.imaging.checks import beam_and_geometry, image_quality
from contimg.imaging.checks.catalogue import Comparison, compare
from contimg.imaging.clean.channel_groups import spectral_index
from contimg.imaging.effective_beam import EffectiveBeam, effective_beam
from contimg.imaging.grid import Grid
from contimg.imaging.imager import Imaged, make_image
from contimg.imaging.imaging_data import Tile
from contimg.imaging.selfcal.selfcal import SelfCalibration
from contimg.imaging.transforms.wgridder import Gridder
from contimg.imaging.visibilities import averaging, smearing
from contimg.imaging.visibilities.samples import stokes_i
from contimg.imaging.visibilities.smearing import measure_coherence
from contimg.imaging.visibilities.weights import expected_rms, imaging_weights, time_channel_weights
from contimg.measurement_set import Coordinates
from contimg.products import gates
from contimg.products.draft import TwinDraft
from contimg.products.twin import (
    Twin,
    twin_digest,
)
from contimg.sky.catalogue import Catalogue, read_catalogue
from contimg.statistics import robust_sigma

# Facts of the calibrated tile that its image hands on.
_INHERITED = (
    "phase_centre_deg", "dec_app_deg", "telescope", "n_antennas", "n_subbands", "missing_subbands",
    "bandpass", "gains", "calibrator", "flux_anchor", "applied_delays_sha256", "antenna_order_sha256",
)  # fmt: skip
# Two are one fringe.
_MIN_ANTENNAS = 3
THRESHOLDS = QaOptions()
_LIBRARIES = ("numpy", "scipy", "ducc0", "radler", "astropy", "python-casacore")


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
        Folder that takes ``<stem>.{image,pb,pbcor,residual,model,psf}.fits`` and ``<stem>.png``, with channel
        groups ``<stem>.alpha.fits`` and ``<stem>.group<n>.{image,pb}.fits`` too; empty when the verdict is
        failed for want of data.
    twin : Path
    tile_id : str
    options : ImageOptions
    beam : BeamOptions
    catalogue : Path, optional
        Sky catalogue that lends bright sources their spectral indices, and that the image is compared with.
    threads : int
    qa : QaOptions
        The thresholds of the verdict; those of an untouched configuration by default.

    Returns
    -------
    Twin
        ``qa.rms_mjy`` is 1.4826 MAD over all pixels of the apparent image; ``qa.expected_rms_mjy``
        follows from the visibilities' own scatter (see `weights.expected_rms`).

    Raises
    ------
    ConfigError
        If ``image.backend`` is not installed or cannot do what is asked, or the image is too large.
    """
    limits.check_size(options)
    if options.backend == "wsclean":
        wsclean.check(options)
    made = TwinDraft("image", naming.iso(tile_id))
    source = made.use(calibrated_twin)
    job = _Job(calibrated, naming.iso(tile_id), options, beam, catalogue, qa, threads, source)
    made.facts |= {key: source.facts[key] for key in _INHERITED if key in source.facts}
    with made.product(output) as folder:
        folder.mkdir()
        if source.verdict == "failed":
            codes = ", ".join(reason.code for reason in source.reasons) or "no reason given"
            made.fail("calibration_failed", f"the calibrated tile failed ({codes})")
        else:
            _image(job, folder, made)
    made.use_file("beam_cube", beam.cube)
    made.use_file("catalogue", catalogue)
    return made.write(
        twin,
        parameters={
            "image": options.model_dump(mode="json"),
            "beam": beam.model_dump(mode="json"),
            "qa": qa.model_dump(mode="json"),
        },
        libraries=_LIBRARIES,
    )


@dataclass(frozen=True)
class _Job:
    """What is asked for."""

    ms: Path
    tile_id: str
    options: ImageOptions
    beam: BeamOptions
    catalogue: Path | None
    qa: QaOptions
    threads: int
    source: Twin


def _image(job: _Job, folder: Path, made: TwinDraft) -> None:
    """Image a Measurement Set into a folder."""
    if measurement_set.count_rows(job.ms) == 0:
        return made.fail("no_data", "the tile's Measurement Set has no rows")
    options, coordinates = job.options, measurement_set.read_coordinates(job.ms)
    if wrong := limits.wrong_telescope(coordinates):
        return made.fail("wrong_telescope", wrong)
    known = None if job.catalogue is None else read_catalogue(job.catalogue)
    ra, dec = (float(angle) for angle in coordinates.phase_centre_rad)
    cell_rad = math.radians(options.cell_arcsec / 3600)
    size_px = options.size_px or field_of_view.fitting_size(coordinates, cell_rad, job.beam, options.pb_limit)
    limits.check_size(options, size_px)
    grid = Grid(size_px, cell_rad, (ra, dec))
    made.synthetic = job.source.synthetic or coordinates.synthetic
    radius_rad = field_of_view.field_radius(coordinates, grid, job.beam, options.pb_limit)
    factor = averaging.factors(coordinates, radius_rad, options.max_averaging_loss)
    vis = averaging.read(job.ms, coordinates, factor)
    made.facts["smearing"] = smearing.facts(coordinates, radius_rad, factor)
    made.qa["flagged_fraction"] = vis.flagged_fraction
    samples = stokes_i(vis, job.threads)
    if not samples.weight.any():
        return made.fail("no_data", "the tile has no unflagged visibility")
    antennas = np.union1d(vis.antenna1[samples.rows], vis.antenna2[samples.rows])
    if len(antennas) < _MIN_ANTENNAS:
        message = f"{len(antennas)} antennas have unflagged data: a sky takes {_MIN_ANTENNAS}"
        return made.fail("too_few_antennas", message)
    coordinates = Coordinates(**{f.name: getattr(vis, f.name) for f in fields(Coordinates)})
    weight = imaging_weights(samples, grid, options)
    if not weight.any():
        return made.fail("no_data", "the tile has no unflagged visibility beyond image.min_uv_klambda")
    sums = time_channel_weights(samples, weight, len(coordinates.times_mjd_s), vis.usable)
    response = effective_beam(coordinates.pointing_rad, sums, coordinates.freq_hz, grid, job.beam)
    wanted = not made.synthetic if options.smearing is None else options.smearing
    coherence = measure_coherence(coordinates, samples, weight, grid) if wanted else None
    seen = response if coherence is None else coherence.dim(response)
    made.facts["smearing"]["corrected"] = wanted
    expected_jy = expected_rms(samples, weight)
    made.facts |= _observed(coordinates, sums, grid, response) | {"n_samples": int(np.count_nonzero(samples.weight))}
    if options.backend == "wsclean":
        with tempfile.TemporaryDirectory(prefix="wsclean-", dir=folder) as scratch:
            imaged = wsclean.make_image(job.ms, Path(scratch), grid, options, job.threads)
    else:
        tile = Tile(
            coordinates, samples, sums, Gridder(samples, weight, grid, job.threads), seen, options, job.beam, known,
            made.facts["freq_hz"], coherence,
        )  # fmt: skip
        selfcal = SelfCalibration(vis, samples, weight, options.selfcal) if options.selfcal.rounds else None
        del vis
        imaged = make_image(tile, expected_jy or 0.0, selfcal)
        if selfcal is None:
            made.facts["selfcal"] = {"applied": False, "why": "switched off"}
        elif imaged.beam is not None:
            made.facts["selfcal"] = selfcal.facts()
            # What the hands differ by because of their phases is no noise.
            expected_jy = expected_rms(samples, weight)
    made.facts |= imaged.facts
    made.notes += imaged.notes
    if imaged.beam is None:
        return made.fail("beam_fit", "no restoring beam can be fitted to the point spread function")
    if imaged.diverged:
        return made.fail("deconvolution_diverged", "CLEAN made the residual brighter than the dirty image")
    made.qa |= _measured(imaged, expected_jy) | image_quality.measure(
        imaged.image, imaged.residual, imaged.psf, imaged.beam, grid.cell_rad
    )
    made.qa |= beam_and_geometry.measure(coordinates, sums, response, job.beam)
    compared = _compare(job, imaged, seen.image(), grid, known, made)
    made.reasons += gates.judge("image", made.qa, {"qa": job.qa})
    made.facts["files"] = fits_output.file_names(naming.stem(job.tile_id), len(imaged.groups))
    made.facts["groups"] = [
        {"freq_hz": round(group.freq_hz, 3), "bandwidth_hz": round(group.bandwidth_hz, 3)} for group in imaged.groups
    ]
    made.facts["beam"] = imaged.beam.facts()
    _write(folder, job, imaged, seen.image(), grid, coordinates, compared, made)


def _compare(
    job: _Job,
    imaged: Imaged,
    pb: NDArray[np.float32],
    grid: Grid,
    known: Catalogue | None,
    made: TwinDraft,
) -> Comparison | None:
    """Compare the image with the catalogue, if there is one."""
    if known is None:
        return None
    found = compare(
        imaged.image, pb, grid, imaged.beam, made.qa["rms_mjy"] / 1e3, made.facts["freq_hz"],
        job.options.pb_limit, known,
    )  # fmt: skip
    made.qa |= found.numbers(job.qa.min_matches)
    return found


def _observed(vis: Coordinates, sums: NDArray[np.float64], grid: Grid, response: EffectiveBeam) -> dict[str, Any]:
    """Return what was observed, by what has weight in the image."""
    times = vis.times_mjd_s[sums.any(1)]
    channels = vis.freq_hz[sums.any(0)]
    half = vis.integration_s / 2
    start, end = (float(times[0] - half) / 86400, float(times[-1] + half) / 86400)
    ra, dec = grid.radec(*response.peak())
    width = vis.channel_width_hz
    return {
        "centre_deg": [math.degrees(grid.centre_rad[0]) % 360, math.degrees(grid.centre_rad[1])],
        "pb_peak_deg": [round(math.degrees(ra), 6), round(math.degrees(dec), 6)],
        "start_mjd": start,
        "end_mjd": end,
        "mid_mjd": (start + end) / 2,
        "n_times": len(times),
        "n_channels": len(channels),
        "freq_hz": round(float(sums.sum(0) @ vis.freq_hz / sums.sum()), 3),
        "bandwidth_hz": round(len(channels) * width, 3),
        "band_hz": [float(channels[0] - width / 2), float(channels[-1] + width / 2)],
        "size_px": grid.size_px,
        "cell_arcsec": round(math.degrees(grid.cell_rad) * 3600, 9),
    }


def _measured(imaged: Imaged, expected_jy: float | None) -> dict[str, Any]:
    peak_jy, rms_jy = float(imaged.image.max()), robust_sigma(imaged.image)
    return {
        "rms_mjy": round(rms_jy * 1e3, 6),
        "residual_rms_mjy": round(robust_sigma(imaged.residual) * 1e3, 6),
        "expected_rms_mjy": None if expected_jy is None else round(expected_jy * 1e3, 6),
        "noise_ratio": round(rms_jy / expected_jy, 5) if expected_jy else None,
        "peak_mjy": round(peak_jy * 1e3, 4),
        "min_mjy": round(float(imaged.image.min()) * 1e3, 4),
        "dynamic_range": round(peak_jy / rms_jy, 2) if rms_jy > 0 else None,
    }


def _history(source: Twin, options: ImageOptions) -> list[str]:
    lines = [f"calibrated tile {source.id} twin sha256 {twin_digest(source)[:32]}"]
    for key in ("bandpass", "gains", "flux_anchor"):
        lines.append(f"{key.replace('_', ' ')}: {source.facts.get(key) or 'not recorded'}")
    lines.append(f"imager: {options.backend}, Briggs {options.robust:g}, Stokes I, effective beam of the drift")
    return lines


def _write(
    folder: Path,
    job: _Job,
    imaged: Imaged,
    pb: NDArray[np.float32],
    grid: Grid,
    coordinates: Coordinates,
    compared: Comparison | None,
    made: TwinDraft,
) -> None:
    """Write the FITS files and the pictures."""
    from contimg.imaging import thumbnail
    from contimg.imaging.checks import plot

    facts = made.facts
    shared = fits_output.header(
        grid,
        fits_output.Described(
            tile_id=job.tile_id,
            telescope=coordinates.telescope,
            beam=imaged.beam,
            freq_hz=facts["freq_hz"],
            bandwidth_hz=facts["bandwidth_hz"],
            start_mjd=facts["start_mjd"],
            end_mjd=facts["end_mjd"],
            robust=job.options.robust,
            pb_limit=job.options.pb_limit,
            synthetic=made.synthetic,
            history=_history(job.source, job.options),
        ),
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        pbcor = np.where(pb >= job.options.pb_limit, imaged.image / pb, np.nan)
    planes = {
        "image": imaged.image, "pb": pb, "pbcor": pbcor,
        "residual": imaged.residual, "model": imaged.model, "psf": imaged.psf,
    }  # fmt: skip
    if imaged.groups:
        planes["alpha"] = spectral_index(imaged.groups, job.options.pb_limit)
    for name, data in planes.items():
        fits_output.write_fits(folder / facts["files"][name], name, data, shared)
    for number, group in enumerate(imaged.groups):
        own = fits_output.of_group(shared, group.freq_hz, group.bandwidth_hz)
        for name, data in (("image", group.image), ("pb", group.pb)):
            fits_output.write_fits(folder / facts["files"][f"group{number}.{name}"], name, data, own)
    thumbnail.draw(
        folder / facts["files"]["thumbnail"], imaged.image, pb, grid, imaged.beam, made.qa["rms_mjy"],
        title=job.tile_id, synthetic=made.synthetic,
    )  # fmt: skip
    plot.draw(
        folder / facts["files"]["quality"], imaged.residual, imaged.psf, imaged.beam, grid, compared, made.qa,
        title=job.tile_id, synthetic=made.synthetic,
    )  # fmt: skip
