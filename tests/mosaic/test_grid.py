"""The pixels of a mosaic: extents known in closed form, and the scale, area and north of the projection by astropy."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.wcs import WCS

from contimg.errors import ConfigError
from contimg.mosaic.grid import MAX_STRETCH, MosaicGrid, circular_mean_deg, footprint_of, make_grid
from tests.support.beams import sin_wcs

DECLINATIONS = (-85.0, -30.0, -0.06, 0.0, 0.04, 30.0, 54.57, 80.0, 85.0)


@pytest.mark.parametrize(
    ("angles", "mean"), [((350, 5, 10), 1.683), ((355, 5), 0.0), ((359.9, 0.1), 0.0), ((10, 20), 15.0)]
)
def test_circular_mean(angles, mean):
    got = circular_mean_deg(angles)
    assert 0 <= got < 360
    assert got == pytest.approx(mean, abs=1e-3)


def test_across_0_h():
    feet = []
    for ra in (355.0, 5.0):
        wcs = sin_wcs(ra, 0.0, 240, 60)
        feet.append(footprint_of(wcs, np.ones((240, 240), bool)))
    grid = make_grid(feet, 60.0, 40000)
    assert grid.centre_deg == pytest.approx((0.0, 0.0), abs=1e-9)
    assert 0 <= grid.wcs().wcs.crval[0] < 360
    assert grid.cell_deg * 3600 == 60.0
    # 10 deg between the centres and 4 deg of tile (SIN: 2 asin(2 deg)), along the equator of a cylinder.
    assert grid.shape[1] == pytest.approx(14 * 60, abs=3)
    assert grid.shape[0] < 260


def test_declination_shrinks_the_span():
    feet = [footprint_of(sin_wcs(ra, 60.0, 100, 60), np.ones((100, 100), bool)) for ra in (100.0, 110.0)]
    assert make_grid(feet, 60.0, 40000).shape[1] == pytest.approx(10 * 60 * np.cos(np.radians(60)) + 100, abs=12)


def test_too_large_is_an_error_and_pixels_stay():
    foot = footprint_of(sin_wcs(100.0, 54.0, 300, 60), np.ones((300, 300), bool))
    with pytest.raises(ConfigError, match=r"mosaic\.max_size_px.*nights"):
        make_grid([foot], 3.0, 4000)


def test_holds_every_pixel_of_the_footprint():
    used = np.hypot(*np.mgrid[-150:150, -150:150]) < 120
    wcs = sin_wcs(0.5, 54.57, 300, 60)
    grid = make_grid([footprint_of(wcs, used)], 60.0, 40000)
    y, x = np.nonzero(used)
    gx, gy = grid.wcs().all_world2pix(*wcs.all_pix2world(x, y, 0), 0)
    assert gx.min() >= -0.5
    assert gy.min() >= -0.5
    assert gx.max() <= grid.shape[1] - 0.5
    assert gy.max() <= grid.shape[0] - 0.5
    assert grid.shape[0] <= 245
    assert grid.shape[1] <= 245


def tile(ra, dec, width_deg=4.0):
    size = int(width_deg * 60)
    return footprint_of(sin_wcs(ra, dec, size, 60), np.hypot(*np.mgrid[: size + 0, :size] - size / 2) < size / 2)


@pytest.mark.parametrize("dec", DECLINATIONS)
class TestProjection:
    def differences(self, dec, ra_deg, dec_deg, step=1e-4):
        """Return the pixels' (x, y) per degree along a parallel and along a meridian, by differences."""
        wcs = MosaicGrid((350.0, dec), 1 / 60, (51, 61), (100, 120)).wcs()
        x, y = wcs.all_world2pix(ra_deg % 360, dec_deg, 0)
        across = np.array(wcs.all_world2pix((ra_deg + step) % 360, dec_deg, 0)) - (x, y)
        along = np.array(wcs.all_world2pix(ra_deg % 360, dec_deg + step, 0)) - (x, y)
        return across / (step * np.cos(np.radians(dec_deg))) / 60, along / step / 60

    def places(self, dec):
        return np.repeat([320.0, 350.0, 5.0, 30.0], 3), np.tile([dec - 2.3, dec, dec + 2.3], 4)

    def test_lengths_depend_on_declination_alone_and_areas_are_right(self, dec):
        grid = MosaicGrid((350.0, dec), 1 / 60, (51, 61), (100, 120))
        across, along = self.differences(dec, *self.places(dec))
        assert np.hypot(*across) == pytest.approx(grid.stretch(self.places(dec)[1]), abs=1e-6)
        assert np.abs(across[0] * along[1] - across[1] * along[0]) == pytest.approx(1, abs=1e-5)

    def test_scale_is_within_the_bound(self, dec):
        across, _ = self.differences(dec, *self.places(dec))
        assert np.abs(np.hypot(*across) - 1).max() < MAX_STRETCH

    def test_north(self, dec):
        grid = MosaicGrid((350.0, dec), 1 / 60, (51, 61), (100, 120))
        ra, _ = self.places(dec)
        _, along = self.differences(dec, *self.places(dec))
        want = [grid.north_deg(one) for one in ra]
        assert np.degrees(np.arctan2(-along[0], along[1])) == pytest.approx(np.array(want), abs=1e-3)

    def test_the_header_holds_the_projection(self, dec):
        wcs = MosaicGrid((350.0, dec), 1 / 60, (51, 61), (100, 120)).wcs()
        again = WCS(wcs.to_header())
        places = self.places(dec)
        assert np.allclose(again.all_world2pix(*places, 0), wcs.all_world2pix(*places, 0), rtol=0, atol=1e-8)


@pytest.mark.parametrize("dec", [-30.0, 0.0, 54.0, 80.0])
def test_the_largest_stretch_of_a_mosaic_is_that_of_its_pixels(dec):
    """Against lengths between pixels: at 2.3 deg from the parallel about half the square of the distance."""
    feet = [tile(100 + 1.29 * i, dec) for i in range(3)]
    grid = make_grid(feet, 60.0, 40000)
    rim = np.concatenate([foot.rim_deg for foot in feet])
    step = 1e-4
    x, y = grid.wcs().all_world2pix(*rim.T, 0)
    x1, y1 = grid.wcs().all_world2pix(rim[:, 0] + step, rim[:, 1], 0)
    scale = np.hypot(x1 - x, y1 - y) / 60 / (step * np.cos(np.radians(rim[:, 1])))
    assert grid.worst_stretch(feet) == pytest.approx(np.abs(scale - 1).max(), abs=2e-5)
    away = np.radians(np.abs(rim[:, 1] - dec).max())
    assert 0 < grid.worst_stretch(feet) < 1.5 * away**2 / 2 <= MAX_STRETCH
    assert grid.worst_stretch([tile(100.0, 89.9)]) > MAX_STRETCH


@pytest.mark.parametrize("dec", [0.0, 30.0, 80.0])
def test_a_strip_of_sixty_tiles_is_one_mosaic(dec):
    feet = [tile(100 + 1.29 * i, dec) for i in range(0, 60, 6)]
    grid = make_grid(feet, 60.0, 40000)
    rim = np.concatenate([foot.rim_deg for foot in feet])
    x, y = grid.wcs().all_world2pix(*rim.T, 0)
    assert x.min() >= -0.5 and x.max() <= grid.shape[1] - 0.5
    assert y.min() >= -0.5 and y.max() <= grid.shape[0] - 0.5


@pytest.mark.parametrize(
    ("places", "said"),
    [
        (((100.0, 30.0), (101.0, 45.0)), "stretched by"),
        (((100.0, 87.5),), "stretched by"),
        (((0.0, 0.0), (170.0, 0.0), (190.0, 0.0)), "right ascension"),
    ],
)
def test_what_one_projection_does_not_hold_is_an_error(places, said):
    with pytest.raises(ConfigError, match=f"{said}.*nights that were grouped"):
        make_grid([tile(*place) for place in places], 60.0, 40000)
