"""Small windows of images: between the pixels, and about them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Half the width of the patches that splines are laid through: 9 pixels.
HALF_PATCH = 4


def inner(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return a mask without the rim of the image, where no patch fits."""
    rim = HALF_PATCH + 1
    inner = np.zeros_like(mask)
    inner[rim:-rim, rim:-rim] = mask[rim:-rim, rim:-rim]
    return inner


def square(array: NDArray, x: int, y: int, half: int) -> NDArray:
    """Return a view of the square about a pixel, as far as it lies on the array."""
    return array[max(0, y - half) : max(0, y + half + 1), max(0, x - half) : max(0, x + half + 1)]


def subtract_psf(image: NDArray[np.float32], psf: NDArray[np.float32], x: int, y: int, flux_jy: float) -> None:
    """Subtract a PSF centred on a pixel, as far as it reaches."""
    size, middle = image.shape[0], psf.shape[0] // 2
    y0, y1 = max(0, y - middle), min(size, y - middle + size)
    x0, x1 = max(0, x - middle), min(size, x - middle + size)
    part = psf[y0 - y + middle : y1 - y + middle, x0 - x + middle : x1 - x + middle]
    image[y0:y1, x0:x1] -= np.float32(flux_jy) * part


def curvature(psf: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the matrix of second derivatives of the PSF at its peak, along x and y (per pixel^2)."""
    from scipy.interpolate import RectBivariateSpline

    middle = psf.shape[0] // 2
    offset = np.arange(-HALF_PATCH, HALF_PATCH + 1)
    patch = square(psf, middle, middle, HALF_PATCH).astype(np.float64)
    spline = RectBivariateSpline(offset, offset, patch, kx=5, ky=5)
    cross = float(spline.ev(0, 0, dx=1, dy=1))
    return np.array([[float(spline.ev(0, 0, dy=2)), cross], [cross, float(spline.ev(0, 0, dx=2))]])


def psf_matrix(psf: NDArray[np.float32], x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the PSF at the offsets between all sources, (n, n); 0 beyond its image."""
    from scipy.ndimage import map_coordinates

    middle = psf.shape[0] // 2
    places = [np.subtract.outer(axis, axis) + middle for axis in (y, x)]
    matrix = map_coordinates(psf, places, order=1, mode="constant", cval=0.0, output=np.float64)
    np.fill_diagonal(matrix, 1.0)
    return matrix
