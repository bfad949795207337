"""Replicas that are gone, or answer nothing any more, in the middle of what is done to them."""

import socket
import time

import pytest

from contimg.bundle import bag
from contimg.config.sections import ReplicaOptions
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry import queries
from contimg.replicas import commits, copies, fetching, stores, sync
from contimg.replicas.stores import ReplicaError
from tests.support import mosaics


def test_a_replica_that_is_unmounted_ends_the_sync(sqlite_registry, sqlite_config, tmp_path, monkeypatch):
    second = tmp_path / "second"
    second.mkdir()
    replica = ReplicaOptions(url=str(second))
    sync.adopt(sqlite_registry, replica)
    for day in (11, 12, 13):
        mosaic = mosaics.make_mosaic(sqlite_config, tiles=[f"2026-02-{day}T00:26:49"])
        register_mosaic(mosaic, sqlite_config)
        publish_mosaic(mosaic, sqlite_config, waits_s=())
    put, asked = copies.put_copy, []

    def unmounted(store, folder, *others):
        asked.append(folder.name)
        second.rename(tmp_path / "away")
        return put(store, folder, *others)

    monkeypatch.setattr(copies, "put_copy", unmounted)
    found = []
    with pytest.raises(ReplicaError, match=r"has no \.contimg-replica\.json: mount it"):
        for done in sync.sync(sqlite_registry, sqlite_config.layout, replica):
            found.append(done.what)
    assert found == ["problem"] and len(asked) == 1


@pytest.mark.long
def test_a_server_that_answers_nothing_is_given_up_after_a_minute(monkeypatch):
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "key")
        begun = time.monotonic()
        with pytest.raises(ReplicaError, match="imeout"):
            stores.read_all(stores.open_store("s3://bucket/prefix"), "marker")
        assert time.monotonic() - begun < 90


def test_a_store_whose_listing_lags_gives_a_whole_bag_back(sqlite_registry, replicated, replica, store, monkeypatch):
    published = mosaics.run(replicated).path
    right = {file.name: file.read_bytes() for file in published.iterdir() if file.is_file()}
    monkeypatch.setattr(type(store), "names", lambda _store, _below: [])
    place, target = commits.place_of(replicated.layout, mosaics.MOSAIC, 1), published.with_name("fetched")
    digest = queries.get(sqlite_registry, mosaics.MOSAIC)["sha256"]
    fetching.fetch_bundle([fetching.Source(store, place)], target, digest)
    assert {file.name: file.read_bytes() for file in target.iterdir() if file.is_file()} == right
    assert bag.TAG_MANIFEST in right


def test_an_empty_disk_in_the_place_of_a_lost_replica_gets_its_copies(sqlite_registry, replicated, replica, store):
    mosaics.run(replicated)
    for name in store.names(""):
        store.remove(name)
    sync.adopt(sqlite_registry, replica)
    assert [one.what for one in sync.sync(sqlite_registry, replicated.layout, replica)] == ["copied"]
    assert [one.what for one in sync.verify(sqlite_registry, replicated.layout, replica)] == ["whole"]
    assert list(sync.sync(sqlite_registry, replicated.layout, replica)) == []


def test_a_copy_that_was_found_again_does_not_count_as_read(sqlite_registry, replicated, replica, store):
    mosaics.run(replicated)
    store.remove(sync.MARKER)
    sync.adopt(sqlite_registry, replica)
    assert [one.what for one in sync.sync(sqlite_registry, replicated.layout, replica)] == ["copied"]
    asked = {"unread_since": "2026-01-01T00:00:00.000Z"}
    assert [one.what for one in sync.verify(sqlite_registry, replicated.layout, replica, **asked)] == ["whole"]
    assert list(sync.verify(sqlite_registry, replicated.layout, replica, **asked)) == []


@pytest.mark.parametrize("url", ["s3"], indirect=True)
def test_credentials_that_are_wrong_are_named(sqlite_registry, replicated, replica, monkeypatch):
    """They may expire in the middle of a sync; nothing but their own correction is needed then."""
    mosaics.run(replicated)
    with monkeypatch.context() as patched:
        patched.setattr("moto.settings.INITIAL_NO_AUTH_ACTION_COUNT", 0)  # the server knows nobody with these keys
        with pytest.raises(ReplicaError, match=r": correct the credentials .*clock, then type contimg replicas"):
            list(sync.sync(sqlite_registry, replicated.layout, replica))
    assert [one.what for one in sync.verify(sqlite_registry, replicated.layout, replica)] == ["whole"]


@pytest.mark.parametrize("url", ["s3"], indirect=True)
@pytest.mark.parametrize("write", ["put", "put_new"])
def test_a_bucket_that_is_removed_meanwhile_is_said_to_be_gone(replica, store, tmp_path, write):
    import boto3

    client, bucket = boto3.client("s3"), replica.url.split("/")[2]
    client.delete_object(Bucket=bucket, Key=f"second/{sync.MARKER}")
    client.delete_bucket(Bucket=bucket)
    (tmp_path / "a").write_bytes(b"a")
    with pytest.raises(ReplicaError, match=f"replica {replica.url} does not exist: make it, or mount it"):
        getattr(store, write)("a", tmp_path / "a" if write == "put" else b"a")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        store.put("a", tmp_path / "nowhere")
