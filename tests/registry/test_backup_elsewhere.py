"""Backups on a network filesystem, and of older tables: made and restored there, and nothing is written beside them."""

import contextlib
import shutil
import sqlite3
import subprocess

import pytest

from contimg.errors import InputError, RegistryError
from contimg.registry import queries, schema
from contimg.registry.backup import backup, restore
from contimg.registry.engine import open_sqlite
from contimg.storage.filesystem import filesystem_type, is_network
from tests.registry.test_backup import content, empty
from tests.support import mosaics


@pytest.fixture
def published(registry, config):
    return mosaics.run(config)


@pytest.fixture
def network(tmp_path):
    """A folder that counts as on a network filesystem: a FUSE one."""
    if shutil.which("bindfs") is None:
        pytest.skip("bindfs is not installed: apt-get install bindfs")
    for name in ("below", "network"):
        (tmp_path / name).mkdir()
    place = tmp_path / "network"
    mounted = subprocess.run(["bindfs", "--no-allow-other", str(tmp_path / "below"), str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no FUSE filesystem can be mounted here: {mounted.stderr.decode()}")
    try:
        yield place
    finally:
        subprocess.run(["fusermount", "-u", str(place)], check=True)


def test_a_backup_on_a_network_filesystem_is_made_replaced_and_restored(registry, published, network):
    assert is_network(filesystem_type(network))
    with pytest.raises(RegistryError, match="where SQLite may lose rows"):
        open_sqlite(network / "registry.sqlite3")
    before = content(registry)
    for _ in range(2):
        assert backup(registry, network / "backup")["data_registry"] == 1
    assert [path.name for path in network.iterdir()] == ["backup"]
    empty(registry)
    assert restore(registry, network / "backup")["data_registry"] == 1
    assert content(registry) == before and [path.name for path in network.iterdir()] == ["backup"]


def test_no_lock_is_taken_beside_a_backup(registry, published, tmp_path, monkeypatch):
    """As on a filesystem without locks, and also where this machine has no network filesystem to try."""
    monkeypatch.setattr("contimg.registry.engine.refuse_network", lambda path: pytest.fail(f"{path} was refused"))
    monkeypatch.setattr("contimg.registry.engine.require_locks", lambda path, key: pytest.fail(f"{path} was locked"))
    before = content(registry)
    backup(registry, tmp_path / "b")
    empty(registry)
    restore(registry, tmp_path / "b")
    assert content(registry) == before and [path.name for path in tmp_path.iterdir()] == ["b"]


def older(file):
    """Make a backup one of schema 6: without replicas, and without the place of the archive."""
    with contextlib.closing(sqlite3.connect(file)) as made:
        made.execute("DROP TABLE replica_copies")
        made.execute("DROP INDEX data_registry_by_published")
        made.execute("ALTER TABLE registry_identity DROP COLUMN archive_root")
        made.execute("DELETE FROM schema_version")
        made.execute("INSERT INTO schema_version VALUES (6, '2026', '0.1')")
        made.commit()


def test_a_backup_of_older_tables_is_restored_and_stays_as_it_was(registry, published, tmp_path):
    """Its tables were counted before they were upgraded, and those that it lacks were missed."""
    backup(registry, tmp_path / "b")
    older(tmp_path / "b")
    before = (tmp_path / "b").read_bytes()
    (tmp_path / "b").chmod(0o444)
    empty(registry)
    counts = restore(registry, tmp_path / "b")
    assert (counts["data_registry"], counts["replica_copies"]) == (1, 0)
    assert queries.get(registry, mosaics.MOSAIC)["status"] == "published"
    assert (tmp_path / "b").read_bytes() == before and [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_backup_of_newer_tables_is_refused_by_its_name(registry, published, tmp_path):
    backup(registry, tmp_path / "b")
    with contextlib.closing(sqlite3.connect(tmp_path / "b")) as made:
        made.execute("UPDATE schema_version SET version = 99")
        made.commit()
    empty(registry)
    with pytest.raises(RegistryError, match=f"^{tmp_path}/b has schema 99, but .* only up to {schema.VERSION}"):
        restore(registry, tmp_path / "b")
    assert queries.count(registry) == 0


@pytest.mark.parametrize("harm", ["DROP TABLE schema_version", "DELETE FROM schema_version"])
def test_a_database_without_a_version_is_no_backup(registry, published, tmp_path, harm):
    backup(registry, tmp_path / "b")
    with contextlib.closing(sqlite3.connect(tmp_path / "b")) as made:
        made.execute(harm)
        made.commit()
    empty(registry)
    with pytest.raises(InputError, match="is no whole backup of a registry"):
        restore(registry, tmp_path / "b")
