"""A primary beam measured band by band, from the apparent fluxes of sources at their places in many tiles.

The logarithm of the power is a polynomial of the offset from the axis, 0 on it: four radial terms and two that make it
elliptical. They describe the main lobe of a dish to a few per mille down to a tenth of the peak, whatever the
illumination of the dish is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.config import BeamOptions
from contimg.errors import InputError
from contimg.sky.beam_fit import CATALOGUE_ERROR, TILE_SCALE, TileFluxes, axes_during, match_sources
from contimg.sky.catalogue import Catalogue
from contimg.sky.common_errors import FluxErrors
from contimg.sky.constants import C_M_S
from contimg.sky.spherical import unit_vectors
from contimg.statistics import robust_fit

MIN_FLUXES = 60
"""Least number of fluxes of a band: eight parameters, sources of uncertain fluxes."""
_RADIAL = 4
_TIMES = 11
_FLUX_FLOOR = 0.005  # least error of ln flux, by the deconvolution
_MAX_ITERATIONS, _SETTLED = 20, 1e-5
_MOST = 3.5  # of the power's -ln: terms on the way to the fit are held within it
_SCALE_RAD = math.radians(2.0)


@dataclass(frozen=True)
class BandBeam:
    """The beam in one band.

    Attributes
    ----------
    freq_hz : float
    terms : (6,) float64
        Of -ln power: by rho^2, rho^4, rho^6, rho^8, x^2 - y^2 and 2 x y, x and y (east, north) over 2 deg.
    covariance : (6, 6) float64
    reach_rad : float
        Largest offset of a source from the axis: the beam is known within it.
    n_sources, n_fluxes : int
    scatter : float
        Of the fluxes over what was expected; 1 or larger.
    """

    freq_hz: float
    terms: NDArray[np.float64]
    covariance: NDArray[np.float64]
    reach_rad: float
    n_sources: int
    n_fluxes: int
    scatter: float

    def power(self, east_rad: NDArray[np.float64], north_rad: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the power response at offsets from the axis (direction cosines)."""
        return np.asarray(np.exp(-_basis(east_rad, north_rad) @ self.terms), np.float64)

    def error(self, radius_rad: float) -> float:
        """Return the largest standard error of ln power at a distance from the axis."""
        turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        basis = _basis(radius_rad * np.sin(turn), radius_rad * np.cos(turn))
        return float(np.sqrt(np.einsum("ni,ij,nj->n", basis, self.covariance, basis)).max())

    def radius_rad(self, power: float) -> float:
        """Return the mean distance from the axis at which the power falls to a value; `reach_rad` if it does not."""
        radii = np.linspace(0, self.reach_rad, 2001)
        mean = np.exp(-((radii[:, None] / _SCALE_RAD) ** (2 * np.arange(1, _RADIAL + 1))) @ self.terms[:_RADIAL])
        below = np.flatnonzero(mean <= power)
        return float(radii[below[0]]) if len(below) else self.reach_rad


def fit_band(bands: Sequence[TileFluxes], catalogue: Catalogue, beam: BeamOptions) -> BandBeam:
    """Fit the beam of one band.

    Parameters
    ----------
    bands : sequence of TileFluxes
        The band's apparent fluxes in each tile (not divided by a beam), with the band's frequency.
    catalogue : Catalogue
        Of the strip.
    beam : BeamOptions
        Its offset is that of the axis; the fit begins with its width.

    Raises
    ------
    InputError
        If fewer than 60 fluxes can be used.

    Notes
    -----
    ``ln f = ln S + ln s + ln g + ln <P>``: flux of the catalogue (in error by 5 per cent, the same in all tiles),
    scale, gain of the tile (2 per cent) and mean power over the tile's times; Huber's estimator, Gauss-Newton steps.
    """
    seen = _Observations.of(bands, catalogue, beam)
    if len(seen.log_ratio) < MIN_FLUXES:
        raise InputError(
            f"only {len(seen.log_ratio)} fluxes of catalogued sources in the band at {bands[0].freq_hz / 1e6:.0f} MHz,"
            f" {MIN_FLUXES} must be: add nights"
        )
    basis = _basis(seen.offsets[..., 0], seen.offsets[..., 1])
    n_tiles, n_terms = int(seen.tile.max()) + 1, basis.shape[-1]
    errors = FluxErrors(seen.error, seen.source, CATALOGUE_ERROR, n_tiles, TILE_SCALE)
    terms = np.zeros(n_terms)  # at first a Gaussian of the nominal width
    terms[0] = 4 * math.log(2) * (_SCALE_RAD / _fwhm_rad(bands[0].freq_hz, beam)) ** 2
    for _ in range(_MAX_ITERATIONS):
        power = np.exp(-np.clip(basis @ terms, 0, _MOST))
        mean = power.mean(1)
        slopes = -(power[..., None] * basis).mean(1) / mean[:, None]
        design = np.column_stack([slopes, np.ones(len(mean)), np.eye(n_tiles)[seen.tile]])
        rows, values, units = errors.independent(design, seen.log_ratio - np.log(mean))
        fit = robust_fit(rows, values, units)
        terms = terms + fit.coefficients[:n_terms]
        if np.abs(fit.coefficients[:n_terms]).max() < _SETTLED:
            break
    covariance = np.asarray(np.linalg.pinv(rows.T @ rows)[:n_terms, :n_terms] * fit.inflation**2, np.float64)
    reach = float(np.sqrt((seen.offsets**2).sum(-1)).max())
    count = len(np.unique(seen.source))
    return BandBeam(bands[0].freq_hz, terms, covariance, reach, count, len(values) - n_tiles, fit.inflation)


def _fwhm_rad(freq_hz: float, beam: BeamOptions) -> float:
    """Return about the full width at half maximum of the nominal beam."""
    return 1.025 * C_M_S / freq_hz / beam.dish_diameter_m * beam.width


def _basis(east: NDArray[np.float64], north: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the terms (..., 6) of -ln power at offsets (rad)."""
    x, y = east / _SCALE_RAD, north / _SCALE_RAD
    square = x**2 + y**2
    return np.stack([*(square**power for power in range(1, _RADIAL + 1)), x**2 - y**2, 2 * x * y], axis=-1)


@dataclass(frozen=True)
class _Observations:
    """Offsets from the axis (n, times, 2), ln of fluxes over the catalogue's, errors, numbers of tiles and sources."""

    offsets: NDArray[np.float64]
    log_ratio: NDArray[np.float64]
    error: NDArray[np.float64]
    tile: NDArray[np.int64]
    source: NDArray[np.int64]

    @classmethod
    def of(cls, bands: Sequence[TileFluxes], catalogue: Catalogue, beam: BeamOptions) -> _Observations:
        """Match the fluxes of a band with a catalogue."""
        parts: list[tuple[NDArray[Any], ...]] = []
        for band in bands:
            mine, known = match_sources(band, catalogue)
            if len(mine):
                flux = catalogue.select(known).flux_at(band.freq_hz)[:, 0]
                ratio = np.log(band.flux_jy[mine] / flux)
                error = np.hypot(band.e_flux_jy[mine] / band.flux_jy[mine], _FLUX_FLOOR)
                place = _offsets(band, band.ra_deg[mine], band.dec_deg[mine], beam)
                parts.append((place, ratio, error, np.full(len(mine), len(parts)), known))
        if not parts:
            return cls(np.empty((0, _TIMES, 2)), *(np.empty(0),) * 2, *(np.empty(0, np.int64),) * 2)
        return cls(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _offsets(
    tile: TileFluxes, ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64], beam: BeamOptions
) -> NDArray[np.float64]:
    """Return offsets (n, times, 2) of sources from the axis to east and north, as direction cosines (rad)."""
    axes = axes_during(tile, beam, _TIMES)
    sources = unit_vectors(np.radians(np.stack([ra_deg, dec_deg], axis=1)))
    along = np.arctan2(axes[:, 1], axes[:, 0])
    east = np.stack([-np.sin(along), np.cos(along), np.zeros(_TIMES)], axis=1)
    north = np.cross(axes, east)
    return np.stack([sources @ east.T, sources @ north.T], axis=-1)
