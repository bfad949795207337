"""A replica, the archive or the registry of an earlier day: every decision is kept, and what is known comes again."""

import json
import shutil
from pathlib import Path

import pytest

from contimg.bundle import bundle
from contimg.bundle.record import Decision, with_decisions
from contimg.publishing import decisions
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.reconcile import reconcile
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry import queries, schema
from contimg.registry.backup import backup, restore
from contimg.replicas import commits, copies, stores, sync
from tests.publishing.test_archive_root import lose_rows
from tests.replicas.conftest import files_of, harm
from tests.replicas.test_sync import ID, PLACE, decisions_in_copy, synced, verified
from tests.support import mosaics

RECORD = f"{PLACE}/{bundle.PUBLICATION}"


@pytest.fixture
def store(replica):
    return stores.open_store(replica.url)


def test_a_replica_of_an_earlier_day_is_noticed_and_gets_the_decision_again(
    sqlite_registry, replicated, replica, store, tmp_path
):
    """Mounted in the place of a lost archive it would show what was withdrawn."""
    mosaics.run(replicated)
    before = stores.read_all(store, RECORD)
    decisions.withdraw(sqlite_registry, replicated.layout, ID, "a satellite in it")
    assert verified(sqlite_registry, replicated, replica) == [("whole", "")]  # it waits for the next `sync`
    assert synced(sqlite_registry, replicated, replica) == [(1, "recorded")]
    harm(store, RECORD, before, tmp_path)
    ((what, message),) = verified(sqlite_registry, replicated, replica)
    assert what == "problem" and message.startswith(f"{replica.url}/{RECORD} does not say that ")
    assert message.endswith(": contimg replicas sync writes it again") and "has withdrawn it on" in message
    assert synced(sqlite_registry, replicated, replica) == [(1, "repaired")]
    assert decisions_in_copy(store) == ["withdrawn"]
    assert verified(sqlite_registry, replicated, replica) == [("whole", "")]


def put_back(config, registry, replica, tmp_path, decide):
    """Put registry, archive and stage back to the day before a decision that the replica has."""
    file = tmp_path / "backup"
    backup(registry, file)
    for root in (config.paths.products, config.paths.stage):
        shutil.copytree(root, tmp_path / root.name, symlinks=True)
    decide()
    assert synced(registry, config, replica) == [(1, "recorded")]
    for root in (config.paths.products, config.paths.stage):
        shutil.rmtree(root)
        shutil.copytree(tmp_path / root.name, root, symlinks=True)
    lose_rows(registry)
    restore(registry, file)
    assert reconcile(registry, config.layout) == []


def test_a_decision_that_only_the_replica_has_is_kept_and_taken_over(
    sqlite_registry, replicated, replica, store, tmp_path
):
    mosaics.run(replicated)

    def decide():
        decisions.withdraw(sqlite_registry, replicated.layout, ID, "a satellite in it")

    put_back(replicated, sqlite_registry, replica, tmp_path, decide)
    ((what, message),) = verified(sqlite_registry, replicated, replica)
    assert what == "problem" and f"{RECORD} says that " in message and "has withdrawn it on" in message
    assert f"'contimg reconcile {ID}' takes it over" in message
    assert synced(sqlite_registry, replicated, replica) == [(1, "problem")]
    decisions.cite(sqlite_registry, replicated.layout, ID, "10.5555/a")  # the record is not overwritten by this either
    assert {what for _, what in synced(sqlite_registry, replicated, replica)} == {"problem"}
    assert decisions_in_copy(store) == ["withdrawn"]
    every = reconcile(sqlite_registry, replicated.layout, replicas=[replica])  # would read each record of each replica
    assert "decision_lost" not in [one.code for one in every]
    found = reconcile(sqlite_registry, replicated.layout, ID, replicas=[replica])
    assert found[0].code == "decision_lost" and found[0].repaired
    assert found[0].message.endswith("taken from the record of its copy in a replica")
    row = queries.get(sqlite_registry, ID)
    assert (row["status"], row["closed_reason"], row["doi"]) == ("withdrawn", "a satellite in it", "10.5555/a")
    assert not replicated.layout.bundle(ID, 1).exists() and Path(row["published_path"]).is_dir()
    assert reconcile(sqlite_registry, replicated.layout, ID, replicas=[replica]) == []
    synced(sqlite_registry, replicated, replica)
    assert decisions_in_copy(store) == ["withdrawn", "cited"]
    assert verified(sqlite_registry, replicated, replica) == [("whole", "")]
    assert synced(sqlite_registry, replicated, replica) == []


@pytest.mark.parametrize("of", ["another making", "nothing"])
def test_a_record_in_a_copy_that_is_not_of_this_bundle_decides_nothing(
    sqlite_registry, replicated, replica, store, tmp_path, of
):
    mosaics.run(replicated)
    right = json.loads(b"".join(store.read(RECORD)))
    decided = with_decisions({}, [Decision("2026-02-12T00:00:00.000Z", "withdrawn", "wrong", "ada", "h")])
    record = right | decided | {"sha256": "0" * 64} if of == "another making" else {}
    (tmp_path / "record").write_text(json.dumps(record))
    store.put(RECORD, tmp_path / "record")
    assert reconcile(sqlite_registry, replicated.layout, ID, replicas=[replica]) == []
    assert queries.get(sqlite_registry, ID)["status"] == "published"
    assert [what for what, _ in verified(sqlite_registry, replicated, replica)] == ["problem"]


def test_a_registry_that_was_lost_finds_copies_of_what_is_withdrawn(sqlite_registry, replicated, replica, store):
    """Their records follow later decisions, and the policy; those that the policy would not have made too."""
    mosaics.run(replicated)
    decisions.withdraw(sqlite_registry, replicated.layout, ID, "a satellite in it")
    assert decisions_in_copy(store) == []
    lose_rows(sqlite_registry)
    reconcile(sqlite_registry, replicated.layout)
    assert queries.get(sqlite_registry, ID)["status"] == "withdrawn"
    ((what, message),) = verified(sqlite_registry, replicated, replica)
    assert what == "problem" and message == (
        f"replica {replica.url} has a copy of {PLACE} that the registry did not know of: contimg replicas sync notes it"
    )
    assert synced(sqlite_registry, replicated, replica) == [(1, "found")]
    assert decisions_in_copy(store) == ["withdrawn"]
    assert verified(sqlite_registry, replicated, replica) == [("whole", "")]
    assert synced(sqlite_registry, replicated, replica) == []
    past = replica.model_copy(update={"days": 1.0})
    with sqlite_registry.transaction() as connection:
        connection.execute(schema.data_registry.update().values(closed_at="2026-01-01T00:00:00.000Z"))
    assert synced(sqlite_registry, replicated, past) == [(1, "removed")]
    assert verified(sqlite_registry, replicated, replica) == []


def test_a_copy_that_goes_away_while_it_is_noted_is_a_problem_of_that_copy(
    sqlite_registry, replicated, replica, store, monkeypatch
):
    mosaics.run(replicated)
    decisions.withdraw(sqlite_registry, replicated.layout, ID, "a satellite in it")
    lose_rows(sqlite_registry)
    reconcile(sqlite_registry, replicated.layout)
    real = copies.put_record

    def put_and_lose(*arguments):
        real(*arguments)
        store.remove(commits.commit_name(PLACE))

    monkeypatch.setattr(copies, "put_record", put_and_lose)
    (done,) = sync.sync(sqlite_registry, replicated.layout, replica)
    assert (done.what, done.version) == ("problem", 1)
    assert done.message == f"replica {replica.url} has no copy of {PLACE} any more: type contimg replicas sync"
    monkeypatch.setattr(copies, "put_record", real)
    assert synced(sqlite_registry, replicated, replica) == []


def test_a_copy_of_a_version_that_nobody_knows_is_said(sqlite_registry, replicated, replica, store, tmp_path):
    """Registry, archive and stage are of a day before it; brought back it is known again."""
    mosaics.run(replicated)
    file = tmp_path / "backup"
    backup(sqlite_registry, file)
    for root in (replicated.paths.products, replicated.paths.stage):
        shutil.copytree(root, tmp_path / root.name, symlinks=True)
    mosaics.make_mosaic(replicated, seed=2)
    register_mosaic(ID, replicated)
    second = publish_mosaic(ID, replicated, waits_s=()).path
    for root in (replicated.paths.products, replicated.paths.stage):
        shutil.rmtree(root)
        shutil.copytree(tmp_path / root.name, root, symlinks=True)
    lose_rows(sqlite_registry)
    restore(sqlite_registry, file)
    place = f"mosaics/2026-02-11/{second.name}"
    expected = (
        f"replica {replica.url} has a copy of {place} that the registry does not know: copy that folder to {second}, "
        f"then type contimg reconcile; if nobody needs it, remove commits/2026-02-11/{second.name}.json there"
    )
    assert verified(sqlite_registry, replicated, replica) == [("problem", expected), ("whole", "")]
    assert synced(sqlite_registry, replicated, replica) == [(0, "problem")]
    for name, content in files_of(store, place).items():
        (second / name).parent.mkdir(parents=True, exist_ok=True)
        (second / name).write_bytes(content)
    assert reconcile(sqlite_registry, replicated.layout)[0].code == "row_lost"
    assert reconcile(sqlite_registry, replicated.layout) == []
    assert synced(sqlite_registry, replicated, replica) == [(2, "copied")]
    assert verified(sqlite_registry, replicated, replica) == [("whole", "")] * 2
    assert json.loads((second / bundle.PUBLICATION).read_bytes())["version"] == 2
