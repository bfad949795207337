"""Robust estimates: the standard deviation of samples and images, peaks, linear fits, the choice between models."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAD_TO_SIGMA = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation: 1 / (sqrt(2) erfinv(1/2))."""

IQR_PER_SIGMA = 1.349
"""Interquartile range of a normal distribution over its standard deviation: 2 sqrt(2) erfinv(1/2)."""

CLIP_SIGMA = 5.0
# Of fewer values `clipped_sigma` says nothing.
_MIN_VALUES = 16
_MAX_CLIPS = 20
# Pixels per axis that `image_sigma` takes of a large image.
_PIXELS = 1024
# Huber's estimator: residuals beyond this many errors count less (95 % efficient where there are no outliers).
_HUBER = 1.345
_MAX_REWEIGHTINGS = 50


def robust_sigma(values: NDArray[Any]) -> float:
    """Return the standard deviation as 1.4826 times the median absolute deviation about the median.

    Parameters
    ----------
    values : array
        Any shape; values that are not finite are left out.

    Returns
    -------
    float
        In the unit of `values`; NaN if none is finite.
    """
    values = values[np.isfinite(values)]
    return float(MAD_TO_SIGMA * np.median(np.abs(values - np.median(values)))) if values.size else float("nan")


def clipped_sigma(values: NDArray[np.floating]) -> float | None:
    """Return `robust_sigma` of the values within 5 sigma of the median, repeated until none is left out.

    Parameters
    ----------
    values : array
        Any shape; values that are not finite are left out.

    Returns
    -------
    float or None
        In the unit of `values`; None if fewer than 16 values are finite or they do not scatter.
    """
    kept = values[np.isfinite(values)].astype(np.float64, copy=False)
    sigma = 0.0
    for _ in range(_MAX_CLIPS):
        if kept.size < _MIN_VALUES:
            return None
        distance = np.abs(kept - np.median(kept))
        sigma = MAD_TO_SIGMA * float(np.median(distance))
        inside = distance <= CLIP_SIGMA * sigma
        if sigma == 0:
            return None
        if inside.all():
            return sigma
        kept = kept[inside]
    return sigma


def image_sigma(image: NDArray[np.floating]) -> float:
    """Return the robust standard deviation of a large image from about a million of its pixels, evenly spaced."""
    step = max(1, min(image.shape) // _PIXELS)
    return robust_sigma(image[::step, ::step])


def interpolated_peak(image: NDArray[np.floating], y: int, x: int) -> float:
    """Return the height of a maximum between pixels: that of the Gaussian through the 3 x 3 pixels round it.

    With three pixels a beam, the highest pixel lies up to 14 % below the peak of a point source.

    Parameters
    ----------
    image : (ny, nx) array
    y, x : int
        Row and column of the highest pixel.

    Returns
    -------
    float
        In the unit of `image`; the pixel's own value where a neighbour is missing, or the pixels have no maximum that a
        Gaussian describes within a pixel of it.

    Notes
    -----
    The logarithm of a Gaussian is a paraboloid. It is fitted with weights that fall with the square of the value, as
    the variance of a logarithm grows.
    """
    own = float(image[y, x])
    part = np.asarray(image[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2], np.float64)
    if part.shape != (3, 3) or not (np.isfinite(part) & (part > 0)).all():
        return own
    dy, dx = (offset.ravel() for offset in np.mgrid[-1.0:2.0, -1.0:2.0])
    value = part.ravel() / part.max()
    design = np.column_stack([np.ones(9), dx, dy, dx**2, dx * dy, dy**2])
    fitted = np.linalg.lstsq(design * value[:, None], np.log(value) * value, rcond=None)[0]
    curvature = np.array([[2 * fitted[3], fitted[4]], [fitted[4], 2 * fitted[5]]])
    if np.linalg.eigvalsh(curvature)[-1] >= 0:
        return own
    place = np.linalg.solve(curvature, -fitted[1:3])
    if np.abs(place).max() > 1:
        return own
    return float(part.max() * np.exp(fitted[0] + fitted[1:3] @ place / 2))


@dataclass(frozen=True)
class RobustFit:
    """The result of a linear fit: coefficients (p,), their standard errors (p,), and the errors of the values used.

    Attributes
    ----------
    coefficients, errors : (p,) float64
    covariance : (p, p) float64
        Of the coefficients.
    inflation : float
        Factor, 1 or larger, by which the values scatter more than their errors say; `errors` contain it.
    """

    coefficients: NDArray[np.float64]
    errors: NDArray[np.float64]
    inflation: float
    covariance: NDArray[np.float64]


def robust_fit(design: NDArray[np.float64], values: NDArray[np.float64], errors: NDArray[np.float64]) -> RobustFit:
    """Fit a linear model by weighted least squares in which outliers count little (Huber's estimator).

    Parameters
    ----------
    design : (n, p) float64
        Derivatives of the values by the coefficients; of rank p, with n > p.
    values, errors : (n,) float64
        Values and their standard deviations. Where the residuals scatter more than these, the coefficients' errors
        grow with them.
    """
    scaled, target = design / errors[:, None], values / errors
    inflation = 1.0
    weight: NDArray[np.float64] = np.ones(len(values))
    coefficients: NDArray[Any] = np.zeros(design.shape[1])
    for _ in range(_MAX_REWEIGHTINGS):
        root = np.sqrt(weight)
        updated = np.linalg.lstsq(scaled * root[:, None], target * root, rcond=None)[0]
        residual = np.abs(target - scaled @ updated)
        # Residuals of a fit are smaller than the errors: n - p of n are free.
        spread = MAD_TO_SIGMA * float(np.median(residual)) * math.sqrt(len(values) / (len(values) - len(updated)))
        inflation = max(1.0, spread)
        weight = np.asarray(np.minimum(1.0, _HUBER * inflation / np.maximum(residual, 1e-300)), np.float64)
        settled = np.allclose(updated, coefficients, rtol=1e-8, atol=1e-12)
        coefficients = updated
        if settled:
            break
    covariance = np.asarray(np.linalg.pinv((scaled * weight[:, None]).T @ scaled) * inflation**2, np.float64)
    return RobustFit(coefficients, np.sqrt(np.diag(covariance)), inflation, covariance)


@dataclass(frozen=True)
class Explanation:
    """The one-parameter model that explains values best: its name, parameter with error, and fall of chi square."""

    name: str
    value: float
    error: float
    improvement: float


def best_explanation(
    patterns: Mapping[str, NDArray[np.float64]], values: NDArray[np.float64], errors: NDArray[np.float64]
) -> Explanation | None:
    """Return which of several patterns, scaled, describes values best; None where there are no patterns.

    Parameters
    ----------
    patterns : mapping of str to (n,) float64
        By the name of the hypothesis: derivative of the values by its parameter.
    values, errors : (n,) float64
        Values, which no hypothesis at all expects to be 0, and their standard deviations.

    Notes
    -----
    Each residual counts with at most 3 errors, so that a few outliers decide nothing.
    """
    found = []
    for name, pattern in patterns.items():
        fit = robust_fit(pattern[:, None], values, errors)
        residual = values - fit.coefficients[0] * pattern
        fall = np.minimum((values / errors) ** 2, 9) - np.minimum((residual / errors) ** 2, 9)
        found.append(Explanation(name, float(fit.coefficients[0]), float(fit.errors[0]), float(fall.sum())))
    return max(found, key=lambda one: one.improvement, default=None)
