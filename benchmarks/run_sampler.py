"""What a run of the workflow takes while it works, from the outside: memory of all its processes, disk, other load.

A thread looks every second or so. Memory is the sum of proportional set sizes (pages that processes share count once).
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import psutil


@dataclass
class Seen:
    """The largest values that were seen, and what the machine did meanwhile.

    Attributes
    ----------
    memory_bytes : float
        Of the process and all that it started, at one moment.
    disk_bytes : dict of str to int
        Largest size of each folder (allocated blocks); ``all``: of all of them at one moment.
    others_cores : float
        Mean number of cores that were busy with other work than the run's, while it ran.
    """

    memory_bytes: float = 0.0
    disk_bytes: dict[str, int] = field(default_factory=dict)
    others_cores: float = 0.0


class RunSampler:
    """Watch a process, its descendants and some folders until the block ends.

    Parameters
    ----------
    pid : int
    folders : mapping of str to Path
        By the name under which their largest size is told.
    every_s : float
    """

    def __init__(self, pid: int, folders: Mapping[str, Path], every_s: float = 1.0) -> None:
        self.seen = Seen()
        self._process, self._folders, self._every_s = psutil.Process(pid), dict(folders), every_s
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="sampler", daemon=True)

    def __enter__(self) -> RunSampler:
        self._started, self._busy_s, self._ours_s = time.monotonic(), busy_s(), _children_s()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._end.set()
        self._thread.join()
        wall = time.monotonic() - self._started
        # The run has been waited for by now, so that its CPU time counts as our children's.
        others = (busy_s() - self._busy_s) - (_children_s() - self._ours_s)
        self.seen.others_cores = max(0.0, others / wall) if wall > 0 else 0.0

    def _follow(self) -> None:
        while not self._end.is_set():
            self.seen.memory_bytes = max(self.seen.memory_bytes, memory_of(self._process))
            sizes = {name: size_of(folder) for name, folder in self._folders.items()}
            for name, size in {**sizes, "all": sum(sizes.values())}.items():
                self.seen.disk_bytes[name] = max(self.seen.disk_bytes.get(name, 0), size)
            self._end.wait(self._every_s)


def memory_of(process: psutil.Process) -> float:
    """Return the proportional set size of a process and all its descendants [bytes]; 0 when it has ended."""
    total = 0.0
    try:
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        return 0.0
    for one in family:
        with contextlib.suppress(psutil.Error):  # it has ended meanwhile
            total += one.memory_full_info().pss
    return total


def size_of(folder: Path) -> int:
    """Return the allocated size of all files below a folder [bytes]; what vanishes meanwhile counts as nothing."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += os.lstat(os.path.join(place, name)).st_blocks * 512
    return total


def busy_s() -> float:
    """Return the time that all cores of this machine have worked since boot [core s]."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)


def _children_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
