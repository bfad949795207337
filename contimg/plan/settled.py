"""A memory of groups that are settled, so that a plan need not read those of a whole season each time.

A group whose mosaic has its final outcome, and whose nights are long gone from the inbox, takes no part in any plan.
Its marker's modification time is remembered; while that stands, neither group nor marker is read. Markers are replaced
by a rename, which changes the time of their folder as well: while that of a night stands, none of its markers is
looked at. The memory may be lost.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from contimg.naming import Layout
from contimg.storage.notes import read_note, write_note_if_allowed

_TICK_NS = 2_000_000_000
"""A folder that was changed so shortly before it was listed may be changed again within the same tick of its disk."""


class SettledGroups:
    """Which groups were settled when their marker was read last, by the stems of their ids.

    Parameters
    ----------
    layout : Layout
    """

    def __init__(self, layout: Layout) -> None:
        self._place = layout.cache / "settled.json"
        self._folder = layout.stage / "published"
        content = read_note(self._place)
        self._known, days = _times(content, "groups"), _times(content, "nights")
        self._nights: dict[str, int] = {}
        self._standing: dict[str, int] = {}
        self._list(days)
        self._changed = self._nights != days

    def _list(self, days: dict[str, int]) -> None:
        """Find the markers that stand: those of a night whose folder did not change since are the ones remembered."""
        known: dict[str, dict[str, int]] = defaultdict(dict)
        for stem, mtime_ns in self._known.items():
            known[stem[:8]][stem] = mtime_ns
        past_ns = time.time_ns() - _TICK_NS
        for night in _listed(self._folder):
            try:
                mtime_ns = night.stat().st_mtime_ns
            except FileNotFoundError:  # pruned meanwhile, or a link to what is gone
                continue
            if days.get(night.name) == mtime_ns:
                self._standing |= known[night.name.replace("-", "")]
            else:
                self._standing |= {_stem(file.name): file.stat().st_mtime_ns for file in _listed(night)}
            if mtime_ns < past_ns:
                self._nights[night.name] = mtime_ns

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
            write_note_if_allowed(self._place, {"groups": self._known, "nights": self._nights})
            self._changed = False


def _times(content: Any, key: str) -> dict[str, int]:
    """Return times by name from the memory; none where it was lost, damaged, or written by an earlier contimg."""
    found = content.get(key) if isinstance(content, dict) else None
    return found if isinstance(found, dict) else {}


def _stem(name: str) -> str:
    return name.removeprefix("mosaic_").removesuffix(".json")


def _listed(folder: Path | os.DirEntry[str]) -> list[os.DirEntry[str]]:
    """Return what stands in a folder; nothing where there is none yet, or where it was pruned meanwhile."""
    try:
        with os.scandir(folder) as found:
            return list(found)
    except (FileNotFoundError, NotADirectoryError):
        return []
