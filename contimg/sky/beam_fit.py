"""Offset, width and flux scale of the primary beam, from the fluxes of catalogued sources in the tiles of a group.

A source drifts through the beam, so that neighbouring tiles see it at different offsets from the axis. If the true
beam differs from the one that the images were divided by, its flux depends on that offset: an offset of the beam to
the north gives a slope with declination, one to the east a slope along the tile, and another width a change from axis
to edge. The drift alone, without a catalogue, gives the offset to the east and the width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from contimg.config import BeamOptions
from contimg.errors import InputError
from contimg.sky.beam_cube import read_cube
from contimg.sky.catalogue import DEFAULT_REF_FREQ_HZ, DEFAULT_SPECTRAL_INDEX, Catalogue
from contimg.sky.common_errors import FluxErrors
from contimg.sky.constants import SIDEREAL_DAYS_PER_DAY
from contimg.sky.primary_beam import airy_response, beam_axes
from contimg.sky.spherical import unit_vectors
from contimg.statistics import RobustFit, robust_fit

MIN_SOURCES = 20
"""Least number of catalogued sources: the fit has five parameters, and some sources vary."""
_TIMES, _CHANNELS = 11, 5
# Fractional errors: of single fluxes, by the effective beam and the deconvolution; of a tile's gains; of the catalogue,
# which has another resolution, frequency and epoch. Where fluxes scatter more, all errors grow.
_FLUX_FLOOR, TILE_SCALE, CATALOGUE_ERROR = 0.005, 0.02, 0.05
_UNKNOWN_FLUX = 3.0  # of ln S: without a catalogue sources have any flux
_REACH_RAD = math.radians(5.0)  # sources further from a tile's centre are not in its image
_CROWDED_BEAMS, _CROWDED_FRACTION = 2.5, 0.03
_STEPS = np.array([0.01, 0.01, 0.01])  # deg, deg, and fraction of the width: small against the beam
_MAX_ITERATIONS, _SETTLED = 12, 1e-4
_FAINTEST = 1e-3  # floor of a model flux: trial beams may have a null at a source


@dataclass(frozen=True)
class TileFluxes:
    """Fluxes of the bright sources of a tile, as the beam that its image was divided by gives them.

    Attributes
    ----------
    tile : str
    start_mjd, end_mjd : float
        UTC (days).
    centre_deg : (float, float)
        ICRS direction of the dishes at the middle of the tile.
    freq_hz, bandwidth_hz : float
    beam_arcsec : float
        Restoring beam, geometric mean of the axes.
    ra_deg, dec_deg, flux_jy, e_flux_jy : (n,) float64
    divided_by : BeamOptions, optional
        The beam that the fluxes were divided by; None: that which the fit begins with.
    """

    tile: str
    start_mjd: float
    end_mjd: float
    centre_deg: tuple[float, float]
    freq_hz: float
    bandwidth_hz: float
    beam_arcsec: float
    ra_deg: NDArray[np.float64]
    dec_deg: NDArray[np.float64]
    flux_jy: NDArray[np.float64]
    e_flux_jy: NDArray[np.float64]
    divided_by: BeamOptions | None = None


@dataclass(frozen=True)
class BeamFit:
    """The beam on the sky, with standard errors ``e_...``.

    Attributes
    ----------
    east_deg, north_deg : float
        Offset of its axis from the pointing.
    fwhm_scale : float
        Its width over that of the pattern or cube.
    flux_scale : float
        Measured fluxes over those of the catalogue, once the beam is right.
    n_sources, n_fluxes : int
    scatter : float
        Of a flux about the fit, over what noise and catalogue were expected to give; 1 or larger.
    """

    east_deg: float
    e_east_deg: float
    north_deg: float
    e_north_deg: float
    fwhm_scale: float
    e_fwhm_scale: float
    flux_scale: float
    e_flux_scale: float
    n_sources: int
    n_fluxes: int
    scatter: float


def axes_during(tile: TileFluxes, beam: BeamOptions, n_times: int) -> NDArray[np.float64]:
    """Return unit vectors (times, 3) of the beam's axis at the middles of equal parts of a tile."""
    parts = (np.arange(n_times) + 0.5) / n_times - 0.5
    turn = 2 * math.pi * SIDEREAL_DAYS_PER_DAY * (tile.end_mjd - tile.start_mjd) * parts
    ra, dec = np.radians(tile.centre_deg)
    return beam_axes(np.stack([ra + turn, np.full(n_times, dec)], axis=1), beam)


def tile_response(
    tile: TileFluxes, ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64], beam: BeamOptions
) -> NDArray[np.float64]:
    """Return the power response (n, times, channels) to sources during a tile, at a few times and frequencies."""
    axes = axes_during(tile, beam, _TIMES)
    sources = unit_vectors(np.radians(np.stack([ra_deg, dec_deg], axis=1)))
    freq_hz = _frequencies(tile)
    if beam.cube is not None:
        cube = read_cube(beam.cube)
        return np.stack([cube.response(sources, axis, freq_hz, beam.width) for axis in axes], axis=1)
    chord = np.linalg.norm(sources[:, None] - axes[None], axis=-1)
    return airy_response(2 * np.arcsin(chord / 2)[:, :, None], freq_hz, beam)


def fit_beam(
    tiles: Sequence[TileFluxes],
    catalogue: Catalogue | None,
    used: BeamOptions,
    *,
    fitted: tuple[bool, bool] = (True, True),
    tile_scale: float = TILE_SCALE,
) -> BeamFit:
    """Fit the beam to the fluxes of catalogued sources, or to the drift of sources whose fluxes are not known.

    Parameters
    ----------
    tiles : sequence of TileFluxes
    catalogue : Catalogue or None
        None: the sources of the tiles themselves, of unknown flux. Offset to the north and flux scale are then not
        measured: the former stays as used with an infinite error, and the latter is NaN.
    used : BeamOptions
        Where the fit begins, and the beam that the images were divided by.
    fitted : (bool, bool)
        Whether the offset and the width are fitted; what is not stays as used, with an error of 0.
    tile_scale : float
        Fraction by which the tiles' gains may differ.

    Raises
    ------
    InputError
        If fewer than 20 isolated sources are bright enough, or no beam explains their fluxes.

    Notes
    -----
    Huber's estimator on ln of the flux ratios, each source's made independent of each other by the catalogue's error
    that they have in common; the tiles' gains are free within `tile_scale`. Gauss-Newton steps until nothing changes
    by 1e-4 deg.
    """
    if not tiles:
        raise InputError("no tile has an isolated source that is bright enough to measure the beam: add tiles")
    known = sources_of(tiles) if catalogue is None else catalogue
    data = _Data.of(tiles, known, used, CATALOGUE_ERROR if catalogue is not None else _UNKNOWN_FLUX, tile_scale)
    if data.n_sources < MIN_SOURCES:
        raise InputError(
            f"only {data.n_sources} isolated catalogued sources are bright enough to measure the beam, {MIN_SOURCES} "
            "must be: add tiles, or a catalogue that has more of this strip"
        )
    free = np.array([fitted[0], fitted[0] and catalogue is not None, fitted[1]])
    place, fit = _solve(data, used, free)
    errors = np.zeros(3)
    errors[free] = fit.errors[: free.sum()]
    scale, e_log_scale = math.exp(fit.coefficients[free.sum()]), float(fit.errors[free.sum()])
    if catalogue is None:
        scale, errors[1] = math.nan, math.inf
    (east, north, width), (e_east, e_north, e_width) = map(float, place), map(float, errors)
    return BeamFit(
        east, e_east, north, e_north, width, e_width, scale, scale * e_log_scale, data.n_sources, len(data.log_flux),
        fit.inflation,
    )  # fmt: skip


def _solve(data: _Data, used: BeamOptions, free: NDArray[np.bool_]) -> tuple[NDArray[np.float64], RobustFit]:
    """Return offset (deg) and width of the beam, and the last step of the fit: free ones, scale, tiles."""
    place = np.array([*used.offset, used.width])
    for _ in range(_MAX_ITERATIONS):
        expected = data.expected(place, used)
        slopes = [
            (data.expected(place + step, used) - data.expected(place - step, used)) / (2 * step.sum())
            for step in np.diag(_STEPS)[free]
        ]
        design = np.column_stack([*slopes, np.ones(len(expected)), data.tiles])
        fit = robust_fit(*data.independent(design, data.log_flux - expected))
        place[free] += fit.coefficients[: free.sum()]
        place[2] = min(max(place[2], 0.5), 2.0)
        if np.abs(fit.coefficients[: free.sum()]).max(initial=0.0) < _SETTLED:
            return place, fit
    raise InputError("no offset and width of the beam explain these fluxes: look at the quality of the tiles first")


def sources_of(tiles: Sequence[TileFluxes]) -> Catalogue:
    """Return the sources of tiles as a catalogue: each once, at its first tile's place and flux."""
    ra, dec, flux = (np.concatenate([getattr(one, key) for one in tiles]) for key in ("ra_deg", "dec_deg", "flux_jy"))
    places = unit_vectors(np.radians(np.stack([ra, dec], axis=1)))
    beam = math.radians(max((one.beam_arcsec for one in tiles), default=0.0) / 3600)
    kept: list[int] = []
    for number, place in enumerate(places):
        if not kept or np.linalg.norm(places[kept] - place, axis=1).min() > beam:
            kept.append(number)
    one = np.ones(len(kept))
    freq_hz = float(np.mean([tile.freq_hz for tile in tiles])) if tiles else DEFAULT_REF_FREQ_HZ
    return Catalogue(
        np.array([f"source {number}" for number in kept]), ra[kept], dec[kept], flux[kept], np.nan * one, freq_hz * one,
        DEFAULT_SPECTRAL_INDEX * one, assumed=("spectral_index",),
    )  # fmt: skip


@dataclass(frozen=True)
class _Data:
    """Fluxes of all tiles in one list, each with its tile and its catalogued source.

    `tiles` is (n, ntiles), 1 in the column of the flux's tile; `source` (n,) counts the sources from 0. `e_source` is
    the error of ln flux that the fluxes of a source have in common, `e_tile` the one of a tile.
    """

    parts: tuple[tuple[TileFluxes, Catalogue, NDArray[np.float64]], ...]
    log_flux: NDArray[np.float64]
    e_log_flux: NDArray[np.float64]
    tiles: NDArray[np.float64]
    source: NDArray[np.int64]
    e_source: float
    e_tile: float

    @classmethod
    def of(  # what the data are, and how well they are known
        cls, tiles: Sequence[TileFluxes], catalogue: Catalogue, used: BeamOptions, e_source: float, e_tile: float
    ) -> _Data:
        """Match the sources of tiles with a catalogue."""
        parts, log_flux, errors, columns, sources = [], [], [], [], []
        for number, tile in enumerate(tiles):
            mine, known = match_sources(tile, catalogue)
            matched = replace(
                tile, **{key: getattr(tile, key)[mine] for key in ("ra_deg", "dec_deg", "flux_jy", "e_flux_jy")}
            )
            divided = tile_response(matched, matched.ra_deg, matched.dec_deg, tile.divided_by or used).mean((1, 2))
            parts.append((matched, catalogue.select(known), divided))
            log_flux.append(np.log(matched.flux_jy))
            errors.append(np.hypot(matched.e_flux_jy / matched.flux_jy, _FLUX_FLOOR))
            columns.append(np.eye(len(tiles))[np.full(len(known), number)])
            sources.append(known)
        source = np.unique(np.concatenate(sources), return_inverse=True)[1]
        values = (np.concatenate(log_flux), np.concatenate(errors), np.concatenate(columns))
        return cls(tuple(parts), *values, source, e_source, e_tile)

    @property
    def n_sources(self) -> int:
        """Number of different sources."""
        return int(self.source.max(initial=-1)) + 1

    def expected(self, place: NDArray[np.float64], used: BeamOptions) -> NDArray[np.float64]:
        """Return ln of the fluxes that a beam of some offset (deg) and width would give."""
        beam = used.with_axis([float(one) for one in place[:2]], float(place[2]))
        logs = []
        for tile, known, divided in self.parts:
            seen = tile_response(tile, tile.ra_deg, tile.dec_deg, beam).mean(1) * known.flux_at(_frequencies(tile))
            logs.append(np.log(np.maximum(seen.mean(1), _FAINTEST * divided) / divided))
        return np.concatenate(logs)

    def independent(
        self, design: NDArray[np.float64], values: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return design, values and unit errors in combinations of the fluxes that are independent."""
        errors = FluxErrors(self.e_log_flux, self.source, self.e_source, self.tiles.shape[1], self.e_tile)
        return errors.independent(design, values)


def _frequencies(tile: TileFluxes) -> NDArray[np.float64]:
    """Return a few frequencies over a tile's band (Hz)."""
    return tile.freq_hz + tile.bandwidth_hz * ((np.arange(_CHANNELS) + 0.5) / _CHANNELS - 0.5)


def match_sources(tile: TileFluxes, catalogue: Catalogue) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the indices of a tile's sources and of their catalogue entries, where no other entry adds to the flux."""
    if not len(tile.ra_deg) or not len(catalogue):
        return np.array([], np.int64), np.array([], np.int64)
    sources = unit_vectors(np.radians(np.stack([tile.ra_deg, tile.dec_deg], axis=1)))
    known = unit_vectors(np.radians(np.stack([catalogue.ra_deg, catalogue.dec_deg], axis=1)))
    centre = unit_vectors(np.radians(np.array(tile.centre_deg)))
    near_tile = np.flatnonzero(np.linalg.norm(known - centre, axis=1) < _REACH_RAD)
    known, catalogue = known[near_tile], catalogue.select(near_tile)
    if not len(known):
        return np.array([], np.int64), np.array([], np.int64)
    flux = catalogue.flux_at([tile.freq_hz])[:, 0]
    beam = math.radians(tile.beam_arcsec / 3600)
    mine, theirs = [], []
    for number, source in enumerate(sources):
        chord = np.linalg.norm(known - source, axis=1)
        nearest = int(chord.argmin())
        near = (chord < _CROWDED_BEAMS * beam) & (np.arange(len(chord)) != nearest)
        if chord[nearest] < beam and not flux[near].sum() > _CROWDED_FRACTION * flux[nearest]:
            mine.append(number)
            theirs.append(int(near_tile[nearest]))
    return np.array(mine, np.int64), np.array(theirs, np.int64)
