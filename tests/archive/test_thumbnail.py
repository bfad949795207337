"""Thumbnails hold the image's pixels and nothing else."""

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image

from contimg.archive.thumbnail import WIDTH_PX, write_thumbnail

BLANK = (0xE9, 0xE9, 0xEE)


def thumbnail(tmp_path, pixels, rms_mjy=1.0):
    fits.writeto(tmp_path / "image.fits", np.asarray(pixels, np.float32), overwrite=True)
    name = write_thumbnail(tmp_path / "image.fits", tmp_path / "small.png", rms_mjy)
    return None if name is None else np.asarray(Image.open(tmp_path / name).convert("RGB")).astype(int)


def test_every_pixel_of_a_small_image_is_one_of_the_picture_north_up(tmp_path):
    pixels = np.zeros((30, 40))
    pixels[29, 0] = 0.12  # 120 times the noise, in the north-east corner
    small = thumbnail(tmp_path, pixels)
    assert small.shape == (30, 40, 3)
    # the ends of matplotlib's inferno, and one colour for all else
    assert small[0, 0].sum() > 600 and len(np.unique(small.reshape(-1, 3), axis=0)) == 2
    assert tuple(thumbnail(tmp_path, np.full((4, 4), -0.003))[0, 0]) == (0, 0, 4)


def test_a_large_image_is_averaged_over_blocks_of_finite_pixels(tmp_path):
    pixels = np.zeros((900, 2100))
    pixels[:, :1000] = np.nan
    small = thumbnail(tmp_path, pixels)
    assert small.shape == (180, 420, 3) and max(small.shape) <= WIDTH_PX
    assert (small[:, :200] == BLANK).all() and not (small[:, 200:] == BLANK).all(axis=-1).any()


def test_brightness_grows_with_the_flux_and_the_noise_sets_the_scale(tmp_path):
    levels = np.repeat(np.array([[-3, 0, 5, 20, 60, 120]]) * 1e-3, 6, axis=0)
    row = thumbnail(tmp_path, levels)[0].sum(axis=1)
    assert (np.diff(row) > 0).all()
    scaled = thumbnail(tmp_path, 10 * levels, rms_mjy=10.0)[0].sum(axis=1)
    assert row == pytest.approx(scaled, abs=3)  # single precision may round each of the three channels by one


def test_an_image_without_a_value_has_none_and_without_noise_the_scatter_serves(tmp_path):
    assert thumbnail(tmp_path, np.full((5, 5), np.nan)) is None
    rng = np.random.default_rng(1)
    assert thumbnail(tmp_path, rng.normal(0, 1e-3, (50, 50)), rms_mjy=None).std() > 5
