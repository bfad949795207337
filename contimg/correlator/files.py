"""Opening a subband file for reading, and what can be wrong with one: a reason code and a sentence.

Files are opened without HDF5's file lock: nothing here writes, and a lock that another process holds, or that the
filesystem does not know, must not keep a tile from being read.
"""

from __future__ import annotations

import errno
import functools
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from contimg.errors import InputError

_REMEDIES = {
    "permission": "is not readable: give this user read permission",
    "vanished": "was moved or deleted while it was looked at: plan again",
    "stale": "has a stale file handle: plan again, and mount the file server again if that does not help",
    "unreachable": "is on a file server that does not answer: plan again when it does",
    "locked": "is held by another process: plan again when that has ended",
    "read_error": "cannot be read from its disk: check the disk and bring the file again",
    "dangling": "is a link that leads nowhere: correct it or delete it",
    "not_a_file": "is not a regular file: put the subband file in its place",
}
_CODES = {
    errno.EACCES: "permission",
    errno.EPERM: "permission",
    errno.ENOENT: "vanished",
    errno.ENOTDIR: "vanished",
    errno.ESTALE: "stale",
    errno.ETIMEDOUT: "unreachable",
    errno.EHOSTDOWN: "unreachable",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETDOWN: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.ENOTCONN: "unreachable",
    errno.ECONNREFUSED: "unreachable",
    errno.ECONNRESET: "unreachable",
    errno.ECONNABORTED: "unreachable",
    errno.ESHUTDOWN: "unreachable",
    errno.EAGAIN: "locked",
    errno.EBUSY: "locked",
    errno.EDEADLK: "locked",
    errno.ENOLCK: "locked",
    errno.ETXTBSY: "locked",
    errno.ELOOP: "dangling",
    errno.ENAMETOOLONG: "dangling",
    errno.EISDIR: "not_a_file",
    errno.ENXIO: "not_a_file",
    errno.ENODEV: "not_a_file",
}
# What the process or the machine lacks, whatever the file.
_OF_THE_MACHINE = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EINTR}

PASSING = frozenset({"permission", "vanished", "stale", "unreachable", "locked", "read_error", "filter"})
"""Codes of faults that may end without a change of the file's size or mtime: they are not to be remembered."""


class FileFault(InputError):
    """A file that no tile can use.

    Attributes
    ----------
    code : str
        The reason code in the quarantine (docs/design.md lists them).
    path : Path
    what : str
        What is wrong, without the file's name.
    """

    def __init__(self, code: str, path: Path, what: str) -> None:
        self.code, self.path, self.what = code, path, what
        super().__init__(f"{path.name} {what}" if self._has_remedy else f"{path.name}: {what}")

    @property
    def _has_remedy(self) -> bool:
        return self.code in _REMEDIES

    def with_path(self) -> str:
        """Return the sentence with the file's whole path and a remedy, for callers that write no quarantine."""
        return f"{self.path} {self.what}" if self._has_remedy else f"{self.path}: {self.what}: set it aside"


def fault_of_error(path: Path, error: OSError) -> FileFault:
    """Return the fault that an error of the operating system about a file stands for.

    Raises
    ------
    OSError
        If the machine lacks something (memory, file descriptors), whatever the file.
    """
    number = error.errno or 0
    if number in _OF_THE_MACHINE:
        raise error
    code = _CODES.get(number, "read_error")
    remedy = _REMEDIES[code]
    return FileFault(code, path, f"{remedy} ({os.strerror(number)})" if code == "read_error" else remedy)


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a subband file for reading, as h5py's low-level file.

    Raises
    ------
    FileFault
        ``not_a_file`` for a folder, pipe or device; ``unreadable`` if it is no whole HDF5 file.
    OSError
        In the operating system's words: missing, not permitted, input-output error.
    """
    import h5py

    path = Path(path)
    kind = os.stat(path).st_mode
    if not stat.S_ISREG(kind):  # opening a pipe would wait for its writer
        raise FileFault("not_a_file", path, _REMEDIES["not_a_file"])
    with content_faults(path):
        file = h5py.h5f.open(bytes(path), h5py.h5f.ACC_RDONLY, _access())
    try:  # what fails in the block need not be this file: a conversion writes an MS in it
        yield file
    finally:
        file.close()


@functools.cache
def _access() -> Any:
    """Return HDF5's settings for opening: plain reads of one file, no lock."""
    import h5py

    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_fapl_sec2()
    access.set_fclose_degree(h5py.h5f.CLOSE_STRONG)  # an exception that is kept must not keep the file open
    access.set_file_locking(False, True)
    return access


@contextmanager
def content_faults(path: Path) -> Iterator[None]:
    """Turn HDF5's complaint about a file's content into a `FileFault`, and one that bears an errno into an OSError."""
    try:
        yield
    except InputError:
        raise
    except (OSError, RuntimeError, TypeError, ValueError, KeyError) as error:
        text = str(error.args[0] if error.args else error).splitlines()[0].strip("'\"")
        text = re.sub(r"^Unable to [a-z -]*\((.*)\)$", r"\1", text)  # HDF5's own words
        found = re.search(r"errno = (\d+)", str(error))
        number = getattr(error, "errno", None) or (int(found[1]) if found else 0)
        if number:
            raise OSError(number, os.strerror(number), str(path)) from error
        what = "it is not a whole HDF5 file" if isinstance(error, OSError) else "it is damaged"
        raise FileFault("unreadable", path, f"{what} ({text})") from None
