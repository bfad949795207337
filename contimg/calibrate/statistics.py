"""What a table lost, counted over working receptors.

CASA's FLAG has one row per antenna and time (and spectral window); taking rows for antennas once gave
"448 dead antennas". Here rows are grouped by ANTENNA1; a receptor (antenna and polarisation) with no
solution at all is dead, and fractions are those of the working ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class FlagStatistics:
    """Counts of one table.

    Attributes
    ----------
    dead_receptors, working_receptors : int
    affected_antennas : int
        Antennas with at least one dead receptor.
    flagged, cells : int
        Flagged solutions and all solutions of the working receptors.
    """

    dead_receptors: int
    working_receptors: int
    affected_antennas: int
    flagged: int
    cells: int

    @property
    def fraction(self) -> float:
        """Flagged fraction of the working receptors' solutions; 1 when none works."""
        return self.flagged / self.cells if self.cells else 1.0


def flag_statistics(
    flag: NDArray[np.bool_], antenna1: NDArray[np.int32], expected: NDArray[np.bool_] | None = None
) -> FlagStatistics:
    """Count the flags of a table.

    Parameters
    ----------
    flag : (nrow, nchan, npol) bool
    antenna1 : (nrow,) int
    expected : (nrow, nchan, npol) bool, optional
        Cells for which there was data at all; the others (subbands that are missing, antennas that
        are absent) are not counted. Default: every cell.
    """
    expected = np.ones(flag.shape, bool) if expected is None else expected
    solved = ~flag & expected
    dead = working = affected = flagged = cells = 0
    for antenna in np.unique(antenna1):
        rows = antenna1 == antenna
        receptors = expected[rows].any((0, 1))
        alive = solved[rows].any((0, 1))
        dead += int((receptors & ~alive).sum())
        working += int(alive.sum())
        affected += bool((receptors & ~alive).any())
        counted = expected[rows] & alive
        cells += int(counted.sum())
        flagged += int((counted & flag[rows]).sum())
    return FlagStatistics(dead, working, affected, flagged, cells)
