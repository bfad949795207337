"""Robust standard deviations against their closed forms."""

import math

import numpy as np
import pytest
from scipy.special import erfinv

from contimg.statistics import (
    CLIP_SIGMA,
    IQR_PER_SIGMA,
    MAD_TO_SIGMA,
    best_explanation,
    clipped_sigma,
    image_sigma,
    interpolated_peak,
    robust_fit,
    robust_sigma,
)


def test_scales_are_those_of_the_normal_distribution():
    assert pytest.approx(1 / (math.sqrt(2) * erfinv(0.5)), rel=2e-6) == MAD_TO_SIGMA
    assert pytest.approx(2 * math.sqrt(2) * erfinv(0.5), rel=1e-4) == IQR_PER_SIGMA


def test_of_a_few_values_by_hand():
    # Median 3, deviations 2, 1, 0, 1, 97: their median is 1.
    assert robust_sigma(np.array([1.0, 2.0, 3.0, 4.0, 100.0])) == 1.4826
    assert robust_sigma(np.array([1.0, 2.0, np.nan, 3.0, np.inf, 4.0, 100.0])) == 1.4826
    assert math.isnan(robust_sigma(np.array([np.nan])))
    assert math.isnan(robust_sigma(np.array([])))


@pytest.mark.parametrize("estimate", [robust_sigma, clipped_sigma])
def test_of_a_normal_distribution(estimate):
    values = np.random.default_rng(1).normal(3, 2, (500, 400))
    assert estimate(values) == pytest.approx(2, rel=0.01)


def test_clipping_takes_away_what_outliers_add():
    rng = np.random.default_rng(2)
    values = np.concatenate([rng.normal(0, 1, 9000), rng.normal(0, 100, 1000)])
    # With a tenth of outliers the median deviation is the 0.5 / 0.9 quantile of the others.
    unclipped = MAD_TO_SIGMA * math.sqrt(2) * erfinv(0.5 / 0.9)
    assert robust_sigma(values) == pytest.approx(unclipped, rel=0.03)
    assert clipped_sigma(values) == pytest.approx(1, rel=0.03)
    kept = clipped_sigma(values)
    inside = np.abs(values - np.median(values)) <= CLIP_SIGMA * kept
    assert clipped_sigma(values[inside]) == pytest.approx(kept, rel=0.01)


@pytest.mark.parametrize("values", [np.zeros(100), np.arange(15.0), np.full(100, np.nan), np.array([])])
def test_too_few_values_or_none_that_scatter_have_no_clipped_sigma(values):
    assert clipped_sigma(values) is None


@pytest.mark.parametrize("shape", [(100, 100), (1023, 1500), (3000, 3000)])
def test_of_an_image_from_a_part_of_its_pixels(shape):
    image = np.random.default_rng(3).normal(0, 0.7, shape).astype(np.float32)
    step = max(1, min(shape) // 1024)
    pixels = image[::step, ::step]
    assert image_sigma(image) == robust_sigma(pixels)
    # The scaled median absolute deviation of n normal values has a relative error of 1.167 / sqrt(n).
    assert image_sigma(image) == pytest.approx(0.7, rel=3 * 1.167 / math.sqrt(pixels.size))


class TestRobustFit:
    def sample(self, n=400, seed=3):
        rng = np.random.default_rng(seed)
        x = rng.uniform(-1, 1, n)
        errors = rng.uniform(0.5, 2, n)
        return np.stack([np.ones(n), x], axis=1), 3 + 2 * x + errors * rng.normal(size=n), errors

    def test_is_least_squares_without_outliers(self):
        design, values, errors = self.sample()
        fit = robust_fit(design, values, errors)
        weighted = design / errors[:, None] ** 2
        expected = np.linalg.solve(weighted.T @ design, weighted.T @ values)
        assert fit.coefficients == pytest.approx(expected, abs=0.05)
        assert fit.errors == pytest.approx(np.sqrt(np.diag(np.linalg.inv(weighted.T @ design))), rel=0.2)

    def test_a_tenth_of_outliers_moves_it_by_less_than_its_error(self):
        design, values, errors = self.sample()
        values[::10] += 1000
        fit = robust_fit(design, values, errors)
        assert fit.coefficients == pytest.approx([3, 2], abs=4 * fit.errors.max())

    def test_errors_grow_with_the_scatter(self):
        design, values, errors = self.sample()
        assert robust_fit(design, values, errors / 5).errors == pytest.approx(
            robust_fit(design, values, errors).errors, rel=0.1
        )
        assert robust_fit(design, values, errors / 5).inflation == pytest.approx(5, rel=0.1)


def test_the_pattern_that_is_there_explains_best():
    rng = np.random.default_rng(5)
    x, errors = np.linspace(-1, 1, 100), np.full(100, 0.1)
    patterns = {"mean": np.ones(100), "slope": x, "bow": x**2}
    for name, size in (("mean", 0.3), ("slope", -0.5), ("bow", 0.4)):
        found = best_explanation(patterns, size * patterns[name] + errors * rng.normal(size=100), errors)
        assert found.name == name
        assert found.value == pytest.approx(size, abs=4 * found.error)
    assert best_explanation({}, x, errors) is None


def spot(x0, y0, peak=15.06, major=5.18, minor=2.73, angle_deg=30.0, floor=0.0):
    """Return an elliptical Gaussian (FWHM in pixels) at a place between pixels."""
    y, x = np.mgrid[:21, :21]
    turn = math.radians(angle_deg)
    along = (x - x0) * math.cos(turn) + (y - y0) * math.sin(turn)
    across = -(x - x0) * math.sin(turn) + (y - y0) * math.cos(turn)
    return floor + peak * np.exp(-4 * math.log(2) * ((along / major) ** 2 + (across / minor) ** 2))


@pytest.mark.parametrize("place", [(10, 10), (10.5, 10.5), (10.31, 9.62), (9.5, 10.2)])
@pytest.mark.parametrize("angle_deg", [0, 30, 90])
def test_a_gaussian_between_pixels_has_its_peak(place, angle_deg):
    image = spot(*place, angle_deg=angle_deg)
    y, x = np.unravel_index(image.argmax(), image.shape)
    assert interpolated_peak(image, y, x) == pytest.approx(15.06, rel=1e-9)


def test_the_highest_pixel_would_be_14_percent_low_with_3_pixels_a_beam():
    image = spot(10.5, 10.5, major=3, minor=3)
    assert image.max() / 15.06 == pytest.approx(2 ** (-2 / 9 * 1.0), rel=1e-9)
    assert interpolated_peak(image, 10, 10) == pytest.approx(15.06, rel=1e-9)


def test_a_peak_in_noise_has_no_bias():
    rng = np.random.default_rng(5)
    found = []
    for _ in range(1000):
        image = spot(10 + rng.uniform(-0.5, 0.5), 10 + rng.uniform(-0.5, 0.5), peak=20.0) + rng.normal(0, 1, (21, 21))
        y, x = np.unravel_index(image.argmax(), image.shape)
        found.append(interpolated_peak(image, y, x))
    assert np.mean(found) == pytest.approx(20.0, rel=0.03)  # the highest of several pixels: +0.5 of 20 at most


@pytest.mark.parametrize("change", [(10, 11, np.nan), (9, 9, -1.0), (9, 11, 0.0)], ids=["blank", "negative", "zero"])
def test_what_no_gaussian_describes_has_the_pixel(change):
    image = spot(10.2, 10.1)
    image[change[:2]] = change[2]
    assert interpolated_peak(image, 10, 10) == image[10, 10]


def test_at_the_edge_and_on_a_slope_it_is_the_pixel():
    image = spot(10.2, 10.1)
    assert interpolated_peak(image[10:, 10:], 0, 0) == image[10, 10]
    saddle = 1 + 0.1 * np.array([[0, 1, 0], [-1, 0, -1], [0, 1, 0]])
    slope = np.exp(np.arange(9.0).reshape(3, 3) - 0.05 * (np.arange(3) - 1) ** 2)
    assert interpolated_peak(saddle, 1, 1) == 1.0
    assert interpolated_peak(slope, 1, 1) == slope[1, 1]
