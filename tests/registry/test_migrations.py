"""Registries of other versions: older ones are upgraded whole or not at all, newer ones refused."""

import contextlib
import sqlite3

import pytest
from sqlalchemy import insert, inspect, text

from contimg.errors import RegistryError
from contimg.registry import migrations, queries, schema
from contimg.registry.backup import backup, restore
from contimg.registry.engine import open_registry
from tests.registry.rows import TILE
from tests.support import mosaics


def test_a_newer_database_is_refused(config):
    with contextlib.closing(open_registry(config)) as opened, opened.transaction() as connection:
        row = {"version": schema.VERSION + 1, "applied_at": "2030", "code_version": "9"}
        connection.execute(insert(schema.schema_version), row)
    with pytest.raises(RegistryError, match=f"has schema {schema.VERSION + 1}, but .* update contimg"):
        open_registry(config)


def test_an_older_database_is_upgraded_and_keeps_its_rows(config, monkeypatch):
    with contextlib.closing(open_registry(config)) as opened, opened.transaction() as connection:
        connection.execute(insert(schema.tiles), TILE)

    def add_column(connection):
        connection.execute(text("ALTER TABLE tiles ADD COLUMN weather TEXT"))

    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
    monkeypatch.setitem(migrations.STEPS, schema.VERSION, add_column)
    for _ in range(2):
        with contextlib.closing(open_registry(config)) as opened, opened.read() as connection:
            assert connection.execute(text("SELECT tile_id, weather FROM tiles")).all() == [(TILE["tile_id"], None)]
            assert migrations.version_of(connection) == schema.VERSION


def test_a_registry_of_schema_1_is_upgraded(config):
    """The tables as contimg made them before schema 2: an index over the states alone, and no later column or table."""

    def form(opened):
        with opened.read() as connection:
            seen = inspect(connection)
            found = {(one["name"], *one["column_names"]) for one in seen.get_indexes("data_registry")}
            columns = {one["name"] for one in seen.get_columns("data_registry")}
            if seen.has_table("registry_identity"):
                columns |= {f"identity.{one['name']}" for one in seen.get_columns("registry_identity")}
            return found, migrations.version_of(connection), columns, set(seen.get_table_names())

    with contextlib.closing(open_registry(config)) as opened:
        fresh = form(opened)
        with opened.transaction() as connection:
            connection.execute(insert(schema.tiles), TILE)
            for statement in (
                "DROP INDEX data_registry_by_status",
                "CREATE INDEX ix_data_registry_status ON data_registry (status)",
                "DROP INDEX data_registry_by_verified",
                "DROP INDEX data_registry_by_problem",
                "DROP INDEX data_registry_by_published",
                "ALTER TABLE data_registry DROP COLUMN verified_at",
                "ALTER TABLE data_registry DROP COLUMN problem_at",
                "ALTER TABLE data_registry DROP COLUMN doi",
                "ALTER TABLE data_registry DROP COLUMN tags_sha256",
                "DROP TABLE replica_copies",
                "DROP TABLE registry_identity",
                "UPDATE schema_version SET version = 1",
            ):
                connection.execute(text(statement))
        assert form(opened) != fresh
    with contextlib.closing(open_registry(config)) as opened:
        assert form(opened) == fresh and fresh[1] == schema.VERSION
        with opened.read() as connection:
            assert connection.execute(text("SELECT tile_id FROM tiles")).all() == [(TILE["tile_id"],)]


def test_a_failed_upgrade_changes_nothing(config, monkeypatch):
    open_registry(config).close()

    def half(connection):
        connection.execute(text("ALTER TABLE tiles ADD COLUMN weather TEXT"))
        connection.execute(text("ALTER TABLE nowhere ADD COLUMN weather TEXT"))

    with monkeypatch.context() as patch:
        patch.setattr(schema, "VERSION", schema.VERSION + 1)
        patch.setitem(migrations.STEPS, schema.VERSION, half)
        with pytest.raises(RegistryError, match="nowhere"):
            open_registry(config)
    with (
        contextlib.closing(open_registry(config)) as opened,
        pytest.raises(RegistryError, match="weather"),
        opened.read() as c,
    ):
        c.execute(text("SELECT weather FROM tiles"))


def _stored(opened):
    with opened.read() as connection:
        bundles = connection.execute(text("SELECT stage_path, published_path FROM data_registry")).all()
        names = {"subband_files", "ms_index", "caltables", "images"}
        return bundles, {name: connection.execute(text(f"SELECT path FROM {name}")).scalars().all() for name in names}


def test_absolute_paths_of_schema_4_become_relative_to_the_roots(registry, config):
    """Those of the bundles below any root: the archive may have been moved before the upgrade."""
    mosaics.run(config)
    fresh = _stored(registry)
    (stage, final), *_ = fresh[0]
    assert (stage, final) == (f"registered/2026-02-11/{mosaics.MOSAIC}/v1", f"mosaics/2026-02-11/{mosaics.MOSAIC}")
    assert all(paths and not any(path.startswith("/") for path in paths) for paths in fresh[1].values())
    with registry.transaction() as connection:
        connection.execute(text("UPDATE data_registry SET stage_path = :s"), {"s": f"{config.paths.stage}/{stage}"})
        hidden = f"/the/old/disk/.withdrawn/{final}"
        connection.execute(text("UPDATE data_registry SET published_path = :p"), {"p": hidden})
        for name, root in {"images": config.paths.stage, "subband_files": config.paths.incoming}.items():
            connection.execute(text(f"UPDATE {name} SET path = :root || path"), {"root": f"{root}/"})
        connection.execute(text("UPDATE schema_version SET version = 4"))
    with contextlib.closing(open_registry(config)) as opened:
        assert _stored(opened) == ([(stage, f".withdrawn/{final}")], fresh[1])
        with opened.read() as connection:
            assert migrations.version_of(connection) == schema.VERSION
        assert queries.get(opened, mosaics.MOSAIC)["published_path"] == str(
            config.paths.products / ".withdrawn" / final
        )


def test_a_backup_of_schema_4_is_restored_with_relative_paths(registry, config, tmp_path):
    mosaics.run(config)
    fresh = _stored(registry)
    backup(registry, tmp_path / "old")
    with contextlib.closing(sqlite3.connect(tmp_path / "old")) as old:
        old.execute("UPDATE data_registry SET published_path = '/elsewhere/' || published_path")
        old.execute("UPDATE schema_version SET version = 4")
        old.commit()
    with registry.transaction() as connection:
        for table in reversed(schema.metadata.sorted_tables):
            if table.name != "schema_version":
                connection.execute(table.delete())
    restore(registry, tmp_path / "old")
    assert _stored(registry) == fresh


def test_a_registry_without_its_version_is_not_upgraded(config):
    with contextlib.closing(open_registry(config)) as opened, opened.transaction() as connection:
        connection.execute(text("DELETE FROM schema_version"))
    with pytest.raises(RegistryError, match=r"table schema_version\) is gone: restore it from a backup"):
        open_registry(config)
