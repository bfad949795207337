"""What a tile's image contains of point sources: primary beam, spectrum and smearing, averaged over the samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contimg.imaging.bright.sources import BrightSources
from contimg.imaging.tile_data import TileData
from contimg.sky.predict import attenuation


@dataclass(frozen=True)
class SourceResponse:
    """The response of one tile's image to point sources.

    Attributes
    ----------
    tile : TileData
    share : (ntime, nchan) float64
        Fraction of the imaging weight of each integration and channel.
    log_freq : (nchan,) float64
        ln(f / frequency of the image).
    """

    tile: TileData
    share: NDArray[np.float64]
    log_freq: NDArray[np.float64]

    @classmethod
    def of(cls, tile: TileData) -> SourceResponse:
        """Return the response of a tile."""
        return cls(tile, tile.sums / tile.sums.sum(), np.log(tile.samples.freq_hz / tile.freq_hz))

    def radec(self, sources: BrightSources) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the ICRS positions of sources (rad)."""
        return self.tile.gridder.grid.radec(sources.east, sources.north)

    def inside(self, sources: BrightSources) -> NDArray[np.bool_]:
        """Return which sources lie on the image."""
        return self.tile.gridder.grid.contains(sources.east, sources.north)

    def apparent_jy(self, sources: BrightSources) -> NDArray[np.float64]:
        """Return the apparent fluxes of sources in the image (Jy): flux density times effective beam."""
        beam, inside = self.moments(sources)[0], self.inside(sources)
        beam[inside] = self.tile.response.at(sources.east[inside], sources.north[inside])
        return sources.flux_jy * beam

    def apparent_in_group(self, sources: BrightSources, freq_hz: float, channels: slice) -> NDArray[np.float64]:
        """Return the apparent fluxes (Jy) in the image of a part of the band with an effective frequency."""
        share = self.share[:, channels]
        seen = attenuation(self.tile.coordinates, *self.radec(sources), self.tile.beam)[:, :, channels]
        beam = np.einsum("stc,tc->s", seen, share) / share.sum() * self._smearing(sources)
        apparent: NDArray[np.float64] = sources.flux_jy * (freq_hz / sources.freq_hz) ** sources.index * beam
        return apparent

    def moments(self, sources: BrightSources) -> NDArray[np.float64]:
        """Return the means (3, n) over the samples of each source's response times ln(f)^0, ln(f)^1 and ln(f)^2.

        The response is the primary beam times the spectrum, for 1 Jy at the image's frequency.
        """
        seen = attenuation(self.tile.coordinates, *self.radec(sources), self.tile.beam)
        seen *= np.exp(sources.index[:, None] * self.log_freq)[:, None, :]
        powers = self.log_freq ** np.arange(3)[:, None]
        means: NDArray[np.float64] = np.einsum("stc,tc,kc->ks", seen, self.share, powers, optimize=True)
        return means * self._smearing(sources)

    def _smearing(self, sources: BrightSources) -> NDArray[np.float64] | float:
        """Return the fraction of each source's amplitude that smearing leaves."""
        smearing = self.tile.smearing
        return 1.0 if smearing is None else smearing.at(sources.east, sources.north)
