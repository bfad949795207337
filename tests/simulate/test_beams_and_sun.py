"""Pattern of the dish, place of the Sun and visibilities of its disc, each against a closed form or an almanac."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import j0

from contimg.simulate.beam import power_beam, tapered_voltage
from contimg.simulate.far_sources import disc_visibility
from contimg.simulate.frames import sun_places


def _aperture(x, frequency):
    """Return the voltage pattern of the tapered dish by integration over its rings (Hankel transform)."""
    radius = np.linspace(0.4064 / 4.65, 1.0, 20001)
    edge = 0.345 + 0.2 * (frequency - 1.4e9) / 187.5e6
    rings = radius * (edge + (1 - edge) * (1 - radius**2))
    # The blocked centre counts as evenly lit: it differs from the taper there by less than 1e-3 of the dish.
    return np.trapezoid(rings * j0(x * radius), radius) / np.trapezoid(rings, radius)


@pytest.mark.parametrize("frequency", [1.311e9, 1.4e9, 1.499e9])
def test_the_tapered_beam_is_the_transform_of_its_aperture(frequency):
    angle = np.radians([0.0, 0.3, 0.7, 1.0, 1.4, 1.9])
    x = np.pi * 4.65 * frequency / 299792458.0 * np.sin(angle)
    expected = [_aperture(one, frequency) for one in x]
    assert tapered_voltage(angle, np.array(frequency)) == pytest.approx(expected, abs=1e-4)
    assert tapered_voltage(np.radians(8.1), np.array(frequency)) == 0


def test_the_tapered_beam_is_no_airy_pattern():
    """It is wider by 12 per cent at the low end of the band and by 7 at the high one."""
    angle = np.radians(np.linspace(1.0, 2.0, 2001))
    ratios = []
    for frequency in (1.311e9, 1.499e9):
        half = [angle[np.argmin(np.abs(power - 0.5))] for power in (
            tapered_voltage(angle, np.array(frequency)) ** 2, power_beam(angle, np.array(frequency))
        )]  # fmt: skip
        ratios.append(half[0] / half[1])
    assert ratios == pytest.approx([1.12, 1.07], abs=0.005)


def almanac_sun(jd):
    """Return (RA, Dec) of the Sun, deg, to 0.01 deg: Astronomical Almanac, page C5, low precision."""
    n = jd - 2451545.0
    mean, anomaly = np.radians(280.460 + 0.9856474 * n), np.radians(357.528 + 0.9856003 * n)
    longitude = mean + np.radians(1.915) * np.sin(anomaly) + np.radians(0.020) * np.sin(2 * anomaly)
    tilt = np.radians(23.439 - 4e-7 * n)
    return np.degrees([np.arctan2(np.cos(tilt) * np.sin(longitude), np.cos(longitude)),
                       np.arcsin(np.sin(tilt) * np.sin(longitude))])  # fmt: skip


@pytest.mark.parametrize("jd", [2461082.3, 2461200.8, 2461300.1])
def test_place_of_the_sun(jd):
    hour_angle, dec = np.degrees(sun_places(np.array([jd])))
    ra, expected_dec = almanac_sun(jd)
    sidereal = 280.46061837 + 360.98564736629 * (jd - 2451545.0) - 118.283  # GMST + longitude
    assert dec[0] == pytest.approx(expected_dec, abs=0.015)
    assert (hour_angle[0] - (sidereal - ra) + 180) % 360 - 180 == pytest.approx(0, abs=0.03)


def test_disc_visibility_is_that_of_a_uniform_disc():
    diameter = np.radians(32 / 60)
    first_null = 1.2196698912665 / diameter  # of J1
    assert disc_visibility(diameter, np.array([0.0, first_null])) == pytest.approx([1, 0], abs=1e-9)
    # A sum over the disc itself, at half the first null.
    grid = (np.arange(400) + 0.5) / 400 - 0.5
    x, y = np.meshgrid(grid, grid)
    inside = np.hypot(x, y) < 0.5
    wave = np.cos(2 * np.pi * x[inside] * diameter * first_null / 2)
    assert disc_visibility(diameter, np.array([first_null / 2]))[0] == pytest.approx(wave.mean(), abs=2e-3)
