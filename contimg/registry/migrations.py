"""The version of the registry's tables, and the steps that upgrade older ones."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, func, insert, inspect, select, text

from contimg import __version__
from contimg.errors import RegistryError
from contimg.registry import schema
from contimg.times import now


def _index_states_with_ids(connection: Connection) -> None:
    connection.execute(text("DROP INDEX IF EXISTS ix_data_registry_status"))
    connection.execute(text("CREATE INDEX data_registry_by_status ON data_registry (status, data_id)"))


def _know_archive_and_verifications(connection: Connection) -> None:
    columns = "uuid VARCHAR PRIMARY KEY, archive_since VARCHAR"
    connection.execute(text(f"CREATE TABLE IF NOT EXISTS registry_identity ({columns})"))
    if "verified_at" not in {one["name"] for one in inspect(connection).get_columns("data_registry")}:
        connection.execute(text("ALTER TABLE data_registry ADD COLUMN verified_at VARCHAR"))


def _index_verifications(connection: Connection) -> None:
    connection.execute(
        text(
            "CREATE INDEX IF NOT EXISTS data_registry_by_verified ON data_registry (verified_at) "
            "WHERE status = 'published'"
        )
    )


# version -> the step that makes it from the version before. A step is plain SQL text: it must go on
# meaning the same when the tables in `schema` have moved on.
STEPS: dict[int, Callable[[Connection], None]] = {
    2: _index_states_with_ids,
    3: _know_archive_and_verifications,
    4: _index_verifications,
}


def upgrade(connection: Connection, where: str) -> None:
    """Create the tables, or upgrade older ones, within the caller's transaction.

    Raises
    ------
    RegistryError
        If a newer contimg made the database, or another program.
    """
    tables = set(inspect(connection).get_table_names())
    if "schema_version" not in tables:
        if tables & set(schema.metadata.tables):
            raise RegistryError(
                f"{where} holds tables of another program: name an empty database in registry.url or paths.state"
            )
        schema.metadata.create_all(connection)
        _record(connection, schema.VERSION)
        return
    found = version_of(connection)
    if found > schema.VERSION:
        raise RegistryError(
            f"{where} has schema {found}, but this contimg {__version__} knows only up to {schema.VERSION}: "
            "update contimg"
        )
    for version in range(found + 1, schema.VERSION + 1):
        STEPS[version](connection)
        _record(connection, version)


def version_of(connection: Connection) -> int:
    """Return the schema version of an opened database; 0 when it has none."""
    newest = func.coalesce(func.max(schema.schema_version.c.version), 0)
    return int(connection.execute(select(newest)).scalar_one())


def _record(connection: Connection, version: int) -> None:
    row = {"version": version, "applied_at": now(), "code_version": __version__}
    connection.execute(insert(schema.schema_version), row)
