"""Pixel coordinates by polynomials, against the transformation of every pixel by astropy."""

from __future__ import annotations

import numpy as np
import pytest

from contimg.mosaic.grid import MosaicGrid
from contimg.mosaic.pixel_map import pixel_map
from tests.support.beams import ARCSEC, sin_wcs


@pytest.mark.parametrize("cell", [3.0, 60.0])
@pytest.mark.parametrize("dec", [-30.0, 0.0, 30.0, 54.57, 80.0, 85.0])
def test_coordinates_are_those_of_every_pixel(dec, cell):
    wcs = sin_wcs(130.0, dec, 400, cell)
    x0, y0 = MosaicGrid((110.0, dec), cell * ARCSEC, (0, 0), (1, 1)).wcs().all_world2pix(130.0, dec, 0)
    grid = MosaicGrid((110.0, dec), cell * ARCSEC, (200 - int(x0), 200 - int(y0)), (120, 110))
    parts = [pixel_map(grid, wcs).rows(rows) for rows in (slice(0, 50), slice(50, 120))]
    y, x = (np.concatenate(part) for part in zip(*parts, strict=True))
    want_x, want_y = wcs.all_world2pix(*grid.wcs().all_pix2world(*np.meshgrid(range(110), range(120)), 0), 0)
    assert np.abs(x - want_x).max() < 1e-9
    assert np.abs(y - want_y).max() < 1e-9


def test_a_grid_of_one_pixel():
    wcs = sin_wcs(130.0, 30.0, 400, 10.0)
    y, x = pixel_map(MosaicGrid((130.0, 30.0), 10 * ARCSEC, (1, 1), (1, 1)), wcs).rows(slice(0, 1))
    assert (y[0, 0], x[0, 0]) == (pytest.approx(200, abs=1e-8), pytest.approx(200, abs=1e-8))
