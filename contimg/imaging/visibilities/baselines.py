"""The antennas and the integration of each row of a tile's samples."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from contimg.imaging.visibilities.samples import Samples
from contimg.measurement_set import Coordinates
from contimg.sky.geometry import antenna_uvw


class Baselines:
    """The antennas and the integration of each row of the samples.

    Attributes
    ----------
    antenna1, antenna2 : (nrow,) int
        Antennas of each row, numbered from 0 among those that have rows.
    n_antennas : int
        Number of those antennas.
    rows_by_time : list of (n,) int
        The rows of each integration that has any.
    """

    def __init__(self, coordinates: Coordinates, samples: Samples) -> None:
        antenna1, antenna2 = coordinates.antenna1[samples.rows], coordinates.antenna2[samples.rows]
        used, number = np.unique(np.concatenate([antenna1, antenna2]), return_inverse=True)
        self.antenna1, self.antenna2 = number[: len(antenna1)], number[len(antenna1) :]
        self.n_antennas = len(used)
        self.rows_by_time = [np.flatnonzero(samples.time_index == one) for one in np.unique(samples.time_index)]
        self._uvw_m = samples.uvw_m

    @cached_property
    def antenna_uvw_m(self) -> list[NDArray[np.float64]]:
        """Antenna coordinates (n_antennas, 3) for each of `rows_by_time` (m), whose differences are the baselines."""
        return [
            antenna_uvw(self._uvw_m[rows], self.antenna1[rows], self.antenna2[rows], self.n_antennas)
            for rows in self.rows_by_time
        ]
