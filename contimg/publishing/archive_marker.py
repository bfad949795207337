"""The marker in the archive's root that names its registry, read without a database.

Without it a root that is not mounted would look like an archive that lost everything, and would be published into;
and two registries on one archive would remove each other's copies as left over. The registry, for its part, knows where
its archive stands: a copy of the archive has a copy of the marker, and would be published into beside the first.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

from contimg.errors import RegistryError
from contimg.naming import ARCHIVE_MARKER, Layout
from contimg.storage.filesystem import filesystem_type
from contimg.storage.json_files import read_json
from contimg.storage.process import me

MARKER = ARCHIVE_MARKER
ADOPT = "contimg archive adopt"
# Filesystems that give a folder one inode number, whichever host looks and whenever; others may make numbers up
# (FUSE, CIFS, 9p, overlay).
_LASTING_INODES = frozenset(
    {"beegfs", "btrfs", "ceph", "ext2", "ext3", "ext4", "gpfs", "lustre", "nfs", "nfs3", "nfs4", "xfs", "zfs"}
)


class WrongArchive(RegistryError):
    """What stands at ``paths.products`` is not the archive of this registry."""


def marker_place(layout: Layout) -> Path:
    """Return where the archive's marker stands."""
    return layout.products / MARKER


def read_marker(layout: Layout) -> dict[str, Any] | None:
    """Return the content of the archive's marker; None when there is none.

    Raises
    ------
    WrongArchive
        If it is damaged: then nothing tells whose archive this is.
    """
    return _marker_in(layout.products)


def _marker_in(folder: Path) -> dict[str, Any] | None:
    path = folder / MARKER
    content = read_json(path) if folder.is_dir() else None
    if content is None:
        if not path.exists():
            return None
        content = read_json(path)  # another publisher may have put it there since
    if not isinstance(content, dict) or not all(isinstance(content.get(key), str) for key in ("registry", "place")):
        raise WrongArchive(f"{path} is damaged, so that nobody knows whose archive this is: type {ADOPT} to say so")
    return content


def place_here(path: Path | str) -> str:
    """Return where a file or folder of this machine stands: machine and path."""
    return f"{me().installation or me().host}:{path}"


def archive_place(layout: Layout) -> str:
    """Return where the configured archive stands: machine and folder, which no symlink leads to."""
    return place_here(layout.products.resolve())


def is_recorded(layout: Layout, recorded: str | None) -> bool:
    """Return whether the configured archive is the recorded folder, by that name or by another mount.

    The name of another mount need not be recorded: when that is unmounted, the archive would seem to be. What another
    machine recorded counts as the same here (`second_archive` judges it): else the hosts of a cluster would
    overwrite it in turn.
    """
    if recorded is None:
        return False
    if recorded == archive_place(layout) or not _is_here(recorded):
        return True
    try:
        return os.path.samefile(_folder(recorded), layout.products)
    except OSError:
        return False


def archive_inode(layout: Layout) -> str | None:
    """Return the inode number of the configured archive's root; None where its filesystem makes numbers up.

    It is text, as a 64-bit number without sign is no integer of a database.
    """
    found = layout.products.stat()
    return str(found.st_ino) if _has_lasting_inodes(layout.products, found.st_dev) else None


@functools.cache
def _has_lasting_inodes(path: Path, _device: int) -> bool:
    """Return what the kernel's table of mounts says; another device that is mounted there has another number."""
    return filesystem_type(path) in _LASTING_INODES


def is_up_to_date(layout: Layout, recorded: str | None, inode: str | None) -> bool:
    """Return whether a registry knows where the configured archive stands, and what this machine can say of it."""
    if recorded == archive_place(layout):
        return inode == archive_inode(layout)
    return is_recorded(layout, recorded)


def _another_folder(layout: Layout, where: str, recorded: str, inode: str | None) -> WrongArchive | None:
    """Return the error that the folder which another machine recorded is not this one; else None.

    A folder that several hosts mount has one inode number; where that is not known, they count as the same.
    """
    if inode is None or archive_inode(layout) in (None, inode):
        return None
    return WrongArchive(
        f"{layout.products} is another folder than the one that another machine has as {recorded.partition(':')[2]}, "
        f"the archive of registry {where}, and may be a copy of it: mount the archive here or correct paths.products; "
        f"if the archive was moved for good, type {ADOPT}"
    )


def _is_here(recorded: str) -> bool:
    return recorded.startswith(place_here("/"))


def _folder(recorded: str) -> Path:
    return Path(recorded.removeprefix(place_here("")))


def second_archive(
    layout: Layout, where: str, uuid: str, recorded: str | None, inode: str | None = None
) -> WrongArchive | None:
    """Return the error that an archive with the right marker is a copy of the registry's own, or may be one; else None.

    It is no copy where the archive was moved: where the recorded folder is gone, is the same one by another way (bind
    mount), or was given to another registry. A folder that is gone, on a disk that seems not to be mounted, was not
    moved for sure. Of what another machine recorded the inode number tells.

    Parameters
    ----------
    layout : Layout
        ``layout.products`` holds a marker that names the registry.
    where : str
        The registry, as messages name it.
    uuid : str
        That of the registry.
    recorded : str or None
        Where its archive stands, as the registry knows it (`archive_place`).
    inode : str, optional
        The inode number of that folder, as the registry knows it (`archive_inode`).
    """
    if recorded is not None and not _is_here(recorded):
        return _another_folder(layout, where, recorded, inode)
    if recorded is None or is_recorded(layout, recorded):
        return None
    before = _folder(recorded)
    marker, doubt = None, f"{MARKER} is missing"
    try:
        if not os.path.lexists(before):
            above = next(one for one in before.parents if one.exists())
            if not above.is_dir() or any(above.iterdir()):
                return None
            doubt = f"{above} is empty, as where a disk is not mounted"
        else:
            before.stat()  # raises where it cannot be looked at
            marker = _marker_in(before)
    except WrongArchive:
        doubt = f"{MARKER} is damaged"
    except OSError as error:
        doubt = error.strerror or str(error)
    if marker is None:
        return WrongArchive(
            f"{layout.products} may be a copy of the archive that registry {where} has at {before}, where none is seen "
            f"now ({doubt}): mount it or correct paths.products; if it was moved to {layout.products}, or lost for "
            f"good, type {ADOPT}"
        )
    if marker["registry"] != uuid:
        return None
    return WrongArchive(
        f"{layout.products} is a copy of {before}, which is the archive of registry {where}: correct paths.products; "
        f"if {layout.products} is to be its archive from now on, type {ADOPT}"
    )


def foreign(
    layout: Layout, where: str, marker: dict[str, Any], *, copied: bool, in_place: bool = False
) -> WrongArchive:
    """Return the error that an archive is another registry's.

    Parameters
    ----------
    layout : Layout
    where : str
        The configured registry, as messages name it.
    marker : dict
        The archive's marker.
    copied : bool
        The configured registry has the UUID in the marker, but stands in another place.
    in_place : bool
        It stands in the place that the marker names, and has another UUID.
    """
    if in_place:
        return WrongArchive(
            f"{layout.products} is the archive of registry {marker['registry']}, in whose place ({where}) another one "
            "stands now, as after 'contimg registry restore' of another archive's backup: move it away and restore "
            f"this archive's backup; if this is the archive's registry from now on, type {ADOPT}, then contimg "
            "reconcile"
        )
    what = f"{layout.products} is the archive of the registry at {marker['place']}"
    if copied:
        if marker["place"].partition(":")[2] == where:  # a container has a name of its own at each start
            return WrongArchive(
                f"{what}, which another machine had under this path: if this machine was renamed, or the registry was "
                f"moved to it for good, type {ADOPT}; else correct paths.state or registry.url"
            )
        return WrongArchive(
            f"{what}, and {where} is a copy of that one: correct paths.state or registry.url; if the registry was "
            f"moved for good, type {ADOPT}"
        )
    return WrongArchive(
        f"{what}, not of {where}: correct paths.products, paths.state or registry.url; if the other registry is gone "
        f"for good, type {ADOPT}, then contimg reconcile"
    )


def unmounted(layout: Layout, where: str, since: str | None) -> WrongArchive:
    """Return the error that a registry's archive is not there; `since` is when the registry got it, where known."""
    had = "" if since is None else f" since {since}"
    return WrongArchive(
        f"{layout.products} is not the archive that registry {where} has had{had} ({MARKER} is missing): mount the "
        f"archive or correct paths.products; if it was lost for good, type {ADOPT}, then contimg reconcile"
    )
