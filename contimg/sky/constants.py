"""Physical constants."""

from __future__ import annotations

C_M_S = 299_792_458.0
"""Speed of light in vacuum (m/s), exact in the SI."""

SIDEREAL_DAYS_PER_DAY = 1.00273790935
"""Rotations of the Earth against the equinox in a day of UT1 (IAU 1982, Aoki et al. 1982)."""

EARTH_RAD_S = 7.292115e-5
"""Rate of the Earth's rotation (rad/s), IERS Conventions 2010, table 1.1."""
