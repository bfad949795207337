"""A lost bundle with several copies, each damaged in its own way: what is whole somewhere comes back."""

import os
import shutil
from pathlib import Path

import pytest

from contimg.bundle import bag, bundle
from contimg.config.sections import ReplicaOptions
from contimg.publishing import decisions
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.reconcile import reconcile
from contimg.registry import queries
from contimg.replicas import commits, fetching, stores, sync
from contimg.replicas.stores import ReplicaError
from tests.replicas.conftest import harm
from tests.replicas.test_sync import ID, PLACE, synced
from tests.support import mosaics

FITS, PNG = f"data/{ID}.fits", f"data/{ID}.png"


@pytest.fixture
def two(sqlite_config, sqlite_registry, tmp_path):
    """Two adopted replicas, both folders."""
    made = [ReplicaOptions(url=str(tmp_path / name)) for name in ("first", "second")]
    for one in made:
        os.mkdir(one.url)
        sync.adopt(sqlite_registry, one)
    return made


@pytest.fixture
def published(sqlite_config, sqlite_registry, two):
    """The folder of a bundle in the archive with two copies, and nothing on the stage."""
    options = sqlite_config.publish.model_copy(update={"replicas": two, "read_only": False})
    path = mosaics.run(sqlite_config.model_copy(update={"publish": options})).path
    shutil.rmtree(sqlite_config.paths.stage / "registered")
    shutil.rmtree(sqlite_config.layout.product("mosaic", ID))
    return path


def spoil(how, replica, tmp_path):
    """Make a replica one that cannot give its whole copy back."""
    store, path = stores.open_store(replica.url), Path(replica.url) / PLACE
    match how:
        case "rotten":
            harm(store, f"{PLACE}/{FITS}", b"rot", tmp_path)
        case "gone":
            shutil.rmtree(path)
        case "manifest":
            harm(store, f"{PLACE}/{bundle.MANIFEST}", b"rot", tmp_path)
        case "tags":
            store.remove(f"{PLACE}/{bag.TAG_MANIFEST}")
        case "endless":
            os.truncate(path / FITS, 1 << 40)
        case "fifo":
            store.remove(f"{PLACE}/{FITS}")
            os.mkfifo(path / FITS)
        case "uncommitted":
            store.remove(commits.commit_name(PLACE))
        case "unmounted":
            os.rename(replica.url, f"{replica.url}.away")
        case "another":
            harm(store, sync.MARKER, b'{"registry": "another"}', tmp_path)


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize(
    "how", ["rotten", "gone", "manifest", "tags", "endless", "fifo", "uncommitted", "unmounted", "another"]
)
def test_a_bundle_comes_back_from_the_replica_that_is_whole(
    sqlite_registry, sqlite_config, published, two, tmp_path, how, which
):
    content = {file: file.read_bytes() for file in published.rglob("*") if file.is_file()}
    spoil(how, two[which], tmp_path)
    shutil.rmtree(published)
    (found, *_) = reconcile(sqlite_registry, sqlite_config.layout, replicas=two)
    assert (found.code, found.repaired) == ("missing", True) and two[1 - which].url in found.message
    assert publish_mosaic(ID, sqlite_config, waits_s=()).created
    assert {file: file.read_bytes() for file in published.rglob("*") if file.is_file()} == content
    assert reconcile(sqlite_registry, sqlite_config.layout) == []


def test_of_copies_that_are_all_damaged_each_gives_what_is_whole(
    sqlite_registry, sqlite_config, published, two, tmp_path
):
    """The archive's own is one of them: its picture has rotted, and in each replica another file."""
    content = {file: file.read_bytes() for file in published.rglob("*") if file.is_file()}
    (published / PNG).write_bytes(b"rot")
    harm(stores.open_store(two[0].url), f"{PLACE}/{FITS}", b"rot", tmp_path)
    harm(stores.open_store(two[1].url), f"{PLACE}/{bundle.MANIFEST}", b"rot", tmp_path)
    (found, *_) = reconcile(sqlite_registry, sqlite_config.layout, replicas=two)
    assert (found.code, found.repaired) == ("altered", True)
    assert f"from replica {two[0].url} or {two[1].url}" in found.message
    assert publish_mosaic(ID, sqlite_config, waits_s=()).created
    assert {file: file.read_bytes() for file in published.rglob("*") if file.is_file()} == content
    assert [synced(sqlite_registry, sqlite_config, one) for one in two] == [[], []]  # nobody has read them yet
    for one in two:
        list(sync.verify(sqlite_registry, sqlite_config.layout, one))
        assert synced(sqlite_registry, sqlite_config, one) == [(1, "repaired")]


def test_what_is_whole_nowhere_is_said_of_each_copy(sqlite_registry, sqlite_config, published, two, tmp_path):
    for one in two:
        harm(stores.open_store(one.url), f"{PLACE}/{FITS}", b"rot", tmp_path)
    shutil.rmtree(published)
    (found, *_) = reconcile(sqlite_registry, sqlite_config.layout, replicas=two)
    assert (found.code, found.needs_person) == ("missing", True)
    for one in two:
        assert f"{one.url}/{PLACE}/{FITS} does not have the SHA-256 of its manifest" in found.message
    assert f"{published / FITS} is missing" in found.message
    assert queries.get(sqlite_registry, ID)["status"] == "published"
    assert not list((sqlite_config.paths.stage / "registered").rglob("*.fits"))


def test_a_record_comes_from_the_copy_in_which_it_is_whole(sqlite_registry, sqlite_config, published, two, tmp_path):
    decisions.withdraw(sqlite_registry, sqlite_config.layout, ID, "wrong")
    for one in two:
        synced(sqlite_registry, sqlite_config, one)
    record = f"{PLACE}/{bundle.PUBLICATION}"
    right = stores.read_all(stores.open_store(two[1].url), record)
    harm(stores.open_store(two[0].url), record, b"{", tmp_path)
    row = queries.get(sqlite_registry, ID)
    found = list(fetching.sources(sqlite_registry, sqlite_config.layout, two, row))
    assert [one.store.where for one in found] == [one.url for one in two]
    fetching.fetch_bundle(found, tmp_path / "fetched", row["sha256"], row["tags_sha256"])
    assert bundle.verify(tmp_path / "fetched", expected=row["sha256"], tags=row["tags_sha256"]).ok
    assert (tmp_path / "fetched" / bundle.PUBLICATION).read_bytes() == right


def test_copies_of_another_making_are_no_sources(sqlite_registry, sqlite_config, published, two, tmp_path):
    row = dict(queries.get(sqlite_registry, ID)) | {"sha256": "0" * 64}
    assert list(fetching.sources(sqlite_registry, sqlite_config.layout, two, row)) == []
    with pytest.raises(ReplicaError, match="is not whole in any copy"):
        fetching.fetch_bundle([], tmp_path / "none", row["sha256"])
