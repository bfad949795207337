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
