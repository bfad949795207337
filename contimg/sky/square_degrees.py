"""Square degrees of the sky: cells of 1 deg in declination and 1 deg in right ascension, the index of catalogues."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

COUNT = 180 * 360


def cells_of(ra_deg: ArrayLike, dec_deg: ArrayLike) -> NDArray[np.int64]:
    """Return the numbers (n,) of the square degrees in which positions lie; the pole is in the last row."""
    row = np.clip(np.floor(np.asarray(dec_deg, np.float64)), -90, 89) + 90
    return (row * 360 + np.floor(np.asarray(ra_deg, np.float64)) % 360).astype(np.int64)


def cells_near(ra_deg: float, dec_deg: float, radius_deg: float) -> NDArray[np.int64]:
    """Return the numbers, in order, of the square degrees that a circle on the sky touches, and some around it.

    The largest difference in right ascension of a circle that holds no pole is asin(sin r / cos dec).
    """
    rows = np.arange(max(-90, math.floor(dec_deg - radius_deg)), min(89, math.floor(dec_deg + radius_deg)) + 1)
    if abs(dec_deg) + radius_deg >= 90:
        columns = np.arange(360)
    else:
        ratio = math.sin(math.radians(radius_deg)) / math.cos(math.radians(dec_deg))
        reach = 180.0 if ratio >= 1 else math.degrees(math.asin(ratio))
        first, last = math.floor(ra_deg - reach), math.floor(ra_deg + reach)
        columns = np.arange(360) if last - first >= 359 else np.arange(first, last + 1) % 360
    return np.sort(((rows[:, None] + 90) * 360 + columns[None, :]).ravel())
