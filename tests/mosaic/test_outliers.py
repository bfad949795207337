"""Negative outliers: none in noise, those put in are counted with their depth, and bright sources are allowed for."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from contimg.mosaic.outliers import negative_outliers

BEAM_PX = 4.0
SHAPE = (1100, 600)


@pytest.fixture(scope="module")
def noise():
    """Noise of unit width with a beam of 4 pixels, blank in a corner; 41 000 beams."""
    image = gaussian_filter(np.random.default_rng(2).normal(size=SHAPE), BEAM_PX / 2.3548)
    image = (image / image.std()).astype(np.float32)
    image[:200, :200] = np.nan
    return image


def local(image):
    return np.where(np.isfinite(image), 1, np.nan).astype(np.float32)


def test_noise_has_none(noise):
    count, worst = negative_outliers(noise, local(noise), BEAM_PX)
    assert count == 0
    assert worst == pytest.approx(-float(np.nanmin(noise)), rel=1e-4)
    assert 3.5 < worst < 5.5


def test_holes_are_counted_once_each_with_the_depth_of_the_worst(noise):
    image = noise.copy()
    for row, column, depth in ((300, 300, 9), (511, 100, 12), (512, 100, 11), (900, 500, 8)):
        image[row - 1 : row + 2, column - 1 : column + 2] = -depth
    count, worst = negative_outliers(image, local(image), BEAM_PX)
    assert (count, worst) == (
        3,
        pytest.approx(12, rel=1e-4),
    )  # two of them within a beam of each other, across blocks of rows


def test_beside_a_bright_source_a_thousandth_of_it_is_no_outlier(noise):
    image = noise.copy()
    image[400, 400] = 10_000  # adds 10 sigma within 80 pixels
    image[430, 400] = -12
    image[800, 100] = -8  # far from it
    count, worst = negative_outliers(image, local(image), BEAM_PX)
    assert (count, worst) == (1, pytest.approx(8, rel=1e-4))


def test_the_far_sidelobes_of_a_bright_source_count_a_third(noise):
    image = noise.copy()
    image[400, 400] = 10_000
    image[600, 400] = -20  # 50 beams away: the noise is hypot(1, 3.33) there
    count, worst = negative_outliers(image, local(image), BEAM_PX)
    assert (count, worst) == (0, pytest.approx(20 / np.hypot(1, 10 / 3), rel=1e-3))


def test_depth_is_in_units_of_the_local_noise(noise):
    image = noise.copy()
    image[700, 300] = -8
    assert negative_outliers(image, 2 * local(image), BEAM_PX) == (0, pytest.approx(4, abs=1))
