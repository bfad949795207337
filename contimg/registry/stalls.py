"""Who holds the write lock of an SQLite file, and whether that process is stopped: then waiting for it is of no use."""

from __future__ import annotations

from pathlib import Path

# In WAL mode writers lock this byte of the file's -shm (sqlite.org/walformat.html, 'WAL locks').
_WRITE_LOCK_BYTE = 120


def stopped_writer(file: Path) -> int | None:
    """Return the id of the process that holds the write lock of an SQLite file and is stopped; None if none does.

    A process is stopped by Ctrl-Z, SIGSTOP or a debugger. Locks are those of this machine's kernel, /proc/locks
    (proc(5)).
    """
    return next((pid for pid in _holders(Path(f"{file}-shm")) if _is_stopped(pid)), None)


def _holders(shared: Path) -> list[int]:
    try:
        inode = shared.stat().st_ino
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:  # no such file any more, or a kernel without this table
        return []
    found = []
    for line in lines:
        fields = line.split()
        if len(fields) != 8 or fields[1] != "POSIX" or fields[3] != "WRITE":  # '->' lines wait and hold nothing
            continue
        first, last = int(fields[6]), _WRITE_LOCK_BYTE if fields[7] == "EOF" else int(fields[7])
        if fields[5].rpartition(":")[2] == str(inode) and first <= _WRITE_LOCK_BYTE <= last:
            found.append(int(fields[4]))
    return found


def _is_stopped(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "Tt"
    except OSError:  # it ended meanwhile
        return False
