"""Bright, isolated sources of a tile, measured to be compared with the same sources in its neighbours."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.imaging.checks.catalogue import fit_peak
from contimg.imaging.grid import TileGrid
from contimg.products.fits_images import FitsImage
from contimg.sky.restoring_beam import FWHM_PER_SIGMA, RestoringBeam

MIN_SNR = 20.0
"""Least signal-to-noise ratio of a source that is compared."""
MOST = 200
"""Largest number of sources of a tile: flux scale and offsets are then known to 1 / (SNR sqrt(number))."""
MIN_RESPONSE = 0.3
"""Least effective beam of a compared source: nearer to the edge it is steep, and its errors would appear as errors of
the flux scale."""
APART_BEAMS = 4.0
"""Least distance of an isolated source from other maxima, in beams."""


DETECTED_SNR = 7.0
"""Least signal-to-noise ratio of a maximum that counts as the counterpart of a neighbour's source."""
_MAP_STEP = 16
_MOST_MAXIMA = 20_000


@dataclass(frozen=True)
class SeenSky:
    """A tile's effective beam, noise and all maxima, including those too faint to be compared.

    Attributes
    ----------
    wcs : astropy.wcs.WCS
        Of the image.
    pb : (m, m) float64
        Effective beam at every 16th pixel.
    rms_jy : float
        Noise of the apparent image (Jy/beam).
    ra_deg, dec_deg : (k,) float64
        Maxima above 7 sigma.
    """

    wcs: Any
    pb: NDArray[np.float64]
    rms_jy: float
    ra_deg: NDArray[np.float64]
    dec_deg: NDArray[np.float64]

    def response(self, ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the effective beam (n,) in directions (n,); NaN outside the image."""
        if not len(ra_deg):
            return np.array([])
        x, y = self.wcs.all_world2pix(ra_deg, dec_deg, 0)
        return np.array([_response(self.pb, a / _MAP_STEP, b / _MAP_STEP) for a, b in zip(x, y, strict=True)])


@dataclass(frozen=True)
class BrightSources:
    """Sources of one tile; all arrays are (n,).

    Attributes
    ----------
    ra_deg, dec_deg : float64
        ICRS.
    flux_jy, e_flux_jy : float64
        Peak over effective beam, and its error from the noise.
    e_position_arcsec : float64
        Error of each coordinate: sigma of the beam over SNR (Condon 1997, PASP 109, 166, for the fit of a known shape).
    response : float64, optional
        Effective beam at the sources.
    seen : SeenSky, optional
        The tile's beam, noise and maxima; without them, missing sources cannot be counted.
    """

    ra_deg: NDArray[np.float64]
    dec_deg: NDArray[np.float64]
    flux_jy: NDArray[np.float64]
    e_flux_jy: NDArray[np.float64]
    e_position_arcsec: NDArray[np.float64]
    response: NDArray[np.float64] | None = None
    seen: SeenSky | None = None


def find_bright_sources(image: FitsImage, pb: NDArray[np.float64], beam: RestoringBeam, rms_jy: float) -> BrightSources:
    """Return the brightest isolated sources above 20 sigma in an apparent image, where the effective beam exceeds 0.3.

    Parameters
    ----------
    image : FitsImage
        Apparent brightness, flat noise.
    pb : (ny, nx) array
        Effective beam.
    beam : RestoringBeam
    rms_jy : float
        Noise of the image (Jy/beam).
    """
    grid = TileGrid.of(image.wcs, len(image.data))
    cell_rad = grid.cell_rad
    width_px = math.sqrt(beam.bmaj_rad * beam.bmin_rad) / cell_rad
    rows = []
    places = _maxima(image.data, DETECTED_SNR * rms_jy)
    for y, x in _isolated(places, image.data, MIN_SNR * rms_jy, APART_BEAMS * width_px):
        reach = math.ceil(2 * width_px)
        box = (slice(y - reach, y + reach + 1), slice(x - reach, x + reach + 1))
        if image.data[box].shape != (2 * reach + 1, 2 * reach + 1) or not np.isfinite(image.data[box]).all():
            continue
        shape = grid.beam_at(beam, *(float(one) for one in grid.cosines(x, y)))
        peak, fitted_x, fitted_y = fit_peak(image.data, (x, y), shape, cell_rad)
        response = _response(pb, fitted_x, fitted_y)
        if peak < MIN_SNR * rms_jy or not response >= MIN_RESPONSE:
            continue
        e_position = math.degrees(width_px * cell_rad) * 3600 / FWHM_PER_SIGMA * rms_jy / peak
        rows.append((*_sky(image.wcs, fitted_x, fitted_y), peak / response, rms_jy / response, e_position, response))
    columns = np.array(rows, dtype=np.float64).reshape(-1, 6).T
    ra, dec = image.wcs.all_pix2world(places[:, 1], places[:, 0], 0) if len(places) else (np.array([]),) * 2
    seen = SeenSky(image.wcs, pb[::_MAP_STEP, ::_MAP_STEP].copy(), rms_jy, ra, dec)
    return replace(BrightSources(*columns), seen=seen)


def _maxima(image: NDArray[np.float64], level: float) -> NDArray[np.int64]:
    """Return (y, x) of the maxima above a level, (n, 2), brightest first."""
    inner = image[1:-1, 1:-1]
    ys, xs = np.nonzero(inner > level)  # few: only these are compared with their neighbours
    ys, xs = ys + 1, xs + 1
    value = image[ys, xs]
    highest = np.ones(len(ys), bool)
    for dy, dx in itertools.product((-1, 0, 1), repeat=2):
        highest &= ~(image[ys + dy, xs + dx] > value)
    places = np.column_stack([ys, xs])[highest]
    return places[np.argsort(-value[highest], kind="stable")][:_MOST_MAXIMA]


def _isolated(
    places: NDArray[np.int64], image: NDArray[np.float64], level: float, apart_px: float
) -> list[tuple[int, int]]:
    """Return (y, x) of the maxima above a level without another one above it within a distance, brightest first."""
    bright = places[image[places[:, 0], places[:, 1]] > level]
    maxima = []
    for i, place in enumerate(bright[: 4 * MOST]):
        distance = np.hypot(*(bright - place).T)
        distance[i] = np.inf
        if distance.min(initial=np.inf) > apart_px:
            maxima.append((int(place[0]), int(place[1])))
    return maxima[:MOST]


def _response(pb: NDArray[np.float64], x: float, y: float) -> float:
    """Return the effective beam at a position between pixels by bilinear interpolation; NaN outside."""
    row, column = math.floor(y), math.floor(x)
    if not (0 <= row < pb.shape[0] - 1 and 0 <= column < pb.shape[1] - 1):
        return math.nan
    dy, dx = y - row, x - column
    (a, b), (c, d) = pb[row : row + 2, column : column + 2]
    return float((a * (1 - dx) + b * dx) * (1 - dy) + (c * (1 - dx) + d * dx) * dy)


def _sky(wcs: Any, x: float, y: float) -> tuple[float, float]:
    """Return right ascension and declination (deg) of a pixel (0-based)."""
    ra, dec = wcs.all_pix2world(x, y, 0)
    return float(ra), float(dec)
