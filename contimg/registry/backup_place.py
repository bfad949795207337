"""Whether a new backup may take the name of a file: it replaces nothing but an older backup of the same registry."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from pathlib import Path

from contimg.bundle.record import KINDS
from contimg.errors import InputError, RegistryError
from contimg.registry.engine import Registry
from contimg.registry.sqlite_urls import read_only_uri

_ANOTHER = "name another file"
_TABLES = frozenset(("schema_version", "data_registry", "publish_events"))
_BESIDE = ("-wal", "-shm", "-journal")  # what SQLite keeps beside a database that is at work
_HEADER, _MODE, _ROLLBACK = b"SQLite format 3\x00", slice(18, 20), b"\x01\x01"  # https://sqlite.org/fileformat.html
_KINDS = {stat.S_IFDIR: "folder", stat.S_IFLNK: "symlink", stat.S_IFIFO: "FIFO", stat.S_IFSOCK: "socket"}


def require_place(registry: Registry, file: Path) -> bool:
    """Raise where a backup must not be written at all; return whether an older backup stands there.

    Raises
    ------
    InputError
        If the folder does not exist, or what stands at the name is no backup, or is at work.
    """
    if not file.parent.is_dir():
        raise InputError(f"{file.parent} is no folder: make it, or mount its disk, then type the same command again")
    if file.name.endswith(_BESIDE):
        raise InputError(f"{file} has a name that SQLite gives to a file of its own ({', '.join(_BESIDE)}): {_ANOTHER}")
    beside = next((one for one in (Path(f"{file}{end}") for end in _BESIDE) if os.path.lexists(one)), None)
    if registry.engine.dialect.name == "sqlite" and file.exists() and os.path.samefile(file, registry.where):
        raise InputError(f"{file} is the registry itself: {_ANOTHER}, best on another disk")
    if beside is not None:  # SQLite would take it for a part of the new file
        raise InputError(f"{beside} is of a database that is, or was, at work at {file}: {_ANOTHER}")
    try:
        found = os.lstat(file)
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f"{file} is a {_KINDS.get(stat.S_IFMT(found.st_mode), 'device')}, no plain file: {_ANOTHER}")
    _require_backup(file)
    return True


def _require_backup(file: Path) -> None:
    """Raise `InputError` unless a file is a backup of a registry: our tables, in a database that is at rest."""
    with open(file, "rb") as opened:
        head = opened.read(100)
    if not head.startswith(_HEADER):
        raise InputError(f"{file} exists and is no backup of a registry, so that it is not replaced: {_ANOTHER}")
    if head[_MODE] != _ROLLBACK:
        raise InputError(f"{file} is a database that a program works with, and no backup of one: {_ANOTHER}")
    try:
        with contextlib.closing(sqlite3.connect(read_only_uri(file), uri=True)) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.Error as error:
        raise InputError(f"{file} exists and is no whole backup ({error}): move it away, or {_ANOTHER}") from error
    if not tables >= _TABLES:
        raise InputError(f"{file} is a database of another program, so that it is not replaced: {_ANOTHER}")


def require_older(older: Path, new: Path, file: Path) -> None:
    """Raise `RegistryError` unless a new backup holds all that an older one does.

    Parameters
    ----------
    older, new : Path
        Two whole backups.
    file : Path
        The older one's name for messages.
    """
    remedy = f"{_ANOTHER}, or add --replace if nobody needs that backup any more"
    with contextlib.closing(sqlite3.connect(read_only_uri(new), uri=True)) as connection:
        connection.execute("ATTACH ? AS older", (read_only_uri(older),))
        try:
            known, mine = (_uuid(connection, name) for name in ("older", "main"))
            # A registry has none before its first publication: then its bundles tell.
            if known is not None and known != mine:
                raise RegistryError(
                    f"{file} is a backup of another registry ({known}; this one is {mine or 'new and empty'}): {remedy}"
                )
            versions = _lost(connection, "SELECT data_id, version, sha256 FROM {}.data_registry")
            kinds = ", ".join(f"'{kind}'" for kind in KINDS)
            decisions = _lost(
                connection, f"SELECT data_id, version, event, time FROM {{}}.publish_events WHERE event IN ({kinds})"
            )
        except sqlite3.Error as error:
            raise RegistryError(f"{file} is no whole backup ({error}): move it away, or {_ANOTHER}") from error
    if versions or decisions:
        raise RegistryError(
            f"{file} holds {versions} versions of mosaics and {decisions} decisions that this registry does not: "
            f"{remedy}"
        )


def _uuid(connection: sqlite3.Connection, name: str) -> str | None:
    """Return the UUID of the registry in one of the two databases; None where it has none yet."""
    tables = f"SELECT count(*) FROM {name}.sqlite_master WHERE name = 'registry_identity'"
    if not connection.execute(tables).fetchone()[0]:  # of before schema 3
        return None
    row = connection.execute(f"SELECT uuid FROM {name}.registry_identity").fetchone()
    return None if row is None else str(row[0])


def _lost(connection: sqlite3.Connection, query: str) -> int:
    """Return how many rows of the older backup the new one lacks."""
    both = f"SELECT count(*) FROM ({query.format('older')} EXCEPT {query.format('main')})"
    return int(connection.execute(both).fetchone()[0])
