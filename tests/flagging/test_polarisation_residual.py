"""The polarisation residual: free of the unpolarised sky, full of noise and interference."""

import numpy as np
import pytest

from contimg.flagging.polarisation_residual import AntennaPower, residual_amplitude
from tests.support.flagging_blocks import noise

N_TIMES, N_BASELINES, N_CHANNELS = 24, 40, 128


def sky(seed=1, delay=0.0):
    """Unpolarised fringes of three sources through gains whose ratio has a phase and a delay [turns over the band]."""
    rng = np.random.default_rng(seed)
    time, channel = np.linspace(0, 1, N_TIMES)[:, None, None], np.linspace(0, 1, N_CHANNELS)
    turns = rng.normal(0, 3, (3, 2, N_BASELINES))
    fringes = sum(
        flux * np.exp(2j * np.pi * (rates[0][:, None] * time + rates[1][:, None] * channel))
        for flux, rates in zip((20, 12, 7), turns, strict=True)
    )
    phase = rng.random((N_BASELINES, 1)) + delay * channel
    ratio = rng.uniform(0.7, 1.4, (N_BASELINES, 1)) * np.exp(2j * np.pi * phase)
    return np.stack([fringes, fringes * ratio[None]], axis=-1).astype(np.complex64)


@pytest.mark.parametrize("delay", [0.0, 0.25, -0.5])
def test_the_sky_is_not_in_it_and_the_noise_is(delay):
    """Noise of X and of Y scaled by the ratio add up: power 2 (1 + |f|^2) sigma^2.

    Half a turn over 128 of the real channels is a delay of 16 ns between the receptors.
    """
    data = sky(delay=delay) + noise(shape=(N_TIMES, N_BASELINES, N_CHANNELS, 2))
    residual = residual_amplitude(data, None)
    assert residual.shape == data.shape and residual.dtype == np.float32
    ratio = np.abs(sky(delay=delay)[0, :, 0, 1]) / np.abs(sky(delay=delay)[0, :, 0, 0])
    power = np.median(residual[..., 1] ** 2, axis=(0, 2)) / np.log(2)  # mean power from the median
    assert np.allclose(power, 2 * (1 + ratio**2), rtol=0.15)
    assert np.median(np.abs(data)) > 5 * np.median(residual)


def test_without_a_sky_it_is_the_data():
    data = noise(shape=(N_TIMES, N_BASELINES, N_CHANNELS, 2))
    residual = residual_amplitude(data, None)
    assert np.median(np.abs(residual - np.abs(data))) < 0.1


def test_polarised_interference_stays():
    data = sky() + noise(shape=(N_TIMES, N_BASELINES, N_CHANNELS, 2))
    data[5, :, 30:40, 0] += 30
    residual = residual_amplitude(data, None)
    assert residual[5, :, 30:40, 0].min() > 15
    assert np.median(residual[6, :, 30:40, 0]) < 3


def test_samples_marked_as_not_steady_do_not_move_the_ratio():
    clean = sky() + noise(shape=(N_TIMES, N_BASELINES, N_CHANNELS, 2))
    spoilt, steady = clean.copy(), np.ones(clean.shape[:3], bool)
    spoilt[3:9, :, :, 0] *= 50
    steady[3:9] = False
    good = np.s_[9:]
    with_mask = residual_amplitude(spoilt, steady)[good]
    assert np.allclose(with_mask, residual_amplitude(clean, steady)[good])
    assert np.median(residual_amplitude(spoilt, None)[good]) > 1.5 * np.median(with_mask)


@pytest.mark.parametrize("channels", [128, 120, 16, 7])
def test_any_number_of_channels_and_gaps_in_them(channels):
    data = (sky() + noise(shape=(N_TIMES, N_BASELINES, N_CHANNELS, 2)))[:, :, :channels].copy()
    steady = np.ones(data.shape[:3], bool)
    steady[:, :, : channels // 2] = False
    assert np.isfinite(residual_amplitude(data, steady)).all()


def test_nothing_steady_leaves_the_data():
    data = sky()
    assert np.allclose(residual_amplitude(data, np.zeros(data.shape[:3], bool)), np.abs(data), rtol=1e-6)


def test_other_than_two_polarisations_are_their_amplitude():
    data = sky()[..., :1]
    assert np.array_equal(residual_amplitude(data, None), np.abs(data))


def test_power_of_antennas_is_the_mean_over_their_baselines():
    """Five antennas: power 1 in units of the noise's, and 5 on the baselines of antenna 2."""
    one, two = np.triu_indices(5, 1)
    residual = np.full((3, len(one), 4, 2), np.sqrt(1 / np.log(2)), np.float32)
    residual[:, (one == 2) | (two == 2)] *= np.sqrt(5)
    power = AntennaPower(3, 5, 4)
    for part in (slice(0, 4), slice(4, None)):
        power.add(residual[:, part], np.ones(len(one[part]), bool), one[part], two[part])
    assert (power.sums.count == 4).all()
    mean = power.sums.total / power.sums.count
    assert np.allclose(mean[:, 2], 5) and np.allclose(mean[:, [0, 1, 3, 4]], (3 + 5) / 4)


def test_power_leaves_out_baselines_without_noise_and_samples_without_data_and_bounds_the_rest():
    one, two = np.array([0, 0, 1]), np.array([1, 2, 2])
    residual = np.full((2, 3, 4, 2), np.sqrt(1 / np.log(2)), np.float32)
    residual[0, 0, 1] = np.nan
    residual[1, 2, 2] = 1e3
    power = AntennaPower(2, 3, 4)
    power.add(residual, np.array([True, False, True]), one, two)
    assert power.sums.count[0, :, 0].tolist() == [1, 2, 1] and power.sums.count[0, :, 1].tolist() == [0, 1, 1]
    assert power.sums.total[1, 2, 2] == pytest.approx(20)


def test_cells_of_an_antenna_that_receives_interference():
    rng = np.random.default_rng(4)
    power = AntennaPower(24, 6, 64)
    one, two = np.triu_indices(6, 1)
    residual = np.abs(noise(shape=(24, len(one), 64, 2))) / np.sqrt(2 * np.log(2))
    residual[7:9, (one == 4) | (two == 4), 20:30] *= rng.uniform(2.5, 3.0)
    power.add(residual.astype(np.float32), np.ones(len(one), bool), one, two)
    cells = power.sums.interference_cells()
    assert cells[7:9, 4, 20:30].all() and cells[:, [0, 1, 2, 3, 5]][:, :, np.r_[0:20, 30:64]].mean() < 1e-3
    assert not AntennaPower(24, 6, 64).sums.interference_cells().any()
