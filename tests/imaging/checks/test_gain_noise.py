"""The noise beside bright sources that errors of the gains leave, against sums over baselines, channels and times."""

import itertools

import numpy as np
import pytest

from contimg.imaging.checks.gain_noise import Baselines, GainErrors, gain_noise_jy
from contimg.imaging.grid import TileGrid
from contimg.imaging.visibilities.samples import stokes_i
from contimg.statistics import robust_sigma
from tests.support import skies

GRID = TileGrid(600, np.radians(20 / 3600), (0.0, 0.5))
N = 20
PAIRS = np.array(list(itertools.combinations(range(N), 2)))
ONE = np.array([[0.004, -0.002]])


def baselines(span=1500.0, turn=0.02, band=0.13, weight=None):
    """Return baselines of antennas at random places (wavelengths) whose tracks turn during the tile."""
    place = np.random.default_rng(2).uniform(-span / 2, span / 2, (N, 2))
    uv = place[PAIRS[:, 0]] - place[PAIRS[:, 1]]
    return Baselines(uv, turn * uv[:, ::-1] * [1, -1], np.ones(len(uv)) if weight is None else weight, band)


def fringes(tile, direction, places, channels):
    """Return the fringes (channels, n, places) that baselines have at places about a source, averaged over the tile."""
    scale = 1 + tile.band * ((np.arange(channels) + 0.5) / channels - 0.5)
    when = (np.arange(24) + 0.5) / 24 - 0.5
    found = np.zeros((channels, len(tile.uv), len(places)), complex)
    for time in when:
        turns = (tile.uv + time * tile.turn) @ (places - direction).T
        found += np.exp(2j * np.pi * scale[:, None, None] * turns) / len(when)
    return found


def scatter(tile, draw, channels, source_jy=3.0):
    """Return the rms, and the robust noise, of images of errors (n, channels) that a function draws.

    Errors of antennas leave noise in proportion to the array's voltage pattern, so that places differ: the noise that
    is measured robustly is somewhat less than the rms.
    """
    rng = np.random.default_rng(4)
    places = np.stack(GRID.cosines(*rng.uniform(0, GRID.size_px, (2, 100))), axis=1)
    seen = fringes(tile, ONE[0], places, channels) * tile.weight[:, None] / tile.weight.sum() / channels
    images = np.array([np.einsum("bc,cbp->p", draw(rng), seen).real for _ in range(60)])
    return source_jy * float(images.std()), source_jy * robust_sigma(images)


def of_antennas(gain):
    return gain[PAIRS[:, 0]] + gain[PAIRS[:, 1]].conj()


def test_errors_of_the_bandpass_are_independent_in_each_channel():
    """Of 8 channels with errors of 1 % in amplitude and 0.01 rad in phase, which are 0.0035 averaged over the band."""

    def draw(rng):
        return of_antennas(0.01 * (rng.standard_normal((N, 8)) + 1j * rng.standard_normal((N, 8))))

    errors = GainErrors(bandpass=0.01 / np.sqrt(8))
    still = gain_noise_jy(errors, np.array([3.0]), ONE, baselines(turn=0.0), GRID)
    assert still == pytest.approx(2 * 0.01 / np.sqrt(8) * 3 / np.sqrt(N * (N - 1)), rel=1e-6)
    rms, robust = scatter(baselines(turn=0.0), draw, 8)
    assert still == pytest.approx(rms, rel=0.03)
    assert 0.9 * still < robust < still
    turning = gain_noise_jy(errors, np.array([3.0]), ONE, baselines(), GRID)
    assert turning == pytest.approx(scatter(baselines(), draw, 8)[0], rel=0.05)
    assert turning < 0.95 * still


@pytest.mark.parametrize("kind", ["amplitude", "phase"])
def test_errors_that_channels_share_run_apart_away_from_the_source(kind):
    def draw(rng):
        gain = 0.005 * rng.standard_normal((N, 1)) * (1 if kind == "amplitude" else 1j)
        return np.repeat(of_antennas(gain), 16, axis=1)

    found = gain_noise_jy(GainErrors(**{kind: 0.005}), np.array([3.0]), ONE, baselines(), GRID)
    alike = np.sqrt(2) * 0.005 * 3 / np.sqrt(N * (N - 1))  # at the source itself
    assert found == pytest.approx(scatter(baselines(), draw, 16)[1], rel=0.15)
    assert 0.2 < found / alike < 0.6


def test_of_a_narrow_band_and_a_short_tile_it_is_the_closed_form():
    tile = baselines(turn=0.0, band=1e-6)
    errors = GainErrors(amplitude=0.003, phase=0.004)
    found = gain_noise_jy(errors, np.array([3.0]), ONE, tile, GRID)
    assert found == pytest.approx(np.sqrt(2) * 0.005 * 3 / np.sqrt(N * (N - 1)), rel=1e-6)


def test_a_fault_of_the_antennas_is_not_expected():
    alike = [gain_noise_jy(GainErrors(amplitude=size), np.array([3.0]), ONE, baselines(), GRID) for size in (0.3, 0.01)]
    assert alike[0] == alike[1]


def test_sources_add_in_quadrature_and_without_errors_there_is_no_noise():
    two = np.array([3.0, 4.0]), np.repeat(ONE, 2, axis=0)
    for errors in (GainErrors(bandpass=1e-3), GainErrors(amplitude=1e-3)):
        one = gain_noise_jy(errors, np.array([5.0]), ONE, baselines(), GRID)
        assert gain_noise_jy(errors, *two, baselines(), GRID) == pytest.approx(one, rel=1e-9)
    assert gain_noise_jy(GainErrors(), np.array([3.0]), ONE, baselines(), GRID) == 0
    assert gain_noise_jy(GainErrors(bandpass=1e-3), np.empty(0), np.empty((0, 2)), baselines(), GRID) == 0
    many = np.ones(40), np.repeat(ONE, 40, axis=0)  # those beyond the thirtieth count like the others
    one = gain_noise_jy(GainErrors(phase=1e-3), np.array([np.sqrt(40)]), ONE, baselines(), GRID)
    assert gain_noise_jy(GainErrors(phase=1e-3), *many, baselines(), GRID) == pytest.approx(one, rel=1e-9)


def test_a_baseline_of_more_weight_leaves_more():
    weight = np.ones(len(PAIRS))
    weight[0] = 50.0
    even, uneven = (
        gain_noise_jy(GainErrors(bandpass=1e-3), np.array([3.0]), ONE, baselines(turn=0.0, weight=one), GRID)
        for one in (None, weight)
    )
    assert uneven / even == pytest.approx(np.sqrt((weight**2).sum()) / weight.sum() * np.sqrt(len(PAIRS)), rel=1e-9)


def test_baselines_of_samples():
    vis = skies.empty(antennas=5, times=6, channels=8, span_m=130)
    vis.data[:] = 1.0
    vis.weight[:] = 2.0
    samples = stokes_i(vis)
    found = Baselines.of(vis, samples, samples.weight)
    one = (vis.antenna1 == 1) & (vis.antenna2 == 3)
    uvw = vis.uvw_m[one] * vis.freq_hz.mean() / skies.C_M_S
    number = sorted(set(zip(vis.antenna1.tolist(), vis.antenna2.tolist(), strict=True))).index((1, 3))
    assert len(found.uv) == 10
    assert found.uv[number] == pytest.approx((uvw[0, :2] + uvw[-1, :2]) / 2)
    assert found.turn[number] == pytest.approx((uvw[-1, :2] - uvw[0, :2]) * 6 / 5)
    assert found.weight[number] == pytest.approx(6 * 8 * 4.0)
    assert found.band == pytest.approx((vis.freq_hz[-1] - vis.freq_hz[0]) / vis.freq_hz.mean())
