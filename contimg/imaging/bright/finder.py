"""Where a tile's bright sources are: in its residual image, and beside the image in the catalogue."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from contimg.imaging.bright.sources import BrightSources
from contimg.imaging.clean.psf import inner, square, subtract_psf
from contimg.imaging.imaging_data import Tile
from contimg.imaging.restoring_beam import RestoringBeam
from contimg.sky.catalogue import DEFAULT_SPECTRAL_INDEX, separation
from contimg.statistics import image_sigma

_MAX_SOURCES = 300
# In one round only peaks above this fraction of the highest count as sources: what is lower may be a
# sidelobe of what has not been subtracted yet. In any round they stand this far above the scatter.
_ROUND_DEPTH = 0.25
_MIN_OVER_SCATTER = 10.0
# The beam's far flanks and sidelobes are not known well enough to find sources in them.
_MIN_BEAM = 0.05
# No CLEAN reaches what lies beside the image: the catalogue's sources there are looked for as far out as the
# second null (2.23 wavelengths / dish: 5.9 degrees). In the first sidelobe, at 4.3 degrees, a calibrator
# of 15 Jy still has 0.25 Jy.
_OUTSIDE_REACH_RAD = math.radians(5.7)
_MATCH_BEAMS = 0.5


class Finder:
    """Finds the bright sources of one tile."""

    def __init__(self, tile: Tile, psf: NDArray[np.float32], beam: RestoringBeam) -> None:
        self._tile, self._psf, self._beam = tile, psf, beam
        self._reachable = inner(tile.response.image() >= _MIN_BEAM)

    def find(self, image: NDArray[np.float32], sources: BrightSources, noise_jy: float) -> float | None:
        """Add the sources that stand out of a residual image (Jy/beam).

        Returns
        -------
        float or None
            The level (Jy/beam) above which they stand out; None if there were none.
        """
        grid, beam = self._tile.gridder.grid, self._beam
        left = np.where(self._reachable, image, np.float32(-np.inf))  # stays so whatever is subtracted
        near = math.ceil(1.5 * beam.bmaj_rad / grid.cell_rad)
        for x, y in zip(*grid.pixels(sources.east, sources.north), strict=True):
            square(left, round(x), round(y), near)[:] = -np.inf
        level = max(self._tile.options.bright_sigma * noise_jy, _MIN_OVER_SCATTER * image_sigma(image))
        level = max(level, _ROUND_DEPTH * float(left.max()))
        before = len(sources)
        while len(sources) < _MAX_SOURCES:
            y, x = np.unravel_index(int(left.argmax()), left.shape)
            peak = float(left[y, x])
            if peak < level:
                break
            east, north = (float(value) for value in grid.cosines(x, y))
            response = float(self._tile.response.at(east, north))
            sources.add(east, north, peak / response, *self._from_catalogue(east, north))
            subtract_psf(left, self._psf, int(x), int(y), peak)
            square(left, int(x), int(y), near)[:] = -np.inf
        return level if len(sources) > before else None

    def around(self, sources: BrightSources) -> None:
        """Make the list that of the catalogue's sources in and about the image."""
        known, grid = self._tile.catalogue, self._tile.gridder.grid
        if known is None:
            return
        known = known.within(*grid.radec(*self._tile.response.peak()), _OUTSIDE_REACH_RAD)
        places = grid.radec_cosines(np.radians(known.ra_deg), np.radians(known.dec_deg))
        sources.east, sources.north = places
        sources.index, sources.flux_jy = known.spectral_index.copy(), known.flux_at(sources.freq_hz)[:, 0]
        origin = "assumed" if "spectral_index" in known.assumed else "catalogue"
        sources.index_from, sources.name = [origin] * len(known), [str(name) for name in known.name]

    def _from_catalogue(self, east: float, north: float) -> tuple[float, str, str | None]:
        """Return spectral index, where it is from, and name of the catalogue's source at a place."""
        known = self._tile.catalogue
        if known is not None and len(known):
            ra, dec = self._tile.gridder.grid.radec(east, north)
            distance = separation(np.radians(known.ra_deg), np.radians(known.dec_deg), ra, dec)
            best = int(distance.argmin())
            if distance[best] < _MATCH_BEAMS * self._beam.bmaj_rad:
                origin = "assumed" if "spectral_index" in known.assumed else "catalogue"
                return float(known.spectral_index[best]), origin, str(known.name[best])
        return DEFAULT_SPECTRAL_INDEX, "assumed", None
