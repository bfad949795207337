"""Pixels and sky: against astropy's projections and spherical trigonometry."""

import numpy as np
import pytest

from contimg.imaging.fits_output import wcs_cards
from contimg.imaging.grid import TileGrid, slant_of
from contimg.sky.restoring_beam import RestoringBeam
from tests.support import skies

CELL_RAD = np.radians(10 / 3600)


def astropy_wcs(grid):
    from astropy.io.fits import Header
    from astropy.wcs import WCS

    head = Header({key: value for key, (value, _) in wcs_cards(grid).items()})
    return WCS(head)


@pytest.mark.parametrize("slant", [(0.0, 0.0), (-0.0015, 0.1187), (0.3, -1.2)], ids=["upright", "slant", "steep"])
@pytest.mark.parametrize("ra_deg", [0.05, 150.0, 359.97])
@pytest.mark.parametrize("size", [400, 401])
def test_header_and_grid_agree_with_astropy_at_off_centre_places(ra_deg, size, slant):
    vis = skies.empty(antennas=2, times=1, channels=1, ra_deg=ra_deg, dec_deg=54.6)
    grid = TileGrid(size, CELL_RAD, tuple(vis.phase_centre_rad), slant)
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


def test_the_slant_of_a_flat_array_takes_the_w_terms_away():
    """Antennas in a plane seen 25 degrees from its normal, towards azimuth 30: w = tan(25) (u sin(30) + v cos(30))."""
    rng = np.random.default_rng(2)
    along = np.tan(np.radians(25)) * np.array([np.sin(np.radians(30)), np.cos(np.radians(30))])
    uv = rng.normal(0, 500, (300, 2))
    slant = slant_of(np.column_stack([uv, uv @ along]))
    assert slant == pytest.approx(tuple(-along), abs=1e-12)
    grid = TileGrid(2000, CELL_RAD, (1.0, 0.5), slant)
    east, north = grid.cosines(1800, 300)
    lower = 1 - np.sqrt(1 - east**2 - north**2)
    phase = uv @ [east, north] - (uv @ along) * lower
    x, y = grid.pixels(east, north)
    plane = np.array([-(x - grid.middle), y - grid.middle]) * CELL_RAD
    assert np.abs(phase - uv @ plane).max() < 1e-9  # a two-dimensional transform of the pixels' plane


@pytest.mark.parametrize(
    "uvw", [np.empty((0, 3)), np.column_stack([np.ones(4), np.arange(4.0), 3 * np.arange(4.0)])], ids=["none", "steep"]
)
def test_what_has_no_plane_or_is_seen_from_its_edge_has_no_slant(uvw):
    assert slant_of(uvw) == (0.0, 0.0)


def test_pixels_of_a_slant_grid_stay_within_its_reach_and_halve():
    grid = TileGrid(2000, CELL_RAD, (1.0, 0.5), (0.1, -0.3))
    x, y = np.meshgrid(np.arange(0, 2000, 100), np.arange(0, 2000, 100))
    assert np.abs(grid.cosines(x, y)).max() <= grid.reach_rad
    assert grid.edge_rad < grid.reach_rad < 1.02 * grid.edge_rad
    half = grid.halved(1.0)
    assert half.slant == grid.slant
    assert np.allclose(half.cosines(317, 40), grid.cosines(634, 80), atol=1e-15)


def test_a_beam_of_one_shape_on_the_sky_is_stretched_on_slant_pixels():
    """A ring of directions round a source, at half of the beam's maximum, lies on the ellipse of that shape."""
    grid = TileGrid(2000, CELL_RAD, (1.0, 0.5), (0.1, -0.4))
    beam = RestoringBeam(*np.radians([0.02, 0.012, 30.0]))
    east, north = 0.012, -0.025
    turn = np.linspace(0, 2 * np.pi, 60)
    root = np.linalg.cholesky(beam.covariance()) * np.sqrt(2 * np.log(2))
    ring = root @ [np.cos(turn), np.sin(turn)]
    x, y = grid.pixels(east + ring[0], north + ring[1])
    x0, y0 = grid.pixels(east, north)
    a, b, c = grid.beam_at(beam, east, north).exponents()
    across, up = -(x - x0) * CELL_RAD, (y - y0) * CELL_RAD
    level = np.exp(-(a * across**2 + 2 * b * across * up + c * up**2))
    assert level == pytest.approx(0.5, abs=2e-4)  # of a beam without curvature of the projection
    assert abs(grid.beam_at(beam, east, north).area_rad2 / beam.area_rad2 - 1) > 0.01
    assert TileGrid(2000, CELL_RAD, (1.0, 0.5)).beam_at(beam, east, north) is beam


def test_the_grid_of_a_header_is_the_one_it_was_written_from():
    grid = TileGrid(2000, CELL_RAD, (1.0, 0.5), (0.1, -0.4))
    found = TileGrid.of(astropy_wcs(grid), 2000)
    assert found.slant == grid.slant
    assert (found.cell_rad, *found.centre_rad) == pytest.approx((grid.cell_rad, *grid.centre_rad), rel=1e-12)
