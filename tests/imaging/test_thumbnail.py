"""The thumbnail of a tile: its pixels are where the sky is."""

import numpy as np
import pytest

from contimg.imaging.grid import TileGrid
from contimg.imaging.thumbnail import Thumbnail, _block_means, _wcs, draw
from contimg.sky.restoring_beam import RestoringBeam

BEAM = RestoringBeam(np.radians(90 / 3600), np.radians(60 / 3600), 0.4)


def shown(size, synthetic):
    image = np.random.default_rng(1).normal(0, 1e-3, (size, size)).astype(np.float32)
    pb = np.exp(-(np.add.outer(*[(np.arange(size) - size / 2) ** 2] * 2)) / size**2 * 6)
    return Thumbnail(image, pb, TileGrid(size, np.radians(20 / 3600), (1.0, 0.5)), BEAM, 1.0, "a tile", synthetic)


@pytest.mark.parametrize("block", [1, 2, 3])
def test_block_means_keep_the_mean_and_their_coordinates_the_places(block):
    image = np.arange(144.0).reshape(12, 12)
    small = _block_means(image, block)
    assert small.shape == (12 // block, 12 // block)
    assert small.mean() == image.mean()
    assert small[0, 0] == image[:block, :block].mean()
    grid = TileGrid(12, np.radians(20 / 3600), (1.0, 0.5))
    fine, coarse = _wcs(grid, 1), _wcs(grid, block)
    # The middle of the first block is the mean of its pixels' places.
    middle = (block - 1) / 2
    assert np.allclose(coarse.all_pix2world(0, 0, 0), fine.all_pix2world(middle, middle, 0), rtol=0, atol=1e-7)


def test_a_width_that_is_no_multiple_is_padded_with_its_edge():
    image = np.arange(25.0).reshape(5, 5)
    assert _block_means(image, 2)[2, 2] == 24.0


@pytest.mark.parametrize("size", [200, 1700])
def test_pictures_are_the_same_bytes_each_time_and_stamped(tmp_path, size):
    for name, synthetic in (("one", True), ("two", True), ("real", False)):
        draw(tmp_path / name, shown(size, synthetic))
    one, two, real = ((tmp_path / name).read_bytes() for name in ("one", "two", "real"))
    assert one == two
    assert one != real
    assert one.startswith(b"\x89PNG")
