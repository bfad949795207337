"""The parts of the mosaic: numbers known in closed form, and reproject as the independent tool."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.wcs import WCS

from contimg.errors import ConfigError
from contimg.mosaic import coadd, noise
from contimg.mosaic.common_beam import common_beam, convolve_to
from contimg.mosaic.grid import Footprint, MosaicGrid, circular_mean_deg, footprint_of, make_grid
from contimg.sky.restoring_beam import RestoringBeam
from contimg.statistics import clipped_sigma

ARCSEC = 1 / 3600


def beam(bmaj: float, bmin: float, bpa: float) -> RestoringBeam:
    return RestoringBeam.from_degrees(bmaj * ARCSEC, bmin * ARCSEC, bpa)


def sin_wcs(ra: float, dec: float, size: int, cell_arcsec: float) -> WCS:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---SIN", "DEC--SIN"]
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.crval = [ra, dec]
    wcs.wcs.cdelt = [-cell_arcsec * ARCSEC, cell_arcsec * ARCSEC]
    wcs.wcs.crpix = [size // 2 + 1, size // 2 + 1]
    wcs.wcs.radesys = "ICRS"
    return wcs


def gaussian(shape, x, y, covariance):
    yy, xx = np.mgrid[: shape[0], : shape[1]]
    d = np.stack([xx - x, yy - y])
    return np.exp(-0.5 * np.einsum("iyx,ij,jyx->yx", d, np.linalg.inv(covariance), d))


class TestCommonBeam:
    def test_of_equal_beams_is_that_beam(self):
        assert common_beam([beam(40, 30, 20)] * 5) == beam(40, 30, 20)

    def test_of_two_crossed_beams(self):
        # 40 x 30 to the north and 40 x 30 to the east: nothing narrower than 40 x 40 holds both.
        got = common_beam([beam(40, 30, 0), beam(40, 30, 90)])
        assert got.bmaj_deg * 3600 == pytest.approx(40, rel=0.01)
        assert got.bmin_deg * 3600 == pytest.approx(40, rel=0.01)

    @pytest.mark.parametrize("scatter", [1e-9, 1e-6, 1e-4, 1e-2, 0.1])
    def test_holds_every_beam_and_is_small(self, scatter):
        # 1e-6: where radio-beam alone gives up with 'could not increase epsilon to find common beam'.
        rng = np.random.default_rng(4)
        for _ in range(10):
            beams = [
                beam(60 * (1 + scatter * a), 30 * (1 + scatter * b), 30 + 100 * scatter * c)
                for a, b, c in rng.normal(size=(10, 3))
            ]
            got = common_beam(beams)
            for one in beams:
                least = np.linalg.eigvalsh(got.covariance() - one.covariance())[0]
                assert least >= -1e-9 * one.covariance().max()
            assert got.bmaj_deg <= 1.15 * max(one.bmaj_deg for one in beams)


class TestConvolution:
    CELL = 10 * ARCSEC
    SHAPE = (201, 220)

    def image(self, of: RestoringBeam, x=100.3, y=97.8):
        scale = np.diag([-1, 1]) / np.radians(self.CELL)
        return gaussian(self.SHAPE, x, y, scale @ of.covariance() @ scale)

    @pytest.mark.parametrize("target", [beam(60, 50, 30), beam(46, 36, 32), beam(90, 90, 0)])
    def test_point_source_becomes_the_target_beam_in_jy_per_beam(self, target):
        start = beam(45, 35, 30)
        got = convolve_to(2.5 * self.image(start), start, target, (-self.CELL, self.CELL))
        inner = (slice(40, 160), slice(40, 160))
        assert np.nanmax(np.abs(got - 2.5 * self.image(target))[inner]) < 2.5 * 2e-4

    def test_integrated_flux_is_conserved(self):
        start, target = beam(45, 35, 30), beam(70, 60, 100)
        got = convolve_to(self.image(start), start, target, (-self.CELL, self.CELL))
        before = self.image(start).sum() / start.area_rad2
        assert np.nansum(got) / target.area_rad2 == pytest.approx(before, rel=1e-6)

    def test_the_same_beam_changes_nothing(self):
        image = self.image(beam(45, 35, 30))
        image[3, 4] = np.nan
        got = convolve_to(image, beam(45, 35, 30), beam(45, 35, 30), (-self.CELL, self.CELL))
        assert np.array_equal(got, image, equal_nan=True)

    def test_blanks_stay_and_nothing_is_smeared_into_them(self):
        image = np.ones(self.SHAPE)
        image[50:60, 50:60] = np.nan
        start, target = beam(45, 45, 0), beam(70, 70, 0)
        got = convolve_to(image, start, target, (-self.CELL, self.CELL))
        assert np.isnan(got[50:60, 50:60]).all()
        # A constant of 1 Jy/beam becomes the ratio of the areas, to the 0.1 % that blanks may take.
        kept = got[np.isfinite(got)]
        assert kept == pytest.approx(target.area_rad2 / start.area_rad2, rel=1.01e-3)
        assert np.isfinite(got).mean() > 0.85  # the edge, 3 sigma of the kernel deep, goes too

    def test_noise_falls_as_the_bandwidth(self):
        # White noise through a Gaussian of sigma pixels: std falls by 1 / (2 sqrt(pi) sigma).
        white = np.random.default_rng(1).normal(size=(400, 400))
        start, target = beam(30, 30, 0), beam(50, 50, 0)  # kernel FWHM 40 arcsec = 4 px
        got = convolve_to(white, start, target, (-self.CELL, self.CELL)) / (50 / 30) ** 2
        sigma = 4 / 2.3548200450309493
        assert np.nanstd(got) == pytest.approx(1 / (2 * np.sqrt(np.pi) * sigma), rel=0.03)


class TestNoise:
    def test_of_a_gaussian(self):
        values = np.random.default_rng(1).normal(3, 2, 100_000)
        assert clipped_sigma(values) == pytest.approx(2, rel=0.01)

    def test_outliers_do_not_matter(self):
        values = np.random.default_rng(1).normal(0, 1, 100_000)
        values[::100] = 1e3
        assert clipped_sigma(values) == pytest.approx(1, rel=0.02)

    @pytest.mark.parametrize("values", [np.full(100, np.nan), np.zeros(100), np.arange(5.0)])
    def test_says_when_there_is_none(self, values):
        assert clipped_sigma(values) is None

    def test_off_sources(self):
        rng = np.random.default_rng(2)
        image = rng.normal(size=(400, 400))
        for x, y in rng.uniform(20, 380, (150, 2)):
            image += 80 * gaussian(image.shape, x, y, np.eye(2) * 4)
        used = np.ones(image.shape, bool)
        assert noise.rms_off_sources(image, used, 4.7) == pytest.approx(1, rel=0.02)

    def test_local_rms_follows_weights_and_what_they_do_not_know(self):
        rng = np.random.default_rng(3)
        promised = 1 + np.tile(np.arange(900), (600, 1)) / 300.0
        true = promised * np.where(promised > 2.5, 2.0, 1.0)
        image = true * rng.normal(size=true.shape)
        promised[:, :40] = np.nan
        got, factors = noise.local_rms(image, promised, 4.0)
        assert np.isnan(got[:, :40]).all()
        assert np.median(got[:, 60:380] / true[:, 60:380]) == pytest.approx(1, rel=0.02)
        assert np.median(got[:, 550:] / true[:, 550:]) == pytest.approx(1, rel=0.02)
        assert factors.min() > 0.85
        assert factors.max() < 2.3

    def test_a_blank_mosaic_has_none(self):
        got, factors = noise.local_rms(np.full((50, 50), np.nan), np.full((50, 50), np.nan), 4.0)
        assert np.isnan(got).all()
        assert not factors.size


class TestGrid:
    @pytest.mark.parametrize(
        ("angles", "mean"), [((350, 5, 10), 1.683), ((355, 5), 0.0), ((359.9, 0.1), 0.0), ((10, 20), 15.0)]
    )
    def test_circular_mean(self, angles, mean):
        got = circular_mean_deg(angles)
        assert 0 <= got < 360
        assert got == pytest.approx(mean, abs=1e-3)

    def test_ra_wrap_c5(self):
        feet = []
        for ra in (355.0, 5.0):
            wcs = sin_wcs(ra, 0.0, 240, 60)
            feet.append(footprint_of(wcs, np.ones((240, 240), bool)))
        grid = make_grid(feet, 60.0, 40000)
        assert grid.centre_deg == pytest.approx((0.0, 0.0), abs=1e-9)
        assert 0 <= grid.wcs().wcs.crval[0] < 360
        assert grid.cell_deg * 3600 == 60.0
        # 10 deg between the centres and 4 deg of tile, on a tangent plane: 14.07 deg of arc minutes.
        assert grid.shape[1] == pytest.approx(2 * np.degrees(np.tan(np.radians(7.0))) * 60, abs=3)
        assert grid.shape[0] < 260

    def test_declination_shrinks_the_span(self):
        feet = [footprint_of(sin_wcs(ra, 60.0, 100, 60), np.ones((100, 100), bool)) for ra in (100.0, 110.0)]
        assert make_grid(feet, 60.0, 40000).shape[1] == pytest.approx(10 * 60 * np.cos(np.radians(60)) + 100, abs=12)

    def test_too_large_is_an_error_and_pixels_stay(self):
        foot = footprint_of(sin_wcs(100.0, 54.0, 300, 60), np.ones((300, 300), bool))
        with pytest.raises(ConfigError, match=r"mosaic\.max_size_px.*nights"):
            make_grid([foot], 3.0, 4000)

    def test_too_wide_for_a_plane_is_an_error(self):
        feet = [footprint_of(sin_wcs(ra, 0.0, 100, 60), np.ones((100, 100), bool)) for ra in (100.0, 170.0)]
        with pytest.raises(ConfigError, match="nights"):
            make_grid(feet, 60.0, 40000)

    def test_holds_every_pixel_of_the_footprint(self):
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

    def test_pixel_areas_add_up(self):
        # A plane of +-10 deg: the solid angle of a pyramid of half angles 10 deg, 4 asin(sin^2 a).
        grid = MosaicGrid((10.0, 0.0), 0.05, (201, 201), (401, 401))
        edge = np.degrees(np.arctan(np.radians(200.5 * 0.05)))
        exact = 4 * np.arcsin(np.sin(np.radians(edge)) ** 2) * np.degrees(1) ** 2
        assert grid.pixel_area_deg2(slice(0, 401)).sum() == pytest.approx(exact, rel=1e-5)


def flat(grid: MosaicGrid) -> Footprint:
    return footprint_of(grid.wcs(), np.ones(grid.shape, bool))


class TestCoaddition:
    """Sums over tiles of known skies, beams and noise."""

    GRID = MosaicGrid((130.0, 54.57), 1 / 60, (61, 51), (100, 120))

    def add(self, sums, image, pb, rms, pb_limit=0.2, expected=None, wcs=None, foot=None):
        tile = coadd.TilePlanes(foot or flat(self.GRID), image, pb, wcs or self.GRID.wcs(), rms, expected)
        return coadd.add_tile(sums, self.GRID, tile, pb_limit)

    def test_constant_sky_through_two_offset_beams(self):
        sums = coadd.Sums.empty(self.GRID.shape)
        for ra, rms in ((129.6, 1e-3), (130.5, 3e-3)):
            wcs = sin_wcs(ra, 54.57, 160, 60)
            offset = np.hypot(*np.mgrid[-80:80, -80:80]) / 60
            pb = np.exp(-4 * np.log(2) * (offset / 2.0) ** 2)
            self.add(sums, 3.0 * pb, pb, rms, wcs=wcs, foot=footprint_of(wcs, pb >= 0.2))
        image, weight, rms_map = sums.mosaic()
        assert image[weight > 0] == pytest.approx(3.0, rel=1e-6)
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
        assert np.abs(got - want).max() < 1e-6 * np.abs(images).max()
        assert weight == pytest.approx((w * beams**2).sum(0), rel=1e-6)

    def test_equal_weights_give_the_mean(self):
        sums = coadd.Sums.empty(self.GRID.shape)
        for value in (1.0, 3.0):
            self.add(sums, np.full(self.GRID.shape, value), np.ones(self.GRID.shape), 1e-3)
        assert sums.mosaic()[0] == pytest.approx(2.0, rel=1e-7)

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
        assert sums.mosaic()[0][:, :50] == pytest.approx(5.0)

    def test_order_does_not_matter(self):
        rng = np.random.default_rng(6)
        tiles = [(rng.normal(size=self.GRID.shape), rng.uniform(0.3, 1, self.GRID.shape), s) for s in (1, 2, 3, 4)]
        one, other = coadd.Sums.empty(self.GRID.shape), coadd.Sums.empty(self.GRID.shape)
        for tile in tiles:
            self.add(one, *tile)
        for tile in reversed(tiles):
            self.add(other, *tile)
        assert one.signal == pytest.approx(other.signal, rel=1e-12, abs=1e-12)
        assert one.weight == pytest.approx(other.weight, rel=1e-12)

    def test_expected_noise_of_equal_tiles_falls_with_their_number(self):
        sums = coadd.Sums.empty(self.GRID.shape)
        for _ in range(4):
            self.add(sums, np.zeros(self.GRID.shape), np.ones(self.GRID.shape), 2e-3, expected=1e-3)
        assert sums.expected_rms() == pytest.approx(0.5e-3)
        self.add(sums, np.zeros(self.GRID.shape), np.ones(self.GRID.shape), 2e-3)
        assert np.isnan(sums.expected_rms()).all()


class TestRegridding:
    CELL = 10.0

    def setup_method(self):
        self.wcs = sin_wcs(130.0, 54.57, 400, self.CELL)
        self.grid = MosaicGrid((125.5, 54.4), self.CELL * ARCSEC, (1160, 120), (420, 440))

    def noise(self, seed):
        """Return noise with the correlation of a beam of 4 pixels and rms 1."""
        white = np.random.default_rng(seed).normal(size=(400, 400))
        smooth = convolve_to(white, beam(1, 1, 0), beam(40, 40, 0), (-self.CELL * ARCSEC, self.CELL * ARCSEC))
        return np.nan_to_num(smooth / np.nanstd(smooth))

    def test_the_same_as_reproject(self):
        from reproject import reproject_interp

        image = self.noise(7)
        want = reproject_interp(
            (image, self.wcs), self.grid.wcs(), shape_out=self.grid.shape, order=5, roundtrip_coords=False
        )[0]
        got = coadd.regrid([image], self.wcs, self.grid)[0]
        inner = np.isfinite(want)
        inner[:25] = inner[-25:] = False
        inner[:, :25] = inner[:, -25:] = False
        both = inner & np.isfinite(got)
        x, y = self.wcs.world_to_pixel(self.grid.wcs().pixel_to_world(*np.meshgrid(range(440), range(420))))
        both &= (x > 25) & (x < 374) & (y > 25) & (y < 374)  # the two differ in what lies beyond the edge
        assert both.sum() > 80_000
        assert np.abs(got - want)[both].max() < 1e-6

    @pytest.mark.parametrize("cell", [10.0, 60.0])
    def test_coordinates_are_those_of_every_pixel(self, cell):
        wcs = sin_wcs(130.0, 54.57, 400, cell)
        grid = MosaicGrid((126.0, 54.4), cell * ARCSEC, (400, 200), (420, 440))
        y, x = coadd._pixels(grid, wcs)
        want_x, want_y = wcs.all_world2pix(*grid.wcs().all_pix2world(*np.meshgrid(range(440), range(420)), 0), 0)
        assert np.abs(x - want_x).max() < 1e-9
        assert np.abs(y - want_y).max() < 1e-9

    @pytest.mark.parametrize(("pixels", "allowed"), [(4.0, 0.003), (3.0, 0.004), (6.0, 0.0005)])
    def test_flux_error(self, pixels, allowed):
        # A source of known profile, wherever it falls between pixels: compare with the profile itself.
        rng = np.random.default_rng(8)
        sigma = pixels / 2.3548200450309493
        xs, ys = rng.uniform(150, 250, 40), rng.uniform(150, 250, 40)
        gx, gy = self.grid.wcs().world_to_pixel(self.wcs.pixel_to_world(xs, ys))
        worst = 0.0
        for x, y, a, b in zip(xs, ys, gx, gy, strict=True):
            image = gaussian((400, 400), x, y, np.eye(2) * sigma**2)
            row, column = round(float(b)), round(float(a))
            cut = self.grid.cutout(slice(row - 6, row + 7), slice(column - 6, column + 7))
            got = coadd.regrid([image], self.wcs, cut)[0]
            px, py = self.wcs.world_to_pixel(cut.wcs().pixel_to_world(*np.meshgrid(range(13), range(13))))
            want = np.exp(-((px - x) ** 2 + (py - y) ** 2) / (2 * sigma**2))
            assert np.isfinite(got).all()
            worst = max(worst, np.abs(got - want).max())
        assert worst <= allowed

    def test_cutout_is_the_full_grid(self):
        image = self.noise(9)
        full = coadd.regrid([image], self.wcs, self.grid)[0]
        rows, columns = slice(100, 300), slice(50, 350)
        part = coadd.regrid([image], self.wcs, self.grid.cutout(rows, columns))[0]
        same = np.isfinite(full[rows, columns])
        assert same.sum() > 50_000
        assert np.array_equal(same, np.isfinite(part))
        assert np.abs(part - full[rows, columns])[same].max() < 1e-10

    def test_holes_stay_holes_without_ringing(self):
        image = np.full((400, 400), 2.0)
        image[180:220, 180:220] = np.nan
        got = coadd.regrid([image], self.wcs, self.grid)[0]
        x, y = self.wcs.world_to_pixel(self.grid.wcs().pixel_to_world(*np.meshgrid(range(440), range(420))))
        assert np.isnan(got[(x > 180) & (x < 219) & (y > 180) & (y < 219)]).all()
        assert got[np.isfinite(got)] == pytest.approx(2.0, rel=1e-9)
