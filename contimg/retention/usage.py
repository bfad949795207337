"""Disk space by kind of file, and the day on which a disk fills up: the command ``contimg usage``."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from contimg.config import Config
from contimg.storage.atomic import write_json
from contimg.storage.filesystem import standing, walk
from contimg.storage.json_files import read_json

RECENT_DAYS = 7
"""The growth of a disk is judged by what was written in the last days."""

_HISTORY_DAYS = 30
_MOST = 1e21  # of bytes, or of seconds since 1970

_PRODUCT_FOLDERS = {"ms": "ms", "calibrated": "calibrated", "image": "images", "bundle": "registered"}
_OTHER_FOLDERS = {
    "calibration": "calibrations",
    "mosaic": "mosaics",
    "crossmatch": "crossmatch",
    "report": "reports",
    "template": "templates",
    "difference": "differences",
    "quarantine": "quarantine",
    "raw": "raw",
}


@dataclass
class Use:
    """The space that a kind takes [bytes], its files, and how many bytes of it are younger than `RECENT_DAYS`."""

    kind: str
    root: str
    bytes: int = 0
    files: int = 0
    recent_bytes: int = 0


@dataclass
class Disk:
    """A disk: the roots on it, its size, free space and growth, and when it is full at that.

    Attributes
    ----------
    roots : list of str
    total_bytes, free_bytes : int
    growth_bytes_per_day : float
        By how much less is free each day, from the history of free space; in its first day from what was written
        [bytes/day].
    full_on : str or None
        UTC date; None if nothing grows, or it takes more than ten years.
    """

    roots: list[str]
    total_bytes: int
    free_bytes: int
    growth_bytes_per_day: float
    full_on: str | None


@dataclass
class Usage:
    """Space by kind and by disk."""

    kinds: list[Use] = field(default_factory=list)
    disks: list[Disk] = field(default_factory=list)

    def to_json(self) -> dict[str, object]:
        """Return the content for programs."""
        return asdict(self)


def usage(config: Config, work: Path, *, now: datetime | None = None) -> Usage:
    """Measure what each kind takes and when the disks are full.

    Parameters
    ----------
    config : Config
    work : Path
        Snakemake's working directory.
    now : datetime, optional
        The present time; the system clock's by default.
    """
    moment = now or datetime.now(UTC)
    recent = moment.timestamp() - RECENT_DAYS * 86400
    kinds = [_measure(Use(kind, root), folder, recent) for kind, root, folder in folders(config, work)]
    by_device: dict[int, list[str]] = {}
    for name in ("incoming", "stage", "products", "state", "work"):
        place = standing(work if name == "work" else getattr(config.paths, name))
        by_device.setdefault(place.stat().st_dev, []).append(name)
    disks = []
    for roots in by_device.values():
        place = standing(work if roots[0] == "work" else getattr(config.paths, roots[0]))
        growth = growth_of_disk(config, roots[0], moment)
        if growth is None:
            growth = sum(one.recent_bytes for one in kinds if one.root in roots) / RECENT_DAYS
        space = shutil.disk_usage(place)
        disks.append(Disk(roots, space.total, space.free, growth, full_on(space.free, growth, moment)))
    return Usage(kinds, disks)


def note_free_space(config: Config, work: Path, *, now: datetime | None = None) -> None:
    """Add the free space of each root's disk to the history below ``paths.state``: at most one point an hour.

    The history makes `growth_of_disk` a measurement of what stays, and keeps a month.
    """
    moment = (now or datetime.now(UTC)).timestamp()
    points = [one for one in _history(config) if 0 <= moment - one["time"] <= _HISTORY_DAYS * 86400]
    if points and moment - points[-1]["time"] < 3600:
        return
    roots = {name: standing(getattr(config.paths, name)) for name in ("incoming", "stage", "products", "state")}
    free = {name: shutil.disk_usage(place).free for name, place in (roots | {"work": standing(work)}).items()}
    write_json(config.layout.state / "free_space.json", [*points, {"time": moment, "free": free}])


def _history(config: Config) -> list[dict[str, Any]]:
    content = read_json(config.layout.state / "free_space.json")
    rows = content if isinstance(content, list) else []
    return [one for one in rows if isinstance(one, dict) and _is_point(one.get("time"), one.get("free"))]


def _is_point(moment: object, free: object) -> bool:
    """Return whether a point of the history is whole: a disk may have changed any of its bytes."""
    numbers = [moment, *free.values()] if isinstance(free, dict) else [None]
    return all(isinstance(one, int | float) and 0 <= one < _MOST for one in numbers)


def growth_of_disk(config: Config, root: str, now: datetime) -> float | None:
    """Return by how much less free a root's disk becomes [bytes/day]: least squares over the last `RECENT_DAYS`.

    Returns None where the history covers less than a day.
    """
    since = now.timestamp() - RECENT_DAYS * 86400
    points = [
        (one["time"] / 86400, one["free"][root])
        for one in _history(config)
        if one["time"] >= since and root in one["free"]
    ]
    if len(points) < 2 or points[-1][0] - points[0][0] < 1:
        return None
    mean_day = sum(day for day, _ in points) / len(points)
    mean_free = sum(free for _, free in points) / len(points)
    above = sum((day - mean_day) * (free - mean_free) for day, free in points)
    return -above / sum((day - mean_day) ** 2 for day, _ in points)


def folders(config: Config, work: Path) -> list[tuple[str, str, Path]]:
    """Return kind, root and folder of everything that grows."""
    layout = config.layout
    found = [(kind, "stage", layout.stage / name) for kind, name in (_PRODUCT_FOLDERS | _OTHER_FOLDERS).items()]
    found += [(kind, "work", work / kind) for kind in ("logs", "benchmarks")]
    found.append(("snakemake", "work", work / ".snakemake"))
    found.append(("cache", "state", layout.cache))
    found.append(("archive", "products", layout.products))
    found.append(("inputs", "incoming", layout.incoming))
    return found


def size_of_kind(config: Config, work: Path, kind: str) -> int:
    """Return the space that a kind takes (bytes in allocated blocks)."""
    (place,) = (folder for name, _, folder in folders(config, work) if name == kind)
    return _measure(Use(kind, ""), place, 0.0).bytes


def _measure(use: Use, folder: Path, recent_unix_s: float) -> Use:
    for status in _statuses(folder):
        use.files += 1
        use.bytes += status.st_blocks * 512
        if status.st_mtime >= recent_unix_s:
            use.recent_bytes += status.st_blocks * 512
    return use


def _statuses(folder: Path) -> Iterator[os.stat_result]:
    """Yield the status of each file below a folder; what vanishes meanwhile is passed over."""
    for place, _, names in walk(folder):
        for name in names:
            try:
                yield os.lstat(os.path.join(place, name))
            except FileNotFoundError:
                continue


def full_on(free_bytes: float, growth_bytes_per_day: float, now: datetime) -> str | None:
    """Return the UTC date on which a disk is full at a constant growth; None if that is never, or in ten years."""
    if growth_bytes_per_day <= 0 or free_bytes / growth_bytes_per_day > 3650:
        return None
    return (now + timedelta(days=free_bytes / growth_bytes_per_day)).date().isoformat()
