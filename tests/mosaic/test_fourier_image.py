"""Convolution and interpolation of images, against closed forms, a direct Fourier sum, and reproject."""

from __future__ import annotations

import numpy as np
import pytest

from contimg.mosaic.fourier_image import FourierImage, fourier_image, sampling_loss
from tests.support.beams import ARCSEC, beam, correlated_noise, gaussian, sin_wcs

CELL = 10 * ARCSEC
SHAPE = (201, 220)
STEPS = (-CELL, CELL)
ROUND = beam(40, 40, 0)


def point(of, x=100.3, y=97.8):
    scale = np.diag([-1, 1]) / np.radians(CELL)
    return gaussian(SHAPE, x, y, scale @ of.covariance() @ scale)


def convolved(image, start, target):
    return fourier_image(image, start, target, STEPS).pixels().astype(float)


def all_modes(made):
    """The modes of a real image at negative columns too, zero frequency first: c(-k) is the conjugate of c(k)."""
    n, m = len(made.modes), made.columns
    half = np.fft.ifftshift(made.modes, axes=0)
    half[:, 0] *= 2
    half[:, -1] *= 1 if m % 2 else 2
    return np.array(
        [[half[i, j] if j < half.shape[1] else np.conj(half[-i % n, m - j]) for j in range(m)] for i in range(n)]
    )


class TestConvolution:
    @pytest.mark.parametrize("target", [beam(60, 50, 30), beam(46, 36, 32), beam(90, 90, 0)])
    def test_point_source_becomes_the_target_beam_in_jy_per_beam(self, target):
        start = beam(45, 35, 30)
        got = convolved(2.5 * point(start), start, target)
        inner = (slice(40, 160), slice(40, 160))
        assert np.nanmax(np.abs(got - 2.5 * point(target))[inner]) < 2.5 * 2e-4

    def test_integrated_flux_is_conserved(self):
        start, target = beam(45, 35, 30), beam(70, 60, 100)
        got = convolved(point(start), start, target)
        before = point(start).sum() / start.area_rad2
        assert np.nansum(got) / target.area_rad2 == pytest.approx(before, rel=1e-6)

    def test_the_same_beam_changes_nothing(self):
        image = point(beam(45, 35, 30))
        image[3, 4] = np.nan
        got = convolved(image, beam(45, 35, 30), beam(45, 35, 30))
        assert np.array_equal(np.isnan(got), np.isnan(image))
        assert np.nanmax(np.abs(got - image)) < 1e-6  # single precision

    def test_blanks_stay_and_nothing_is_smeared_into_them(self):
        image = np.ones(SHAPE)
        image[50:60, 50:60] = np.nan
        start, target = beam(45, 45, 0), beam(70, 70, 0)
        got = convolved(image, start, target)
        assert np.isnan(got[50:60, 50:60]).all()
        # A constant of 1 Jy/beam becomes the ratio of the areas, to the 0.1 % that blanks and edges may take.
        kept = got[np.isfinite(got)]
        assert kept == pytest.approx(target.area_rad2 / start.area_rad2, rel=1.01e-3)
        assert np.isfinite(got).mean() > 0.85  # the edge, 3 sigma of the kernel deep, goes too

    def test_noise_falls_as_the_bandwidth(self):
        # White noise through a Gaussian of sigma pixels: std falls by 1 / (2 sqrt(pi) sigma).
        white = np.random.default_rng(1).normal(size=(400, 400))
        start, target = beam(30, 30, 0), beam(50, 50, 0)  # kernel FWHM 40 arcsec = 4 px
        got = convolved(white, start, target) / (50 / 30) ** 2
        sigma = 4 / 2.3548200450309493
        assert np.nanstd(got) == pytest.approx(1 / (2 * np.sqrt(np.pi) * sigma), rel=0.03)

    def test_an_image_that_is_all_blank_stays_so(self):
        assert np.isnan(convolved(np.full(SHAPE, np.nan), beam(30, 30, 0), beam(50, 50, 0))).all()


class TestInterpolation:
    @pytest.mark.parametrize("shape", [(43, 22), (43, 49)])  # padded to an even and an odd number of columns
    def test_is_the_trigonometric_polynomial_of_the_pixels(self, shape):
        image = correlated_noise(shape, 1.7, 2)  # nothing at the highest frequency, which an even number has once
        made = fourier_image(image, ROUND, ROUND, STEPS)
        (top, left), modes = made.pad, all_modes(made)
        n, m = modes.shape
        places = np.random.default_rng(3).uniform(3, 16, (2, 30))
        u, v = np.fft.fftfreq(n), np.fft.fftfreq(m)
        want = [
            (np.exp(2j * np.pi * u * (y + top)) @ modes @ np.exp(2j * np.pi * v * (x + left))).real / (n * m)
            for y, x in places.T
        ]
        assert made.at(places.T) == pytest.approx(np.array(want), abs=5e-5)

    @pytest.mark.parametrize("shape", [SHAPE, (64, 80), (43, 48), (43, 49)])  # padded to even and odd numbers
    def test_at_the_pixels_it_is_the_image(self, shape):
        image = correlated_noise(shape, 1.7, 4)
        y, x = (axis.ravel().astype(float) for axis in np.mgrid[: shape[0], : shape[1]])
        got = fourier_image(image, ROUND, ROUND, STEPS).at(np.column_stack([y, x]))
        assert np.abs(got - image.ravel()).max() < 1e-4

    # Error of a point source of 1 Jy between pixels; 2 (3 at 2 pixels) x sampling_loss in each of two coordinates.
    @pytest.mark.parametrize(("pixels", "allowed"), [(2.0, 0.0305), (2.5, 0.0035), (3.0, 0.0003), (4.0, 2e-5)])
    def test_peak_of_a_point_source(self, pixels, allowed):
        sigma = pixels / 2.3548200450309493
        places = np.random.default_rng(5).uniform(20, 28, (40, 2))
        errors = [
            fourier_image(gaussian((48, 48), x, y, np.eye(2) * sigma**2), ROUND, ROUND, STEPS).at(np.array([[y, x]]))[0]
            - 1
            for x, y in places
        ]
        assert np.abs(errors).max() < allowed
        assert np.abs(errors).max() < 4 * sampling_loss(pixels) + 2e-5

    def test_a_beam_of_two_pixels_is_right_once_it_is_smoothed(self):
        # From 2 to 2.7 pixels: what the pixels do not hold, near their highest frequency, falls by exp(-2.9) and more.
        errors = []
        for x, y in np.random.default_rng(6).uniform(20, 28, (40, 2)):
            image = gaussian((48, 48), x, y, np.eye(2) * (2 / 2.3548200450309493) ** 2)
            made = fourier_image(image, beam(20, 20, 0), beam(27, 27, 0), STEPS)
            errors.append(made.at(np.array([[y, x]]))[0] - 1)
        assert np.abs(errors).max() < 0.003

    def test_agrees_with_reproject(self):
        from reproject import reproject_interp

        from contimg.mosaic.grid import MosaicGrid
        from contimg.mosaic.pixel_map import pixel_map

        wcs = sin_wcs(130.0, 54.57, 400, 10.0)
        image = correlated_noise((400, 400), 2.5, 7)
        x0, y0 = MosaicGrid((125.5, 54.4), CELL, (0, 0), (1, 1)).wcs().all_world2pix(130.0, 54.57, 0)
        grid = MosaicGrid((125.5, 54.4), CELL, (100 - int(x0), 100 - int(y0)), (200, 200))
        want = reproject_interp((image, wcs), grid.wcs(), shape_out=grid.shape, order=5, roundtrip_coords=False)[0]
        y, x = pixel_map(grid, wcs).rows(slice(0, 200))
        got = fourier_image(image, ROUND, ROUND, STEPS).at(np.column_stack([y.ravel(), x.ravel()])).reshape(200, 200)
        assert np.isfinite(want).all()
        assert np.abs(got - want).max() < 2e-3  # a quintic spline of a beam of 6 pixels

    def test_holes_stay_holes_without_ringing(self):
        image = np.full((100, 100), 2.0)
        image[40:60, 40:60] = np.nan
        made = fourier_image(image, ROUND, ROUND, STEPS)
        y, x = (axis.ravel() for axis in np.mgrid[10:90:0.7, 10:90:0.7])
        known = made.knows(y, x)
        inside = (y > 39) & (y < 60) & (x > 39) & (x < 60)
        assert np.array_equal(known, ~inside)
        assert made.at(np.column_stack([y[known], x[known]])) == pytest.approx(
            2.0, abs=5e-3
        )  # of what lies 10 pixels from the edge

    def test_nothing_is_known_beyond_the_edge(self):
        made = fourier_image(np.zeros((50, 60)), ROUND, ROUND, STEPS)
        y, x = np.array([-0.4, -0.6, 49.4, 49.6, 20, 20]), np.array([20, 20, 20, 20, 59.4, 59.6])
        assert made.knows(y, x).tolist() == [True, False, True, False, True, False]
        smooth = fourier_image(np.zeros((50, 60)), ROUND, beam(50, 50, 0), STEPS)
        width = 4  # the first pixel of which 3.09 sigma of a kernel of 3 pixels FWHM, 3.94 pixels, lie in the image
        assert smooth.margin == (width, width)
        assert smooth.knows(np.array([width - 0.4, width - 0.6]), np.array([30.0, 30.0])).tolist() == [True, False]


@pytest.mark.parametrize(("pixels", "loss"), [(2.0, 7.6e-3), (2.5, 8.5e-4), (3.0, 6.3e-5), (4.0, 9.5e-8)])
def test_the_part_of_a_beam_that_its_pixels_do_not_hold(pixels, loss):
    # The transform of a Gaussian on fine pixels, summed beyond 1/2 cycle a coarse pixel.
    fine = 16
    sigma = pixels * fine / 2.3548200450309493
    line = np.abs(np.fft.fft(np.fft.ifftshift(np.exp(-0.5 * (np.arange(-(2**17), 2**17) / sigma) ** 2))))
    beyond = np.abs(np.fft.fftfreq(2**18)) >= 0.5 / fine
    assert sampling_loss(pixels) == pytest.approx(line[beyond].sum() / line.sum(), rel=0.005, abs=1e-10)
    assert sampling_loss(pixels) == pytest.approx(loss, rel=0.02)


def test_modes_are_single_precision():
    made = fourier_image(np.zeros((50, 60)), ROUND, ROUND, STEPS)
    assert isinstance(made, FourierImage) and made.modes.dtype == np.complex64
    assert made.pixels().dtype == made.at(np.array([[3.0, 3.0]])).dtype == np.float32
