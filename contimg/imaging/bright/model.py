"""Bright sources: modelled in the visibilities with the primary beam of each time and channel.

During a tile a source drifts through the primary beam, and the beam shrinks with frequency: away from the
centre its brightness changes by tens of per cent, so its sidelobes are not those of the PSF and no
CLEAN with one flux per pixel removes them. Here the few sources bright enough for that to matter are
predicted by direct Fourier transform (`contimg.imaging.transforms.direct`), and their fluxes, positions and, where they
are bright enough, spectral indices are refined until nothing of them is left in the residual image.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.imaging.bright.finder import BrightSourceFinder
from contimg.imaging.bright.fitter import SourceFitter
from contimg.imaging.bright.response import SourceResponse
from contimg.imaging.bright.sources import BrightSources, PositionCorrections
from contimg.imaging.tile_data import TileData
from contimg.imaging.transforms.direct import DirectTransform
from contimg.imaging.transforms.wgridder import COARSEST, EPSILON, SEARCH
from contimg.sky.predict import attenuation
from contimg.sky.restoring_beam import RestoringBeam
from contimg.sky.spherical import separation
from contimg.statistics import image_sigma

_LOG = logging.getLogger(__name__)

_MAX_ROUNDS = 40
_MAX_STEPS = 8
_MIN_STEPS = 3
_STALLED = 0.7
# Sources outside the image are subtracted if their apparent fluxes exceed this.
_OUTSIDE_SIGMA = 10.0
# Beyond the main beam (first null: 3.2 degrees) the dishes' responses differ in phase.
_MAIN_BEAM_RAD = math.radians(3.0)
# From this signal-to-noise ratio on, the band (rms of ln f: 0.038) gives a spectral index to 0.05.
_FIT_INDEX_SNR = 500.0
_SETTLED_SIGMA = 0.5
# Before self-calibration, which changes residuals by several times the noise, they need not settle as far.
_SETTLED_BEFORE = 2.0
_ROUND_GOAL = 0.1
# A round down to this many times `image.bright_sigma` is probably the last: its sources are refined to the end.
_LAST_ROUND = 2.0
# Where the catalogue's sources have less than this of their fluxes, the tile is at fault, and a model fitted to it too.
_LOST = 0.9
_CATALOGUED = 50
# Sources that fall below this fraction of the limit when the samples change are left to CLEAN.
_STILL_BRIGHT = 0.5


@dataclass(frozen=True)
class BrightSubtraction:
    """The bright sources, and the tile without them.

    Attributes
    ----------
    sources : BrightSources
    residual_vis : (nrow, width) complex64, Jy
    residual : (size, size) float32, Jy/beam
    floor_jy : float
        Error of the transforms (Jy/beam): no flux is known better than this.
    steps : int
        How often the model was predicted and compared.
    settled : bool
        False when the last round still changed something.
    """

    sources: BrightSources
    residual_vis: NDArray[np.complex64]
    residual: NDArray[np.float32]
    floor_jy: float
    steps: int
    settled: bool


@dataclass(frozen=True)
class _Model:
    """Sources, and the samples without them; `residual_vis` is None until it is computed for these sources."""

    sources: BrightSources
    residual_vis: NDArray[np.complex64] | None = None


@dataclass(frozen=True)
class _Start:
    """How a search starts.

    Attributes
    ----------
    exact : bool
        The known sources need no refining.
    settled : bool
        Their residuals are below the goal.
    roughly : bool
        Refine only as far as finding needs.
    again : bool
        The tile was searched before.
    rounds : int
        Largest number of rounds.
    goal_sigma : float
        Residual, over the noise, at which a source has settled.
    """

    exact: bool
    settled: bool
    roughly: bool = False
    again: bool = False
    rounds: int = _MAX_ROUNDS
    goal_sigma: float = _SETTLED_SIGMA


class BrightModel:
    """Finds, refines and predicts the bright sources of one tile."""

    def __init__(self, tile: TileData, psf: NDArray[np.float32], beam: RestoringBeam) -> None:
        self._tile = tile
        self.response = SourceResponse.of(tile)
        self._finder = BrightSourceFinder(tile, psf, beam)
        self._fitter = SourceFitter.of(psf, beam, tile.gridder.grid.cell_rad)
        self._direct = DirectTransform(
            tile.coordinates, tile.samples, tile.gridder.weight, self.response.log_freq, tile.gridder.threads,
            None if tile.smearing is None else tile.smearing.phases,
        )  # fmt: skip

    def survey(self, noise_jy: float) -> BrightSubtraction:
        """Find the bright sources, with approximate positions and fluxes.

        Parameters
        ----------
        noise_jy : float
            Noise of the image that they are to be found for (Jy/beam).
        """
        return self._search_dirty_image(noise_jy, roughly=True)

    def subtract(
        self, noise_jy: float, known: BrightSources | None = None, *, before_selfcal: bool = False
    ) -> BrightSubtraction:
        """Find, refine and subtract the bright sources.

        Parameters
        ----------
        noise_jy : float
            Noise that the image would have without artefacts (Jy/beam).
        known : BrightSources, optional
            Sources to start with, as found in a part of the samples.
        before_selfcal : bool
            The samples will change, and the sources be refined again (`subtract_again`).
        """
        goal_sigma = _SETTLED_BEFORE if before_selfcal else _SETTLED_SIGMA
        if known is None:
            return self._search_dirty_image(noise_jy, goal_sigma=goal_sigma)
        floor_jy = EPSILON * float(self.response.apparent_jy(known).max(initial=0))
        return self._refine_and_search(known, noise_jy, floor_jy, goal_sigma)

    def subtract_again(self, noise_jy: float, before: BrightSubtraction) -> BrightSubtraction:
        """Refine the sources, and find more, after the samples have changed a little."""
        # Artefacts that were taken for sources are none any more.
        apparent_jy = self.response.apparent_jy(before.sources)
        faint = apparent_jy < _STILL_BRIGHT * self._finder.least_jy(noise_jy)
        sources = before.sources.select(~(faint & self.response.inside(before.sources)))
        return self._refine_and_search(sources, noise_jy, before.floor_jy, again=True)

    def main_beam_and_others(
        self, subtraction: BrightSubtraction
    ) -> tuple[NDArray[np.complex64], NDArray[np.complex64] | None]:
        """Return the model visibilities of the sources in the main beam, and of the others, if any."""
        model_vis = self._tile.samples.vis - subtraction.residual_vis
        ra, dec = self.response.radec(subtraction.sources)
        axis = self._tile.gridder.grid.radec(*self._tile.response.peak())
        beyond = separation(ra, dec, *axis) > _MAIN_BEAM_RAD
        if not beyond.any():
            return model_vis, None
        others_vis = self._predict(subtraction.sources.select(beyond))
        return model_vis - others_vis, others_vis

    def catalogue_visibilities(self, sources: BrightSources, noise_jy: float) -> NDArray[np.complex64] | None:
        """Return the visibilities (nrow, width) of the catalogue's brightest sources where fitted ones lack their flux.

        None without a catalogue, or where the fitted model is as good.
        """
        known = self._finder.catalogued()
        apparent_jy = self.response.apparent_jy(known)
        chosen = np.argsort(-apparent_jy, kind="stable")[:_CATALOGUED]
        chosen = chosen[apparent_jy[chosen] > self._tile.options.bright_sigma * noise_jy]
        if not len(chosen):
            return None
        flux_jy = dict(zip(sources.name, sources.flux_jy.tolist(), strict=True))
        ratio = [flux_jy.get(known.name[i], 0.0) / known.flux_jy[i] for i in chosen]
        mask = np.isin(np.arange(len(known)), chosen)
        return self._predict(known.select(mask)) if np.median(ratio) < _LOST else None

    def facts(self, sources: BrightSources, noise_jy: float) -> list[dict[str, Any]]:
        """Return sources as records for the twin, brightest first."""
        ra, dec = (np.degrees(angle) for angle in self.response.radec(sources))
        apparent, inside = self.response.apparent_jy(sources), self.response.inside(sources)
        return [
            {
                "name": sources.name[i],
                "inside": bool(inside[i]),
                "ra_deg": round(float(ra[i]), 7),
                "dec_deg": round(float(dec[i]), 7),
                "flux_jy": round(float(sources.flux_jy[i]), 7),
                "apparent_jy": round(float(apparent[i]), 7),
                "snr": round(float(apparent[i] / noise_jy), 1),
                "spectral_index": round(float(sources.index[i]), 4),
                "spectral_index_from": sources.index_from[i],
            }
            for i in np.argsort(-apparent, kind="stable")
        ]

    def _search_dirty_image(
        self, noise_jy: float, *, roughly: bool = False, goal_sigma: float = _SETTLED_SIGMA
    ) -> BrightSubtraction:
        """Search the tile without known sources; catalogue sources outside the image come first."""
        dirty = self._tile.gridder.dirty(self._tile.samples.vis, COARSEST if roughly else EPSILON)
        floor_jy = EPSILON * float(np.abs(dirty).max())
        noise_jy = max(noise_jy, floor_jy)
        known = self._outside(noise_jy)
        nothing = len(known) == 0
        start = _Start(nothing, nothing, roughly, goal_sigma=goal_sigma)
        found = self._search(_Model(known), dirty, noise_jy, start)
        return replace(found, floor_jy=floor_jy)

    def _refine_and_search(
        self,
        known: BrightSources,
        noise_jy: float,
        floor_jy: float,
        goal_sigma: float = _SETTLED_SIGMA,
        *,
        again: bool = False,
    ) -> BrightSubtraction:
        """Refine known sources, then search for more."""
        goal_jy = goal_sigma * noise_jy
        model, left_jy, steps = self._refine(_Model(known), goal_jy, noise_jy)
        model = self._with_residual(model)
        start = _Start(
            exact=True, settled=left_jy < goal_jy, again=again, rounds=_MAX_ROUNDS - 1, goal_sigma=goal_sigma
        )
        found = self._search(model, self._dirty(model), noise_jy, start)
        return replace(found, floor_jy=floor_jy, steps=steps + found.steps)

    def _search(self, model: _Model, image: NDArray[np.float32], noise_jy: float, start: _Start) -> BrightSubtraction:
        """Alternate between finding and refining, until nothing stands out any more.

        Parameters
        ----------
        model : _Model
        image : (size, size) float32
            Its residual image (Jy/beam).
        noise_jy : float
        start : _Start
        """
        exact, settled, steps = start.exact, start.settled, 0
        for _ in range(start.rounds):
            sources, level_jy = self._finder.find(
                image, model.sources, noise_jy, roughly=start.roughly, changing=not start.again
            )
            if level_jy is None and (exact or start.roughly):
                break
            if level_jy is not None:
                model = _Model(sources)
            goal_jy = start.goal_sigma * noise_jy
            if level_jy is not None and level_jy > _LAST_ROUND * self._tile.options.bright_sigma * noise_jy:
                # While more sources are to come, it is enough that the sidelobes of the known sources'
                # residuals are not taken for sources.
                goal_jy = max(goal_jy, _SETTLED_SIGMA * image_sigma(image), _ROUND_GOAL * level_jy)
            model, left_jy, taken = self._refine(model, goal_jy, noise_jy)
            steps += taken
            settled = left_jy < goal_jy
            exact = level_jy is None or left_jy < start.goal_sigma * noise_jy
            model = self._with_residual(model)
            image = self._dirty(model)
        else:
            settled = False
        left_mjy = 1e3 * float(np.abs(image).max())
        _LOG.info("%d bright sources in the model, residual to %.4g mJy/beam", len(model.sources), left_mjy)
        return BrightSubtraction(model.sources, self._residual(model), image, 0.0, steps, settled)

    def _refine(self, model: _Model, goal_jy: float, noise_jy: float) -> tuple[_Model, float, int]:
        """Refine the sources until the residual of each is below a goal, or stops falling.

        Returns
        -------
        model : _Model
        left_jy : float
            The strongest residual of any source (Jy/beam).
        steps : int
        """
        before_jy, corrections = math.inf, PositionCorrections.none(len(model.sources))
        for step in range(1, _MAX_STEPS + 1):
            model = self._with_residual(model)
            model, corrections, left_jy = self._step(model, corrections, goal_jy, noise_jy)
            if left_jy < goal_jy or (step > _MIN_STEPS and left_jy > _STALLED * before_jy):
                break
            before_jy = left_jy
        return model, left_jy, step

    def _step(
        self, model: _Model, corrections: PositionCorrections, goal_jy: float, noise_jy: float
    ) -> tuple[_Model, PositionCorrections, float]:
        """Correct the sources by their residuals, unless all are below a goal (Jy/beam).

        Returns
        -------
        model : _Model
        corrections : PositionCorrections
        left_jy : float
            The strongest residual of any of them before (Jy/beam).
        """
        sources, grid = model.sources, self._tile.gridder.grid
        if not len(sources):
            return model, corrections, 0.0
        pixels = np.stack(grid.pixels(sources.east, sources.north))
        dirty = self._direct.dirty_at(self._residual(model), sources.east, sources.north, exact=False)
        moments = self.response.moments(sources)
        fit_index = sources.flux_jy * moments[0] > _FIT_INDEX_SNR * noise_jy
        step = self._fitter.step(dirty, pixels, sources, moments, fit_index)
        corrections = corrections.following(step.shift, step.dipole_jy)
        left_jy = float(max(np.abs(step.residual_jy).max(), step.dipole_jy[~corrections.held].max(initial=0)))
        if left_jy < goal_jy:
            return model, corrections, left_jy
        east, north = grid.cosines(*(pixels + corrections.shift.T))
        origins = zip(fit_index, sources.index_from, strict=True)
        sources = replace(
            sources,
            flux_jy=sources.flux_jy + step.flux_jy,
            index=sources.index + np.clip(step.index, -2, 2),
            index_from=tuple("fitted" if fitted else origin for fitted, origin in origins),
            east=east,
            north=north,
        )
        positive = sources.flux_jy > 0
        return _Model(sources.select(positive)), corrections.select(positive), left_jy

    def _outside(self, noise_jy: float) -> BrightSources:
        """Return the catalogue's sources where none are searched for and whose sidelobes matter in the image.

        On the image's border and on the outer flank of the beam they would be left to CLEAN, whose PSF is far from
        exact there.
        """
        sources = self._finder.catalogued()
        apparent_jy = self.response.apparent_jy(sources)
        return sources.select(~self._finder.searched(sources) & (apparent_jy > _OUTSIDE_SIGMA * noise_jy))

    def _with_residual(self, model: _Model) -> _Model:
        return replace(model, residual_vis=self._residual(model))

    def _residual(self, model: _Model) -> NDArray[np.complex64]:
        """Return the samples without the sources."""
        if model.residual_vis is not None:
            return model.residual_vis
        vis = self._tile.samples.vis
        return vis - self._predict(model.sources) if len(model.sources) else vis

    def _dirty(self, model: _Model) -> NDArray[np.float32]:
        """Return the residual image: accurate to a fraction of the residual, not of the sources."""
        return self._tile.gridder.dirty(self._residual(model), SEARCH)

    def _predict(self, sources: BrightSources) -> NDArray[np.complex64]:
        """Return the visibilities (nrow, width) of sources through the primary beam."""
        tile = self._tile
        flux = sources.flux_jy[:, None] * np.exp(sources.index[:, None] * self.response.log_freq)
        ra, dec = self.response.radec(sources)
        apparent = attenuation(tile.coordinates, ra, dec, tile.beam) * flux[:, None]
        return self._direct.predict(apparent.astype(np.float32), sources.east, sources.north)
