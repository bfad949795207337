"""Bright, isolated sources of a tile, measured to be compared with the same sources in its neighbours."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.imaging.checks.catalogue import fit_peak
from contimg.products.fits_images import FitsImage
from contimg.sky.restoring_beam import FWHM_PER_SIGMA, RestoringBeam

MIN_SNR = 20.0
"""Least signal-to-noise ratio of a source that is compared."""
MOST = 200
"""Largest number of sources of a tile: flux scale and offsets are then known to 1 / (SNR sqrt(number))."""
MIN_RESPONSE = 0.3
"""Least effective beam: nearer to the edge it is steep, and its errors would appear as errors of the flux scale."""
APART_BEAMS = 4.0
"""Least distance of an isolated source from other maxima, in beams."""


@dataclass(frozen=True)
class BrightSources:
    """Sources of one tile; all arrays (n,).

    Attributes
    ----------
    ra_deg, dec_deg : float64
        ICRS.
    flux_jy, e_flux_jy : float64
        Peak over effective beam, and its error from the noise.
    e_position_arcsec : float64
        Error of each coordinate: sigma of the beam over SNR (Condon 1997, PASP 109, 166, for the fit of a known shape).
    """

    ra_deg: NDArray[np.float64]
    dec_deg: NDArray[np.float64]
    flux_jy: NDArray[np.float64]
    e_flux_jy: NDArray[np.float64]
    e_position_arcsec: NDArray[np.float64]


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
    cell_rad = math.radians(float(image.wcs.wcs.cdelt[1]))
    width_px = math.sqrt(beam.bmaj_rad * beam.bmin_rad) / cell_rad
    rows = []
    for y, x in _isolated_maxima(image.data, MIN_SNR * rms_jy, APART_BEAMS * width_px):
        reach = math.ceil(2 * width_px)
        box = (slice(y - reach, y + reach + 1), slice(x - reach, x + reach + 1))
        if image.data[box].shape != (2 * reach + 1, 2 * reach + 1) or not np.isfinite(image.data[box]).all():
            continue
        peak, fitted_x, fitted_y = fit_peak(image.data, (x, y), beam, cell_rad)
        response = _response(pb, fitted_x, fitted_y)
        if peak < MIN_SNR * rms_jy or not response >= MIN_RESPONSE:
            continue
        e_position = math.degrees(width_px * cell_rad) * 3600 / FWHM_PER_SIGMA * rms_jy / peak
        rows.append((*_sky(image.wcs, fitted_x, fitted_y), peak / response, rms_jy / response, e_position))
    columns = np.array(rows, dtype=np.float64).reshape(-1, 5).T
    return BrightSources(*columns)


def _isolated_maxima(image: NDArray[np.float64], level: float, apart_px: float) -> list[tuple[int, int]]:
    """Return (y, x) of the maxima above a level without another one within a distance, brightest first."""
    from scipy.ndimage import maximum_filter

    bright = np.nan_to_num(image, nan=-np.inf)
    ys, xs = np.nonzero((bright > level) & (bright == maximum_filter(bright, size=3)))
    order = np.argsort(-bright[ys, xs], kind="stable")
    places = np.column_stack([ys, xs])[order]
    maxima = []
    for i, place in enumerate(places[: 4 * MOST]):
        distance = np.hypot(*(places - place).T)
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
