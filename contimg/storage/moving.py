"""Moving folders within a root, to another disk too: no rename(2) leads there.

Everything is done as in `contimg.storage.safe_files`, without following symlinks.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from contimg.errors import RegistryError
from contimg.storage.process import part_name
from contimg.storage.safe_files import (
    FOLDER,
    copy,
    create,
    fsync,
    named,
    open_file,
    open_folder,
    path_of,
    relative_to_root,
    rename_new,
    sha256,
    sync_way,
)
from contimg.storage.trees import discard, remove_tree


def mount_of(descriptor: int) -> tuple[int, str]:
    """Return what tells the mount on which an opened folder is: no rename leads from one to another.

    The device alone does not: of one device, two folders may be mounted (proc(5), ``/proc/pid/fdinfo``).
    """
    try:
        lines = Path(f"/proc/self/fdinfo/{descriptor}").read_text().splitlines()
    except OSError:  # a kernel without this table
        lines = []
    return os.fstat(descriptor).st_dev, next((line for line in lines if line.startswith("mnt_id:")), "")


@contextlib.contextmanager
def open_beside(root: Path, parent: PurePosixPath, name: str) -> Iterator[int]:
    """Open a folder `name` of the root, or of `parent` where that is on another disk than the root; made if missing."""
    with open_folder(root) as top, open_folder(root, parent) as below:
        same = mount_of(top) == mount_of(below)
    with open_folder(root, name if same else parent / name, create=True) as opened:
        yield opened


def move_new(source_parent: int, source: str, target_parent: int, target: str) -> None:
    """Move a folder to a name that must not exist yet, to another disk too.

    To another disk it is copied under a temporary name, read back and compared, renamed, and then removed where it was.
    A process that dies in between leaves the copy, or both.

    Raises
    ------
    FileExistsError
        If the name is taken.
    RegistryError
        If the copy reads back differently; it is removed then.
    """
    try:
        rename_new(source_parent, source, target_parent, target)
        return
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    part = part_name(target)
    remove_tree(target_parent, part)
    try:
        _copy_tree(source_parent, source, target_parent, part)
        rename_new(target_parent, part, target_parent, target)
    except OSError as error:
        if isinstance(error.filename, str) and part in error.filename:
            error.filename = path_of(target_parent, target)  # and not the temporary name
        raise
    finally:
        remove_tree(target_parent, part)
    fsync(target_parent)
    discard(source_parent, source)


def _copy_tree(source_parent: int, source: str, target_parent: int, target: str) -> None:
    """Copy a folder with the permissions in it, fsync and compare every file."""
    with contextlib.ExitStack() as stack:
        opened = []
        os.mkdir(target, 0o777, dir_fd=target_parent)
        for parent, name in ((source_parent, source), (target_parent, target)):
            opened.append(os.open(name, FOLDER, dir_fd=parent))
            stack.callback(os.close, opened[-1])
        below, into = opened
        for name in sorted(os.listdir(below)):
            if stat.S_ISDIR(os.stat(name, dir_fd=below, follow_symlinks=False).st_mode):
                _copy_tree(below, name, into, name)
            else:
                _copy_file(below, into, name)
        with named(into):
            os.fchmod(into, stat.S_IMODE(os.fstat(below).st_mode))
        fsync(into)


def _copy_file(source_folder: int, target_folder: int, name: str) -> None:
    with open_file(source_folder, name) as source:
        target = create(target_folder, name)
        try:
            copy(source, target)
            with named(target):
                os.fchmod(target, stat.S_IMODE(os.fstat(source).st_mode))
            fsync(target)
            os.posix_fadvise(target, 0, 0, os.POSIX_FADV_DONTNEED)  # what is compared comes from the disk
            if sha256(target) != sha256(source):
                raise RegistryError(f"the copy of '{name}' reads back differently: check that disk, then retry")
        finally:
            os.close(target)


def set_aside(root: Path, path: Path, aside: str) -> None:
    """Move a folder into the folder `aside` of its root, with the first free number appended: ``name.1``, ``name.2``.

    Where the folder is on another disk than the root, into a folder `aside` beside it, so that it is not copied.

    Parameters
    ----------
    root : Path
        ``paths.products``.
    path : Path
        The folder to move, below the root.
    aside : str
        Name of a folder of the root; made if it is missing.

    Raises
    ------
    RegistryError
        If the path is not below the root.
    """
    relative = relative_to_root(path, root, "paths.products")
    with open_folder(root, relative.parent) as parent, open_beside(root, relative.parent, aside) as target:
        for number in itertools.count(1):
            try:
                rename_new(parent, relative.name, target, f"{relative.name}.{number}")
                break
            except FileExistsError:
                continue
        fsync(parent)
    for place in (PurePosixPath(aside), relative.parent / aside):
        with contextlib.suppress(FileNotFoundError):
            sync_way(root, place)
