"""Where the Sun stands: it is in the far sidelobes of every tile by day."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contimg.sky import geometry
from contimg.times import MJD_ZERO_JD

DAY_ALTITUDE_DEG = -0.83
"""Altitude of the centre at which the upper limb rises: 50 arcmin, of which 16 are the radius and 34 refraction."""
_TT_MINUS_UTC_S = 69.2


@dataclass(frozen=True)
class SunPlace:
    """The Sun's place at one moment.

    Attributes
    ----------
    altitude_deg : float
        Of its centre, without refraction.
    separation_deg : float
        From the phase centre.
    """

    altitude_deg: float
    separation_deg: float

    @property
    def daytime(self) -> bool:
        """Whether any of it is above the horizon."""
        return self.altitude_deg > DAY_ALTITUDE_DEG


def sun_apparent(
    times_mjd: NDArray[np.float64], location: geometry.Location
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return hour angle and declination (rad, apparent, geocentric) of the Sun at UTC times.

    From ERFA's ``epv00``; the parallax of 9 arcsec does not matter here.
    """
    import erfa

    times = np.atleast_1d(times_mjd)
    heliocentric, _ = erfa.epv00(MJD_ZERO_JD, times + _TT_MINUS_UTC_S / 86400)
    towards = -heliocentric["p"]
    ra, dec = erfa.c2s(towards)
    icrs = np.stack([np.mod(ra, 2 * np.pi), dec], axis=-1)
    return geometry.apparent_from_icrs(icrs, times, location)


def sun_place(time_mjd: float, location: geometry.Location, dec_app_rad: float) -> SunPlace:
    """Return the Sun's place as seen from the array that points at (hour angle 0, a declination).

    Parameters
    ----------
    time_mjd : float
        UTC.
    location : Location
    dec_app_rad : float
        Apparent declination of the phase centre.
    """
    hour_angle, dec = sun_apparent(np.array([time_mjd]), location)
    latitude = location.latitude_rad
    towards = geometry.direction(hour_angle, dec)[0]
    zenith = np.array([np.cos(latitude), 0.0, np.sin(latitude)])
    centre = geometry.direction(0.0, dec_app_rad)
    altitude, distance = np.arcsin(np.clip(towards @ zenith, -1, 1)), np.arccos(np.clip(towards @ centre, -1, 1))
    return SunPlace(float(np.degrees(altitude)), float(np.degrees(distance)))
