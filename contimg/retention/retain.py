"""The limits of what grows, applied: at the end of a run, by `contimg watch`, or by hand (``contimg retain``).

Inputs, archive, calibrations, decisions, mosaics, twins and what an open group needs are never touched, and a bundle
only after its copy in the archive was read and found whole. It is no rule of the workflow's graph: it would have to run
every time, and a run with nothing to do must start no job; and it must also run after a run with failed jobs, or a full
disk would stay full.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from contimg.config import Config, Limit
from contimg.errors import ContimgError, RegistryError
from contimg.operations import run_lock
from contimg.operations.prune import Item, removable, remove_item, size_on_disk
from contimg.retention import kinds
from contimg.retention.usage import size_of_kind

_DAY_S = 86400.0


@dataclass(frozen=True)
class Retained:
    """What was removed, or would be, by kind; and what could not be, as sentences."""

    items: tuple[Item, ...]
    trouble: tuple[str, ...]
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
            "items": [asdict(item) for item in self.items],
            "trouble": list(self.trouble),
        }


def retain(
    config: Config, work: Path, *, dry_run: bool = False, locked: bool = False, now: datetime | None = None
) -> Retained:
    """Remove what has passed its limit in ``retention``.

    Parameters
    ----------
    config : Config
    work : Path
        Snakemake's working directory.
    dry_run : bool
        Remove nothing.
    locked : bool
        The caller holds the locks of the run.
    now : datetime, optional
        The present time, with a time zone; the system clock's by default.

    Raises
    ------
    BusyError
        If a run works on one of the roots.
    """
    moment = now or datetime.now(UTC)
    items: list[Item] = []
    trouble: list[str] = []
    with contextlib.nullcontext() if dry_run or locked else run_lock.run_locks(config.layout):
        for kind, chosen, remove in _chosen(config, work, moment):
            for item in chosen:
                if not dry_run:
                    try:
                        remove(item)
                    except (ContimgError, FileNotFoundError) as error:
                        trouble.append(f"{item.path} ({kind}) stays: {error}")
                        continue
                items.append(item)
    return Retained(tuple(items), tuple(trouble), dry_run)


_Choice = tuple[str, Iterable[Item], Callable[[Item], object]]


def _chosen(config: Config, work: Path, now: datetime) -> Iterator[_Choice]:
    """Yield for each kind what has passed its limit, and the function that removes one of it."""
    for kind in kinds.OF_GROUPS:
        yield kind, _of_groups(config, work, kind, now), lambda item: remove_item(config, item)
    yield "bundle", _bundles(config, now), lambda item: _remove_bundle(config, item)
    for kind in kinds.BY_AGE:
        yield kind, _by_age(config, work, kind, now), lambda item: Path(item.path).unlink(missing_ok=True)


def _limit(config: Config, kind: str) -> Limit:
    found: Limit = getattr(config.retention, kind)
    return found


def _of_groups(config: Config, work: Path, kind: str, now: datetime) -> list[Item]:
    """Return what settled groups can spare of a kind: that beyond its age, and as much as exceeds its size."""
    limit = _limit(config, kind)
    chosen: list[Item] = []
    if limit.days is not None:
        before = datetime.fromtimestamp(now.timestamp() - limit.days * _DAY_S, UTC)
        chosen = list(removable(config, work, [kind], before))
    if limit.gb is not None:
        excess = size_of_kind(config, work, kind) - round(limit.gb * 1e9) - sum(item.bytes for item in chosen)
        known = {item.path for item in chosen}
        for item in removable(config, work, [kind], now):
            if excess <= 0:
                break
            if item.path not in known:
                chosen.append(item)
                excess -= item.bytes
    return chosen


def _by_age(config: Config, work: Path, kind: str, now: datetime) -> list[Item]:
    """Return the files of a kind beyond its age, and the oldest others as long as it exceeds its size."""
    limit = _limit(config, kind)
    found = sorted(kinds.files_of(kind, config.layout, work), key=lambda one: one.mtime)
    size = sum(one.bytes for one in found)
    chosen = []
    for one in found:
        too_old = limit.days is not None and now.timestamp() - one.mtime > limit.days * _DAY_S
        too_much = limit.gb is not None and size > round(limit.gb * 1e9)
        if not too_old and not too_much:
            break
        chosen.append(Item(kind, "", str(one.path), one.bytes))
        size -= one.bytes
    return chosen


def staged_bundles(config: Config) -> Iterator[Path]:
    """Yield the frozen bundles beside the markers of registered mosaics."""
    for day in sorted((config.layout.stage / "registered").glob("????-??-??")):
        yield from sorted(path for path in day.glob("mosaic_*/v*") if path.is_dir())


def _bundles(config: Config, now: datetime) -> list[Item]:
    """Return the staged bundles of published versions beyond their age, or as many as exceed their size."""
    limit = _limit(config, "bundle")
    aged = sorted((path.stat().st_mtime, path) for path in staged_bundles(config))
    if not aged or (limit.days is None and limit.gb is None):
        return []
    sizes = {path: size_on_disk(path) for _, path in aged}
    size, chosen = sum(sizes.values()), []
    for mtime, path in aged:
        too_old = limit.days is not None and now.timestamp() - mtime > limit.days * _DAY_S
        too_much = limit.gb is not None and size > round(limit.gb * 1e9)
        if (too_old or too_much) and _published_version(config, path) is not None:
            chosen.append(Item("bundle", path.parent.name, str(path), sizes[path]))
            size -= sizes[path]
    return chosen


def _published_version(config: Config, path: Path) -> tuple[str, int] | None:
    """Return id and version of a staged bundle that is published; None for one that is not, or not known."""
    from contimg.registry import queries
    from contimg.registry.engine import open_registry

    data_id = path.parent.name
    with contextlib.closing(open_registry(config)) as registry:
        for row in queries.versions(registry, data_id):
            if row["stage_path"] == str(path) and row["status"] == "published":
                return data_id, int(row["version"])
    return None


def _remove_bundle(config: Config, item: Item) -> None:
    """Remove a staged bundle after its copy in the archive was read once more."""
    from contimg.publishing.publish_mosaic import remove_staged
    from contimg.registry.engine import open_registry

    found = _published_version(config, Path(item.path))
    if found is None:
        raise RegistryError("it is not published any more")
    with contextlib.closing(open_registry(config)) as registry:
        remove_staged(registry, config.layout, *found)


def closing_words(done: Retained, started: float) -> str:
    """Return what the end of a run says about the limits; empty where nothing was removed.

    Parameters
    ----------
    done : Retained
    started : float
        When it began, by `time.monotonic` [s].
    """
    lines = list(done.trouble)
    if done.items:
        seconds = time.monotonic() - started
        lines.append(f"retention: {len(done.items)} items, {done.freed_bytes / 1e9:.3f} GB removed in {seconds:.1f} s")
    return "\n".join(lines)
