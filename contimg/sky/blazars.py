"""Blazars and other radio sources that vary by tens of per cent, by name and place.

The positions are those of the VLA calibrator list, to 0.5 arcsec. That these sources vary at centimetres is known from
monitoring programmes (Aller et al. 1985, ApJS 59, 513; Richards et al. 2011, ApJS 194, 29).
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from contimg.sky.spherical import separation

SAME_PLACE_ARCSEC = 30.0
# Fraction by which the flux density of such a source may differ from a list's of some years ago.
VARIABILITY = 0.3

# Name, right ascension and declination (deg, J2000).
BLAZARS = (
    ("NRAO 140", 54.1254, 32.3082),
    ("3C84", 49.9507, 41.5117),
    ("3C120", 68.2962, 5.3543),
    ("3C273", 187.2779, 2.0524),
    ("3C279", 194.0465, -5.7893),
    ("BL Lac", 330.6804, 42.2778),
    ("CTA 102", 338.1517, 11.7308),
    ("3C345", 250.7450, 39.8103),
    ("OJ 287", 133.7036, 20.1085),
    ("AO 0235+164", 39.6622, 16.6165),
    ("4C 38.41", 248.8146, 38.1346),
    ("3C454.3", 343.4906, 16.1482),
    ("3C446", 336.4469, -4.9504),
    ("NRAO 530", 263.2613, -13.0804),
    ("PKS 1510-089", 228.2106, -9.1000),
    ("PKS 0420-01", 65.8158, -1.3425),
    ("PKS 0528+134", 82.7351, 13.5320),
    ("S5 0716+71", 110.4727, 71.3434),
    ("S4 0954+65", 149.6969, 65.5652),
    ("OT 081", 267.8867, 9.6502),
    ("3C371", 271.7112, 69.8245),
    ("OP 313", 197.6194, 32.3455),
    ("DA 406", 243.4211, 34.2133),
    ("4C 39.25", 141.7626, 39.0391),
    ("PKS 0735+17", 114.5308, 17.7053),
    ("S5 1803+78", 270.1903, 78.4678),
    ("Mrk 421", 166.1138, 38.2088),
    ("Mrk 501", 253.4676, 39.7602),
    ("4C 29.45", 179.8826, 29.2455),
    ("4C 21.35", 186.2269, 21.3796),
    ("4C 01.28", 164.6234, 1.5663),
    ("4C 06.69", 327.0227, 6.9607),
    ("CTA 26", 54.8789, -1.7766),
    ("S4 1849+67", 282.3170, 67.0949),
    ("PKS 2201+17", 330.8621, 17.4301),
    ("4C 51.37", 265.1541, 52.1954),
    ("3C111", 64.5887, 38.0266),
)


def blazar_at(ra_deg: float, dec_deg: float) -> str | None:
    """Return the name of the known blazar within 30 arcsec of a position (deg, ICRS); None if there is none."""
    distance = separation(*_places(), np.radians(ra_deg), np.radians(dec_deg))
    nearest = int(np.argmin(distance))
    return BLAZARS[nearest][0] if np.degrees(distance[nearest]) * 3600 <= SAME_PLACE_ARCSEC else None


@functools.cache
def _places() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the positions (rad) of `BLAZARS`."""
    ra, dec = np.radians([(ra, dec) for _, ra, dec in BLAZARS]).T
    return ra, dec
