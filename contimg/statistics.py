"""Robust statistics of samples and images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# The scale of the normal distribution: sigma = 1.4826 median absolute deviations.
MAD_TO_SIGMA = 1.4826


def robust_sigma(values: NDArray) -> float:
    """Return 1.4826 times the median absolute deviation about the median, of the finite values."""
    values = values[np.isfinite(values)]
    return float(MAD_TO_SIGMA * np.median(np.abs(values - np.median(values))))


def image_sigma(image: NDArray[np.floating]) -> float:
    """Return the robust sigma of a large image from about a million of its pixels, evenly spaced."""
    step = max(1, min(image.shape) // 1024)
    return robust_sigma(image[::step, ::step])
