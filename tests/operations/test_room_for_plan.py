"""A backlog larger than a disk: the oldest groups that fit are made, the others wait, and nothing is refused."""

from collections import namedtuple

import pytest

from contimg.errors import ConfigError
from contimg.operations import room_for_plan
from contimg.operations.preflight import checked_plan
from contimg.operations.resources import mosaic_sizes
from contimg.operations.room_for_plan import plan_within_room, wants_room, within_room
from contimg.plan.model import Plan, Waiting
from contimg.plan.observe import current_plan
from contimg.simulate import NightOptions
from tests.support.inboxes import IMAGE_PX, inbox_config, simulated_inbox

# The calibrator transits in the third of five tiles, each of which is a group.
NIGHT = NightOptions(tiles=5, antennas=8, channels=2, sources=4, calibrator="3C286", max_baseline_m=250.0)
Usage = namedtuple("Usage", "total used free")


@pytest.fixture(scope="module")
def incoming(tmp_path_factory):
    return simulated_inbox(tmp_path_factory.mktemp("night"), NIGHT)


@pytest.fixture
def config(incoming, tmp_path):
    group = {"tiles": 1, "min_tiles": 1, "stride": 1}
    return inbox_config(incoming, tmp_path, group=group, crossmatch={"enabled": False})


@pytest.fixture
def free(monkeypatch):
    """What the one disk of stage and products has left, in bytes."""
    room = {"bytes": 1e15}
    monkeypatch.setattr(room_for_plan.shutil, "disk_usage", lambda place: Usage(2e15, 1e15, room["bytes"]))
    return room


def bytes_of(config, plan, number):
    """Return what the first groups take: 24 bytes a pixel of each image, 36 of each mosaic, and both MSs of a tile."""
    groups = sorted(plan.groups)[:number]
    pixels = [mosaic_sizes(config, plan, group).mosaic_px for group in groups]
    files = max(sum(file.size for file in plan.tiles[group].signature) for group in groups)
    return number * 24 * IMAGE_PX**2 + 36 * sum(pixels) + 2 * 1.1 * files


@pytest.mark.parametrize("number", [1, 2, 4])
def test_the_oldest_groups_that_fit_are_taken(config, free, number):
    plan = current_plan(config)
    groups = sorted(plan.groups)
    assert len(groups) == 5
    free["bytes"] = bytes_of(config, plan, number)
    fitting = within_room(config, plan)
    assert list(fitting.groups) == groups[:number]
    assert [(w.id, w.what, w.code) for w in fitting.waiting] == [
        (plan.groups[one].mosaic_id, "group", "no_room") for one in groups[number:]
    ]
    free["bytes"] -= 1
    assert list(within_room(config, plan).groups) == groups[: number - 1]


def test_with_room_the_plan_stays_as_it_is(config, free):
    plan = current_plan(config)
    free["bytes"] = bytes_of(config, plan, 5)
    assert within_room(config, plan) is plan


def test_what_waits_says_which_disk_how_much_and_what_to_type(config, free):
    plan = current_plan(config)
    free["bytes"] = bytes_of(config, plan, 2)
    message = within_room(config, plan).waiting[0].message
    assert message.startswith(
        f"paths.stage {config.paths.stage} and paths.products {config.paths.products} have, on one"
    )
    assert f"have, on one disk, {free['bytes'] / 1e9:.2f} GB of room, and with the groups before it it needs" in message
    assert message.endswith("a later run makes it, when there is room (contimg usage, contimg prune)")


def test_the_calibrator_s_tile_is_kept_for_groups_before_it(config, free):
    plan = current_plan(config)
    free["bytes"] = bytes_of(config, plan, 1)
    fitting = plan_within_room(config)
    (group,) = fitting.groups
    (calibration,) = fitting.calibrations.values()
    assert calibration.tile == sorted(plan.tiles)[2]
    assert sorted(fitting.tiles) == sorted([group, calibration.tile]) and list(fitting.choices) == [group]
    assert Plan.from_json(fitting.to_json()) == fitting


def test_nothing_fits(config, free):
    plan = current_plan(config)
    free["bytes"] = bytes_of(config, plan, 1) - 1
    fitting = within_room(config, plan)
    assert fitting.groups == {} and fitting.calibrations == {} and len(fitting.waiting) == 5
    assert wants_room(config, fitting).startswith(f"5 wait for room, first {fitting.waiting[0].id}: paths.stage ")
    with pytest.raises(ConfigError, match=r"it needs 0\.0\d GB at the least: make room \(contimg prune\), then type"):
        checked_plan(config)


def test_a_run_is_not_refused_for_what_it_need_not_make_yet(config, free):
    free["bytes"] = bytes_of(config, current_plan(config), 3)
    assert len(checked_plan(config).groups) == 3


def test_what_is_made_needs_no_room(config, free):
    """The second group was made and published: only its marker and images are looked at."""
    plan = current_plan(config)
    second = sorted(plan.groups)[1]
    free["bytes"] = 0
    config.layout.product("image", second).mkdir(parents=True)
    marker = config.layout.twin("published", second)
    marker.parent.mkdir(parents=True)
    marker.touch()
    fitting = within_room(config, plan)
    assert list(fitting.groups) == [second]
    assert wants_room(config, fitting).startswith(
        "4 wait for room"
    )  # as where it is held, and nothing else can be made
    with pytest.raises(ConfigError, match="make room"):
        checked_plan(config)
    free["bytes"] = bytes_of(config, plan, 1)
    assert wants_room(config, within_room(config, plan)) is None


def test_waiting_for_something_else_is_no_want_of_room(config):
    assert (
        wants_room(config, Plan(waiting=[Waiting("m", "group", "no_bandpass", "none", "2026-02-11T00:26:49")])) is None
    )
