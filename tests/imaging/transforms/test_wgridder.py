"""Dirty images of known point sources: closed forms."""

import numpy as np
import pytest

from contimg.imaging.grid import TileGrid, slant_of
from contimg.imaging.transforms.wgridder import Gridder
from contimg.imaging.visibilities.samples import stokes_i
from contimg.imaging.visibilities.weights import briggs
from tests.support import skies


@pytest.fixture(params=["upright", "slant"])
def slanted(request):
    return request.param == "slant"


def grid_of(vis, size=512, cell_arcsec=10.0, slanted=False):
    slant = slant_of(vis.uvw_m) if slanted else (0.0, 0.0)
    return TileGrid(size, np.radians(cell_arcsec / 3600), tuple(vis.phase_centre_rad), slant)


def gridder(vis, size=512, cell_arcsec=10.0, robust=0.5, slanted=False):
    grid = grid_of(vis, size, cell_arcsec, slanted)
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
def test_a_source_on_a_pixel_has_its_flux_there(size, dec_deg, slanted):
    vis = skies.empty(dec_deg=dec_deg)
    grid = grid_of(vis, size, slanted=slanted)
    x, y = 130, 400
    ra, dec = grid.radec(*grid.cosines(x, y))
    skies.add_source(vis, float(ra), float(dec), 2.5)
    made, samples = gridder(vis, size=size, slanted=slanted)
    dirty = made.dirty(samples.vis)
    assert np.unravel_index(dirty.argmax(), dirty.shape) == (y, x)
    assert dirty[y, x] == pytest.approx(2.5, rel=1e-4)


@pytest.mark.parametrize(("east_deg", "north_deg"), [(1.5, 0.0), (-1.0, -1.1), (0.0, 1.5)])
def test_sources_1_5_degrees_off_axis_keep_flux_and_place(east_deg, north_deg, slanted):
    # 1.5 degrees times 2.7 km: without the w term the source would be smeared out.
    vis = skies.empty(span_m=700, dec_deg=16.0)
    ra, dec = skies.offset(vis, east_deg, north_deg)
    skies.add_source(vis, float(ra), float(dec), 1.0)
    made, samples = gridder(vis, size=2400, cell_arcsec=5.0, slanted=slanted)
    dirty = made.dirty(samples.vis)
    x, y = (round(float(v)) for v in made.grid.pixels(*made.grid.radec_cosines(ra, dec)))
    fitted, peak = peak_of(dirty, x, y)
    truth = np.array(made.grid.pixels(*made.grid.radec_cosines(ra, dec)))
    assert peak == pytest.approx(1, abs=0.005)
    assert np.hypot(*(fitted - truth)) < 0.02 * 4  # beam about 4 pixels


def test_predict_is_the_inverse_of_a_point_source(slanted):
    vis = skies.empty(dec_deg=16.0)
    made, _ = gridder(vis, slanted=slanted)
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


@pytest.mark.parametrize("slanted", [False, True])
def test_the_w_terms_are_left_out_only_where_the_image_stays_as_accurate(slanted):
    """A source at the edge, imaged at 1e-3: on slant pixels without w, with an error of less than five times that."""
    vis = skies.empty(span_m=700, dec_deg=16.0)
    ra, dec = skies.offset(vis, 1.3, -1.2)
    skies.add_source(vis, float(ra), float(dec), 1.0)
    made, samples = gridder(vis, size=1200, cell_arcsec=10.0, slanted=slanted)
    rough = made._with_accuracy(1e-3)
    assert rough["do_wgridding"] is not slanted and made._with_accuracy(1e-5)["do_wgridding"]
    difference = made.dirty(samples.vis, 1e-3) - made.dirty(samples.vis)
    assert np.sqrt(np.mean(difference**2)) < 5e-3
