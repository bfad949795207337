"""A memory of groups that are settled, so that a plan need not read those of a whole season each time.

A group whose mosaic has its final outcome, and whose nights are long gone from the inbox, takes no part in any plan.
Its marker's modification time is remembered; while that stands, neither
group nor marker is read. The memory may be lost.
"""

from __future__ import annotations

import os
from pathlib import Path

from contimg.naming import Layout
from contimg.storage.atomic import write_json
from contimg.storage.json_files import read_json


class SettledGroups:
    """Which groups were settled when their marker was read last.

    Parameters
    ----------
    layout : Layout
    """

    def __init__(self, layout: Layout) -> None:
        self._layout, self._place = layout, layout.cache / "settled.json"
        content = read_json(self._place)
        self._known: dict[str, int] = content if isinstance(content, dict) else {}
        self._changed = False

    def __contains__(self, group_id: str) -> bool:
        """Whether a group was settled, and its marker is the one that said so."""
        known = self._known.get(group_id)
        return known is not None and known == _mtime_ns(self._layout.twin("published", group_id))

    def note(self, group_id: str, *, settled: bool) -> None:
        """Remember whether a group is settled by its present marker."""
        mtime_ns = _mtime_ns(self._layout.twin("published", group_id)) if settled else None
        if self._known.get(group_id) != mtime_ns:
            self._changed = True
            if mtime_ns is None:
                del self._known[group_id]
            else:
                self._known[group_id] = mtime_ns

    def save(self) -> None:
        """Write the memory, if it changed."""
        if self._changed:
            write_json(self._place, self._known)
            self._changed = False


def _mtime_ns(path: Path) -> int | None:
    try:
        return os.stat(path).st_mtime_ns
    except FileNotFoundError:
        return None
