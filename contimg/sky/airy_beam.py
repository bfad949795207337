"""The primary beam of a dish: an Airy pattern with central blockage."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from contimg.sky.constants import C_M_S

_SERIES_BELOW = 4.0
_SERIES = [(-1) ** k / (math.factorial(k) * math.factorial(k + 1)) for k in range(16)]


def airy_power(
    separation_rad: ArrayLike, freq_hz: ArrayLike, dish_diameter_m: float, blockage_diameter_m: float
) -> NDArray[np.float64]:
    """Return the power response of a blocked circular aperture, 1 on axis.

    Parameters
    ----------
    separation_rad, freq_hz : array_like
        Angle from the axis (rad) and frequency (Hz); broadcast against each other.
    dish_diameter_m, blockage_diameter_m : float
        Diameters of the dish and of its central blockage (m).

    Notes
    -----
    ``A = [(2 J1(x)/x - e^2 2 J1(ex)/(ex)) / (1 - e^2)]^2`` with ``x = pi D sin(theta) / lambda`` and
    ``e = blockage / dish`` (Born & Wolf, Principles of Optics, section 8.6.2, annular aperture).
    """
    x = np.asarray(np.pi * dish_diameter_m / C_M_S * np.asarray(freq_hz) * np.sin(separation_rad))
    obscuration = blockage_diameter_m / dish_diameter_m
    voltage = _jinc(x) - obscuration**2 * _jinc(obscuration * x)
    return (voltage / (1 - obscuration**2)) ** 2


def _jinc(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 2 J1(x)/x, which is 1 at 0.

    A single value within the first null (3.83) comes from the power series (Abramowitz & Stegun 9.1.10), whose 16
    terms reach rounding below 4: the plan needs no more, and importing `scipy.special` takes a tenth of a dry run.
    """
    if x.ndim == 0 and abs(x) < _SERIES_BELOW:
        return np.asarray(np.polynomial.polynomial.polyval(x * x / 4, _SERIES), np.float64)
    from scipy.special import j1

    safe = np.where(x == 0, 1.0, x)
    return np.where(x == 0, 1.0, 2 * j1(safe) / safe)
