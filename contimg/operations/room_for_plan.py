"""Which groups of a plan the disks have room for: the oldest first, so that a backlog larger than a disk is worked off.

What a group needs is a lower limit: its images, mosaic and bundle, and the Measurement Sets of one tile. Groups after
the first one also need room for all Measurement Sets of a group, as tiles are converted ahead of those imaged.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from dataclasses import dataclass

from contimg.config import Config
from contimg.operations.resources import MS_OVER_FILES, mosaic_sizes, tile_sizes
from contimg.plan.model import Plan, Waiting
from contimg.plan.observe import current_plan
from contimg.storage.filesystem import standing

# Bytes a pixel of what is written: six planes of a tile; three planes of a mosaic, its bundle and the published copy.
_TILE_BYTES_PER_PX, _MOSAIC_BYTES_PER_PX, _BUNDLE_BYTES_PER_PX = 24, 24, 12


def plan_within_room(config: Config) -> Plan:
    """Return the plan from the present state of inbox and stage, of the groups that there is room for.

    Raises
    ------
    InputError
        If the inbox is missing, unreadable or empty.
    """
    return within_room(config, current_plan(config))


def within_room(config: Config, plan: Plan) -> Plan:
    """Return the plan without the groups that the disks have no room for; these wait, with the reason."""
    split = _Split.of(config, plan)
    if not split.lacks:
        return plan
    fitting = plan.only(split.taken)
    later = "a later run makes it, when there is room (contimg usage, contimg prune)"
    waiting = [
        Waiting(plan.groups[group].mosaic_id, "group", "no_room", f"{lack}: {later}", group)
        for group, lack in split.lacks.items()
    ]
    fitting.waiting = sorted([*plan.waiting, *waiting], key=lambda one: (one.since, one.id))
    return fitting


def wants_room(config: Config, plan: Plan) -> str | None:
    """Return a sentence about the first group that waits for room, where a run could make nothing else; else None.

    Groups that are held, or whose night is asked for by name, may stand in the plan and need nothing.
    """
    lacking = [one for one in plan.waiting if one.code == "no_room"]
    if not lacking or _Split.of(config, plan).some_work:
        return None
    return f"{len(lacking)} wait for room, first {lacking[0].id}: {lacking[0].message}"


def findings(config: Config, plan: Plan) -> list[str]:
    """Return why nothing of a plan can be made for want of room; nothing where something can, or nothing is to do."""
    split = _Split.of(config, plan)
    if not split.lacks or split.some_work:
        return []
    group, lack = next(iter(split.lacks.items()))
    return [
        f"{plan.groups[group].mosaic_id} waits: {lack}: make room (contimg prune), then type the same command again"
    ]


@dataclass(frozen=True)
class _Need:
    """Bytes that groups will at least take beside what they have.

    Attributes
    ----------
    images, mosaics, bundles : float
        Of what stays on the stage (with Measurement Sets that are kept), and in the archive.
    one_ms, all_ms : float
        Measurement Sets that stand for a while: of one tile (with the calibrated one), and of all tiles of a group.
    """

    images: float = 0.0
    mosaics: float = 0.0
    bundles: float = 0.0
    one_ms: float = 0.0
    all_ms: float = 0.0

    def and_group(self, config: Config, plan: Plan, group: str, counted: Collection[str]) -> _Need:
        """Return what these groups, whose tiles are counted, and another one need; overlapping ones share tiles."""
        layout, pixels = config.layout, 0
        if not layout.twin("published", group).exists():
            pixels = mosaic_sizes(config, plan, group).mosaic_px
        members = plan.groups[group].tiles
        tiles = [tile for tile in members if tile not in counted and not layout.product("image", tile).exists()]
        sizes = [tile_sizes(config, plan.tiles[tile]) for tile in tiles]
        ms = [size.files_bytes * MS_OVER_FILES for size in sizes]
        kept = sum(kind in config.keep for kind in ("ms", "calibrated"))
        return _Need(
            self.images + sum(size.image_px for size in sizes) * _TILE_BYTES_PER_PX + sum(ms) * kept,
            self.mosaics + pixels * _MOSAIC_BYTES_PER_PX,
            self.bundles + pixels * _BUNDLE_BYTES_PER_PX,
            max(self.one_ms, max(ms, default=0.0) * (2 - kept)),
            max(self.all_ms, 0.0 if kept else sum(ms)),
        )

    def lack(self, config: Config, *, alone: bool) -> str | None:
        """Return which disk has less room than this, as a part of a sentence; None where all have enough."""
        stage = self.images + self.mosaics + (self.one_ms if alone else max(self.one_ms, self.all_ms))
        by_disk: dict[int, list[tuple[str, float]]] = {}
        for name, needed in (("stage", stage), ("products", self.bundles)):
            by_disk.setdefault(standing(getattr(config.paths, name)).stat().st_dev, []).append((name, needed))
        for roots in by_disk.values():
            needed = sum(one for _, one in roots)
            free = shutil.disk_usage(standing(getattr(config.paths, roots[0][0]))).free
            if needed > free:
                names = " and ".join(f"paths.{name} {getattr(config.paths, name)}" for name, _ in roots)
                has = "has" if len(roots) == 1 else "have, on one disk,"
                who = "it needs" if alone else "with the groups before it it needs"
                return f"{names} {has} {free / 1e9:.2f} GB of room, and {who} {needed / 1e9:.2f} GB at the least"
        return None


@dataclass(frozen=True)
class _Split:
    """The groups of a plan that fit, why each other one does not, and whether any that fits has something to write."""

    taken: list[str]
    lacks: dict[str, str]
    some_work: bool

    @classmethod
    def of(cls, config: Config, plan: Plan) -> _Split:
        need, taken, lacks, counted = _Need(), list[str](), dict[str, str](), set[str]()
        for group in sorted(plan.groups):
            tried = need.and_group(config, plan, group, counted)
            lack = None if tried == need else tried.lack(config, alone=need == _Need())
            if lack is None:
                need = tried
                taken.append(group)
                counted |= set(plan.groups[group].tiles)
            else:
                lacks[group] = lack
        return cls(taken, lacks, some_work=need != _Need())
