"""The axes of a tile, and the results of the first phase of flagging.

Flagging has two phases. `contimg.flagging.block_flagger.BlockFlagger` sees a tile block by block of baselines, flags
what a block shows by itself and adds up what all blocks show together. Its result, a frozen `BlockFindings`, is what
`contimg.flagging.whole_tile.whole_tile_flags` takes, so that the second phase cannot run before the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from contimg.flagging.polarisation_residual import AntennaPowerSums


@dataclass(frozen=True)
class TileAxes:
    """The axes of a tile.

    Attributes
    ----------
    received : (nchan,) bool
        Channels for which there was a file.
    n_times, n_antennas, n_pols : int
    subbands : sequence of slice
        The channels of each subband.
    """

    received: NDArray[np.bool_]
    n_times: int
    n_antennas: int
    n_pols: int
    subbands: Sequence[slice]

    @property
    def n_channels(self) -> int:
        """The number of channels of the whole band, received or not."""
        return len(self.received)

    def edge_channels(self, width: int) -> NDArray[np.bool_]:
        """Return which channels (nchan,) are among the first or last `width` of a subband."""
        edges = np.zeros(self.n_channels, bool)
        if width:
            for channels in self.subbands:
                edges[channels][:width] = edges[channels][-width:] = True
        return edges


@dataclass
class CellSums:
    """Sums over baselines in each cell (n_times, nchan, n_pols).

    Attributes
    ----------
    amplitude : float64
        Of the amplitudes of good samples, each in units of its baseline's median.
    good, valid, found : int64
        Samples that are good in the end; that hold data; in which a search found interference.
    """

    amplitude: NDArray[np.float64]
    good: NDArray[np.int64]
    valid: NDArray[np.int64]
    found: NDArray[np.int64]

    @classmethod
    def zeros(cls, axes: TileAxes) -> CellSums:
        """Return sums of no baseline."""
        shape = (axes.n_times, axes.n_channels, axes.n_pols)
        return cls(np.zeros(shape), *(np.zeros(shape, np.int64) for _ in range(3)))


@dataclass(frozen=True)
class BlockFindings:
    """The result of the first phase of flagging, from all blocks of a tile; the input of the second.

    Attributes
    ----------
    axes : TileAxes
    counts : (len(axes.subbands), N_CODES) int64
        Samples of the cross-correlations by subband and `FlagCode`.
    auto_power : (n_antennas, n_pols) float64
        Median power of each receptor's autocorrelations; 0 where it is constant, NaN where there are none.
    n_baselines, n_noisy : int
        Baselines searched for interference, and those of them that carry receiver noise.
    cells : CellSums
    antenna_power : AntennaPowerSums
    aoflagger : tuple of (n_times, nbaselines, nbytes) uint8
        Samples (nchan packed into bits) that AOFlagger found, block by block; empty where it did not search.
    """

    axes: TileAxes
    counts: NDArray[np.int64]
    auto_power: NDArray[np.float64]
    n_baselines: int
    n_noisy: int
    cells: CellSums
    antenna_power: AntennaPowerSums = field(repr=False)
    aoflagger: tuple[NDArray[np.uint8], ...] = field(repr=False)

    @property
    def enough_noise(self) -> bool:
        """Whether the searches over the whole tile make sense: half of the baselines searched carry noise."""
        return self.n_noisy >= self.n_baselines / 2
