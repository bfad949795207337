"""Backup of a registry, made while others work with it, and its restoration into an empty one.

A backup is an SQLite file with the tables of `contimg.registry.schema`, whatever the database that it was made of: a
registry can also be moved from one kind of database to the other so.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Table, func, insert, select, text

from contimg.errors import InputError, RegistryError
from contimg.registry import schema
from contimg.registry.backup_place import require_older, require_place
from contimg.registry.engine import Registry, open_alone, open_at_rest
from contimg.registry.relative_paths import roots_of
from contimg.registry.sqlite_urls import alone_uri, read_only_uri
from contimg.storage.atomic import atomic_path

_ROWS = 2000  # copied at a time


def backup(registry: Registry, file: Path, *, replace: bool = False) -> dict[str, int]:
    """Write the state of a registry at one moment to a file, which appears when it is whole.

    Parameters
    ----------
    registry : Registry
        Others may read and write it meanwhile. One that this user may only read can be backed up, too.
    file : Path
        In a folder that exists. A backup of the same registry that stands there is replaced when the new one holds
        every version and decision that it holds; nothing else is.
    replace : bool
        Replace a backup of another registry, or one that holds more. What is no backup is never replaced.

    Returns
    -------
    dict
        The number of rows of each table.

    Raises
    ------
    InputError
        If the folder does not exist, or `file` is something that is not replaced.
    RegistryError, OSError
        If the registry cannot be read, the file not be written, or the backup at its name holds more. No file is left
        then, or the older one.
    """
    file = Path(file)
    older = require_place(registry, file)
    with atomic_path(file) as part:
        if registry.engine.dialect.name == "sqlite":
            _copy_file(registry, part, file)
        else:
            roots = roots_of(registry.engine)
            with (
                contextlib.closing(open_alone(part, str(file), roots)) as target_registry,
                registry.read(of_one_moment=True) as connection,
                target_registry.transaction() as into,
            ):
                _copy(registry, connection, into)
        problem = _damage(part)
        if problem is not None:
            raise _not_whole(registry, file, problem)
        _lay_to_rest(part, file)
        if older and not replace:
            require_older(file, part, file)
        return _counts(part)


def _copy_file(registry: Registry, part: Path, file: Path) -> None:
    """Copy the pages of an SQLite registry; of one that this user may only read while nobody works with it, too."""
    where = Path(registry.where)
    before = _state(where)
    uri = read_only_uri(where) if registry.read_only else f"file:{quote(str(where))}?mode=rw"
    with _sqlite(uri, where) as source, _sqlite(alone_uri(part), file) as target:
        source.backup(target)
    if "immutable" in uri and before != _state(where):  # by a writer that began after all
        raise RegistryError(f"{where} was changed while it was read: type the same command again")


def _state(file: Path) -> tuple[int, int, bool]:
    """Return what tells whether an SQLite file has been written to."""
    found = file.stat()
    return found.st_mtime_ns, found.st_size, Path(f"{file}-wal").exists()


def _lay_to_rest(database: Path, name: Path) -> None:
    """Make a backup one file, without ``-wal`` beside it, by which it differs from a registry that is at work."""
    with _sqlite(alone_uri(database), name) as connection:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")  # no shared memory, which network filesystems lack
        connection.execute("PRAGMA journal_mode = DELETE")


@contextlib.contextmanager
def _sqlite(uri: str, name: Path) -> Iterator[sqlite3.Connection]:
    """Open an SQLite file; errors call it `name`."""
    try:
        with contextlib.closing(sqlite3.connect(uri, timeout=30, isolation_level=None, uri=True)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise RegistryError(f"{name} cannot be read or written as a registry ({error}): look at its disk") from error


def _damage(file: Path) -> str | None:
    """Return what is wrong with an SQLite file, after a check of all of it; None where it is whole."""
    try:
        with contextlib.closing(sqlite3.connect(read_only_uri(file), timeout=30, uri=True)) as connection:
            (found,) = connection.execute("PRAGMA integrity_check").fetchone()
    except sqlite3.Error as error:
        return str(error)
    return None if found == "ok" else " ".join(str(found).split())


def _not_whole(registry: Registry, file: Path, problem: str) -> RegistryError:
    """Return the error that a new backup is damaged: by its own disk, or as the registry is."""
    if registry.engine.dialect.name == "sqlite" and _damage(Path(registry.where)) is not None:
        return RegistryError(
            f"registry {registry.where} is damaged ({problem}): move it away, then type 'contimg registry restore "
            "FILE' with its last backup, or 'contimg reconcile' where there is none"
        )
    return RegistryError(f"the backup {file} is not whole ({problem}): look at its disk, then make it again")


def _counts(file: Path) -> dict[str, int]:
    """Return the number of rows of each table of a backup."""
    with _sqlite(read_only_uri(file), file) as connection:
        names = [table.name for table in schema.metadata.sorted_tables]
        return {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}


def _copy(registry: Registry, source: Connection, target: Connection) -> None:
    """Copy all rows of all tables, those first that others refer to; what the tables themselves hold already stays."""
    for table in schema.metadata.sorted_tables:
        if table is not schema.schema_version:
            for block in _blocks(registry, source, table):
                target.execute(insert(table), block)


def _blocks(registry: Registry, source: Connection, table: Table) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of a table; an error of reading them names the registry that they are of, not the one written."""
    with registry.report():
        result = source.execution_options(stream_results=True).execute(select(table))
        for block in result.mappings().partitions(_ROWS):
            yield [dict(row) for row in block]


def restore(registry: Registry, file: Path) -> dict[str, int]:
    """Copy a backup into an empty registry, in one transaction; return the number of rows of each table.

    Raises
    ------
    InputError
        If the file is no whole backup, or the registry itself.
    RegistryError
        If the registry holds something already, or refuses; or if a newer contimg made the backup.
    """
    file = Path(file)
    if not file.is_file():
        what = "is no plain file" if file.exists() else "does not exist"
        raise InputError(f"{file} {what}: name a file that 'contimg registry backup' wrote")
    if registry.engine.dialect.name == "sqlite" and os.path.samefile(file, registry.where):
        raise InputError(f"{file} is the registry itself: name a file that 'contimg registry backup' wrote")
    problem = _damage(file)
    if problem is not None:
        raise InputError(f"{file} is no whole backup of a registry ({problem}): name another one")
    with _at_rest(file) as backup_registry, backup_registry.read() as source:
        with registry.transaction(lock="schema") as target:
            _require_empty(registry, target)
            target.execute(schema.registry_identity.delete())
            _copy(backup_registry, source, target)
            if target.dialect.name == "postgresql":  # the next number of an event follows those restored
                last = select(func.coalesce(func.max(schema.publish_events.c.event_id), 1)).scalar_subquery()
                sequence = func.pg_get_serial_sequence("publish_events", "event_id")
                target.execute(select(func.setval(sequence, last)))
        tables = schema.metadata.sorted_tables
        return {one.name: source.execute(select(func.count()).select_from(one)).scalar_one() for one in tables}


def _require_empty(registry: Registry, target: Connection) -> None:
    """Raise where a registry holds rows, within the transaction that fills it; nobody else writes until its end."""
    if target.dialect.name == "postgresql":  # SQLite has one writer
        tables = ", ".join(table.name for table in schema.metadata.sorted_tables)
        target.execute(text(f"LOCK TABLE {tables} IN SHARE ROW EXCLUSIVE MODE"))
    held = target.execute(select(func.count()).select_from(schema.data_registry)).scalar_one()
    if held > 0:
        raise RegistryError(
            f"registry {registry.where} holds {held} rows, which a backup must not be mixed with: move it away, or "
            "name an empty database in registry.url, then type the same command again"
        )


@contextlib.contextmanager
def _at_rest(file: Path) -> Iterator[Registry]:
    """Open a backup for reading; one of older tables is upgraded in a copy, so that nothing is written at its place."""
    try:
        with _sqlite(read_only_uri(file), file) as connection:
            (version,) = connection.execute("SELECT max(version) FROM schema_version").fetchone()
    except RegistryError as error:
        raise InputError(f"{file} is no whole backup of a registry: {error}") from error
    if version is None:
        raise InputError(f"{file} is no whole backup of a registry (its tables have no version): name another one")
    if version == schema.VERSION:
        with contextlib.closing(open_at_rest(file)) as opened:
            yield opened
        return
    with tempfile.TemporaryDirectory(prefix="contimg-") as folder:
        copy = Path(folder) / "backup"
        with _sqlite(read_only_uri(file), file) as source, _sqlite(alone_uri(copy), copy) as target:
            source.backup(target)
        _lay_to_rest(copy, copy)
        with contextlib.closing(open_alone(copy, str(file))) as opened:
            yield opened
