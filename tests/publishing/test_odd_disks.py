"""What disks and people do to an archive: one bundle is named and set aside, and the others are looked at."""

import errno
import functools
import json
import os
import shutil
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from contimg import naming
from contimg.bundle import bundle
from contimg.errors import RegistryError
from contimg.products.twin import Twin, twin_digest
from contimg.publishing import decisions
from contimg.publishing.deciding import Named
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.reconcile import reconcile
from contimg.publishing.register import register
from contimg.publishing.register_mosaic import register_mosaic
from contimg.publishing.scrub import scrub
from contimg.registry import queries
from contimg.storage import safe_files
from tests.publishing.test_archive_root import lose_rows
from tests.support import mosaics
from tests.support.bundles import seal

ID = mosaics.MOSAIC
OTHER = "2026-02-13T00:26:49"


@pytest.fixture
def two(registry, config):
    """The folders of two published mosaics, of two days."""
    first = mosaics.run(config).path
    mosaics.make_mosaic(config, tiles=(OTHER,))
    register_mosaic(naming.mosaic_id(OTHER), config)
    return first, publish_mosaic(naming.mosaic_id(OTHER), config, waits_s=()).path


def rot(monkeypatch, file, number=errno.EIO):
    """Let the disk refuse to give the content of a file back, as ZFS and btrfs do for a block that has rotted."""
    real = os.readv

    def readv(descriptor, buffers):
        if os.readlink(f"/proc/self/fd/{descriptor}") == str(file):
            raise OSError(number, os.strerror(number))
        return real(descriptor, buffers)

    monkeypatch.setattr(safe_files.os, "readv", readv)


@pytest.mark.parametrize("number", [errno.EIO, errno.EBADMSG, errno.EUCLEAN])
def test_a_rotten_file_is_a_problem_of_that_file(registry, config, two, monkeypatch, number):
    first, second = two
    rot(monkeypatch, first / "data" / f"{ID}.fits", number)
    (problem,) = bundle.verify(first).problems
    assert (problem.path, problem.kind) == (f"data/{ID}.fits", "unreadable")
    assert str(first / "data" / f"{ID}.fits") in problem.message
    assert bundle.verify(second).ok
    found = {one.data_id: one for one in reconcile(registry, config.layout) if one.code == "altered"}
    assert list(found) == [ID] and f"{ID}.fits cannot be read from its disk" in found[ID].message
    monkeypatch.undo()  # the disk gave it another block
    assert publish_mosaic(ID, config, waits_s=()).created and bundle.verify(first).ok


@pytest.mark.parametrize("noted", [False, True], ids=["by reconcile", "by verify"])
@pytest.mark.parametrize("silent", [False, True], ids=["EIO", "silent"])
def test_rot_that_leaves_the_times_of_a_file_is_repaired_where_its_mosaic_is_named(
    registry, config, two, monkeypatch, silent, noted
):
    """What `verify` found wrong is also read where a product is only published again."""
    rotten, real = two[0] / "data" / f"{ID}.fits", os.readv
    time.sleep(0.05)  # the kernel's clock for times of files ticks every 1 to 10 ms
    assert all(one["ok"] for one in scrub(registry))

    def readv(descriptor, buffers):
        if os.readlink(f"/proc/self/fd/{descriptor}") != str(rotten):
            return real(descriptor, buffers)
        if not silent:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        count = real(descriptor, buffers)
        buffers[0][0] ^= 1
        return count

    monkeypatch.setattr(safe_files.os, "readv", readv)
    assert reconcile(registry, config.layout, ID, every_byte=False) == []
    if noted:
        assert [one["ok"] for one in scrub(registry) if one["data_id"] == ID] == [False]
    (found, *_) = reconcile(registry, config.layout, ID, every_byte=not noted)
    assert (found.code, found.repaired) == ("altered", True) and str(rotten) in found.message
    monkeypatch.undo()  # another block
    assert publish_mosaic(ID, config, waits_s=()).created and all(one["ok"] for one in scrub(registry))


def test_what_a_clock_set_ahead_found_right_is_read_again(registry, config, two):
    with registry.transaction() as connection:
        connection.execute(text("UPDATE data_registry SET verified_at = '2099-01-01T00:00:00.000Z'"))
    file = two[0] / "data" / f"{ID}.fits"
    file.write_bytes(b"?" + file.read_bytes()[1:])
    (found, *_) = reconcile(registry, config.layout, ID, every_byte=False)
    assert (found.code, found.repaired) == ("altered", True)


@pytest.mark.parametrize("data_id", [ID, None])
@pytest.mark.parametrize("errors", [2, 5])
def test_a_disk_that_fails_for_a_while_takes_nothing_out_of_sight(registry, config, two, monkeypatch, errors, data_id):
    """Seed 2245986: two readings of the bundle failed, and the copy on the stage could be read again."""
    rotten, left, real = two[0] / "data" / f"{ID}.fits", [errors], os.readv

    def readv(descriptor, buffers):
        if left[0] > 0 and os.readlink(f"/proc/self/fd/{descriptor}") == str(rotten):
            left[0] -= 1
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(descriptor, buffers)

    monkeypatch.setattr(safe_files.os, "readv", readv)
    found = reconcile(registry, config.layout, data_id)
    if errors == 2:
        assert found == [] and left == [0]
        assert queries.get(registry, ID)["status"] == "published" and two[0].is_dir()
    else:  # also when it is looked at once more: that is the disk
        assert [one.code for one in found] == ["altered", "marker_differs"]
        assert queries.get(registry, ID)["status"] == "staging"


def test_a_server_that_does_not_answer_is_no_problem_of_a_file(registry, config, two, monkeypatch):
    rot(monkeypatch, two[0] / "data" / f"{ID}.fits", errno.ESTALE)
    with pytest.raises(OSError, match="Stale"):
        bundle.verify(two[0])
    (found,) = reconcile(registry, config.layout)
    assert (found.code, found.data_id, found.needs_person) == ("unreadable", ID, True)
    assert queries.get(registry, ID)["status"] == "published"


@pytest.fixture
def linked(config, two, tmp_path):
    """The first mosaic's date was moved to another disk, and a link was left."""
    date = two[0].parent
    shutil.copytree(date, tmp_path / date.name)
    shutil.rmtree(date)
    date.symlink_to(tmp_path / date.name)
    return date


def test_a_date_that_was_replaced_by_a_link_is_said_and_nothing_is_recorded(registry, config, two, linked):
    before = queries.events(registry, ID)
    for _ in range(2):
        (found,) = reconcile(registry, config.layout)
        assert (found.code, found.data_id, found.needs_person) == ("unreadable", ID, True)
        assert f"{linked} is a symlink" in found.message and "mount that disk there" in found.message
    with pytest.raises(RegistryError, match="is a symlink"):
        decisions.withdraw(registry, config.layout, ID, "wrong")
    assert queries.events(registry, ID) == before and queries.get(registry, ID)["status"] == "published"
    assert decisions.withdraw(registry, config.layout, naming.mosaic_id(OTHER), "wrong")["status"] == "withdrawn"


@pytest.mark.parametrize("place", ["bundle", "date"])
def test_verifying_names_a_link_although_every_byte_behind_it_is_right(registry, config, two, tmp_path, place):
    linked = two[0] if place == "bundle" else two[0].parent
    shutil.move(linked, tmp_path / "elsewhere")
    linked.symlink_to(tmp_path / "elsewhere")
    seen = {one["data_id"]: one["problems"] for one in scrub(registry)}
    (problem,) = seen[ID]
    assert problem.startswith(f"{linked} is a symlink (to {tmp_path / 'elsewhere'})") and seen[two[1].name] == []


@pytest.mark.parametrize("place", ["bundle", "date"])
def test_what_cannot_be_moved_is_not_recorded_as_withdrawn(registry, config, two, monkeypatch, place):
    refused = two[0] if place == "bundle" else two[0].parent
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != str(refused) and real(path, mode))
    before = queries.events(registry, ID)
    with pytest.raises(RegistryError, match=rf"{refused} is not writable.*mount the archive for writing"):
        decisions.withdraw(registry, config.layout, ID, "wrong")
    assert queries.events(registry, ID) == before and two[0].is_dir()
    assert reconcile(registry, config.layout) == []


FORGED = {"time": "2026-01-01T00:00:00.000Z", "decision": "approved", "reason": "r", "by": "b", "host": "h"}
EDITS = {
    "version": 9, "sha256": "0" * 64, "data_id": "mosaic_20260101T000000", "qa_status": "failed", "auto_publish": False,
    "validation_status": "failed", "held_json": "[]", "created_at": "2020-01-01T00:00:00.000Z", "staged_at": None,
    "approved_by": "mallory", "approved_reason": "because", "decisions": [FORGED],
}  # fmt: skip


@pytest.mark.parametrize("harm", ["gone", *EDITS])
def test_a_record_that_is_gone_or_was_edited_is_noticed_and_written_anew(registry, config, two, harm):
    """Each field, a decision too that somebody put before those that were made."""
    if harm == "decisions":
        decisions.withdraw(registry, config.layout, ID, "wrong")
        decisions.restore(registry, config.layout, ID, "right after all")
    record = two[0] / bundle.PUBLICATION
    right = record.read_bytes()
    content = json.loads(right)
    record.unlink()
    if harm == "decisions":
        content["decisions"].insert(0, FORGED)
        record.write_text(json.dumps(content))
    elif harm != "gone":
        assert content[harm] != EDITS[harm]
        record.write_text(json.dumps(content | {harm: EDITS[harm]}))
    seen = {one["data_id"]: one["problems"] for one in scrub(registry, note=False)}
    what = "is missing" if harm == "gone" else f"does not say what the registry does ({harm})"
    assert seen[ID] == [f"{record} {what}: contimg reconcile {ID} writes it anew"] and seen[two[1].name] == []
    found = reconcile(registry, config.layout)
    assert [(one.code, one.data_id, one.repaired) for one in found] == [("record_differs", ID, True)]
    assert record.read_bytes() == right and reconcile(registry, config.layout) == []
    assert all(one["ok"] for one in scrub(registry))


@pytest.mark.parametrize("content", ["{", "[]", '{"version": "1"}', '{"decisions": [3]}'])
def test_a_torn_record_is_a_problem_of_that_bundle(registry, config, two, content):
    record = two[0] / bundle.PUBLICATION
    right = record.read_bytes()
    record.unlink()
    record.write_text(content)
    seen = {one["data_id"]: one["problems"] for one in scrub(registry)}
    assert len(seen[ID]) == 1 and str(record) in seen[ID][0] and seen[two[1].name] == []
    found = reconcile(registry, config.layout)
    assert [(one.code, one.data_id, one.needs_person) for one in found] == [("record_unreadable", ID, True)]
    record.unlink()  # what the message says
    reconcile(registry, config.layout)
    assert record.read_bytes() == right


@pytest.mark.parametrize("place", ["stage", "hidden"])
def test_a_record_that_was_edited_elsewhere_is_written_anew_too(registry, config, two, place):
    if place == "hidden":
        decisions.withdraw(registry, config.layout, ID, "wrong")
    row = queries.get(registry, ID)
    record = Path(row["published_path"] if place == "hidden" else row["stage_path"]) / bundle.PUBLICATION
    content = json.loads(record.read_bytes())
    record.unlink()
    record.write_text(json.dumps(content | {"created_at": "2020-01-01T00:00:00.000Z"}))
    assert [one.code for one in reconcile(registry, config.layout)] == ["record_differs"]
    assert json.loads(record.read_bytes())["created_at"] == content["created_at"]
    assert reconcile(registry, config.layout) == []


def test_a_rebuilt_registry_agrees_with_the_records_of_held_and_approved_mosaics(registry, config, two):
    """Also with why it was held, which the earlier version decided."""
    mosaics.make_mosaic(config, seed=2, rms_mjy=9.0)
    register_mosaic(ID, config)
    assert publish_mosaic(ID, config, waits_s=()).status == "held"
    decisions.approve(registry, config.layout, Named(ID, 2), "looked at it")
    publish_mosaic(ID, config, waits_s=())
    before = [dict(row) for row in queries.versions(registry, ID)]
    lose_rows(registry)
    assert {one.code for one in reconcile(registry, config.layout)} <= {"row_lost", "marker_differs"}
    assert reconcile(registry, config.layout) == []
    kept = ("version", "status", "sha256", "held_json", "approved_by", "approved_reason", "created_at", "staged_at")
    after = [dict(row) for row in queries.versions(registry, ID)]
    assert [[row[key] for key in kept] for row in after] == [[row[key] for key in kept] for row in before]


def test_a_folder_that_nobody_may_read_is_named_and_the_others_are_rebuilt(registry, config, two, monkeypatch):
    lose_rows(registry)
    shutil.rmtree(config.paths.stage / "registered")
    real = safe_files.open_folder

    def open_folder(root, *args, **options):
        if Path(root) == two[0]:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(root))
        return real(root, *args, **options)

    monkeypatch.setattr(safe_files, "open_folder", open_folder)  # root may read everything
    found = {(one.code, one.data_id) for one in reconcile(registry, config.layout)}
    assert found - {("marker_differs", two[1].name)} == {("unreadable", ID), ("row_lost", two[1].name)}


def hostile(kind):
    """Return the content of a metadata.json of a kind."""
    good = {"data_type": "mosaic", "data_id": ID, "synthetic": True, "verdict": {"verdict": "passed"}}
    lineage = {"products": [], "files": []}
    return {
        "list": b"[]",
        "NaN": b'{"data_id": NaN}',
        "deep": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        "types": json.dumps(good | {"verdict": ["passed"], "lineage": lineage}).encode(),
        "lineage": json.dumps(good | {"lineage": {"products": [{"twin": 3}], "files": [None]}}).encode(),
        "empty lineage": json.dumps(good | {"lineage": lineage}).encode(),
        "another id": json.dumps(good | {"data_id": "../../etc", "lineage": lineage}).encode(),
    }[kind]


@pytest.mark.parametrize("kind", ["list", "NaN", "deep", "types", "lineage", "empty lineage", "another id"])
def test_hostile_metadata_sets_that_bundle_aside_and_the_others_are_rebuilt(registry, config, two, kind):
    """The registry is lost; somebody made a bundle whose manifest is right and whose metadata are not."""
    first, second = two
    shutil.rmtree(config.paths.stage / "registered")
    lose_rows(registry)
    (first / "data" / bundle.METADATA).write_bytes(hostile(kind))
    seal(first)
    found = {(one.code, one.data_id, one.repaired) for one in reconcile(registry, config.layout)}
    assert ("foreign", ID, False) in found and ("row_lost", second.name, True) in found
    assert [row["data_id"] for row in queries.listing(registry)] == [second.name]


def with_true_digests(content):
    """Return metadata in which every twin has the digest under which it is listed, and its successors name it."""
    for entry in content["lineage"]["products"]:
        digest = twin_digest(Twin.model_validate(entry["twin"]))
        if digest != entry["sha256"]:
            return with_true_digests(json.loads(json.dumps(content).replace(entry["sha256"], digest)))
    return content


@pytest.mark.parametrize("value", [("facts", "freq_hz", "nan"), ("facts", "end_mjd", []), ("id", "")], ids=str)
def test_a_staged_bundle_that_cannot_be_judged_is_set_aside_and_gets_no_row(registry, config, two, value):
    """Its digests agree, and its twins are not those of its files; another bundle is to be rebuilt beside it."""
    first, second = two
    shutil.rmtree(first)
    lose_rows(registry)
    staged = config.paths.stage / "registered/2026-02-11" / ID / "v1"
    place = staged / "data" / bundle.METADATA
    content = json.loads(place.read_bytes())
    *keys, last, new = value
    part = next(one["twin"] for one in content["lineage"]["products"] if one["twin"]["kind"] == "image")
    functools.reduce(dict.__getitem__, keys, part)[last] = new
    place.unlink()
    place.write_bytes(json.dumps(with_true_digests(content)).encode())
    seal(staged)
    found = {(one.code, one.data_id, one.repaired) for one in reconcile(registry, config.layout)}
    assert found >= {("foreign", ID, False), ("row_lost", second.name, True)}
    assert [row["data_id"] for row in queries.listing(registry)] == [second.name]
    (left,) = reconcile(registry, config.layout)
    assert left.code == "foreign" and left.needs_person


def test_an_altered_bundle_out_of_sight_is_said(registry, config, two):
    """It could not be restored; whoever may do without it removes it."""
    _first, second = two
    decisions.withdraw(registry, config.layout, Named(ID, 1), "a satellite in it")
    hidden = Path(queries.get(registry, ID)["published_path"])
    assert reconcile(registry, config.layout) == []
    file = hidden / "data" / f"{ID}.fits"
    file.chmod(0o644)
    file.write_bytes(b"?" + file.read_bytes()[1:])
    for data_id in (None, ID):
        (found,) = reconcile(registry, config.layout, data_id)
        assert (found.code, found.data_id, found.needs_person) == ("altered", ID, True)
        assert str(file) in found.message and f"remove {hidden}" in found.message
    assert bundle.verify(second).ok
    shutil.rmtree(hidden)
    assert reconcile(registry, config.layout) == []


@pytest.mark.parametrize("harm", ["a file gone", "manifest"])
def test_what_was_rejected_before_it_was_judged_may_be_damaged(registry, config, harm):
    """The same command has nothing to do for it: it must not fail until somebody makes the bundle again."""
    mosaics.make_mosaic(config)
    row = register(registry, config.layout, ID, auto_publish=True)
    decisions.reject(registry, config.layout, Named(ID, 1), "a satellite in it")
    file = row.path / (bundle.MANIFEST if harm == "manifest" else f"data/{ID}.fits")
    file.unlink()
    if harm == "manifest":
        file.write_text("nonsense\n")
    register_mosaic(ID, config)
    assert publish_mosaic(ID, config, waits_s=()).status == "rejected"
    assert queries.get(registry, ID)["status"] == "rejected"
