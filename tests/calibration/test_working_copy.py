"""The working copy: phases of a new centre, weights that are inverse variances, the model in its column."""

import numpy as np
import pytest
from casacore import tables

from contimg import measurement_set
from contimg.calibration import working_copy
from contimg.sky import geometry
from tests.support.small_tiles import LOCATION, complex_noise, small_tile


def test_a_point_source_at_the_new_centre_has_no_phase_there():
    """``DATA = S exp(2 pi i f/c (u l + v m + w (n - 1)))`` of a source half a degree off, in closed form."""
    tile = small_tile(antennas=8)
    ra, dec = tile.phase_centre_rad
    target = np.array([ra + np.radians(0.4) / np.cos(dec), dec + np.radians(0.3)])
    old = geometry.uvw(tile.antenna_positions_m, tile.phase_centre_rad, tile.times_mjd_s / 86400, LOCATION)
    new = geometry.uvw(tile.antenna_positions_m, target, tile.times_mjd_s / 86400, LOCATION)
    time = np.repeat(np.arange(4), 28)
    path_m = ((new - old)[time, tile.antenna1] - (new - old)[time, tile.antenna2])[:, 2]
    tile.data *= np.exp(2j * np.pi * path_m[:, None] * tile.freq_hz / 299_792_458.0)[:, :, None]
    assert np.abs(np.angle(tile.data)).max() > 1
    moved = working_copy.shift_phase_centre(tile, target)
    assert np.abs(np.angle(moved.data)).max() < 1e-3
    assert np.array_equal(moved.phase_centre_rad, target)
    expected = new[time, tile.antenna1] - new[time, tile.antenna2]
    assert np.allclose(moved.uvw_m, expected, atol=1e-6)


def test_thinning_takes_channels_over_the_whole_band_and_copies():
    tile = small_tile(channels=200)
    model = complex_noise(tile.shape[:2])
    few, few_model = working_copy.thin(tile, model)
    assert len(few.freq_hz) == 50 and few.data.shape[1] == few_model.shape[1] == 50
    assert np.array_equal(few.freq_hz, tile.freq_hz[::4]) and np.array_equal(few_model, model[:, ::4])
    few.data[:] = 0
    assert (tile.data == 1).all()
    assert working_copy.thin(small_tile(), model[:, :8])[0].data.shape[1] == 8


def noisy(sigma, times=60, channels=64):
    """Return a tile of noise: ``sigma_pq = s_p s_q`` by antenna and polarisation, on a constant signal."""
    tile = small_tile(times=times, channels=channels)
    pair = sigma[tile.antenna1] * sigma[tile.antenna2]
    tile.data[:] = 50 + complex_noise(tile.shape) * pair[:, None, :]
    return tile


@pytest.fixture
def sigma():
    return np.random.default_rng(9).uniform(0.5, 2.0, (6, 2))


def test_noise_of_baselines_and_antennas_is_measured_from_differences(sigma):
    tile = noisy(sigma)
    noise = working_copy.noise_per_baseline(tile)
    expected = sigma[tile.antenna1[:15]] * sigma[tile.antenna2[:15]]
    assert np.allclose(noise, expected, rtol=0.05)
    assert np.allclose(working_copy.antenna_noise(tile, noise), sigma, rtol=0.04)


def test_what_is_flagged_or_was_not_received_does_not_count(sigma):
    tile = noisy(sigma)
    expected = working_copy.noise_per_baseline(tile)
    rows = np.flatnonzero((tile.antenna1 == 1) & (tile.antenna2 == 2))
    tile.data[rows[10], 3] = 1e6
    tile.flag[rows[10], 3] = True
    tile.weight[:, 7] = 0
    tile.data[:, 7] = 0
    assert np.allclose(working_copy.noise_per_baseline(tile), expected, rtol=0.05)
    tile.flag[rows[::2]] = True  # no pair of successive integrations is left
    noise = working_copy.noise_per_baseline(tile)
    gone = (tile.antenna1[:15] == 1) & (tile.antenna2[:15] == 2)
    assert np.array_equal(np.isnan(noise).all(1), gone) and np.isfinite(noise[~gone]).all()


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6])
def test_noise_does_not_depend_on_how_much_is_flagged(sigma, share):
    """The same noise is measured on what is left, in both parts of a visibility."""
    tile = noisy(sigma)
    expected = working_copy.noise_per_baseline(tile)
    tile.flag[:, : int(64 * share)] = True
    assert np.allclose(working_copy.noise_per_baseline(tile), expected, rtol=0.06)


def test_antennas_without_enough_baselines_have_no_noise():
    tile = small_tile(antennas=3)
    noise = np.array([[1.0, 1.0], [np.nan, 2.0], [np.nan, 4.0]])
    parts = working_copy.antenna_noise(tile, noise)
    assert np.isnan(parts[:, 0]).all()
    assert np.allclose(parts[:, 1], [np.sqrt(0.5), np.sqrt(2), np.sqrt(8)])


def test_weights_become_inverse_variances_in_proportion_to_what_was_received(sigma):
    tile = noisy(sigma)
    tile.weight[:] = 4.0
    tile.weight[:, 5] = 2.0
    tile.weight[:, 6] = 0.0
    noise = working_copy.noise_per_baseline(tile)
    noise[3] = np.nan  # not measured: the median of the others
    working_copy.set_true_weights(tile, noise)
    assert tile.flag[:, 6].all() and tile.flag.sum() == tile.flag[:, 6].size
    assert np.allclose(tile.weight[0, 0], 1 / noise[0] ** 2, rtol=1e-5)
    assert np.allclose(tile.weight[0, 5], 0.5 / noise[0] ** 2, rtol=1e-5)
    known = np.delete(noise, 3, axis=0)
    assert np.allclose(tile.weight[3, 0], 1 / np.median(known) ** 2, rtol=1e-5)


def test_without_any_noise_weights_stay():
    tile = small_tile()
    working_copy.set_true_weights(tile, np.zeros((15, 2)))
    assert (tile.weight == 1).all()


def test_typical_weight_is_the_median_of_what_was_received():
    tile = small_tile()
    tile.weight[:] = 0
    tile.weight[:, :3] = 7
    tile.weight[:, 3] = 9
    assert working_copy.typical_weight(tile) == 7


def test_the_model_is_written_for_all_polarisations(tmp_path):
    tile = small_tile()
    model = complex_noise(tile.shape[:2])
    working_copy.write(tmp_path / "solve.ms", tile, model)
    with tables.table(str(tmp_path / "solve.ms"), ack=False) as table:
        written = table.getcol("MODEL_DATA")
    assert np.array_equal(written, np.repeat(model[:, :, None], 2, axis=2))
    again = measurement_set.read(tmp_path / "solve.ms")
    assert np.array_equal(again.data, tile.data) and np.array_equal(again.weight, tile.weight)
