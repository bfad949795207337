"""Fitting the restoring beam to the core of the PSF, and restoring components with it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from contimg.sky.restoring_beam import FWHM_PER_SIGMA, RestoringBeam

# The Gaussian is fitted where the PSF, connected with its peak, is above this.
_CORE_LEVEL = 0.35
_REACH_SIGMA = 6.0
# Up to this many kernel pixels to be added per image pixel, adding them is cheaper than FFTs.
_STAMPS = 5.0


def fit_beam(psf: NDArray[np.float32], cell_rad: float) -> RestoringBeam | None:
    """Fit an elliptical Gaussian of peak 1 to the core of a PSF.

    Parameters
    ----------
    psf : (size, size)
        Peak 1 at pixel ``size // 2``; ``[y, x]``, x towards west.
    cell_rad : float

    Returns
    -------
    RestoringBeam or None
        None if the core is no beam: fewer than 5 pixels, or touching the edge of the image.
    """
    from scipy.ndimage import label
    from scipy.optimize import least_squares

    middle = psf.shape[0] // 2
    labels, _ = label(psf > _CORE_LEVEL)
    y, x = np.nonzero(labels == labels[middle, middle])
    if not psf[middle, middle] > _CORE_LEVEL or len(x) < 5 or min(x.min(), y.min()) == 0:
        return None
    if max(x.max(), y.max()) == psf.shape[0] - 1:
        return None
    east, north, value = -(x - middle).astype(float), (y - middle).astype(float), psf[y, x].astype(float)

    def misfit(p: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.exp(-(p[0] * east**2 + 2 * p[1] * east * north + p[2] * north**2)) - value

    # Moments of -ln(psf) give the start; the fit is in pixels.
    design = np.stack([east**2, 2 * east * north, north**2], axis=1)
    start = np.linalg.lstsq(design, -np.log(value / value.max()), rcond=None)[0]
    a, b, c = least_squares(misfit, start, method="lm", xtol=1e-12, ftol=1e-12).x
    half, root = (a + c) / 2, math.hypot((a - c) / 2, b)
    if not half - root > 0:
        return None
    width = [math.sqrt(4 * math.log(2) / value) * cell_rad for value in (half - root, half + root)]
    # exponent(angle) = half + (c - a) / 2 cos(2 angle) + b sin(2 angle), least along the major axis
    angle = 0.5 * math.atan2(-2 * b, a - c) if root > 0 else 0.0
    return RestoringBeam(width[0], width[1], angle)


def convolve(model: NDArray[np.float32], beam: RestoringBeam, cell_rad: float) -> NDArray[np.float32]:
    """Return components (Jy/pixel) convolved with the restoring beam (Jy/beam)."""
    from scipy.signal import oaconvolve

    y, x = np.nonzero(model)
    reach = min(math.ceil(_REACH_SIGMA * beam.bmaj_rad / FWHM_PER_SIGMA / cell_rad), model.shape[0])
    offset = np.arange(-reach, reach + 1)
    kernel = gaussian(beam, -offset[None, :] * cell_rad, offset[:, None] * cell_rad)
    if len(x) * kernel.size > _STAMPS * model.size:
        return oaconvolve(model.astype(np.float64), kernel, mode="same").astype(np.float32)
    image = np.zeros(np.add(model.shape, 2 * reach))
    for row, column in zip(y, x, strict=True):
        image[row : row + len(offset), column : column + len(offset)] += model[row, column] * kernel
    return image[reach : reach + model.shape[0], reach : reach + model.shape[1]].astype(np.float32)


def gaussian(beam: RestoringBeam, east: NDArray[np.float64], north: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the restoring beam, peak 1, at offsets (rad)."""
    a, b, c = beam.exponents()
    return np.exp(-(a * east**2 + 2 * b * east * north + c * north**2))


def add_source(
    image: NDArray[np.floating], beam: RestoringBeam, cell_rad: float, pixel: tuple[float, float], flux_jy: float
) -> None:
    """Add a restored point source to an image (Jy/beam), at its position (x, y) in pixels and fractions."""
    x, y = pixel
    reach = math.ceil(_REACH_SIGMA * beam.bmaj_rad / FWHM_PER_SIGMA / cell_rad)
    xs = np.arange(max(0, round(x) - reach), min(image.shape[1], round(x) + reach + 1))
    ys = np.arange(max(0, round(y) - reach), min(image.shape[0], round(y) + reach + 1))
    if len(xs) and len(ys):
        spot = gaussian(beam, -(xs[None, :] - x) * cell_rad, (ys[:, None] - y) * cell_rad)
        image[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1] += flux_jy * spot
