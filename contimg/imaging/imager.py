"""Our imager: visibilities in memory, the w-gridder, CLEAN, and bright sources through the moving beam."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.imaging.bright.model import BrightModel, Subtracted
from contimg.imaging.bright.sources import BrightSources
from contimg.imaging.clean.channel_groups import ChannelGroup, GroupImage, observed, part, split
from contimg.imaging.clean.clean import Cleaned, Cleaner, mask
from contimg.imaging.imaging_data import Tile
from contimg.imaging.restoring_beam import RestoringBeam, add_source, convolve, fit_beam
from contimg.imaging.selfcal.selfcal import SelfCalibration
from contimg.imaging.transforms.wgridder import Gridder, accuracy
from contimg.imaging.visibilities.weights import expected_rms
from contimg.statistics import robust_sigma

# What the PSF is subtracted from is fainter than `image.bright_sigma`: an error of this is far below the noise.
_PSF_ACCURACY = 1.0e-4


@dataclass
class Imaged:
    """What an imager made; arrays are (size, size), ``[y, x]``.

    Attributes
    ----------
    image, residual : Jy/beam
        Apparent brightness: not divided by the power beam.
    model : Jy/pixel
    psf
        Peak 1.
    beam : RestoringBeam or None
        None when none could be fitted; then there is no image.
    diverged : bool
    facts : dict
        For the twin: cycles, components, bright sources.
    notes : list of str
    groups : list of GroupImage
        The channel groups' images, if there are several.
    """

    image: NDArray[np.floating] | None
    residual: NDArray[np.floating] | None
    model: NDArray[np.floating] | None
    psf: NDArray[np.floating]
    beam: RestoringBeam | None
    diverged: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    groups: list[GroupImage] = field(default_factory=list)


def make_image(tile: Tile, noise_jy: float, selfcal: SelfCalibration | None = None) -> Imaged:
    """Subtract bright sources, deconvolve the rest, and restore both.

    Parameters
    ----------
    tile : Tile
    noise_jy : float
        Noise to be expected (Jy/beam).
    selfcal : SelfCalibration, optional
        Corrects the samples, in place, by the bright sources.
    """
    fine, notes = tile.gridder, []
    psf = fine.psf(_PSF_ACCURACY)
    beam = fit_beam(psf, fine.grid.cell_rad)
    if beam is None:
        return Imaged(None, None, None, psf, None)
    tile = tile.coarser(beam)
    step = fine.grid.size_px // tile.gridder.grid.size_px
    coarse_psf = np.ascontiguousarray(psf[::step, ::step])
    model = BrightModel(tile, coarse_psf, beam)
    start, steps = _first_look(tile, noise_jy)
    subtracted = model.subtract(noise_jy, start)
    steps += subtracted.steps
    if selfcal is not None:
        subtracted, taken = _self_calibrate(tile, model, subtracted, selfcal)
        steps += taken
        noise_jy = expected_rms(tile.samples, fine.weight) or noise_jy
        notes += selfcal.notes()
    noise_jy = max(noise_jy, model.floor_jy)
    facts: dict[str, Any] = {"bright_sources": model.facts(noise_jy), "bright_steps": steps}
    if not subtracted.settled:
        notes.append("the bright sources had not settled after the last round of fitting")
    groups = split(tile, coarse_psf, _PSF_ACCURACY)
    seeded = tile.options.catalogue_mask and tile.catalogue is not None
    cleaned = Cleaner(
        groups, subtracted.residual_vis, subtracted.residual, beam, tile.options, noise_jy,
        mask(tile, beam, tile.options.threshold_sigma * noise_jy) if seeded else None,
    ).clean()  # fmt: skip
    facts |= {"iterations": cleaned.iterations, "major_cycles": cleaned.major_cycles}
    finished = _Finished(fine, beam, model, cleaned, accuracy(noise_jy, float(np.abs(cleaned.residual).max())))
    residual = cleaned.residual if tile.gridder is fine else finished.residual(fine)
    shares = np.array([group.share for group in groups], np.float32)
    components = finished.components(np.tensordot(shares, cleaned.model, 1))
    image = finished.image(components, residual, model.apparent_jy())
    finished.mark(components)
    parts = [finished.group(tile, *one) for one in zip(groups, cleaned.model, strict=True)] if len(groups) > 1 else []
    return Imaged(image, residual, components, psf, beam, cleaned.diverged, facts, notes, parts)


def _self_calibrate(
    tile: Tile, model: BrightModel, subtracted: Subtracted, selfcal: SelfCalibration
) -> tuple[Subtracted, int]:
    """Correct the samples by the bright sources, round by round; return what is left then, and the steps taken."""
    steps = 0
    while selfcal.improve(*model.parts(subtracted.residual_vis)):
        before = _standing(model, subtracted)
        # What the hands differed by because of their phases was no noise.
        noise_jy = max(expected_rms(tile.samples, tile.gridder.weight) or 0.0, model.floor_jy)
        subtracted = model.again(noise_jy)
        steps += subtracted.steps
        after = _standing(model, subtracted)
        if after[0] > before[0] or after[1] < before[1]:
            selfcal.undo()
            subtracted = model.again(noise_jy)
            steps += subtracted.steps
    return subtracted, steps


@dataclass(frozen=True)
class _Finished:
    """What is needed to bring what was cleaned on coarse pixels to the image's."""

    fine: Gridder
    beam: RestoringBeam
    model: BrightModel
    cleaned: Cleaned
    epsilon: float

    def residual(self, gridder: Gridder) -> NDArray[np.float32]:
        """Return the image (Jy/beam) of what CLEAN left of the visibilities."""
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
    ) -> NDArray[np.floating]:
        """Return the residual with components and bright sources, of given apparent fluxes, restored."""
        image = convolve(components, self.beam, self.fine.grid.cell_rad)
        image += residual
        x, y, inside = self._bright()
        for i in np.flatnonzero(inside):
            add_source(image, self.beam, self.fine.grid.cell_rad, x[i], y[i], bright_jy[i])
        return image

    def group(self, tile: Tile, group: ChannelGroup, model: NDArray[np.float32]) -> GroupImage:
        """Return the image of a part of the band, of given components (Jy/pixel)."""
        gridder = part(tile, self.fine, group.channels)
        found = observed(tile, gridder, group.channels, self.residual(gridder))
        bright_jy = self.model.apparent_at(found.freq_hz, group.channels)
        return replace(found, image=self.image(self.components(model), found.image, bright_jy))

    def mark(self, components: NDArray[np.float32]) -> None:
        """Add the bright sources to the components, each to its pixel."""
        x, y, inside = self._bright()
        flux_jy = self.model.apparent_jy()
        for i in np.flatnonzero(inside):
            components[round(y[i]), round(x[i])] += np.float32(flux_jy[i])

    def _bright(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        """Return the bright sources' pixels, and which lie on the image."""
        x, y = self.fine.grid.pixels(self.model.sources.east, self.model.sources.north)
        places = np.rint([x, y])
        return x, y, ((places >= 0) & (places < self.fine.grid.size_px)).all(0)


def _first_look(tile: Tile, noise_jy: float) -> tuple[BrightSources | None, int]:
    """Return the bright sources as a few of the integrations have them, and the steps taken; None for small tiles."""
    thin = tile.thinned()
    if thin is None:
        return None, 0
    psf = thin.gridder.psf(_PSF_ACCURACY)
    beam = fit_beam(psf, thin.gridder.grid.cell_rad)
    if beam is None:
        return None, 0
    model = BrightModel(thin, psf, beam)
    steps = model.survey(noise_jy)
    return model.sources, steps


def _standing(model: BrightModel, subtracted: Subtracted) -> tuple[float, float]:
    """Return rms (Jy/beam) and dynamic range of what is left without the bright sources."""
    rms = robust_sigma(subtracted.residual)
    return rms, float(model.apparent_jy().max(initial=0.0)) / rms if rms > 0 else math.inf
