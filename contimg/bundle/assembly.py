"""Putting a bundle together on the stage: a mosaic, its comparison with the catalogue, and the twins below them."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from contimg import naming
from contimg.bundle.bag import PAYLOAD, tag_files
from contimg.bundle.bundle import MANIFEST, METADATA, json_bytes, put_file, tag_digest
from contimg.bundle.companions import NAMES, companions
from contimg.bundle.listing import format_manifest, parse_manifest
from contimg.bundle.metadata import describe
from contimg.bundle.unchanged import is_older
from contimg.errors import RegistryError
from contimg.products.gates import Options
from contimg.products.lineage import Lineage, Node, collect, twin_content
from contimg.products.manifest import product_of
from contimg.storage import safe_files, trees

_LINKED_BYTES = 1 << 20
Identity = tuple[int, int, int]
"""Inode, size and time of change [ns] of a file, by which one that replaced it is known."""
_INSIDE, _COMPARED = f"{PAYLOAD}/", f"{PAYLOAD}/crossmatch/"
_DESCRIBED = frozenset(_INSIDE + name for name in NAMES)


@dataclass(frozen=True)
class Contents:
    """What goes into a bundle.

    Attributes
    ----------
    data_id : str
        Id of the mosaic.
    linked : mapping
        Name in the bundle -> file of a product on the stage.
    identities : mapping
        Name in the bundle -> which file that was when its digest was taken.
    generated : mapping
        Name in the bundle -> bytes of a file that only the bundle has.
    manifest : bytes
    metadata : mapping
        The content of ``metadata.json``.
    lineage : Lineage
    mosaic : Node
    crossmatch : Node or None
        None where the mosaic was not compared with a catalogue.
    manifest_sha256 : str
        Of `manifest`; the identity of the bundle.
    """

    data_id: str
    linked: Mapping[str, Path]
    identities: Mapping[str, Identity]
    generated: Mapping[str, bytes]
    manifest: bytes
    metadata: Mapping[str, Any]
    lineage: Lineage
    mosaic: Node
    crossmatch: Node | None
    manifest_sha256: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "manifest_sha256", hashlib.sha256(self.manifest).hexdigest())

    def undescribed(self) -> Contents:
        """Return the content without licence, citation and RO-Crate, as earlier versions of contimg made it."""
        digests = {name: digest for name, digest in parse_manifest(self.manifest).items() if name not in _DESCRIBED}
        generated = {name: content for name, content in self.generated.items() if name not in _DESCRIBED}
        return replace(self, generated=generated, manifest=format_manifest(digests))


def gather(
    layout: naming.Layout, mosaic_id: str, judged_by: Options | None = None, read_before_unix_s: float | None = None
) -> Contents:
    """Return the content of a mosaic's bundle; equal products and thresholds give an equal manifest.

    Parameters
    ----------
    layout : Layout
    mosaic_id : str
    judged_by : mapping of str to Section, optional
        The sections of the configuration that hold the thresholds; without them every product keeps the verdict
        that it got when it was made.
    read_before_unix_s : float, optional
        When every file was read and found right [Unix s]: those that were not changed since are not read again.

    Raises
    ------
    InputError
        If the mosaic or a twin in its lineage does not exist.
    RegistryError
        If the crossmatch belongs to a mosaic that was made again since, a path leads out of the stage, or a file is
        not the one that was judged.
    """
    mosaic_id = naming.as_mosaic_id(mosaic_id)
    mosaic_twin, crossmatch_twin = layout.twin("mosaic", mosaic_id), layout.twin("crossmatch", mosaic_id)
    lineage = collect([mosaic_twin] + ([crossmatch_twin] if crossmatch_twin.exists() else []))
    if judged_by is not None:
        lineage = lineage.judged(judged_by)
    mosaic = _node(lineage, mosaic_twin)
    crossmatch = _node(lineage, crossmatch_twin) if crossmatch_twin.exists() else None
    if crossmatch is not None and mosaic.sha256 not in {item.sha256 for item in crossmatch.twin.inputs}:
        raise RegistryError(
            f"{crossmatch_twin} compares another making of {mosaic_id}: rerun snakemake to make the crossmatch again"
        )
    linked = _listing(layout, layout.product("mosaic", mosaic_id), _INSIDE)
    generated = {f"{_INSIDE}{mosaic_id}.json": json_bytes(twin_content(mosaic.twin))}
    if crossmatch is not None:
        linked |= _listing(layout, layout.product("crossmatch", mosaic_id), _COMPARED)
        generated[f"{_COMPARED}{mosaic_id}.json"] = json_bytes(twin_content(crossmatch.twin))
    summary = layout.product("summary", mosaic_id)
    if summary.exists():
        linked[_INSIDE + summary.name] = summary
    metadata = describe(mosaic_id, mosaic, crossmatch, lineage)
    generated[_INSIDE + METADATA] = json_bytes(metadata)
    taken = {*generated, *_DESCRIBED} & set(linked)
    if taken:
        name = min(taken).removeprefix(_INSIDE)
        raise RegistryError(
            f"{layout.product('mosaic', mosaic_id)} holds '{name}', a name that the bundle needs: rename it"
        )
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in generated.items()}
    known = {} if read_before_unix_s is None else _unchanged(linked, (mosaic, crossmatch), read_before_unix_s)
    read = {name: _digest(layout, path, known.get(name)) for name, path in linked.items()}
    digests |= {name: digest for name, (digest, _) in read.items()}
    identities = {name: identity for name, (_, identity) in read.items()}
    _check_as_judged(mosaic, _INSIDE, digests, linked)
    if crossmatch is not None:
        _check_as_judged(crossmatch, _COMPARED, digests, linked)
    inside = {name.removeprefix(_INSIDE): digest for name, digest in digests.items()}
    described = companions(metadata, inside, layout.publisher.ivoid, layout.publisher.licence)
    generated |= {_INSIDE + name: content for name, content in described.items()}
    digests |= {_INSIDE + name: hashlib.sha256(content).hexdigest() for name, content in described.items()}
    return Contents(
        mosaic_id, linked, identities, generated, format_manifest(digests), metadata, lineage, mosaic, crossmatch
    )


def _unchanged(linked: Mapping[str, Path], nodes: Iterable[Node | None], since_unix_s: float) -> dict[str, str]:
    """Return the SHA-256 that the twins list of files that have their size and were not changed since a time."""
    found = {}
    for node, prefix in zip(nodes, (_INSIDE, _COMPARED), strict=True):
        for name, record in (node.twin.files or {}).items() if node is not None else ():
            path = linked.get(prefix + name)
            if path is not None:
                seen = path.stat(follow_symlinks=False)
                if seen.st_size == record.size and is_older(seen, since_unix_s):
                    found[prefix + name] = record.sha256
    return found


def as_registered(contents: Contents, manifest_sha256: str) -> Contents | None:
    """Return contents in the form in which they were registered; None if they are others.

    That is a bag, with or without the files that describe it, or the layout of before.
    """
    plain = contents.undescribed()
    for one in (contents, plain, _flat(plain)):
        if one.manifest_sha256 == manifest_sha256:
            return one
    return None


def _flat(contents: Contents) -> Contents:
    """Return contents with all files beside the manifest, the layout before bundles were bags."""
    digests = {name.removeprefix(_INSIDE): sha256 for name, sha256 in parse_manifest(contents.manifest).items()}
    return replace(
        contents,
        linked={name.removeprefix(_INSIDE): path for name, path in contents.linked.items()},
        identities={name.removeprefix(_INSIDE): one for name, one in contents.identities.items()},
        generated={name.removeprefix(_INSIDE): content for name, content in contents.generated.items()},
        manifest=format_manifest(digests),
    )


def _check_as_judged(node: Node, prefix: str, digests: Mapping[str, str], linked: Mapping[str, Path]) -> None:
    """Raise `RegistryError` unless a product's files, all read just now, are those that its twin lists."""
    twin, place = node.twin, product_of(Path(node.path), node.twin.kind)
    remedy = f"make it again with: rm -r {place} {node.path}; then rerun snakemake"
    if twin.files is None:
        raise RegistryError(f"{node.path} lists no files, as it is of an earlier version of contimg: {remedy}")
    listed = {prefix + name: record.sha256 for name, record in twin.files.items()}
    found = {name for name, path in linked.items() if path.is_relative_to(place)}
    for name in sorted(set(listed) - found):
        raise RegistryError(
            f"{place / name.removeprefix(prefix)} is missing, which belongs to {twin.kind} {twin.id}: {remedy}"
        )
    for name in sorted(found):
        if name not in listed:
            raise RegistryError(f"{linked[name]} is no file of {twin.kind} {twin.id}: move it away and rerun snakemake")
        if digests[name] != listed[name]:
            raise RegistryError(f"{linked[name]} was altered after {twin.kind} {twin.id} was judged: {remedy}")


def _node(lineage: Lineage, path: Path) -> Node:
    return next(node for node in lineage.nodes.values() if node.path == str(path))


def _listing(layout: naming.Layout, folder: Path, prefix: str) -> dict[str, Path]:
    """List a product's files; hidden ones (Snakemake's time stamp) are no part of it."""
    relative = safe_files.relative_to_root(folder, layout.stage, "paths.stage")
    with safe_files.open_folder(layout.stage, relative) as opened:
        names = [name for name in trees.list_tree(opened) if not any(p.startswith(".") for p in name.split("/"))]
    return {prefix + name: folder / name for name in names}


def _digest(layout: naming.Layout, path: Path, known: str | None) -> tuple[str, Identity]:
    """Return the SHA-256 of a product's file, which may be known, and which file it was."""
    relative = safe_files.relative_to_root(path, layout.stage, "paths.stage")
    with (
        safe_files.open_folder(layout.stage, relative.parent) as folder,
        safe_files.open_file(folder, relative.name) as descriptor,
    ):
        identity = _identity(os.fstat(descriptor))
        return known or safe_files.sha256(descriptor), identity


def _identity(found: os.stat_result) -> Identity:
    return found.st_ino, found.st_size, found.st_mtime_ns


def assemble(contents: Contents, layout: naming.Layout, parent: int, name: str) -> None:
    """Write a bundle as a new folder of an opened folder of the stage, and fsync it.

    Large files are hard links where the filesystem allows: products are never changed in place, and
    finalizing compares the bundle with its manifest anyway. Small ones are copied, as a person
    or a tool may still edit those.

    Parameters
    ----------
    contents : Contents
    layout : Layout
    parent : int
        Descriptor of the folder.
    name : str
        Name of the new folder.

    Raises
    ------
    FileExistsError
        If the name is taken.
    RegistryError
        If a file of a product was replaced since its digest was taken.
    OSError
        If the disk refuses.
    """
    os.mkdir(name, 0o777, dir_fd=parent)
    opened: dict[PurePosixPath, int] = {}
    with contextlib.ExitStack() as stack:
        top = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
        stack.callback(os.close, top)
        opened[PurePosixPath(".")] = top

        def folder_of(relative: PurePosixPath) -> int:
            if relative not in opened:
                above = folder_of(relative.parent)
                os.mkdir(relative.name, 0o777, dir_fd=above)
                descriptor = os.open(relative.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=above)
                stack.callback(os.close, descriptor)
                opened[relative] = descriptor
            return opened[relative]

        for file, source in sorted(contents.linked.items()):
            place = PurePosixPath(file)
            _link_or_copy(layout, source, contents.identities[file], folder_of(place.parent), place.name)
        for file, content in sorted({**contents.generated, MANIFEST: contents.manifest}.items()):
            place = PurePosixPath(file)
            put_file(folder_of(place.parent), place.name, content)
        for descriptor in opened.values():
            safe_files.fsync(descriptor)


def put_tags(contents: Contents, parent: int, part: str, name: str, doi: str | None) -> str | None:
    """Write the tag files into an assembled bundle, and fsync them; return the SHA-256 of the tag manifest.

    Parameters
    ----------
    contents : Contents
    parent : int
        Descriptor of the folder in which it was assembled.
    part, name : str
        The name there, and the one that it will have in the archive.
    doi : str or None
        The DOI under which it is cited.
    """
    if _INSIDE + METADATA not in contents.generated:  # of the layout before
        return None
    sizes = {file: len(content) for file, content in contents.generated.items()}
    sizes |= {file: source.stat().st_size for file, source in contents.linked.items()}
    folder = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        for file, content in tag_files(contents.metadata, sizes, contents.manifest, name, doi).items():
            put_file(folder, file, content)
        safe_files.fsync(folder)
        return tag_digest(folder)
    finally:
        os.close(folder)


def _link_or_copy(layout: naming.Layout, source: Path, identity: Identity, folder: int, name: str) -> None:
    relative = safe_files.relative_to_root(source, layout.stage, "paths.stage")
    with (
        safe_files.open_folder(layout.stage, relative.parent) as source_folder,
        safe_files.open_file(source_folder, relative.name) as descriptor,
    ):
        _require(identity, os.fstat(descriptor), source)
        if identity[1] < _LINKED_BYTES:
            _copy(descriptor, folder, name)
            return
        try:
            os.link(relative.name, name, src_dir_fd=source_folder, dst_dir_fd=folder, follow_symlinks=False)
            _require(identity, os.stat(name, dir_fd=folder, follow_symlinks=False), source)
            safe_files.fsync(descriptor)
            return
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EACCES):
                raise
        _copy(descriptor, folder, name)


def _require(identity: Identity, found: os.stat_result, source: Path) -> None:
    """Raise `RegistryError` where a file is not the one whose digest was taken: its product was made again since."""
    if _identity(found) != identity:
        raise RegistryError(f"{source} was made again while it was put into a bundle: rerun the same command")


def _copy(source: int, folder: int, name: str) -> None:
    target = safe_files.create(folder, name)
    try:
        safe_files.copy(source, target)
        safe_files.fsync(target)
    finally:
        os.close(target)
