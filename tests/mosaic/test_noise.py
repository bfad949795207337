"""Noise of whole images and in boxes, against rms values that were put in."""

from __future__ import annotations

import numpy as np
import pytest

from contimg.mosaic import noise
from contimg.statistics import clipped_sigma
from tests.support.beams import correlated_noise, gaussian


def test_of_a_gaussian():
    values = np.random.default_rng(1).normal(3, 2, 100_000)
    assert clipped_sigma(values) == pytest.approx(2, rel=0.01)


def test_outliers_do_not_matter():
    values = np.random.default_rng(1).normal(0, 1, 100_000)
    values[::100] = 1e3
    assert clipped_sigma(values) == pytest.approx(1, rel=0.02)


@pytest.mark.parametrize("values", [np.full(100, np.nan), np.zeros(100), np.arange(5.0)])
def test_says_when_there_is_none(values):
    assert clipped_sigma(values) is None


def test_off_sources():
    rng = np.random.default_rng(2)
    image = rng.normal(size=(400, 400))
    for x, y in rng.uniform(20, 380, (150, 2)):
        image += 80 * gaussian(image.shape, x, y, np.eye(2) * 4)
    used = np.ones(image.shape, bool)
    assert noise.rms_off_sources(image, used, 4.7) == pytest.approx(1, rel=0.02)


def test_local_rms_follows_weights_and_what_they_do_not_know():
    rng = np.random.default_rng(3)
    promised = 1 + np.tile(np.arange(900), (600, 1)) / 300.0
    true = promised * np.where(promised > 2.5, 2.0, 1.0)
    image = true * rng.normal(size=true.shape)
    promised[:, :40] = np.nan
    got, factors = noise.local_rms(image, promised, 4.0)
    assert np.isnan(got[:, :40]).all()
    assert np.median(got[:, 60:380] / true[:, 60:380]) == pytest.approx(1, rel=0.02)
    assert np.median(got[:, 550:] / true[:, 550:]) == pytest.approx(1, rel=0.02)
    assert factors.min() > 0.85
    assert factors.max() < 2.3


def test_a_blank_mosaic_has_none():
    got, factors = noise.local_rms(np.full((50, 50), np.nan), np.full((50, 50), np.nan), 4.0)
    assert np.isnan(got).all()
    assert not factors.size


def test_of_a_large_image_every_second_pixel_is_enough():
    image = correlated_noise((2000, 2000), 2.0, 5)
    image[500:520, 500:520] = 1e3
    assert noise.rms_off_sources(image, np.ones(image.shape, bool), 4.7) == pytest.approx(1, rel=0.01)


def test_a_map_of_boxes_is_known_between_them():
    image = correlated_noise((400, 800), 1.7, 6) * np.where(np.arange(800) < 400, 1.0, 3.0)
    found = noise.noise_map(image, 4.0)
    y, x = np.meshgrid([50.0, 200.0, 350.0], [100.0, 200.0, 300.0])
    assert found.at(y, x) == pytest.approx(1, rel=0.08)
    assert found.at(y, x + 400) == pytest.approx(3, rel=0.08)
    assert found.at(np.array([0.0]), np.array([-5.0])) == pytest.approx(found.boxes[0, 0])  # outside: the nearest box
    assert noise.noise_map(image[:20, :20], 4.0) is None
