"""The command ``contimg prune``: remove intermediate products of settled groups, which stay settled.

A group is settled when its published marker says so. What it was made from is in its bundle's lineage, and the twins
stay; MSs, images, logs and benchmarks may go. Inputs, archive, calibrations, decisions, mosaics and open groups are
never touched.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from contimg import naming, times
from contimg.config import Config
from contimg.operations import run_lock
from contimg.plan.model import CommittedGroup
from contimg.plan.observe import committed_groups
from contimg.plan.standing import read_marker, read_pruned
from contimg.storage.atomic import remove, write_json
from contimg.storage.filesystem import walk

KINDS = ("ms", "calibrated", "image", "logs", "benchmarks")
_PRODUCTS = ("ms", "calibrated", "image")
_SUFFIX = {"logs": ".log", "benchmarks": ".tsv"}


@dataclass(frozen=True)
class Item:
    """A file or folder that can be removed: its kind, group ('' where it is of none), path and size on disk (bytes)."""

    kind: str
    group: str
    path: str
    bytes: int


@dataclass(frozen=True)
class Pruning:
    """The items that were removed, or would be, and the free space of the stage's disk afterwards (bytes)."""

    items: tuple[Item, ...]
    free_bytes: int
    dry_run: bool

    @property
    def freed_bytes(self) -> int:
        """The size of all items (bytes)."""
        return sum(item.bytes for item in self.items)

    def to_json(self) -> dict[str, object]:
        """Return the content for programs."""
        return {
            "dry_run": self.dry_run,
            "freed_bytes": self.freed_bytes,
            "free_bytes": self.free_bytes,
            "items": [asdict(item) for item in self.items],
        }


def prune(  # one parameter for each option of `contimg prune`
    config: Config,
    work: Path,
    *,
    kinds: Sequence[str] = KINDS,
    older_than_days: float = 0.0,
    free_bytes: int | None = None,
    dry_run: bool = False,
    now: datetime | None = None,
) -> Pruning:
    """Remove intermediate products, logs and benchmarks of settled groups, the longest settled first.

    Parameters
    ----------
    config : Config
    work : Path
        Snakemake's working directory, which holds ``logs/`` and ``benchmarks/``.
    kinds : sequence of str
        Of `KINDS`.
    older_than_days : float
        Only groups that were settled longer ago.
    free_bytes : int, optional
        Stop as soon as the stage's disk has this much room.
    dry_run : bool
        Remove nothing.
    now : datetime, optional
        The present time, with a time zone; the system clock's by default.

    Raises
    ------
    BusyError
        If a run works on one of the roots.
    """
    limit = (now or datetime.now(UTC)) - timedelta(days=older_than_days)
    with contextlib.nullcontext() if dry_run else run_lock.run_locks(config.layout):
        free = shutil.disk_usage(config.paths.stage).free
        chosen = []
        for item in removable(config, work, kinds, limit):
            if free_bytes is not None and free >= free_bytes:
                break
            free += item.bytes
            chosen.append(item)
        if not dry_run:
            for item in chosen:
                remove_item(config, item)
            free = shutil.disk_usage(config.paths.stage).free
    return Pruning(tuple(chosen), free, dry_run)


def removable(config: Config, work: Path, kinds: Sequence[str], limit: datetime) -> Iterator[Item]:
    """Yield what groups that were settled before a time can spare, the longest settled first."""
    groups = committed_groups(config)
    needed = _needed(groups, config.group.stride)
    settled = [(_settled_at(config, group), group) for group in groups if group.settled]
    for moment, group in sorted(settled, key=lambda one: (one[0], one[1].id)):
        if moment > limit:
            continue
        tiles = [tile.id for tile in group.tiles if tile.id not in needed]
        needed |= set(tiles)  # counted once, though overlapping groups share it
        for kind in kinds:
            for path in _paths(config, work, kind, group, tiles):
                if _is_own(path, config.paths.stage if kind in _PRODUCTS else work):
                    yield Item(kind, group.id, str(path), size_on_disk(path))
    if "ms" in kinds:
        yield from _solved_on(config, groups, limit)


def _solved_on(config: Config, groups: Sequence[CommittedGroup], limit: datetime) -> Iterator[Item]:
    """Yield the MSs, made before a time, that a calibration was solved on and whose tile no group holds."""
    held = {tile.id for group in groups for tile in group.tiles}
    for path in sorted((config.paths.stage / "ms").glob("????-??-??/????????T??????.ms")):
        tile = naming.iso(path.stem)
        solved = config.layout.twin("calibration", naming.calibration_id(tile)).exists()
        old = path.lstat().st_mtime <= limit.timestamp()
        if tile not in held and solved and old and _is_own(path, config.paths.stage):
            yield Item("ms", "", str(path), size_on_disk(path))


def _needed(groups: Sequence[CommittedGroup], stride: int) -> set[str]:
    """Return the tiles that an open group holds, or that a group which is not cut yet may hold (overlapping groups)."""
    last = {tile.id for group in groups for tile in group.tiles[stride:]}
    last -= {tile.id for group in groups for tile in group.tiles[:stride]}  # the next group is there
    return last | {tile.id for group in groups if not group.settled for tile in group.tiles}


def _settled_at(config: Config, group: CommittedGroup) -> datetime:
    """Return when a group got its outcome."""
    marker = read_marker(config.layout.twin("published", group.id))
    moment = datetime.fromisoformat(marker["time"])
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _paths(config: Config, work: Path, kind: str, group: CommittedGroup, tiles: Sequence[str]) -> list[Path]:
    """Return the paths of one kind that exist for some tiles of a group, or for its mosaic."""
    if kind in _PRODUCTS:
        found = [config.layout.product(kind, tile) for tile in tiles]
    else:
        names = [(naming.date(tile), naming.stem(tile)) for tile in tiles]
        names.append((naming.date(group.id), naming.mosaic_id(group.id)))
        found = [path for day, name in names for path in sorted((work / kind).glob(f"*/{day}/{name}{_SUFFIX[kind]}"))]
    return [path for path in found if path.exists() or path.is_symlink()]


def _is_own(path: Path, root: Path) -> bool:
    """Tell whether a path lies below its root without a symlink on the way."""
    return path.parent.resolve() == root.resolve() / path.parent.relative_to(root)


def size_on_disk(path: Path) -> int:
    """Return the size of a file or folder on its disk (bytes in allocated blocks)."""
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_blocks * 512
    return sum(
        os.lstat(os.path.join(folder, name)).st_blocks * 512
        for folder, folders, files in walk(path)
        for name in (*folders, *files)
    )


def remove_item(config: Config, item: Item) -> None:
    """Mark a group as pruned, then remove an item of it; in reverse order where the disk is too full for the mark.

    What belongs to no group is just removed.
    """
    if not item.group:
        remove(Path(item.path))
        return
    try:
        _mark(config, item.group)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        remove(Path(item.path))
        _mark(config, item.group)
    else:
        remove(Path(item.path))


def _mark(config: Config, group_id: str) -> None:
    """Write the mark of a pruned group: with it the group stays settled even if its night is named in `nights`."""
    place = config.layout.pruned(group_id)
    version = read_marker(config.layout.twin("published", group_id))["version"]
    if not place.exists() or read_pruned(place)["version"] != version:
        write_json(place, {"id": group_id, "version": version, "time": times.now(0)})
