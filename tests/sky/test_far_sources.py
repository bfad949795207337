"""Places of the Sun and the A-team, and when they are above the horizon."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from contimg.sky.far_sources import FAR_SOURCES, above_horizon
from contimg.sky.geometry import Location
from contimg.sky.sun import sun_apparent

SITE = Location(np.radians(37.2339), np.radians(-118.2834), 1222.0)
TIMES = 61082.0 + np.array([0.25, 0.5, 0.8])
# The centres of 3C 461, 3C 405, 3C 144 and 3C 274, J2000 (NED).
PLACES = {
    "Cas A": "23h23m24s +58d48m54s",
    "Cyg A": "19h59m28.36s +40d44m02.1s",
    "Tau A": "05h34m31.94s +22d00m52.2s",
    "Vir A": "12h30m49.42s +12d23m28.0s",
}


@pytest.mark.parametrize("source", FAR_SOURCES[1:], ids=lambda one: one.name)
def test_places_are_those_of_the_catalogues_to_an_arcminute(source):
    known = SkyCoord(PLACES[source.name])
    assert SkyCoord(*source.icrs_deg, unit="deg").separation(known).arcmin < 1.0


def test_the_sun_is_where_the_sun_is():
    assert FAR_SOURCES[0].name == "Sun"
    np.testing.assert_array_equal(FAR_SOURCES[0].apparent(TIMES, SITE), sun_apparent(TIMES, SITE))


@pytest.mark.parametrize(
    ("hour_angle_deg", "dec_deg", "up"),
    [
        (0, 37.2, True),
        (0, -52.0, True),
        (0, -54.0, False),
        (180, 54.0, True),
        (180, 50.0, False),
        (89, 0, True),
        (92, 0, False),
    ],
)
def test_the_horizon_of_the_site(hour_angle_deg, dec_deg, up):
    """A source crosses the southern meridian above the horizon from declination -52.8, and never sets from +52.8 on."""
    angles = np.radians([hour_angle_deg]), np.radians([dec_deg])
    assert bool(above_horizon(*angles, SITE)[0]) is up
