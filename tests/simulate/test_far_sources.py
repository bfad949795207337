"""Sources outside the main beam: the closed form of a disc, what is above the horizon, and smearing that takes most."""

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from contimg.simulate import constants as c
from contimg.simulate.far_sources import SUN_DIAMETER_RAD, FarSource, add_far_sources, disc_visibility, far_sources
from contimg.simulate.telescope import HostileSky

NOON = 2_461_083.3  # 19:12 UTC on 2026-02-11, before local noon in California
MIDNIGHT = NOON + 0.5


def source(hour_angle=0.0, dec=0.6, **values):
    base = {"apparent_jy": (3.0, 2.0), "spectral_index": 0.0, "diameter_rad": 1e-9}
    times = 4
    return FarSource("x", np.full(times, float(hour_angle)), np.full(times, float(dec)), **base | values)


def test_a_disc_has_the_visibility_of_its_closed_form():
    """2 J1(x)/x: 1 at the origin, 0 at x = 3.8317, and 1 - x^2/8 for small x."""
    zero = 3.8317059702 / (np.pi * SUN_DIAMETER_RAD)
    assert_allclose(disc_visibility(SUN_DIAMETER_RAD, np.array([0.0, zero])), [1, 0], atol=1e-9)
    small = 0.1 / (np.pi * SUN_DIAMETER_RAD)
    assert disc_visibility(SUN_DIAMETER_RAD, np.array(small)) == pytest.approx(1 - 0.1**2 / 8, abs=1e-6)


@pytest.mark.parametrize(("jd", "names"), [(NOON, {"Sun"}), (MIDNIGHT, set())])
def test_the_sun_is_there_by_day(jd, names):
    found = far_sources(HostileSky(sun_jy=(100.0, 80.0)), jd + np.arange(3) / 1000)
    assert {one.name for one in found} == names


def test_without_being_asked_for_nothing_is_there():
    assert far_sources(HostileSky(), NOON + np.arange(2) / 1000) == ()


def test_the_brightest_sources_have_their_flux_through_the_sidelobes():
    """Above the horizon within a day: all four; Cas A, whose declination is 58.8 deg, always."""
    seen = {}
    for hour in range(0, 24, 3):
        for one in far_sources(HostileSky(ateam_response=1e-3), np.array([NOON + hour / 24])):
            seen.setdefault(one.name, []).append(one)
    assert set(seen) == {"Cas A", "Cyg A", "Tau A", "Vir A"} and len(seen["Cas A"]) == 8
    assert seen["Tau A"][0].apparent_jy == pytest.approx((0.83, 0.83))
    assert len(seen["Vir A"]) < 8


@pytest.mark.parametrize(("hour_angle", "dec", "up"), [(0.0, 0.6, True), (np.pi, 0.6, False), (np.pi, 1.2, True)])
def test_a_source_is_up_where_its_zenith_distance_says_so(hour_angle, dec, up):
    """At lower culmination the altitude is latitude + declination - 90 deg: 37.2 + 68.8 - 90 is above."""
    assert source(hour_angle, dec).up.tolist() == [up] * 4


def add(one, baselines_m, frequencies=(1.4e9,), width_hz=1.0, stopped=None):
    """Return the visibilities (4, nbl, nchan, 2) of a source on baselines from the origin."""
    local = np.vstack([np.zeros(3), baselines_m])
    instrument = SimpleNamespace(
        local_m=local, stopped_m=local if stopped is None else stopped, stopped_declination_rad=0.6
    )
    second = np.arange(1, len(local))
    data = np.zeros((4, len(second), len(frequencies), 2), np.complex64)
    pair = (np.zeros_like(second), second)
    add_far_sources(data, (one,), instrument, pair, np.array(frequencies), width_hz)
    return data


def test_a_source_at_the_phase_centre_has_its_flux_on_every_baseline():
    data = add(source(0.0, 0.6), [[0, 100.0, 0], [50, 0, 300]])
    assert_allclose(data[..., 0], 3.0, rtol=1e-5)
    assert_allclose(data[..., 1], 2.0, rtol=1e-5)


def test_a_source_goes_with_its_spectral_index():
    data = add(source(0.0, 0.6, spectral_index=-0.8), [[0, 10.0, 0]], frequencies=(0.7e9, 1.4e9))
    assert_allclose(np.abs(data[0, 0, :, 0]), [3 * 2**0.8, 3], rtol=1e-4)


def test_a_channel_smears_by_the_sinc_of_its_delay():
    """East baseline b and hour angle h: delay = -b cos(dec) sin(h) / c against the meridian."""
    hour_angle, length = -0.3, 30.0
    delay = length * np.cos(0.6) * np.sin(0.3) / c.SPEED_OF_LIGHT_M_S
    narrow, wide = (add(source(hour_angle, 0.6), [[0, length, 0]], width_hz=width)[0, 0, 0, 0] for width in (1.0, 2e7))
    assert abs(wide) / abs(narrow) == pytest.approx(abs(np.sinc(2e7 * delay)), rel=1e-4)
    assert np.angle(narrow) == pytest.approx(2 * np.pi * ((1.4e9 * delay + 0.5) % 1 - 0.5), abs=1e-2)


def test_below_the_horizon_nothing_is_added():
    assert not add(source(np.pi, 0.2), [[0, 100.0, 0]]).any()


def test_a_long_baseline_resolves_a_disc():
    wavelengths = 3.8317059702 / (np.pi * SUN_DIAMETER_RAD)
    length = wavelengths * c.SPEED_OF_LIGHT_M_S / 1.4e9  # to the east, at right angles to the meridian
    data = add(source(0.0, 0.6, diameter_rad=float(SUN_DIAMETER_RAD)), [[0, length, 0], [0, length / 50, 0]])
    assert abs(data[0, 0, 0, 0]) < 1e-4 and abs(data[0, 1, 0, 0]) == pytest.approx(3, rel=0.01)
