"""A README that was changed together with its tag manifest, in archive or replica: noticed, and not carried over."""

import hashlib
import shutil

import pytest
from sqlalchemy import text

from contimg.bundle import bag
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.reconcile import reconcile
from contimg.registry import queries
from contimg.replicas import copies, copy_rows, stores
from tests.replicas.conftest import files_of, harm
from tests.replicas.test_sync import ID, PLACE, synced, verified
from tests.support import mosaics


@pytest.fixture
def store(replica):
    return stores.open_store(replica.url)


def with_other_readme(files):
    """Return README and tag manifest of a bundle, changed together: each agrees with the other."""
    readme = files[bag.README] + b"forged"
    old, new = (hashlib.sha256(one).hexdigest().encode() for one in (files[bag.README], readme))
    return {bag.README: readme, bag.TAG_MANIFEST: files[bag.TAG_MANIFEST].replace(old, new)}


def forget_tags(registry):
    """Let the registry be one of before it knew the tag manifests."""
    with registry.transaction() as connection:
        connection.execute(text("UPDATE data_registry SET tags_sha256 = NULL"))


@pytest.mark.parametrize("known", [True, False])
def test_a_readme_changed_together_with_its_tag_manifest_is_found_and_written_again(
    sqlite_registry, replicated, replica, store, tmp_path, known
):
    mosaics.run(replicated)
    if not known:
        forget_tags(sqlite_registry)
    right = files_of(store, PLACE)
    for name, content in with_other_readme(right).items():
        harm(store, f"{PLACE}/{name}", content, tmp_path)
    ((what, message),) = verified(sqlite_registry, replicated, replica)
    of = "the registered one" if known else "that of the archive"
    assert what == "problem" and f"{PLACE}/{bag.TAG_MANIFEST} is not {of}" in message
    assert synced(sqlite_registry, replicated, replica) == [(1, "repaired")]
    assert files_of(store, PLACE) == right
    assert verified(sqlite_registry, replicated, replica) == [("whole", "")]


def test_a_readme_of_the_archive_changed_so_is_not_copied(sqlite_registry, replicated, replica, store):
    folder = mosaics.run(replicated).path
    for name, content in with_other_readme(files_of(store, PLACE)).items():
        (folder / name).unlink()
        (folder / name).write_bytes(content)
    copies.remove_copy(store, PLACE)
    copy_rows.forget(sqlite_registry, replica.url, queries.get(sqlite_registry, ID))
    assert synced(sqlite_registry, replicated, replica) == [(1, "problem")] and files_of(store, PLACE) == {}


def test_a_readme_of_the_archive_changed_so_is_not_taken_over_and_comes_back(
    sqlite_registry, replicated, replica, store
):
    folder = mosaics.run(replicated).path
    right = files_of(store, PLACE)
    for name, content in with_other_readme(right).items():
        (folder / name).unlink()
        (folder / name).write_bytes(content)
    assert verified(sqlite_registry, replicated, replica) == [("whole", "")]
    copy_rows.note_verified(sqlite_registry, replica.url, queries.get(sqlite_registry, ID), "odd")
    assert synced(sqlite_registry, replicated, replica) == [(1, "problem")]
    assert files_of(store, PLACE) == right
    shutil.rmtree(replicated.paths.stage)
    replicated.paths.stage.mkdir()
    found = reconcile(sqlite_registry, replicated.layout, replicas=[replica])
    assert found[0].code == "altered" and "from replica" in found[0].message
    assert publish_mosaic(ID, replicated, waits_s=()).created
    assert (folder / bag.README).read_bytes() == right[bag.README]


@pytest.mark.parametrize("harm", ["readme", "manifest", "gone", "all gone"])
def test_an_archive_whose_tag_files_are_damaged_accuses_no_copy(sqlite_registry, replicated, replica, harm):
    folder = mosaics.run(replicated).path
    if harm == "readme":
        (folder / bag.README).write_bytes(b"rot")
    elif harm == "manifest":
        (folder / bag.TAG_MANIFEST).write_bytes(b"rot")
    elif harm == "gone":
        (folder / bag.README).unlink()
    else:
        shutil.rmtree(folder)
    assert verified(sqlite_registry, replicated, replica) == [("whole", "")]
