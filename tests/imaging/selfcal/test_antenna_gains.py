"""Antenna gains by least squares from sums over baselines whose gains are known."""

import numpy as np
import pytest

from contimg.imaging.selfcal.antenna_gains import (
    PhaseSolution,
    antenna_amplitudes,
    antenna_gains,
    rms,
    signal_to_noise,
)

RNG = np.random.default_rng(5)


def powers(count, rng=RNG):
    one = rng.uniform(0.5, 2, (count, count))
    power = one + one.T
    np.fill_diagonal(power, 0)
    return power


@pytest.mark.parametrize("spread_rad", [0.01, 0.5, 2.0])
def test_phases_without_noise_are_exact(spread_rad):
    phase = RNG.normal(0, spread_rad, (3, 12))
    gains, power = np.exp(1j * phase), powers(12)
    found = antenna_gains(gains[:, :, None] * gains[:, None].conj() * power)
    # The phase that all antennas share is arbitrary.
    common = found * gains.conj()
    assert np.abs(common / common[:, :1] - 1).max() < 1e-5
    assert np.abs(found) == pytest.approx(np.ones((3, 12)))


def test_amplitudes_without_noise_are_exact_and_an_antenna_without_data_has_one():
    gains, power = RNG.uniform(0.7, 1.4, (2, 9)), np.stack([powers(9), powers(9)])
    power[0, 4] = power[0, :, 4] = 0
    found = antenna_amplitudes(gains[:, :, None] * gains[:, None] * power, power)
    expected = gains.copy()
    expected[0, 4] = 1
    assert found == pytest.approx(expected, rel=1e-6)


def test_signal_to_noise_is_that_of_the_noise_put_in():
    count, sigma = 30, 0.5
    power = np.full((1, count, count), 400.0)
    power[:, np.arange(count), np.arange(count)] = 0
    rng = np.random.default_rng(6)
    noise = sigma * 20 * (rng.normal(size=(count, count)) + 1j * rng.normal(size=(count, count)))
    noise = np.triu(noise, 1)
    data = power + noise + noise.conj().T
    # Error of a phase: sigma / sqrt(sum of |M|^2 over its 29 baselines), here sqrt(29 * 400) / 0.5.
    found = signal_to_noise(data, power, antenna_gains(data))
    assert np.median(found) == pytest.approx(np.sqrt(29 * 400) / sigma, rel=0.06)


def test_without_data_or_without_baselines_there_is_no_signal():
    for count in (1, 4):
        nothing = np.zeros((1, count, count))
        assert not signal_to_noise(nothing.astype(complex), nothing, np.ones((1, count), complex)).any()


def test_medians_and_changes_count_antennas_with_data_only():
    solution = PhaseSolution(np.array([[[0.1, 0.2, 9.0]]]), np.array([[[10.0, 30.0, 0.0]]]))
    assert solution.median_snr() == 20
    assert solution.rms_over_errors() == pytest.approx(np.sqrt((1 + 36) / 2))
    assert solution.rms_over_errors(np.array([[[0.1, 0.1, 0.0]]])) == pytest.approx(np.sqrt(9 / 2))
    empty = PhaseSolution(np.zeros((1, 1, 2)), np.zeros((1, 1, 2)))
    assert (empty.median_snr(), empty.rms_over_errors()) == (0.0, 0.0)
    assert rms(np.array([3.0, 4.0])) == pytest.approx(np.sqrt(12.5))
