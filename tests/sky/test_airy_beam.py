"""The primary beam against closed forms, and the effective beam against brute force."""

import math
import subprocess
import sys

import numpy as np
import pytest
from scipy.optimize import brentq

from contimg.config import BeamOptions
from contimg.imaging.effective_beam import effective_beam
from contimg.imaging.grid import TileGrid
from contimg.sky.airy_beam import airy_power
from tests.support import skies

ARCMIN = math.radians(1 / 60)


def fwhm_deg(freq_hz, blockage_m):
    half = brentq(lambda angle: airy_power(angle, freq_hz, 4.65, blockage_m) - 0.5, 0.001, 0.04)
    return math.degrees(2 * half)


@pytest.mark.parametrize(
    ("freq_hz", "blockage_m", "expected_deg"),
    [
        (1.400e9, 0.0, 2.715), (1.405e9, 0.0, 2.706), (1.400e9, 0.4064, 2.704), (1.405e9, 0.4064, 2.694),
        (1.311e9, 0.4064, 2.886), (1.499e9, 0.4064, 2.526),
    ],
)  # fmt: skip
def test_airy_has_the_documented_width(freq_hz, blockage_m, expected_deg):
    # Half power of the annular aperture, 4.65 m with a blockage of 0 or 0.4064 m, from its closed form.
    assert fwhm_deg(freq_hz, blockage_m) == pytest.approx(expected_deg, abs=0.0015)


def test_airy_is_1_on_axis_falls_and_is_null_at_1_22_wavelengths_per_dish():
    wavelength = 299792458.0 / 1.4e9
    null = math.asin(1.2196698912665045 * wavelength / 4.65)  # first zero of J1 over pi
    angle = np.linspace(0, null, 200)
    power = airy_power(angle, 1.4e9, 4.65, 0.0)
    assert power[0] == 1
    assert np.all(np.diff(power) < 0)
    assert power[-1] < 1e-20


def uneven_weights(vis):
    weights = np.random.default_rng(3).uniform(0.2, 1, (len(vis.times_mjd_s), len(vis.freq_hz)))
    weights[1] = 0
    weights[:, 3:6] = 0
    return weights


def brute_force(vis, weights, ra, dec):
    separation = skies.distance(ra[:, None], dec[:, None], *vis.pointing_rad.T)
    power = skies.airy(separation[:, :, None], vis.freq_hz)
    return np.einsum("stc,tc->s", power, weights) / weights.sum()


def test_effective_beam_is_the_weighted_mean_over_times_and_channels():
    vis = skies.empty(times=24, channels=16, ra_deg=0.3, dec_deg=54.6)
    weights = uneven_weights(vis)
    grid = TileGrid(300, ARCMIN, tuple(vis.phase_centre_rad))
    beam = effective_beam(vis.pointing_rad, weights, vis.freq_hz, grid, BeamOptions())
    rng = np.random.default_rng(7)
    x, y = rng.integers(0, 300, (2, 400))
    ra, dec = grid.radec(*grid.cosines(x, y))
    truth = brute_force(vis, weights, ra, dec)
    assert np.abs(beam.image()[y, x] - truth).max() < 1e-5
    east, north = grid.cosines(x + 0.37, y - 0.21)
    inside = (x < 299) & (y > 0)
    truth = brute_force(vis, weights, *grid.radec(east, north))
    assert np.abs(beam.at(east, north) - truth)[inside].max() < 1e-5


def test_effective_beam_of_a_whole_tile_is_symmetric_about_the_centre():
    vis = skies.empty(times=24, channels=8)
    grid = TileGrid(201, 1.5 * ARCMIN, tuple(vis.phase_centre_rad))
    weights = np.ones((24, 8))
    beam = effective_beam(vis.pointing_rad, weights, vis.freq_hz, grid, BeamOptions()).image()
    clear = beam > 0.2
    for turned in (beam[:, ::-1], beam[::-1]):
        both = clear & (turned > 0.2)
        assert np.abs(beam[both] / turned[both] - 1).max() < 0.005


def test_effective_beam_peaks_where_the_unflagged_times_pointed():
    vis = skies.empty(times=24, channels=8)
    grid = TileGrid(400, ARCMIN, tuple(vis.phase_centre_rad))
    weights = np.ones((24, 8))
    weights[:16] = 0
    beam = effective_beam(vis.pointing_rad, weights, vis.freq_hz, grid, BeamOptions())
    axis = vis.pointing_rad[16:].mean(0)
    expected = grid.pixels(*grid.radec_cosines(*axis))
    assert np.hypot(*np.subtract(grid.pixels(*beam.peak()), expected)) < 0.05
    image = beam.image()
    y, x = np.unravel_index(image.argmax(), image.shape)
    assert abs(x - expected[0]) <= 1
    assert abs(y - expected[1]) <= 1
    # The sky drifts: the last third of the tile looks east (left) of its middle.
    assert expected[0] < grid.middle - 10


def test_effective_beam_without_data_or_beyond_the_sky_is_refused():
    vis = skies.empty(times=2, channels=4)
    grid = TileGrid(64, ARCMIN, tuple(vis.phase_centre_rad))
    with pytest.raises(ValueError, match="without unflagged data"):
        effective_beam(vis.pointing_rad, np.zeros((2, 4)), vis.freq_hz, grid, BeamOptions())
    wide = TileGrid(6000, ARCMIN, tuple(vis.phase_centre_rad))
    with pytest.raises(ValueError, match="beyond the sky"):
        effective_beam(vis.pointing_rad, np.ones((2, 4)), vis.freq_hz, wide, BeamOptions())


@pytest.mark.parametrize("freq_hz", [1.28e9, 1.4e9, 1.53e9])
def test_one_angle_gives_what_many_give(freq_hz):
    """One angle comes from a power series, many from scipy's Bessel function; here to beyond the first null."""
    angles = np.linspace(0, 0.1, 401)
    many = airy_power(angles, freq_hz, 4.65, 0.5)
    assert max(abs(airy_power(a, freq_hz, 4.65, 0.5) - m) for a, m in zip(angles, many, strict=True)) < 1e-14


def test_planning_does_not_import_scipy():
    script = "import sys; from contimg.sky import transits, airy_beam; airy_beam.airy_power(0.02, 1.4e9, 4.65, 0.0); "
    script += "assert not any(name.startswith('scipy') for name in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
