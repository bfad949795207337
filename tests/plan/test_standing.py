"""Files of the stage that say what a group is and what became of it, whole and damaged."""

import json

import pytest

from contimg.errors import InputError
from contimg.plan.standing import read_group, read_marker, read_pruned, read_quarantine

ID = "2026-02-11T11:51:36"
TILE = {"id": ID, "name_time": "2026-02-11T11:51:37", "files": ["c"]}
GROUP = {"id": ID, "tiles": [TILE]}
STEM = "20260211T115136"


def test_what_is_whole_is_returned(tmp_path):
    path = tmp_path / f"{STEM}.json"
    marker = {"status": "published", "version": 1, "time": "2026-02-12T00:00:00Z", "path": "/p"}
    for read, content in ((read_group, GROUP), (read_marker, marker), (read_pruned, {"version": 3})):
        path.write_text(json.dumps(content))
        assert read(path) == content


@pytest.mark.parametrize(
    ("read", "content", "remedy"),
    [
        (read_group, {"id": "x"}, "delete it and its group is planned anew"),
        *(
            (read_group, change, r" is damaged \('.+': .+\): restore it, or delete it and its group is planned anew")
            for change in (
                *(
                    GROUP | {"id": one}
                    for one in (None, 3, 1e999, "x", "/etc/passwd", f"{ID}Z", STEM, "2026-02-30T00:00:00")
                ),
                *(GROUP | {"tiles": one} for one in (3, "", [], {}, [None], [[]], [{"id": ID}])),
                *(GROUP | {"tiles": [TILE | {"files": one}]} for one in (None, "c", [1], {"c": 1})),
                *(GROUP | {"tiles": [TILE | {"name_time": one}]} for one in (0, None, "9999-99-99T00:00:00", "a\0")),
            )
        ),
        (read_group, GROUP | {"id": "2026-02-11T11:51:37"}, "it is of group 2026-02-11T11:51:37"),
        *((read_marker, {"status": "x", "version": one, "time": "x"}, "'version'") for one in (True, "1", 1.0, None)),
        (read_marker, {"status": ["x"], "version": 1, "time": "x"}, "'status'"),
        (read_pruned, {"version": "1"}, "'version'.*contimg prune"),
        (read_marker, {"status": "published", "version": 1}, "it has no 'time'.*contimg reconcile"),
        (read_pruned, {}, "contimg prune"),
    ],
)
def test_what_lacks_something_says_what_to_type(tmp_path, read, content, remedy):
    path = tmp_path / f"{STEM}.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=remedy):
        read(path)


@pytest.mark.parametrize("read", [read_group, read_marker, read_pruned])
def test_a_missing_one_is_missing(tmp_path, read):
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "none.json")


def test_damaged_rows_of_what_was_set_aside_are_left_out(tmp_path):
    row = {"path": "/in/a.hdf5", "code": "times", "message": "torn", "name_time": ID}
    odd = [None, "x", {}, row | {"path": 3}, row | {"path": ["x"]}, row | {"code": None}, row | {"name_time": {}}]
    (tmp_path / "day.json").write_text(json.dumps([*odd, row]))
    assert read_quarantine(tmp_path / "day.json") == [row]
    for content in ("", "{}", "[" * 100_000):
        (tmp_path / "day.json").write_text(content)
        assert read_quarantine(tmp_path / "day.json") is None
    assert read_quarantine(tmp_path / "none.json") is None
