"""Groups that are settled and long past are not read again, until their marker changes."""

import os
from datetime import datetime

import pytest

from contimg import naming
from contimg.errors import InputError
from contimg.plan import observe
from contimg.plan.observe import committed_groups
from contimg.plan.settled import SettledGroups
from contimg.storage import notes
from contimg.storage.atomic import write_json
from tests.support import mosaics

OLD, NEW = "2026-02-01T00:00:00", "2026-02-11T00:00:00"
SINCE = naming.parse_id("2026-02-09T00:00:00")


@pytest.fixture
def config(tmp_path):
    made = mosaics.config_below(tmp_path)
    for group in (OLD, NEW):
        settle(made, group)
    return made


def settle(config, group, status="published"):
    write_json(config.layout.group(group), {"id": group, "tiles": [{"id": group, "name_time": group, "files": ["a"]}]})
    write_json(config.layout.twin("published", group), {"status": status, "version": 1, "data_id": "x", "time": "t"})


def ids(config, **options):
    return [group.id for group in committed_groups(config, since=SINCE, **options)]


def read(monkeypatch):
    """Return the list to which the groups that are read are added."""
    seen, honest = [], observe.read_group
    monkeypatch.setattr(observe, "read_group", lambda place: seen.append(place.stem) or honest(place))
    return seen


def test_a_past_group_is_read_once(config, monkeypatch):
    seen = read(monkeypatch)
    assert ids(config) == [OLD, NEW]
    assert ids(config) == [NEW] and ids(config) == [NEW]
    assert seen.count(naming.stem(OLD)) == 1 and seen.count(naming.stem(NEW)) == 3


def test_without_a_moment_all_are_read(config):
    ids(config)
    assert [group.id for group in committed_groups(config)] == [OLD, NEW]


def test_a_marker_that_changes_or_goes_brings_its_group_back(config):
    ids(config)
    settle(config, OLD, "held")
    later = datetime.now().timestamp() + 5
    os.utime(config.layout.twin("published", OLD), (later, later))
    assert next((group.id, group.settled) for group in committed_groups(config, since=SINCE)) == (OLD, False)
    assert ids(config) == [OLD, NEW]  # open, so that it is read each time
    settle(config, OLD)
    assert ids(config) == [OLD, NEW] and ids(config) == [NEW]
    config.layout.twin("published", OLD).unlink()
    assert ids(config) == [OLD, NEW]


def test_a_night_that_is_asked_for_is_read(config):
    ids(config)
    asked = config.model_copy(update={"nights": [OLD[:10]]})
    assert ids(asked) == [OLD, NEW]


@pytest.mark.parametrize("content", [b"", b"[]", b'{"a": ', b'{"groups": {}, "nights": {}}', notes._framed(b"[]")])
def test_a_damaged_memory_costs_time_only(config, content):
    config.layout.cache.mkdir(parents=True, exist_ok=True)
    (config.layout.cache / "settled.json").write_bytes(content)
    assert ids(config) == [OLD, NEW] and ids(config) == [NEW]
    assert list(notes.read_note(config.layout.cache / "settled.json")["groups"]) == [
        naming.stem(OLD),
        naming.stem(NEW),
    ]


def past(config):
    """Give the folders of markers the times of days ago, as they have in a season."""
    for folder in (config.layout.stage / "published").iterdir():
        os.utime(folder, (1.7e9, 1.7e9))


def test_markers_of_a_night_whose_folder_did_not_change_are_not_looked_at(config, monkeypatch):
    past(config)
    assert ids(config) == [OLD, NEW]
    listed, honest = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda place: listed.append(os.fspath(place)) or honest(place))
    assert ids(config) == [NEW]
    assert [one for one in listed if "published/" in one] == []
    settle(config, OLD, "held")  # replaces the marker by a rename, as everything that writes markers does
    assert ids(config) == [OLD, NEW]


def test_a_folder_that_was_just_changed_is_looked_at_again(config):
    """Its marker is replaced within the tick in which the folder was listed: the folder's time is as it was."""
    ids(config)
    folder = config.layout.twin("published", OLD).parent
    before = folder.stat()
    marker = config.layout.twin("published", OLD)
    settle(config, OLD, "held")
    os.utime(marker, ns=(0, marker.stat().st_mtime_ns + 1))
    os.utime(folder, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert ids(config) == [OLD, NEW]


def test_who_may_only_read_plans_all_the_same(config, monkeypatch):
    def refuse(*_args, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("contimg.storage.notes.atomic_path", refuse)
    assert ids(config) == [OLD, NEW] and ids(config) == [OLD, NEW]


def test_a_group_file_with_a_foreign_name_is_refused_as_before(config):
    (config.layout.stage / "groups" / "notes.json").write_text("{")
    with pytest.raises(InputError, match=r"notes\.json"):
        ids(config)


def test_nothing_is_written_without_a_change(config):
    ids(config)
    place = config.layout.cache / "settled.json"
    before = place.stat().st_mtime_ns
    remembered = SettledGroups(config.layout)
    remembered.note(naming.stem(NEW), settled=True)
    remembered.save()
    assert place.stat().st_mtime_ns == before and naming.stem(OLD) in remembered.unchanged()
    remembered.note(naming.stem(NEW), settled=False)
    remembered.save()
    assert naming.stem(NEW) not in SettledGroups(config.layout).unchanged()
