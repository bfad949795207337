"""What kind of filesystem a path stands on: SQLite's locks are not to be trusted on a network one."""

from __future__ import annotations

import re
from pathlib import Path

from contimg.errors import RegistryError

# Types of /proc/self/mountinfo whose byte-range locks or shared memory are not those of one machine.
NETWORK_TYPES = frozenset(
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb",
        "smb2",
        "smb3",
        "smbfs",
        "lustre",
        "gpfs",
        "beegfs",
        "beegfs_nodev",
        "ceph",
        "glusterfs",
        "fuse.glusterfs",
        "fuse.sshfs",
        "fuse.cephfs",
        "fuse.lustre",
        "afs",
        "9p",
        "ocfs2",
        "gfs2",
        "pvfs2",
        "orangefs",
        "fhgfs",
        "panfs",
    ]
)


def filesystem_type(path: Path, mountinfo: str | None = None) -> str:
    """Return the type of the filesystem that holds a path, from the kernel's table of mounts.

    Parameters
    ----------
    path : Path
        A path; what does not exist yet is looked for at its nearest existing parent.
    mountinfo : str, optional
        The text of ``/proc/self/mountinfo`` (proc(5)); read there when not given.
    """
    place = Path(path).absolute()
    while not place.exists():
        place = place.parent
    place = place.resolve()
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
    if kind in NETWORK_TYPES:
        raise RegistryError(
            f"{path} stands on a network filesystem ({kind}), where SQLite may lose rows: set paths.state to a "
            "folder on a local disk, or registry.url to a PostgreSQL server"
        )
