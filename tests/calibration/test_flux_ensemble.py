"""Fluxes of catalogued sources in visibilities that are sums of them in known proportions."""

import dataclasses

import numpy as np
import pytest

from contimg.calibration.field_model import predict_sources
from contimg.calibration.flux_ensemble import measure_ensemble, measure_fluxes
from contimg.config import BeamOptions
from contimg.sky.catalogue import Catalogue
from tests.support.small_tiles import complex_noise, small_tile

BEAM = BeamOptions()


def field(vis, n=30, seed=3, error=np.nan):
    """Return sources of 1 to 3 Jy within a degree of a tile's centre."""
    rng = np.random.default_rng(seed)
    ra, dec = np.degrees(vis.phase_centre_rad)
    east, north = rng.uniform(-0.7, 0.7, (2, n))
    flux = rng.uniform(1, 3, n)
    return Catalogue(
        np.array([f"s{number}" for number in range(n)]), ra + east / np.cos(np.radians(dec)), dec + north, flux,
        flux * error, np.full(n, 1.4e9), np.full(n, -0.7),
    )  # fmt: skip


def observed(vis, sources, factors, noise=0.0):
    """Return what is left of a tile whose sources have factors times their catalogued fluxes, less the model."""
    brighter = dataclasses.replace(sources, flux_jy=sources.flux_jy * factors)
    difference = predict_sources(vis, brighter, BEAM) - predict_sources(vis, sources, BEAM)
    data = difference[:, :, None] + noise * complex_noise((*difference.shape, 2))
    return dataclasses.replace(vis, data=data.astype(np.complex64))


@pytest.fixture(scope="module")
def tile():
    return small_tile(antennas=16, times=6, channels=12)


def test_every_flux_is_found_whatever_its_neighbours_are(tile):
    sources = field(tile)
    factors = np.random.default_rng(4).uniform(0.7, 1.4, len(sources))
    found = measure_fluxes(observed(tile, sources, factors), sources, BEAM)
    order = [list(sources.name).index(name) for name in found.sources.name]
    assert found.ratio == pytest.approx(factors[order], abs=1e-3)
    assert found.flux_jy == pytest.approx(found.sources.flux_at(1.37e9)[:, 0], rel=0.02)
    assert (found.response > 0.7).all() and (found.response <= 1).all()


def test_errors_are_those_of_the_noise(tile):
    sources = field(tile, n=12)
    pulls = []
    for seed in range(12):
        noise = 0.5 * complex_noise((len(tile.uvw_m), 12, 2), seed)
        left = dataclasses.replace(tile, data=noise.astype(np.complex64))
        found = measure_fluxes(left, sources, BEAM)
        pulls.append((found.ratio - 1) / found.noise)
    assert np.std(pulls) == pytest.approx(1, abs=0.2)  # 144 values know it to 6 %


def test_flags_and_weights_count(tile):
    """Half of the channels are flagged and wrong, and one polarisation is wrong and has no weight."""
    sources = field(tile)
    left = observed(tile, sources, np.full(len(sources), 1.1))
    flag, weight = left.flag.copy(), left.weight.copy()
    flag[:, ::2], weight[:, :, 1] = True, 0
    left.data[:, ::2] = 1e3
    left.data[:, :, 1] = -1e3
    found = measure_fluxes(dataclasses.replace(left, flag=flag, weight=weight), sources, BEAM)
    assert found.ratio == pytest.approx(np.full(len(sources), 1.1), abs=1e-3)


def test_the_scale_is_that_of_most_sources(tile):
    """A fifth of them has varied by a factor of two."""
    sources = field(tile)
    factors = np.full(len(sources), 1.2)
    factors[::5] *= 2
    found = measure_ensemble(observed(tile, sources, factors, noise=0.05), sources, BEAM)
    assert found.n == len(sources)
    assert abs(found.scale - 1.2) < 3 * found.error < 0.15
    assert found.numbers["ensemble_references"] == 30


def test_the_calibrator_is_fitted_and_no_reference(tile):
    sources = field(tile)
    calibrator, others = sources.select([0]), sources.select(np.arange(1, len(sources)))
    factors = np.ones(len(sources))
    factors[0] = 1.5
    found = measure_ensemble(observed(tile, sources, factors), others, BEAM, calibrator)
    assert found.n == len(others)
    assert found.scale == pytest.approx(1, abs=1e-3)


def test_sources_that_the_noise_hides_are_no_references(tile):
    sources = field(tile, n=10)
    assert measure_ensemble(observed(tile, sources, np.ones(10), noise=300.0), sources, BEAM) is None
    assert measure_ensemble(observed(tile, sources, np.ones(10)), sources.select([0]), BEAM) is None
    none = sources.select(np.array([], int))
    assert measure_ensemble(tile, none, BEAM, sources.select([0])) is None
