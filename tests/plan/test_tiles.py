import random
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contimg.config import IngestOptions
from contimg.correlator.inbox import arrange
from tests.plan.conftest import LONG_AFTER, START, tile_id

CALIBRATED = {"calibrators": (tile_id(4),)}


def test_a_complete_night_is_one_group_of_ten_tiles(make_night):
    plan = make_night().plan(**CALIBRATED)
    assert list(plan.groups) == [tile_id(0)]
    assert plan.groups[tile_id(0)].tiles == tuple(tile_id(n) for n in range(10))
    assert all(len(tile.files) == 16 and not tile.missing for tile in plan.tiles.values())
    assert plan.quarantined == plan.waiting == plan.late == []


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6))
def test_the_order_of_arrival_does_not_matter(make_night, seed):
    night = make_night(12, skip=(5,))
    paths = list(night.facts)
    random.Random(seed).shuffle(paths)
    assert night.plan(order=paths, **CALIBRATED) == night.plan(**CALIBRATED)


def test_a_missing_subband_is_waited_for_until_the_deadline(make_night):
    night = make_night()
    night.drop(9, 7)
    soon = START + timedelta(seconds=9 * 310 + 60)
    waiting = {w.what: w for w in night.plan(now=soon, **CALIBRATED).waiting}
    assert (waiting["tile"].code, waiting["group"].code) == ("subbands", "scan_open")
    assert waiting["tile"].message == "15 of 16 subbands are ready, waiting for sb07"
    tile = night.plan(**CALIBRATED).tiles[tile_id(9)]
    assert tile.missing == (7,) and len(tile.files) == 15


def test_too_few_subbands_set_only_their_own_tile_aside(make_night):
    night = make_night()
    for subband in range(5):
        night.drop(9, subband)
    plan = night.plan(**CALIBRATED)
    assert plan.groups[tile_id(0)].tiles == tuple(tile_id(n) for n in range(9))
    assert {q.code for q in plan.quarantined} == {"too_few_subbands"}
    assert "only 11 of 16 subbands are usable (without sb00, sb01, sb02, sb03, sb04)" in plan.quarantined[0].message


@pytest.mark.parametrize("code", ["unreadable", "empty", "clock", "frequency"])
def test_a_bad_file_is_set_aside_and_its_tile_goes_on_without_it(make_night, code):
    night = make_night()
    night.change(3, 11, fault="it is broken", fault_code=code)
    plan = night.plan(**CALIBRATED)
    assert [(q.code, q.path) for q in plan.quarantined] == [(code, night.path(3, 11))]
    assert plan.tiles[tile_id(3)].missing == (11,)


def test_a_header_that_disagrees_with_its_tile_is_set_aside(make_night):
    night = make_night()
    night.change(3, 11, start_mjd=61000.0)
    night.change(3, 12, dec_app_deg=16.2)
    plan = night.plan(**CALIBRATED)
    assert [q.code for q in plan.quarantined] == ["header_differs", "header_differs"]
    assert plan.tiles[tile_id(3)].missing == (11, 12)


def test_a_growing_file_holds_back_its_tile_even_after_the_deadline(make_night):
    night = make_night()
    night.change(9, 0, fault="may still grow", fault_code="growing")
    plan = night.plan(**CALIBRATED)
    assert ("growing", "tile") in [(w.code, w.what) for w in plan.waiting]
    assert not plan.groups


def test_a_late_file_changes_only_its_own_tile(make_night):
    night = make_night()
    whole = night.plan(**CALIBRATED)
    night.drop(2, 3)
    part = night.plan(**CALIBRATED)
    changed = [t for t in whole.tiles if whole.tiles[t] != part.tiles[t]]
    assert changed == [tile_id(2)]
    assert whole.choices == part.choices and whole.groups == part.groups


def test_names_of_one_tile_may_differ_by_82_seconds_and_tiles_stay_apart():
    names = []
    for tile in range(3):
        for subband in range(16):
            moment = START + timedelta(seconds=int(309.2376 * tile) + (82 if subband == 5 else subband % 3))
            names.append(f"/in/{moment:%Y-%m-%dT%H:%M:%S}_sb{subband:02d}.hdf5")
    listing = arrange(names, IngestOptions())
    assert [len(cluster.files) for cluster in listing.clusters] == [16, 16, 16]
    assert listing.quarantined == []


def test_strays_duplicates_and_leftovers_are_told_apart():
    base = [f"/in/2026-02-11T00:26:49_sb{subband:02d}.hdf5" for subband in range(16)]
    odd = [
        "/in/2026-02-11T00:27:29_sb03.hdf5",
        "/in/2026-02-11T00:26:49_sb16.hdf5",
        "/in/x.hdf5",
        "/in/2026-02-11T00:26:50_sb01_incomplete.hdf5",
        "/in/notes.txt",
    ]
    listing = arrange(base + odd, IngestOptions())
    assert [(q.code, q.path) for q in listing.quarantined] == [
        ("name", odd[1]),
        ("name", odd[2]),
        ("duplicate_subband", odd[0]),
    ]
    assert listing.open_files == [odd[3]]
    assert [cluster.subbands for cluster in listing.clusters] == [tuple(range(16))]


def test_deadline_is_counted_from_the_name(make_night):
    night = make_night(1)
    night.drop(0, 7)
    options = night.config.ingest
    just_before = START + timedelta(seconds=options.deadline_s - 1)
    assert not night.plan(now=just_before, **CALIBRATED).tiles
    assert START + timedelta(seconds=options.deadline_s) < LONG_AFTER
