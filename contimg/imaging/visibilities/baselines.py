"""The antennas and integrations behind a tile's rows."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from contimg.imaging.visibilities.samples import Samples
from contimg.measurement_set import Coordinates
from contimg.sky.geometry import antenna_uvw


class Baselines:
    """Which antennas and which integration each row of the samples belongs to.

    Attributes
    ----------
    one, two : (nrow,) int
        The antennas of each row, numbered from 0 among those that have rows.
    count : int
        Number of those antennas.
    times : list of (n,) int
        The rows of each integration that has any.
    """

    def __init__(self, coordinates: Coordinates, samples: Samples) -> None:
        antenna1, antenna2 = coordinates.antenna1[samples.rows], coordinates.antenna2[samples.rows]
        used, number = np.unique(np.concatenate([antenna1, antenna2]), return_inverse=True)
        self.one, self.two = number[: len(antenna1)], number[len(antenna1) :]
        self.count = len(used)
        self.times = [np.flatnonzero(samples.time_index == index) for index in np.unique(samples.time_index)]
        self._uvw_m = samples.uvw_m

    @cached_property
    def places(self) -> list[NDArray[np.float64]]:
        """Antenna coordinates (count, 3) for each of `times` (m), whose differences are the baselines."""
        return [antenna_uvw(self._uvw_m[rows], self.one[rows], self.two[rows], self.count) for rows in self.times]
