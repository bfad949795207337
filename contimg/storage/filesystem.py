"""The filesystem that holds a path, and its type; on network filesystems SQLite's locks are not reliable."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from contimg.errors import RegistryError

# Types of /proc/self/mountinfo whose byte-range locks or shared memory are not those of one machine. Left out are
# filesystems that only *may* lie on a shared disk (zfs, btrfs, xfs, overlay): one machine at a time mounts them.
NETWORK_TYPES = frozenset(
    {
        "9p", "acfs", "afs", "beegfs", "beegfs_nodev", "ceph", "cifs", "coda", "cvfs", "davfs", "dvs", "fhgfs",
        "gfs", "gfs2", "glusterfs", "gpfs", "ibrix", "juicefs", "lustre", "mmfs", "ncpfs", "nfs", "nfs3",
        "nfs4", "ocfs2", "orangefs", "panfs", "pvfs2", "smb", "smb2", "smb3", "smbfs", "vboxsf", "virtiofs",
        "vmhgfs", "weka", "wekafs"
    }
)  # fmt: skip
# FUSE filesystems that lie on a local disk. Any other FUSE one counts as a network filesystem: most are, and their
# locks and shared memory are whatever their program makes of them.
LOCAL_FUSE = frozenset({"fuseblk", "fuse.fuse-overlayfs", "fuse.ntfs-3g", "fuse.ext4", "fuse.zfs"})


DEEPEST = 64  # folders in each other: contimg makes some five, and more are of a hostile hand or a program gone wrong


def walk(folder: Path | str) -> Iterator[tuple[str, list[str], list[str]]]:
    """Give what `os.walk` does, down to folders `DEEPEST` below the first: Python follows no thousand of them."""
    top = os.fspath(folder).count(os.sep)
    for place, folders, names in os.walk(folder):
        yield place, folders, names
        if place.count(os.sep) - top >= DEEPEST:
            folders.clear()


def standing(path: Path) -> Path:
    """Return a path, or its nearest parent that exists: where it stands, or will stand."""
    while not path.exists():
        path = path.parent
    return path


def is_network(kind: str) -> bool:
    """Return whether a filesystem type, as in ``/proc/self/mountinfo``, is or may be that of a network filesystem."""
    if kind in LOCAL_FUSE:
        return False
    return kind in NETWORK_TYPES or kind == "fuse" or kind.startswith("fuse.")


def filesystem_type(path: Path, mountinfo: str | None = None) -> str:
    """Return the type of the filesystem that holds a path, from the kernel's table of mounts.

    Parameters
    ----------
    path : Path
        A path; what does not exist yet is looked for at its nearest existing parent.
    mountinfo : str, optional
        The text of ``/proc/self/mountinfo`` (proc(5)); read there when not given.

    Returns
    -------
    str
        Such as ``ext4`` or ``nfs4``; ``unknown`` when no mount holds the path.
    """
    place = standing(Path(path).absolute()).resolve()
    text = Path("/proc/self/mountinfo").read_text() if mountinfo is None else mountinfo
    best, kind = -1, "unknown"
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        # The kernel writes space, tab, newline and backslash as octal escapes.
        mount = Path(re.sub(r"\\(\d{3})", lambda m: chr(int(m[1], 8)), left.split()[4]))
        # Of two mounts on one point the later line covers the earlier one.
        if (mount == place or mount in place.parents) and len(mount.parts) >= best:
            best, kind = len(mount.parts), right.split()[0]
    return kind


def refuse_network(path: Path, mountinfo: str | None = None) -> None:
    """Refuse a path on a network filesystem.

    Raises
    ------
    RegistryError
        If SQLite cannot be trusted there.
    """
    kind = filesystem_type(path, mountinfo)
    if is_network(kind):
        raise RegistryError(
            f"{path} stands on a network filesystem ({kind}), where SQLite may lose rows: set paths.state to a "
            "folder on a local disk, or registry.url to a PostgreSQL server"
        )
