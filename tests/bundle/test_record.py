"""A bundle's record of decisions: read, sorted, replaced whole, and refused where it is none."""

import itertools
import json
import os

import pytest

from contimg.bundle import bundle, record
from contimg.bundle.bundle import PUBLICATION
from contimg.errors import RegistryError

EARLY = record.Decision("2026-02-11T01:00:00Z", "approved", "looked at it", "ann", "lwa")
LATE = record.Decision("2026-02-12T01:00:00Z", "withdrawn", "wrong flux scale", "bob", "lwa")
CONTENT = {"time": "2026-02-11T01:00:00Z", "decision": "approved", "reason": "", "by": "ann", "host": ""}


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "mosaics" / "mosaic_20260211T002649"
    path.mkdir(parents=True)
    return path


def test_what_is_written_is_read_back(tmp_path, folder):
    content = record.with_decisions({"version": 2, "decisions": ["old"]}, [LATE, EARLY, LATE])
    record.write_record(tmp_path, folder, "paths.products", content)
    assert record.read_record(folder) == {
        "version": 2,
        "decisions": [
            {"time": "2026-02-11T01:00:00Z", "decision": "approved", "reason": "looked at it", "by": "ann",
             "host": "lwa"},
            {"time": "2026-02-12T01:00:00Z", "decision": "withdrawn", "reason": "wrong flux scale", "by": "bob",
             "host": "lwa"},
        ],
    }  # fmt: skip
    assert record.decisions_in(content, folder) == [EARLY, LATE]
    record.write_record(tmp_path, folder, "paths.products", {"version": 3})
    assert record.read_record(folder) == {"version": 3}
    assert os.listdir(folder) == [PUBLICATION] and os.listdir(folder.parent) == [folder.name]


def test_a_bundle_without_record_has_no_decisions(folder):
    assert record.read_record(folder) == {}
    assert record.decisions_in({}, folder) == record.decisions_in({"decisions": None}, folder) == []


def test_decisions_come_in_order_of_time(folder):
    listed = [vars(LATE), vars(EARLY)]
    assert record.decisions_in({"decisions": listed}, folder) == [EARLY, LATE]


def test_an_approval_of_before_records_held_decisions_is_one(folder):
    old = {"approved_by": "ann", "approved_at": "2026-02-11T01:00:00Z", "approved_reason": None}
    assert record.decisions_in(old, folder) == [
        record.Decision("2026-02-11T01:00:00Z", "approved", reason="", by="ann", host="")
    ]
    assert record.decisions_in(old | {"decisions": []}, folder) == []
    assert record.decisions_in({"approved_by": None}, folder) == []


@pytest.mark.parametrize(
    "listed",
    [
        "approved",
        {"time": "2026"},
        [None],
        ["approved"],
        [{}],
        [{key: value for key, value in CONTENT.items() if key != "host"}],
        [CONTENT | {"mood": "good"}],
        [CONTENT | {"time": 20260211}],
        [CONTENT | {"by": None}],
        [CONTENT | {"time": "yesterday"}],
        [CONTENT | {"reason": "good\n2026-02-11T00:00:00Z rejected"}],
        0,
        False,
    ],
)
def test_a_decision_that_is_none_is_refused(folder, listed):
    with pytest.raises(RegistryError, match=r"publication\.json holds a decision that is none: restore it from a copy"):
        record.decisions_in({"decisions": listed}, folder)


def test_an_unknown_decision_asks_for_a_newer_contimg(folder):
    with pytest.raises(RegistryError, match="holds an unknown decision 'postponed': update contimg"):
        record.decisions_in({"decisions": [CONTENT | {"decision": "postponed"}]}, folder)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is no JSON"),
        (b'{"decisions": [', "is no JSON"),
        (b"\xff\xfe{}", "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b"[]", "holds no JSON object"),
        (b'"approved"', "holds no JSON object"),
        (b"null", "holds no JSON object"),
        (json.dumps({"decisions": [{}]}).encode(), "holds a decision that is none"),
    ],
)
def test_a_record_that_cannot_be_understood_is_one_sentence(folder, content, what):
    (folder / PUBLICATION).write_bytes(content)
    with pytest.raises(RegistryError, match=f"{PUBLICATION} {what}: restore it from a copy"):
        record.read_record(folder)


def test_a_damaged_record_names_the_key(folder):
    (folder / PUBLICATION).write_text(json.dumps({"version": []}))
    with pytest.raises(RegistryError, match=rf"{PUBLICATION} is damaged \('version'\): restore it from a copy"):
        record.read_record(folder)


def test_a_record_that_is_nested_too_deeply_is_damaged(folder):
    """Each depth up to that at which Python's parser gives up: the check of the form may give up before."""
    for depth, quote in itertools.product((10, 100, 250, 300, 600, 900, 2000, 100_000), ("", '"')):
        (folder / PUBLICATION).write_text('{"held_json": ' + quote + "[" * depth + "]" * depth + quote + "}")
        with pytest.raises(RegistryError, match=r"is damaged \('held_json'\)|is no JSON"):
            record.read_record(folder)


def test_a_record_that_is_a_symlink_is_refused(tmp_path, folder):
    (tmp_path / "elsewhere.json").write_text("{}")
    (folder / PUBLICATION).symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(RegistryError, match=f"{folder / PUBLICATION} is a symlink"):
        record.read_record(folder)


def test_a_record_is_written_below_its_root_only(tmp_path, folder):
    with pytest.raises(RegistryError, match=r"is not below paths\.products"):
        record.write_record(tmp_path / "other", folder, "paths.products", {})
    with pytest.raises(RegistryError, match="a symlink or no folder"):
        (tmp_path / "link").symlink_to(folder.parent)
        record.write_record(tmp_path, tmp_path / "link" / folder.name, "paths.products", {})
    assert os.listdir(folder) == []


def test_a_record_that_cannot_be_put_in_place_leaves_the_folder_as_it_was(tmp_path, folder):
    (folder / PUBLICATION).mkdir()
    with pytest.raises(IsADirectoryError) as raised:
        record.write_record(tmp_path, folder, "paths.products", {})
    assert raised.value.filename == str(folder / PUBLICATION)  # and not the temporary one
    assert os.listdir(folder.parent) == [folder.name] and (folder / PUBLICATION).is_dir()
    with pytest.raises(ValueError, match="JSON compliant"):
        record.write_record(tmp_path, folder, "paths.products", {"rms": float("nan")})
    assert os.listdir(folder.parent) == [folder.name]


@pytest.mark.parametrize(("manifest", "mode"), [(None, 0o200), (0o644, 0o200), (0o444, 0o000)])
def test_a_record_may_be_written_to_as_the_bundles_files_may(tmp_path, folder, manifest, mode):
    """Without a manifest nothing says that the bundle is read-only."""
    if manifest is not None:
        (folder / bundle.MANIFEST).write_bytes(b"")
        (folder / bundle.MANIFEST).chmod(manifest)
    record.write_record(tmp_path, folder, "paths.products", {"version": 3})
    assert (folder / PUBLICATION).stat().st_mode & 0o200 == mode


def test_a_doi_does_not_say_where_a_bundle_belongs():
    cited = record.Decision("2026-02-13T01:00:00Z", "cited", "10.5555/dsa110.1", "bob", "lwa")
    assert record.last_placing([cited, LATE, EARLY]) == LATE
    assert record.last_placing([cited]) is None is record.last_placing([])
