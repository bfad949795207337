"""Baselines, (u, v, w) and delays against numbers of the correlator's own programs and against pyuvdata."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from contimg.simulate import array, frames

GOLDEN = {  # pair: x, y, z, w at dec 0.7 rad, and the original's u, v (refmjd 55000)
    (24, 10): (-121.56006568, 65.41033646, 0.0, -0.00235901594, -138.041132, -0.0866850792),
    (24, 3): (-157.01247077, 84.48774614, 0.0, -0.00358683304, -178.300541, -0.111511922),
    (10, 3): (-35.45240509, 19.07740967, 0.0, -0.00122781710, -40.2594084, -0.0248268426),
    (24, 66): (44.81614726, 65.08353365, 103.35708384, 6.50700362, 8.54428692, 129.659918),
    (10, 66): (166.37621294, -0.32680282, 103.35708384, 6.50936263, 146.585419, 129.746603),
    (3, 66): (201.82861802, -19.40421249, 103.35708384, 6.51059045, 186.844828, 129.771430),
}


@pytest.mark.parametrize("pair", GOLDEN)
def test_golden_baselines(pair):
    *xyz, w, u, v = GOLDEN[pair]
    positions = array.antenna_positions()
    baseline = positions[pair[1] - 1] - positions[pair[0] - 1]
    assert baseline == pytest.approx(xyz, abs=1e-6)
    pure = array.meridian_uvw(array.local_positions(baseline), 0.7)
    assert pure[2] == pytest.approx(w, abs=1e-6)
    stored = array.rotate_uv(pure, frames.stored_uv_angle(0.7, mjd=55000.0))
    assert stored == pytest.approx([u, v, w], abs=5e-4)


@pytest.mark.parametrize("dec_deg", [16.1, 33.15, 50.5, 54.57, 65.72])
def test_stored_u_and_v_are_turned_by_the_published_angles(dec_deg):
    arcmin = abs(np.degrees(frames.stored_uv_angle(np.radians(dec_deg)))) * 60
    assert 1.8 <= arcmin <= 6.5


def test_station_table():
    stations = array.load_stations()
    assert len(stations) == 117 and len(array.active_stations()) == 96
    arms = [array.load_stations()[number - 1].arm for number in array.active_stations()]
    assert [arms.count(name) for name in ("east-west", "north-south", "outrigger")] == [47, 35, 14]
    assert array.longest_baseline_m(array.active_stations()) == pytest.approx(2601.6, abs=0.1)
    assert array.longest_baseline_m(tuple(range(1, 118))) == pytest.approx(2707.2, abs=0.1)
    assert array.longest_baseline_m((1, 2)) == pytest.approx(5.75, abs=0.01)


@pytest.mark.parametrize(("count", "limit"), [(12, None), (32, 700.0), (36, 1300.0), (96, None)])
def test_thinning_keeps_both_arms_and_the_limit(count, limit):
    chosen = array.choose_stations(count, limit)
    assert len(set(chosen)) == count and set(chosen) <= set(array.active_stations())
    arms = [array.load_stations()[number - 1].arm for number in chosen]
    assert arms.count("east-west") >= count // 4 and arms.count("north-south") >= count // 6
    if limit is None:
        assert arms.count("outrigger") >= 2
    else:
        assert array.longest_baseline_m(chosen) <= limit


@pytest.mark.parametrize("dec_deg", [16.1, 54.57, 65.72])
def test_meridian_and_back(dec_deg):
    jd = 2461082.75 + np.arange(0, 61, 20) / 1440
    ra, dec = frames.icrs_of_meridian(np.radians(dec_deg), jd)
    hour_angle, apparent = frames.apparent_places(ra, dec, jd)
    assert np.abs(np.diag(hour_angle)).max() < 1e-10
    assert np.abs(np.diag(apparent) - np.radians(dec_deg)).max() < 1e-10


def test_meridian_advances_at_the_sidereal_rate():
    # Low declination: further north 26 years of precession alone change the hourly advance by more than 60".
    ra, _ = frames.icrs_of_meridian(np.radians(16.1), np.array([2461082.75, 2461082.75 + 1 / 24]))
    assert (ra[1] - ra[0]) % 360 == pytest.approx(1.00273790935 * 15, abs=60 / 3600)


def test_east_west_baseline_has_no_w_at_transit():
    uvw = array.meridian_uvw(np.array([0.0, 400.0, 0.0]), np.radians(33.0))
    assert uvw == pytest.approx([400.0, 0.0, 0.0])


def test_pyuvdata_recomputes_the_same_uvw(one_source_night, subband_file, open_with_pyuvdata):
    path = subband_file(one_source_night, 0, 3)
    uv = open_with_pyuvdata(path)  # runs the strict check of uvw against antenna positions
    with h5py.File(path) as file:
        stored = file["Header/uvw_array"][:].astype(float)
    assert np.abs(stored[:, 2] - uv.uvw_array[:, 2]).max() < 2e-4  # float32 of 2.6 km
    turned = array.rotate_uv(uv.uvw_array, frames.stored_uv_angle(one_source_night.declination_rad))
    assert np.abs(stored - turned).max() < 5e-4
    assert 1.0 < np.abs(stored - uv.uvw_array)[:, :2].max() < 5.0
