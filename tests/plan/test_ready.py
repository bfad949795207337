"""When what waits is ready although nothing more comes, to the second."""

from datetime import UTC, datetime, timedelta

import pytest

from contimg.config import GroupOptions, IngestOptions
from contimg.plan.observe import with_step
from contimg.times import utc_not_before
from tests.plan.conftest import START, tile_id

CALIBRATED = {"calibrators": (tile_id(4),)}
SOON = START + timedelta(seconds=9 * 310 + 60)


def growing_since(night, moment):
    mtime_ns = int(moment.timestamp() * 1e9)
    night.change(9, 0, fault="may still grow", fault_code="growing", mtime_ns=mtime_ns)


def waits(plan):
    return {(one.what, one.code): one.ready for one in plan.waiting}


def test_a_growing_file_is_ready_once_it_has_settled(make_night):
    night = make_night()
    growing_since(night, datetime(2026, 2, 11, 1, 14, 0, 250_000, tzinfo=UTC))
    plan = night.plan(now=SOON, ingest=IngestOptions(settle_s=60.0), **CALIBRATED)
    assert waits(plan)["tile", "growing"] == "2026-02-11T01:15:01"


def test_a_growing_file_beside_a_missing_one_waits_for_the_deadline(make_night):
    """Tile 9 has the name time 01:13:12."""
    night = make_night()
    growing_since(night, datetime(2026, 2, 11, 1, 14, tzinfo=UTC))
    night.drop(9, 7)
    assert waits(night.plan(now=SOON, **CALIBRATED))["tile", "growing"] == "2026-02-11T02:13:12"


def test_a_time_of_a_file_that_is_ahead_of_the_clock_promises_nothing(make_night):
    night = make_night()
    growing_since(night, SOON + timedelta(seconds=30))
    assert waits(night.plan(now=SOON, **CALIBRATED))["tile", "growing"] is None


@pytest.mark.parametrize("lack", ["gone", "faulty", "of another declination"])
def test_a_subband_that_cannot_be_used_is_waited_for_until_the_deadline(make_night, lack):
    night = make_night()
    if lack == "gone":
        night.drop(9, 7)
    elif lack == "faulty":
        night.change(9, 7, fault="it is broken", fault_code="unreadable")
    else:
        night.change(9, 7, dec_app_deg=16.2)
    assert waits(night.plan(now=SOON, **CALIBRATED))["tile", "subbands"] == "2026-02-11T02:13:12"


@pytest.mark.parametrize(("tiles", "ready"), [(13, "2026-02-11T02:36:09"), (11, None)])
def test_a_scan_is_over_after_gap_and_deadline_if_it_has_enough_tiles(make_night, tiles, ready):
    """The last of 13 tiles has the name time 01:28:39; the gap is 450 s, the deadline 3600 s."""
    now, group = START + timedelta(seconds=tiles * 310), GroupOptions(min_tiles=2)
    plan = make_night(tiles).plan(now=now, group=group, **CALIBRATED)
    assert waits(plan) == {("group", "scan_open"): ready}


def test_a_clock_that_stepped_promises_nothing(make_night):
    night = make_night()
    night.drop(9, 7)
    (tile,) = (one for one in night.plan(now=SOON, **CALIBRATED).waiting if one.what == "tile")
    assert with_step(tile, 0.0).ready == "2026-02-11T02:13:12"
    assert with_step(tile, 3600.0).ready is None


@pytest.mark.parametrize(("microsecond", "second"), [(0, 10), (1, 11), (999_999, 11)])
def test_a_second_is_named_once_it_has_been_reached(microsecond, second):
    moment = datetime(2026, 2, 11, 7, 45, 10, microsecond, tzinfo=UTC)
    assert utc_not_before(moment) == f"2026-02-11T07:45:{second}"
