"""The measurements behind the findings, against closed forms and other tools."""

from __future__ import annotations

import numpy as np
import pytest

from contimg.commissioning.fits import antenna_values, regress
from contimg.commissioning.frequencies import subband_at
from contimg.commissioning.fringes import Baselines, FringeModel, coherence, mean_coherence, stopped
from contimg.commissioning.positions import ionosphere_s, patterns
from contimg.correlator.band import subband_frequencies
from contimg.correlator.setup import table_of
from contimg.sky import geometry
from contimg.sky.sun import sun_apparent

SITE = geometry.Location(0.6498455107238486, -2.064427799136453, 1188.0519)
RATE = 7.292115e-5
TIMES = 61082.3 + (np.arange(24) - 11.5) * 12.884901888 / 86400


def all_pairs(count):
    two, one = np.tril_indices(count, -1)
    return Baselines(one, two)


def test_a_steady_signal_is_coherent_and_noise_has_no_bias():
    rng = np.random.default_rng(1)
    noise = rng.standard_normal((24, 2, 300, 8, 2)).view(complex)[..., 0].astype(np.complex64)
    gain = np.exp(2j * np.pi * rng.uniform(size=(1, 2, 300, 8))).astype(np.complex64)
    together, adjacent = coherence(3 * gain + noise)
    assert together.mean() == pytest.approx(9 * 16, rel=0.01)  # power, summed over 16 channels and products
    assert mean_coherence(together, adjacent) == pytest.approx(1, abs=0.01)
    assert coherence(noise)[0].mean() == pytest.approx(0, abs=0.3)


@pytest.mark.parametrize("turns", [0.5, 1.0, 1.5, 3.3])
def test_coherence_of_a_turning_signal_is_that_of_the_closed_form(turns):
    count = 400
    data = np.exp(2j * np.pi * turns * np.arange(count) / count).astype(np.complex64)[:, None, None, None]
    assert mean_coherence(*coherence(data)) == pytest.approx(np.sinc(turns) ** 2, abs=0.01)


def test_the_model_takes_off_the_fringe_of_an_independent_calculation():
    centre = geometry.meridian_icrs(TIMES.mean(), 0.9, SITE)
    positions = np.array([[0.0, 0.0, 0.0], [120.0, -310.0, 55.0]])
    model = FringeModel(positions, SITE, centre, 0.9)
    # Hour angle of a source that transits in the middle: x towards the meridian, y east.
    hour_angle = RATE * (TIMES - TIMES.mean()) * 86400
    longitude = SITE.longitude_rad
    x = np.cos(longitude) * 120 + np.sin(longitude) * -310
    y = -np.sin(longitude) * 120 + np.cos(longitude) * -310
    path = np.cos(0.9) * (x * (np.cos(hour_angle) - 1) - y * np.sin(hour_angle))
    assert model.paths_m(TIMES)[:, 1] == pytest.approx(path, abs=3e-4)
    fringe = np.exp(2j * np.pi * 1.4e9 / 299792458 * path).astype(np.complex64)[:, None, None, None]
    pair = Baselines(np.array([0]), np.array([1]))
    left = stopped(fringe, model.paths_m(TIMES), np.array([1.4e9]), pair)
    assert np.abs(np.angle(left)).max() < 0.02


def test_patterns_of_a_metre_to_the_east_and_to_the_north():
    dec = 0.9
    model = FringeModel(np.zeros((1, 3)), SITE, geometry.meridian_icrs(TIMES.mean(), dec, SITE), dec)
    hour_angle = RATE * (TIMES - TIMES.mean()) * 86400
    east, north = patterns(model, TIMES)
    assert east == pytest.approx(-np.cos(dec) * np.sin(hour_angle), abs=2e-6)
    bend = np.sin(SITE.latitude_rad) * np.cos(dec) * (1 - np.cos(hour_angle))
    assert north == pytest.approx(bend - bend.mean(), abs=2e-6)


def test_antenna_values_come_back_in_spite_of_wild_baselines():
    rng = np.random.default_rng(2)
    truth, pairs = rng.normal(0, 3, 12), all_pairs(12)
    values = truth[pairs.two] - truth[pairs.one]
    values[::9] += 50
    weights = np.ones(len(values))
    weights[(pairs.one == 4) | (pairs.two == 4)] = 0
    found = antenna_values(values, pairs, 12, weights)
    assert np.isnan(found[4])
    others = np.delete(np.arange(12), 4)
    assert found[others] - found[0] == pytest.approx(truth[others] - truth[0], abs=0.02)


def test_regression_ignores_outliers_and_knows_its_error():
    rng = np.random.default_rng(3)
    x = np.linspace(-1, 1, 200)
    y = 2 + 3 * x + 0.1 * rng.standard_normal(200)
    y[:10] += 40
    coefficients, errors, sigma = regress(np.stack([np.ones(200), x], axis=1), y)
    assert coefficients == pytest.approx([2, 3], abs=0.05)
    assert sigma == pytest.approx(0.1, rel=0.15)
    assert errors[1] == pytest.approx(0.1 / np.sqrt((x**2).sum()), rel=0.2)
    assert np.isinf(regress(np.ones((2, 2)), np.zeros(2))[1]).all()


def test_jackknife_error_of_a_slope_that_one_value_decides():
    x = np.append(np.zeros(30), 10.0) + np.linspace(0, 1e-3, 31)
    y = np.append(0.1 * np.random.default_rng(4).standard_normal(30), 5.0)
    design = np.stack([np.ones(31), x], axis=1)
    assert regress(design, y, jackknife=True)[1][1] >= regress(design, y)[1][1]


def test_clock_error_that_the_ionosphere_looks_like():
    # 0.25 arcsec in 309 s at declination 54.57: n' cos(lat - dec) / (w^2 sin lat cos dec).
    rate = 0.25 / 309 * 4.84814e-6
    lat, dec = 0.64984551, np.radians(54.57)
    expected = rate * np.cos(lat - dec) / (RATE**2 * np.sin(lat) * np.cos(dec))
    assert ionosphere_s(dec, lat) == pytest.approx(expected, rel=1e-3)
    assert expected == pytest.approx(2.01, abs=0.02)


def test_place_of_the_sun_is_that_of_astropy():
    from astropy import units as u
    from astropy.coordinates import EarthLocation, HADec, get_body
    from astropy.time import Time
    from astropy.utils import iers

    place = EarthLocation.from_geodetic(SITE.longitude_rad * u.rad, SITE.latitude_rad * u.rad, SITE.height_m * u.m)
    with iers.conf.set_temp("auto_download", False), iers.conf.set_temp("auto_max_age", None):
        time = Time(61082.8, format="mjd", scale="utc")
        sun = get_body("sun", time, place).transform_to(HADec(obstime=time, location=place))
        expected = (sun.ha.wrap_at(180 * u.deg).rad, sun.dec.rad)
    hour_angle, dec = sun_apparent(np.array([61082.8]), SITE)
    arcsec = np.degrees([(hour_angle[0] - expected[0]) * np.cos(dec[0]), dec[0] - expected[1]]) * 3600
    assert np.abs(arcsec).max() < 30  # parallax 9 arcsec, aberration 20


@pytest.mark.parametrize("subband", range(16))
def test_subband_of_a_frequency(subband):
    assert subband_at(subband_frequencies(subband, 48).mean() / 1e6) == subband


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/home/ubuntu/data/fringestopping_table_dec54.6deg_96ant.npz", (54.6, 96)),
        ("other/fringestopping_table_dec-3.0deg_63ant.npz", (-3.0, 63)),
        ("", None),
    ],
)
def test_declination_and_antennas_in_the_name_of_a_table(path, found):
    assert table_of(path) == found
