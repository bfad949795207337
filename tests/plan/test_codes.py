"""Codes of the plan that belong to rare nights: two tiles of one time, and a tile whose neighbour is not ready."""

from datetime import timedelta

from tests.plan.conftest import START, tile_id


def test_of_two_tiles_with_one_header_time_the_second_is_set_aside(make_night):
    """The host of the second cluster wrote the headers of the first tile again."""
    night = make_night(3)
    first = night.facts[night.path(0, 0)]
    for subband in range(16):
        night.change(1, subband, start_mjd=first.start_mjd, end_mjd=first.end_mjd)
    plan = night.plan()
    assert tile_id(1) not in plan.tiles
    set_aside = [one for one in plan.quarantined if one.code == "same_time"]
    assert len(set_aside) == 16
    assert tile_id(0) in set_aside[0].message


def test_a_group_waits_for_the_tile_before_it(make_night):
    """The second tile is whole, the first is still waiting for a subband: it may yet be the group's first."""
    night = make_night(3)
    night.drop(0, 7)
    plan = night.plan(now=START + timedelta(seconds=1300))
    assert [(one.what, one.code) for one in plan.waiting] == [("tile", "subbands"), ("group", "tile_before")]
    assert plan.groups == {}
