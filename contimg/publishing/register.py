"""Registering a mosaic: its immutable bundle on the stage, and all its rows in one transaction."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from sqlalchemy import Connection, update

from contimg import naming
from contimg.bundle import assembly, bundle, unchanged
from contimg.bundle.record import with_decisions
from contimg.errors import ContimgError
from contimg.products.gates import Options
from contimg.publishing.checkpoints import checkpoint
from contimg.publishing.recording import publication, recorded
from contimg.registry import schema
from contimg.registry.engine import Registry
from contimg.registry.queries import add_event, latest
from contimg.registry.rows import insert_product, new_row
from contimg.storage import safe_files, trees
from contimg.storage.process import is_orphan, operator, part_name
from contimg.times import unix_from_utc

DOI_NAME = "NAME"


@dataclass(frozen=True)
class Registered:
    """What `register` found or made.

    Attributes
    ----------
    data_id : str
    version : int
    path : Path
        The bundle on the stage.
    manifest_sha256 : str
    created : bool
        Whether this call registered the version.
    """

    data_id: str
    version: int
    path: Path
    manifest_sha256: str
    created: bool


def register(
    registry: Registry,
    layout: naming.Layout,
    mosaic_id: str,
    *,
    auto_publish: bool,
    judged_by: Options | None = None,
    doi: str | None = None,
) -> Registered:
    """Put a mosaic and everything it depends on into the registry; a second call changes nothing.

    The bundle is assembled beside its final name and renamed within the one transaction that writes
    the rows. Content that differs from the latest version's makes version n+1; earlier versions that
    were never published are then superseded.

    Parameters
    ----------
    registry : Registry
    layout : Layout
    mosaic_id : str
        ``mosaic_YYYYMMDDTHHMMSS``, whose product and twin stand on the stage.
    auto_publish : bool
        False holds it for a person even when its verdict is passed.
    judged_by : mapping of str to Section, optional
        Thresholds of the verdicts, as in `contimg.bundle.assembly.gather`.
    doi : str, optional
        The DOI under which a new version is cited, ``publish.doi``; `DOI_NAME` in it stands for the bundle's name.

    Raises
    ------
    InputError, RegistryError
        If a twin is missing, a product was altered or made again since, or the database refuses.
    OSError
        If the machine fails. Nothing is registered then.
    """
    data_id = naming.as_mosaic_id(mosaic_id)
    with registry.read() as connection:
        row = latest(connection, data_id)
    # What was read for the version before, and was not changed since, is not read again.
    read = None if row is None else unix_from_utc(row["created_at"])
    contents = assembly.gather(layout, data_id, judged_by, read)
    if row is not None:
        contents = assembly.as_registered(contents, row["sha256"]) or contents
    if row is not None and row["sha256"] == contents.manifest_sha256 and _is_staged(row):
        return _registered(row, created=False)
    with _assembled(layout, contents) as (folder, part), registry.transaction(lock=data_id) as connection:
        row = latest(connection, data_id)
        created = row is None or row["sha256"] != contents.manifest_sha256
        if row is None or created:
            row = _insert(connection, layout, contents, (folder, part), row, auto_publish=auto_publish, doi=doi)
        else:
            _replace(connection, layout, contents, (folder, part), row)
    checkpoint("register:committed")
    return _registered(row, created=created)


def _is_staged(row: Mapping[str, Any]) -> bool:
    """Return whether a product's bundle on the stage is whole, or not needed; after a failure every byte is read."""
    read = unix_from_utc(row["created_at"])
    if row["error"] is None and unchanged.is_unchanged(Path(row["stage_path"]), row["sha256"], read):
        return True
    return stage_problem(row) is None


def reassemble(
    registry: Registry, layout: naming.Layout, row: Mapping[str, Any], judged_by: Options | None = None
) -> bool:
    """Make a product's bundle on the stage again; False when its mosaic is gone or another one now.

    Parameters
    ----------
    registry : Registry
    layout : Layout
    row : mapping
        The product's row in the registry.
    judged_by : mapping of str to Section, optional
        Thresholds of the verdicts, those with which it was registered.
    """
    contents = gather_registered(layout, row, judged_by)
    if contents is None:
        return False
    with _assembled(layout, contents) as (folder, part), registry.transaction(lock=row["data_id"]) as connection:
        now_row = latest(connection, row["data_id"], row["version"])
        if now_row is None or now_row["status"] not in ("staging", "held"):
            return False
        _replace(connection, layout, contents, (folder, part), now_row)
    return True


def gather_registered(
    layout: naming.Layout, row: Mapping[str, Any], judged_by: Options | None
) -> assembly.Contents | None:
    """Return the content of a registered bundle, from the products on the stage; None when they are others now.

    The verdicts in a bundle are those of the thresholds with which it was registered. That may have been with those of
    now (`judged_by`), or without any, so that both are tried; the digest of the manifest tells which it was.
    """
    for options in (judged_by, None):
        try:
            contents = assembly.gather(layout, row["data_id"], options)
        except (ContimgError, FileNotFoundError):
            return None
        found = assembly.as_registered(contents, row["sha256"])
        if found is not None:
            return found
    return None


@contextlib.contextmanager
def _assembled(layout: naming.Layout, contents: assembly.Contents) -> Iterator[tuple[int, str]]:
    """Assemble a bundle under a temporary name; give the opened folder and the name."""
    with safe_files.open_folder(layout.stage, _home(layout, contents.data_id), create=True) as folder:
        for name in sorted(os.listdir(folder)):
            if is_orphan(Path(f"/proc/self/fd/{folder}") / name):
                trees.remove_tree(folder, name)
        part = part_name("bundle")
        trees.remove_tree(folder, part)
        try:
            assembly.assemble(contents, layout, folder, part)
            checkpoint("register:assembled")
            yield folder, part
        except OSError as error:
            if isinstance(error.filename, str) and part in error.filename:
                error.filename = safe_files.path_of(folder)  # and not the temporary name
            raise
        finally:
            trees.remove_tree(folder, part)


def _home(layout: naming.Layout, data_id: str) -> PurePosixPath:
    """Return the folder of a product's bundles, relative to the stage."""
    return safe_files.relative_to_root(layout.product("registered", data_id), layout.stage, "paths.stage")


def stage_problem(row: Mapping[str, Any]) -> str | None:
    """Return what is wrong with a product's bundle on the stage; None when it is whole or not needed."""
    if row["status"] not in ("staging", "held"):
        return None
    return bundle.problem(Path(row["stage_path"]), row["sha256"], row["tags_sha256"])


def _registered(row: Mapping[str, Any], *, created: bool) -> Registered:
    return Registered(row["data_id"], row["version"], Path(row["stage_path"]), row["sha256"], created)


def _insert(
    connection: Connection,
    layout: naming.Layout,
    contents: assembly.Contents,
    assembled: tuple[int, str],
    before: Mapping[str, Any] | None,
    *,
    auto_publish: bool,
    doi: str | None,
) -> Mapping[str, Any]:
    folder, part = assembled
    data_id = contents.data_id
    version = 1 if before is None else before["version"] + 1
    row = new_row(layout, contents.metadata, contents.manifest_sha256, version, auto_publish=auto_publish)
    row["doi"] = None if doi is None else doi.replace(DOI_NAME, layout.bundle(data_id, version).name)
    row["tags_sha256"] = assembly.put_tags(contents, folder, part, layout.bundle(data_id, version).name, row["doi"])
    _put_record(folder, part, with_decisions(publication(row), []))
    _place(layout, (folder, part), f"v{version}", contents)
    supersede_before(connection, data_id, version, row["created_at"])
    insert_product(connection, row, contents.lineage, contents.mosaic)
    verdict = contents.metadata["verdict"]["verdict"]
    add_event(connection, data_id, version, "registered", f"verdict {verdict}, manifest {contents.manifest_sha256}")
    return row


def supersede_before(connection: Connection, data_id: str, version: int, time: str) -> None:
    """Set earlier versions that were never published to ``superseded``."""
    column = schema.data_registry.c
    earlier = (
        column.data_id == data_id,
        column.version < version,
        column.status.in_(("staging", "held")),
        column.published_at.is_(None),  # one whose published bundle was lost is to be published again
    )
    values = {
        "status": "superseded", "closed_at": time, "closed_by": operator(),
        "closed_reason": f"version {version} was registered",
    }  # fmt: skip
    connection.execute(update(schema.data_registry).where(*earlier).values(**values))


def _put_record(folder: int, part: str, record: Mapping[str, Any]) -> None:
    descriptor = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        bundle.put_file(descriptor, bundle.PUBLICATION, bundle.json_bytes(record))
        safe_files.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace(
    connection: Connection,
    layout: naming.Layout,
    contents: assembly.Contents,
    assembled: tuple[int, str],
    row: Mapping[str, Any],
) -> None:
    """Replace a lost or altered bundle by the one just assembled, unless another process has done so already."""
    if stage_problem(row) is None:
        return
    folder, part = assembled
    name = PurePosixPath(row["stage_path"]).name
    tags = assembly.put_tags(contents, folder, part, layout.bundle(row["data_id"], row["version"]).name, row["doi"])
    row = {**row, "tags_sha256": tags}  # another contimg may write them otherwise
    column = schema.data_registry.c
    same = (column.data_id == row["data_id"], column.version == row["version"])
    connection.execute(update(schema.data_registry).where(*same).values(tags_sha256=tags))
    _put_record(folder, part, with_decisions(publication(row), recorded(connection, row)))
    trees.remove_tree(folder, name)
    _place(layout, assembled, name, contents)
    add_event(connection, row["data_id"], row["version"], "reassembled", f"{row['stage_path']} was made again")


def _place(layout: naming.Layout, assembled: tuple[int, str], name: str, contents: assembly.Contents) -> None:
    """Rename the assembled bundle to its final name, and make sure of the folders that lead to it.

    A folder of that name has no row, so that a call left it that died: it is kept if it has the same manifest.
    """
    folder, part = assembled
    try:
        safe_files.rename_new(folder, part, folder, name)
    except FileExistsError:
        if _manifest_digest(folder, name) != contents.manifest_sha256:
            trees.remove_tree(folder, name)
            safe_files.rename_new(folder, part, folder, name)
    safe_files.sync_way(layout.stage, _home(layout, contents.data_id))
    checkpoint("register:renamed")


def _manifest_digest(folder: int, name: str) -> str | None:
    """Return the SHA-256 of the manifest of a bundle in an opened folder; None when it cannot be read."""
    try:
        return bundle.read_manifest(Path(f"/proc/self/fd/{folder}") / name)[0]
    except (OSError, ContimgError):  # no manifest, one that is torn, or a symlink in its place
        return None
