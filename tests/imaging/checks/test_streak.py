"""Streaks along a single row or column: their amplitude is measured, whatever their frequency; noise has none."""

import numpy as np
import pytest

from contimg.imaging.checks.image_quality import streak, stripe

SIDE = 500


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(3).normal(size=(SIDE, SIDE)).astype(np.float32)


@pytest.mark.parametrize("cycles", [0, 1, 2.5, 40])
@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("line", [0, 12, 250, SIDE - 1])
def test_one_line_is_seen_where_a_stripe_of_the_whole_image_is_not(noise, cycles, across, line):
    image = noise.copy()
    wave = 3 * np.cos(2 * np.pi * cycles * np.arange(SIDE) / SIDE)
    (image.T if across else image)[:, line] += wave.astype(np.float32)
    assert streak(image) == pytest.approx(3.0, abs=0.6)
    assert stripe(image)[0] < 0.05  # 2 * 3 / 250 = 0.024 in the middle, and noise


def test_without_noise_it_is_exact():
    image = np.zeros((SIDE, SIDE))
    image[:, 7] = 0.5
    assert streak(image) == pytest.approx(0.5, rel=1e-5)
    image[:, 7] *= np.sin(2 * np.pi * 8 * np.arange(SIDE) / SIDE)
    assert streak(image) == pytest.approx(0.5, rel=0.01)


def test_noise_has_little(noise):
    """The largest of 500 x 251 x 2 Rayleigh amplitudes: 2 sqrt(1.5 ln(2.5e5) / 500) = 0.39."""
    assert streak(noise) == pytest.approx(0.39, abs=0.06)
