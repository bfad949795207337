"""Locks that let one run at a time work on the roots, and the import path that its jobs inherit."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from contimg.errors import BusyError, ContimgError
from contimg.naming import Layout
from contimg.operations.damaged_twins import is_dry_run
from contimg.storage import locks
from contimg.storage.process import is_dead, me

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_held: list[locks.Lock] = []


_LOOKS = ("--report", "--lint", "--summary", "--detailed-summary", "--dag", "--rulegraph", "--filegraph", "--list")
"""Options with which Snakemake runs no job, besides those of a dry run."""


def only_looks(words: Sequence[str]) -> bool:
    """Return whether the words of a Snakemake command ask for no jobs: a dry run, a report or a list."""
    return is_dry_run(words) or any(word.startswith(_LOOKS) for word in words)


def share_library(folder: str) -> None:
    """Add a folder to PYTHONPATH, so that the jobs of this run, on any node, import contimg from it."""
    earlier = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(folder), earlier]))


def lock_files(layout: Layout) -> dict[str, Path]:
    """Return the lock file in each root that a run writes, by the key of the configuration that names the root.

    Two runs with different states on one stage would each remove the temporary MSs that the other one reads.
    """
    return {
        "paths.state": layout.state / "run.lock",
        "paths.stage": layout.stage / "run.lock",
        "paths.products": layout.products / ".run.lock",
    }


def run_in_progress(layout: Layout, root: str = "paths.state") -> bool:
    """Return whether a process that works on a root is alive, or may be on another machine."""
    owner = locks.owner_of(lock_files(layout)[root])
    return owner is not None and not is_dead(owner, same_machine=True)


def hold_run_locks(layout: Layout) -> None:
    """Take the lock of every root that a run writes, for as long as this process lives; all of them or none.

    The archive's only where that folder is there: it may not be mounted, and a first publication makes it.

    Raises
    ------
    BusyError
        If another run works on one of the roots.
    ContimgError
        If a root cannot be written, or its filesystem has no locks.
    """
    _held.extend(_acquire_all(layout, made=("paths.state", "paths.stage")))


@contextlib.contextmanager
def run_locks(layout: Layout) -> Iterator[None]:
    """Hold the locks of a run during a block; raises as `hold_run_locks` does. No stage is made for it."""
    taken = _acquire_all(layout, made=("paths.state",))
    try:
        yield
    finally:
        for lock in taken:
            lock.release()


def _acquire_all(layout: Layout, made: Collection[str]) -> list[locks.Lock]:
    """Take the locks of all roots that are there, or none where one cannot be taken; those in `made` are made."""
    taken: list[locks.Lock] = []
    try:
        for key, path in lock_files(layout).items():
            if key in made or path.parent.exists():
                taken.append(_acquire(path, key))
    except BaseException:
        for lock in taken:
            lock.release()
        raise
    return taken


def _acquire_nameless(path: Path) -> locks.Lock:
    """Take a lock without writing its owner into the file, for a disk that is full."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise BusyError(f"{path} is locked by another process: wait until it has ended") from None
    return locks.Lock(path, descriptor)


def _acquire(path: Path, key: str) -> locks.Lock:
    """Take the lock of one root; the error names the run that holds it."""
    try:
        return locks.acquire(path, key=key)
    except ContimgError as error:
        cause = error.__cause__
        if isinstance(cause, OSError) and cause.errno in _NO_ROOM and path.exists():
            return _acquire_nameless(path)  # `contimg prune` must work on a full disk
        if not isinstance(error, BusyError):
            raise
        owner = locks.owner_of(path)
        if owner is None or owner.boot != me().boot:
            raise
        raise BusyError(
            f"another run ({owner}) is working on {path.parent} ({key}): wait until it ends, then type the same command"
        ) from None
