"""Whether files that were read before must be the same still, as the kernel's times say, without reading them again."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from contimg.bundle.bag import TAG_MANIFEST
from contimg.bundle.bundle import MANIFEST, PUBLICATION, read_file, read_tags
from contimg.bundle.listing import parse_manifest
from contimg.errors import ContimgError
from contimg.storage import safe_files, trees

# The kernel's clock for times of files ticks every 1 to 10 ms.
_TICK_S = 0.01


def is_unchanged(path: Path, expected: str, since_unix_s: float) -> bool:
    """Return whether a bundle that was whole at a time [Unix s] must be so still, without reading its files.

    True when it has the expected manifest, the files that this lists and no others, and the kernel has changed nothing
    of them since: not content, name or permissions (their ctime, which no program can set back). A disk that rots is
    not seen; `verify` reads. The small tag files, which are written last, are read. False where that cannot be known.

    Parameters
    ----------
    path : Path
    expected : str
        SHA-256 of the manifest.
    since_unix_s : float
        When every byte was read and found right.
    """
    if path.is_symlink():
        return False
    try:
        with safe_files.open_folder(path) as folder:
            manifest = read_file(folder, MANIFEST)
            if hashlib.sha256(manifest).hexdigest() != expected:
                return False
            listed, tags = parse_manifest(manifest), read_tags(folder, expected)
            present = set(trees.list_tree(folder)) - {MANIFEST, TAG_MANIFEST, PUBLICATION}
            return (
                {*listed, *tags} == present
                and all(is_older(os.stat(name, dir_fd=folder, follow_symlinks=False), since_unix_s) for name in listed)
                and all(hashlib.sha256(read_file(folder, name)).hexdigest() == tags[name] for name in tags)
            )
    except (OSError, ContimgError):
        return False


def is_older(found: os.stat_result, since_unix_s: float) -> bool:
    """Return whether a regular file was not changed since a time [Unix s], as its ctime says."""
    return stat.S_ISREG(found.st_mode) and found.st_ctime < since_unix_s - _TICK_S
