"""Finding a tile's bright sources: peaks of the residual image, and catalogue sources outside the image."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from contimg.imaging.bright.sources import BrightSources
from contimg.imaging.clean.psf import subtract_psf, window, without_border
from contimg.imaging.tile_data import TileData
from contimg.sky.catalogue import DEFAULT_SPECTRAL_INDEX
from contimg.sky.predict import attenuation
from contimg.sky.restoring_beam import RestoringBeam
from contimg.sky.spherical import separation
from contimg.statistics import image_sigma

_MAX_SOURCES = 300
# In one round only peaks above this fraction of the highest count as sources: lower ones may be
# sidelobes of sources that are not subtracted yet. In any round they exceed the scatter by this factor.
_ROUND_DEPTH = 0.25
_MIN_OVER_SCATTER = 10.0
# While the scatter exceeds the noise by this factor, it is made of the sidelobes of fainter sources, and CLEAN, whose
# PSF is exact at the centre alone, leaves many of them. Then peaks above this share of `image.bright_sigma` and this
# many times the scatter count too where the catalogue has a source: others may be what a blend or an error leaves.
_SIDELOBES = 2.0
_KNOWN_OVER_SCATTER = 5.0
_SIDELOBES_SHARE = 0.2
# On the flank of the beam a source's response changes while it drifts by, and CLEAN, which subtracts its mean, leaves
# streaks through the source along the array's arms. From this brightness times the rms change (in units of the noise),
# and at least that share of `image.bright_sigma`, it counts as bright.
_CHANGE_SIGMA = 5.0
# The primary beam's outer flank and sidelobes are not known well enough to find sources in them.
_MIN_BEAM = 0.05
# CLEAN has no components outside the image: catalogue sources there are used out to about the
# second null (2.23 wavelengths / dish: 5.9 degrees). In the first sidelobe, at 4.3 degrees, a calibrator
# of 15 Jy still has 0.25 Jy.
_OUTSIDE_RADIUS_RAD = math.radians(5.7)
_MATCH_BEAMS = 0.5


class BrightSourceFinder:
    """Finds the bright sources of one tile."""

    def __init__(self, tile: TileData, psf: NDArray[np.float32], beam: RestoringBeam) -> None:
        self._tile, self._psf, self._beam = tile, psf, beam
        self._searched = without_border(tile.response.image() >= _MIN_BEAM)

    def find(
        self,
        image: NDArray[np.float32],
        sources: BrightSources,
        noise_jy: float,
        *,
        roughly: bool = False,
        changing: bool = True,
    ) -> tuple[BrightSources, float | None]:
        """Find the sources that stand out of a residual image.

        Parameters
        ----------
        image : (size, size) float32
            Residual image (Jy/beam) without `sources`.
        sources : BrightSources
            Those that are known; no source is looked for close to one.
        noise_jy : float
            Noise of the image without artefacts (Jy/beam).
        roughly : bool
            Of a part of the samples, whose sidelobes are stronger: sources above ``image.bright_sigma`` alone.
        changing : bool
            Also fainter sources whose response changes much. Not where those were found before: they cost a round.

        Returns
        -------
        sources : BrightSources
            The known ones and those found.
        level : float or None
            The brightness (Jy/beam) down to which they were looked for; None if none was found.
        """
        grid, beam = self._tile.gridder.grid, self._beam
        left = np.where(self._searched, image, np.float32(-np.inf))  # remains so, whatever is subtracted
        near = math.ceil(1.5 * beam.bmaj_rad / grid.cell_rad)
        for x, y in zip(*grid.pixels(sources.east, sources.north), strict=True):
            window(left, round(x), round(y), near)[:] = -np.inf
        scatter_jy = image_sigma(image)
        least_bright_jy, depth_jy = self._tile.options.bright_sigma * noise_jy, _ROUND_DEPTH * float(left.max())
        level = bright_jy = max(least_bright_jy, depth_jy, _MIN_OVER_SCATTER * scatter_jy)
        crowded = scatter_jy > _SIDELOBES * noise_jy and not roughly
        if crowded:
            level = max(self.least_jy(noise_jy), depth_jy, _KNOWN_OVER_SCATTER * scatter_jy)
        elif (
            changing and not roughly and depth_jy <= least_bright_jy
        ):  # with the last of the bright ones: a round costs most
            level = max(self.least_jy(noise_jy), _MIN_OVER_SCATTER * scatter_jy)
        found: list[BrightSources] = []
        while len(sources) + len(found) < _MAX_SOURCES:
            row, column = (int(index) for index in np.unravel_index(int(left.argmax()), left.shape))
            peak = float(left[row, column])
            if peak < level:
                break
            source = self._source_at(column, row, peak)
            if (
                peak >= bright_jy
                or (crowded and source.name[0] is not None)
                or (not crowded and peak * self._change(source) > _CHANGE_SIGMA * noise_jy)
            ):
                found.append(source)
            if not crowded or (found and found[-1] is source):
                subtract_psf(left, self._psf, column, row, peak)
            window(left, column, row, near)[:] = -np.inf
        return sources.extended(found), level if found else None

    def _change(self, source: BrightSources) -> float:
        """Return the rms change of the response to one source during the tile, over its mean."""
        ra, dec = self._tile.gridder.grid.radec(source.east, source.north)
        over_time = (attenuation(self._tile.coordinates, ra, dec, self._tile.beam)[0] * self._tile.sums).sum(axis=1)
        weight = self._tile.sums.sum(axis=1)
        used = weight > 0
        response = over_time[used] / weight[used]
        mean = float(np.average(response, weights=weight[used]))
        return float(np.sqrt(np.average((response - mean) ** 2, weights=weight[used]))) / mean if mean > 0 else 0.0

    def least_jy(self, noise_jy: float) -> float:
        """Return the brightness (Jy/beam) below which nothing counts as bright, whatever the sidelobes."""
        return _SIDELOBES_SHARE * self._tile.options.bright_sigma * noise_jy

    def searched(self, sources: BrightSources) -> NDArray[np.bool_]:
        """Return whether sources (n,) lie where `find` looks for them."""
        grid = self._tile.gridder.grid
        inside = grid.contains(sources.east, sources.north)
        x, y = np.rint(np.stack(grid.pixels(sources.east[inside], sources.north[inside]))).astype(int)
        inside[inside] = self._searched[y, x]
        return inside

    def catalogued(self) -> BrightSources:
        """Return the catalogue's sources in and around the image; none without a catalogue."""
        known, grid, freq_hz = self._tile.catalogue, self._tile.gridder.grid, self._tile.freq_hz
        if known is None:
            return BrightSources(freq_hz)
        ra, dec = (float(angle) for angle in grid.radec(*self._tile.response.peak()))
        known = known.within(ra, dec, _OUTSIDE_RADIUS_RAD)
        east, north = grid.radec_cosines(np.radians(known.ra_deg), np.radians(known.dec_deg))
        origin = "assumed" if "spectral_index" in known.assumed else "catalogue"
        return BrightSources(
            freq_hz=freq_hz,
            east=east,
            north=north,
            flux_jy=known.flux_at(freq_hz)[:, 0],
            index=known.spectral_index.copy(),
            index_from=(origin,) * len(known),
            name=tuple(str(name) for name in known.name),
        )

    def _source_at(self, x: int, y: int, peak_jy: float) -> BrightSources:
        """Return the source of a peak (Jy/beam) at a pixel, with the spectral index of the catalogue's source there."""
        east, north = (float(value) for value in self._tile.gridder.grid.cosines(x, y))
        response = float(self._tile.response.at(east, north))
        index, origin, name = self._from_catalogue(east, north)
        return BrightSources(
            freq_hz=self._tile.freq_hz,
            east=np.array([east]),
            north=np.array([north]),
            flux_jy=np.array([peak_jy / response]),
            index=np.array([index]),
            index_from=(origin,),
            name=(name,),
        )

    def _from_catalogue(self, east: float, north: float) -> tuple[float, str, str | None]:
        """Return spectral index, where it is from, and name of the catalogue's source at direction cosines."""
        known = self._tile.catalogue
        if known is not None and len(known):
            ra, dec = self._tile.gridder.grid.radec(east, north)
            distance = separation(np.radians(known.ra_deg), np.radians(known.dec_deg), ra, dec)
            best = int(distance.argmin())
            if distance[best] < _MATCH_BEAMS * self._beam.bmaj_rad:
                origin = "assumed" if "spectral_index" in known.assumed else "catalogue"
                return float(known.spectral_index[best]), origin, str(known.name[best])
        return DEFAULT_SPECTRAL_INDEX, "assumed", None
