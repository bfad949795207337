"""Files of the stage that say what a group is and what became of it, whole and damaged."""

import json

import pytest

from contimg.errors import InputError
from contimg.plan.standing import read_group, read_marker, read_note

GROUP = {"id": "2026-02-11T11:51:36", "tiles": [{"id": "a", "name_time": "b", "files": ["c"]}]}


def test_what_is_whole_is_returned(tmp_path):
    path = tmp_path / "one.json"
    marker = {"status": "published", "version": 1, "time": "2026-02-12T00:00:00Z", "path": "/p"}
    for read, content in ((read_group, GROUP), (read_marker, marker), (read_note, {"version": 3})):
        path.write_text(json.dumps(content))
        assert read(path) == content


@pytest.mark.parametrize(
    ("read", "content", "remedy"),
    [
        (read_group, {"id": "x"}, "delete it and its group is planned anew"),
        (read_group, GROUP | {"tiles": [{"id": "a"}]}, "its tiles are not described"),
        (read_group, GROUP | {"tiles": 3}, "its tiles are not described"),
        (read_group, GROUP | {"tiles": [{"id": "a", "name_time": "b", "files": None}]}, "its tiles are not described"),
        (read_marker, {"status": "published", "version": 1}, "it has no 'time'.*contimg reconcile"),
        (read_note, {}, "contimg prune"),
    ],
)
def test_what_lacks_something_says_what_to_type(tmp_path, read, content, remedy):
    path = tmp_path / "one.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=remedy):
        read(path)


@pytest.mark.parametrize("read", [read_group, read_marker, read_note])
def test_a_missing_one_is_missing(tmp_path, read):
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "none.json")
