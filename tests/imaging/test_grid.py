"""Pixels and sky: against astropy's projections and spherical trigonometry."""

import numpy as np
import pytest

from contimg.imaging.fits_output import wcs_cards
from contimg.imaging.grid import TileGrid
from tests.support import skies

CELL_RAD = np.radians(10 / 3600)


def astropy_wcs(grid):
    from astropy.io.fits import Header
    from astropy.wcs import WCS

    head = Header({key: value for key, (value, _) in wcs_cards(grid).items()})
    return WCS(head)


@pytest.mark.parametrize("ra_deg", [0.05, 150.0, 359.97])
@pytest.mark.parametrize("size", [400, 401])
def test_header_and_grid_agree_with_astropy_at_off_centre_places(ra_deg, size):
    vis = skies.empty(antennas=2, times=1, channels=1, ra_deg=ra_deg, dec_deg=54.6)
    grid = TileGrid(size, CELL_RAD, tuple(vis.phase_centre_rad))
    wcs = astropy_wcs(grid)
    assert 0 <= wcs.wcs.crval[0] < 360
    x, y = np.array([0, 17, 200, 399]), np.array([399, 3, 200, 120])
    ra, dec = grid.radec(*grid.cosines(x, y))
    expected = np.radians(wcs.all_pix2world(x, y, 0))
    assert skies.distance(ra, dec, *expected) == pytest.approx(0, abs=1e-10)
    assert np.all((ra >= 0) & (ra < 2 * np.pi))
    back = grid.pixels(*grid.radec_cosines(ra, dec))
    assert np.allclose(back, (x, y), atol=1e-8)


def test_right_ascension_grows_to_the_left_and_declination_upwards():
    vis = skies.empty(antennas=2, times=1, channels=1, ra_deg=359.99)
    grid = TileGrid(400, CELL_RAD, tuple(vis.phase_centre_rad))
    ra, dec = skies.offset(vis, 0.2, 0.1)  # east and north, across RA 0
    x, y = grid.pixels(*grid.radec_cosines(ra, dec))
    assert np.degrees(ra) == pytest.approx(0.2288, abs=0.001)
    assert x == pytest.approx(200 - 72, abs=0.2)
    assert y == pytest.approx(200 + 36, abs=0.2)
