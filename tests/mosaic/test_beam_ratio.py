"""The map of the beam's errors from ratios of overlapping tiles: known patterns come back, the unknown is 0."""

from __future__ import annotations

import numpy as np
import pytest

from contimg.mosaic.beam_ratio import NODES, TileRatios, beam_ratio_map
from contimg.mosaic.grid import MosaicGrid
from contimg.mosaic.neighbours import Difference
from contimg.mosaic.pixel_pairs import BlockRatios, PixelDifference

SPACING, HALF = 1.29, 1.5


def ratios(beam_error, tiles=5, seed=1, noise=0.01, scales=None, per_pair=60):
    """Return ratios of tiles in a row whose beam deviates from the assumed one by ln E(east, north)."""
    rng = np.random.default_rng(seed)
    scales = np.zeros(tiles) if scales is None else np.log(scales)
    found = []
    for i in range(tiles):
        for j in range(i + 1, min(i + 3, tiles)):
            low, high = SPACING * j - HALF, SPACING * i + HALF
            if low >= high:
                continue
            sky = np.column_stack([rng.uniform(low, high, per_pair), rng.uniform(-HALF, HALF, per_pair)])
            places = np.stack([sky - [SPACING * k, 0] for k in (i, j)])
            values = beam_error(*places[0].T) - beam_error(*places[1].T) + scales[i] - scales[j]
            values = values + noise * rng.normal(size=per_pair)
            found.append(TileRatios(f"t{i}", f"t{j}", places, values, np.full(per_pair, noise)))
    return found


def true_map(beam_error, reach=HALF):
    """Return what of an error can be known on the map's nodes: each row less its mean, all less their common slope."""
    nodes = np.linspace(-reach, reach, NODES)
    table = beam_error(*np.meshgrid(nodes, nodes))
    table = table - table.mean(axis=1, keepdims=True)
    slope = (table * nodes).sum() / (NODES * (nodes**2).sum())
    return table - slope * nodes


@pytest.mark.parametrize("seed", range(10))
def test_a_right_beam(seed):
    found = beam_ratio_map(ratios(lambda x, y: 0 * x, seed=seed))
    assert abs(found["beam_ratio_error"]) < 4.5 * found["e_beam_ratio_error"]
    assert found["e_beam_ratio_error"] < 0.01
    assert np.abs(found["beam_ratio_map"]).max() < 0.03


def wide(x, y):
    """Return the error of a beam that is wider than assumed: it grows with the square of the distance."""
    return 0.08 * (x**2 + y**2) / HALF**2


def lopsided(x, y):
    """Return the error of a beam that is stronger in its south-east: quadrupole and bend."""
    return 0.1 * (x / HALF) * (-y / HALF) + 0.03 * (x / HALF) ** 2


def dented(x, y):
    """Return the error of a beam with a dip at one place."""
    return -0.2 * np.clip(1 - np.abs(x - HALF / 2) * 2 / HALF, 0, None) * np.clip(1 - np.abs(y) * 2 / HALF, 0, None)


@pytest.mark.parametrize("beam_error", [wide, lopsided, dented], ids=["wide", "lopsided", "dented"])
@pytest.mark.parametrize("seed", range(3))
def test_a_known_error_is_mapped(beam_error, seed):
    found = beam_ratio_map(ratios(beam_error, seed=seed, per_pair=150))
    want = true_map(beam_error)
    assert np.abs(np.log1p(found["beam_ratio_map"]) - want).max() < 0.035
    assert abs(found["beam_ratio_error"]) > 4 * found["e_beam_ratio_error"]


def test_the_place_of_a_dent_is_named():
    found = beam_ratio_map(ratios(dented, per_pair=200))
    # the nodes are 0.75 deg apart
    assert found["beam_ratio_error_of"] in ("0.7 deg east, 0.0 deg south of the beam's centre",
                                            "0.8 deg east, 0.0 deg south of the beam's centre")  # fmt: skip
    assert found["beam_ratio_error"] == pytest.approx(true_map(dented).min(), abs=0.03)


@pytest.mark.parametrize(
    "beam_error",
    [lambda x, y: 0.1 * y / HALF, lambda x, y: 0.1 * x / HALF, lambda x, y: 0.1 * (y / HALF) ** 2],
    ids=["north", "east", "bow"],
)
def test_what_no_overlap_can_tell_is_not_claimed(beam_error):
    """A slope along right ascension looks like a drift of the flux scale, and tiles are at one declination."""
    found = beam_ratio_map(ratios(beam_error, per_pair=150))
    assert np.abs(found["beam_ratio_map"]).max() < 0.02


def test_flux_scales_of_tiles_are_no_error_of_the_beam():
    found = beam_ratio_map(ratios(lambda x, y: 0 * x, scales=[1, 1.3, 0.8, 1, 1.1]))
    assert np.abs(found["beam_ratio_map"]).max() < 0.03


def test_few_ratios_say_nothing():
    nothing = {
        "beam_ratio_map": None,
        "beam_ratio_error": None,
        "e_beam_ratio_error": None,
        "beam_ratio_error_of": None,
    }
    assert beam_ratio_map([]) == nothing
    assert beam_ratio_map(ratios(wide, tiles=2, per_pair=40)) == nothing


def test_places_are_offsets_on_the_sky():
    """A block of the mosaic stands where astropy says in either tile."""
    from astropy.wcs import WCS

    grid = MosaicGrid((127.0, 54.57), 1 / 60, (301, 201), (400, 600))
    tiles = []
    for ra in (126.0, 128.0):
        wcs = WCS(naxis=2)
        wcs.wcs.ctype, wcs.wcs.cunit = ["RA---SIN", "DEC--SIN"], ["deg", "deg"]
        wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cdelt = [ra, 54.57], [151, 151], [-1 / 60, 1 / 60]
        tiles.append((f"{ra:g}", wcs))
    x, y = grid.wcs().all_world2pix([126.5], [55.0], 0)
    blocks = BlockRatios(y, x, np.array([0.1]), np.array([0.01]))
    pixels = PixelDifference(Difference(0, 1, 0, 0, 1), 1.0, 0.0, blocks, np.empty((0, 0), np.float32))
    found = TileRatios.of(grid, *tiles, pixels)
    cos = np.cos(np.radians(55.0))
    assert found.places[:, 0, 0] == pytest.approx([0.5 * cos, -1.5 * cos], abs=2e-4)  # east, SIN
    assert found.places[:, 0, 1] == pytest.approx([0.43, 0.44], abs=0.01)
    assert (found.first, found.second) == ("126", "128")
