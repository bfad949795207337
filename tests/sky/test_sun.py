"""The Sun's place against astropy's, which computes it independently."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import AltAz, EarthLocation, get_sun
from astropy.time import Time
from astropy.utils import iers

from contimg.sky.geometry import Location
from contimg.sky.sun import SunPlace, sun_place

LATITUDE, LONGITUDE, HEIGHT = 37.2334051, -118.283, 1188.0
SITE = Location(np.radians(LATITUDE), np.radians(LONGITUDE), HEIGHT)


@pytest.mark.parametrize("mjd", [61082.0, 61082.5, 61082.83, 61200.85, 61395.2], ids=str)
@pytest.mark.parametrize("dec_deg", [16.3, 54.57])
def test_altitude_and_separation_are_astropys(mjd, dec_deg):
    with iers.conf.set_temp("auto_download", False), iers.conf.set_temp("auto_max_age", None):
        place = EarthLocation.from_geodetic(LONGITUDE * u.deg, LATITUDE * u.deg, HEIGHT * u.m)
        frame = AltAz(obstime=Time(mjd, format="mjd"), location=place)
        sun = get_sun(frame.obstime).transform_to(frame)
    found = sun_place(mjd, SITE, np.radians(dec_deg))
    assert found.altitude_deg == pytest.approx(sun.alt.deg, abs=0.01)
    # The array looks along the meridian at an altitude of 90 deg less the distance of declination and latitude.
    azimuth, altitude = (180, 90 - (LATITUDE - dec_deg)) if dec_deg < LATITUDE else (0, 90 - (dec_deg - LATITUDE))
    looking = AltAz(az=azimuth * u.deg, alt=altitude * u.deg, obstime=frame.obstime, location=place)
    assert found.separation_deg == pytest.approx(looking.separation(sun).deg, abs=0.01)


@pytest.mark.parametrize(
    ("altitude", "day"), [(-0.84, False), (-0.82, True), (0.0, True), (60.0, True), (-60.0, False)]
)
def test_day_begins_with_the_upper_limb(altitude, day):
    assert SunPlace(altitude, 90.0).daytime is day


def test_the_longest_and_the_shortest_day_of_the_site():
    """From sunrise to sunset: 14.75 h at the summer and 9.57 h at the winter solstice of latitude 37.23 deg."""
    for mjd, hours in ((61212.0, 14.75), (61395.0, 9.57)):  # 2026-06-21, 2026-12-21
        times = mjd + np.arange(0, 1, 1 / 720)
        day = np.mean([sun_place(time, SITE, 0.0).daytime for time in times]) * 24
        assert day == pytest.approx(hours, abs=0.1)
