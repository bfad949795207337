"""Pixel coordinates by polynomials, against the transformation of every pixel by astropy."""

from __future__ import annotations

import numpy as np
import pytest

from contimg.mosaic.grid import MosaicGrid
from contimg.mosaic.pixel_map import TERMS, PixelMap, pixel_map
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


class TestSmoothPlane:
    """Functions without fine structure over the pixels of a cut-out, as polynomials."""

    SHAPE = (90, 140)

    def own(self):
        return PixelMap.of_pixels(self.SHAPE)

    def test_pixels_of_an_image_are_their_own_places(self):
        y, x = self.own().rows(slice(20, 50))
        np.testing.assert_allclose(y, np.broadcast_to(np.arange(20, 50)[:, None], y.shape), atol=1e-10)
        np.testing.assert_allclose(x, np.broadcast_to(np.arange(140), x.shape), atol=1e-10)

    def test_a_smooth_function_is_known_at_every_pixel_and_a_little_beyond(self):
        def beam(y, x):
            return np.exp(-((y - 40) ** 2 + (x - 75) ** 2) / 2 / 45**2)

        plane = self.own().plane(beam(*self.own().nodes())).without_noise()
        y, x = np.mgrid[:90, :140].astype(float)
        np.testing.assert_allclose(plane.rows(slice(0, 90)), beam(y, x), atol=2e-6)
        np.testing.assert_allclose(plane.at(y, x), beam(y, x), atol=2e-6)
        np.testing.assert_allclose(plane.at(np.array([-4.0]), np.array([146.0])), beam(-4.0, 146.0), atol=1e-4)

    def test_rounding_errors_are_no_terms(self):
        rng = np.random.default_rng(1)
        values = 0.5 + 0.01 * self.own().nodes()[0] / 90 + 1e-8 * rng.normal(size=(TERMS, TERMS))
        assert np.count_nonzero(self.own().plane(values).without_noise().coefficients) == 2
