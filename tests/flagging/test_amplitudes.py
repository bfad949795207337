"""Robust statistics of amplitudes: closed forms of the Rayleigh distribution, gaps, and noise-free data."""

import numpy as np
import pytest

from contimg.flagging.amplitudes import every_nth, has_noise, median_and_relative_sigma, median_and_sigma
from tests.support.flagging_blocks import noise

SHAPE = (24, 5, 200, 2)
ALL = np.ones(200, bool)
# Of the amplitude of complex Gaussian noise with one sigma in each part.
RAYLEIGH_MEDIAN = np.sqrt(2 * np.log(2))
RAYLEIGH_SIGMA = (np.sqrt(2 * np.log(4)) - np.sqrt(2 * np.log(4 / 3))) / 1.349


def test_standard_deviation_from_the_quartiles():
    """Dividing by 1.349, not multiplying: that would give 1.82."""
    median, sigma = median_and_sigma(3 + np.random.default_rng(2).standard_normal(100_000))
    assert (median, sigma) == (pytest.approx(3, abs=0.02), pytest.approx(1, abs=0.02))


def test_median_and_quartiles_of_few_values():
    """Of 0 to 7 the upper middle one is 4, and the quartiles are 2 and 5."""
    median, sigma = median_and_sigma(np.array([7.0, 2, 5, 0, 1, 6, 3, 4]))
    assert (median, sigma) == (4, pytest.approx(3 / 1.349))


def test_outliers_move_the_median_and_sigma_by_little():
    values = np.random.default_rng(3).standard_normal(10_000)
    values[:500] = 1e6
    median, sigma = median_and_sigma(values)
    assert (median, sigma) == (pytest.approx(0, abs=0.1), pytest.approx(1, abs=0.12))


def test_amplitudes_of_noise_have_the_rayleigh_distribution():
    scales = np.array([1.0, 3.0, 0.1, 20.0, 5.0], np.float32)
    median, sigma = median_and_relative_sigma(np.abs(noise(shape=SHAPE)) * scales[None, :, None, None], ALL)
    assert median.shape == sigma.shape == (1, 5, 200, 2)
    assert (median == median[:, :, :1]).all() and (sigma == sigma[:, :, :1]).all()
    assert np.allclose(median[0, :, 0] / scales[:, None], RAYLEIGH_MEDIAN, rtol=0.04)
    assert np.allclose(sigma[0, :, 0], RAYLEIGH_SIGMA / RAYLEIGH_MEDIAN, rtol=0.06)


def test_samples_without_data_do_not_count():
    amplitude = np.abs(noise(shape=SHAPE))
    gaps = amplitude.copy()
    gaps[:, 1, ::3] = np.nan
    gaps[5, 2, 7, 1] = np.nan
    median, _ = median_and_relative_sigma(gaps, ALL)
    assert np.allclose(median[0, :, 0], RAYLEIGH_MEDIAN, rtol=0.04)
    expected, _ = median_and_relative_sigma(amplitude, ALL)
    assert np.array_equal(median[:, [0, 3, 4]], expected[:, [0, 3, 4]])


def test_baselines_with_hardly_any_data_or_only_zeros_are_left_as_they_are():
    amplitude = np.abs(noise(shape=SHAPE))
    amplitude[:, 0] = np.nan
    amplitude[:, 1] = np.nan
    amplitude[:3, 1, 0] = 5.0  # three samples tell nothing
    amplitude[:, 2] = 0
    median, sigma = median_and_relative_sigma(amplitude, ALL)
    assert (median[:, :3] == 1).all() and (sigma[:, :3] == 0).all()


def test_channels_that_were_not_received_are_not_looked_at():
    received = np.arange(200) >= 50
    amplitude = np.abs(noise(shape=SHAPE))
    amplitude[:, :, :50] = 1e9
    median, _ = median_and_relative_sigma(amplitude, received)
    assert np.allclose(median, RAYLEIGH_MEDIAN, rtol=0.04)


@pytest.mark.parametrize(
    ("length", "most", "kept"), [(10, 64, 10), (64, 64, 64), (127, 64, 127), (128, 64, 64), (768, 64, 64)]
)
def test_every_nth_keeps_enough(length, most, kept):
    chosen = every_nth(np.arange(length), most)
    assert len(chosen) == kept and len(set(np.diff(chosen))) == 1


def test_fringes_without_noise_are_told_from_noise():
    rng = np.random.default_rng(7)
    fringe = np.exp(2j * np.pi * (rng.random((1, 4, 1, 1)) + np.linspace(0, 3, 24)[:, None, None, None]))
    pure = (fringe * rng.uniform(0.5, 2, (1, 4, 200, 2))).astype(np.complex64)
    assert not has_noise(pure, ALL).any()
    assert has_noise(pure + 0.3 * noise(shape=pure.shape), ALL).all()
    mixed = pure.copy()
    mixed[:, 2] += 0.3 * noise(shape=pure[:, 2].shape)
    assert has_noise(mixed, ALL).tolist() == [False, False, True, False]


def test_noise_cannot_be_told_of_one_polarisation_or_one_integration():
    assert has_noise(np.ones((24, 3, 200, 1), np.complex64), ALL).all()
    assert has_noise(np.ones((1, 3, 200, 2), np.complex64), ALL).all()
