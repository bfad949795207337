"""Faults for a publisher's process: kills, refusing system calls, a refusing database, a jumping clock.

Each is installed in a forked child only, after which nothing of the parent is affected.
"""

from __future__ import annotations

import errno
import mmap
import os
import signal
import sqlite3
import struct
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from contimg.publishing import checkpoints
from contimg.storage import safe_files

# The system calls of registering and publishing, and what each may be refused with; `renameat2` is the one of
# `files._renameat2`. In this order they are tried, again and again.
REFUSALS = tuple(
    (call, number)
    for call, numbers in {
        "write": (errno.ENOSPC, errno.EIO, errno.EDQUOT),
        "fsync": (errno.EIO, errno.ENOSPC, errno.EDQUOT),
        "renameat2": (errno.EXDEV, errno.ENOSPC, errno.EACCES, errno.EIO, errno.ENOSYS),
        "open": (errno.EACCES, errno.ENOSPC, errno.EIO, errno.EMFILE, errno.EROFS),
        "readv": (errno.EIO, errno.ESTALE),
        "mkdir": (errno.ENOSPC, errno.EACCES, errno.EROFS),
        "link": (errno.EXDEV, errno.ENOSPC, errno.EIO),
        "replace": (errno.ENOSPC, errno.EACCES, errno.EIO),
        "rename": (errno.ENOSPC, errno.EACCES, errno.EXDEV),
        "unlink": (errno.EACCES, errno.EIO),
        "rmdir": (errno.EACCES, errno.EIO),
        "listdir": (errno.EIO, errno.EACCES),
        "stat": (errno.EIO, errno.EACCES),
    }.items()
    for number in numbers
)
CALLS = tuple(dict.fromkeys(call for call, _ in REFUSALS))

_struck = mmap.mmap(-1, 8)  # shared with forked children: a fault that took place is counted even if it kills


def strike() -> None:
    """Count that a fault took place."""
    _struck[:] = struct.pack("q", strikes() + 1)


def strikes() -> int:
    """Return how many faults took place, in this process and those that it forked."""
    return struct.unpack("q", _struck[:])[0]


def kill_at(name: str, occurrence: int) -> None:
    """Die by SIGKILL at a checkpoint."""
    seen = Counter[str]()

    def hook(passed: str) -> None:
        seen[passed] += 1
        if passed == name and seen[passed] == occurrence:
            strike()
            os.kill(os.getpid(), signal.SIGKILL)

    checkpoints.hook = hook


def at_checkpoint(name: str, action: Callable[[], None]) -> None:
    """Do something to the outer world at a checkpoint, once."""
    done: list[str] = []

    def hook(passed: str) -> None:
        if passed == name and not done:
            done.append(passed)
            strike()
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
                strike()
                raise OSError(number, os.strerror(number), f"injected into {name}")
            return original(*args, **kwargs)

        return call

    for name in CALLS:
        if name == "renameat2":
            safe_files._renameat2 = wrapped(name, safe_files._renameat2)
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

    def write(descriptor: int, data: Any) -> int:
        if len(data) > 1:
            strike()
        return original(descriptor, memoryview(data)[: max(1, len(data) // 2)])

    os.write = write


def flip_written_bit(occurrence: int) -> None:
    """Let the n-th write put a wrong byte on the disk and report success."""
    original, count = os.write, Counter[str]()

    def write(descriptor: int, data: Any) -> int:
        count["write"] += 1
        if count["write"] == occurrence:
            wrong = bytearray(data)
            wrong[len(wrong) // 2] ^= 1
            data = bytes(wrong)
            strike()
        return original(descriptor, data)

    os.write = write


def refuse_database(occurrence: int, *, when: str, backend: str) -> None:
    """Refuse the n-th statement, or the n-th commit: before it took place, or after (as when a link breaks)."""
    if backend == "sqlite":
        failure: Exception = sqlite3.OperationalError("database is locked")
    else:
        import psycopg

        failure = psycopg.OperationalError("server closed the connection unexpectedly")
    method = "do_execute" if when == "statement" else "do_commit"

    def decide(called: str, count: int) -> Exception | None:
        return failure if called == method and count == occurrence else None

    _wrap_database(decide, after=when == "after commit")


def count_database() -> Counter[str]:
    """Return the counts, as they grow, of statements (`do_execute`) and commits (`do_commit`)."""
    return _wrap_database(lambda called, count: None)


def _wrap_database(decide: Callable[[str, int], Exception | None], *, after: bool = False) -> Counter[str]:
    from sqlalchemy.engine.default import DefaultDialect

    counts = Counter[str]()

    def wrapped(method: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            counts[method] += 1
            failure = decide(method, counts[method])
            if failure is None:
                return original(*args, **kwargs)
            if after:
                original(*args, **kwargs)
            strike()
            raise failure

        return call

    for kind in _subclasses(DefaultDialect):
        for method in ("do_execute", "do_commit"):
            if method in vars(kind):
                setattr(kind, method, wrapped(method, getattr(kind, method)))
    return counts


def _subclasses(kind: type) -> list[type]:
    return [kind] + [deeper for below in kind.__subclasses__() for deeper in _subclasses(below)]


def jump_clock(jump_s: float, after_calls: int) -> None:
    """Let the wall clock jump after some readings of it."""
    original, count = time.time, Counter[str]()

    def jumped() -> float:
        count["time"] += 1
        if count["time"] <= after_calls:
            return original()
        strike()
        return original() + jump_s

    time.time = jumped
