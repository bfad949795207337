"""The simulator's own model of the primary beam: the Airy pattern of an annular aperture."""

from __future__ import annotations

import numpy as np
from scipy.special import j1

from contimg.simulate import constants as c

CUTOFF_RAD = np.radians(8.0)
"""Beyond this angle the response is zero (as in EveryBeam's DSA-110 model)."""


def power_beam(
    offset_rad: np.ndarray,
    frequency_hz: np.ndarray,
    dish_m: float = c.DISH_DIAMETER_M,
    blockage_m: float = c.BLOCKAGE_DIAMETER_M,
) -> np.ndarray:
    """Return the power pattern of a uniformly illuminated dish with a central blockage.

    The far field of an annulus is the difference of two Airy voltage patterns weighted by their areas;
    its square, normalised to one on the axis, is the power beam.

    Parameters
    ----------
    offset_rad : ndarray
        Angle from the beam axis, rad; broadcasts with ``frequency_hz``.
    frequency_hz : ndarray
        Frequency, Hz.
    dish_m, blockage_m : float
        Outer and inner diameter of the aperture, m.

    Returns
    -------
    ndarray
        Power response between 0 and 1, shape of the broadcast inputs.
    """
    return voltage_beam(offset_rad, frequency_hz, dish_m, blockage_m) ** 2


def voltage_beam(
    offset_rad: np.ndarray,
    frequency_hz: np.ndarray,
    dish_m: float = c.DISH_DIAMETER_M,
    blockage_m: float = c.BLOCKAGE_DIAMETER_M,
) -> np.ndarray:
    """Return the voltage pattern of that dish, normalised to one on the axis; parameters as of `power_beam`."""
    offset, frequency = np.broadcast_arrays(offset_rad, frequency_hz)
    x = np.pi * dish_m * frequency / c.SPEED_OF_LIGHT_M_S * np.sin(offset)
    hole = blockage_m / dish_m
    voltage = (_airy_voltage(x) - hole**2 * _airy_voltage(hole * x)) / (1 - hole**2)
    return np.where(offset < CUTOFF_RAD, voltage, 0.0)


def _airy_voltage(x: np.ndarray) -> np.ndarray:
    """Return 2 J1(x) / x with its limit 1 at the origin."""
    safe = np.where(np.abs(x) < 1e-8, 1.0, x)
    return np.where(np.abs(x) < 1e-8, 1.0, 2 * j1(safe) / safe)
