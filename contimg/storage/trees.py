"""Folders with all in them, listed, synced or removed without following a symlink.

Nothing goes deeper than `DEEPEST` folders, as Python follows no thousand of them, and a process opens no more files.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator

from contimg.errors import RegistryError
from contimg.storage.filesystem import DEEPEST
from contimg.storage.process import part_name
from contimg.storage.safe_files import FOLDER, fsync, named, open_file, path_of


def sync_tree(parent: int, name: str, depth: int = 0) -> None:
    """Fsync a folder of an opened folder, all folders below it and their regular files.

    Raises `RegistryError` of folders more than `DEEPEST` in each other (`depth` of them are above).
    """
    _require_shallow(parent, name, depth)
    with named(parent, name):
        folder = os.open(name, FOLDER, dir_fd=parent)
    try:
        for entry in sorted(os.listdir(folder)):
            mode = os.stat(entry, dir_fd=folder, follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                sync_tree(folder, entry, depth + 1)
            elif stat.S_ISREG(mode):
                with open_file(folder, entry) as descriptor:
                    fsync(descriptor)
        fsync(folder)
    finally:
        os.close(folder)


def list_tree(folder: int, prefix: str = "") -> Iterator[str]:
    """Give the relative paths of all that stands in an opened folder and below it, except folders, sorted by folder.

    A folder more than `DEEPEST` in others is given as it is, without what it holds.
    """
    with named(folder):
        names = sorted(os.listdir(folder))
    for name in names:
        with named(folder, name):
            mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
            shallow = stat.S_ISDIR(mode) and prefix.count("/") < DEEPEST
            below = os.open(name, FOLDER, dir_fd=folder) if shallow else None
        if below is not None:
            try:
                yield from list_tree(below, f"{prefix}{name}/")
            finally:
                os.close(below)
        else:
            yield prefix + name


def remove_tree(parent: int, name: str, depth: int = 0) -> None:
    """Remove a folder and all in it, if it is there; a symlink is removed, not followed.

    Raises `RegistryError` of folders more than `DEEPEST` in each other (`depth` of them are above).
    """
    _require_shallow(parent, name, depth)
    try:
        mode = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(mode):
        with contextlib.suppress(FileNotFoundError), named(parent, name):
            os.unlink(name, dir_fd=parent)
        return
    try:
        with named(parent, name):
            folder = os.open(name, FOLDER, dir_fd=parent)
    except FileNotFoundError:  # another process clears up the same remains
        return
    try:
        for entry in sorted(os.listdir(folder)):
            remove_tree(folder, entry, depth + 1)
    finally:
        os.close(folder)
    with contextlib.suppress(FileNotFoundError), named(parent, name):
        os.rmdir(name, dir_fd=parent)


def discard(parent: int, name: str) -> None:
    """Remove a folder or file, after renaming it to a temporary name.

    A process that still writes in it cannot rename it to its final name any more, half removed.
    """
    aside = part_name(name)
    remove_tree(parent, aside)
    with contextlib.suppress(FileNotFoundError):
        os.rename(name, aside, src_dir_fd=parent, dst_dir_fd=parent)
        remove_tree(parent, aside)


def _require_shallow(parent: int, name: str, depth: int) -> None:
    if depth > DEEPEST:
        raise RegistryError(f"{path_of(parent, name)} stands in more than {DEEPEST} folders: remove them")
