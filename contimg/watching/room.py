"""Free space on the disks of the roots, against the least that `contimg watch` leaves."""

from __future__ import annotations

import shutil
from pathlib import Path

from contimg.config import Config
from contimg.storage.filesystem import standing

_ROOTS = ("stage", "products", "state")


def free_gb(root: Path) -> float:
    """Return the free space of the disk that a root stands on, or will stand on [GB]."""
    return shutil.disk_usage(standing(root)).free / 1e9


def lack_of_room(config: Config, *, margin: float = 1.0) -> str | None:
    """Return a sentence about the first root with too little room; None if all have enough.

    Parameters
    ----------
    config : Config
    margin : float
        Ask for this times ``watch.min_free_gb``: a run that was stopped goes on only with more than it was stopped at.
    """
    least = config.watch.min_free_gb * margin
    for name in _ROOTS:
        root: Path = getattr(config.paths, name)
        free = free_gb(root)
        if free < least:
            return (
                f"paths.{name} {root} has {free:.1f} GB of room, and watch.min_free_gb is {least:g}: "
                "make room (contimg usage shows where it went, contimg prune removes), and the watch goes on by itself"
            )
    return None
