"""Replicas that are gone, or answer nothing any more, in the middle of what is done to them."""

import socket
import time

import pytest

from contimg.config.sections import ReplicaOptions
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.register_mosaic import register_mosaic
from contimg.replicas import copies, stores, sync
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
