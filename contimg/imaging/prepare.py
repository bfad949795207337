"""From a calibrated Measurement Set to all that imaging needs: samples, weights, effective beam, smearing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.config import BeamOptions, ImageOptions, QaOptions
from contimg.correlator.band import subband_of_frequencies
from contimg.imaging import field_of_view, limits
from contimg.imaging.checks.sun import measure_sun
from contimg.imaging.checks.system_noise import measure_system_noise
from contimg.imaging.effective_beam import EffectiveBeam, effective_beam
from contimg.imaging.far.near_field import NearField
from contimg.imaging.far.peeling import Peeled, peel_far_sources
from contimg.imaging.grid import TileGrid, slant_of
from contimg.imaging.selfcal.selfcal import SelfCalibration
from contimg.imaging.visibilities import smearing
from contimg.imaging.visibilities.averaging import Averaged, averaging_factors, read_averaged
from contimg.imaging.visibilities.samples import Samples, stokes_i
from contimg.imaging.visibilities.smearing import SmearingMap, measure_smearing
from contimg.imaging.visibilities.weights import expected_rms, imaging_weights, time_channel_weights
from contimg.measurement_set import Coordinates
from contimg.products.draft import TwinDraft
from contimg.products.twin import Twin
from contimg.sky.catalogue import Catalogue, read_catalogue

# Two antennas are one baseline, whose fringes are no image.
_MIN_ANTENNAS = 3
# Catalogue sources are used out to the second null of the beam, 5.7 deg off the axis.
_SIDELOBES_DEG = 10.0


@dataclass(frozen=True)
class ImagingJob:
    """What is to be imaged, and how.

    Attributes
    ----------
    ms : Path
        Calibrated Measurement Set.
    source : Twin
        Its twin.
    tile_id : str
    options : ImageOptions
    beam : BeamOptions
    catalogue : Path or None
    qa : QaOptions
    threads : int
    """

    ms: Path
    source: Twin
    tile_id: str
    options: ImageOptions
    beam: BeamOptions
    catalogue: Path | None
    qa: QaOptions
    threads: int


class Unusable(Exception):
    """A tile cannot be imaged; the verdict is failed.

    Attributes
    ----------
    code, message : str
        Of the reason.
    facts, qa : dict
        What is known of the tile all the same, for its twin.
    notes : list of str
    """

    def __init__(
        self,
        code: str,
        message: str,
        facts: dict[str, Any] | None = None,
        qa: dict[str, Any] | None = None,
        notes: list[str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code, self.message = code, message
        self.facts, self.qa, self.notes = facts or {}, qa or {}, notes or []

    def record(self, draft: TwinDraft) -> None:
        """Write what is known of the tile into the draft of its twin."""
        draft.facts |= self.facts
        draft.qa |= self.qa
        draft.notes += self.notes
        draft.fail(self.code, self.message)


@dataclass(frozen=True)
class PreparedTile:
    """A tile that is ready for imaging.

    Attributes
    ----------
    coordinates : Coordinates
        Of the averaged rows.
    grid : TileGrid
    samples : Samples
    weight : (nrow, width) float32
        Imaging weights.
    sums : (ntime, nchan) float64
        Sums of the imaging weights per integration and channel.
    response : EffectiveBeam
        The primary beam alone.
    attenuation : EffectiveBeam
        The primary beam times what smearing leaves, if that is corrected.
    smearing_map : SmearingMap or None
    selfcal : SelfCalibration or None
    catalogue : Catalogue or None
    expected_jy : float or None
        Expected noise of the image (Jy/beam).
    facts, qa : dict
        What was found, for the twin.
    """

    coordinates: Coordinates
    grid: TileGrid
    samples: Samples
    weight: NDArray[np.float32]
    sums: NDArray[np.float64]
    response: EffectiveBeam
    attenuation: EffectiveBeam
    smearing_map: SmearingMap | None
    selfcal: SelfCalibration | None
    catalogue: Catalogue | None
    expected_jy: float | None
    facts: dict[str, Any]
    qa: dict[str, Any]

    @property
    def freq_hz(self) -> float:
        """Effective frequency of the image (Hz)."""
        return float(self.facts["freq_hz"])


def _peel(job: ImagingJob, vis: Averaged, catalogue: Catalogue | None) -> list[Peeled]:
    near = None if catalogue is None else NearField.of(catalogue, vis, job.beam)
    return peel_far_sources(vis, near)


def prepare(job: ImagingJob, coordinates: Coordinates) -> PreparedTile:
    """Read a tile and prepare it for imaging.

    Parameters
    ----------
    job : ImagingJob
    coordinates : Coordinates
        Of the Measurement Set.

    Raises
    ------
    Unusable
        If it has no usable data, or is of another telescope.
    ConfigError
        If the image is too large.
    """
    if wrong := limits.wrong_telescope(coordinates):
        raise Unusable("wrong_telescope", wrong)
    options = job.options
    grid = _grid(job, coordinates)
    catalogue = None if job.catalogue is None else read_catalogue(job.catalogue, near=_surroundings(coordinates, grid))
    radius_rad = field_of_view.field_radius(coordinates, grid, job.beam, options.pb_limit)
    factor = averaging_factors(coordinates, radius_rad, options.max_averaging_loss, options.channel_groups)
    vis = read_averaged(job.ms, coordinates, factor)
    peeled = _peel(job, vis, catalogue) if options.peels else []
    facts: dict[str, Any] = {"smearing": smearing.facts(coordinates, radius_rad, factor)}
    qa: dict[str, Any] = {"flagged_fraction": vis.flagged_fraction}
    samples = stokes_i(vis, job.threads)
    if why := _too_little(vis, samples):
        raise Unusable(*why, facts, qa)
    qa |= measure_system_noise(vis, samples, calibrated_weights=bool(job.source.facts.get("inverse_variance_weights")))
    coordinates = Coordinates(**{f.name: getattr(vis, f.name) for f in fields(Coordinates)})
    options, found = _without_sun(job, coordinates, samples, peeled)
    qa |= found
    facts |= _far_facts(job, options, peeled)
    weight = imaging_weights(samples, grid, options)
    if not weight.any():
        raise Unusable("no_data", "the tile has no unflagged visibility beyond image.min_uv_klambda", facts, qa)
    sums = time_channel_weights(samples, weight, len(coordinates.times_mjd_s), vis.usable)
    qa |= _lost(coordinates, sums, job.source)
    response = effective_beam(coordinates.pointing_rad, sums, coordinates.freq_hz, grid, job.beam)
    corrected = _corrects_smearing(job, coordinates)
    smearing_map = measure_smearing(coordinates, samples, weight, grid) if corrected else None
    facts["smearing"]["corrected"] = corrected
    facts |= _observed(coordinates, sums, grid, response) | {"n_samples": int(np.count_nonzero(samples.weight))}
    wanted = options.backend == "contimg" and options.selfcal.rounds > 0
    return PreparedTile(
        coordinates=coordinates,
        grid=grid,
        samples=samples,
        weight=weight,
        sums=sums,
        response=response,
        attenuation=response if smearing_map is None else smearing_map.attenuate(response),
        smearing_map=smearing_map,
        # It holds the visibilities; without it they are released here.
        selfcal=SelfCalibration(vis, samples, weight, options.selfcal) if wanted else None,
        catalogue=catalogue,
        expected_jy=expected_rms(samples, weight),
        facts=facts,
        qa=qa,
    )


def _without_sun(
    job: ImagingJob, coordinates: Coordinates, samples: Samples, peeled: Sequence[Peeled]
) -> tuple[ImageOptions, dict[str, float | None]]:
    """Look for the Sun by day.

    Returns
    -------
    options : ImageOptions
        Without the baselines on which the Sun is seen, where it is found; else the job's own.
    qa : dict
        Its apparent flux density, of tiles of the day: what was subtracted, or else what is in the data.
    """
    options, sun = job.options, (job.source.facts.get("sun") or {})
    if not sun.get("daytime"):
        return options, {}
    seen = measure_sun(coordinates, samples)
    subtracted = [float(one.apparent_jy.mean()) for one in peeled if one.name == "Sun"]
    apparent_jy = subtracted[0] if subtracted else None if seen is None else seen.apparent_jy
    qa = {"sun_jy": None if apparent_jy is None else round(apparent_jy, 2)}
    found = bool(subtracted) or (seen is not None and seen.detected)
    if not found or options.backend != "contimg":
        return options, qa
    shortest = max(options.min_uv_klambda, options.sun_min_uv_klambda)
    return options.model_copy(update={"min_uv_klambda": shortest}), qa


def _far_facts(job: ImagingJob, options: ImageOptions, peeled: Sequence[Peeled]) -> dict[str, Any]:
    """Return what was subtracted of sources in far sidelobes, and which baselines are imaged."""
    return {
        "far_sources": [one.facts() for one in peeled],
        "min_uv_klambda": options.min_uv_klambda,
        "sun_in_data": options is not job.options,
    }


def _surroundings(coordinates: Coordinates, grid: TileGrid) -> tuple[float, float, float]:
    """Return direction and radius [deg] of the sky that a tile needs of its catalogue: its image and the sidelobes."""
    ra, dec = (math.degrees(angle) for angle in coordinates.pointing_rad[len(coordinates.pointing_rad) // 2])
    return ra, dec, max(_SIDELOBES_DEG, math.degrees(math.sqrt(2) * grid.size_px * grid.cell_rad))


def _grid(job: ImagingJob, coordinates: Coordinates) -> TileGrid:
    """Return the pixels of the image, by default as many as the beam covers above its limit."""
    options = job.options
    ra, dec = (float(angle) for angle in coordinates.phase_centre_rad)
    cell_rad = math.radians(options.cell_arcsec / 3600)
    size_px = options.size_px or field_of_view.fitting_size(coordinates, cell_rad, job.beam, options.pb_limit)
    limits.check_size(options, size_px)
    slant = slant_of(coordinates.uvw_m) if options.backend == "contimg" else (0.0, 0.0)
    return TileGrid(size_px, cell_rad, (ra, dec), slant)


def _too_little(vis: Averaged, samples: Samples) -> tuple[str, str] | None:
    """Return code and message of why there are too few data for an image; None if there are enough."""
    if not samples.weight.any():
        return "no_data", "the tile has no unflagged visibility"
    antennas = np.union1d(vis.antenna1[samples.rows], vis.antenna2[samples.rows])
    if len(antennas) < _MIN_ANTENNAS:
        return "too_few_antennas", f"{len(antennas)} antennas have unflagged data: a sky takes {_MIN_ANTENNAS}"
    return None


def _corrects_smearing(job: ImagingJob, coordinates: Coordinates) -> bool:
    """Return whether smearing is corrected: as the options say, else for data of the telescope.

    Simulated nights have no smearing unless they are asked for it.
    """
    if job.options.smearing is not None:
        return job.options.smearing
    return not (job.source.synthetic or coordinates.synthetic)


def _lost(coordinates: Coordinates, sums: NDArray[np.float64], source: Twin) -> dict[str, Any]:
    """Return how much came of which nothing is left: a fraction of the integrations, and subbands by name.

    What the calibrator's tile lacks was not lost here, and cannot be calibrated: twins name it as missing there.
    """
    missing = [*source.facts.get("missing_subbands", ()), *source.facts.get("uncalibrated_subbands", ())]
    band = np.array([subband_of_frequencies(np.array([freq])) for freq in coordinates.freq_hz])
    came = sorted(set(band.tolist()) - set(missing))
    lost = [f"sb{number:02d}" for number in came if not sums[:, band == number].any()]
    return {
        "lost_integrations": round(float(np.mean(~sums.any(1))), 5),
        "lost_subbands": len(lost),
        "lost_subbands_of": ", ".join(lost) or None,
    }


def _observed(
    coordinates: Coordinates, sums: NDArray[np.float64], grid: TileGrid, response: EffectiveBeam
) -> dict[str, Any]:
    """Return time, frequency and field of the integrations and channels that have weight in the image."""
    times = coordinates.times_mjd_s[sums.any(1)]
    channels = coordinates.freq_hz[sums.any(0)]
    half = coordinates.integration_s / 2
    start, end = (float(times[0] - half) / 86400, float(times[-1] + half) / 86400)
    ra, dec = grid.radec(*response.peak())
    width = coordinates.channel_width_hz
    return {
        "centre_deg": [math.degrees(grid.centre_rad[0]) % 360, math.degrees(grid.centre_rad[1])],
        "pb_peak_deg": [round(math.degrees(ra), 6), round(math.degrees(dec), 6)],
        "start_mjd": start,
        "end_mjd": end,
        "mid_mjd": (start + end) / 2,
        "n_times": len(times),
        "n_channels": len(channels),
        "freq_hz": round(float(sums.sum(0) @ coordinates.freq_hz / sums.sum()), 3),
        "bandwidth_hz": round(len(channels) * width, 3),
        "band_hz": [float(channels[0] - width / 2), float(channels[-1] + width / 2)],
        "size_px": grid.size_px,
        "cell_arcsec": round(math.degrees(grid.cell_rad) * 3600, 9),
    }
