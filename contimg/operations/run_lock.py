"""One run of the workflow: what its process holds and hands on to its jobs."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from contimg.errors import BusyError

_held_locks: list[IO[str]] = []


def share_library(folder: str) -> None:
    """Let the jobs of this run, on this node or another, import contimg from a folder."""
    earlier = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(folder), earlier]))


def hold_run_lock(state: Path) -> None:
    """Take the lock of the run for as long as this process lives; the kernel drops it if it is killed.

    Raises
    ------
    BusyError
        If another run holds it.
    """
    state.mkdir(parents=True, exist_ok=True)
    file = open(state / "run.lock", "a+")  # noqa: SIM115  kept open on purpose
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip()
        file.close()
        raise BusyError(
            f"another run (process {holder}) is working on {state}: wait until it ends, then type the same command"
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    _held_locks.append(file)
