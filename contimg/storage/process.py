"""The identity of a process, by which another process can tell later whether it has ended.

A process id alone is given to another process sooner or later. Together with the boot of the machine, the
namespace of process ids (each container has its own) and the start time it is unique.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import pwd
import re
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from contimg.storage.filesystem import walk
from contimg.storage.json_files import parse_json

_PART = re.compile(
    r"\..+\.part-(?P<installation>[0-9a-f]*)-(?P<machine>[0-9a-f]+-\d+)-(?P<pid>\d+)-(?P<start>\d+)(\.old)?"
)
# A temporary file of a process that cannot be seen from here (on another machine or in another container) counts as
# left over when it has not changed for this long.
FOREIGN_PART_AGE_S = 86400.0
_MOST = 1 << 63  # of a process id or a number of clock ticks: longer ones are no name of the kernel's


@dataclass(frozen=True)
class Owner:
    """The identity of a process.

    Attributes
    ----------
    host : str
        Host name, for messages.
    machine : str
        The boot of the machine and the namespace of process ids (`machine`).
    pid : int
    start : int
        When it was started [clock ticks since boot].
    installation : str
        The machine over all its boots (`installation`); empty where that is not known.
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
            If the text is something else, as what a torn page or a hostile hand leaves in a lock file.
        """
        owner = cls(**parse_json(text))
        numbers, texts = (owner.pid, owner.start), (owner.host, owner.machine, owner.installation)
        whole = all(type(one) is int and 0 <= one < _MOST for one in numbers)
        if not whole or not all(isinstance(one, str) and one.isprintable() for one in texts):
            raise TypeError("no process is named there")
        return owner

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def machine() -> str:
    """Return the identity of this machine's present boot and of our namespace of process ids, as text."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", "")
    return f"{boot}-{os.stat('/proc/self/ns/pid').st_ino}"


def installation(machine_id: Path = Path("/etc/machine-id")) -> str:
    """Return the identity of this machine, the same after a reboot; empty when it has no ``/etc/machine-id``.

    Returns
    -------
    str
        The first 16 hexadecimal digits of the SHA-256 of machine id and host name.
    """
    try:
        name = machine_id.read_text().strip()
    except OSError:
        return ""
    if re.fullmatch(r"[0-9a-f]{32}", name) is None:  # empty, or 'uninitialized'
        return ""
    return hashlib.sha256(f"{name} {socket.gethostname()}".encode()).hexdigest()[:16]


def me() -> Owner:
    """Return the identity of this process."""
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
    """Return whether a process has certainly ended; False when that cannot be known from here.

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
    """Return a hidden temporary name for a file that will be called `name`, with the identity of this process in it.

    What is a temporary name already gets one of the same length: a removal may be stopped many times.
    """
    if _PART.fullmatch(name) is not None:
        return f"{part_name(name[: name.index('.part-')].lstrip('.'))}.old"
    owner = me()
    return f".{name}.part-{owner.installation}-{owner.machine}-{owner.pid}-{owner.start}"


def part_owner(name: str) -> Owner | None:
    """Return the process in a name made by `part_name`; None for any other name."""
    match = _PART.fullmatch(name)
    if match is None:
        return None
    return Owner("", match["machine"], int(match["pid"]), int(match["start"]), match["installation"])


def is_orphan(path: Path) -> bool:
    """Return whether a temporary file or folder was left by a process that has ended.

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
    """Return the latest modification time in a file or folder [Unix s]; the present time when it cannot be read."""
    times_s = []
    try:
        times_s.append(path.lstat().st_mtime)
        for folder, folders, files in walk(path):
            times_s += [os.lstat(os.path.join(folder, name)).st_mtime for name in (*folders, *files)]
    except OSError:  # somebody works on it
        return time.time()
    return max(times_s)


def operator() -> str:
    """Return who is at the keyboard: the name of the login, and what the system knows of the user id.

    The name of the login is what the environment says (LOGNAME), so that a shared account may say who uses it; account,
    full name and number cannot be set so: ``ada (uid 1001, Ada Lovelace)``, or ``x (uid 1001, ada, Ada Lovelace)``.
    """
    uid = os.getuid()
    try:
        account = pwd.getpwuid(uid)
    except KeyError:
        known = None
    else:
        known = (account.pw_name, account.pw_gecos.split(",")[0])
    said = next(filter(None, map(os.environ.get, ("LOGNAME", "USER"))), known[0] if known else "")
    names = [] if known is None else [name for name in dict.fromkeys(known) if name and name != said]
    who = ", ".join([f"uid {uid}", *names])
    return one_line(f"{said} ({who})" if said else who)


def one_line(text: str) -> str:
    """Return a text with line breaks and other control characters as escapes, so that it cannot forge another line."""
    if text.isprintable():  # nearly all are
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
