"""Who does something: a process, known well enough to tell later that it died."""

from __future__ import annotations

import functools
import getpass
import json
import os
import re
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

_PART = re.compile(r"\.part\.(?P<machine>[0-9a-f]+-\d+)\.(?P<pid>\d+)\.(?P<start>\d+)")


@dataclass(frozen=True)
class Owner:
    """A process: host name, machine (boot and namespace of process ids), pid, start [clock ticks]."""

    host: str
    machine: str
    pid: int
    start: int

    def to_json(self) -> str:
        """Return the text that `from_json` reads."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Owner:
        """Read what `to_json` gave."""
        return cls(**json.loads(text))

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def machine() -> str:
    """Return what names this boot of this machine and its space of process ids."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", "")
    return f"{boot}-{os.stat('/proc/self/ns/pid').st_ino}"


def me() -> Owner:
    """Return this process."""
    return _me(os.getpid())


@functools.lru_cache(maxsize=1)
def _me(pid: int) -> Owner:
    _, start = _process(pid)
    return Owner(socket.gethostname(), machine(), pid, start)


def _process(pid: int) -> tuple[str, int]:
    """Return state and start time of a process, from ``/proc/<pid>/stat`` (proc(5), fields 3 and 22)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return fields[0], int(fields[19])


def is_dead(owner: Owner, *, same_machine: bool = False) -> bool:
    """Tell whether a process surely runs no more; False when that cannot be known from here.

    Parameters
    ----------
    owner : Owner
    same_machine : bool
        True when the owner can only have run on this machine (its registry is a local file): then
        another boot means that the machine was restarted under it.
    """
    if owner.machine != machine():
        return same_machine and owner.machine.partition("-")[0] != machine().partition("-")[0]
    try:
        state, start = _process(owner.pid)
    except (FileNotFoundError, ProcessLookupError):
        return True
    return start != owner.start or state in "ZX"  # a zombie has run its last instruction


def part_name() -> str:
    """Return a temporary name that tells whose it is."""
    owner = me()
    return f".part.{owner.machine}.{owner.pid}.{owner.start}"


def is_orphan(name: str) -> bool:
    """Tell whether a temporary name belongs to a process that is surely dead (or is one's own of before)."""
    match = _PART.fullmatch(name)
    if match is None:
        return False
    owner = Owner("", match["machine"], int(match["pid"]), int(match["start"]))
    return is_dead(owner)


def operator() -> str:
    """Return the name of the person at the keyboard: that of the login, else of the user id."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
