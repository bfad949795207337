"""The noise beside bright sources that errors of the gains leave, against a sum over baselines."""

import itertools

import numpy as np
import pytest

from contimg.imaging.checks.gain_noise import gain_noise_jy


def test_noise_is_that_of_random_errors_summed_over_baselines():
    """Image of a source of 3 Jy at random places, with errors of 1 % in amplitude and 0.01 rad in phase."""
    rng = np.random.default_rng(4)
    n, places = 20, 400
    pairs = np.array(list(itertools.combinations(range(n), 2)))
    found = []
    for _ in range(100):
        gain = 0.01 * (rng.standard_normal(n) + 1j * rng.standard_normal(n))
        error = 3.0 * (gain[pairs[:, 0]] + gain[pairs[:, 1]].conj())
        phase = np.exp(2j * np.pi * rng.uniform(size=(places, len(pairs))))
        found.append((phase * error).real.mean(1))
    assert gain_noise_jy(0.01, [3.0], n) == pytest.approx(np.std(found), rel=0.05)


def test_amplitudes_alone_leave_less_and_a_fault_of_the_antennas_is_not_expected():
    assert gain_noise_jy(0.0, [3.0], 20, 0.005) == pytest.approx(np.sqrt(2) * 0.005 * 3 / 20)
    assert gain_noise_jy(1e-3, [3.0], 20, 0.005) == pytest.approx(np.hypot(2e-3, np.sqrt(2) * 5e-3) * 3 / 20)
    assert gain_noise_jy(0.0, [3.0], 20, 0.3) == gain_noise_jy(0.0, [3.0], 20, 0.01)


def test_sources_add_in_quadrature_and_without_errors_there_is_no_noise():
    assert gain_noise_jy(1e-3, [3.0, 4.0], 10) == pytest.approx(2 * 1e-3 * 5 / 10)
    assert gain_noise_jy(0.0, [3.0], 10) == 0
    assert gain_noise_jy(1e-3, [], 10) == 0
