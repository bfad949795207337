"""Catalogues, and model visibilities against a brute-force sum with its own geometry and beam."""

import numpy as np
import pytest
from scipy.special import jv

from contimg.config import BeamOptions
from contimg.measurement_set import Coordinates
from contimg.sky import geometry
from contimg.sky.predict import direction_cosines, predict, predict_apparent, true_cosines

BEAM = BeamOptions()
LOCATION = geometry.Location(0.6498455107238486, -2.064427799136453, 1188.05)
C = 299_792_458.0


def _coordinates(nant=7, ntime=3, nchan=40, freq=None):
    rng = np.random.default_rng(5)
    east_north_up = rng.normal(0, [500, 700, 5], (nant, 3))
    positions = LOCATION.itrf() + east_north_up
    times = 61082.5 * 86400 + 12.885 * np.arange(ntime)
    centre = np.array([3.5, 0.53])
    antenna = geometry.uvw(positions, centre, times / 86400, LOCATION)
    one, two = np.triu_indices(nant, 1)
    count = len(one)
    return Coordinates(
        uvw_m=(antenna[:, one] - antenna[:, two]).reshape(-1, 3),
        time_mjd_s=np.repeat(times, count),
        antenna1=np.tile(one, ntime).astype(np.int32),
        antenna2=np.tile(two, ntime).astype(np.int32),
        freq_hz=1.311e9 + 4.7e6 * np.arange(nchan) if freq is None else freq,
        channel_width_hz=4.7e6,
        polarisations=("XX", "YY"),
        phase_centre_rad=centre,
        times_mjd_s=times,
        pointing_rad=np.stack([centre[0] + 7.3e-5 * (times - times.mean()), np.full(ntime, 0.531)], axis=1),
        antenna_names=[str(i) for i in range(nant)],
        antenna_positions_m=positions,
        dish_diameter_m=4.65,
        telescope="OVRO_MMA",
        integration_s=12.885,
        synthetic=True,
        array_position_m=LOCATION.itrf(),
    )


def _unit(ra, dec):
    return np.array([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])


def _airy(theta, freq, dish=4.65, hole=0.4064):
    x = np.pi * dish * freq / C * np.sin(theta)
    y = x * hole / dish
    ratio = (hole / dish) ** 2
    return ((2 * jv(1, x) / x - ratio * 2 * jv(1, y) / y) / (1 - ratio)) ** 2


def _brute(vis, ra, dec, flux):
    ra0, dec0 = vis.phase_centre_rad
    east = np.array([-np.sin(ra0), np.cos(ra0), 0])
    total = np.zeros((len(vis.uvw_m), len(vis.freq_hz)), complex)
    north = np.cross(_unit(ra0, dec0), east)
    for a, d, s in zip(ra, dec, flux, strict=True):
        star = _unit(a, d)
        lmn = np.array([star @ east, star @ north, star @ _unit(ra0, dec0) - 1])
        for row in range(len(total)):
            time = np.flatnonzero(vis.times_mjd_s == vis.time_mjd_s[row])[0]
            theta = np.arccos(star @ _unit(*vis.pointing_rad[time]))
            delay = vis.uvw_m[row] @ lmn / C
            total[row] += s * _airy(theta, vis.freq_hz) * np.exp(2j * np.pi * vis.freq_hz * delay)
    return total


@pytest.fixture(scope="module")
def sources():
    rng = np.random.default_rng(2)
    return 3.5 + rng.uniform(-0.04, 0.04, 8), 0.53 + rng.uniform(-0.03, 0.03, 8), rng.uniform(0.1, 15, 8)


@pytest.mark.parametrize("spacing", ["uniform", "gaps"])
def test_predict_equals_the_double_sum(sources, spacing):
    freq = None if spacing == "uniform" else np.sort(np.random.default_rng(1).uniform(1.31e9, 1.5e9, 40))
    vis = _coordinates(freq=freq)
    ra, dec, flux = sources
    spectrum = flux[:, None] * (vis.freq_hz / 1.4e9) ** -0.7
    model = predict(vis, ra, dec, spectrum, BEAM)
    expected = _brute(vis, ra, dec, spectrum)
    assert model.dtype == np.complex64
    assert np.abs(model - expected).max() < 1e-6 * np.abs(expected).max()


def test_rows_in_any_order_and_number(sources):
    vis = _coordinates()
    ra, dec, flux = sources
    spectrum = flux[:, None] * np.ones(len(vis.freq_hz))
    whole = predict(vis, ra, dec, spectrum, BEAM)
    kept = np.random.default_rng(3).permutation(len(vis.uvw_m))[:31]
    for name in ("uvw_m", "time_mjd_s", "antenna1", "antenna2"):
        setattr(vis, name, getattr(vis, name)[kept])
    assert predict(vis, ra, dec, spectrum, BEAM) == pytest.approx(whole[kept], abs=1e-4)


def test_true_places_are_those_of_the_antennas_paths(sources):
    """The phase of an ICRS source is its geometric path minus the centre's, with aberration in both."""
    vis = _coordinates(ntime=2, nchan=3)
    ra, dec, _ = sources
    towards = geometry.uvw(vis.antenna_positions_m, [ra[0], dec[0]], vis.times_mjd_s / 86400, LOCATION)[..., 2]
    centre = geometry.uvw(vis.antenna_positions_m, vis.phase_centre_rad, vis.times_mjd_s / 86400, LOCATION)[..., 2]
    path = towards - centre
    time = np.searchsorted(vis.times_mjd_s, vis.time_mjd_s)
    delay = (path[time, vis.antenna1] - path[time, vis.antenna2]) / C
    expected = np.exp(2j * np.pi * vis.freq_hz * delay[:, None])
    model = predict_apparent(vis, ra[:1], dec[:1], np.ones((1, 2, 3)), true_places=True)
    assert model == pytest.approx(expected, abs=2e-5)
    moved = true_cosines(vis, ra[:1], dec[:1])[0, :2, 0]
    still = np.array(direction_cosines(ra[0], dec[0], vis.phase_centre_rad))[:2]
    # aberration: at most v/c = 1e-4 of the distance from the centre
    assert 0 < np.linalg.norm(moved - still) < 1.1e-4 * np.linalg.norm(still)


def test_source_at_the_centre_and_no_source():
    vis = _coordinates()
    ntime, nchan = len(vis.times_mjd_s), len(vis.freq_hz)
    model = predict_apparent(vis, *vis.phase_centre_rad.reshape(2, 1), np.full((1, ntime, nchan), 3.0))
    assert model == pytest.approx(np.full(model.shape, 3.0 + 0j), abs=1e-6)
    assert not predict(vis, [], [], np.zeros((0, nchan)), BEAM).any()


def test_source_below_the_horizon_is_not_seen():
    vis = _coordinates()
    behind = predict(vis, [vis.phase_centre_rad[0] + np.pi], [-0.53], np.ones((1, len(vis.freq_hz))), BEAM)
    assert not behind.any()


def test_baselines_that_do_not_close_are_an_error():
    vis = _coordinates()
    vis.uvw_m[3] += 1.0
    with pytest.raises(ValueError, match="do not close"):
        predict(vis, [3.5], [0.53], np.ones((1, len(vis.freq_hz))), BEAM)
