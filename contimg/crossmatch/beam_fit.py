"""Offset, width and flux scale of the primary beam, from the fluxes of catalogued sources in the tiles of a group.

A source drifts through the beam, so that neighbouring tiles see it at different offsets from the axis. If the true
beam differs from the one that the images were divided by, its flux depends on that offset: an offset of the beam to
the north gives a slope with declination, one to the east a slope along the tile, and another width a change from axis
to edge.
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
from contimg.sky.catalogue import Catalogue
from contimg.sky.constants import SIDEREAL_DAYS_PER_DAY
from contimg.sky.primary_beam import airy_response, beam_axes
from contimg.sky.spherical import unit_vectors
from contimg.statistics import robust_fit

MIN_SOURCES = 20
"""Least number of catalogued sources: the fit has five parameters, and some sources vary."""
_TIMES, _CHANNELS = 7, 5
# Fractional errors: of single fluxes, by the effective beam and the deconvolution; of a tile's gains; of the catalogue,
# which has another resolution, frequency and epoch. Where fluxes scatter more, all errors grow.
_FLUX_FLOOR, _TILE_SCALE, _CATALOGUE = 0.005, 0.02, 0.05
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


def tile_response(
    tile: TileFluxes, ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64], beam: BeamOptions
) -> NDArray[np.float64]:
    """Return the power response (n, times, channels) to sources during a tile, at a few times and frequencies."""
    parts = (np.arange(_TIMES) + 0.5) / _TIMES - 0.5
    turn = 2 * math.pi * SIDEREAL_DAYS_PER_DAY * (tile.end_mjd - tile.start_mjd) * parts
    ra, dec = np.radians(tile.centre_deg)
    axes = beam_axes(np.stack([ra + turn, np.full(_TIMES, dec)], axis=1), beam)
    sources = unit_vectors(np.radians(np.stack([ra_deg, dec_deg], axis=1)))
    freq_hz = _frequencies(tile)
    if beam.cube is not None:
        cube = read_cube(beam.cube)
        return np.stack([cube.response(sources, axis, freq_hz, beam.fwhm_scale) for axis in axes], axis=1)
    chord = np.linalg.norm(sources[:, None] - axes[None], axis=-1)
    return airy_response(2 * np.arcsin(chord / 2)[:, :, None], freq_hz, beam)


def fit_beam(tiles: Sequence[TileFluxes], catalogue: Catalogue, used: BeamOptions) -> BeamFit:
    """Fit the beam to the fluxes of catalogued sources.

    Parameters
    ----------
    tiles : sequence of TileFluxes
    catalogue : Catalogue
    used : BeamOptions
        The beam that the images were divided by, where the fit begins.

    Raises
    ------
    InputError
        If fewer than 20 isolated catalogued sources are bright enough.

    Notes
    -----
    Huber's estimator on ln of the flux ratios, each source's made independent of each other by the catalogue's error
    that they have in common; the tiles' gains are free to 2 %. Gauss-Newton steps until nothing changes by 1e-4 deg.
    """
    data = _Data.of(tiles, catalogue, used)
    if data.n_sources < MIN_SOURCES:
        raise InputError(
            f"only {data.n_sources} isolated catalogued sources are bright enough to measure the beam, {MIN_SOURCES} "
            "must be: add tiles, or a catalogue that has more of this strip"
        )
    place = np.array([*used.offset_deg, used.fwhm_scale])
    for _ in range(_MAX_ITERATIONS):
        expected = data.expected(place, used)
        slopes = [
            (data.expected(place + step, used) - data.expected(place - step, used)) / (2 * step.sum())
            for step in np.diag(_STEPS)
        ]
        design = np.column_stack([*slopes, np.ones(len(expected)), data.tiles])
        fit = robust_fit(*data.independent(design, data.log_flux - expected))
        place = place + fit.coefficients[:3]
        place[2] = min(max(place[2], 0.5), 2.0)
        if np.abs(fit.coefficients[:3]).max() < _SETTLED:
            break
    else:
        raise InputError("no offset and width of the beam explain these fluxes: look at the quality of the tiles first")
    scale = math.exp(fit.coefficients[3])
    (east, north, width), (e_east, e_north, e_width, e_scale) = place, fit.errors[:4]
    return BeamFit(
        float(east), float(e_east), float(north), float(e_north), float(width), float(e_width), scale,
        scale * float(e_scale), data.n_sources, len(data.log_flux), fit.inflation,
    )  # fmt: skip


@dataclass(frozen=True)
class _Data:
    """Fluxes of all tiles in one list, each with its tile and its catalogued source.

    `tiles` is (n, ntiles), 1 in the column of the flux's tile; `source` (n,) counts the sources from 0.
    """

    parts: tuple[tuple[TileFluxes, Catalogue, NDArray[np.float64]], ...]
    log_flux: NDArray[np.float64]
    e_log_flux: NDArray[np.float64]
    tiles: NDArray[np.float64]
    source: NDArray[np.int64]

    @classmethod
    def of(cls, tiles: Sequence[TileFluxes], catalogue: Catalogue, used: BeamOptions) -> _Data:
        """Match the sources of tiles with a catalogue."""
        parts, log_flux, errors, columns, sources = [], [], [], [], []
        for number, tile in enumerate(tiles):
            mine, known = _match(tile, catalogue)
            matched = replace(
                tile, **{key: getattr(tile, key)[mine] for key in ("ra_deg", "dec_deg", "flux_jy", "e_flux_jy")}
            )
            divided = tile_response(matched, matched.ra_deg, matched.dec_deg, used).mean((1, 2))
            parts.append((matched, catalogue.select(known), divided))
            log_flux.append(np.log(matched.flux_jy))
            errors.append(np.hypot(matched.e_flux_jy / matched.flux_jy, _FLUX_FLOOR))
            columns.append(np.eye(len(tiles))[np.full(len(known), number)])
            sources.append(known)
        source = np.unique(np.concatenate(sources), return_inverse=True)[1]
        return cls(tuple(parts), np.concatenate(log_flux), np.concatenate(errors), np.concatenate(columns), source)

    @property
    def n_sources(self) -> int:
        """Number of different sources."""
        return int(self.source.max(initial=-1)) + 1

    def expected(self, place: NDArray[np.float64], used: BeamOptions) -> NDArray[np.float64]:
        """Return ln of the fluxes expected with a beam of the given offset (deg) and width."""
        beam = used.model_copy(update={"offset_deg": [float(place[0]), float(place[1])], "fwhm_scale": float(place[2])})
        logs = []
        for tile, known, divided in self.parts:
            seen = tile_response(tile, tile.ra_deg, tile.dec_deg, beam).mean(1) * known.flux_at(_frequencies(tile))
            logs.append(np.log(np.maximum(seen.mean(1), _FAINTEST * divided) / divided))
        return np.concatenate(logs)

    def independent(
        self, design: NDArray[np.float64], values: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return design, values and unit errors in combinations of each source's fluxes that are independent.

        The fluxes of a source have the catalogue's error in common. Rows that hold each tile's scale near the others'
        come last.
        """
        rows, targets = [], []
        order = np.argsort(self.source, kind="stable")
        for index in np.split(order, np.flatnonzero(np.diff(self.source[order])) + 1):
            covariance = np.diag(self.e_log_flux[index] ** 2) + _CATALOGUE**2
            whiten = np.linalg.inv(np.linalg.cholesky(covariance))
            rows.append(whiten @ design[index])
            targets.append(whiten @ values[index])
        n_tiles = self.tiles.shape[1]
        prior = np.zeros((n_tiles, design.shape[1]))
        prior[:, -n_tiles:] = np.eye(n_tiles) / _TILE_SCALE
        all_rows, all_targets = np.concatenate([*rows, prior]), np.concatenate([*targets, np.zeros(n_tiles)])
        return all_rows, all_targets, np.ones(len(all_targets))


def _frequencies(tile: TileFluxes) -> NDArray[np.float64]:
    """Return a few frequencies over a tile's band (Hz)."""
    return tile.freq_hz + tile.bandwidth_hz * ((np.arange(_CHANNELS) + 0.5) / _CHANNELS - 0.5)


def _match(tile: TileFluxes, catalogue: Catalogue) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the indices of a tile's sources and of their catalogue entries, where no other entry adds to the flux."""
    if not len(tile.ra_deg) or not len(catalogue):
        return np.array([], np.int64), np.array([], np.int64)
    sources = unit_vectors(np.radians(np.stack([tile.ra_deg, tile.dec_deg], axis=1)))
    known = unit_vectors(np.radians(np.stack([catalogue.ra_deg, catalogue.dec_deg], axis=1)))
    flux = catalogue.flux_at([tile.freq_hz])[:, 0]
    beam = math.radians(tile.beam_arcsec / 3600)
    mine, theirs = [], []
    for number, source in enumerate(sources):
        chord = np.linalg.norm(known - source, axis=1)
        nearest = int(chord.argmin())
        near = (chord < _CROWDED_BEAMS * beam) & (np.arange(len(chord)) != nearest)
        if chord[nearest] < beam and not flux[near].sum() > _CROWDED_FRACTION * flux[nearest]:
            mine.append(number)
            theirs.append(nearest)
    return np.array(mine, np.int64), np.array(theirs, np.int64)
