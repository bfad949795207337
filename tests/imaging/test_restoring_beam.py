"""The restoring beam: known Gaussians, fitted and put on the sky."""

import numpy as np
import pytest

from contimg.imaging.grid import TileGrid
from contimg.imaging.restoring_beam import add_source, convolve, fit_beam, gaussian
from contimg.imaging.transforms.wgridder import Gridder
from contimg.imaging.visibilities.samples import stokes_i
from contimg.sky.restoring_beam import RestoringBeam
from tests.support import skies

CELL = np.radians(5 / 3600)


def arcsec(*values):
    return np.radians(np.array(values) / 3600)


@pytest.mark.parametrize("angle_deg", [-80.0, -30.0, 0.0, 45.0, 89.0])
def test_fit_finds_a_known_gaussian(angle_deg):
    truth = RestoringBeam(*arcsec(40, 22), np.radians(angle_deg))
    offset = np.arange(-60, 61)
    fitted = fit_beam(gaussian(truth, -offset[None, :] * CELL, offset[:, None] * CELL).astype(np.float32), CELL)
    assert fitted.bmaj_rad == pytest.approx(truth.bmaj_rad, rel=1e-5)
    assert fitted.bmin_rad == pytest.approx(truth.bmin_rad, rel=1e-5)
    assert np.degrees(fitted.bpa_rad) == pytest.approx(angle_deg, abs=1e-3)


def test_a_gaussian_taper_of_a_full_uv_plane_gives_its_transform():
    # uv weights exp(-2 pi^2 (s_l^2 u^2 + s_m^2 v^2)) <-> beam exp(-(l^2 / 2 s_l^2 + m^2 / 2 s_m^2)).
    sigma_l, sigma_m = arcsec(8.0, 16.0)
    vis = skies.empty(antennas=2, times=1, channels=1)
    reach = 3 / (2 * np.pi * sigma_l)
    u, v = np.meshgrid(np.linspace(-reach, reach, 121), np.linspace(-reach, reach, 121))
    wavelength = skies.C_M_S / vis.freq_hz[0]
    vis.uvw_m = np.stack([u.ravel(), v.ravel(), np.zeros(u.size)], 1) * wavelength
    vis.antenna1, vis.antenna2 = np.zeros(u.size, np.int32), np.arange(1, u.size + 1, dtype=np.int32)
    vis.time_mjd_s = np.full(u.size, vis.times_mjd_s[0])
    taper = np.exp(-2 * np.pi**2 * ((sigma_l * u) ** 2 + (sigma_m * v) ** 2)).ravel()
    vis.weight = np.repeat(taper, 2).reshape(-1, 1, 2).astype(np.float32)
    vis.data, vis.flag = np.ones(vis.weight.shape, np.complex64), np.zeros(vis.weight.shape, bool)
    samples = stokes_i(vis)
    grid = TileGrid(256, arcsec(4.0)[0], tuple(vis.phase_centre_rad))
    beam = fit_beam(Gridder(samples, samples.weight, grid, 1).psf(), grid.cell_rad)
    width = np.sqrt(8 * np.log(2))
    assert beam.bmaj_rad == pytest.approx(width * sigma_m, rel=0.01)
    assert beam.bmin_rad == pytest.approx(width * sigma_l, rel=0.01)
    assert np.degrees(beam.bpa_rad) == pytest.approx(0, abs=0.5)  # wide in m: along north


def test_position_angle_is_from_north_to_east():
    offset = np.arange(-40, 41) * CELL
    east, north = -offset[None, :], offset[:, None]
    beam = RestoringBeam(*arcsec(40, 20), np.radians(30))
    along = gaussian(beam, np.sin(np.radians(30)) * beam.bmaj_rad / 2, np.cos(np.radians(30)) * beam.bmaj_rad / 2)
    assert along == pytest.approx(0.5)
    assert fit_beam(gaussian(beam, east, north).astype(np.float32), CELL).bpa_rad == pytest.approx(np.radians(30))


@pytest.mark.parametrize("psf", [np.zeros((64, 64)), np.ones((64, 64)), np.eye(64) * 0 + np.arange(64)])
def test_what_has_no_shape_of_a_beam_is_not_fitted(psf):
    assert fit_beam(psf.astype(np.float32), CELL) is None


def test_components_and_sources_are_restored_with_their_flux():
    beam = RestoringBeam(*arcsec(40, 22), 0.4)
    model = np.zeros((200, 200), np.float32)
    model[60, 150], model[0, 3] = 2.0, 1.0
    image = convolve(model, beam, CELL)
    assert image[60, 150] == pytest.approx(2)
    assert image[0, 3] == pytest.approx(1)
    assert image[30:90, 120:180].sum() == pytest.approx(2 * beam.area_px(CELL), rel=1e-4)
    direct = np.zeros((200, 200))
    add_source(direct, beam, CELL, (150.0, 60.0), 2.0)
    add_source(direct, beam, CELL, (3.0, 0.0), 1.0)
    assert np.abs(direct - image).max() < 1e-6
    between = np.zeros((200, 200))
    add_source(between, beam, CELL, (80.5, 40.25), 1.0)
    y, x = np.mgrid[:200, :200]
    assert (between * x).sum() / between.sum() == pytest.approx(80.5, abs=1e-6)
    assert (between * y).sum() / between.sum() == pytest.approx(40.25, abs=1e-6)


def test_convolving_nothing_gives_nothing():
    assert not convolve(np.zeros((40, 40), np.float32), RestoringBeam(*arcsec(40, 22), 0.0), CELL).any()
