"""Advisory locks on files (flock(2)), each held by one process at a time, whose identity the file holds.

The kernel drops a lock when its process ends, however that ends, so that nothing has to be cleared up. The owner in
the file is for messages, and for filesystems whose locks hold on one machine only (Lustre mounted with
``localflock``): there the kernel grants a lock although a process of another machine may hold it too.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from contimg.errors import BusyError, ContimgError
from contimg.storage.atomic import remove_orphans
from contimg.storage.filesystem import filesystem_type, is_network
from contimg.storage.json_files import NoPlainFile, plain_bytes
from contimg.storage.process import Owner, is_dead, me, part_name

# What flock(2) and fcntl(2) say where a filesystem has no locks: Lustre without ``-o flock`` (ENOSYS), NFS without
# lockd (ENOLCK), FUSE and others (EOPNOTSUPP).
_NO_LOCKS = frozenset({errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP})
_OWNER_BYTES = 4096


class LocksUnsupported(ContimgError):
    """A folder stands on a filesystem without file locks."""


@dataclass(frozen=True)
class Lock:
    """A lock that this process holds: its file and the opened descriptor that holds it."""

    path: Path
    descriptor: int

    def release(self) -> None:
        """Release the lock; the file stays, empty."""
        with contextlib.suppress(OSError):  # a full disk or a stale handle: closing releases the lock all the same
            os.ftruncate(self.descriptor, 0)
        os.close(self.descriptor)


def acquire(path: Path, *, key: str, wait: bool = False) -> Lock:
    """Take the lock of a file for as long as this process lives, or until it is released.

    Parameters
    ----------
    path : Path
        The lock file; it is made, with its folder, when it does not exist.
    key : str
        The key of the configuration that names the folder, for messages, such as ``paths.state``.
    wait : bool
        Wait for the owner instead of refusing.

    Raises
    ------
    BusyError
        If another process holds it (and `wait` is false), or may hold it on another machine.
    LocksUnsupported
        If the filesystem has no locks.
    ContimgError
        If the file cannot be written.
    """
    path = Path(path)
    while True:
        descriptor = _open(path, key)
        try:
            _flock(descriptor, path, key, wait=wait)
            if not _stands(descriptor, path):  # a person removed the file meanwhile: the next one made another
                os.close(descriptor)
                continue
            _refuse_doubtful(descriptor, path)
            _write_owner(descriptor, path, key)
        except BaseException:
            with contextlib.suppress(OSError):
                os.close(descriptor)
            raise
        return Lock(path, descriptor)


@contextlib.contextmanager
def exclusive(path: Path, *, key: str) -> Iterator[None]:
    """Run a block under the lock of a file, waiting for it if needed. Arguments and errors are those of `acquire`."""
    lock = acquire(path, key=key, wait=True)
    try:
        yield
    finally:
        lock.release()


def owner_of(path: Path) -> Owner | None:
    """Return the owner that a lock file names; None after its release, or when the file is missing or not whole."""
    try:
        return _parse(plain_bytes(Path(path)))
    except (OSError, NoPlainFile):
        return None


def require_locks(folder: Path, *, key: str) -> None:
    """Raise an error if a folder's filesystem lacks file locks or byte-range locks; it must exist and be writable.

    Raises
    ------
    LocksUnsupported
        With the folder, the key and the remedy.
    ContimgError
        If nothing can be written there.
    """
    with contextlib.suppress(OSError):  # what another user's dead process left there is harmless
        remove_orphans(Path(folder), "locks")
    probe = Path(folder) / part_name("locks")  # on a shared disk another host may have a process of the same number
    descriptor = _open(probe, key)
    try:
        _flock(descriptor, probe, key, wait=False)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kind that SQLite, HDF5 and casacore take
        except OSError as error:
            _explain(error, probe, key)
    finally:
        os.close(descriptor)
        probe.unlink(missing_ok=True)


def _open(path: Path, key: str) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except OSError as error:
        _explain(error, path, key)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ContimgError(f"{path} cannot be locked (no plain file): move it away, then type the same command again")
    return descriptor


def _flock(descriptor: int, path: Path, key: str, *, wait: bool) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        raise BusyError(f"{path} is locked by {_name(owner_of(path))}: wait until it has ended") from None
    except OSError as error:
        _explain(error, path, key)


def _explain(error: OSError, path: Path, key: str) -> NoReturn:
    """Raise an OSError of a lock file again, as one sentence with the remedy that fits its errno."""
    why = error.strerror or str(error)
    if error.errno in _NO_LOCKS:
        raise LocksUnsupported(
            f"{path.parent} stands on a filesystem without file locks ({why}): set {key} to a folder on a local disk, "
            "or mount it with locks (Lustre: -o flock; NFS: with lockd or version 4)"
        ) from error
    remedy = {
        errno.EROFS: f"mount it for writing, or set {key} to a folder that is",
        errno.EACCES: f"give yourself write access, or set {key} to a folder of yours",
        errno.EPERM: f"give yourself write access, or set {key} to a folder of yours",
        errno.ENOSPC: "make room there",
        errno.EDQUOT: "make room there",
        errno.ELOOP: "remove the symlink",
        errno.EISDIR: "move the folder away",
        errno.ENOTDIR: f"correct {key}, which leads through a file",
        errno.EEXIST: f"correct {key}, which leads through a file",
    }.get(error.errno or 0, f"repair that, or set {key} to another folder")
    raise ContimgError(f"{path} cannot be locked ({why}): {remedy}, then type the same command again") from error


def _stands(descriptor: int, path: Path) -> bool:
    """Tell whether the path still names the opened file."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _refuse_doubtful(descriptor: int, path: Path) -> None:
    """Raise `BusyError` if a process of another machine may hold the lock that the kernel has just granted.

    That is so on a network filesystem, when the file names an owner on another machine that did not release it.
    """
    owner = _parse(os.pread(descriptor, _OWNER_BYTES, 0))
    if owner is None or owner.boot == me().boot or is_dead(owner):
        return
    kind = filesystem_type(path)
    if is_network(kind):
        raise BusyError(
            f"{path} names {owner} as its owner, and on this filesystem ({kind}) nobody can see from here whether that "
            f"has ended: if it has, remove the file with 'rm {path}'"
        )


def _write_owner(descriptor: int, path: Path, key: str) -> None:
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, me().to_json().encode(), 0)
    except OSError as error:
        _explain(error, path, key)


def _parse(content: bytes) -> Owner | None:
    try:
        return Owner.from_json(content.decode())
    except (ValueError, TypeError):
        return None


def _name(owner: Owner | None) -> str:
    return "another process" if owner is None else str(owner)
