"""Our imager: visibilities in memory, the w-gridder, CLEAN, and bright sources through the moving beam."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.image.bright import BrightModel, Subtracted
from contimg.image.deconvolve import clean
from contimg.image.gridding import accuracy
from contimg.image.restore import RestoringBeam, add_source, convolve, fit_beam
from contimg.image.samples import robust_sigma
from contimg.image.selfcal import SelfCalibration
from contimg.image.sources import BrightSources
from contimg.image.tile import Tile
from contimg.image.weights import expected_rms

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
    """

    image: NDArray[np.floating] | None
    residual: NDArray[np.floating] | None
    model: NDArray[np.floating] | None
    psf: NDArray[np.floating]
    beam: RestoringBeam | None
    diverged: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


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
    cell = fine.grid.cell_rad
    psf = fine.psf(_PSF_ACCURACY)
    beam = fit_beam(psf, cell)
    if beam is None:
        return Imaged(None, None, None, psf, None)
    tile = tile.coarser(beam)
    step = fine.grid.size_px // tile.gridder.grid.size_px
    coarse_psf = np.ascontiguousarray(psf[::step, ::step])
    model = BrightModel(tile, coarse_psf, beam)
    start, steps = _first_look(tile, noise_jy)
    subtracted = model.subtract(noise_jy, start)
    noise_jy = max(noise_jy, model.floor_jy)
    steps += subtracted.steps
    if selfcal is not None:
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
        notes += selfcal.notes()
    facts: dict[str, Any] = {"bright_sources": model.facts(noise_jy), "bright_steps": steps}
    if not subtracted.settled:
        notes.append("the bright sources had not settled after the last round of fitting")
    cleaned = clean(
        tile.gridder, subtracted.residual_vis, subtracted.residual, coarse_psf, beam, tile.options, noise_jy
    )
    facts |= {"iterations": cleaned.iterations, "major_cycles": cleaned.major_cycles}
    residual, components = cleaned.residual, cleaned.model
    if step > 1:
        residual = fine.dirty(cleaned.residual_vis, accuracy(noise_jy, float(np.abs(residual).max())))
        components = np.zeros_like(residual)
        components[::step, ::step] = cleaned.model
    image = convolve(components, beam, cell)
    image += residual
    x, y = fine.grid.pixels(model.sources.east, model.sources.north)
    flux_jy, inside = model.apparent_jy(), model.inside()
    for i in np.flatnonzero(inside):
        add_source(image, beam, cell, x[i], y[i], flux_jy[i])
        components[round(y[i]), round(x[i])] += np.float32(flux_jy[i])
    return Imaged(image, residual, components, psf, beam, cleaned.diverged, facts, notes)


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
    steps = model.look_round(noise_jy)
    return model.sources, steps


def _standing(model: BrightModel, subtracted: Subtracted) -> tuple[float, float]:
    """Return rms (Jy/beam) and dynamic range of what is left without the bright sources."""
    rms = robust_sigma(subtracted.residual)
    return rms, float(model.apparent_jy().max(initial=0.0)) / rms if rms > 0 else math.inf
