"""Our imager: w-gridding, CLEAN in major cycles, and bright sources modelled through the moving primary beam."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.imaging.bright.model import BrightModel, BrightSubtraction
from contimg.imaging.bright.response import SourceResponse
from contimg.imaging.bright.sources import BrightSources
from contimg.imaging.checks.model_gains import measure_arms, measure_model_gains
from contimg.imaging.clean.catalogue_mask import catalogue_mask
from contimg.imaging.clean.channel_groups import ChannelGroup, GroupImage, group_image, part, split
from contimg.imaging.clean.clean import Cleaned, Cleaner, CleanTask
from contimg.imaging.imager_result import ImagerResult, NoRestoringBeam
from contimg.imaging.restoring_beam import add_source, convolve, fit_beam
from contimg.imaging.selfcal.selfcal import SelfCalibration
from contimg.imaging.tile_data import TileData
from contimg.imaging.transforms.wgridder import Gridder, accuracy
from contimg.imaging.visibilities.weights import expected_rms
from contimg.sky.restoring_beam import RestoringBeam
from contimg.statistics import robust_sigma

# The PSF is subtracted only from what is fainter than `image.bright_sigma`: an error of this is far below the noise.
_PSF_ACCURACY = 2.0e-4


def make_image(
    tile: TileData, noise_jy: float, selfcal: SelfCalibration | None = None
) -> ImagerResult | NoRestoringBeam:
    """Subtract bright sources from the visibilities, deconvolve the rest, and restore both.

    Parameters
    ----------
    tile : TileData
    noise_jy : float
        Expected noise (Jy/beam).
    selfcal : SelfCalibration, optional
        Corrects the samples, in place, with the bright sources as the model.
    """
    fine = tile.gridder
    psf = fine.psf(_PSF_ACCURACY)
    beam = fit_beam(psf, fine.grid.cell_rad)
    if beam is None:
        return NoRestoringBeam()
    tile = tile.on_coarser_pixels(beam)
    step = fine.grid.size_px // tile.gridder.grid.size_px
    coarse_psf = np.ascontiguousarray(psf[::step, ::step])
    model = BrightModel(tile, coarse_psf, beam)
    start, steps = _initial_sources(tile, noise_jy)
    to_come = selfcal is not None and start is not None
    subtracted = model.subtract(noise_jy, start, before_selfcal=to_come)
    steps += subtracted.steps
    notes: list[str] = []
    if selfcal is not None:
        subtracted, taken = _self_calibrate(tile, model, subtracted, selfcal)
        steps += taken
        if to_come and taken == 0:  # nothing was corrected: the sources have yet to settle
            subtracted = model.subtract_again(noise_jy, subtracted)
            steps += subtracted.steps
        noise_jy = expected_rms(tile.samples, fine.weight) or noise_jy
        notes += selfcal.notes()
    noise_jy = max(noise_jy, subtracted.floor_jy)
    facts: dict[str, Any] = {"bright_sources": model.facts(subtracted.sources, noise_jy), "bright_steps": steps}
    if not subtracted.settled:
        notes.append("the bright sources had not settled after the last round of fitting")
    gains = measure_model_gains(tile.coordinates, tile.samples, subtracted.residual_vis)
    known_vis = model.catalogue_visibilities(subtracted.sources, noise_jy)
    if known_vis is not None:
        gains |= measure_arms(tile.coordinates, tile.samples, known_vis)
    groups = split(tile, coarse_psf, _PSF_ACCURACY)
    mask = catalogue_mask(tile, beam, tile.options.threshold_sigma * noise_jy)
    cleaned = Cleaner(
        CleanTask(groups, subtracted.residual_vis, subtracted.residual, beam, tile.options, noise_jy, mask)
    ).clean()
    facts |= {"iterations": cleaned.iterations, "major_cycles": cleaned.major_cycles}
    epsilon = accuracy(noise_jy, float(np.abs(cleaned.residual).max()))
    restorer = _Restorer(fine, beam, model.response, subtracted.sources, cleaned, epsilon)
    residual = cleaned.residual if tile.gridder is fine else restorer.residual(fine)
    shares = np.array([group.share for group in groups], np.float32)
    components = restorer.components(np.tensordot(shares, cleaned.model, 1))
    image = restorer.image(components, residual, model.response.apparent_jy(subtracted.sources))
    restorer.add_bright_sources(components)
    parts = [restorer.group(tile, *one) for one in zip(groups, cleaned.model, strict=True)] if len(groups) > 1 else []
    return ImagerResult(image, residual, components, psf, beam, cleaned.diverged, facts, notes, gains, parts)


def _initial_sources(tile: TileData, noise_jy: float) -> tuple[BrightSources | None, int]:
    """Return the bright sources found in a few integrations, and the steps taken; None for small tiles."""
    few = tile.few_integrations()
    if few is None:
        return None, 0
    psf = few.gridder.psf(_PSF_ACCURACY)
    beam = fit_beam(psf, few.gridder.grid.cell_rad)
    if beam is None:
        return None, 0
    found = BrightModel(few, psf, beam).survey(noise_jy)
    return found.sources, found.steps


def _self_calibrate(
    tile: TileData, model: BrightModel, subtracted: BrightSubtraction, selfcal: SelfCalibration
) -> tuple[BrightSubtraction, int]:
    """Correct the samples with the bright sources as the model, round by round.

    Returns
    -------
    subtracted : BrightSubtraction
        After the last correction that was kept.
    steps : int
        Steps of refinement taken.
    """
    steps = 0
    while selfcal.improve(*model.main_beam_and_others(subtracted)):
        rms_before, range_before = _noise_and_dynamic_range(model, subtracted)
        # Differences of the correlations that were due to their gains are no noise.
        noise_jy = max(expected_rms(tile.samples, tile.gridder.weight) or 0.0, subtracted.floor_jy)
        subtracted = model.subtract_again(noise_jy, subtracted)
        steps += subtracted.steps
        rms_after, range_after = _noise_and_dynamic_range(model, subtracted)
        if rms_after > rms_before or range_after < range_before:
            selfcal.undo()
            subtracted = model.subtract_again(noise_jy, subtracted)
            steps += subtracted.steps
    return subtracted, steps


def _noise_and_dynamic_range(model: BrightModel, subtracted: BrightSubtraction) -> tuple[float, float]:
    """Return the rms of the residual (Jy/beam) and the dynamic range of the brightest source."""
    rms = robust_sigma(subtracted.residual)
    peak = float(model.response.apparent_jy(subtracted.sources).max(initial=0.0))
    return rms, peak / rms if rms > 0 else math.inf


@dataclass(frozen=True)
class _Restorer:
    """Restores components and bright sources, found on coarse pixels, on the pixels of the image.

    Attributes
    ----------
    fine : Gridder
        Of the image's pixels.
    beam : RestoringBeam
    response : SourceResponse
    sources : BrightSources
    cleaned : Cleaned
    epsilon : float
        Accuracy of the transforms.
    """

    fine: Gridder
    beam: RestoringBeam
    response: SourceResponse
    sources: BrightSources
    cleaned: Cleaned
    epsilon: float

    def residual(self, gridder: Gridder) -> NDArray[np.float32]:
        """Return the residual image (Jy/beam) after CLEAN."""
        return gridder.dirty(self.cleaned.residual_vis, self.epsilon)

    def components(self, coarse: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return components (Jy/pixel) on the image's pixels."""
        size = self.fine.grid.size_px
        components = np.zeros((size, size), np.float32)
        step = size // len(coarse)
        components[::step, ::step] = coarse
        return components

    def image(
        self, components: NDArray[np.float32], residual: NDArray[np.float32], bright_jy: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        """Return the restored image: the residual, components and bright sources of given apparent fluxes."""
        image = convolve(components, self.beam, self.fine.grid.cell_rad)
        image += residual
        x, y, inside = self._pixels()
        grid, sources = self.fine.grid, self.sources
        for i in np.flatnonzero(inside):
            beam = grid.beam_at(self.beam, sources.east[i], sources.north[i])
            add_source(image, beam, grid.cell_rad, (x[i], y[i]), bright_jy[i])
        return image

    def group(self, tile: TileData, group: ChannelGroup, model: NDArray[np.float32]) -> GroupImage:
        """Return the restored image of a part of the band, with its components (Jy/pixel)."""
        gridder = part(tile, self.fine, group.channels)
        found = group_image(tile, gridder, group.channels, self.residual(gridder))
        bright_jy = self.response.apparent_in_group(self.sources, found.freq_hz, group.channels)
        residual = np.asarray(found.image, np.float32)
        return replace(found, image=self.image(self.components(model), residual, bright_jy))

    def add_bright_sources(self, components: NDArray[np.float32]) -> None:
        """Add the bright sources to the components, each at the pixel closest to it."""
        x, y, inside = self._pixels()
        flux_jy = self.response.apparent_jy(self.sources)
        for i in np.flatnonzero(inside):
            components[round(y[i]), round(x[i])] += np.float32(flux_jy[i])

    def _pixels(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        """Return the bright sources' positions (pixels), and which lie on the image."""
        grid, east, north = self.fine.grid, self.sources.east, self.sources.north
        return *grid.pixels(east, north), grid.contains(east, north)
