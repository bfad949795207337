"""A memory of groups that are settled, so that a plan need not read those of a whole season each time.

A group whose mosaic has its final outcome, and whose nights are long gone from the inbox, takes no part in any plan.
Its marker's modification time is remembered; while that stands, neither
group nor marker is read. The memory may be lost.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from contimg.naming import Layout
from contimg.storage.atomic import write_json
from contimg.storage.json_files import read_json


class SettledGroups:
    """Which groups were settled when their marker was read last, by the stems of their ids.

    Parameters
    ----------
    layout : Layout
    """

    def __init__(self, layout: Layout) -> None:
        self._place = layout.cache / "settled.json"
        content = read_json(self._place)
        self._known: dict[str, int] = content if isinstance(content, dict) else {}
        # Each folder is listed once: a season has thousands of markers.
        self._standing = dict(_markers(layout.stage / "published"))
        self._changed = False

    def unchanged(self) -> set[str]:
        """Return the groups that were settled and whose marker is the one that said so."""
        return {stem for stem, mtime_ns in self._known.items() if self._standing.get(stem) == mtime_ns}

    def note(self, stem: str, *, settled: bool) -> None:
        """Remember whether a group is settled by its present marker."""
        mtime_ns = self._standing.get(stem) if settled else None
        if self._known.get(stem) != mtime_ns:
            self._changed = True
            if mtime_ns is None:
                del self._known[stem]
            else:
                self._known[stem] = mtime_ns

    def save(self) -> None:
        """Write the memory, if it changed."""
        if self._changed:
            write_json(self._place, self._known)
            self._changed = False


def _markers(folder: Path) -> Iterator[tuple[str, int]]:
    """Yield stem and modification time [ns] of the markers of published mosaics."""
    try:
        with os.scandir(folder) as days:
            for day in days:
                with os.scandir(day.path) as files:
                    for file in files:
                        yield file.name.removeprefix("mosaic_").removesuffix(".json"), file.stat().st_mtime_ns
    except (FileNotFoundError, NotADirectoryError):  # nothing is published yet, or a day was pruned meanwhile
        return
