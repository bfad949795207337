"""What the adapters in scripts/ share: a job's log file, and errors as one sentence."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

from contimg.errors import ContimgError


@contextlib.contextmanager
def to_file(place: str | Path) -> Iterator[None]:
    """Send everything that is printed, by C libraries as well, to a job's log file.

    An error goes there with its traceback; one sentence goes to the terminal, and the process ends with
    exit code 1.
    """
    place = Path(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    terminal = os.dup(2)
    with open(place, "w", buffering=1) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        logging.basicConfig(
            stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(name)s %(message)s", force=True
        )
        try:
            yield
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


@contextlib.contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Send what is printed meanwhile, by C libraries as well, to stderr: stdout is for a command's answer."""
    sys.stdout.flush()
    answer = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(answer, 1)
        os.close(answer)


def sentence(error: BaseException) -> str:
    """Return an error as one sentence with the file and the remedy."""
    if isinstance(error, OSError) and not isinstance(error, ContimgError):
        missing = isinstance(error, FileNotFoundError)
        remedy = "put it there or correct the name" if missing else "make room or give access"
        return f"{error.filename or 'a file'}: {error.strerror or error}: {remedy}, then type the same command again"
    if isinstance(error, MemoryError):
        return "the machine ran out of memory: run fewer jobs at once (--cores), then type the same command again"
    if isinstance(error, ContimgError):
        return str(error)
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):  # casacore reports them as text
        if os.strerror(number) in str(error):
            return f"{os.strerror(number)}: make room, then type the same command again"
    return f"contimg itself is at fault ({type(error).__name__}: {error}): report it with the log"


def path(files: str | list[str]) -> Path | None:
    """Return the one path that a rule's input names, or None for an empty list."""
    if isinstance(files, str):
        return Path(files)
    return Path(files[0]) if len(files) else None
