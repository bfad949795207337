"""Putting a simulated machine between the code and the real one: system calls, clocks, identities and the database."""

from __future__ import annotations

import builtins
import contextlib
import io
import logging
import os
import secrets
import time
import types
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Protocol
from unittest import mock

from sqlalchemy import event
from sqlalchemy.engine.default import DefaultDialect

from contimg import times
from contimg.bundle import unchanged
from contimg.registry import engine as registry_engine
from contimg.replicas import stores
from contimg.storage import process as process_module
from contimg.storage import safe_files
from contimg.trials.machine import Machine

CHANGES = (
    "open", "mkdir", "rename", "replace", "unlink", "remove", "rmdir", "link", "symlink", "fsync", "write", "fchmod",
    "ftruncate", "sendfile", "copy_file_range",
)  # fmt: skip
READS = ("listdir", "readv")
_CHUNK_BYTES = 1 << 16  # buffers of 4 MB would cost more than all files of a trial


class Recorder(Protocol):
    """What learns of every system call, and makes it."""

    def call(self, name: str, original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Make a system call and return its result."""


class Committed(Protocol):
    """What learns of every commit."""

    def committed(self, connection: Any) -> None:
        """Note that a connection of the database's driver has just committed changes."""


@contextlib.contextmanager
def installed(machine: Machine, recorder: Recorder | None = None, database: Committed | None = None) -> Iterator[None]:
    """Let the code in the block live on a simulated machine; others see its system calls and commits."""
    with contextlib.ExitStack() as stack:
        for module, name, value in [*_system_calls(machine, recorder), *_clocks_and_names(machine)]:
            stack.enter_context(mock.patch.object(module, name, value))
        for kind in _dialects(DefaultDialect):
            if "do_commit" in vars(kind):
                value = _commit(machine, vars(kind)["do_commit"], database)
                stack.enter_context(mock.patch.object(kind, "do_commit", value))
        yield


def _dialects(kind: type) -> list[type]:
    below: list[type] = kind.__subclasses__()
    return [kind, *(deeper for one in below for deeper in _dialects(one))]


def _system_calls(machine: Machine, recorder: Recorder | None) -> list[tuple[Any, str, Any]]:
    def wrapped(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if machine.current is None or not machine.is_here:
                return original(*args, **kwargs)
            machine.gate(name)
            return original(*args, **kwargs) if recorder is None else recorder.call(name, original, args, kwargs)

        return call

    found: list[tuple[Any, str, Any]] = [(os, name, wrapped(name, getattr(os, name))) for name in CHANGES + READS]
    found.append((safe_files, "_renameat2", wrapped("renameat2", safe_files._renameat2)))
    original_open: Callable[..., Any] = io.open

    def opened(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if machine.current is None or not machine.is_here or isinstance(file, int) or not set(mode) & set("wax+"):
            return original_open(file, mode, *args, **kwargs)
        # What is written through a file object reaches the disk without passing os.write: os.open sees the file.
        return original_open(file, mode, *args, opener=lambda path, flags: os.open(path, flags, 0o666), **kwargs)

    return [*found, (io, "open", opened), (builtins, "open", opened)]


def _clocks_and_names(machine: Machine) -> list[tuple[Any, str, Any]]:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return machine.datetime_now(tz)

    def nobody(_file: object) -> None:
        machine.sleep(1.0)  # the lock of the registry is held by another simulated process

    def of_the_machine(real: Callable[..., Any], simulated: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args: simulated(*args) if machine.is_here else real(*args)

    # A record of the log holds the simulated time too, but does not let it go on: who listens must not matter.
    logs_time = types.SimpleNamespace(**vars(time) | {"time": lambda: machine.now_s})

    return [
        (logging, "time", logs_time),
        (time, "time", of_the_machine(time.time, machine.clock)),
        (time, "monotonic", of_the_machine(time.monotonic, machine.clock)),
        (time, "sleep", of_the_machine(time.sleep, machine.sleep)),
        (times, "datetime", Clock),
        (secrets, "token_hex", of_the_machine(secrets.token_hex, machine.token)),
        (uuid, "uuid4", of_the_machine(uuid.uuid4, lambda: uuid.UUID(machine.token(16)))),
        (process_module, "_me", lambda _pid: machine.me()),
        (process_module, "machine", lambda: machine.identity),
        (process_module, "_process", machine.state_of),
        (registry_engine, "stopped_writer", nobody),
        (registry_engine, "_TRY_S", 0.0),
        (stores, "_part", process_module.part_name),  # a thread's number is another one each time
        (safe_files, "CHUNK_BYTES", _CHUNK_BYTES),
        (unchanged, "is_older", lambda *_: False),  # the kernel's times of files are those of the real clock
    ]


def _commit(machine: Machine, original: Callable[..., Any], database: Committed | None) -> Callable[..., Any]:
    def commit(self: Any, connection: Any) -> Any:
        machine.gate("commit")
        result = original(self, connection)
        machine.leave_transaction()
        driver = connection.dbapi_connection
        if database is not None and driver.total_changes != connection.info.get("changes", 0):
            connection.info["changes"] = driver.total_changes  # of this connection, which is used again
            database.committed(driver)
        machine.gate("committed")
        return result

    return commit


@contextlib.contextmanager
def watched(machine: Machine, engine: Any) -> Iterator[None]:
    """Let the statements of a database engine pass the gates of a machine."""

    def statement(*_: Any) -> None:
        machine.gate("statement")

    def begun(*_: Any) -> None:
        if machine.current is not None:
            machine.current.transactions += 1

    def undone(*_: Any) -> None:
        machine.leave_transaction()

    listeners = [("before_cursor_execute", statement), ("begin", begun), ("rollback", undone)]
    for name, listener in listeners:
        event.listen(engine, name, listener)
    try:
        yield
    finally:
        for name, listener in listeners:
            event.remove(engine, name, listener)
