"""Telling how far a check is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""Called with (steps done, steps in all, what is being done)."""


class ProgressCounter:
    """Counts steps for a progress bar."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._total = progress, total
        self._done = 0

    def advance(self, what: str) -> None:
        """Say that a step begins."""
        if self._progress is not None:
            self._progress(self._done, self._total, what)
        self._done += 1
