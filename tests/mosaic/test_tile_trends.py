"""Scales and places of tiles solved jointly: the bad tile is named and not its neighbours, and drifts add up."""

from __future__ import annotations

import numpy as np
import pytest

from contimg.mosaic.neighbours import Difference
from contimg.mosaic.tile_trends import solve_tiles, tile_trends

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
