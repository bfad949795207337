"""Backups of a registry while others work with it, and restoring them into an empty registry of either kind."""

import contextlib
import sqlite3
import threading

import pytest
from sqlalchemy import delete, text
from sqlalchemy.exc import OperationalError

from contimg.errors import InputError, RegistryError
from contimg.publishing import decisions
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.reconcile import reconcile
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry import backup as backup_module
from contimg.registry import queries, schema
from contimg.registry.backup import backup, restore
from contimg.registry.engine import open_sqlite
from contimg.registry.relative_paths import roots_of
from tests.support import mosaics

ID = mosaics.MOSAIC
LATER = ("2026-02-12T03:00:00", "2026-02-12T03:05:09")


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


def test_a_registry_that_got_its_first_row_meanwhile_is_not_mixed_with_a_backup(
    registry, config, published, tmp_path, monkeypatch
):
    """As where the command was typed twice, or while a publisher works: it is looked for in the same transaction."""
    backup(registry, tmp_path / "b")
    empty(registry)
    real = backup_module._at_rest

    @contextlib.contextmanager
    def meanwhile(file):
        with real(file) as opened:
            mosaics.make_mosaic(config, tiles=LATER)
            register_mosaic("mosaic_20260212T030000", config)
            yield opened

    monkeypatch.setattr(backup_module, "_at_rest", meanwhile)
    with pytest.raises(RegistryError, match="holds 1 rows, which a backup must not be mixed with: move it away"):
        restore(registry, tmp_path / "b")
    assert [row["data_id"] for row in queries.listing(registry, latest_only=False)] == ["mosaic_20260212T030000"]


@pytest.mark.parametrize("table", ["data_registry", "publish_events", "registry_identity"])
def test_nobody_writes_while_a_backup_is_restored(registry, published, tmp_path, monkeypatch, table):
    """A row of somebody else would stand among those of the backup; SQLite has one writer at any time."""
    if registry.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at any time")
    backup(registry, tmp_path / "b")
    empty(registry)
    real, refused = backup_module._copy, []

    def meanwhile(*arguments):
        real(*arguments)
        with registry.engine.connect() as other:
            other.exec_driver_sql("SET lock_timeout = '300ms'")
            with pytest.raises(OperationalError, match="lock timeout"):
                other.exec_driver_sql(f"LOCK TABLE {table} IN ROW EXCLUSIVE MODE")  # that of each INSERT
            refused.append(table)

    monkeypatch.setattr(backup_module, "_copy", meanwhile)
    assert restore(registry, tmp_path / "b")["data_registry"] == 1 and refused == [table]


def test_of_several_restorations_at_once_one_is_done(registry, published, tmp_path):
    """Two at once: the second waits for the first, and is refused in the same sentence."""
    backup(registry, tmp_path / "b")
    empty(registry)
    said = []

    def second():
        try:
            restore(registry, tmp_path / "b")
        except RegistryError as error:
            said.append(str(error))
        else:
            said.append("")

    threads = [threading.Thread(target=second) for _ in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert said.count("") == 1 and all("holds 1 rows, which a backup" in one for one in said if one), said


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


OLDER = {
    7: (),
    6: ("DROP TABLE replica_copies",),
    5: ("ALTER TABLE data_registry DROP COLUMN doi",),
    2: ("ALTER TABLE data_registry DROP COLUMN verified_at", "DROP TABLE registry_identity"),
}
"""What the tables of schema 8 had not yet in earlier ones."""


@pytest.mark.parametrize("version", OLDER)
def test_a_backup_of_older_tables_is_restored(registry, published, tmp_path, version):
    file = tmp_path / "backup"
    backup(registry, file)
    before = {row["data_id"]: row["sha256"] for row in queries.listing(registry)}
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.executescript("DROP INDEX data_registry_by_published; DROP INDEX data_registry_by_verified;")
        for statement in [one for later, those in OLDER.items() if later >= version for one in those]:
            connection.execute(statement)
        connection.execute("UPDATE schema_version SET version = ?", (version,))
        connection.commit()
    empty(registry)
    assert restore(registry, file)["data_registry"] == len(before) > 0
    assert {row["data_id"]: row["sha256"] for row in queries.listing(registry)} == before


@pytest.mark.parametrize("harm", ["newer", "refused"])
def test_a_backup_that_is_not_restored_stays_one(registry, published, tmp_path, monkeypatch, harm):
    file = tmp_path / "backup"
    backup(registry, file)
    if harm == "newer":
        with contextlib.closing(sqlite3.connect(file)) as connection:
            connection.execute("UPDATE schema_version SET version = 99")
            connection.commit()
    before = file.read_bytes()
    empty(registry)

    def refuse(*_):
        raise RegistryError("full")

    if harm == "refused":
        monkeypatch.setattr("contimg.registry.backup._copy", refuse)
    said = f"knows only up to {schema.VERSION}: update contimg" if harm == "newer" else "full"
    with pytest.raises((InputError, RegistryError), match=said):
        restore(registry, file)
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith("backup")] == ["backup"]
    assert file.read_bytes()[18:20] == b"\x01\x01"  # at rest: no program works with it
    if harm == "newer":
        assert file.read_bytes() == before
    else:
        monkeypatch.undo()
        assert restore(registry, file)["data_registry"] > 0


def test_a_registry_is_not_restored_from_itself(sqlite_config):
    file = sqlite_config.layout.registry_file
    with contextlib.closing(open_sqlite(file)) as opened, pytest.raises(InputError, match="is the registry itself"):
        restore(opened, file)


@pytest.mark.postgres
def test_a_registry_that_cannot_be_read_is_named_and_not_its_backup(registry, root):
    if registry.engine.dialect.name == "sqlite":
        pytest.skip("the pages of a file are copied, whatever they hold")
    with registry.transaction() as connection:
        connection.execute(text("DROP TABLE replica_copies"))
    with pytest.raises(RegistryError) as refused:
        backup(registry, root / "backup.sqlite3")
    assert str(refused.value).startswith(f"registry {registry.where} refused an operation")
    assert not (root / "backup.sqlite3").exists()
