"""Faults for a publisher's process: kills, refusing system calls, a refusing database, a jumping clock.

Each is installed in a forked child only, after which nothing of the parent is affected.
"""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from contimg.publishing import checkpoints, files

# The system calls of registering and publishing; `renameat2` is the one of `files._renameat2`.
CALLS = (
    "open", "write", "readv", "fsync", "mkdir", "rename", "replace", "unlink", "rmdir", "link", "listdir", "stat",
    "renameat2",
)  # fmt: skip
ERRORS = {
    "open": (errno.ENOSPC, errno.EACCES, errno.EIO, errno.EMFILE, errno.EROFS),
    "write": (errno.ENOSPC, errno.EIO, errno.EDQUOT),
    "readv": (errno.EIO, errno.ESTALE),
    "fsync": (errno.EIO, errno.ENOSPC, errno.EDQUOT),
    "mkdir": (errno.ENOSPC, errno.EACCES, errno.EROFS),
    "rename": (errno.ENOSPC, errno.EACCES, errno.EXDEV),
    "replace": (errno.ENOSPC, errno.EACCES, errno.EIO),
    "unlink": (errno.EACCES, errno.EIO),
    "rmdir": (errno.EACCES, errno.EIO),
    "link": (errno.EXDEV, errno.ENOSPC, errno.EIO),
    "listdir": (errno.EIO, errno.EACCES),
    "stat": (errno.EIO, errno.EACCES),
    "renameat2": (errno.EXDEV, errno.ENOSPC, errno.EACCES, errno.EIO, errno.ENOSYS),
}


def kill_at(name: str, occurrence: int) -> None:
    """Die by SIGKILL at a checkpoint."""
    seen = Counter[str]()

    def hook(passed: str) -> None:
        seen[passed] += 1
        if passed == name and seen[passed] == occurrence:
            os.kill(os.getpid(), signal.SIGKILL)

    checkpoints.hook = hook


def at_checkpoint(name: str, action: Callable[[], None]) -> None:
    """Do something to the outer world at a checkpoint, once."""
    done: list[str] = []

    def hook(passed: str) -> None:
        if passed == name and not done:
            done.append(passed)
            action()

    checkpoints.hook = hook


def wrap_calls(decide: Callable[[str, int], int | None]) -> Counter[str]:
    """Let `decide(call, how many-th)` refuse system calls with an errno; return the counts so far."""
    counts = Counter[str]()

    def wrapped(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            counts[name] += 1
            number = decide(name, counts[name])
            if number is not None:
                raise OSError(number, os.strerror(number), f"injected into {name}")
            return original(*args, **kwargs)

        return call

    for name in CALLS:
        if name == "renameat2":
            files._renameat2 = wrapped(name, files._renameat2)
        else:
            setattr(os, name, wrapped(name, getattr(os, name)))
    return counts


def refuse_call(name: str, occurrence: int, number: int, *, persistent: bool) -> None:
    """Refuse the n-th call, or all from the n-th on."""

    def decide(call: str, count: int) -> int | None:
        hit = call == name and (count >= occurrence if persistent else count == occurrence)
        return number if hit else None

    wrap_calls(decide)


def short_writes() -> None:
    """Let every write take only half of what it is given."""
    original = os.write
    os.write = lambda descriptor, data: original(descriptor, memoryview(data)[: max(1, len(data) // 2)])


def flip_written_bit(occurrence: int) -> None:
    """Let the n-th write put a wrong byte on the disk and report success."""
    original, count = os.write, Counter[str]()

    def write(descriptor: int, data: Any) -> int:
        count["write"] += 1
        if count["write"] == occurrence:
            wrong = bytearray(data)
            wrong[len(wrong) // 2] ^= 1
            data = bytes(wrong)
        return original(descriptor, data)

    os.write = write


def refuse_database(occurrence: int, *, when: str, backend: str) -> None:
    """Refuse the n-th statement, or the n-th commit: before it took place, or after (as when a link breaks)."""
    from sqlalchemy.engine.default import DefaultDialect

    if backend == "sqlite":
        failure: Exception = sqlite3.OperationalError("database is locked")
    else:
        import psycopg

        failure = psycopg.OperationalError("server closed the connection unexpectedly")
    method = "do_execute" if when == "statement" else "do_commit"
    count = Counter[str]()
    for kind in _subclasses(DefaultDialect):
        if method in vars(kind):
            _refuse_method(kind, method, count, occurrence, failure, after=when == "after commit")


def _refuse_method(
    kind: type, method: str, count: Counter[str], occurrence: int, failure: Exception, *, after: bool
) -> None:
    original = getattr(kind, method)

    def call(*args: Any, **kwargs: Any) -> Any:
        count[method] += 1
        if count[method] != occurrence:
            return original(*args, **kwargs)
        if after:
            original(*args, **kwargs)
        raise failure

    setattr(kind, method, call)


def _subclasses(kind: type) -> list[type]:
    return [kind] + [deeper for below in kind.__subclasses__() for deeper in _subclasses(below)]


def jump_clock(jump_s: float, after_calls: int) -> None:
    """Let the wall clock jump after some readings of it."""
    original, count = time.time, Counter[str]()

    def jumped() -> float:
        count["time"] += 1
        return original() + (jump_s if count["time"] > after_calls else 0.0)

    time.time = jumped
