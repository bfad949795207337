"""Which process does something, known well enough to tell later whether it died.

A process id alone is given to another process sooner or later. Together with the boot of the machine, the
namespace of process ids (that of a container) and the start time it names one process for ever.
"""

from __future__ import annotations

import functools
import getpass
import hashlib
import json
import os
import re
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path

_PART = re.compile(
    r"\..+\.part-(?P<installation>[0-9a-f]*)-(?P<machine>[0-9a-f]+-\d+)-(?P<pid>\d+)-(?P<start>\d+)(\.old)?"
)
# What a process that cannot be seen from here (another machine or container) left unchanged for this long is left over.
FOREIGN_PART_AGE_S = 86400.0


@dataclass(frozen=True)
class Owner:
    """A process: host name, machine (boot and namespace of process ids), pid, start [clock ticks], installation.

    ``installation`` names the machine over its boots (a digest of host name and ``/etc/machine-id``); it is
    empty where that is not known.
    """

    host: str
    machine: str
    pid: int
    start: int
    installation: str = ""

    @property
    def boot(self) -> str:
        """Return the boot of the machine: the same in all its containers, another after a restart."""
        return self.machine.partition("-")[0]

    def to_json(self) -> str:
        """Return the text that `from_json` reads."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Owner:
        """Read what `to_json` gave.

        Raises
        ------
        ValueError, TypeError
            If the text is something else.
        """
        return cls(**json.loads(text))

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def machine() -> str:
    """Return what names this boot of this machine and its space of process ids."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", "")
    return f"{boot}-{os.stat('/proc/self/ns/pid').st_ino}"


def installation(machine_id: Path = Path("/etc/machine-id")) -> str:
    """Return what names this machine over its boots: 16 hexadecimal digits, empty when it has no ``machine-id``."""
    try:
        name = machine_id.read_text().strip()
    except OSError:
        return ""
    if re.fullmatch(r"[0-9a-f]{32}", name) is None:  # empty, or 'uninitialized'
        return ""
    return hashlib.sha256(f"{name} {socket.gethostname()}".encode()).hexdigest()[:16]


def me() -> Owner:
    """Return this process."""
    return _me(os.getpid())


@functools.lru_cache(maxsize=1)
def _me(pid: int) -> Owner:
    _, start = _process(pid)
    return Owner(socket.gethostname(), machine(), pid, start, installation())


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
        if owner.boot == me().boot:  # another container of this machine
            return False
        same = owner.installation != "" and owner.installation == me().installation
        return same_machine or same
    try:
        state, start = _process(owner.pid)
    except (FileNotFoundError, ProcessLookupError):
        return True
    return start != owner.start or state in "ZX"  # a zombie has run its last instruction


def part_name(name: str) -> str:
    """Return a hidden temporary name for what will be called `name`, which tells whose it is."""
    owner = me()
    return f".{name}.part-{owner.installation}-{owner.machine}-{owner.pid}-{owner.start}"


def part_owner(name: str) -> Owner | None:
    """Return whose a temporary name is; None when it is none."""
    match = _PART.fullmatch(name)
    if match is None:
        return None
    return Owner("", match["machine"], int(match["pid"]), int(match["start"]), match["installation"])


def is_orphan(path: Path) -> bool:
    """Tell whether a temporary file or folder belongs to nobody any more.

    That is so when its process is surely dead; or when its process cannot be seen from here (it ran on
    another machine or in another container) and nothing in it was changed for a day.
    """
    owner = part_owner(path.name)
    if owner is None:
        return False
    if owner.machine == me().machine:
        return is_dead(owner)
    return is_dead(owner) or time.time() - _last_change_unix_s(path) > FOREIGN_PART_AGE_S


def _last_change_unix_s(path: Path) -> float:
    """Return when something in a file or folder was last changed; now, when that cannot be told."""
    times_s = []
    try:
        times_s.append(path.lstat().st_mtime)
        for folder, folders, files in os.walk(path):
            times_s += [os.lstat(os.path.join(folder, name)).st_mtime for name in (*folders, *files)]
    except OSError:  # somebody works on it
        return time.time()
    return max(times_s)


def operator() -> str:
    """Return the name of the person at the keyboard: that of the login, else of the user id."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
