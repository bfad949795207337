"""Backup of a registry, made while others work with it, and its restoration into an empty one.

A backup is an SQLite file with the tables of `contimg.registry.schema`, whatever the database that it was made of: a
registry can also be moved from one kind of database to the other so.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, func, insert, select

from contimg.errors import InputError, RegistryError
from contimg.registry import migrations, queries, schema
from contimg.registry.engine import Registry, open_sqlite
from contimg.registry.relative_paths import roots_of
from contimg.storage.atomic import atomic_path

_ROWS = 2000  # copied at a time


def backup(registry: Registry, file: Path) -> dict[str, int]:
    """Write the state of a registry at one moment to a file, which appears when it is whole.

    Parameters
    ----------
    registry : Registry
        Others may read and write it meanwhile.
    file : Path
        An existing file is replaced.

    Returns
    -------
    dict
        The number of rows of each table.

    Raises
    ------
    RegistryError, OSError
        If the registry cannot be read, or the file not be written. No file is left then, or the older one.
    """
    with atomic_path(Path(file)) as part:
        if registry.engine.dialect.name == "sqlite":
            with _sqlite(Path(registry.where)) as source, _sqlite(part) as target:
                source.backup(target)
                target.execute("PRAGMA journal_mode = DELETE")  # one file, without -wal beside it
        else:
            roots = roots_of(registry.engine)
            with (
                contextlib.closing(open_sqlite(part, roots)) as target_registry,
                registry.read(of_one_moment=True) as connection,
                target_registry.transaction() as into,
            ):
                _copy(connection, into)
            with _sqlite(part) as target:
                target.execute("PRAGMA journal_mode = DELETE")
        return _counts(part)


@contextlib.contextmanager
def _sqlite(file: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(file, timeout=30, isolation_level=None)) as connection:
        try:
            yield connection
        except sqlite3.Error as error:
            raise RegistryError(
                f"{file} cannot be read or written as a registry ({error}): look at its disk"
            ) from error


def _counts(file: Path) -> dict[str, int]:
    """Return the number of rows of each table of a backup, after a check of the whole file."""
    with _sqlite(file) as connection:
        (found,) = connection.execute("PRAGMA integrity_check").fetchone()
        if found != "ok":
            raise RegistryError(f"the backup {file} is not whole ({found}): look at the disk, then make it again")
        names = [table.name for table in schema.metadata.sorted_tables]
        return {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}


def _copy(source: Connection, target: Connection) -> None:
    """Copy all rows of all tables, those first that others refer to; what the tables themselves hold already stays."""
    for table in schema.metadata.sorted_tables:
        if table is schema.schema_version:
            continue
        result = source.execution_options(stream_results=True).execute(select(table))
        for block in result.mappings().partitions(_ROWS):
            target.execute(insert(table), [dict(row) for row in block])


def restore(registry: Registry, file: Path) -> dict[str, int]:
    """Copy a backup into an empty registry, in one transaction; return the number of rows of each table.

    Raises
    ------
    InputError
        If the file is no whole backup, or of another version of the tables.
    RegistryError
        If the registry holds something already, or refuses.
    """
    if not Path(file).is_file():
        raise InputError(f"{file} does not exist: name a file that 'contimg registry backup' wrote")
    try:
        counts = _counts(Path(file))
    except RegistryError as error:
        raise InputError(f"{file} is no whole backup of a registry: {error}") from error
    if queries.count(registry) > 0:
        raise RegistryError(
            f"registry {registry.where} holds {queries.count(registry)} rows, which a backup must not be mixed with: "
            "move it away, or name an empty database in registry.url, then type the same command again"
        )
    with contextlib.closing(open_sqlite(Path(file))) as backup_registry, backup_registry.read() as source:
        if migrations.version_of(source) != schema.VERSION:  # opened for reading only, and so not upgraded
            raise InputError(
                f"{file} has tables of another version: give yourself write access to it, so that it can be upgraded"
            )
        with registry.transaction(lock="schema") as target:
            target.execute(schema.registry_identity.delete())
            _copy(source, target)
            if target.dialect.name == "postgresql":  # the next number of an event follows those restored
                last = select(func.coalesce(func.max(schema.publish_events.c.event_id), 1)).scalar_subquery()
                sequence = func.pg_get_serial_sequence("publish_events", "event_id")
                target.execute(select(func.setval(sequence, last)))
    return counts
