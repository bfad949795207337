"""Robust statistics of the common sources of two tiles: their median difference, and whether they scatter too much."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from contimg.statistics import MAD_TO_SIGMA

MIN_SCATTERED, SCATTERED = 5, 4.0
"""Least number of common sources whose scatter is judged, and by how many times it must exceed their errors (which
errors that are underestimated on crowded fields do not: 1.9 at most on clean simulated nights)."""


def weighted_median(values: NDArray[np.float64], errors: NDArray[np.float64]) -> tuple[float, float]:
    """Return the median weighted by inverse variances, and its error: that of the mean, times sqrt(pi / 2).

    Where the values scatter more than their errors say, the error grows with them.
    """
    order = np.argsort(values, kind="stable")
    weight = errors[order] ** -2
    share = (np.cumsum(weight) - weight / 2) / weight.sum()
    middle = float(np.interp(0.5, share, values[order]))
    excess = float(np.median(np.abs(values - middle) / errors)) * MAD_TO_SIGMA
    return middle, math.sqrt(math.pi / 2 / float(weight.sum())) * max(1.0, excess)


def scatter(deviations: NDArray[np.float64], errors: NDArray[np.float64]) -> float:
    """Return the standard deviation of values that scatter much more than their errors; 0 for others, or for few."""
    if len(deviations) < MIN_SCATTERED:
        return 0.0
    inflation = MAD_TO_SIGMA * float(np.median(np.abs(deviations) / errors))
    return MAD_TO_SIGMA * float(np.median(np.abs(deviations))) if inflation >= SCATTERED else 0.0


def lower_median(values: Sequence[float]) -> float:
    """Return the median, of an even number of values the lower one of the middle two."""
    return sorted(values)[(len(values) - 1) // 2]
