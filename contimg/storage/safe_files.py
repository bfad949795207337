"""File operations below a root folder that follow no symlink.

Folders are opened one component at a time with ``O_NOFOLLOW``, and everything is done relative to
the opened descriptors: the folder that was checked is the one that is used, even if a name is changed meanwhile.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from contimg.errors import RegistryError

CHUNK_BYTES = 4 << 20
# The longest file of a bundle that is read as a whole, a hundred times as long as the metadata of ten tiles: the length
# of one that a failing disk made up could be more than the memory.
MOST_BYTES = 64 << 20
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_RENAME_NOREPLACE = 1  # linux/fs.h


def relative_to_root(path: Path, root: Path, key: str) -> PurePosixPath:
    """Return a path relative to its configured root.

    Parameters
    ----------
    path, root : Path
    key : str
        The key of the configuration that names the root, for messages, such as ``paths.stage``.

    Raises
    ------
    RegistryError
        If the path lies outside the root, is the root itself, or contains ``..``.
    """
    try:
        relative = Path(path).relative_to(root)
    except ValueError:
        relative = None
    if relative is None or ".." in relative.parts or not relative.parts:
        raise RegistryError(f"{path} is not below {key} ({root}): nothing outside the configured roots is touched")
    return PurePosixPath(relative)


def link_on_the_way(root: Path, path: Path, what: str = "archive") -> str | None:
    """Return what is wrong where a place below a root is, or stands behind, a symlink; None where all is well.

    Parameters
    ----------
    root, path : Path
        What is not below the root has no way in it.
    what : str
        What the root is, for the sentence.
    """
    below = path.relative_to(root).parts if path.is_relative_to(root) else ()
    steps = (root.joinpath(*below[:number]) for number in range(1, len(below) + 1))
    link = next((one for one in steps if one.is_symlink()), None)
    if link is None:
        return None
    return (
        f"{link} is a symlink (to {os.readlink(link)}), which the {what} must not lead through: mount that disk "
        "there, or move the folder back"
    )


@contextlib.contextmanager
def open_folder(root: Path, relative: PurePosixPath | str = ".", *, create: bool = False) -> Iterator[int]:
    """Open a folder below a root without following symlinks below the root; give its descriptor.

    Parameters
    ----------
    root : Path
        May itself be a symlink.
    relative : PurePosixPath or str
        The folder, relative to the root.
    create : bool
        Make the folders that are missing, but never the root: one that is not mounted must not be written into.

    Raises
    ------
    RegistryError
        If a component is a symlink or is not a folder.
    OSError
        If it is missing (and `create` is false) or cannot be opened.
    """
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in PurePosixPath(relative).parts:
            try:
                if create:
                    _make_folder(part, descriptor)
                below = os.open(part, FOLDER, dir_fd=descriptor)
            except OSError as error:
                if error.errno in (errno.ELOOP, errno.ENOTDIR):
                    raise RegistryError(
                        f"{_known_as(root) / relative} leads through '{part}', which is a symlink or no folder: put a "
                        "real folder in its place"
                    ) from None
                error.filename = str(_known_as(root) / relative)  # else it would be a name without its folder
                raise
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)


def _known_as(root: Path) -> Path:
    """Return a root by the name that a person knows: of an opened folder (``/proc/self/fd/9``) the one it has."""
    return Path(os.readlink(root)) if str(root).startswith("/proc/self/fd/") else Path(root)


def path_of(folder: int, name: str = "") -> str:
    """Return the path of an opened folder, or of a name in it, for messages."""
    place = os.readlink(f"/proc/self/fd/{folder}")
    return os.path.join(place, name) if name else place


@contextlib.contextmanager
def named(folder: int, name: str = "") -> Iterator[None]:
    """Let errors of the block name a whole path: the system has none of a descriptor, or a name without its folder."""
    try:
        yield
    except OSError as error:
        if not (isinstance(error.filename, str) and os.path.isabs(error.filename)):
            error.filename = path_of(folder, name)
        raise


def fsync(descriptor: int) -> None:
    """Fsync an opened file or folder; an error, as of a disk that is full only now (NFS), names its path."""
    with named(descriptor):
        os.fsync(descriptor)


def _make_folder(name: str, parent: int) -> None:
    try:
        os.mkdir(name, 0o777, dir_fd=parent)
    except FileExistsError:
        return
    fsync(parent)


def sync_way(root: Path, relative: PurePosixPath) -> None:
    """Fsync a folder below a root and all folders on the way to it, so that a power cut loses none of their names.

    A process that died, or a disk that was full, may have left a name that was made and never synced.
    """
    for depth in range(len(relative.parts) + 1):
        with open_folder(root, PurePosixPath(*relative.parts[:depth])) as folder:
            fsync(folder)


@contextlib.contextmanager
def permissions(mode: int) -> Iterator[None]:
    """Give files that a block makes the permissions `mode`; who can read them can enter folders that it makes.

    The umask of who runs it does not matter then. It is one for all threads of a process.
    """
    before = os.umask(0o777 & ~(mode | (mode & 0o444) >> 2))
    try:
        yield
    finally:
        os.umask(before)


@contextlib.contextmanager
def open_file(folder: int, name: str) -> Iterator[int]:
    """Open a regular file in an opened folder for reading; give its descriptor.

    Raises
    ------
    RegistryError
        If it is a symlink, a device or anything else but a regular file.
    FileNotFoundError
        If there is none of that name.
    """
    rule = "bundles hold regular files only, so remove it"
    try:
        with named(folder, name):
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise RegistryError(f"{path_of(folder, name)} is a symlink: {rule}") from None
        if error.errno == errno.ENXIO:  # of a socket
            raise RegistryError(f"{path_of(folder, name)} is not a regular file: {rule}") from None
        raise
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise RegistryError(f"{path_of(folder, name)} is not a regular file: {rule}")
        yield descriptor
    finally:
        os.close(descriptor)


def sha256(descriptor: int, progress: Callable[[int], None] | None = None) -> str:
    """Return the SHA-256 of a whole opened file; `progress` is called with the number of bytes of each block."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    digest = hashlib.sha256()
    buffer = bytearray(CHUNK_BYTES)
    view = memoryview(buffer)
    while count := _read(descriptor, buffer):
        digest.update(view[:count])
        if progress is not None:
            progress(count)
    return digest.hexdigest()


def write_all(descriptor: int, content: bytes | memoryview) -> None:
    """Write all bytes to an opened file; write(2) may write only a part, and is then called again."""
    view = memoryview(content)
    with named(descriptor):
        while view:
            view = view[os.write(descriptor, view) :]


def _read(descriptor: int, buffer: bytearray) -> int:
    """Read the next bytes of an opened file into a buffer; return their number."""
    with named(descriptor):
        return os.readv(descriptor, [buffer])


def copy(source: int, target: int, alive: Callable[[], None] | None = None) -> None:
    """Copy an opened file into another; `alive` is called after each block and may raise to stop."""
    buffer = bytearray(CHUNK_BYTES)
    view = memoryview(buffer)
    while count := _read(source, buffer):
        write_all(target, view[:count])
        if alive is not None:
            alive()


def create(folder: int, name: str) -> int:
    """Create a new file in an opened folder for writing and reading; return its descriptor.

    Raises
    ------
    FileExistsError
        If the name is taken.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with named(folder, name):
        return os.open(name, flags, 0o666, dir_fd=folder)


def make_read_only(descriptor: int) -> None:
    """Take the permission to write from everybody, for an opened file.

    Raises `RegistryError` where its filesystem keeps no permissions (some of SMB and FUSE).
    """
    try:
        os.fchmod(descriptor, stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o555)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
            raise
        raise RegistryError(
            f"{path_of(descriptor)} cannot be made read-only, as its filesystem does not let the permissions be "
            f"changed ({error.strerror}): set publish.read_only to false"
        ) from error


def exists(parent: int, name: str) -> bool:
    """Return whether an opened folder has an entry of that name, a dangling symlink included."""
    try:
        os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def rename_new(source_parent: int, source: str, target_parent: int, target: str) -> None:
    """Rename a folder to a name that must not exist yet.

    ``renameat2(RENAME_NOREPLACE)`` where the filesystem knows it. Elsewhere (some network
    filesystems) plain ``renameat``: for a *folder* it replaces nothing but an empty folder, which holds
    nothing to lose.

    Raises
    ------
    FileExistsError
        If the name is taken.
    """
    try:
        _renameat2(source_parent, source, target_parent, target)
        return
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
            raise
    if exists(target_parent, target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
    try:
        os.rename(source, target, src_dir_fd=source_parent, dst_dir_fd=target_parent)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target) from None
        raise


def give_new_name(folder: int, part: str, name: str) -> None:
    """Give a whole file in an opened folder a name that must not exist yet, else FileExistsError; `part` may stay.

    By link(2), or by ``renameat2(RENAME_NOREPLACE)`` where the filesystem has no hard links (exFAT, some of SMB).
    """
    try:
        return os.link(part, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOSYS, errno.ENOTSUP):
            raise
    try:
        _renameat2(folder, part, folder, name)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
            raise
        why = "its filesystem has neither hard links nor renames that replace nothing, so use another one"
        raise OSError(error.errno, why, name) from None


def _renameat2(source_parent: int, source: str, target_parent: int, target: str) -> None:
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)  # glibc 2.28, musl 1.2.5
    if function is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), target)
    flags = ctypes.c_uint(_RENAME_NOREPLACE)
    if function(source_parent, os.fsencode(source), target_parent, os.fsencode(target), flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)
