"""The arithmetic of co-addition: numbers known in closed form."""

from __future__ import annotations

import numpy as np
import pytest

from contimg.mosaic import coadd, noise
from contimg.mosaic.coadd import beam_on_grid
from contimg.mosaic.fourier_image import fourier_image
from contimg.mosaic.grid import Footprint, MosaicGrid, footprint_of
from contimg.mosaic.pixel_map import pixel_map
from tests.support.beams import beam, sin_wcs

ROUND = beam(240, 240, 0)


def flat(grid: MosaicGrid) -> Footprint:
    return footprint_of(grid.wcs(), np.ones(grid.shape, bool))


class TestCoaddition:
    """Sums over tiles of known skies, beams and noise."""

    GRID = MosaicGrid((130.0, 54.57), 1 / 60, (61, 51), (100, 120))

    def add(self, sums, image, pb, rms, pb_limit=0.2, expected=None, wcs=None, foot=None, **more):
        of = fourier_image(image, ROUND, ROUND, (-1 / 60, 1 / 60))
        tile = coadd.TilePlanes(foot or flat(self.GRID), of, pb, wcs or self.GRID.wcs(), rms, expected, **more)
        return sum(coadd.add(sums, part, tile) for part in coadd.contributions(self.GRID, tile, pb_limit))

    def test_constant_sky_through_two_offset_beams(self):
        sums = coadd.Sums.empty(self.GRID.shape)
        for ra, rms in ((129.6, 1e-3), (130.5, 3e-3)):
            wcs = sin_wcs(ra, 54.57, 160, 60)
            offset = np.hypot(*np.mgrid[-80:80, -80:80]) / 60
            pb = np.exp(-4 * np.log(2) * (offset / 2.0) ** 2)
            self.add(sums, 3.0 * pb, pb, rms, wcs=wcs, foot=footprint_of(wcs, pb >= 0.2))
        image, weight, rms_map = sums.mosaic()
        assert image[weight > 0] == pytest.approx(3.0, rel=1e-5)
        assert (weight > 0).sum() > 5000
        assert np.array_equal(weight > 0, np.isfinite(image))
        assert rms_map[weight > 0] == pytest.approx(weight[weight > 0] ** -0.5, rel=1e-6)

    def test_pixel_formula(self):
        rng = np.random.default_rng(5)
        images = rng.normal(size=(3, *self.GRID.shape))
        beams = rng.uniform(0.3, 1, size=(3, *self.GRID.shape))
        noises = (1e-3, 2e-3, 5e-3)
        sums = coadd.Sums.empty(self.GRID.shape)
        for image, pb, rms in zip(images, beams, noises, strict=True):
            self.add(sums, image * pb, pb, rms)
        w = np.array(noises)[:, None, None] ** -2.0
        want = (w * beams**2 * images).sum(0) / (w * beams**2).sum(0)
        got, weight, _ = sums.mosaic()
        assert np.abs(got - want).max() < 1e-5 * np.abs(images).max()
        assert weight == pytest.approx((w * beams**2).sum(0), rel=1e-5)

    def test_equal_weights_give_the_mean(self):
        sums = coadd.Sums.empty(self.GRID.shape)
        for value in (1.0, 3.0):
            self.add(sums, np.full(self.GRID.shape, value), np.ones(self.GRID.shape), 1e-3)
        assert sums.mosaic()[0] == pytest.approx(2.0, rel=1e-5)

    def test_below_the_limit_a_tile_has_no_weight(self):
        pb = np.ones(self.GRID.shape)
        pb[:, :60] = 0.5
        sums = coadd.Sums.empty(self.GRID.shape)
        self.add(sums, np.full(self.GRID.shape, 7.0), np.where(pb < 1, 0.19, 1.0), 1e-3, pb_limit=0.2)
        image, weight, rms = sums.mosaic()
        assert (weight[:, :50] == 0).all()
        assert np.isnan(image[:, :50]).all()
        assert np.isnan(rms[:, :50]).all()
        self.add(sums, np.full(self.GRID.shape, 5.0) * pb, pb, 1e-3)
        assert sums.mosaic()[0][:, :50] == pytest.approx(5.0, rel=1e-5)

    def test_order_does_not_matter(self):
        rng = np.random.default_rng(6)
        tiles = [(rng.normal(size=self.GRID.shape), rng.uniform(0.3, 1, self.GRID.shape), s) for s in (1, 2, 3, 4)]
        one, other = coadd.Sums.empty(self.GRID.shape), coadd.Sums.empty(self.GRID.shape)
        for tile in tiles:
            self.add(one, *tile)
        for tile in reversed(tiles):
            self.add(other, *tile)
        # Four numbers in single precision; the rule adds tiles in order of time, in whatever order they come.
        assert np.abs(one.signal - other.signal).max() <= 4 * 6e-8 * np.abs(one.signal).max()
        assert one.weight == pytest.approx(other.weight, rel=4 * 6e-8)

    def test_expected_noise_of_equal_tiles_falls_with_their_number(self):
        sums = coadd.Sums.empty(self.GRID.shape)
        for _ in range(4):
            self.add(sums, np.zeros(self.GRID.shape), np.ones(self.GRID.shape), 2e-3, expected=1e-3)
        assert sums.expected_rms() == pytest.approx(0.5e-3)
        self.add(sums, np.zeros(self.GRID.shape), np.ones(self.GRID.shape), 2e-3)
        assert np.isnan(sums.expected_rms()).all()

    def test_weights_follow_the_noise_round_a_pixel(self):
        # Two tiles, one of noise 1, one of noise 1 on the left and 3 on the right: weights 1 and 1, or 1 and 1/9.
        local = noise.NoiseMap(np.array([[1.0, 1.0, 3.0, 3.0]]), 40, np.array([1.0, 3.0]))
        sums = coadd.Sums.empty(self.GRID.shape)
        self.add(sums, np.full(self.GRID.shape, 1.0), np.ones(self.GRID.shape), 1.0)
        self.add(sums, np.full(self.GRID.shape, 2.0), np.ones(self.GRID.shape), local)
        image, weight, _ = sums.mosaic()
        assert image[:, 5:35] == pytest.approx(1.5, rel=1e-5)
        assert image[:, 85:] == pytest.approx((1 + 2 / 9) / (1 + 1 / 9), rel=1e-5)
        assert weight[:, 85:] == pytest.approx(1 + 1 / 9, rel=1e-5)

    def test_frequency_is_weighted_over_tiles_and_falls_with_the_beam(self):
        sums, one = coadd.Sums.empty(self.GRID.shape, 1.4e9), np.ones(self.GRID.shape)
        self.add(sums, one, one, 1.0, freq_hz=1.40e9, bandwidth_hz=0.0)
        self.add(sums, one, one, 0.5, freq_hz=1.45e9, bandwidth_hz=0.0)
        assert sums.frequency_hz() == pytest.approx(1.44e9, abs=200)  # weights 1 and 4
        # A Gaussian beam of 0.3 at f0: its mean frequency over an even band, by summation.
        sums, beam = coadd.Sums.empty(self.GRID.shape, 1.4e9), 0.3
        self.add(sums, beam * one, beam * one, 1.0, freq_hz=1.4e9, bandwidth_hz=187.5e6)
        band = 1.4e9 + np.linspace(-1, 1, 2001) * 187.5e6 / 2
        response = beam ** ((band / 1.4e9) ** 2)
        exact = (response * band).sum() / response.sum()
        assert exact - 1.4e9 == pytest.approx(-5e6, abs=0.1e6)
        assert sums.frequency_hz() == pytest.approx(exact, abs=0.02 * 5e6)


@pytest.mark.parametrize("size", [300, 1600])
def test_a_beam_map_between_its_pixels(size):
    y, x = np.mgrid[:size, :size]
    plane = np.exp(-4 * np.log(2) * ((y - size / 2) ** 2 + (x - size / 2) ** 2) / (0.55 * size) ** 2)
    ys, xs = np.random.default_rng(1).uniform(6, size - 7, (2, 500))
    want = np.exp(-4 * np.log(2) * ((ys - size / 2) ** 2 + (xs - size / 2) ** 2) / (0.55 * size) ** 2)
    assert coadd.interpolate_smooth(plane, ys, xs) == pytest.approx(want, abs=2.1e-6)  # linear: 2 x h^2 f" / 8
    plane[10, 10] = np.nan
    beside = coadd.interpolate_smooth(plane, np.array([9.5, 11.5]), np.array([9.5, 11.5]))
    assert np.isnan(beside).tolist() == [True, False]


class TestBeamOnGrid:
    """The effective beam at the mosaic's pixels by polynomials, as wide tiles have it."""

    GRID = MosaicGrid((127.0, 40.0), 1 / 60, (130, 120), (240, 250))

    def places(self, ra_deg=127.0):
        return pixel_map(self.GRID, self.wcs(ra_deg))

    def wcs(self, ra_deg):
        from astropy.wcs import WCS

        wcs = WCS(naxis=2)
        wcs.wcs.ctype, wcs.wcs.cunit = ["RA---SIN", "DEC--SIN"], ["deg", "deg"]
        wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cdelt = [ra_deg, 40.0], [751, 751], [-1 / 360, 1 / 360]
        return wcs

    def beam(self, ripple=0.0):
        y, x = np.mgrid[:1501, :1501]
        beam = np.exp(-4 * np.log(2) * ((y - 750) ** 2 + (x - 750) ** 2) / 1020**2)
        return (beam * (1 + ripple * np.cos(x / 6))).astype(np.float32)

    @pytest.mark.parametrize("ra_deg", [127.0, 126.8])
    def test_is_that_of_the_map_between_its_pixels(self, ra_deg):
        places, beam = self.places(ra_deg), self.beam()
        smooth = beam_on_grid(places, beam)
        y, x = places.rows(slice(0, 240))
        true = np.exp(-4 * np.log(2) * ((y - 750) ** 2 + (x - 750) ** 2) / 1020**2)
        inside = (y >= 0) & (y <= 1500) & (x >= 0) & (x <= 1500)
        assert inside.mean() > 0.9
        assert np.abs(smooth.rows(slice(0, 240)) - true)[inside].max() < 1e-5

    @pytest.mark.parametrize("fault", ["ripple", "blank", "far"])
    def test_is_not_used_where_it_is_not_right(self, fault):
        beam = self.beam(1e-3 if fault == "ripple" else 0.0)
        if fault == "blank":
            beam[:240, :240] = np.nan
        assert beam_on_grid(self.places(125.5 if fault == "far" else 127.0), beam) is None
