"""The exact transform towards a few directions, against direct sums and the gridder."""

import numpy as np
import pytest

from contimg.imaging.grid import TileGrid
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


@pytest.mark.parametrize(("channels", "span_m", "together"), [(768, 400, 4), (97, 130, 4), (51, 160, 2), (5, 130, 1)])
def test_sums_of_channels_take_little_of_a_source_and_are_exact_in_the_middle(channels, span_m, together):
    """Not exact: each sum over four channels (fewer at the end) loses sinc(delay x width) on a baseline."""
    vis = skies.empty(antennas=12, times=2, channels=channels, span_m=span_m)
    ra, dec = skies.offset(vis, 0.7, -0.6)
    skies.add_source(vis, float(ra), float(dec), 2.0)
    samples = stokes_i(vis)
    grid = TileGrid(2, 1.0, tuple(vis.phase_centre_rad))
    east, north = (np.array([float(one), 0.0]) for one in grid.radec_cosines(ra, dec))
    direct = DirectTransform(vis, samples, samples.weight, np.log(samples.freq_hz / 1.4e9))
    exact = direct.dirty_at(samples.vis, east, north)
    rough = direct.dirty_at(samples.vis, east, north, exact=False)
    assert exact.value[0] == pytest.approx(2.0, rel=1e-5)
    assert 0.9 * 2 < rough.value[0] < (2.0001 if together == 1 else 1.999)  # its distance is above the rms of the two
    assert rough.value[1] == pytest.approx(exact.value[1], abs=1e-5)
    assert rough.first == pytest.approx(exact.first, abs=0.1 * np.abs(exact.first).max() + 1e-6)
    assert direct._together(east, north) == together
