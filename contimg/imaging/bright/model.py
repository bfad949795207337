"""Bright sources: modelled in the visibilities with the beam of each time and channel.

During a tile a source drifts through the beam, and the beam shrinks with frequency: away from the
centre its brightness changes by tens of per cent, so its sidelobes are not those of the PSF and no
CLEAN with one flux a pixel removes them. Here the few sources bright enough for that to matter are
predicted exactly, with `contimg.imaging.transforms.direct`, and their fluxes, positions and, where they are bright
enough, spectral indices are refined until nothing of them is left in the residual image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.imaging.bright.finder import Finder
from contimg.imaging.bright.sources import BrightSources, Corrections
from contimg.imaging.clean.psf import curvature, psf_matrix
from contimg.imaging.imaging_data import Tile
from contimg.imaging.restoring_beam import FWHM, RestoringBeam
from contimg.imaging.transforms.direct import Towards
from contimg.imaging.transforms.wgridder import COARSEST, EPSILON
from contimg.sky.catalogue import separation
from contimg.sky.predict import attenuation
from contimg.statistics import image_sigma

_MAX_ROUNDS = 10
_MAX_STEPS = 8
_MIN_STEPS = 3
_STALLED = 0.7
# Sources beside the image are subtracted from this apparent brightness on.
_OUTSIDE_SIGMA = 10.0
# Beyond the main beam (first null: 3.2 degrees) the dishes' responses differ in phase.
_MAIN_BEAM_RAD = math.radians(3.0)
# From this signal-to-noise ratio on, the band (rms of ln f: 0.038) gives a spectral index to 0.05.
_FIT_INDEX_SNR = 500.0
_SETTLED_SIGMA = 0.5
_ROUND_GOAL = 0.1
_MAX_SHIFT_BEAMS = 0.25
# Sources that fall below this fraction of the limit when the samples change are left to CLEAN.
_STILL_BRIGHT = 0.5


@dataclass
class Subtracted:
    """What is left without the bright sources.

    Attributes
    ----------
    residual_vis : (nrow, width) complex64, Jy
    residual : (size, size) float32, Jy/beam
    steps : int
        How often the model was predicted and compared.
    settled : bool
        False when the last round still changed something.
    """

    residual_vis: NDArray[np.complex64]
    residual: NDArray[np.float32]
    steps: int
    settled: bool


class BrightModel:
    """Finds, refines and predicts the bright sources of one tile."""

    def __init__(self, tile: Tile, psf: NDArray[np.float32], beam: RestoringBeam) -> None:
        self._tile, self._psf, self._beam = tile, psf, beam
        self._share = tile.sums / tile.sums.sum()  # of each time and channel in the image
        freq_hz = tile.samples.freq_hz
        self.sources = BrightSources(tile.freq_hz)
        self._log_freq = np.log(freq_hz / self.sources.freq_hz)
        self._curvature = curvature(psf)
        gridder = tile.gridder
        self._towards = Towards(
            tile.coordinates, tile.samples, gridder.weight, self._log_freq, gridder.threads,
            None if tile.coherence is None else tile.coherence.fringes,
        )  # fmt: skip
        # The transforms have an error of their own: nothing is known better than this.
        self.floor_jy = 0.0
        self._left: NDArray[np.complex64] | None = None  # the residual, while it is that of these sources
        self._finder = Finder(tile, psf, beam)

    def survey(self, noise_jy: float) -> int:
        """Find the bright sources, and nearly their places and fluxes; return the steps taken.

        Parameters
        ----------
        noise_jy : float
            Noise of the image that they are to be found for (Jy/beam).
        """
        return self._begin(noise_jy, roughly=True).steps

    def subtract(self, noise_jy: float, known: BrightSources | None = None) -> Subtracted:
        """Find and refine the bright sources.

        Parameters
        ----------
        noise_jy : float
            Noise that the image would have without artefacts (Jy/beam).
        known : BrightSources, optional
            Sources to start with, as found in a part of the samples.
        """
        if known is not None:
            self.sources = known
            self.floor_jy = EPSILON * float(self.apparent_jy().max(initial=0))
            return self._search(None, noise_jy)
        return self._begin(noise_jy)

    def again(self, noise_jy: float) -> Subtracted:
        """Refine the sources, and find more, after the samples have changed a little."""
        # What bright sources' artefacts were taken for is no source any more.
        faint = self.apparent_jy() < _STILL_BRIGHT * self._tile.options.bright_sigma * noise_jy
        self.sources.keep(~(faint & self.inside()))
        self._left = None
        return self._search(None, noise_jy)

    def _begin(self, noise_jy: float, *, roughly: bool = False) -> Subtracted:
        """Search the tile as it is, the catalogue's sources beside the image first."""
        dirty = self._tile.gridder.dirty(self._tile.samples.vis)
        self.floor_jy = EPSILON * float(np.abs(dirty).max())
        noise_jy = max(noise_jy, self.floor_jy)
        return self._search(dirty, noise_jy, exact=not self._add_outside(noise_jy), roughly=roughly)

    def _search(
        self, image: NDArray[np.float32] | None, noise_jy: float, *, exact: bool = False, roughly: bool = False
    ) -> Subtracted:
        """Alternate between finding and refining.

        Parameters
        ----------
        image : (size, size) float32, optional
            The residual (Jy/beam); without it the known sources are refined first.
        noise_jy : float
        exact : bool
            The known sources need no refining.
        roughly : bool
            Refine only as far as finding needs.
        """
        settled, steps = exact, 0
        for _ in range(_MAX_ROUNDS):
            level_jy = None if image is None else self._find(image, noise_jy)
            if image is not None and level_jy is None and (exact or roughly):
                return Subtracted(self._residual(), image, steps, settled)
            goal_jy = _SETTLED_SIGMA * noise_jy
            if level_jy is not None:
                # While there are more sources to come, it is enough that the sidelobes of what is left of
                # the known ones are not taken for sources.
                goal_jy = max(goal_jy, _SETTLED_SIGMA * image_sigma(image), _ROUND_GOAL * level_jy)
            left_jy, taken = self._settle(goal_jy, noise_jy)
            steps += taken
            settled = left_jy < goal_jy
            exact = level_jy is None or left_jy < _SETTLED_SIGMA * noise_jy
            image = self._dirty()
        return Subtracted(self._residual(), image, steps, settled=False)

    def _settle(self, goal_jy: float, noise_jy: float) -> tuple[float, int]:
        """Refine the sources until less than a goal is left of each, or it does not get less.

        Returns
        -------
        left_jy : float
            The strongest of what is left of any source (Jy/beam).
        steps : int
        """
        before_jy, corrections = math.inf, Corrections(len(self.sources))
        for step in range(1, _MAX_STEPS + 1):
            left_jy = self._refine(self._residual(), noise_jy, goal_jy, corrections)
            if left_jy < goal_jy or (step > _MIN_STEPS and left_jy > _STALLED * before_jy):
                break
            before_jy = left_jy
        return left_jy, step

    def _residual(self) -> NDArray[np.complex64]:
        """Return the samples without the sources."""
        if self._left is None:
            self._left = self._tile.samples.vis - self._predict() if len(self.sources) else self._tile.samples.vis
        return self._left

    def _dirty(self) -> NDArray[np.float32]:
        """Return the residual's image: accurate to a part of what is left, not of the sources."""
        return self._tile.gridder.dirty(self._residual(), COARSEST)

    def radec(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the sources' ICRS positions (rad)."""
        return self._tile.gridder.grid.radec(self.sources.east, self.sources.north)

    def inside(self) -> NDArray[np.bool_]:
        """Return which sources lie on the image."""
        grid = self._tile.gridder.grid
        places = np.rint(grid.pixels(self.sources.east, self.sources.north))
        return ((places >= 0) & (places < grid.size_px)).all(0)

    def apparent_jy(self) -> NDArray[np.float64]:
        """Return what the image holds of each source: its flux times the effective beam."""
        beam, inside = self._moments()[0], self.inside()
        beam[inside] = self._tile.response.at(self.sources.east[inside], self.sources.north[inside])
        return self.sources.flux_jy * beam

    def apparent_at(self, freq_hz: float, channels: slice) -> NDArray[np.float64]:
        """Return what an image of a part of the band, of an effective frequency, holds of each source."""
        share = self._share[:, channels]
        seen = attenuation(self._tile.coordinates, *self.radec(), self._tile.beam)[:, :, channels]
        beam = np.einsum("stc,tc->s", seen, share) / share.sum() * self._coherence()
        return self.sources.flux_jy * (freq_hz / self.sources.freq_hz) ** self.sources.index * beam

    def _moments(self) -> NDArray[np.float64]:
        """Return the means (3, n) of each source's response, per Jy, times ln(f)^0, ^1 and ^2."""
        seen = attenuation(self._tile.coordinates, *self.radec(), self._tile.beam)
        seen *= np.exp(self.sources.index[:, None] * self._log_freq)[:, None, :]
        powers = self._log_freq ** np.arange(3)[:, None]
        return np.einsum("stc,tc,kc->ks", seen, self._share, powers, optimize=True) * self._coherence()

    def _coherence(self) -> NDArray[np.float64] | float:
        """Return what channels and integrations leave of each source in the image."""
        coherence = self._tile.coherence
        return 1.0 if coherence is None else coherence.at(self.sources.east, self.sources.north)

    def facts(self, noise_jy: float) -> list[dict[str, Any]]:
        """Return the sources as records for the twin, brightest first."""
        ra, dec = (np.degrees(angle) for angle in self.radec())
        apparent, inside, sources = self.apparent_jy(), self.inside(), self.sources
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

    def parts(self, residual_vis: NDArray[np.complex64]) -> tuple[NDArray[np.complex64], NDArray[np.complex64] | None]:
        """Return the model behind a residual: the sources in the main beam, and the others, if any."""
        model_vis, ra_dec = self._tile.samples.vis - residual_vis, self.radec()
        axis = self._tile.gridder.grid.radec(*self._tile.response.peak())
        beyond = separation(*ra_dec, *axis) > _MAIN_BEAM_RAD
        if not beyond.any():
            return model_vis, None
        others_vis = self._predict(beyond)
        return model_vis - others_vis, others_vis

    def _predict(self, which: slice | NDArray[np.bool_] = slice(None)) -> NDArray[np.complex64]:
        sources, tile = self.sources, self._tile
        flux = (sources.flux_jy[:, None] * np.exp(sources.index[:, None] * self._log_freq))[which]
        ra, dec = (angle[which] for angle in self.radec())
        apparent = attenuation(tile.coordinates, ra, dec, tile.beam) * flux[:, None]
        return self._towards.predict(apparent.astype(np.float32), sources.east[which], sources.north[which])

    def _find(self, image: NDArray[np.float32], noise_jy: float) -> float | None:
        """Add the sources that stand out of a residual image; return the level, or None if there were none."""
        level_jy = self._finder.find(image, self.sources, noise_jy)
        if level_jy is not None:
            self._left = None
        return level_jy

    def _add_outside(self, noise_jy: float) -> bool:
        """Add the catalogue's sources beside the image whose sidelobes reach into it; say whether there were any."""
        self._finder.around(self.sources)
        self.sources.keep(~self.inside() & (self.apparent_jy() > _OUTSIDE_SIGMA * noise_jy))
        self._left = None
        return len(self.sources) > 0

    def _refine(
        self, residual_vis: NDArray[np.complex64], noise_jy: float, goal_jy: float, corrections: Corrections
    ) -> float:
        """Correct the sources by what the residual holds towards them, unless that is below a goal.

        Returns
        -------
        float
            The strongest of what was left of any of them (Jy/beam).
        """
        sources, grid = self.sources, self._tile.gridder.grid
        if not len(sources):
            return 0.0
        x, y = grid.pixels(sources.east, sources.north)
        found = self._towards.look(residual_vis, sources.east, sources.north)
        slope = found.slope * [-grid.cell_rad, grid.cell_rad]  # along x and y, per pixel
        k0, k1, k2 = self._moments()
        apparent = sources.flux_jy * k0
        # What is left of one source reaches the others through the sidelobes of the PSF.
        coupling = psf_matrix(self._psf, x, y)
        value = np.linalg.solve(coupling, found.value)
        flux_step, index_step = value / k0, np.zeros(len(sources))
        fitted = apparent > _FIT_INDEX_SNR * noise_jy
        if fitted.any():
            first = np.linalg.solve(coupling, found.first)
            # value = k0 dF + k1 F da, first = k1 dF + k2 F da
            determinant = k0 * k2 - k1**2
            index_step[fitted] = ((k0 * first - k1 * value) / determinant / sources.flux_jy)[fitted]
            flux_step[fitted] = ((k2 * value - k1 * first) / determinant)[fitted]
        # A source that is off by d leaves -apparent d . grad(psf): its gradient is -apparent H d.
        shift = -np.linalg.solve(self._curvature, slope.T).T / apparent[:, None]
        length, width = np.hypot(*shift.T), self._beam.bmin_rad / grid.cell_rad
        # The steepest slope of a Gaussian is sqrt(8 ln 2) exp(-1/2) / FWHM.
        dipole = FWHM * math.exp(-0.5) / width * length * np.abs(apparent)
        shift *= np.minimum(1, _MAX_SHIFT_BEAMS * width / np.maximum(length, 1e-9))[:, None]
        corrections.next(shift, dipole)
        left_jy = float(max(np.abs(value).max(), dipole[~corrections.held].max(initial=0)))
        if left_jy < goal_jy:
            return left_jy
        self._left = None
        sources.flux_jy = sources.flux_jy + flux_step
        sources.index = sources.index + np.clip(index_step, -2, 2)
        origins = zip(fitted, sources.index_from, strict=True)
        sources.index_from = ["fitted" if fit else origin for fit, origin in origins]
        sources.east, sources.north = grid.cosines(*(np.stack([x, y]) + corrections.shift.T))
        positive = sources.flux_jy > 0
        sources.keep(positive)
        corrections.keep(positive)
        return left_jy
