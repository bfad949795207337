"""Scales and places of tiles solved jointly: the bad tile is named and not its neighbours, and drifts add up."""

from __future__ import annotations

import numpy as np
import pytest

from contimg.mosaic.neighbours import Difference
from contimg.mosaic.tile_trends import band_tilt, solve_tiles, tile_trends

BEAM = 60.0


def differences(scales, east=None, seed=None):
    """Return differences of neighbours and next neighbours of tiles with given flux scales and shifts (arcsec)."""
    rng = np.random.default_rng(seed)
    logs = np.log(scales)
    east = np.zeros(len(logs)) if east is None else np.asarray(east, float)
    noise = (lambda size: 0.0) if seed is None else (lambda size: size * rng.normal())
    pairs = [(i, j) for i in range(len(logs)) for j in (i + 1, i + 2) if j < len(logs)]
    return {
        (f"t{i}", f"t{j}"): Difference(
            logs[i] - logs[j] + noise(0.004), 0.004, east[i] - east[j] + noise(0.3), noise(0.3), 0.3
        )
        for i, j in pairs
    }


def solved(pairs):
    found = list(pairs.values())
    return solve_tiles(
        list(pairs), np.array([one.log_scale for one in found]), np.array([one.e_log_scale for one in found])
    )


def test_the_bad_tile_is_named_and_not_its_neighbours():
    found = solved(differences([1, 1, 1.15, 1, 1, 1]))
    assert found["t2"][0] == pytest.approx(np.log(1.15), abs=1e-6)
    assert max(abs(value) for name, (value, _) in found.items() if name != "t2") < 1e-6
    numbers = tile_trends(differences([1, 1, 1.15, 1, 1, 1]), BEAM)
    assert numbers["tile_scale_spread"] == pytest.approx(np.log(1.15), abs=1e-6)
    assert numbers["diagnosis"].startswith("tile t2 alone, whose fluxes change by +14.0 ±")


def test_a_drift_adds_up_along_the_group():
    scales = [0.98**i for i in range(7)]
    found = solved(differences(scales))
    assert found["t0"][0] - found["t6"][0] == pytest.approx(-6 * np.log(0.98), abs=1e-6)
    assert 0.002 < found["t0"][1] < 0.01  # 0.004 a pair, three pairs in a row
    assert tile_trends(differences(scales, seed=1), BEAM)["diagnosis"].startswith("a drift: fluxes change by -1")


@pytest.mark.parametrize("seed", range(5))
def test_a_step_after_the_calibrator(seed):
    numbers = tile_trends(differences([1, 1, 1, 1.15, 1.15, 1.15, 1.15], seed=seed), BEAM)
    assert abs(numbers["tile_scale_spread"]) > 0.12
    assert numbers["diagnosis"].startswith("a step: fluxes change by +1") and "from tile t3 on" in numbers["diagnosis"]


@pytest.mark.parametrize("seed", range(5))
def test_a_clock_that_is_off_after_the_calibrator(seed):
    numbers = tile_trends(differences(np.ones(6), [0, 0, 0, 13, 13, 13], seed=seed), BEAM)
    # The median of three and three lies in the middle.
    assert numbers["tile_shift_spread_beams"] == pytest.approx(6.5 / BEAM, rel=0.15)
    assert "sources move by +1" in numbers["diagnosis"] and "from tile t3 on" in numbers["diagnosis"]


def test_clean_groups_stay_within_a_few_errors():
    for seed in range(200):
        numbers = tile_trends(differences(np.ones(8), seed=seed), BEAM)
        assert abs(numbers["tile_scale_spread"]) < 0.05
        assert numbers["tile_shift_spread_beams"] < 0.05


def test_without_pairs_nothing_is_known():
    assert set(tile_trends({}, BEAM).values()) == {None}
    assert solve_tiles([], np.array([]), np.array([])) == {}
    assert tile_trends(differences([1, 1.2]), BEAM)["diagnosis"] is None


def noises(seed, tilt=0.0, tiles=5):
    """Return noise by subband, known to 1 %, of receivers with a shape of their own; the third tile is tilted."""
    rng = np.random.default_rng(seed)
    shape = 1 + 0.2 * np.sin(np.arange(16))
    place = np.linspace(-1, 1, 16)
    found = {f"t{i}": shape * np.exp(tilt * place * (i == 2) + 0.01 * rng.normal(size=16)) for i in range(tiles)}
    return {name: {f"sb{k:02d}": float(value) for k, value in enumerate(row)} for name, row in found.items()}


@pytest.mark.parametrize("tilt", [-0.1, 0.1])
@pytest.mark.parametrize("seed", range(3))
def test_a_bandpass_that_drifted_is_a_tilt_of_its_tile(seed, tilt):
    found = band_tilt(noises(seed, tilt))
    assert found["band_tilt_of"] == "tile t2"
    assert found["band_tilt"] == pytest.approx(tilt, abs=5 * found["e_band_tilt"])
    assert found["e_band_tilt"] < 0.008


def test_right_tiles_have_no_tilt_whatever_the_shape_of_the_band():
    assert all(abs(band_tilt(noises(seed))["band_tilt"]) < 0.03 for seed in range(100))


def test_the_tilt_is_not_known_from_two_tiles_or_a_few_subbands():
    assert band_tilt(noises(1, 0.1, tiles=2))["band_tilt"] is None
    assert band_tilt({}) == dict.fromkeys(("band_tilt", "e_band_tilt", "band_tilt_of"))
    few = {name: dict(list(noise.items())[:7]) for name, noise in noises(1).items()}
    assert band_tilt(few | {"t9": {}})["band_tilt"] is None
