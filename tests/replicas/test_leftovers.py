"""What stands in a replica beside whole copies: left by killed processes, laid there by a person, or gone."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from contimg.bundle import bundle
from contimg.publishing import decisions
from contimg.registry import queries
from contimg.replicas import commits, stores, sync
from contimg.storage.process import part_name
from tests.replicas.conftest import files_of, harm
from tests.replicas.test_sync import ID, PLACE, synced, verified
from tests.support import mosaics

NOTES = f"{PLACE}/data/notes.txt"


@pytest.fixture
def store(replica):
    return stores.open_store(replica.url)


@pytest.fixture
def notes(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("of a person")
    return path


def test_a_strange_file_in_a_copy_is_said_and_left(sqlite_registry, replicated, replica, store, notes):
    """As in the archive, which the copy may have to replace; only who has laid it there knows what it is for."""
    mosaics.run(replicated)
    store.put(NOTES, notes)
    expected = f"{replica.url}/{NOTES} is not of the bundle: remove it"
    assert verified(sqlite_registry, replicated, replica) == [("problem", expected)]
    assert synced(sqlite_registry, replicated, replica) == [(1, "problem")]
    assert b"".join(store.read(NOTES)) == b"of a person"
    store.remove(NOTES)
    assert synced(sqlite_registry, replicated, replica) == [(1, "repaired")]
    assert verified(sqlite_registry, replicated, replica) == [("whole", "")]


def test_what_a_copy_that_was_never_finished_has_left_is_removed(sqlite_registry, replicated, replica, store, notes):
    store.put(NOTES, notes)
    path = mosaics.run(replicated).path
    assert set(files_of(store, PLACE)) == {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()}


@pytest.mark.parametrize("url", ["folder"], indirect=True)
@pytest.mark.parametrize("by", ["copying", "verifying", "a decision"])
def test_half_written_files_of_killed_processes_are_removed(sqlite_registry, replicated, replica, store, by):
    """Those of living ones are not."""
    code = "from contimg.storage.process import part_name; print(part_name('README.txt.1'), end='')"
    dead = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    living = part_name("README.txt.1")
    path = None if by == "copying" else mosaics.run(replicated).path
    folder = Path(replica.url) / PLACE
    for name in (dead, f"data/{dead}", living):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("half")
    if by == "copying":
        path = mosaics.run(replicated).path
    elif by == "verifying":
        assert verified(sqlite_registry, replicated, replica) == [("whole", "")]
    else:
        decisions.cite(sqlite_registry, replicated.layout, ID, "10.5555/given.later")
        assert synced(sqlite_registry, replicated, replica) == [(1, "recorded")]
    assert {name for name in files_of(store, PLACE) if not (path / name).exists()} == {living}


def test_the_copy_of_what_is_withdrawn_is_written_again_from_where_it_is_hidden(
    sqlite_registry, replicated, replica, store, tmp_path
):
    mosaics.run(replicated)
    before = files_of(store, PLACE)
    decisions.withdraw(sqlite_registry, replicated.layout, ID, "a satellite in it")
    assert synced(sqlite_registry, replicated, replica) == [(1, "recorded")]
    harm(store, f"{PLACE}/data/{ID}.fits", b"?", tmp_path)
    assert [what for what, _ in verified(sqlite_registry, replicated, replica)] == ["problem"]
    assert synced(sqlite_registry, replicated, replica) == [(1, "repaired")]
    after = files_of(store, PLACE)
    assert {name for name in before if before[name] != after[name]} == {bundle.PUBLICATION}
    assert verified(sqlite_registry, replicated, replica) == [("whole", "")]


def test_a_copy_that_is_gone_of_what_is_withdrawn_is_forgotten(sqlite_registry, replicated, replica, store):
    mosaics.run(replicated)
    decisions.withdraw(sqlite_registry, replicated.layout, ID, "a satellite in it")
    store.remove(commits.commit_name(PLACE))
    for name in files_of(store, PLACE):
        store.remove(f"{PLACE}/{name}")
    assert [what for what, _ in verified(sqlite_registry, replicated, replica)] == ["problem"]
    assert synced(sqlite_registry, replicated, replica) == [(1, "removed")]
    assert (synced(sqlite_registry, replicated, replica), verified(sqlite_registry, replicated, replica)) == ([], [])


@pytest.mark.parametrize("stage", ["there", "gone"])
def test_the_copy_of_a_withdrawn_bundle_that_was_lost_gets_the_decision(
    sqlite_registry, replicated, replica, store, stage
):
    """From the copy on the stage, which holds it too; without one it is said what is needed."""
    mosaics.run(replicated)
    decisions.withdraw(sqlite_registry, replicated.layout, ID, "a satellite in it")
    row = queries.get(sqlite_registry, ID)
    shutil.rmtree(row["published_path"])
    if stage == "gone":
        shutil.rmtree(row["stage_path"])
        ((what, message),) = [(one.what, one.message) for one in sync.sync(sqlite_registry, replicated.layout, replica)]
        assert what == "problem" and message.startswith(f"{row['published_path']} is gone, and no copy of it is on the")
    else:
        assert synced(sqlite_registry, replicated, replica) == [(1, "recorded")]
        assert b'"withdrawn"' in b"".join(store.read(f"{PLACE}/{bundle.PUBLICATION}"))
        assert synced(sqlite_registry, replicated, replica) == []
