"""A model of what an SQLite registry keeps when the power is cut: all that was committed durably, and perhaps more."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

_FULL = 2  # PRAGMA synchronous; with a write-ahead log, NORMAL (1) does not wait for the disk at a commit


class Database:
    """The states of an SQLite file since its last durable commit.

    Attributes
    ----------
    file : Path
    states : list of bytes
        The first is durable; the later ones may have reached the disk, each with all before it.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.states = [b""]
        self.adopt()

    def adopt(self) -> None:
        """Take the file as it is now for durable."""
        import contextlib
        import sqlite3

        with contextlib.closing(sqlite3.connect(self.file)) as connection:
            self.states = [connection.serialize()]

    def committed(self, connection: Any) -> None:
        """Note the state after a commit of a connection (`sqlite3.Connection`); SQLite itself says how sure it is.

        A transaction that wrote nothing syncs nothing either: what was committed before it is no surer than before.
        """
        state = connection.serialize()
        if state == self.states[-1]:
            return
        (level,) = connection.execute("PRAGMA synchronous").fetchone()
        if level >= _FULL:
            self.states = [state]
        else:
            self.states.append(state)

    def cut(self, random: Random) -> None:
        """Lose the power: make the file what the disk may hold then."""
        state = random.choice(self.states)
        for suffix in ("-wal", "-shm"):
            Path(f"{self.file}{suffix}").unlink(missing_ok=True)
        self.file.write_bytes(state)
        self.states = [state]
