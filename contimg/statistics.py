"""Robust estimates of the standard deviation of samples and images."""

from __future__ import annotations

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
