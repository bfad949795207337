"""Combinations of fluxes whose errors are independent, against the covariance that they stand for."""

import numpy as np

from contimg.sky.common_errors import FluxErrors


def test_the_rows_weight_fluxes_by_their_whole_covariance():
    """The normal equations of the rows are those of generalised least squares: design' C^-1 design."""
    rng = np.random.default_rng(1)
    source = np.array([3, 1, 3, 2, 1, 3])
    single = rng.uniform(0.01, 0.1, 6)
    design, values = rng.standard_normal((6, 4)), rng.standard_normal(6)
    errors = FluxErrors(single, source, 0.05, 2, 0.02)
    rows, targets, units = errors.independent(design, values)
    covariance = np.diag(single**2) + 0.05**2 * (source[:, None] == source[None, :])
    prior = np.diag([0, 0, 1, 1]) / 0.02**2  # of the gains of two tiles, which are the last columns
    np.testing.assert_allclose(rows.T @ rows, design.T @ np.linalg.inv(covariance) @ design + prior, rtol=1e-9)
    np.testing.assert_allclose(rows.T @ targets, design.T @ np.linalg.inv(covariance) @ values, rtol=1e-9)
    assert (units == 1).all() and len(units) == 8


def test_without_a_common_error_rows_are_single_fluxes():
    design, values = np.ones((3, 2)), np.array([1.0, 2.0, 3.0])
    rows, targets, _ = FluxErrors(np.full(3, 0.1), np.arange(3), 0.0, 1, 0.5).independent(design, values)
    np.testing.assert_allclose(rows[:3], 10 * design)
    np.testing.assert_allclose(targets, [10, 20, 30, 0])
    np.testing.assert_allclose(rows[3], [0, 2])
