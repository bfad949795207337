"""Whether ``paths.products`` is the archive of a registry, and making it so."""

from __future__ import annotations

import os
from pathlib import PurePosixPath
from typing import Any

from contimg.bundle.find import find_bundles
from contimg.errors import RegistryError
from contimg.naming import Layout
from contimg.publishing.archive_marker import (
    WrongArchive,
    archive_inode,
    archive_place,
    foreign,
    is_up_to_date,
    marker_place,
    place_here,
    read_marker,
    second_archive,
    unmounted,
)
from contimg.registry import queries
from contimg.registry.engine import Registry
from contimg.registry.identity import ensured_identity, identity, server_place, take_archive
from contimg.storage import safe_files
from contimg.storage.atomic import write_json
from contimg.storage.process import me, operator
from contimg.times import now

# States of rows whose bundle stands, or stood, in the archive.
_ARCHIVED = ("published", "withdrawn")


def place(registry: Registry) -> str:
    """Return where a registry's database stands, as text that is the same for every user and connection."""
    if registry.engine.dialect.name == "sqlite":
        return place_here(registry.where)
    return server_place(registry)


def _is_in_place(registry: Registry, recorded: str) -> bool:
    """Return whether a registry stands where a marker says; a file may have been written in another way then."""
    if recorded == place(registry):
        return True
    here = place_here("")
    is_file = registry.engine.dialect.name == "sqlite" and recorded.startswith(here)
    return is_file and os.path.realpath(recorded.removeprefix(here)) == os.path.realpath(registry.where)


def require(registry: Registry, layout: Layout, *, change: bool = True, make: bool = False) -> None:
    """Raise unless ``paths.products`` is the archive of this registry; a new registry takes possession of it.

    A registry is new when it never had an archive, or stands in the place of the one that the marker names: made again
    without rows, or restored from a backup of before its first publication. Of an archive that was moved the new place
    is recorded.

    Parameters
    ----------
    registry : Registry
    layout : Layout
    change : bool
        False: nothing is written, also for a registry without an archive.
    make : bool
        A new registry takes possession of the folder, and makes it where there is none: by its first publication.

    Raises
    ------
    WrongArchive
        If the archive is not mounted, is that of another registry, or a copy of this one's.
    """
    mine = identity(registry)  # before the marker, which is there before the registry says so: others may publish now
    had_one = mine is not None and mine.archive_since is not None  # a UUID alone it may have for its replicas
    marker = read_marker(layout)
    if marker is None:
        # Before there were markers an archive had none: one of its bundles, at least, must stand there.
        has_rows = queries.has_rows(registry, _ARCHIVED)
        if had_one or (has_rows and next(iter(find_bundles(layout)), None) is None):
            raise unmounted(layout, registry.where, None if mine is None else mine.archive_since)
        if change and (make or has_rows):
            adopt(registry, layout, first=True)
        return
    same = mine is not None and marker["registry"] == mine.uuid
    in_place = _is_in_place(registry, marker["place"])
    if mine is not None and same and in_place:
        copied = second_archive(layout, registry.where, mine.uuid, mine.archive_root, mine.archive_inode)
        if copied is not None:
            raise copied
        if change and not is_up_to_date(layout, mine.archive_root, mine.archive_inode) and not registry.read_only:
            _take(registry, layout)
        return
    if not in_place or (had_one and queries.has_rows(registry)):
        raise foreign(layout, registry.where, marker, copied=same, in_place=in_place)
    if change:
        _take(registry, layout, marker["registry"])


def _take(registry: Registry, layout: Layout, known: str | None = None) -> None:
    """Record where the archive of a marker stands, once the marker is sure to outlive a power cut as the record does.

    Who wrote the marker may have died before its name was synced; without it the archive would count as not mounted.
    """
    safe_files.sync_way(layout.products, PurePosixPath())
    take_archive(registry, archive_place(layout), archive_inode(layout), known)


def trouble(registry: Registry, layout: Layout) -> dict[str, str]:
    """Return a sentence, with the remedy, where this registry cannot be that of the archive, or is empty; by alarm.

    Returns
    -------
    dict
        ``wrong_archive`` where `require` refuses it; ``no_registry`` where it holds no rows although the archive has a
        registry or bundles: it was lost, or ``paths.state`` leads to another place. Empty where all is well.
    """
    try:
        require(registry, layout, change=False)
    except WrongArchive as error:
        return {"wrong_archive": str(error)}
    if queries.has_rows(registry):
        return {}
    marker, mine = read_marker(layout), identity(registry)
    if marker is not None and (mine is None or mine.uuid != marker["registry"]):
        what = f"is the archive of registry {marker['registry']}"
    elif next(iter(find_bundles(layout)), None) is not None:
        what = "holds bundles"
    else:
        return {}
    said = (
        f"registry {registry.where} holds nothing, but {layout.products} {what}: type 'contimg registry restore FILE' "
        "with the last backup, then 'contimg reconcile', which without a backup rebuilds it from the bundles; or "
        "correct paths.state or registry.url"
    )
    return {"no_registry": said}


def lost(registry: Registry, layout: Layout) -> str | None:
    """Return the sentence of `trouble`; None where all is well."""
    return next(iter(trouble(registry, layout).values()), None)


def require_whole(registry: Registry, layout: Layout) -> None:
    """Raise `RegistryError` where `lost` says something."""
    said = lost(registry, layout)
    if said is not None:
        raise RegistryError(said)


def adopt(registry: Registry, layout: Layout, *, first: bool = False) -> dict[str, Any]:
    """Make ``paths.products`` the archive of this registry, and make the folder when it does not exist.

    Parameters
    ----------
    registry : Registry
    layout : Layout
    first : bool
        Only where the registry has no archive yet: the first publications of two configurations may come at once.

    Returns
    -------
    dict
        The content of the marker.

    Raises
    ------
    WrongArchive
        If the registry got another archive meanwhile.
    """
    mine = ensured_identity(registry)
    since = mine.archive_since or now()
    content = {
        "registry": mine.uuid,
        "place": place(registry),
        "since": since,
        "written": {"time": now(), "by": operator(), "host": me().host},
    }
    with safe_files.permissions(layout.archive_mode):
        layout.products.mkdir(parents=True, exist_ok=True)
        write_json(marker_place(layout), content)
    # After the marker, so that a process that dies in between leaves nothing to repair.
    after = take_archive(registry, archive_place(layout), archive_inode(layout), since=since, first=first)
    copied = second_archive(layout, registry.where, after.uuid, after.archive_root, after.archive_inode)
    if copied is not None:
        marker_place(layout).unlink()
        raise copied
    return content
