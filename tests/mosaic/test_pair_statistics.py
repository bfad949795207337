"""Medians with errors, and the scatter that errors do not explain, against closed forms."""

import numpy as np
import pytest

from contimg.mosaic.pair_statistics import SCATTERED, lower_median, scatter, weighted_median


def test_weighted_median_and_its_error():
    rng = np.random.default_rng(3)
    errors = rng.uniform(0.5, 2.0, 4000)
    values = 7.0 + errors * rng.standard_normal(4000)
    middle, error = weighted_median(values, errors)
    assert error == pytest.approx(np.sqrt(np.pi / 2 / np.sum(errors**-2)), rel=0.05)
    assert abs(middle - 7.0) < 4 * error


def test_the_error_grows_with_a_scatter_beyond_the_errors():
    values = np.array([-3.0, -1.0, 0.0, 1.0, 3.0])
    assert weighted_median(values, np.full(5, 1e-3))[1] > 0.5


def test_scatter_counts_only_far_beyond_the_errors_and_of_enough_sources():
    deviations = np.random.default_rng(5).normal(0, 2.0, 1001)
    assert scatter(deviations, np.full(1001, 2.0 / (1.2 * SCATTERED))) == pytest.approx(2.0, rel=0.1)
    assert scatter(deviations, np.full(1001, 2.0 / (0.8 * SCATTERED))) == 0
    assert scatter(np.array([-9.0, 0.0, 9.0, 5.0]), np.full(4, 1e-3)) == 0


def test_lower_median():
    assert lower_median([3.0, 1.0, 2.0]) == 2.0
    assert lower_median([4.0, 1.0, 3.0, 2.0]) == 2.0
    assert lower_median([5.0]) == 5.0
