"""Copying a bundle into the archive, and comparing the copy with the manifest."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from contimg import naming
from contimg.bundle import bundle
from contimg.bundle.bag import TAG_MANIFEST
from contimg.bundle.listing import parse_manifest
from contimg.errors import InputError, RegistryError
from contimg.publishing.checkpoints import checkpoint
from contimg.storage import safe_files, trees

_LOG = logging.getLogger(__name__)

INCOMING = ".incoming"


def incoming_name(data_id: str, token: str) -> str:
    """Return the name in a folder ``.incoming`` of a copy that is under way."""
    return f"{data_id}.{token}"


def incoming_places(layout: naming.Layout, data_id: str | None = None) -> list[Path]:
    """Return the folders that may hold copies under way, of a product or of all.

    Beside those of the archive's root there are some in dates that are on another disk than the root.
    """
    dates = layout.products / "mosaics"
    date = "*" if data_id is None else naming.date(data_id)
    found = [layout.products / INCOMING, *sorted(dates.glob(f"{date}/{INCOMING}"))]
    return [path for path in found if path.is_dir() and not path.is_symlink()]


def fence_all(layout: naming.Layout, data_id: str, living: Collection[str]) -> None:
    """Do what `fence` does in every folder that may hold copies of a product."""
    for place in incoming_places(layout, data_id):
        relative = safe_files.relative_to_root(place, layout.products, "paths.products")
        with safe_files.open_folder(layout.products, relative) as incoming:
            fence(incoming, data_id, living)


def fence(incoming: int, data_id: str, living: Collection[str]) -> None:
    """Remove the copies of a product that are not of a living claim, each after renaming it away.

    A publisher that lost its claim while it was stopped cannot give its copy the final name any more.

    Parameters
    ----------
    incoming : int
        The opened folder of copies.
    data_id : str
    living : collection of str
        The tokens of the claims on any version of it, as they stand in the registry now.
    """
    for name in sorted(os.listdir(incoming)):
        owner, _, token = name.partition(".")
        if owner == data_id and token not in living:
            trees.discard(incoming, name)


@dataclass(frozen=True)
class CopyJob:
    """The bundle to copy, and the manifest that it must have.

    Attributes
    ----------
    layout : Layout
    stage_path : Path
        The bundle, below ``paths.stage``.
    manifest_sha256 : str
        SHA-256 of the registered manifest.
    record : dict
        The bundle's record, which goes beside the manifest.
    alive : callable
        Called between files and blocks; raises when the copy should stop.
    read_only : bool
        Files of the copy get no permission to be written to.
    """

    layout: naming.Layout
    stage_path: Path
    manifest_sha256: str
    record: dict[str, Any]
    alive: Callable[[], None]
    read_only: bool = True


def copy_bundle(job: CopyJob, incoming: int, name: str) -> None:
    """Copy a bundle of the stage to a new folder; fsync every file, read it back and compare it.

    Parameters
    ----------
    job : CopyJob
    incoming : int
        The opened folder to copy into.
    name : str
        The name of the new folder.

    Raises
    ------
    RegistryError
        If a source file is not what the manifest says, or the copy reads back differently.
    OSError
        If the machine fails. The unfinished copy stays for `reconcile`, or for the caller to remove.
    """
    relative = safe_files.relative_to_root(job.stage_path, job.layout.stage, "paths.stage")
    with safe_files.open_folder(job.layout.stage, relative) as source:
        manifest, tags = _registered_manifest(job, source)
        with safe_files.named(incoming, name):
            os.mkdir(name, 0o777, dir_fd=incoming)
        checkpoint("publish:incoming")
        target = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=incoming)
        try:
            digests = parse_manifest(manifest) | tags
            size = _copy_files(job, source, target, digests)
            if tags:
                tag_manifest = bundle.read_file(source, TAG_MANIFEST)
                bundle.put_file(target, TAG_MANIFEST, tag_manifest, read_only=job.read_only)
            bundle.put_file(target, bundle.MANIFEST, manifest, read_only=job.read_only)
            bundle.put_file(target, bundle.PUBLICATION, bundle.json_bytes(job.record), read_only=job.read_only)
            checkpoint("publish:copied")
            _sync_folders(target)
            if bundle.read_file(target, bundle.MANIFEST) != manifest:
                raise RegistryError(
                    f"the manifest of {job.stage_path.name} reads back differently from {job.layout.products}: check "
                    "the archive's disk, then retry"
                )
        finally:
            os.close(target)
    safe_files.fsync(incoming)
    _LOG.info("copied %d files, %.1f MB; each was read back and has its SHA-256", len(digests), size / 1e6)
    checkpoint("publish:verified")


def _registered_manifest(job: CopyJob, source: int) -> tuple[bytes, dict[str, str]]:
    """Return the manifest of a staged bundle and its tag files, if it is the registered one and lists all there is."""
    manifest = bundle.read_file(source, bundle.MANIFEST)
    if hashlib.sha256(manifest).hexdigest() != job.manifest_sha256:
        raise RegistryError(f"{job.stage_path / bundle.MANIFEST} is not the manifest that was registered: {_REMEDY}")
    try:
        tags = bundle.read_tags(source, job.manifest_sha256)
    except InputError as error:
        raise RegistryError(f"{job.stage_path}: {error}, or: {_REMEDY}") from None
    listed = {*parse_manifest(manifest), *tags, TAG_MANIFEST, bundle.MANIFEST, bundle.PUBLICATION}
    unlisted = sorted(set(trees.list_tree(source)) - listed)
    if unlisted:
        raise RegistryError(f"{job.stage_path / unlisted[0]} is not in the manifest: {_REMEDY}")
    return manifest, tags


def _copy_files(job: CopyJob, source: int, target: int, digests: Mapping[str, str]) -> int:
    """Copy files with known digests; return their size in bytes."""
    size, longest = 0, bundle.most_bytes(source, digests)
    for file, digest in sorted(digests.items()):
        job.alive()
        place = PurePosixPath(file)
        with (
            safe_files.open_folder(Path(f"/proc/self/fd/{source}"), place.parent) as source_folder,
            safe_files.open_folder(Path(f"/proc/self/fd/{target}"), place.parent, create=True) as target_folder,
        ):
            with safe_files.named(source_folder, place.name):
                found = os.stat(place.name, dir_fd=source_folder, follow_symlinks=False).st_size
            if found > longest[file]:
                raise RegistryError(
                    f"{job.stage_path / file} is {found} bytes long, and can have {longest[file]} at most: {_REMEDY}"
                )
            size += _copy_file(source_folder, target_folder, place.name, digest, job, job.stage_path / file)
        checkpoint("publish:file")
    return size


_REMEDY = "the bundle was altered on the stage, so make it again with snakemake --forcerun register_mosaic"


def _copy_file(source_folder: int, target_folder: int, name: str, digest: str, job: CopyJob, source_path: Path) -> int:
    """Copy a file, read the copy back from the disk and compare it; return its size in bytes."""
    with safe_files.open_file(source_folder, name) as source:
        target = safe_files.create(target_folder, name)
        try:
            safe_files.copy(source, target, job.alive)
            if job.read_only:
                safe_files.make_read_only(target)
            safe_files.fsync(target)
            # Now the pages are clean and can be dropped: what is compared comes from the disk.
            os.posix_fadvise(target, 0, 0, os.POSIX_FADV_DONTNEED)
            if safe_files.sha256(target, lambda _count: job.alive()) == digest:
                return os.fstat(target).st_size
        finally:
            os.close(target)
        if safe_files.sha256(source) != digest:
            raise RegistryError(f"{source_path} does not have the SHA-256 of its manifest: {_REMEDY}")
    raise RegistryError(f"the copy of {source_path} reads back differently: check the archive's disk, then retry")


def _sync_folders(folder: int) -> None:
    for name in sorted(os.listdir(folder)):
        try:
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        except NotADirectoryError:
            continue
        try:
            _sync_folders(below)
        finally:
            os.close(below)
    safe_files.fsync(folder)
