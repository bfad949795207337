"""Pixels that one tile shows and the others do not, against what was put in."""

from __future__ import annotations

import numpy as np
import pytest

from contimg.mosaic.coadd import Contribution, Sums
from contimg.mosaic.rejection import Spool, reject
from tests.support.beams import correlated_noise

SHAPE = (120, 150)
BEAM_PX = 4.0


def coadded(images):
    """Return the sums of images of noise 1, the whole mosaic each, and what was rejected at 6 sigma."""
    with Spool.empty() as spool:
        sums = add_all(images, spool)
        return sums, reject(sums, spool, 6.0, BEAM_PX)


def add_all(images, spool, weight=1.0):
    sums = Sums.empty(SHAPE)
    for number, image in enumerate(images):
        for rows in (slice(0, 50), slice(50, 120)):
            inside = np.ones((rows.stop - rows.start, SHAPE[1]), bool)
            inside[:, :3] = False
            w = np.full(int(inside.sum()), weight, np.float32)
            value = image[rows][inside].astype(np.float32)
            spool.put(number, Contribution(rows, slice(0, SHAPE[1]), inside, w * value, w, np.ones_like(w)))
            place = (rows, slice(0, SHAPE[1]))
            sums.signal[place][inside] += w * value
            sums.weight[place][inside] += w
            sums.expected[place][inside] += w
            sums.tiles[place] += inside
    return sums


def tiles(n, seed=1):
    return [correlated_noise(SHAPE, BEAM_PX / 2.3548, [seed, i]) for i in range(n)]


def test_an_aeroplane_in_one_of_four_tiles_is_left_out():
    images = tiles(4)
    clean = np.mean(images, axis=0)
    images[2][60:64, 20:130] += 30.0
    without = (images[0] + images[1] + images[3]) / 3
    sums, rejected = coadded(images)
    got = sums.mosaic()[0]
    assert list(rejected) == [2]
    assert got[60:64, 20:130] == pytest.approx(without[60:64, 20:130], abs=1e-5)
    assert sums.tiles[61, 70] == 3 and sums.weight[61, 70] == pytest.approx(3) and sums.expected[61, 70] == 3
    assert got[:50, 3:] == pytest.approx(clean[:50, 3:], abs=1e-5)
    # 4 rows of 110 pixels, and those within a beam.
    assert 440 < rejected[2] < (4 + 2 * BEAM_PX + 2) * (110 + 2 * BEAM_PX + 2)


def test_noise_alone_is_left_in():
    images = tiles(5, seed=2)
    sums, rejected = coadded(images)
    assert rejected == {}
    assert sums.mosaic()[0][:, 3:] == pytest.approx(np.mean(images, axis=0)[:, 3:], abs=1e-5)


def test_of_two_tiles_nothing_tells_which_is_wrong():
    images = tiles(2)
    images[0][60, 60] += 100
    sums, rejected = coadded(images)
    assert rejected == {} and sums.tiles[60, 60] == 2


def test_a_bright_source_may_differ_by_a_tenth_from_tile_to_tile():
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    source = 5000 * np.exp(-4 * np.log(2) * ((y - 60) ** 2 + (x - 70) ** 2) / BEAM_PX**2)
    images = [image + scale * source for image, scale in zip(tiles(4), (1.0, 1.05, 0.95, 1.08), strict=True)]
    assert coadded(images)[1] == {}


def test_two_tiles_wrong_at_different_places_are_both_left_out():
    images = tiles(5, seed=3)
    good = [np.mean([images[i] for i in range(5) if i != bad], axis=0) for bad in (1, 4)]
    images[1][30:33, 30:33] -= 40
    images[4][90:93, 90:93] += 40
    sums, rejected = coadded(images)
    assert sorted(rejected) == [1, 4]
    got = sums.mosaic()[0]
    assert got[30:33, 30:33] == pytest.approx(good[0][30:33, 30:33], abs=1e-5)
    assert got[90:93, 90:93] == pytest.approx(good[1][90:93, 90:93], abs=1e-5)
