"""Pixels in blocks of rows: all of them, once, in order, and never more than a block in memory."""

import tracemalloc

import numpy as np
import pytest
from astropy.io import fits

from contimg.bundle import pixel_rows as module
from contimg.bundle.pixel_rows import pixel_rows


def written(path, array):
    fits.PrimaryHDU(array).writeto(path)
    return path


@pytest.mark.parametrize("block_px", [1, 7, 20, 1000])
@pytest.mark.parametrize("shape", [(5, 7), (1, 7), (7, 1), (3, 5, 7), (1, 1, 5, 7), (2, 3, 2, 7), (35,)])
def test_blocks_are_the_rows_of_all_planes_in_order(tmp_path, monkeypatch, shape, block_px):
    monkeypatch.setattr(module, "BLOCK_PX", block_px)
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    array.flat[3] = np.nan
    with fits.open(written(tmp_path / "a.fits", array), memmap=False) as opened:
        blocks = list(pixel_rows(opened[0]))
    rows = array.reshape(-1, shape[-1])
    assert np.array_equal(np.concatenate([block for _, block in blocks]), rows, equal_nan=True)
    for first, block in blocks:
        assert np.array_equal(block, rows[first : first + block.shape[0]], equal_nan=True)
        assert block.shape[0] == 1 or block.size <= block_px


def test_integers_with_a_scale_are_read_as_numbers(tmp_path):
    """BITPIX 16 with BSCALE 0.5 and BZERO 100: stored 0..5 are 100..102.5."""
    header = fits.Header()
    hdu = fits.PrimaryHDU(np.arange(6, dtype=np.int16).reshape(2, 3), header)
    hdu.header["BSCALE"], hdu.header["BZERO"] = 0.5, 100.0
    hdu.writeto(tmp_path / "a.fits")
    with fits.open(tmp_path / "a.fits", memmap=False) as opened:
        ((first, block),) = pixel_rows(opened[0])
    assert first == 0 and block.tolist() == [[100.0, 100.5, 101.0], [101.5, 102.0, 102.5]]


def test_an_image_without_pixels_has_no_blocks(tmp_path):
    with fits.open(written(tmp_path / "a.fits", np.empty((0, 7), np.float32)), memmap=False) as opened:
        assert [block for _, block in pixel_rows(opened[0]) if block.size] == []


def test_memory_is_that_of_a_block_and_not_of_the_image(tmp_path, monkeypatch):
    """An image of 8 MB in blocks of 0.26 MB."""
    monkeypatch.setattr(module, "BLOCK_PX", 1 << 16)
    path = written(tmp_path / "a.fits", np.ones((1000, 2000), np.float32))
    with fits.open(path, memmap=False) as opened:
        tracemalloc.start()
        try:
            total = sum(float(block.sum()) for _, block in pixel_rows(opened[0]))
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert total == 2e6
    assert peak_bytes < 4 * (1 << 16) * 4
