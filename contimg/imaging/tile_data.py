"""The visibility samples of a tile with everything that is needed to image them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from contimg.config import BeamOptions, ImageOptions
from contimg.imaging.effective_beam import EffectiveBeam, effective_beam
from contimg.imaging.transforms.wgridder import Gridder
from contimg.imaging.visibilities.samples import Samples
from contimg.imaging.visibilities.smearing import SmearingMap
from contimg.measurement_set import Coordinates
from contimg.sky.catalogue import Catalogue
from contimg.sky.constants import C_M_S
from contimg.sky.restoring_beam import RestoringBeam

# Integrations that suffice to find bright sources and their approximate fluxes. With fewer than three times as
# many in the tile, or with fewer samples than this, a search in a part of them saves no time.
_ENOUGH_TIMES = 4
_WORTH_SAMPLES = 4_000_000
# Largest pixels, in units of the Nyquist interval of the longest baseline, that represent all visibilities.
_SAMPLED = 0.85
# CLEAN places components on pixels: the restoring beam must be this many pixels wide.
_PIXELS_A_BEAM = 5.0


@dataclass(frozen=True)
class TileData:
    """A tile's samples and how they are imaged.

    Attributes
    ----------
    coordinates : Coordinates
    samples : Samples
    sums : (ntime, nchan) float64
        Sums of the imaging weights per integration and channel.
    gridder : Gridder
    response : EffectiveBeam
    options : ImageOptions
    beam : BeamOptions
    catalogue : Catalogue or None
        Provides spectral indices, sources outside the image and, if asked for, the CLEAN mask.
    freq_hz : float
        Effective frequency of the image.
    smearing : SmearingMap or None
        Bandwidth and time smearing over the image, which `response` contains too; None to neglect them.
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
    smearing: SmearingMap | None = None

    def few_integrations(self) -> TileData | None:
        """Return the tile with four of its integrations, evenly spaced; None where that would save no time.

        Positions, fluxes and spectral indices are the same in any part of the samples, so the bright
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
        grid = self.gridder.grid.halved(_SAMPLED * self._nyquist_rad())
        gridder = Gridder(samples, self.gridder.weight[chosen], grid, self.gridder.threads)
        response = effective_beam(self.coordinates.pointing_rad, sums, self.coordinates.freq_hz, grid, self.beam)
        return replace(self, samples=samples, sums=sums, gridder=gridder, response=response, smearing=None)

    def on_coarser_pixels(self, beam: RestoringBeam) -> TileData:
        """Return the tile on pixels twice as large if they sample its beam: CLEAN takes a quarter of the time."""
        fine = self.gridder.grid
        grid = fine.halved(min(_SAMPLED * self._nyquist_rad(), beam.bmin_rad / _PIXELS_A_BEAM))
        if grid is fine:
            return self
        gridder = Gridder(self.samples, self.gridder.weight, grid, self.gridder.threads)
        return replace(self, gridder=gridder, response=replace(self.response, grid=grid))

    def _nyquist_rad(self) -> float:
        """Return the largest pixel (rad) that samples the fringes of every baseline along both axes."""
        longest = float(np.abs(self.samples.uvw_m[:, :2]).max())
        return C_M_S / (2 * longest * float(self.samples.freq_hz[-1]))
