"""Replicas follow the archive: made at publication, brought up to date, verified, repaired from, kept by policy."""

import json
import os
import shutil
from pathlib import Path

import pytest

from contimg.bundle import bundle
from contimg.config.sections import ReplicaOptions
from contimg.publishing import deciding, decisions
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.reconcile import reconcile
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry import queries, schema
from contimg.registry.engine import open_sqlite
from contimg.replicas import commits, copies, copy_rows, stores, sync
from contimg.replicas.stores import ReplicaError
from contimg.storage.pace import Pace
from tests.publishing.test_archive_root import lose_rows
from tests.replicas.conftest import files_of, harm
from tests.support import mosaics

ID = mosaics.MOSAIC
PLACE = f"mosaics/2026-02-11/{ID}"


@pytest.fixture
def store(replica):
    return stores.open_store(replica.url)


def synced(registry, config, replica):
    return [(one.version, one.what) for one in sync.sync(registry, config.layout, replica)]


def verified(registry, config, replica, **options):
    return [(one.what, one.message) for one in sync.verify(registry, config.layout, replica, **options)]


def test_a_publication_makes_the_copy(sqlite_registry, replicated, replica, store):
    path = mosaics.run(replicated).path
    digest = bundle.read_manifest(path)[0]
    assert copies.problems_of(store, PLACE, digest) == []
    assert verified(sqlite_registry, replicated, replica) == [("whole", "")]
    assert synced(sqlite_registry, replicated, replica) == []
    assert copy_rows.counts(sqlite_registry, replica.url, "all") == {"missing": 0, "damaged": 0}


def test_a_replica_that_is_not_there_delays_no_publication(sqlite_registry, replicated, replica, store, caplog):
    marker = stores.read_all(store, sync.MARKER)
    store.remove(sync.MARKER)  # what is mounted there now is another disk
    done = mosaics.run(replicated)
    assert done.status == "published" and "mount it; if it is a new one" in caplog.text
    assert copy_rows.counts(sqlite_registry, replica.url, "all") == {"missing": 1, "damaged": 0}
    with pytest.raises(ReplicaError, match=r"has no \.contimg-replica\.json: mount it"):
        synced(sqlite_registry, replicated, replica)
    assert store.names("mosaics") == []
    store.put_new(sync.MARKER, marker)
    ((what, message),) = verified(sqlite_registry, replicated, replica)
    assert what == "problem" and f"has no copy of {PLACE}: contimg replicas sync makes it" in message
    assert synced(sqlite_registry, replicated, replica) == [(1, "copied")]
    assert verified(sqlite_registry, replicated, replica) == [("whole", "")]


def test_a_replica_belongs_to_one_registry(sqlite_registry, replicated, replica, store, tmp_path):
    sync.adopt(sqlite_registry, replica)  # a second time changes nothing
    other = open_sqlite(tmp_path / "other.sqlite3")
    with pytest.raises(ReplicaError, match="is that of another registry"):
        sync.adopt(other, replica)
    with pytest.raises(ReplicaError, match="is that of another registry"):
        sync.opened(other, replica)
    other.close()
    harm(store, sync.MARKER, b"{", tmp_path)
    with pytest.raises(ReplicaError, match="is damaged: remove it, then type contimg replicas adopt"):
        sync.opened(sqlite_registry, replica)


def test_a_folder_that_does_not_exist_is_not_made(sqlite_registry, tmp_path):
    with pytest.raises(ReplicaError, match="does not exist: make it, or mount it"):
        sync.adopt(sqlite_registry, ReplicaOptions(url=str(tmp_path / "nowhere")))
    assert not (tmp_path / "nowhere").exists()


def test_decisions_reach_the_copys_record(sqlite_registry, replicated, replica, store):
    mosaics.run(replicated)
    decisions.withdraw(sqlite_registry, replicated.layout, ID, "wrong flux scale")
    assert synced(sqlite_registry, replicated, replica) == [(1, "recorded")]
    record = json.loads(stores.read_all(store, f"{PLACE}/{bundle.PUBLICATION}"))
    assert [(one["decision"], one["reason"]) for one in record["decisions"]] == [("withdrawn", "wrong flux scale")]
    assert synced(sqlite_registry, replicated, replica) == []


def decisions_in_copy(store):
    return [one["decision"] for one in json.loads(stores.read_all(store, f"{PLACE}/{bundle.PUBLICATION}"))["decisions"]]


def test_a_decision_by_a_clock_that_is_behind_reaches_the_copy(
    sqlite_registry, replicated, replica, store, monkeypatch
):
    mosaics.run(replicated)
    with monkeypatch.context() as patched:
        patched.setattr(deciding, "now", lambda: "2026-02-12T00:00:00.000Z")
        decisions.withdraw(sqlite_registry, replicated.layout, ID, "wrong")
    assert synced(sqlite_registry, replicated, replica) == [(1, "recorded")]
    assert decisions_in_copy(store) == ["withdrawn"] and synced(sqlite_registry, replicated, replica) == []


@pytest.mark.parametrize("while_", ["copied", "recorded"])
def test_a_decision_that_was_made_meanwhile_reaches_the_copy(
    sqlite_registry, replicated, replica, store, monkeypatch, while_
):
    mosaics.run(replicated.model_copy(update={"publish": replicated.publish.model_copy(update={"replicas": []})}))
    if while_ == "recorded":
        assert synced(sqlite_registry, replicated, replica) == [(1, "copied")]
        decisions.cite(sqlite_registry, replicated.layout, ID, "10.5555/a")
    name = "put_copy" if while_ == "copied" else "put_record"
    real = getattr(copies, name)

    def slow(*arguments):
        done = real(*arguments)
        monkeypatch.setattr(copies, name, real)
        decisions.withdraw(sqlite_registry, replicated.layout, ID, "wrong")
        return done

    monkeypatch.setattr(copies, name, slow)
    assert synced(sqlite_registry, replicated, replica)[0] == (1, while_)
    synced(sqlite_registry, replicated, replica)
    assert decisions_in_copy(store)[-1] == "withdrawn" and synced(sqlite_registry, replicated, replica) == []


def test_a_copy_that_the_registry_had_lost_gets_the_decisions_since(sqlite_registry, replicated, replica, store):
    mosaics.run(replicated)
    decisions.cite(sqlite_registry, replicated.layout, ID, "10.5555/a")
    with sqlite_registry.transaction() as connection:
        connection.execute(schema.replica_copies.delete())
    assert synced(sqlite_registry, replicated, replica) == [(1, "copied")]
    assert decisions_in_copy(store) == ["cited"] and synced(sqlite_registry, replicated, replica) == []


def test_damage_is_found_noted_and_mended(sqlite_registry, replicated, replica, store, tmp_path):
    mosaics.run(replicated)
    harm(store, f"{PLACE}/data/{ID}.fits", b"rot", tmp_path)
    ((what, message),) = verified(sqlite_registry, replicated, replica)
    assert what == "problem" and f"{PLACE}/data/{ID}.fits does not have the SHA-256" in message
    assert copy_rows.counts(sqlite_registry, replica.url, "all") == {"missing": 0, "damaged": 1}
    assert synced(sqlite_registry, replicated, replica) == [(1, "repaired")]
    assert verified(sqlite_registry, replicated, replica) == [("whole", "")]
    store.remove(f"commits/2026-02-11/{ID}.json")
    assert verified(sqlite_registry, replicated, replica)[0][0] == "problem"
    assert synced(sqlite_registry, replicated, replica) == [(1, "copied")]
    assert copy_rows.counts(sqlite_registry, replica.url, "all") == {"missing": 0, "damaged": 0}


def test_a_verification_goes_on_where_it_was_and_keeps_its_pace(sqlite_registry, replicated, replica):
    mosaics.run(replicated)
    assert verified(sqlite_registry, replicated, replica, unread_since="2026-01-01T00:00:00.000Z") == []
    assert verified(sqlite_registry, replicated, replica, pace=Pace(seconds=0.0)) == []
    assert verified(sqlite_registry, replicated, replica, data_id="mosaic_20260101T000000") == []
    assert verified(sqlite_registry, replicated, replica, data_id=ID, note=False) == [("whole", "")]


OTHER = "mosaic_20260213T002649"


def two_published(config):
    mosaics.run(config)
    mosaics.make_mosaic(config, tiles=("2026-02-13T00:26:49",))
    register_mosaic(OTHER, config)
    publish_mosaic(OTHER, config, waits_s=())


def spoil(store, kind, tmp_path):
    """Make the copy of the first mosaic odd, in a way that reading its files one by one does not expect."""
    folder = None if store.where.startswith("s3") else Path(store.where)
    commit = f"commits/2026-02-11/{ID}.json"
    if kind == "commit_torn":
        harm(store, commit, b"{", tmp_path)
    elif kind == "another_making":
        harm(store, commit, json.dumps({"manifest_sha256": "0" * 64, "write_id": "theirs"}).encode(), tmp_path)
    elif kind == "commit_is_a_list":
        harm(store, commit, b"[]", tmp_path)
    elif folder is None:
        harm(store, f"{PLACE}/manifest-sha256.txt", b"\xff", tmp_path)
    else:
        place = folder / PLACE / "data"
        place.rename(tmp_path / "away")
        if kind == "fifo":
            os.mkfifo(place)
        elif kind == "link":
            place.symlink_to(tmp_path / "away")
        else:
            place.write_text("x")


@pytest.mark.parametrize("kind", ["commit_torn", "commit_is_a_list", "another_making", "fifo", "link", "file"])
def test_one_odd_copy_does_not_keep_the_others_from_being_read(
    sqlite_registry, replicated, replica, store, tmp_path, kind
):
    two_published(replicated)
    spoil(store, kind, tmp_path)
    with sqlite_registry.transaction() as connection:  # the odd one would be read first
        connection.execute(schema.replica_copies.update().values(verified_at="2026-01-01T00:00:00.000Z"))
    done = list(sync.verify(sqlite_registry, replicated.layout, replica))
    assert [(one.data_id, one.what) for one in done] == [(ID, "problem"), (OTHER, "whole")]
    assert done[0].message and "\n" not in done[0].message
    assert copy_rows.counts(sqlite_registry, replica.url, "all") == {"missing": 0, "damaged": 1}
    (row,) = copy_rows.damaged(sqlite_registry, replica.url)
    assert row["data_id"] == ID


def test_a_replica_that_goes_away_meanwhile_accuses_no_copy(sqlite_registry, replicated, replica, store, monkeypatch):
    two_published(replicated)
    real = commits.commit_of

    def gone(where, place):
        store.remove(sync.MARKER)
        if "20260211" in place:
            raise ReplicaError("the server does not answer")
        return real(where, place)

    monkeypatch.setattr(copies, "commit_of", gone)
    with pytest.raises(ReplicaError, match="mount it"):
        list(sync.verify(sqlite_registry, replicated.layout, replica))
    assert copy_rows.counts(sqlite_registry, replica.url, "all") == {"missing": 0, "damaged": 0}


def test_another_making_is_left_as_it_is_whatever_is_to_be_done(sqlite_registry, replicated, replica, store, tmp_path):
    """Repairing, recording a decision, and removing by policy: each is refused, and the rest is done."""
    mosaics.run(replicated)
    spoil(store, "another_making", tmp_path)
    before = files_of(store)
    refused = f"holds another making of {PLACE} (000000000000), which is never overwritten"
    assert refused in verified(sqlite_registry, replicated, replica)[0][1]

    def acts(replica):
        return [(one.what, refused in one.message) for one in sync.sync(sqlite_registry, replicated.layout, replica)]

    assert acts(replica) == [("problem", True)]
    decisions.cite(sqlite_registry, replicated.layout, ID, "10.5555/dsa110.1")
    assert acts(replica) == [("problem", True)] * 2  # repairing and recording
    copy_rows.note_verified(sqlite_registry, replica.url, {"data_id": ID, "version": 1}, None)
    decisions.withdraw(sqlite_registry, replicated.layout, ID, "wrong")
    with sqlite_registry.transaction() as connection:
        connection.execute(schema.data_registry.update().values(closed_at="2026-01-01T00:00:00.000Z"))
    assert acts(ReplicaOptions(url=replica.url, days=1.0)) == [("problem", True)] * 2  # recording and removing
    assert files_of(store) == before


@pytest.mark.parametrize("what", ["altered", "missing", "record"])
def test_the_archive_is_repaired_from_a_replica(sqlite_registry, replicated, replica, store, tmp_path, what):
    """Neither the bundle nor the mosaic is on the stage any more; ``record``: that of the copy is torn."""
    path = mosaics.run(replicated).path
    content = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    shutil.rmtree(replicated.paths.stage / "registered")
    shutil.rmtree(replicated.layout.product("mosaic", ID))
    if what == "record":
        harm(store, f"{PLACE}/{bundle.PUBLICATION}", b"{", tmp_path)
        what = "missing"
    if what == "missing":
        shutil.rmtree(path)
    else:
        (path / "data" / f"{ID}.fits").write_bytes(b"rot")
    (without,) = (one for one in reconcile(sqlite_registry, replicated.layout, dry_run=True) if one.code == what)
    assert without.needs_person and "no whole copy is on the stage" in without.message
    found = reconcile(sqlite_registry, replicated.layout, replicas=[replica])
    assert found[0].code == what and found[0].repaired and f"from replica {replica.url}" in found[0].message
    assert publish_mosaic(ID, replicated, waits_s=()).created
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == content
    assert reconcile(sqlite_registry, replicated.layout) == []


def test_a_copy_that_is_damaged_itself_repairs_nothing(sqlite_registry, replicated, replica, store, tmp_path):
    path = mosaics.run(replicated).path
    shutil.rmtree(replicated.paths.stage / "registered")
    shutil.rmtree(replicated.layout.product("mosaic", ID))
    harm(store, f"{PLACE}/data/{ID}.fits", b"rot", tmp_path)
    (path / "data" / f"{ID}.fits").write_bytes(b"rot")
    found = reconcile(sqlite_registry, replicated.layout, replicas=[replica])
    assert [(one.code, one.needs_person) for one in found] == [("altered", True)] and "is not whole" in found[0].message
    assert queries.get(sqlite_registry, ID)["status"] == "published" and path.is_dir()
    assert not list((replicated.paths.stage / "registered").rglob("*.fits"))


def test_a_registry_that_was_lost_finds_its_copies_again(sqlite_registry, replicated, replica):
    mosaics.run(replicated)
    commit = commits.commit_of(stores.open_store(replica.url), PLACE)
    lose_rows(sqlite_registry)
    reconcile(sqlite_registry, replicated.layout)
    assert synced(sqlite_registry, replicated, replica) == [(1, "copied")]
    assert commits.commit_of(stores.open_store(replica.url), PLACE) == commit


@pytest.mark.parametrize(("keep", "days", "left"), [
    ("all", None, [1, 2]), ("all", 0.0, [1, 2]), ("current", None, [1, 2]), ("current", 30.0, [1, 2]),
    ("current", 0.0, [2]),
])  # fmt: skip
def test_copies_are_kept_by_policy(sqlite_registry, replicated, replica, keep, days, left):
    mosaics.run(replicated)
    mosaics.make_mosaic(replicated, seed=2)
    register_mosaic(ID, replicated)
    publish_mosaic(ID, replicated, waits_s=())
    past = "2026-01-01T00:00:00.000Z" if days == 0.0 else None
    if past is not None:
        with sqlite_registry.transaction() as connection:
            connection.execute(schema.data_registry.update().values(published_at=past))
    replica = ReplicaOptions(url=replica.url, keep=keep, days=days)
    removed = synced(sqlite_registry, replicated, replica)
    assert removed == [(version, "removed") for version in (1, 2) if version not in left]
    assert synced(sqlite_registry, replicated, replica) == []
    rows = copy_rows.longest_unread(sqlite_registry, replica.url)
    assert sorted(row["version"] for row in rows) == left


def test_a_withdrawn_mosaics_copy_goes_after_its_days(sqlite_registry, replicated, replica, store):
    mosaics.run(replicated)
    decisions.withdraw(sqlite_registry, replicated.layout, ID, "wrong")
    waiting = ReplicaOptions(url=replica.url, days=1.0)
    assert synced(sqlite_registry, replicated, waiting) == [(1, "recorded")]
    with sqlite_registry.transaction() as connection:
        connection.execute(schema.data_registry.update().values(closed_at="2026-01-01T00:00:00.000Z"))
    assert synced(sqlite_registry, replicated, waiting) == [(1, "removed")]
    assert store.names("mosaics") == store.names("commits") == []


def test_one_bad_copy_does_not_stop_the_others(sqlite_registry, replicated, replica, store):
    bare = replicated.model_copy(update={"publish": replicated.publish.model_copy(update={"replicas": []})})
    mosaics.run(bare)
    mosaics.make_mosaic(bare, tiles=("2026-02-13T00:26:49",))
    register_mosaic("mosaic_20260213T002649", bare)
    publish_mosaic("mosaic_20260213T002649", bare, waits_s=())
    (Path(queries.get(sqlite_registry, ID)["published_path"]) / "data" / f"{ID}.png").unlink()
    done = list(sync.sync(sqlite_registry, replicated.layout, replica))
    assert [(one.data_id, one.what) for one in done] == [(ID, "problem"), ("mosaic_20260213T002649", "copied")]
    assert f"{ID}.png" in done[0].message


def test_a_doi_that_is_given_later_reaches_the_copy(sqlite_registry, replicated, replica, store):
    mosaics.run(replicated)
    decisions.cite(sqlite_registry, replicated.layout, ID, "10.5555/dsa110.1")
    assert synced(sqlite_registry, replicated, replica) == [(1, "recorded")]
    record = stores.read_all(store, f"{commits.place_of(replicated.layout, ID, 1)}/publication.json")
    assert json.loads(record)["doi"] == "10.5555/dsa110.1"
    assert verified(sqlite_registry, replicated, replica) == [("whole", "")]


def test_an_archive_is_no_replica_by_whatever_mount(sqlite_registry, replicated, replica, store, tmp_path):
    """With ``keep: current`` its bundles of earlier versions would be removed as copies."""
    mosaics.run(replicated)
    before = files_of(store)
    (tmp_path / "marker").write_text("{}")
    store.put(".contimg-archive.json", tmp_path / "marker")
    for action in (sync.adopt, lambda *one: synced(one[0], replicated, one[1])):
        with pytest.raises(ReplicaError, match=r"is an archive \(\.contimg-archive\.json stands there\)"):
            action(sqlite_registry, replica)
    store.remove(".contimg-archive.json")
    assert files_of(store) == before and synced(sqlite_registry, replicated, replica) == []
