"""What a picture points out: known pixels in images of noise, at any size of the blocks they are read in."""

import numpy as np
import pytest

from contimg.plotting.features import find_features


@pytest.fixture(scope="module")
def image():
    """Noise of 1 mJy clipped at 4 sigma, three bright pixels, three deep ones, blanks at the left."""
    data = np.clip(np.random.default_rng(7).normal(0, 1e-3, (203, 157)), -4e-3, 4e-3).astype(np.float32)
    data[:, :20] = np.nan
    data[50, 60], data[52, 60], data[150, 100], data[10, 140] = 2.0, 1.9, 1.0, 0.5
    data[100, 30], data[101, 120], data[199, 156] = -8.1e-3, -6e-3, -5.5e-3
    return data


@pytest.mark.parametrize("block", [1, 3, 7, 50])
def test_known_pixels_are_found(image, block):
    found = find_features(image, 1e-3, block, 4 if block < 10 else 1, count=3)
    assert (found.lowest.y, found.lowest.x) == (100, 30) and found.lowest.value == pytest.approx(-8.1, rel=1e-5)
    assert found.below == 3 and found.highest == pytest.approx(2000.0, rel=1e-5)
    # 1.9 Jy stands beside the brightest pixel: it is the same source, unless blocks are a pixel wide and it is far.
    assert [(one.y, one.x, one.value) for one in found.brightest] == [(50, 60, 2.0), (150, 100, 1.0), (10, 140, 0.5)]


def test_the_noise_of_each_pixel_counts(image):
    noise = np.full(image.shape, 1e-3, np.float32)
    noise[100, 30] = 1e-2
    noise[120:130, 80:90] = 0.5e-3
    noise[0, :] = np.nan
    found = find_features(image, noise, 5, 4)
    assert (found.lowest.y, found.lowest.x) == (101, 120) or found.lowest.value < -6  # within the quiet part
    assert 120 <= found.quietest.y < 130 and 80 <= found.quietest.x < 90
    assert found.quietest.value == pytest.approx(0.5e-3)


def test_the_quietest_part_of_an_even_image_is_its_middle():
    found = find_features(np.zeros((99, 99), np.float32), 1e-3, 3, 4)
    assert (found.quietest.y, found.quietest.x, found.below) == (49, 49, 0)


@pytest.mark.parametrize("noise", [1e-3, np.full((20, 20), np.nan, np.float32)], ids=["blank", "no noise"])
def test_an_image_without_pixels_has_nothing(noise):
    found = find_features(np.full((20, 20), np.nan, np.float32), noise, 4, 4)
    assert found.brightest == [] and found.lowest is None and found.quietest is None and found.below == 0


def test_fewer_sources_than_asked_for():
    data = np.full((40, 40), np.nan, np.float32)
    data[3, 4] = 1.0
    assert len(find_features(data, 1e-3, 4, 4, count=5).brightest) == 1
