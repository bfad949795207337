"""Atomic writing of files and folders: a temporary name in the same folder, fsync, then rename to the final name."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from contimg.storage.process import is_orphan, part_name

_HASHED_BYTES = 4 << 20  # read at a time: after each piece the thread waits for the interpreter's lock
_SYNC_EVERY_S = 0.4
_OF_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, as 64 hexadecimal digits.

    Raises
    ------
    OSError
        If it cannot be read, or is a FIFO, a socket or a device, which could be waited for without end.
    """
    digest, buffer = hashlib.sha256(), memoryview(bytearray(_HASHED_BYTES))
    with open(path, "rb", buffering=0, opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "no plain file", str(path))
        while got := file.readinto(buffer):
            digest.update(buffer[:got])
    return digest.hexdigest()


def write_json(path: Path, content: Any) -> None:
    """Write an object as a JSON file, atomically (`atomic_path`).

    Raises
    ------
    ValueError
        If the content holds NaN or an infinity, which JSON does not have.
    OSError
        If the file cannot be written; an older one is then as it was.
    """
    text = json.dumps(content, indent=1, sort_keys=False, allow_nan=False) + "\n"
    with atomic_path(Path(path)) as part:
        part.write_text(text)


@contextlib.contextmanager
def atomic_path(final: Path) -> Iterator[Path]:
    """Give a temporary path for the block to write to, and rename it to `final` when the block succeeds.

    The temporary path stands in the folder of `final`, which is made if it is missing. What killed processes left
    there for the same name is removed first.

    Parameters
    ----------
    final : Path
        The file or folder to make; an existing file is replaced, and a folder by a folder.

    Yields
    ------
    Path
        Where the block makes a file or a folder. On an error this is removed, and `final` is as it was.

    Raises
    ------
    IsADirectoryError
        If the block made a file, and a folder stands in its place: all in it would be lost.
    OSError
        If the disk refuses; the error names `final`, not the temporary path.
    """
    final = Path(final)
    final.parent.mkdir(parents=True, exist_ok=True)
    remove_orphans(final.parent, final.name)
    part = final.with_name(part_name(final.name))
    try:
        remove(part)
        yield part
        _fsync_tree(part)
        _replace(part, final)
    except BaseException as error:
        with contextlib.suppress(OSError):  # a disk that was mounted for reading only refuses this too
            remove(part)
        if isinstance(error, OSError) and isinstance(error.filename, str):
            error.filename = error.filename.replace(str(part), str(final), 1)  # the name that a person knows
        elif isinstance(error, OSError) and error.errno in _OF_WRITING:  # write(2) knows a descriptor only
            error.filename = str(final)
        raise


def _replace(part: Path, final: Path) -> None:
    """Rename a temporary file or folder to its final name, in the place of what stands there.

    rename(2) replaces a file, but no folder that holds anything: an existing folder is renamed away first, for another.
    """
    aside = part.with_name(f"{part.name}.old")  # an orphan like the part, if this process dies before it is removed
    if part.is_dir() and final.is_dir() and not final.is_symlink():
        remove(aside)
        os.rename(final, aside)
        try:
            os.replace(part, final)
        except OSError:
            os.rename(aside, final)
            raise
    else:
        os.replace(part, final)
    _fsync(final.parent)
    remove(aside)


@contextlib.contextmanager
def syncing(folder: Path) -> Iterator[None]:
    """Fsync the files of a folder in the background while the block writes them.

    Else all of it would be written to the disk at the end, when `atomic_path` renames the folder.
    """

    def sync(done: threading.Event) -> None:
        while not done.wait(_SYNC_EVERY_S):
            for path in folder.iterdir():
                with contextlib.suppress(FileNotFoundError):  # renamed meanwhile
                    if path.is_file():
                        _fsync(path)

    done = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        synced = pool.submit(sync, done)
        try:
            yield
        finally:
            done.set()
    synced.result()


def remove(path: Path) -> None:
    """Remove a file or directory tree if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_orphans(folder: Path, name: str = "*") -> None:
    """Remove temporary files and folders of dead processes from a folder: those for `name`, or all of them."""
    begin = "." if name == "*" else f".{name}.part-"
    try:
        with os.scandir(folder) as entries:  # a pattern of pathlib takes 2 ms for the folder of a month
            found = [one.name for one in entries if one.name.startswith(begin) and ".part-" in one.name]
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    for one in found:
        if is_orphan(folder / one):
            remove(folder / one)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        error.filename = str(path)  # the system knows a descriptor only
        raise
    finally:
        os.close(descriptor)


def _fsync_tree(path: Path) -> None:
    if path.is_dir():
        for folder, _, files in os.walk(path):
            for name in files:
                _fsync(Path(folder) / name)
            _fsync(Path(folder))
    else:
        _fsync(path)
