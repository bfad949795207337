"""The simulator's own models of the primary beam: annular apertures, evenly illuminated or with a taper."""

from __future__ import annotations

import numpy as np
from scipy.special import j1, jv

from contimg.simulate import constants as c

CUTOFF_RAD = np.radians(8.0)
"""Beyond this angle the response is zero (as in EveryBeam's DSA-110 model)."""
TAPER_PEDESTAL, TAPER_SLOPE_HZ = 0.345, 0.2 / 187.5e6
"""Illumination at the edge of the tapered dish over that of its centre, at 1.4 GHz, and its change with frequency."""


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


def tapered_voltage(offset_rad: np.ndarray, frequency_hz: np.ndarray) -> np.ndarray:
    """Return the voltage pattern of a dish whose illumination falls from the centre to the edge, one on the axis.

    Parameters
    ----------
    offset_rad : ndarray
        Angle from the beam axis, rad; broadcasts with ``frequency_hz``.
    frequency_hz : ndarray
        Frequency, Hz.

    Notes
    -----
    Illumination ``C + (1 - C) (1 - (r/a)^2)``, a parabola on a pedestal, whose far field is
    ``C 2 J1(x)/x + (1 - C)/2 8 J2(x)/x^2`` (Stutzman & Thiele, Antenna Theory and Design, section 9.5), less that of
    the blocked centre, where the illumination is one. The feed's pattern makes C change over the band, from 0.25 at
    1.311 GHz to 0.45 at 1.499 GHz: the beam is no function of angle times frequency.
    """
    offset, frequency = np.broadcast_arrays(offset_rad, frequency_hz)
    pedestal = TAPER_PEDESTAL + TAPER_SLOPE_HZ * (frequency - c.REFERENCE_FREQUENCY_HZ)
    x = np.pi * c.DISH_DIAMETER_M * frequency / c.SPEED_OF_LIGHT_M_S * np.sin(offset)
    hole = c.BLOCKAGE_DIAMETER_M / c.DISH_DIAMETER_M
    voltage = (
        pedestal * _airy_voltage(x) + (1 - pedestal) / 2 * _parabola_voltage(x) - hole**2 * _airy_voltage(hole * x)
    )
    voltage = voltage / (pedestal + (1 - pedestal) / 2 - hole**2)
    return np.where(offset < CUTOFF_RAD, voltage, 0.0)


def _parabola_voltage(x: np.ndarray) -> np.ndarray:
    """Return 8 J2(x) / x^2 with its limit 1 at the origin."""
    safe = np.where(np.abs(x) < 1e-4, 1.0, x)
    return np.where(np.abs(x) < 1e-4, 1.0, 8 * jv(2, safe) / safe**2)
