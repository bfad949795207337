"""Stripes in mosaics: sinusoids of known amplitude are found, sources and noise are none."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from contimg.mosaic import stripes
from contimg.mosaic.stripes import strongest_stripe
from contimg.mosaic.tile_samples import Sampling

CHOSEN = Sampling(step=2, beam=2.5, cell_arcsec=6.0)
RMS = 2e-3


def noise(shape, seed=1):
    white = np.random.default_rng(seed).normal(size=shape)
    sigma = 5 / 2.3548
    return (gaussian_filter(white, sigma, mode="wrap") * np.sqrt(4 * np.pi) * sigma * RMS).astype(np.float32)


def wave(shape, amplitude, turns=(17.3, 8.6)):
    """Return a sinusoid with a number of turns along columns and rows."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    phase = 2 * np.pi * (turns[0] * x / shape[1] + turns[1] * y / shape[0])
    return (amplitude * RMS * np.cos(phase + 0.4)).astype(np.float32)


def measured(image):
    return strongest_stripe(image, np.where(np.isfinite(image), np.float32(RMS), np.float32(np.nan)), CHOSEN)


@pytest.mark.parametrize("amplitude", [0.3, 0.5, 1.0])
@pytest.mark.parametrize("turns", [(17.3, 8.6), (0.0, 31.0), (45.2, -3.9)])
def test_a_stripe_is_measured(amplitude, turns):
    shape = (500, 700)
    assert measured(noise(shape) + wave(shape, amplitude, turns)) == pytest.approx(amplitude, abs=0.08)


def test_noise_has_stripes_of_a_tenth_of_its_rms():
    assert measured(noise((500, 700))) < 0.15


def test_sources_and_blank_pixels_are_no_stripes():
    shape = (500, 700)
    image = noise(shape)
    for y, x in np.random.default_rng(2).integers(20, 480, (30, 2)):
        image[y, x] += 2 * np.pi * (5 / 2.3548) ** 2
    image[y - 2 : y + 3, x - 2 : x + 3] = 1.0
    yy, xx = np.mgrid[: shape[0], : shape[1]]
    image[np.hypot(yy - 250, (xx - 350) * 0.7) > 245] = np.nan
    assert measured(image) < 0.2
    assert measured(image + wave(shape, 0.6)) == pytest.approx(0.6, abs=0.1)


def test_a_stripe_in_one_part_of_a_long_mosaic(monkeypatch):
    monkeypatch.setattr(stripes, "WINDOW", 128)
    shape = (256, 2048)
    image = noise(shape)
    image[:, 1000:1300] += wave((256, 300), 0.8, (12.0, 5.0))
    assert measured(image) > 0.55
    assert measured(noise(shape)) < 0.35  # of windows of 128 samples


@pytest.mark.parametrize("shape", [(100, 128), (300, 129), (128, 1000), (40, 50)])
def test_windows_cover_everything_and_overlap_by_half(monkeypatch, shape):
    monkeypatch.setattr(stripes, "WINDOW", 128)
    windows = stripes._windows(shape)
    covered = np.zeros(shape, int)
    for window in windows:
        covered[window] += 1
    assert covered.min() >= 1
    starts = sorted({columns.start for _, columns in windows})
    assert all(b - a <= 64 for a, b in itertools.pairwise(starts))
    assert max(columns.stop for _, columns in windows) == shape[1]


def test_nothing_known_says_nothing():
    assert measured(np.full((100, 100), np.nan, np.float32)) is None
