"""Space by kind, growth, and the day on which a disk is full."""

import json
import os
from datetime import UTC, datetime, timedelta

import pytest

from contimg.retention.usage import full_on, growth_of_disk, note_free_space, size_of_kind, usage
from contimg.storage.atomic import write_json
from tests.support import mosaics

NOW = datetime(2026, 3, 1, tzinfo=UTC)
GB = 10**9


@pytest.fixture
def config(tmp_path):
    return mosaics.config_below(tmp_path)


def write(path, size, age_days):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    moment = NOW.timestamp() - age_days * 86400
    os.utime(path, (moment, moment))


def test_each_kind_is_measured_with_what_came_lately(config, tmp_path):
    write(config.layout.product("image", mosaics.GROUP) / "a.fits", 8192, 1)
    write(config.layout.product("image", mosaics.GROUP) / "b.fits", 4096, 30)
    write(config.layout.cache / "headers" / "a.json", 4096, 1)
    write(tmp_path / "work" / "logs" / "image_tile" / "a.log", 4096, 1)
    found = {one.kind: one for one in usage(config, tmp_path / "work", now=NOW).kinds}
    assert (found["image"].bytes, found["image"].files, found["image"].recent_bytes) == (12288, 2, 8192)
    assert (found["cache"].bytes, found["logs"].bytes, found["ms"].bytes) == (4096, 4096, 0)
    assert size_of_kind(config, tmp_path / "work", "image") == 12288


def test_roots_on_one_disk_are_one_disk(config, tmp_path):
    (disk,) = usage(config, tmp_path / "work", now=NOW).disks
    assert disk.roots == ["incoming", "stage", "products", "state", "work"]
    assert 0 < disk.free_bytes < disk.total_bytes


@pytest.mark.parametrize(
    ("free", "growth", "day"),
    [
        (100 * GB, 10 * GB, "2026-03-11"), (100 * GB, 0, None), (100 * GB, -GB, None), (4000 * GB, GB, None),
        (0, GB, "2026-03-01"),
    ],
)  # fmt: skip
def test_the_day_on_which_a_disk_is_full(free, growth, day):
    assert full_on(free, growth, NOW) == day


def points(config, slope_gb, days=6.0):
    """Write a history of free space, which falls by a slope [GB/day] with a daily ripple of 2 GB."""
    rows = []
    for hour in range(int(days * 24)):
        age = days - hour / 24
        ripple = 2 * GB * (hour % 24 < 12)
        free = 500 * GB + slope_gb * GB * age + ripple
        rows.append({"time": NOW.timestamp() - age * 86400, "free": {"stage": free, "products": 9 * GB}})
    write_json(config.layout.state / "free_space.json", rows)


def test_growth_is_the_slope_of_the_free_space(config):
    points(config, 30)
    assert growth_of_disk(config, "stage", NOW) / GB == pytest.approx(30, abs=0.1)
    assert growth_of_disk(config, "products", NOW) == 0
    assert growth_of_disk(config, "state", NOW) is None


def test_a_history_of_less_than_a_day_says_nothing(config):
    points(config, 30, days=0.9)
    assert growth_of_disk(config, "stage", NOW) is None


def test_the_history_is_bounded_and_takes_one_point_an_hour(config, tmp_path):
    for hours in range(0, 40 * 24, 6):
        note_free_space(config, tmp_path, now=NOW + timedelta(hours=hours))
        note_free_space(config, tmp_path, now=NOW + timedelta(hours=hours, minutes=30))

    rows = json.loads((config.layout.state / "free_space.json").read_text())
    assert len(rows) == 30 * 4 + 1
    assert set(rows[0]["free"]) == {"incoming", "stage", "products", "state", "work"}


@pytest.mark.parametrize("content", ["", "{torn", "{}", '[1, {"time": 1}]'])
def test_a_damaged_history_begins_anew(config, tmp_path, content):
    place = config.layout.state / "free_space.json"
    place.parent.mkdir(parents=True)
    place.write_text(content)
    note_free_space(config, tmp_path, now=NOW)
    assert growth_of_disk(config, "stage", NOW) is None


@pytest.mark.parametrize(
    "change",
    [{"time": "x"}, {"time": None}, {"free": {"stage": "x"}}, {"free": {"stage": {}}}, {"free": {"stage": None}},
     {"free": {"stage": 10**400}}, {"time": 10**400}, {"time": -1}],
)  # fmt: skip
def test_a_damaged_point_of_the_history_is_left_out(config, tmp_path, change):
    points(config, 30)
    place = config.layout.state / "free_space.json"
    rows = json.loads(place.read_text())
    place.write_text(json.dumps([*rows[:70], rows[70] | change, *rows[71:]]))
    assert growth_of_disk(config, "stage", NOW) / GB == pytest.approx(30, abs=0.2)
    note_free_space(config, tmp_path, now=NOW + timedelta(hours=2))
    assert len(json.loads(place.read_text())) == len(rows)
