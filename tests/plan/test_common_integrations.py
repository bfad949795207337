"""Hosts that start or stop some integrations apart still make one tile."""

from dataclasses import replace

import pytest

from tests.plan.conftest import tile_id

STEP_MJD = 12.884902 / 86400


def plan_of(night):
    return night.plan(calibrators=[tile_id(0), tile_id(1)])


def shift(night, subbands, late=0, early=0):
    """Let the files of some subbands of the first tile begin `late` integrations later and end `early` ones earlier."""
    for subband in subbands:
        path = night.path(0, subband)
        fact = night.facts[path]
        night.facts[path] = replace(
            fact, start_mjd=fact.start_mjd + late * STEP_MJD, end_mjd=fact.end_mjd - early * STEP_MJD
        )


@pytest.mark.parametrize("files", [1, 4, 7, 8])
@pytest.mark.parametrize(("late", "early"), [(0, 1), (1, 0), (2, 1), (0, 23)])
def test_no_file_is_lost_and_the_tile_keeps_its_time(make_night, files, late, early):
    night = make_night(2)
    sound = plan_of(night)
    shift(night, range(files), late, early)
    plan = plan_of(night)
    assert plan.quarantined == [] and list(plan.tiles) == list(sound.tiles)
    tile = next(iter(plan.tiles.values()))
    assert tile.subbands == tuple(range(16))
    assert tile.start_mjd == pytest.approx(next(iter(sound.tiles.values())).start_mjd, abs=1e-9)


def test_where_most_start_later_the_tile_does(make_night):
    night = make_night(2)
    truth = next(iter(plan_of(night).tiles.values()))
    shift(night, range(9), late=1)
    tile = next(iter(plan_of(night).tiles.values()))
    assert len(tile.files) == 16
    assert tile.start_mjd == pytest.approx(truth.start_mjd + STEP_MJD, abs=1e-9)


@pytest.mark.parametrize("seconds", [3.0, 0.01, 309.2376])
def test_a_file_off_the_lattice_or_of_the_next_tile_is_set_aside(make_night, seconds):
    night = make_night(2)
    path = night.path(0, 5)
    fact = night.facts[path]
    days = seconds / 86400
    night.facts[path] = replace(fact, start_mjd=fact.start_mjd + days, end_mjd=fact.end_mjd + days)
    plan = plan_of(night)
    assert [(item.path, item.code) for item in plan.quarantined] == [(path, "header_differs")]
    assert [len(tile.files) for tile in plan.tiles.values()] == [15, 16]
