"""A model of what a disk keeps when its power is cut: only what was synced is sure, the rest is kept or lost at random.

The folders of a trial hold the *volatile* state, which processes see. Beside it this model keeps the *durable* one, by
inode: the bytes of each file when it was last synced, and the names in each folder when that was last synced. Changes
of names since then are pending, and each of them may have reached the disk or not, in whatever order. A rename is
atomic, as on every filesystem with a journal, and is sure when the folder of the new name is synced. A file that was
not synced may be empty, torn, filled with zeros at its end, as it was before, or whole.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

Call = Callable[..., Any]


@dataclass
class Change:
    """A pending change of names: one that went away, one that came, and the folder whose sync makes it sure."""

    folder: int
    gone: tuple[int, str, int | None] | None = None
    came: tuple[int, str, int] | None = None


@dataclass
class Kept:
    """A file as it was synced: its bytes and permissions."""

    content: bytes
    mode: int


@dataclass
class Disk:
    """The durable state of some folders.

    Attributes
    ----------
    roots : tuple of Path
    names : dict
        For each folder's inode the durable names in it, each with its inode.
    files : dict
        For each file's inode what was synced of it.
    dirty : set of int
        Files that were opened for writing since they were synced.
    pending : list of Change
        In the order in which they were made.
    """

    roots: tuple[Path, ...]
    names: dict[int, dict[str, int]] = field(default_factory=dict)
    files: dict[int, Kept] = field(default_factory=dict)
    dirty: set[int] = field(default_factory=set)
    pending: list[Change] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.adopt()

    def adopt(self, tops: Iterable[Path] = ()) -> None:
        """Take files and folders as they are now for durable: some, with the way to them, or all below the roots."""
        tops = tuple(tops)
        if tops:
            for top in tops:
                self._adopt_way(top)
            return
        self.names.clear()
        self.files.clear()
        self.dirty.clear()
        self.pending.clear()
        for root in self.roots:
            self.names[root.stat().st_ino] = {}
            self._adopt_below(root)

    def _adopt_below(self, folder: Path) -> None:
        inode = folder.stat().st_ino
        known = self.names.setdefault(inode, {})
        for entry in sorted(os.scandir(folder), key=lambda one: one.name):
            known[entry.name] = entry.inode()
            if entry.is_dir(follow_symlinks=False):
                self._adopt_below(Path(entry.path))
            elif entry.is_file(follow_symlinks=False):
                self._keep(Path(entry.path))

    def _keep(self, path: Path) -> None:
        found = path.stat()
        self.files[found.st_ino] = Kept(path.read_bytes(), stat.S_IMODE(found.st_mode))
        self.dirty.discard(found.st_ino)

    def _adopt_way(self, path: Path) -> None:
        if path in self.roots:
            return
        self._adopt_way(path.parent)
        found = path.lstat()
        self.names[path.parent.stat().st_ino][path.name] = found.st_ino
        if stat.S_ISDIR(found.st_mode):
            self.names.setdefault(found.st_ino, {})
        else:
            self._keep(path)

    # What system calls do.

    def call(self, name: str, original: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Make a system call, and note what it changes."""
        seen = getattr(self, f"_{name}", None)
        return original(*args, **kwargs) if seen is None else seen(original, *args, **kwargs)

    def _open(self, original: Call, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC):
            return original(path, flags, mode, dir_fd=dir_fd)
        folder, name = _place(path, dir_fd)
        before = _inode(path, dir_fd) if flags & os.O_CREAT else 0
        descriptor: int = original(path, flags, mode, dir_fd=dir_fd)
        inode = os.fstat(descriptor).st_ino
        if folder in self.names:
            self.dirty.add(inode)
            if before is None:
                self.pending.append(Change(folder, came=(folder, name, inode)))
        return descriptor

    def _write(self, original: Call, descriptor: int, content: Any) -> int:
        self.dirty.add(os.fstat(descriptor).st_ino)
        return original(descriptor, content)

    def _mkdir(self, original: Call, path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        original(path, mode, dir_fd=dir_fd)
        folder, name = _place(path, dir_fd)
        inode = _inode(path, dir_fd)
        if folder in self.names and inode is not None:
            self.names[inode] = {}
            self.pending.append(Change(folder, came=(folder, name, inode)))

    def _unlink(self, original: Call, path: Any, *, dir_fd: int | None = None) -> None:
        folder, name = _place(path, dir_fd)
        inode = _inode(path, dir_fd)
        original(path, dir_fd=dir_fd)
        if folder in self.names:
            self.pending.append(Change(folder, gone=(folder, name, inode)))

    _remove = _rmdir = _unlink

    def _link(self, original: Call, source: Any, target: Any, **options: Any) -> None:
        original(source, target, **options)
        at = options.get("dst_dir_fd")
        folder, name = _place(target, at)
        inode = _inode(target, at)
        if folder in self.names and inode is not None:
            self.pending.append(Change(folder, came=(folder, name, inode)))

    def _rename(
        self, original: Call, source: Any, target: Any, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None
    ) -> None:
        moved = _inode(source, src_dir_fd)
        one, other = _place(source, src_dir_fd), _place(target, dst_dir_fd)
        original(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
        if other[0] in self.names and moved is not None:
            self.pending.append(Change(other[0], (*one, moved), (*other, moved)))

    _replace = _rename

    def _renameat2(self, original: Call, source_parent: int, source: str, target_parent: int, target: str) -> None:
        def rename(*_args: Any, **_options: Any) -> None:
            original(source_parent, source, target_parent, target)

        self._rename(rename, source, target, src_dir_fd=source_parent, dst_dir_fd=target_parent)

    def _fsync(self, original: Call, descriptor: int) -> None:
        original(descriptor)
        found = os.fstat(descriptor)
        if not stat.S_ISDIR(found.st_mode):
            self._keep(Path(f"/proc/self/fd/{descriptor}"))
            return
        sure = [change for change in self.pending if change.folder == found.st_ino]
        self.pending = [change for change in self.pending if change.folder != found.st_ino]
        for change in sure:
            _apply(change, self.names)

    # What is left after a power cut.

    def cut(self, random: Random) -> None:
        """Lose the power: make the folders what the disk may hold then, which is durable from now on."""
        names = {inode: dict(entries) for inode, entries in self.names.items()}
        kept_share = random.choice((0.0, 0.5, 1.0))
        for change in self.pending:
            if random.random() < kept_share:
                _apply(change, names)
        volatile = {
            path.stat().st_ino: path for root in self.roots for path in sorted(root.rglob("*")) if path.is_file()
        }
        files: dict[int, Kept] = {}

        def file_of(inode: int) -> Kept:
            if inode not in files:
                files[inode] = self._after_cut(inode, volatile.get(inode), random)
            return files[inode]

        trees = [_tree(root.stat().st_ino, names, file_of, self.names) for root in self.roots]
        for root, tree in zip(self.roots, trees, strict=True):
            for entry in sorted(os.scandir(root), key=lambda one: one.name):
                shutil.rmtree(entry.path) if entry.is_dir(follow_symlinks=False) else os.unlink(entry.path)
            _lay(root, tree)
        self.adopt()

    def _after_cut(self, inode: int, path: Path | None, random: Random) -> Kept:
        synced = self.files.get(inode)
        if inode not in self.dirty and synced is not None:
            return synced
        mode = 0o644 if synced is None else synced.mode
        now = path.read_bytes() if path is not None else b""
        length = random.randint(0, len(now))
        before = b"" if synced is None else synced.content
        return Kept(random.choice((before, now[:length], now[:length] + bytes(len(now) - length), now)), mode)


def _place(path: Any, dir_fd: int | None) -> tuple[int, str]:
    """Return the inode of the folder of a path, and the name in it."""
    folder, name = os.path.split(os.fspath(path))
    if dir_fd is not None and not os.path.isabs(folder):
        return (os.fstat(dir_fd) if not folder else os.stat(folder, dir_fd=dir_fd)).st_ino, name
    return os.stat(folder or ".").st_ino, name


def _inode(path: Any, dir_fd: int | None) -> int | None:
    try:
        return os.stat(path, dir_fd=dir_fd, follow_symlinks=False).st_ino
    except FileNotFoundError:
        return None


def _apply(change: Change, names: dict[int, dict[str, int]]) -> None:
    if change.gone is not None:
        folder, name, inode = change.gone
        if names.get(folder, {}).get(name) == inode:  # and not another of that name, made later and synced before
            del names[folder][name]
    if change.came is not None:
        folder, name, came = change.came
        names.setdefault(folder, {})[name] = came


Tree = dict[str, Any]


def _tree(
    inode: int, names: dict[int, dict[str, int]], file_of: Callable[[int], Kept], folders: dict[int, Any]
) -> Tree:
    """Return a folder as a tree of names, with the bytes of its files; links to one inode become copies."""
    return {
        name: _tree(below, names, file_of, folders) if below in folders else file_of(below)
        for name, below in sorted(names.get(inode, {}).items())
    }


def _lay(folder: Path, tree: Tree) -> None:
    for name, content in tree.items():
        place = folder / name
        if isinstance(content, Kept):
            place.write_bytes(content.content)
            place.chmod(content.mode)
        else:
            place.mkdir()
            _lay(place, content)
