"""Pixels of single tiles at common places of a mosaic, kept while it is co-added, to compare tiles pixel by pixel.

The co-add interpolates each tile at the mosaic's pixels. Of these, two a beam hold nearly all that an image knows, and
are kept where a later tile covers the same sky: nothing is interpolated twice, and memory does not grow with the
number of tiles.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contimg.mosaic.bright_sources import MIN_RESPONSE
from contimg.mosaic.coadd import Contribution
from contimg.mosaic.grid import Footprint, MosaicGrid
from contimg.sky.restoring_beam import FWHM_PER_SIGMA, RestoringBeam

PER_BEAM = 2.0
"""Samples in the width (FWHM) of the beam: of a Gaussian's transform 0.02 % lie beyond what these hold."""


@dataclass(frozen=True)
class Sampling:
    """Which pixels of a mosaic are samples, and how wide its beam is in them.

    Attributes
    ----------
    step : int
        Distance of the chosen rows, and columns, of the mosaic.
    beam : float
        Geometric mean of the beam's axes (FWHM) in samples.
    cell_arcsec : float
        Distance of two samples.
    """

    step: int
    beam: float
    cell_arcsec: float

    @classmethod
    def of(cls, grid: MosaicGrid, beam: RestoringBeam) -> Sampling:
        """Return the sampling of a mosaic with a beam: two samples or more in its minor axis."""
        step = max(1, math.floor(beam.bmin_deg / grid.cell_deg / PER_BEAM))
        width = math.sqrt(beam.bmaj_deg * beam.bmin_deg) / grid.cell_deg
        return cls(step, width / step, grid.cell_deg * step * 3600)

    def box(self, grid: MosaicGrid, footprint: Footprint) -> tuple[slice, slice]:
        """Return the rows and columns of samples of the smallest box that holds a footprint."""
        rows, columns = grid.box(footprint)
        return self._chosen(rows), self._chosen(columns)

    def _chosen(self, pixels: slice) -> slice:
        return slice(-(-pixels.start // self.step), -(-pixels.stop // self.step))

    @property
    def correlated(self) -> float:
        """Number of samples that count as one in a fit of the beam's shape: 2 pi sigma^2, for noise like the beam."""
        return 2 * math.pi * (self.beam / FWHM_PER_SIGMA) ** 2


@dataclass(frozen=True)
class TileSamples:
    """A tile at the samples of a mosaic, where its effective beam is above 0.3.

    Attributes
    ----------
    first : (int, int)
        Row and column, in samples of the mosaic, of the first one.
    value, noise : (m, n) float32
        Brightness divided by the effective beam, and its noise (Jy/beam); NaN where the tile does not see.
    """

    first: tuple[int, int]
    value: NDArray[np.float32]
    noise: NDArray[np.float32]

    @classmethod
    def empty(cls, grid: MosaicGrid, footprint: Footprint, sampling: Sampling) -> TileSamples:
        """Return the samples of a tile that has not contributed yet."""
        rows, columns = sampling.box(grid, footprint)
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        value, noise = (np.full(shape, np.nan, np.float32) for _ in range(2))
        return cls((rows.start, columns.start), value, noise)

    def put(self, part: Contribution, sampling: Sampling) -> None:
        """Keep the samples of what the tile contributes to some rows."""
        step = sampling.step
        top, left = -part.rows.start % step, -part.columns.start % step
        chosen = np.zeros(part.inside.shape, bool)
        chosen[top::step, left::step] = True
        chosen = chosen[part.inside] & (part.beam >= MIN_RESPONSE)
        kept = part.inside.copy()
        kept[part.inside] = chosen
        kept = kept[top::step, left::step]
        row = (part.rows.start + top) // step - self.first[0]
        column = (part.columns.start + left) // step - self.first[1]
        place = (slice(row, row + kept.shape[0]), slice(column, column + kept.shape[1]))
        weight = part.weight[chosen]
        self.value[place][kept] = part.signal[chosen] / weight
        self.noise[place][kept] = weight**-0.5

    def within(self, boxes: Sequence[tuple[slice, slice]]) -> TileSamples | None:
        """Return the smallest part, a copy, that holds all that lies in boxes of samples; None if nothing does."""
        shape = self.value.shape
        parts = []
        for box in boxes:
            start = [max(one.start - first, 0) for one, first in zip(box, self.first, strict=True)]
            stop = [min(one.stop - first, n) for one, first, n in zip(box, self.first, shape, strict=True)]
            if start[0] < stop[0] and start[1] < stop[1]:
                parts.append((start, stop))
        if not parts:
            return None
        low, high = np.min([start for start, _ in parts], axis=0), np.max([stop for _, stop in parts], axis=0)
        place = (slice(low[0], high[0]), slice(low[1], high[1]))
        first = (self.first[0] + int(low[0]), self.first[1] + int(low[1]))
        return TileSamples(first, self.value[place].copy(), self.noise[place].copy())

    def overlap(self, other: TileSamples) -> tuple[tuple[slice, slice], tuple[slice, slice], tuple[int, int]] | None:
        """Return the rows and columns of both tiles in which they overlap, and the first sample; None without any."""
        mine, theirs, first = [], [], []
        for axis in (0, 1):
            start = max(self.first[axis], other.first[axis])
            stop = min(one.first[axis] + one.value.shape[axis] for one in (self, other))
            if start >= stop:
                return None
            first.append(start)
            mine.append(slice(start - self.first[axis], stop - self.first[axis]))
            theirs.append(slice(start - other.first[axis], stop - other.first[axis]))
        return (mine[0], mine[1]), (theirs[0], theirs[1]), (first[0], first[1])
