"""A bundle: the folder of one mosaic as the archive keeps it, with a manifest of its files' SHA-256.

::

    mosaic_20260211T002649/
        data/
            mosaic_20260211T002649.fits, .weights.fits, .rms.fits, .png, .tiles.csv    the mosaic
            mosaic_20260211T002649.json                                                 its twin
            mosaic_20260211T002649.html                                                 summary page
            crossmatch/…                                                                comparison, with its twin
            metadata.json        what it is, verdict, parameters, lineage down to the subband files
        manifest-sha256.txt      SHA-256 of every file above; `sha256sum -c manifest-sha256.txt` checks it
        README.txt, bagit.txt, bag-info.txt, tagmanifest-sha256.txt    the tag files of BagIt (`contimg.bundle.bag`)
        publication.json         version, approval, DOI: written by the publisher, not part of a manifest

The bundle's identity is the SHA-256 of the manifest. `verify` needs nothing but the folder. Bundles that were published
before they were bags have no ``data/`` and no tag files; they are read and verified as they are.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from contimg.bundle import listing, metadata_schema
from contimg.bundle.bag import INFO, PAYLOAD, TAG_MANIFEST, TAGS, payload_bytes
from contimg.bundle.listing import parse_manifest
from contimg.errors import InputError, RegistryError
from contimg.storage import safe_files, trees

MANIFEST = listing.MANIFEST
METADATA = "metadata.json"
PUBLICATION = "publication.json"


@dataclass(frozen=True)
class Problem:
    """A fault of a bundle: the file (relative name), the kind of fault, and one sentence about it."""

    path: str
    kind: Literal["missing", "altered", "unlisted", "manifest", "invalid", "unreadable"]
    message: str


@dataclass(frozen=True)
class Verification:
    """What `verify` found: without problems every byte is as the manifest says.

    Attributes
    ----------
    path : Path
        The bundle.
    manifest_sha256 : str or None
        None when the manifest cannot be read.
    n_files, n_bytes : int
        Files that the manifest lists, and their bytes that were read.
    problems : tuple of Problem
    """

    path: Path
    manifest_sha256: str | None
    n_files: int
    n_bytes: int
    problems: tuple[Problem, ...] = ()

    @property
    def ok(self) -> bool:
        """True when nothing is wrong."""
        return not self.problems


def payload(path: Path) -> Path:
    """Return the folder of a bundle that holds the mosaic and its metadata."""
    inside = Path(path) / PAYLOAD
    return inside if inside.is_dir() else Path(path)


def json_bytes(content: Any) -> bytes:
    """Return an object as the bytes of a JSON file, as bundles hold it."""
    return (json.dumps(content, indent=1, allow_nan=False) + "\n").encode()


def put_file(folder: int, name: str, content: bytes, *, read_only: bool = False) -> None:
    """Write a new file into an opened folder, fsync it, and read it back.

    Raises
    ------
    RegistryError
        If it holds something else than was written.
    OSError
        If it cannot be written.
    """
    descriptor = safe_files.create(folder, name)
    try:
        safe_files.write_all(descriptor, content)
        if read_only:
            safe_files.make_read_only(descriptor)
        safe_files.fsync(descriptor)
    finally:
        os.close(descriptor)
    if read_file(folder, name) != content:
        place = os.readlink(f"/proc/self/fd/{folder}")
        raise RegistryError(f"{place}/{name} reads back differently: check its disk, then retry")


def verify(
    path: Path,
    *,
    expected: str | None = None,
    tags: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> Verification:
    """Read every byte of a bundle and compare with its manifest. Needs no database.

    Parameters
    ----------
    path : Path
        The bundle.
    expected : str, optional
        SHA-256 that the manifest itself must have (the registry's).
    tags : str, optional
        SHA-256 that the tag manifest must have.
    progress : callable, optional
        Called with the number of bytes just read.

    Raises
    ------
    InputError
        If there is no such folder.
    """
    path = Path(path)
    try:
        with safe_files.open_folder(path) as folder:
            return _verify(path, folder, expected, tags, progress)
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{path} is not a bundle: name a folder with a {MANIFEST}") from None


def problem(path: Path, expected: str | None, tags: str | None = None) -> str | None:
    """Return the first thing that is wrong with a bundle as one sentence; None when every byte is as expected."""
    return problem_and_strays(path, expected, tags)[0]


def problem_and_strays(path: Path, expected: str | None, tags: str | None = None) -> tuple[str | None, list[str]]:
    """Return what `problem` does, and the files that are not in the manifest where nothing else is wrong.

    A file browser or an editor leaves some; the bundle itself is whole. Both come from one reading: another process may
    take such files away meanwhile. What its disk cannot give back is read twice: a mosaic is not taken out of sight for
    one error of a cable.
    """
    try:
        verification = verify(path, expected=expected, tags=tags)
        if any(one.kind == "unreadable" for one in verification.problems):
            verification = verify(path, expected=expected, tags=tags)
    except InputError:
        return f"{path} is not a bundle: it holds no {MANIFEST}", []
    found = verification.problems
    only_strays = all(one.kind == "unlisted" for one in found)
    return (found[0].message if found else None), [one.path for one in found if only_strays]


def archived_problem(path: Path, expected: str, tags: str | None = None) -> str | None:
    """Return the first thing that is wrong with a bundle of the archive; None when it is whole.

    A symlink is no bundle: what it points to may lie outside the archive and change without notice.
    """
    return f"{path} is a symlink" if path.is_symlink() else problem(path, expected, tags)


def _verify(
    path: Path, folder: int, expected: str | None, of_tags: str | None, progress: Callable[[int], None] | None
) -> Verification:
    try:
        present = list(trees.list_tree(folder))
    except OSError as error:
        return Verification(path, None, 0, 0, (_unreadable(path, "", error),))
    try:
        manifest = read_file(folder, MANIFEST)
        digests = parse_manifest(manifest)
    except (FileNotFoundError, InputError, RegistryError) as error:
        sentence = f"{path} holds no {MANIFEST}" if isinstance(error, OSError) else str(error)
        sentence = f"{path}: {sentence}" if isinstance(error, InputError) else sentence
        return Verification(path, None, 0, 0, (Problem(MANIFEST, "manifest", sentence),))
    except OSError as error:
        return Verification(path, None, 0, 0, (_unreadable(path, MANIFEST, error),))
    found = hashlib.sha256(manifest).hexdigest()
    problems = []
    if expected is not None and found != expected:
        problems.append(
            Problem(MANIFEST, "manifest", f"the manifest of {path} is not the one that the registry knows ({expected})")
        )
    if METADATA not in digests and f"{PAYLOAD}/{METADATA}" not in digests:
        problems.append(Problem(METADATA, "manifest", f"the manifest of {path} does not list {METADATA}"))
    known = {*digests, MANIFEST, PUBLICATION, TAG_MANIFEST}
    try:
        tags = read_tags(folder, found)
        known |= set(tags)
        if of_tags is not None and tag_digest(folder) != of_tags:
            raise InputError(f"{TAG_MANIFEST} is not the one that was registered: restore it from a copy")
    except (InputError, RegistryError) as error:
        tags = {}
        known |= set(TAGS)
        sentence = str(error) if isinstance(error, RegistryError) else f"{path}: {error}"
        problems.append(Problem(TAG_MANIFEST, "manifest", sentence))
    except OSError as error:
        return Verification(path, found, 0, 0, (*problems, _unreadable(path, TAG_MANIFEST, error)))
    for name in listing.unlisted(present, known):
        problems.append(Problem(name, "unlisted", f"{path / name} is not in the manifest"))
    total, longest = 0, most_bytes(folder, tags)
    for name, digest in sorted((digests | tags).items()):
        place = PurePosixPath(name)
        try:
            with _folder_below(folder, place.parent) as below, safe_files.open_file(below, place.name) as descriptor:
                size = os.fstat(descriptor).st_size
                if size > longest[name]:
                    raise RegistryError(f"{path / name} is {size} bytes long, and can have {longest[name]} at most")
                total += size
                same = safe_files.sha256(descriptor, progress) == digest
        except (FileNotFoundError, NotADirectoryError):
            problems.append(Problem(name, "missing", f"{path / name} is missing"))
        except RegistryError as error:  # it names the file
            problems.append(Problem(name, "altered", str(error)))
        except OSError as error:
            problems.append(_unreadable(path, name, error))
        else:
            if not same:
                problems.append(Problem(name, "altered", f"{path / name} does not have the SHA-256 of the manifest"))
    return Verification(path, found, len(digests), total, tuple(problems))


def read_tags(folder: int, manifest_sha256: str) -> dict[str, str]:
    """Return the tag files that the tag manifest of an opened bundle lists, with their SHA-256; of old ones none.

    Raises
    ------
    InputError
        If it does not list what it should, or is of another manifest.
    """
    try:
        content = read_file(folder, TAG_MANIFEST)
    except FileNotFoundError:
        if any(safe_files.exists(folder, name) for name in (PAYLOAD, *TAGS)):
            raise InputError(f"{TAG_MANIFEST} is missing: restore it from a copy") from None
        return {}
    return parse_tags(content, manifest_sha256)


def most_bytes(folder: int, tags: Mapping[str, str]) -> Mapping[str, int]:
    """Return how long each file of an opened bundle can be: one of the payload as all of it, as its tag files tell.

    One whose length a failing disk made up could be read for years. No limit where the bundle does not tell it.
    """
    try:
        info = read_file(folder, INFO) if INFO in tags else b""
    except (OSError, RegistryError):  # said where the tag files themselves are compared
        info = b""
    whole = payload_bytes(info) if hashlib.sha256(info).hexdigest() == tags.get(INFO) else None
    return defaultdict(lambda: sys.maxsize if whole is None else whole, dict.fromkeys(TAGS, safe_files.MOST_BYTES))


def tag_digest(folder: int) -> str | None:
    """Return the SHA-256 of the tag manifest of an opened bundle; None where it has none."""
    try:
        return hashlib.sha256(read_file(folder, TAG_MANIFEST)).hexdigest()
    except FileNotFoundError:
        return None


def parse_tags(content: bytes, manifest_sha256: str) -> dict[str, str]:
    """Return the tag files that a tag manifest lists, with their SHA-256; raises as `read_tags` does."""
    tags = parse_manifest(content, TAG_MANIFEST)
    if tags.pop(MANIFEST, None) != manifest_sha256 or set(tags) != set(TAGS):
        raise InputError(f"{TAG_MANIFEST} does not belong to {MANIFEST}: restore it from a copy")
    return tags


# What a filesystem says of a block that it cannot give back as it was written: EIO of ZFS, btrfs and of the disk, and
# EBADMSG and EUCLEAN of ext4 and XFS.
_ROTTEN = frozenset({errno.EIO, errno.EBADMSG, errno.EUCLEAN})


def _unreadable(path: Path, name: str, error: OSError) -> Problem:
    """Return the problem that the disk cannot give a file back; any other error is no fault of the file, and raised."""
    if error.errno not in _ROTTEN:
        raise error
    return Problem(name, "unreadable", f"{path / name} cannot be read from its disk ({error.strerror})")


def _folder_below(folder: int, relative: PurePosixPath) -> contextlib.AbstractContextManager[int]:
    # The kernel's own name of an opened folder: it stays right when the path to it is renamed.
    return safe_files.open_folder(Path(f"/proc/self/fd/{folder}"), relative)


def read_file(folder: int, name: str) -> bytes:
    """Return the bytes of a small regular file in an opened folder.

    Raises `RegistryError` where it is anything else, or too long: its disk has made the length up.
    """
    with (
        safe_files.open_file(folder, name) as descriptor,
        os.fdopen(os.dup(descriptor), "rb") as file,
        safe_files.named(descriptor),
    ):
        size = os.fstat(descriptor).st_size
        if size > safe_files.MOST_BYTES:
            raise RegistryError(f"{safe_files.path_of(folder, name)} is {size} bytes long: restore it from a copy")
        return file.read()


def read_manifest(path: Path) -> tuple[str, dict[str, str]]:
    """Return a bundle's manifest digest and its entries."""
    with safe_files.open_folder(path) as folder:
        content = read_file(folder, MANIFEST)
    return hashlib.sha256(content).hexdigest(), parse_manifest(content)


def manifest_digest(path: Path) -> str | None:
    """Return the SHA-256 of a bundle's manifest; None where it has none."""
    with safe_files.open_folder(path) as folder:
        try:
            return hashlib.sha256(read_file(folder, MANIFEST)).hexdigest()
        except FileNotFoundError:
            return None


def read_metadata(path: Path) -> dict[str, Any]:
    """Return the ``metadata.json`` of a bundle.

    Raises
    ------
    InputError
        If it is missing, holds no JSON object, or one of another form (`contimg.bundle.metadata_schema`).
    """
    where = payload(path)
    try:
        with safe_files.open_folder(where) as folder:
            return metadata_schema.parse(read_file(folder, METADATA))
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{where / METADATA} does not exist: name the folder of a bundle") from None
    except ValueError as error:
        raise InputError(f"{where / METADATA} {error}: restore it from a copy") from None
