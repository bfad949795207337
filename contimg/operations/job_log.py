"""The log file of a job, and errors as one sentence: shared by the adapters in scripts/ and the command line."""

from __future__ import annotations

import contextlib
import errno
import importlib.metadata
import logging
import os
import platform
import re
import resource
import socket
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

from contimg import __version__, times
from contimg.errors import ContimgError
from contimg.operations.orphans import end_with_controller

_LOG = logging.getLogger(__name__)
_REMEDIES = {
    errno.ENOENT: "put it there or correct the name",
    errno.ENOTDIR: "correct the name, which leads through a file",
    errno.EISDIR: "move the folder away",
    errno.ELOOP: "remove the symlink",
    errno.EACCES: "give access",
    errno.EPERM: "give access",
    errno.EROFS: "mount the filesystem for writing",
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room, or have the quota raised",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
    errno.ENFILE: "close other programs, as the machine has too many open files",
    errno.ENOMEM: "run fewer jobs at once (--cores)",
    errno.EIO: "check the disk (dmesg names it)",
    errno.ESTALE: "mount the network filesystem again",
    errno.ENAMETOOLONG: "choose shorter folders in paths",
    errno.ETXTBSY: "end the program that uses it",
}
"""What a person can do about an error of the operating system, by its number (errno(3))."""

_SHORT_WRITE = re.compile(r"write error in (\S+?)(?::| |$)")
"""What casacore says where write(2) wrote less than it was given (FiledesIO::write)."""

_LIBRARIES = {
    "aoflagger": "aoflagger",
    "astropy": "astropy",
    "casatools": "casatools",
    "casacore": "python-casacore",
    "ducc0": "ducc0",
    "h5py": "h5py",
    "numpy": "numpy",
    "radler": "radler",
    "scipy": "scipy",
    "sqlalchemy": "SQLAlchemy",
}
"""Modules whose versions the log of a job names if the job has loaded them, and their distributions."""


@contextlib.contextmanager
def to_file(place: str | Path) -> Iterator[None]:
    """Send everything that is printed, by C libraries as well, to a job's log file.

    The log begins with versions and host, has the steps that the library logs, with UTC times, and ends with time,
    memory and the versions of the libraries that were used. An error goes there with its traceback; one sentence goes
    to the terminal, and the process ends with exit code 1. So it does when the run that started the job was
    killed.
    """
    place = Path(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    end_with_controller()
    terminal = os.dup(2)
    with open(place, "w", buffering=1) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        logging.basicConfig(
            stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%SZ", force=True
        )
        logging.Formatter.converter = time.gmtime
        began = time.monotonic()
        _LOG.info("%s on %s, contimg %s, Python %s", times.now(0)[:10],
                  socket.gethostname(), __version__, platform.python_version())  # fmt: skip
        try:
            yield
            _LOG.info("done: %s", _cost(began))
        except KeyboardInterrupt:
            sys.stderr.write("stopped by the keyboard\n")
            raise SystemExit(130) from None
        except Exception as error:  # noqa: BLE001  contimg-ok: the boundary of a job; it fails, loudly
            traceback.print_exc()
            sys.stderr.flush()
            os.write(terminal, f"contimg: {sentence(error)} (log: {place})\n".encode())
            raise SystemExit(1) from None
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os.dup2(terminal, 1)
            os.dup2(terminal, 2)
            os.close(terminal)


def _cost(began: float) -> str:
    """Return time and memory of this process, and the versions of the libraries that it has loaded."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = [f"{dist} {importlib.metadata.version(dist)}" for name, dist in _LIBRARIES.items() if name in sys.modules]
    return (
        f"{time.monotonic() - began:.1f} s, {usage.ru_utime + usage.ru_stime:.1f} s of CPU, at most"
        f" {usage.ru_maxrss / 1e6:.2f} GB of memory; {', '.join(used)}"
    )


@contextlib.contextmanager
def stdout_to_file(place: Path) -> Iterator[None]:
    """Send what is printed meanwhile, by C libraries as well, to a file: stdout is for a command's answer.

    Warnings and errors of the libraries, which go to stderr, stay on the terminal.
    """
    sys.stdout.flush()
    answer = os.dup(1)
    with open(place, "w") as file:
        os.dup2(file.fileno(), 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(answer, 1)
        os.close(answer)


def sentence(error: BaseException) -> str:
    """Return an error as one sentence with the file and the remedy."""
    if isinstance(error, OSError) and not isinstance(error, ContimgError):
        remedy = _REMEDIES.get(error.errno or 0, "repair that")
        file = error.filename if isinstance(error.filename, str) and error.filename else "a file"
        return f"{file}: {error.strerror or error}: {remedy}, then type the same command again"
    if isinstance(error, MemoryError):
        return "the machine ran out of memory: run fewer jobs at once (--cores), then type the same command again"
    if isinstance(error, ContimgError):
        return str(error)
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO):  # casacore reports them as text
        if os.strerror(number) in str(error):
            return f"{os.strerror(number)}: {_REMEDIES[number]}, then type the same command again"
    short = _SHORT_WRITE.search(str(error))
    if short is not None:  # what casacore says after it is the error before
        return f"{short[1]}: the disk did not take all that was written: make room, then type the same command again"
    return f"contimg itself is at fault ({type(error).__name__}: {error}): report it with the log"


def path(files: str | list[str]) -> Path | None:
    """Return the one path that a rule's input names, or None for an empty list."""
    if isinstance(files, str):
        return Path(files)
    return Path(files[0]) if len(files) else None
