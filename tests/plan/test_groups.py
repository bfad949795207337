import json
from datetime import timedelta

import pytest

from contimg.config import Config, GroupOptions, IngestOptions
from contimg.plan.model import CommittedGroup, CommittedTile
from tests.plan.conftest import START, tile_id


def members(plan):
    return [[tile for tile in group.tiles] for group in plan.groups.values()]


def ids(numbers):
    return [tile_id(n) for n in numbers]


def commit(night, numbers, *, settled=False, without=()):
    tiles = []
    for number in numbers:
        files = tuple(night.path(number, sb).rpartition("/")[2] for sb in range(16) if (number, sb) not in without)
        first = min(files)
        tiles.append(CommittedTile(tile_id(number), first[:19], files))
    return CommittedGroup(tile_id(numbers[0]), tuple(tiles), settled)


CAL = {"calibrators": (tile_id(4),)}


def test_a_scan_is_cut_in_time_order_and_nothing_is_lost(make_night):
    plan = make_night(23).plan(**CAL)
    assert members(plan) == [ids(range(10)), ids(range(10, 20)), ids(range(20, 23))]


def test_a_gap_ends_a_scan(make_night):
    plan = make_night(10, skip=(6,)).plan(**CAL)
    assert members(plan) == [ids(range(6)), ids(range(7, 10))]


def test_a_change_of_declination_ends_a_scan(make_night):
    night = make_night(10)
    for number in range(6, 10):
        for subband in range(16):
            night.change(number, subband, dec_app_deg=30.6)
    plan = night.plan(**CAL)
    assert members(plan) == [ids(range(6)), ids(range(6, 10))]


def test_groups_overlap_when_the_stride_is_shorter(make_night):
    plan = make_night(10).plan(group=GroupOptions(tiles=4, stride=2), **CAL)
    assert members(plan) == [ids(range(4)), ids(range(2, 6)), ids(range(4, 8)), ids(range(6, 10))]


def test_a_committed_group_never_changes_by_itself(make_night):
    night = make_night(13)
    plan = night.plan(committed=[commit(night, range(3, 9))], **CAL)
    assert members(plan) == [ids(range(3)), ids(range(3, 9)), ids(range(9, 13))]


def test_after_a_committed_group_overlap_reaches_back_into_it(make_night):
    night = make_night(8)
    plan = night.plan(committed=[commit(night, range(4))], group=GroupOptions(tiles=4, stride=2), **CAL)
    assert members(plan) == [ids(range(4)), ids(range(2, 6)), ids(range(4, 8))]


def test_settled_groups_are_out_of_scope_until_their_night_is_asked_for(make_night):
    night = make_night(10)
    settled = [commit(night, range(10), settled=True)]
    assert members(night.plan(committed=settled, **CAL)) == []
    assert members(night.plan(committed=settled, nights=["2026-02-11"], **CAL)) == [ids(range(10))]


def test_nights_limit_the_groups(make_night):
    night = make_night(10)
    assert members(night.plan(nights=["2026-02-12"], **CAL)) == []
    assert members(night.plan(nights=["2026-02-11"], **CAL)) == [ids(range(10))]


def test_an_open_scan_gives_its_full_groups_only(make_night):
    night = make_night(13)
    during = START + timedelta(seconds=13 * 310)
    plan = night.plan(now=during, **CAL)
    assert members(plan) == [ids(range(10))]
    assert [(w.id, w.code) for w in plan.waiting] == [(tile_id(10), "scan_open")]


def test_a_scan_is_closed_by_a_later_tile_beyond_the_gap(make_night):
    night = make_night(10, skip=(6, 7))
    during = START + timedelta(seconds=10 * 310)
    plan = night.plan(now=during, **CAL)
    assert members(plan) == [ids(range(6))]


@pytest.mark.parametrize("lost", [0, 5, 9])
def test_a_tile_that_is_waited_for_keeps_its_neighbours_from_being_cut_wrongly(make_night, lost):
    """Whatever is planned while a tile is incomplete, its group is whole once the tile has come."""
    night = make_night(10)
    dropped = night.drop(lost, 7)
    during = START + timedelta(seconds=10 * 310)
    early = night.plan(now=during, **CAL)
    assert members(early) == []
    night.facts[night.path(lost, 8).replace("_sb08", "_sb07")] = dropped
    assert members(night.plan(**CAL)) == [ids(range(10))]


@pytest.mark.parametrize(("policy", "groups"), [("report", 0), ("reprocess", 1)])
def test_late_files_of_a_settled_group_follow_the_policy(make_night, policy, groups):
    night = make_night(10)
    group = commit(night, range(10), settled=True)
    old = group.tiles[3]
    tiles = list(group.tiles)
    tiles[3] = CommittedTile(old.id, old.name_time, old.files[:15])
    settled = CommittedGroup(group.id, tuple(tiles), True)
    plan = night.plan(committed=[settled], group=GroupOptions(late=policy), **CAL)
    assert [(late.tile, late.files, late.action) for late in plan.late] == [(tile_id(3), old.files[15:], policy)]
    assert len(plan.groups) == groups


@pytest.mark.parametrize(("policy", "subbands"), [("report", 15), ("reprocess", 16)])
def test_the_policy_holds_for_nights_that_are_asked_for_too(make_night, policy, subbands):
    """With `late: report` a settled tile stays what it was, so that nothing is made again."""
    night = make_night(10)
    dropped = night.drop(3, 9)
    before = night.plan(**CAL)
    settled = commit(night, range(10), settled=True, without={(3, 9)})
    night.facts[night.path(3, 10).replace("_sb10", "_sb09")] = dropped
    plan = night.plan(committed=[settled], group=GroupOptions(late=policy), nights=["2026-02-11"], **CAL)
    assert [(late.tile, late.action) for late in plan.late] == [(tile_id(3), policy)]
    assert len(plan.tiles[tile_id(3)].files) == subbands
    assert (plan.tiles == before.tiles) == (policy == "report")


def test_a_committed_group_whose_files_are_gone_waits_for_them(make_night):
    night = make_night(10)
    group = commit(night, range(10))
    for subband in range(16):
        night.drop(9, subband)
    plan = night.plan(committed=[group], **CAL)
    assert [(w.id, w.code) for w in plan.waiting] == [("mosaic_20260211T002650", "inputs_gone")]
    assert not plan.groups


def test_min_tiles_makes_a_short_group_wait(make_night):
    plan = make_night(2).plan(group=GroupOptions(min_tiles=3), calibrators=(tile_id(0),))
    assert not plan.groups
    assert [w.code for w in plan.waiting] == ["too_few_tiles"]


def test_plans_survive_their_frozen_form(make_night):
    plan = make_night(13, skip=(4,)).plan(calibrators=(tile_id(2),), ingest=IngestOptions(), sky=Config().sky)
    assert type(plan).from_json(json.loads(json.dumps(plan.to_json()))) == plan


def test_a_frozen_plan_of_before_is_read_with_the_sizes_of_its_files(make_night):
    """Until 2026.1 a signature was the text name:size:mtime; the name of a subband file holds two colons."""
    plan = make_night(2).plan(calibrators=(tile_id(0),))
    content = json.loads(json.dumps(plan.to_json()))
    for tile in content["tiles"].values():
        tile["signature"] = [f"{name}:{1000}:{0}" for name in plan.tiles[tile["id"]].file_names]
    again = type(plan).from_json(content)
    assert again == plan
    assert [sum(file.size for file in tile.signature) for tile in again.tiles.values()] == [16_000, 16_000]
    first = again.tiles[tile_id(0)].signature[0]
    assert str(first) == f"{first.name}:1000:0" and first.name.count(":") == 2
