"""The exact transform towards a few directions, against direct sums and the gridder."""

import numpy as np

from contimg.imaging.transforms.direct import DirectTransform
from contimg.imaging.visibilities.samples import stokes_i
from tests.support import skies


def test_value_moment_and_slopes_are_the_direct_sums():
    vis = skies.empty(antennas=9, times=3, channels=40)
    rng = np.random.default_rng(4)
    vis.data[:] = (rng.normal(size=vis.data.shape) + 1j * rng.normal(size=vis.data.shape)).astype(np.complex64)
    vis.flag[rng.random(vis.flag.shape) < 0.2] = True
    vis.flag[(vis.antenna1 == 4) | (vis.antenna2 == 4)] = True  # an antenna without data
    vis.flag[vis.time_mjd_s == vis.times_mjd_s[1]] = True
    samples = stokes_i(vis)
    weight = (samples.weight * rng.uniform(0.1, 1, samples.weight.shape)).astype(np.float32)
    log_freq = np.log(samples.freq_hz / 1.4e9)
    east, north = np.array([0.012, -0.02, 0.0]), np.array([0.003, 0.018, 0.0])
    seen = DirectTransform(vis, samples, weight, log_freq).dirty_at(samples.vis, east, north)

    def mean(u, v, factor=1.0):
        lmn = np.array([u, v, np.sqrt(1 - u**2 - v**2) - 1])
        turned = samples.vis * np.exp(-2j * np.pi / skies.C_M_S * np.outer(samples.uvw_m @ lmn, samples.freq_hz))
        return float((weight * turned.real * factor).sum(dtype=float) / weight.sum(dtype=float))

    step = 1e-8
    for i, (u, v) in enumerate(zip(east, north, strict=True)):
        assert np.isclose(seen.value[i], mean(u, v), atol=2e-7)
        assert np.isclose(seen.first[i], mean(u, v, log_freq), atol=2e-8)
        slope = mean(u + step, v) - mean(u - step, v), mean(u, v + step) - mean(u, v - step)
        assert np.allclose(seen.slope[i] * 2 * step, slope, rtol=1e-4, atol=1e-10)


def test_antennas_in_any_order_and_negative_fluxes_are_predicted():
    """A measured beam may be negative in a sidelobe, and rows may name the antennas of a baseline either way."""
    vis = skies.empty(antennas=7, times=2, channels=5)
    swapped = np.arange(len(vis.antenna1)) % 3 == 0
    vis.antenna1[swapped], vis.antenna2[swapped] = vis.antenna2[swapped].copy(), vis.antenna1[swapped].copy()
    vis.uvw_m[swapped] *= -1
    samples = stokes_i(vis)
    east, north = np.array([0.012, -0.02, 0.001]), np.array([0.003, 0.018, 0.002])
    flux = np.random.default_rng(3).normal(size=(3, 2, 5)).astype(np.float32)
    found = DirectTransform(vis, samples, samples.weight, np.zeros(5)).predict(flux, east, north)
    lmn = np.array([east, north, np.sqrt(1 - east**2 - north**2) - 1])
    turns = (samples.uvw_m @ lmn)[:, None] * samples.freq_hz[:, None] / skies.C_M_S
    own = flux[:, samples.time_index].transpose(1, 2, 0)
    expected = (own * np.exp(2j * np.pi * turns)).sum(-1)
    assert np.abs(found - expected).max() < 2e-5
