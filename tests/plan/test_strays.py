"""Names and clocks of any time: nothing but observed tiles says that a scan is over, and nothing stops the plan."""

import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contimg.config import IngestOptions
from contimg.plan import frozen
from contimg.plan.observe import committed_groups, current_plan
from tests.plan.copies import shift_time


@pytest.fixture
def live(copy):
    """Three tiles of a scan that goes on: a minute after the last one ended, the deadline an hour away."""
    start = datetime.fromisoformat(copy.night.tiles[0].tile_id).replace(tzinfo=UTC)
    copy.now = start + timedelta(seconds=3 * 309 + 60)
    own = copy.config
    ingest = IngestOptions(settle_s=0.0)
    copy.live_config = own.model_copy(update={"nights": [], "ingest": ingest})
    return copy


def place(copy, moment, subband=3):
    return copy.place / "incoming" / f"{moment}_sb{subband:02d}.hdf5"


def write(content):
    return lambda copy, moment: place(copy, moment).write_bytes(content)


def folder(copy, moment):
    place(copy, moment).mkdir()


def pipe(copy, moment):
    os.mkfifo(place(copy, moment))


def dangling(copy, moment):
    place(copy, moment).symlink_to("/nowhere/at/all")


def loop(copy, moment):
    place(copy, moment).symlink_to(place(copy, moment))


def renamed_copy(copy, moment):
    shutil.copy(copy.path(subband=3), place(copy, moment))


def sixteen_of_junk(copy, moment):
    for subband in range(16):
        place(copy, moment, subband).write_bytes(b"not HDF5")


def copy_of_that_time(copy, moment):
    """One sound file whose header agrees with its name."""
    shutil.copy(copy.path(subband=3), place(copy, moment))
    seconds = (datetime.fromisoformat(moment) - datetime.fromisoformat(copy.night.tiles[2].tile_id)).total_seconds()
    copy.edit(shift_time(seconds), place(copy, moment))


KINDS = {
    "not HDF5": write(b"not HDF5"), "empty": write(b""), "folder": folder, "pipe": pipe, "dangling link": dangling,
    "link to itself": loop, "copy under another name": renamed_copy, "sixteen of junk": sixteen_of_junk,
}  # fmt: skip
MOMENTS = (
    "2031-05-06T07:08:09", "9999-12-31T23:59:59", "0001-01-01T00:00:00", "2026-02-11T12:20:00", "2026-02-11T12:07:00",
    "2025-02-11T11:51:36", "1970-01-01T00:00:01",
)  # fmt: skip


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_no_tile_neither_closes_nor_keeps_open_a_scan(live, kind, moment):
    open_scan = current_plan(live.live_config, now=live.now)
    over = current_plan(live.live_config, now=live.now + timedelta(days=2))
    assert (len(open_scan.groups), [len(group.tiles) for group in over.groups.values()]) == (0, [3])
    KINDS[kind](live, moment)
    plan = current_plan(live.live_config, now=live.now)
    assert plan.groups == {}
    frozen.freeze(plan, live.live_config)
    assert committed_groups(live.live_config) == []
    later = current_plan(live.live_config, now=live.now + timedelta(days=2))
    assert (later.groups, later.tiles, later.choices) == (over.groups, over.tiles, over.choices)


@pytest.mark.parametrize("moment", ["2031-05-06T07:08:09", "2029-01-01T00:00:00"])
def test_a_sound_file_of_the_future_waits_and_is_told_of_the_clocks(live, moment):
    copy_of_that_time(live, moment)
    plan = current_plan(live.live_config, now=live.now)
    assert plan.groups == {}
    (future,) = [w for w in plan.waiting if w.code == "future"]
    assert future.id == moment and "ahead of this computer's clock: correct the clock that is wrong" in future.message


def test_a_whole_tile_of_the_future_closes_no_scan_until_its_time_has_come(live):
    moment = "2026-02-13T11:51:36"
    seconds = 2 * 86400
    for subband in range(16):
        shutil.copy(live.path(tile=0, subband=subband), place(live, moment, subband))
        live.edit(shift_time(seconds), place(live, moment, subband))
    plan = current_plan(live.live_config, now=live.now)
    assert plan.groups == {} and [w.id for w in plan.waiting if w.code == "future"] == [moment]
    assert any("lies 2864 min ahead" in w.message for w in plan.waiting)  # two days less 3 x 309 + 60 s
    later = current_plan(live.live_config, now=live.now + timedelta(days=2))
    assert next(iter(later.groups.values())).tiles == tuple(tile.tile_id for tile in live.night.tiles)


def test_a_later_tile_closes_a_scan_while_the_deadline_is_away(live):
    """What the names of files do not do, an observed tile does."""
    for subband in range(16):
        path = live.path(tile=2, subband=subband)
        live.edit(shift_time(3600), path)
        live.rename(path, 3600)
    plan = current_plan(live.live_config, now=live.now + timedelta(seconds=3600 + 309))
    assert [len(group.tiles) for group in plan.groups.values()] == [2]


def test_a_modification_time_ahead_of_the_clock_is_measured_by_the_looks_at_the_file(live):
    config = live.live_config.model_copy(update={"ingest": IngestOptions(settle_s=60.0)})
    now = datetime.now(UTC)
    for path in (live.place / "incoming").iterdir():
        age = -86400 if path.name.startswith("2026-02-11T12:01") else 3600
        os.utime(path, (now.timestamp() - age,) * 2)
    ids = [tile.tile_id for tile in live.night.tiles]
    first = current_plan(config, now=now)
    (waiting,) = [w for w in first.waiting if w.what == "tile"]
    assert (waiting.code, waiting.since[:16]) == ("growing", "2026-02-11T12:01")
    assert "86400 s ahead of this computer's clock" in waiting.message and "ingest.settle_s" in waiting.message
    assert current_plan(config, now=now + timedelta(seconds=59)).groups == {}
    settled = current_plan(config, now=now + timedelta(seconds=61))
    assert list(settled.tiles) == ids
    assert current_plan(config, now=now + timedelta(seconds=62)) == settled


def test_a_file_stamped_ahead_that_changes_is_waited_for_again(live):
    config = live.live_config.model_copy(update={"ingest": IngestOptions(settle_s=60.0)})
    now = datetime.now(UTC)
    for path in (live.place / "incoming").iterdir():
        os.utime(path, (now.timestamp() - 3600,) * 2)
    os.utime(live.path(), (now.timestamp() + 7200,) * 2)
    current_plan(config, now=now)
    os.utime(live.path(), (now.timestamp() + 7300,) * 2)
    assert current_plan(config, now=now + timedelta(seconds=61)).groups == {}
    assert current_plan(config, now=now + timedelta(seconds=30)).groups == {}  # this computer's clock was set back
    assert current_plan(config, now=now + timedelta(seconds=89)).groups == {}
    assert len(current_plan(config, now=now + timedelta(seconds=91)).groups) == 1


@pytest.mark.parametrize("stamp", [1e11, -1e10])
def test_absurd_modification_times_stop_nothing(live, stamp):
    try:
        os.utime(live.path(), (stamp, stamp))
    except OverflowError:
        pytest.skip("this filesystem cannot hold such a time")
    plan = current_plan(live.live_config, now=live.now + timedelta(days=2))
    assert len(plan.tiles) == 3


@pytest.mark.parametrize("name", [b"\xff\xfe.hdf5", b"two\nlines.hdf5", b"\x1b[31m.hdf5", "é_sb03.hdf5".encode()])
def test_names_that_are_no_text_can_be_shown(live, name):
    Path(os.fsdecode(os.path.join(os.fsencode(live.place / "incoming"), name))).write_bytes(b"")
    plan = current_plan(live.live_config, now=live.now)
    (row,) = plan.quarantined
    assert row.code == "name"
    assert row.message.isprintable() and row.path.isprintable()
    row.message.encode("utf-8")
    frozen.freeze(plan, live.live_config)


def test_a_subband_file_of_another_night_is_too_few_for_a_tile(live):
    copy_of_that_time(live, "2025-06-07T08:09:10")
    plan = current_plan(live.live_config, now=live.now)
    assert [item.code for item in plan.quarantined] == ["too_few_subbands"]
