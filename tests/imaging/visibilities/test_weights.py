"""Weights and noise: limits, closed forms, and the radiometer."""

import numpy as np
import pytest
from scipy.signal import fftconvolve

from contimg.config import ImageOptions
from contimg.imaging.grid import TileGrid
from contimg.imaging.transforms.wgridder import Gridder
from contimg.imaging.visibilities.samples import stokes_i
from contimg.imaging.visibilities.weights import briggs, expected_rms, imaging_weights, time_channel_weights
from contimg.statistics import robust_sigma
from tests.support import skies


def made(vis, size=256, cell_arcsec=15.0):
    return stokes_i(vis), TileGrid(size, np.radians(cell_arcsec / 3600), tuple(vis.phase_centre_rad))


def test_stokes_i_is_the_weighted_mean_without_what_is_flagged():
    vis = skies.empty(antennas=3, times=2, channels=4)
    vis.data[..., 0], vis.data[..., 1] = 1 + 1j, 3 - 1j
    vis.weight[..., 1] = 32
    vis.flag[0, 1, 0] = True
    vis.flag[1, 2, :] = True
    vis.data[2, 0, 1] = np.nan
    vis.weight[2, 1, 1], vis.weight[2, 2, 1] = np.nan, -1
    vis.flag[3] = True
    samples = stokes_i(vis)
    assert samples.rows.tolist() == [0, 1, 2, 4, 5]
    assert samples.time_index.tolist() == [0, 0, 0, 1, 1]
    assert samples.vis[0, 0] == pytest.approx((96 * (1 + 1j) + 32 * (3 - 1j)) / 128)
    assert samples.weight[0, 0] == 128
    assert (samples.vis[0, 1], samples.weight[0, 1]) == (pytest.approx(3 - 1j), 32)
    assert (samples.vis[1, 2], samples.weight[1, 2]) == (0, 0)
    for channel in range(3):  # data, then weights that are no numbers
        assert (samples.vis[2, channel], samples.weight[2, channel]) == (pytest.approx(1 + 1j), 96)


def test_robust_2_is_natural_and_minus_2_is_uniform():
    vis = skies.empty(antennas=12, times=4, channels=8)
    rng = np.random.default_rng(2)
    vis.weight[:] = rng.uniform(30, 96, vis.weight.shape[:2])[..., None]
    samples, grid = made(vis, cell_arcsec=5.0)  # all baselines within the grid
    natural = briggs(samples, grid, 2.0)
    ratio = natural / samples.weight
    assert ratio.max() / ratio.min() < 1.03  # 1 + 0.05^2 W / mean W, at the most crowded cell
    uniform = briggs(samples, grid, -2.0)
    # Uniform: every cell of the uv plane gets the same total.
    scale = samples.freq_hz / skies.C_M_S * grid.size_px * grid.cell_rad
    cells = np.rint(samples.uvw_m[:, :2, None] * scale).astype(int).transpose(0, 2, 1).reshape(-1, 2)
    cells[(cells[:, 1] < 0) | ((cells[:, 1] == 0) & (cells[:, 0] < 0))] *= -1
    _, which = np.unique(cells, axis=0, return_inverse=True)
    totals = np.bincount(which.ravel(), weights=uniform.ravel())
    assert totals.max() / totals.min() < 1.01


def test_briggs_formula_for_two_cells():
    # Two baselines in cells of their own, one with three times the samples: W = 3, 1; sum w = 4.
    vis = skies.empty(antennas=2, times=4, channels=1)
    vis.uvw_m[:] = [[300.0, 40, 0]] * 3 + [[-90.0, 500, 0]]
    vis.weight[:] = 0.5  # Stokes I: 1
    samples, grid = made(vis)
    factor = 5**2 / ((3**2 + 1) / 4)
    assert briggs(samples, grid, 0.0).ravel() == pytest.approx([1 / (1 + 3 * factor)] * 3 + [1 / (1 + factor)])


def test_sums_of_weights_follow_flags():
    vis = skies.empty(antennas=5, times=3, channels=4)
    vis.flag[vis.time_mjd_s == vis.times_mjd_s[1]] = True
    vis.flag[:, 2] = True
    samples, _ = made(vis)
    sums = time_channel_weights(samples, samples.weight, 3)
    expected = np.full((3, 4), 10 * 192.0)
    expected[1] = expected[:, 2] = 0
    assert np.array_equal(sums, expected)


@pytest.mark.parametrize("robust", [-1.0, 0.5, 2.0])
def test_pure_noise_gives_the_expected_rms(robust):
    vis = skies.empty(antennas=20, times=8, channels=24)
    rng = np.random.default_rng(8)
    vis.weight[:] = rng.uniform(20, 96, vis.weight.shape)
    skies.add_noise(vis, 0.8)
    vis.data *= np.sqrt(96 / vis.weight)
    vis.flag[rng.random(vis.flag.shape) < 0.1] = True
    vis.flag[:, :5, 1] = True  # one correlation only
    samples, grid = made(vis, size=512, cell_arcsec=12)
    weight = briggs(samples, grid, robust)
    expected = expected_rms(samples, weight)
    # Closed form: each correlation has a variance of 0.8^2 96 / w, so Stokes I of weight w has the same.
    truth = 0.8 * np.sqrt(96 * np.sum(weight.astype(float) ** 2 / np.maximum(samples.weight, 1e-9))) / weight.sum()
    assert expected == pytest.approx(truth, rel=0.02)
    image = Gridder(samples, weight, grid, 1).dirty(samples.vis)
    assert robust_sigma(image) == pytest.approx(expected, rel=0.03)


def test_expected_rms_does_not_see_the_sky():
    vis = skies.empty(antennas=20, times=8, channels=24)
    skies.add_noise(vis, 0.8)
    samples, _ = made(vis)
    before = expected_rms(samples, samples.weight)
    ra, dec = skies.offset(vis, 0.7, -0.4)
    skies.add_source(vis, ra, dec, 50.0)
    samples, _ = made(vis)
    assert expected_rms(samples, samples.weight) == pytest.approx(before, rel=1e-4)


def test_noise_that_cannot_be_measured_is_none():
    vis = skies.empty(antennas=4, times=2, channels=1)
    vis.flag[..., 1] = True
    samples, _ = made(vis)
    assert expected_rms(samples, samples.weight) is None


def test_other_polarisations_are_refused():
    vis = skies.empty(antennas=2, times=1, channels=1)
    vis.polarisations = ("RR", "LL")
    with pytest.raises(ValueError, match="XX and YY"):
        stokes_i(vis)


def test_short_baselines_are_left_out_and_the_taper_widens_the_beam():
    vis = skies.empty(antennas=40, times=6, channels=4, span_m=150)
    samples, grid = made(vis, size=512, cell_arcsec=8.0)
    options = ImageOptions(size_px=512, cell_arcsec=8.0, robust=2.0)
    plain = imaging_weights(samples, grid, options)
    assert np.array_equal(plain, briggs(samples, grid, 2.0))
    uv = np.hypot(*samples.uvw_m.T[:2])[:, None] * samples.freq_hz / skies.C_M_S
    cut = imaging_weights(samples, grid, options.model_copy(update={"min_uv_klambda": 0.5}))
    assert np.array_equal(cut > 0, uv >= 500)
    # The flux of a Gaussian of 200 arcsec that is left is the mean of its visibilities beyond the limit.
    width = np.radians(200 / 3600)
    sky = np.exp(-((np.pi * width * uv) ** 2) / (4 * np.log(2))).astype(np.complex64)
    peak = Gridder(samples, cut, grid, 1).dirty(sky)[256, 256]
    assert peak == pytest.approx((cut * sky.real).sum(dtype=float) / cut.sum(dtype=float), rel=1e-3)
    assert peak < 0.5 * Gridder(samples, plain, grid, 1).dirty(sky)[256, 256]
    # The tapered PSF, not normalised, is the plain one convolved with a Gaussian of that width and integral 1.
    tapered = imaging_weights(samples, grid, options.model_copy(update={"taper_arcsec": 100.0}))
    offset = np.arange(-60, 61) * 8.0
    kernel = np.exp(-4 * np.log(2) * (offset[:, None] ** 2 + offset**2) / 100**2)
    plain_psf = Gridder(samples, plain, grid, 1).psf() * plain.sum(dtype=float)
    expected = fftconvolve(plain_psf, kernel / kernel.sum(), mode="same")[156:357, 156:357]
    found = Gridder(samples, tapered, grid, 1).psf()[156:357, 156:357] * tapered.sum(dtype=float)
    assert np.abs(found - expected).max() < 1e-3 * expected.max()
    assert tapered.sum() < 0.7 * plain.sum()
