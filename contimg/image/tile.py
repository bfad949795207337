"""All that is known of a tile before it is deconvolved, and a thinner version of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from contimg.beam import C_M_S, EffectiveBeam, effective_beam
from contimg.catalogue import Catalogue
from contimg.config import BeamOptions, ImageOptions
from contimg.image.grid import Grid
from contimg.image.gridding import Gridder
from contimg.image.samples import Samples
from contimg.measurement_set import Coordinates

# Integrations that are enough to find bright sources and nearly their fluxes; with fewer than three
# times as many in the tile, or with few samples, thinning gains nothing.
_ENOUGH_TIMES = 4
_WORTH_SAMPLES = 4_000_000
# Largest pixels, in units of the Nyquist interval of the longest baseline, in which sources are found.
_SAMPLED = 0.8


@dataclass(frozen=True)
class Tile:
    """A tile's samples and how they are imaged.

    Attributes
    ----------
    coordinates : Coordinates
    samples : Samples
    sums : (ntime, nchan) float64
        Sums of the imaging weights.
    gridder : Gridder
    response : EffectiveBeam
    options : ImageOptions
    beam : BeamOptions
    catalogue : Catalogue or None
        Lends spectral indices.
    freq_hz : float
        The image's frequency.
    """

    coordinates: Coordinates
    samples: Samples
    sums: NDArray[np.float64]
    gridder: Gridder
    response: EffectiveBeam
    options: ImageOptions
    beam: BeamOptions
    catalogue: Catalogue | None
    freq_hz: float

    def thinned(self) -> Tile | None:
        """Return the tile with four of its integrations, evenly spaced; None where that gains nothing.

        Positions, fluxes and spectral indices are the same in any part of the samples, and so the bright
        sources can be found in a fraction of the time.
        """
        times = np.unique(self.samples.time_index)
        if len(times) < 3 * _ENOUGH_TIMES or self.samples.vis.size < _WORTH_SAMPLES:
            return None
        step = len(times) // _ENOUGH_TIMES
        few = times[step // 2 :: step]
        chosen = np.flatnonzero(np.isin(self.samples.time_index, few))
        samples = self.samples.select(chosen)
        sums = np.zeros_like(self.sums)
        sums[few] = self.sums[few]
        grid = self._coarser()
        gridder = Gridder(samples, self.gridder.weight[chosen], grid, self.gridder.threads)
        response = effective_beam(self.coordinates.pointing_rad, sums, self.coordinates.freq_hz, grid, self.beam)
        return replace(self, samples=samples, sums=sums, gridder=gridder, response=response)

    def _coarser(self) -> Grid:
        """Return the grid with half as many pixels a side, if they still sample the longest baseline well."""
        grid = self.gridder.grid
        longest = float(np.hypot(*self.samples.uvw_m.T[:2]).max())
        finest_rad = C_M_S / (2 * longest * float(self.samples.freq_hz[-1]))
        if 2 * grid.cell_rad > _SAMPLED * finest_rad:
            return grid
        return Grid(grid.size_px // 2, 2 * grid.cell_rad, grid.centre_rad)
