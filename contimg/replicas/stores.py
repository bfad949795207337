"""Where replicas stand: a folder, or an object store that fsspec knows (``s3://bucket/prefix``).

A store has files under relative names. Both kinds can write a name that must not exist yet, of which a replica's commit
record is made: who comes second is refused by the filesystem or the server, not by a look beforehand.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from contimg.errors import ConfigError, RegistryError
from contimg.storage import safe_files, trees
from contimg.storage.atomic import remove_orphans
from contimg.storage.filesystem import walk
from contimg.storage.process import part_name

_BLOCK = 4 << 20
# An object store that is gone, or that answers nothing any more, is noticed within a minute or so: s3fs tries each
# request twice, and its client three times each.
_S3_CLIENT = {"connect_timeout": 5, "read_timeout": 10, "retries": {"total_max_attempts": 3, "mode": "standard"}}
_S3_TRIES = 2
_RIGHTS = (
    "correct the credentials (~/.aws or AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY), what they may do there (list, read, "
    "write, remove), the region or this machine's clock"
)


class ReplicaError(RegistryError):
    """A replica cannot be reached, or refused an operation."""


class UnreadableFile(ReplicaError):
    """A file of a replica that can be reached cannot be read: it is no plain file, or its disk has lost it."""


class Store(Protocol):
    """Files under relative names, in a folder or an object store."""

    where: str

    def read(self, name: str) -> Iterator[bytes]:
        """Give the content of a file in blocks.

        Raises
        ------
        FileNotFoundError
            If there is none.
        ReplicaError
            If it cannot be read; `UnreadableFile` where that is the fault of this file alone.
        """
        ...

    def put(self, name: str, source: Path) -> None:
        """Copy a local file to a name, in the place of what stands there."""
        ...

    def put_new(self, name: str, content: bytes) -> None:
        """Write a name that must not exist yet; raise FileExistsError where it does."""
        ...

    def names(self, below: str) -> list[str]:
        """Return the names of all files below a folder, relative to it, sorted."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        ...

    def tidy(self, below: str) -> None:
        """Remove what processes that were killed have left half written below a folder."""
        ...


def open_store(url: str) -> Store:
    """Return the store at a URL; one without a scheme, or with ``file://``, is a folder.

    Raises
    ------
    ConfigError
        If no installed package knows its scheme.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme == "file":
        return FolderStore(Path(rest if separator else url))
    return ObjectStore(url)


def read_all(store: Store, name: str) -> bytes:
    """Return the content of a small file.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ReplicaError
        If it cannot be read; `UnreadableFile` where it is longer than `safe_files.MOST_BYTES`.
    """
    content = bytearray()
    for block in store.read(name):
        content += block
        if len(content) > safe_files.MOST_BYTES:
            raise UnreadableFile(f"{store.where}/{name} is more than {safe_files.MOST_BYTES} bytes long, so remove it")
    return bytes(content)


@contextlib.contextmanager
def _reported(where: str, name: str = "", faults: tuple[type[Exception], ...] = (OSError,)) -> Iterator[None]:
    """Raise what goes wrong with a name of a replica as `ReplicaError`."""
    try:
        yield
    except (FileNotFoundError, FileExistsError):
        raise
    except faults as error:
        what = getattr(error, "strerror", None) or " ".join(str(error).split())[:300]
        place = f"{where}/{name}" if name else where
        # A server gives no reason where it is asked for the length of an object.
        refused = "://" in where and (isinstance(error, PermissionError) or what == "Bad Request")
        remedy = _RIGHTS if refused else "repair that"
        raise ReplicaError(f"replica {place}: {what}: {remedy}, then type contimg replicas sync") from error


def _part(name: str) -> str:
    """Return a temporary name that no other process or thread uses."""
    return part_name(f"{name}.{threading.get_ident()}")


def _rename(folder: int, part: str, name: str) -> None:
    os.rename(part, name, src_dir_fd=folder, dst_dir_fd=folder)


class FolderStore:
    """A folder, on another disk than the archive."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self.where = str(root)

    def _parts(self, name: str) -> tuple[PurePosixPath, str]:
        place = PurePosixPath(name)
        if place.is_absolute() or ".." in place.parts:
            raise ReplicaError(f"replica {self.where}: {name!a} leads out of it: remove that name")
        return place.parent, place.name

    def read(self, name: str) -> Iterator[bytes]:
        """Give the content of a file in blocks."""
        parent, last = self._parts(name)
        with _reported(self.where, name), safe_files.open_folder(self.root, parent) as folder:
            try:
                with safe_files.open_file(folder, last) as descriptor:
                    while block := os.read(descriptor, _BLOCK):
                        yield block
            except FileNotFoundError:
                raise
            except (RegistryError, OSError) as error:
                said = f"{self.where}/{name} cannot be read ({error.strerror})" if isinstance(error, OSError) else error
                raise UnreadableFile(str(said)) from error

    def put(self, name: str, source: Path) -> None:
        """Copy a local file to a name, and fsync it."""

        def fill(written: int) -> None:
            with safe_files.open_folder(source.parent) as origin, safe_files.open_file(origin, source.name) as read:
                safe_files.copy(read, written)

        try:
            self._write(name, fill, _rename)
        except FileExistsError as error:  # of a server that replaces nothing, or whose answer was lost
            raise ReplicaError(f"replica {self.where}/{name}: {error.strerror}: type contimg replicas sync") from error

    def put_new(self, name: str, content: bytes) -> None:
        """Write a name that must not exist yet, whole: the filesystem refuses one that does."""
        self._write(name, lambda written: safe_files.write_all(written, content), safe_files.give_new_name)

    def _write(self, name: str, fill: Callable[[int], None], give_name: Callable[[int, str, str], None]) -> None:
        """Write a file under a temporary name, fsync it, and give it its own."""
        parent, last = self._parts(name)
        part = _part(last)
        with _reported(self.where, name), safe_files.open_folder(self.root, parent, create=True) as folder:
            trees.remove_tree(folder, part)
            try:
                written = safe_files.create(folder, part)
                try:
                    fill(written)
                    safe_files.fsync(written)
                finally:
                    os.close(written)
                give_name(folder, part, last)
            finally:
                trees.remove_tree(folder, part)
            safe_files.sync_way(self.root, parent)

    def names(self, below: str) -> list[str]:
        """Return the names of all files below a folder."""
        try:
            with _reported(self.where, below), safe_files.open_folder(self.root, below) as folder:
                return sorted(trees.list_tree(folder))
        except FileNotFoundError:
            return []

    def remove(self, name: str) -> None:
        """Remove a file, if it is there, and the folders that are empty then."""
        parent, last = self._parts(name)
        with contextlib.suppress(FileNotFoundError), _reported(self.where, name):
            with safe_files.open_folder(self.root, parent) as folder:
                os.unlink(last, dir_fd=folder)
                safe_files.fsync(folder)
            with contextlib.suppress(OSError):  # until one that is not empty
                for place in (parent, *parent.parents):
                    if place.name:
                        os.rmdir(self.root / place)

    def tidy(self, below: str) -> None:
        """Remove temporary files of dead processes below a folder."""
        with _reported(self.where, below):
            for folder, _, _ in walk(self.root / below):
                remove_orphans(Path(folder))


class ObjectStore:
    """An object store that fsspec knows; credentials and endpoint come from its own files and environment."""

    def __init__(self, url: str) -> None:
        import fsspec

        scheme = url.partition("://")[0]
        options: dict[str, Any] = {"use_listings_cache": False, "skip_instance_cache": True}
        if scheme == "s3":
            options["config_kwargs"] = _S3_CLIENT
        try:
            self._files, self._root = fsspec.core.url_to_fs(url, **options)
        except (ValueError, ImportError) as error:
            raise ConfigError(
                f"config key 'publish.replicas' names {url}, whose kind cannot be reached ({error}): install "
                "contimg[s3] for s3://, or name a folder"
            ) from None
        if scheme == "s3":
            self._files.retries = _S3_TRIES
        self.where = url
        self._faults: tuple[type[Exception], ...] = (OSError, *_client_faults(scheme))

    def _do(self, action: Callable[..., Any], name: str, *arguments: Any, **options: Any) -> Any:
        with _reported(self.where, name, self._faults):
            return action(f"{self._root}/{name}", *arguments, **options)

    def read(self, name: str) -> Iterator[bytes]:
        """Give the content of an object in blocks."""
        with _reported(self.where, name, self._faults), self._files.open(f"{self._root}/{name}", "rb", _BLOCK) as file:
            while block := file.read(_BLOCK):
                yield block

    def put(self, name: str, source: Path) -> None:
        """Copy a local file to an object; a large one in parts, which appear together."""
        with self._no_bucket(), _reported(self.where, name, self._faults):
            self._files.put_file(str(source), f"{self._root}/{name}")

    def put_new(self, name: str, content: bytes) -> None:
        """Write an object that must not exist yet: the server decides (``If-None-Match: *``)."""
        with self._no_bucket():
            self._do(self._files.pipe_file, name, content, mode="create")

    @contextlib.contextmanager
    def _no_bucket(self) -> Iterator[None]:
        """Raise `ReplicaError` where what is written cannot be found: the server's error names no file then."""
        try:
            yield
        except FileNotFoundError as error:
            if error.filename is not None:  # the local one
                raise
            raise ReplicaError(f"replica {self.where} does not exist: make it, or mount it") from error

    def names(self, below: str) -> list[str]:
        """Return the names of all objects below a prefix."""
        top = f"{self._root}/{below}".rstrip("/") + "/"
        return sorted(name.removeprefix(top) for name in self._do(self._files.find, below))

    def tidy(self, below: str) -> None:
        """Do nothing: an object appears whole, or not at all."""

    def remove(self, name: str) -> None:
        """Remove an object, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            self._do(self._files.rm_file, name)


def _client_faults(scheme: str) -> tuple[type[Exception], ...]:
    """Return the exceptions of a store's client that are no OSError."""
    if scheme != "s3":
        return ()
    from botocore.exceptions import BotoCoreError, ClientError

    return BotoCoreError, ClientError
