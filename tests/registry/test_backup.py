"""Backups of a registry while others work with it, and restoring them into an empty registry of either kind."""

import contextlib
import sqlite3

import pytest
from sqlalchemy import delete, text

from contimg.errors import InputError, RegistryError
from contimg.publishing import decisions
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.reconcile import reconcile
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry import queries, schema
from contimg.registry.backup import backup, restore
from contimg.registry.engine import open_sqlite
from contimg.registry.relative_paths import roots_of
from tests.support import mosaics

ID = mosaics.MOSAIC


def content(registry):
    with registry.read() as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(table.select())), key=repr)
            for table in schema.metadata.sorted_tables
            if table.name != "schema_version"
        }


def empty(registry):
    with registry.transaction() as connection:
        for table in reversed(schema.metadata.sorted_tables):
            if table.name != "schema_version":
                connection.execute(delete(table))


@pytest.fixture
def published(registry, config):
    return mosaics.run(config)


def test_a_backup_restored_is_the_same_registry(registry, config, published, tmp_path):
    before = content(registry)
    counts = backup(registry, tmp_path / "backup.sqlite3")
    assert counts["data_registry"] == 1 and counts["publish_events"] == len(before["publish_events"])
    assert [path.name for path in tmp_path.iterdir()] == ["backup.sqlite3"]
    empty(registry)
    if registry.engine.dialect.name == "postgresql":  # a new database counts from 1
        with registry.transaction() as connection:
            connection.execute(text("ALTER SEQUENCE publish_events_event_id_seq RESTART"))
    assert restore(registry, tmp_path / "backup.sqlite3") == counts
    assert content(registry) == before
    assert reconcile(registry, config.layout) == []
    decisions.withdraw(registry, config.layout, ID, "wrong")  # numbers of events go on after those restored
    assert queries.events(registry, ID)[-1]["event"] == "withdrawn"


def test_what_happened_after_the_backup_comes_back_from_the_archive(registry, config, published, tmp_path):
    """A decision and a version that the backup does not know stand in the records of the bundles."""
    backup(registry, tmp_path / "b")
    decisions.withdraw(registry, config.layout, ID, "wrong flux scale")
    mosaics.make_mosaic(config, seed=2)
    register_mosaic(ID, config)
    assert publish_mosaic(ID, config, waits_s=()).version == 2
    empty(registry)
    restore(registry, tmp_path / "b")
    assert [row["status"] for row in queries.versions(registry, ID)] == ["published"]
    reconcile(registry, config.layout)
    assert [row["status"] for row in queries.versions(registry, ID)] == ["withdrawn", "published"]
    assert queries.get(registry, ID, 1)["closed_reason"] == "wrong flux scale"
    assert reconcile(registry, config.layout) == []


def test_a_backup_is_of_one_moment_while_others_write(registry, config, published, tmp_path):
    with registry.transaction(lock=ID) as connection:
        connection.execute(schema.data_registry.update().values(error="not committed yet"))
        if registry.engine.dialect.name == "postgresql":
            backup(registry, tmp_path / "b")
    if registry.engine.dialect.name == "sqlite":
        backup(registry, tmp_path / "b")
    with contextlib.closing(sqlite3.connect(tmp_path / "b")) as made:
        (error,) = made.execute("SELECT error FROM data_registry").fetchone()
    assert error == ("not committed yet" if registry.engine.dialect.name == "sqlite" else None)


def test_a_backup_goes_from_one_kind_of_database_to_the_other(registry, published, tmp_path):
    before = content(registry)
    backup(registry, tmp_path / "b")
    place = tmp_path / "moved" / "registry.sqlite3"
    with contextlib.closing(open_sqlite(place, roots_of(registry.engine))) as moved:
        restore(moved, tmp_path / "b")
        assert content(moved) == before


def test_a_registry_that_holds_something_is_not_mixed_with_a_backup(registry, published, tmp_path):
    backup(registry, tmp_path / "b")
    before = content(registry)
    with pytest.raises(RegistryError, match="holds 1 rows, which a backup must not be mixed with"):
        restore(registry, tmp_path / "b")
    assert content(registry) == before


@pytest.mark.parametrize("harm", ["missing", "text", "half", "empty"])
def test_what_is_no_backup_restores_nothing(registry, published, tmp_path, harm):
    file = tmp_path / "b"
    if harm == "half":
        backup(registry, file)
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    elif harm != "missing":
        file.write_bytes(b"this is not a database " * 100 if harm == "text" else b"")
    empty(registry)
    with pytest.raises(InputError, match="does not exist" if harm == "missing" else "is no whole backup"):
        restore(registry, file)
    assert queries.count(registry) == 0


def test_a_backup_that_fails_leaves_the_older_one(registry, published, tmp_path, monkeypatch):
    file = tmp_path / "b"
    backup(registry, file)
    before = file.read_bytes()

    def refuse(_path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("contimg.storage.atomic._fsync", refuse)
    with pytest.raises(OSError, match="No space left"):
        backup(registry, file)
    assert file.read_bytes() == before and [path.name for path in tmp_path.iterdir()] == ["b"]
