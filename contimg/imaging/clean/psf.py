"""Operations with the point spread function: windows, subtraction, curvature at the peak, coupling of sources."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Half the width of the patches that splines are fitted to: 9 pixels.
HALF_PATCH = 4


def without_border(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return a mask that is False at the border of the image, where no patch fits."""
    border = HALF_PATCH + 1
    kept = np.zeros_like(mask)
    kept[border:-border, border:-border] = mask[border:-border, border:-border]
    return kept


def window(array: NDArray[Any], x: int, y: int, half: int) -> NDArray[Any]:
    """Return a view of the square of ``2 half + 1`` pixels about a pixel, cut at the edges of the array."""
    return array[max(0, y - half) : max(0, y + half + 1), max(0, x - half) : max(0, x + half + 1)]


def subtract_psf(image: NDArray[np.float32], psf: NDArray[np.float32], x: int, y: int, flux_jy: float) -> None:
    """Subtract a PSF of a given peak centred on a pixel, in place, as far as it overlaps the image."""
    size, middle = image.shape[0], psf.shape[0] // 2
    y0, y1 = max(0, y - middle), min(size, y - middle + size)
    x0, x1 = max(0, x - middle), min(size, x - middle + size)
    overlap = psf[y0 - y + middle : y1 - y + middle, x0 - x + middle : x1 - x + middle]
    image[y0:y1, x0:x1] -= np.float32(flux_jy) * overlap


def curvature(psf: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the matrix (2, 2) of second derivatives of the PSF at its peak, along x and y (per pixel^2)."""
    from scipy.interpolate import RectBivariateSpline

    middle = psf.shape[0] // 2
    offset = np.arange(-HALF_PATCH, HALF_PATCH + 1)
    patch = window(psf, middle, middle, HALF_PATCH).astype(np.float64)
    spline = RectBivariateSpline(offset, offset, patch, kx=5, ky=5)
    cross = float(spline.ev(0, 0, dx=1, dy=1))
    return np.array([[float(spline.ev(0, 0, dy=2)), cross], [cross, float(spline.ev(0, 0, dx=2))]])


def psf_matrix(psf: NDArray[np.float32], x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the PSF at the offsets between all pairs of sources, (n, n); 0 outside its image."""
    from scipy.ndimage import map_coordinates

    middle = psf.shape[0] // 2
    offsets = [np.subtract.outer(axis, axis) + middle for axis in (y, x)]
    matrix: NDArray[np.float64] = map_coordinates(psf, offsets, order=1, mode="constant", cval=0.0, output=np.float64)
    np.fill_diagonal(matrix, 1.0)
    return matrix
