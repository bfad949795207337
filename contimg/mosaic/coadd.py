"""Co-addition of tiles: running sums of pixels weighted by primary beam and noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.mosaic.grid import Footprint, MosaicGrid

NODE_PX = 16
"""Pixels between the nodes at which coordinates are transformed exactly; see `_pixels`."""
SPLINE_ORDER = 5
"""Order of the interpolating spline. Measured loss of a point source's peak at 4 (3) pixels a beam: bilinear 8
(14) %, cubic 0.28 (1.1) %, quintic 0.025 (0.27) %, at about equal cost."""


@dataclass
class Sums:
    """The running sums of a mosaic, all (ny, nx) float64.

    Attributes
    ----------
    signal
        sum of PB I / s^2, in 1/Jy.
    weight
        sum of PB^2 / s^2, in 1/Jy^2.
    expected
        sum of PB^2 e^2 / s^4 with e the noise expected from the radiometer, in 1/Jy^2; NaN where e is not known.
    tiles : (ny, nx) int16
        Number of tiles that cover a pixel.
    """

    signal: NDArray[np.float64]
    weight: NDArray[np.float64]
    expected: NDArray[np.float64]
    tiles: NDArray[np.int16]

    @classmethod
    def empty(cls, shape: tuple[int, int]) -> Sums:
        """Return sums without any tile."""
        return cls(np.zeros(shape), np.zeros(shape), np.zeros(shape), np.zeros(shape, np.int16))

    def mosaic(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Return the image (Jy/beam, NaN outside), its weights (1/Jy^2, 0 outside) and its rms (Jy/beam, NaN)."""
        inside = self.weight > 0
        safe = np.where(inside, self.weight, 1)
        image = np.where(inside, self.signal / safe, np.nan)
        rms = np.where(inside, 1 / np.sqrt(safe), np.nan)
        return image.astype(np.float32), self.weight.astype(np.float32), rms.astype(np.float32)

    def expected_rms(self) -> NDArray[np.float64]:
        """Return the rms (Jy/beam) of the co-added pixels were each tile at its expected noise; NaN outside."""
        inside = self.weight > 0
        return np.where(inside, np.sqrt(self.expected) / np.where(inside, self.weight, 1), np.nan)


@dataclass(frozen=True)
class TilePlanes:
    """The pixels and noise of one tile that is to be added.

    Attributes
    ----------
    footprint : Footprint
        Of the tile's pixels above the beam limit.
    image, pb : (ny, nx) float64
        Apparent image (Jy/beam of the common beam) and effective beam; NaN where there is none.
    wcs : astropy.wcs.WCS
        Of both.
    rms_jy : float
        s: robust rms of `image`, whose noise is flat (Jy/beam).
    expected_jy : float or None
        The same from the radiometer.
    """

    footprint: Footprint
    image: NDArray[np.float64]
    pb: NDArray[np.float64]
    wcs: Any
    rms_jy: float
    expected_jy: float | None


def add_tile(sums: Sums, grid: MosaicGrid, tile: TilePlanes, pb_limit: float) -> float:
    """Add one tile to the sums: pixel = sum(PB I / s^2) / sum(PB^2 / s^2).

    Parameters
    ----------
    sums, grid
        The mosaic so far, and its grid.
    tile : TilePlanes
    pb_limit : float
        The tile has no weight where the regridded PB is lower.

    Returns
    -------
    float
        Sum of the tile's weights (1/Jy^2).
    """
    rows, columns = grid.box(tile.footprint)
    cut = grid.cutout(rows, columns)
    plane, beam = regrid([tile.image, tile.pb], tile.wcs, cut)
    inside = np.isfinite(plane) & np.isfinite(beam) & (beam >= pb_limit)
    plane = np.where(inside, plane, 0)
    beam = np.where(inside, beam, 0)
    weight = beam**2 / tile.rms_jy**2
    sums.signal[rows, columns] += beam * plane / tile.rms_jy**2
    sums.weight[rows, columns] += weight
    expected = np.nan if tile.expected_jy is None else (tile.expected_jy / tile.rms_jy) ** 2
    sums.expected[rows, columns] += np.where(inside, weight * expected, 0)
    sums.tiles[rows, columns] += inside
    return float(weight.sum())


def regrid(planes: Sequence[NDArray[np.float64]], wcs: Any, cut: MosaicGrid) -> list[NDArray[np.float64]]:
    """Interpolate images onto a cut-out of the mosaic; NaN where any of them is NaN, or outside them.

    The interpolation is a quintic spline, which rings at blank pixels: these are filled from their nearest pixels
    before, and blanked again after. The result is that of ``reproject.reproject_interp(order=5)``, which transforms
    every pixel and takes three times as long.

    Parameters
    ----------
    planes : sequence of (ny, nx) float64
        Images on the same pixels.
    wcs : astropy.wcs.WCS
        Of the images.
    cut : MosaicGrid
        The cut-out of the mosaic.
    """
    from scipy.ndimage import map_coordinates

    places = _pixels(cut, wcs)
    known = np.logical_and.reduce([np.isfinite(plane) for plane in planes])
    ny, nx = known.shape
    outside = (places[0] < -0.5) | (places[0] > ny - 0.5) | (places[1] < -0.5) | (places[1] > nx - 0.5)
    if not known.all():
        outside |= map_coordinates(known.astype(np.float64), places, order=1, mode="nearest") < 1 - 1e-9
    results = []
    for plane in planes:
        filled = _fill(plane, np.isfinite(plane))
        result = map_coordinates(filled, places, order=SPLINE_ORDER, mode="nearest")
        result[outside] = np.nan
        results.append(result)
    return results


def _pixels(cut: MosaicGrid, wcs: Any) -> NDArray[np.float64]:
    """Return the (2, ny, nx) pixel (y, x; 0-based) of an image at each pixel of a cut-out.

    Both projections are smooth: every 16th pixel and a quintic spline between them are within 1e-9 pixels
    of the transformation of all (tested).
    """
    from scipy.interpolate import RectBivariateSpline

    nodes = [np.linspace(0, max(n, 2) - 1, max(6, n // NODE_PX + 2)) for n in cut.shape]
    y, x = np.meshgrid(*nodes, indexing="ij")
    world = cut.wcs().all_pix2world(x.ravel(), y.ravel(), 0)
    coarse_x, coarse_y = (place.reshape(x.shape) for place in wcs.all_world2pix(*world, 0))
    rows, columns = (np.arange(n) for n in cut.shape)
    return np.stack([RectBivariateSpline(*nodes, plane, kx=5, ky=5)(rows, columns) for plane in (coarse_y, coarse_x)])


def _fill(plane: NDArray[np.float64], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return an image whose unknown pixels have the values of the nearest known ones."""
    from scipy.ndimage import distance_transform_edt

    if known.all() or not known.any():
        return np.where(known, plane, 0)
    nearest = distance_transform_edt(~known, return_distances=False, return_indices=True)
    return plane[tuple(nearest)]
