"""Dirty images of known point sources: closed forms."""

import numpy as np
import pytest

from contimg.imaging.grid import TileGrid
from contimg.imaging.transforms.wgridder import Gridder
from contimg.imaging.visibilities.samples import stokes_i
from contimg.imaging.visibilities.weights import briggs
from tests.support import skies


def gridder(vis, size=512, cell_arcsec=10.0, robust=0.5):
    grid = TileGrid(size, np.radians(cell_arcsec / 3600), tuple(vis.phase_centre_rad))
    samples = stokes_i(vis)
    return Gridder(samples, briggs(samples, grid, robust), grid, 1), samples


@pytest.mark.parametrize("size", [512, 511])
def test_psf_has_a_peak_of_1_at_the_phase_centre(size):
    made, _ = gridder(skies.empty(), size=size)
    psf = made.psf()
    assert psf.shape == (size, size)
    assert np.unravel_index(psf.argmax(), psf.shape) == (size // 2, size // 2)
    assert psf.max() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("size", [512, 511])
@pytest.mark.parametrize("dec_deg", [-10.0, 33.0, 65.7])
def test_a_source_on_a_pixel_has_its_flux_there(size, dec_deg):
    vis = skies.empty(dec_deg=dec_deg)
    grid = TileGrid(size, np.radians(10 / 3600), tuple(vis.phase_centre_rad))
    x, y = 130, 400
    ra, dec = grid.radec(*grid.cosines(x, y))
    skies.add_source(vis, float(ra), float(dec), 2.5)
    made, samples = gridder(vis, size=size)
    dirty = made.dirty(samples.vis)
    assert np.unravel_index(dirty.argmax(), dirty.shape) == (y, x)
    assert dirty[y, x] == pytest.approx(2.5, rel=1e-4)


@pytest.mark.parametrize(("east_deg", "north_deg"), [(1.5, 0.0), (-1.0, -1.1), (0.0, 1.5)])
def test_sources_1_5_degrees_off_axis_keep_flux_and_place(east_deg, north_deg):
    # 1.5 degrees times 2.7 km: without the w term the source would be smeared out.
    vis = skies.empty(span_m=700, dec_deg=16.0)
    ra, dec = skies.offset(vis, east_deg, north_deg)
    skies.add_source(vis, float(ra), float(dec), 1.0)
    made, samples = gridder(vis, size=2400, cell_arcsec=5.0)
    dirty = made.dirty(samples.vis)
    x, y = (round(float(v)) for v in made.grid.pixels(*made.grid.radec_cosines(ra, dec)))
    fitted, peak = peak_of(dirty, x, y)
    truth = np.array(made.grid.pixels(*made.grid.radec_cosines(ra, dec)))
    assert peak == pytest.approx(1, abs=0.005)
    assert np.hypot(*(fitted - truth)) < 0.02 * 4  # beam about 4 pixels


def test_predict_is_the_inverse_of_a_point_source():
    vis = skies.empty()
    made, _ = gridder(vis)
    model = np.zeros((512, 512), np.float32)
    model[380, 90] = 3.0
    ra, dec = made.grid.radec(*made.grid.cosines(90, 380))
    skies.add_source(vis, float(ra), float(dec), 3.0)
    assert np.abs(made.predict(model) - vis.data[..., 0]).max() < 3e-4


def peak_of(image, x, y, half=4):
    """Return position and height of the maximum near a pixel, between the pixels."""
    from scipy.interpolate import RectBivariateSpline
    from scipy.optimize import minimize

    index = np.arange(-half, half + 1)
    patch = image[y - half : y + half + 1, x - half : x + half + 1].astype(float)
    spline = RectBivariateSpline(y + index, x + index, patch, kx=5, ky=5)
    start = np.unravel_index(patch.argmax(), patch.shape)
    start = (start[0] - half + y, start[1] - half + x)
    found = minimize(lambda p: -spline.ev(*p), start, method="Nelder-Mead", options={"xatol": 1e-5, "fatol": 1e-9})
    return found.x[::-1], -found.fun
