"""Which integrations the files of a tile have in common: its hosts start and stop up to some integrations apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

TILE_S = 309.2376
"""What the correlator writes into one file: 24 integrations of 12.884901888 s."""

_SAME_TIME_S = 1e-3  # a float64 Julian date is good to 40 us


@dataclass(frozen=True)
class Lattice:
    """The times of a file: `count` integrations of `integration_s` from `start_mjd` (centres, UTC)."""

    start_mjd: float
    integration_s: float
    count: int

    @classmethod
    def between(cls, start_mjd: float, end_mjd: float, integration_s: float) -> Lattice:
        """Return the times from the centre of a first to that of a last integration."""
        return cls(start_mjd, integration_s, round((end_mjd - start_mjd) * 86400 / integration_s) + 1)

    def steps_to(self, other: Lattice) -> int | None:
        """Return how many integrations later another file starts; None if that is no whole number."""
        if not math.isclose(self.integration_s, other.integration_s, rel_tol=1e-6):
            return None
        elapsed_s = (other.start_mjd - self.start_mjd) * 86400
        steps = round(elapsed_s / self.integration_s)
        return steps if abs(elapsed_s - steps * self.integration_s) <= _SAME_TIME_S else None

    def agrees_with(self, other: Lattice) -> bool:
        """Tell whether two files can be of one tile: the shorter has at least half of its integrations in common."""
        steps = self.steps_to(other)
        if steps is None:
            return False
        overlap = min(self.count, steps + other.count) - max(0, steps)
        return overlap > 0 and 2 * overlap >= min(self.count, other.count)


def common(files: Sequence[Lattice]) -> tuple[int, int]:
    """Return the first integration of a tile and the one after its last, counted from the first file's start.

    The tile has what at least half of its files have. An integration that a file lacks is flagged in its channels;
    one that few files have would move the middle of the tile for their sake.
    """
    steps = [files[0].steps_to(file) for file in files]
    if None in steps:
        raise ValueError("the files are of more than one tile")
    starts = np.array(steps, np.int64)
    ends = starts + [file.count for file in files]
    places = np.arange(starts.min(), ends.max())
    held = ((places >= starts[:, None]) & (places < ends[:, None])).sum(0)
    of_half = places[2 * held >= len(files)]
    return int(of_half[0]), int(of_half[-1]) + 1
