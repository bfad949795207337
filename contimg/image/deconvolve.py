"""CLEAN: Radler's minor cycles, and major cycles on the visibilities in memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.config import ImageOptions
from contimg.image.gridding import Gridder, accuracy
from contimg.image.restore import RestoringBeam
from contimg.image.samples import image_sigma

# A major cycle ends when the peak has fallen to this fraction of what it was (WSClean's -mgain 0.8).
MAJOR_GAIN = 0.8
# Ours can go deeper: what the beam does to bright sources is dealt with before.
_OWN_MAJOR_GAIN = 0.9
_MINOR_GAIN = 0.1
_MAX_MAJOR_CYCLES = 12
# Passes without a mask end when one lowers the noise by less than this factor.
_MAX_PASSES = 6
_SETTLED = 0.95
# The masked run may begin this far above its own first threshold, and end this far above its last one.
_NEAR = 1.5
_CLOSE = 1.15
# CLEAN that leaves a residual this much higher than the dirty image has diverged.
_DIVERGED = 1.5


@dataclass
class Cleaned:
    """What CLEAN made.

    Attributes
    ----------
    model : (size, size) float32, Jy/pixel
    residual : (size, size) float32, Jy/beam
    residual_vis : (nrow, nchan) complex64, Jy
    iterations, major_cycles : int
    diverged : bool
    """

    model: NDArray[np.float32]
    residual: NDArray[np.float32]
    residual_vis: NDArray[np.complex64]
    iterations: int
    major_cycles: int
    diverged: bool


def clean(
    gridder: Gridder,
    vis: NDArray[np.complex64],
    dirty: NDArray[np.float32],
    psf: NDArray[np.float32],
    beam: RestoringBeam,
    options: ImageOptions,
    noise_jy: float,
) -> Cleaned:
    """Deconvolve, down to ``auto_mask_sigma``, then within the components' mask to ``threshold_sigma``.

    Parameters
    ----------
    gridder : Gridder
    vis : (nrow, nchan) complex64
        Stokes I (Jy).
    dirty : (size, size) float32
        Its dirty image (Jy/beam).
    psf : (size, size) float32
    beam : RestoringBeam
        Radler's first guess of the resolution.
    options : ImageOptions
    noise_jy : float
        To be expected (Jy/beam); sets the accuracy of the transforms.
    """
    state = Cleaned(np.zeros_like(dirty), dirty.copy(), vis, 0, 0, False)
    first_peak = float(np.abs(dirty).max())
    epsilon = accuracy(noise_jy, first_peak)
    run = partial(_run, gridder, vis, psf, beam, options, noise_jy, epsilon, state, _DIVERGED * first_peak)
    # Once Radler has made its mask it never looks beside it, and it sets the mask's threshold by the
    # noise before the sidelobes were gone. So: first without a mask, until the noise is that of the end.
    for _ in range(_MAX_PASSES):
        noise = image_sigma(state.residual)
        highest = float(np.abs(state.residual).max())
        low = highest <= _NEAR * options.auto_mask_sigma * noise  # Radler's masked run begins with the rest
        if state.diverged or low or state.iterations >= options.max_iterations:
            break
        run(masked=False)
        if image_sigma(state.residual) > _SETTLED * noise:
            break
    if not state.diverged and (state.model.any() or highest > options.auto_mask_sigma * noise):
        run(masked=True)
    return state


def _run(
    gridder: Gridder,
    vis: NDArray[np.complex64],
    psf: NDArray[np.float32],
    beam: RestoringBeam,
    options: ImageOptions,
    noise_jy: float,
    epsilon: float,
    state: Cleaned,
    limit_jy: float,
    *,
    masked: bool,
) -> None:
    """Let Radler go on from a state, to the mask's threshold or, within the mask, to the last one."""
    import radler

    worker = radler.Radler(
        _settings(gridder, options, masked), psf, state.residual, state.model,
        math.sqrt(beam.bmaj_rad * beam.bmin_rad), polarization=radler.Polarization.stokes_i,
    )  # fmt: skip
    for cycle in range(_MAX_MAJOR_CYCLES):
        more = worker.perform(cycle)
        state.residual_vis = vis - gridder.predict(state.model, epsilon) if state.model.any() else vis
        # What is transformed now is what the minor cycle left: the error is a part of that, not of the model.
        left_jy = float(np.abs(state.residual).max())
        state.residual[:] = gridder.dirty(state.residual_vis, accuracy(noise_jy, left_jy))
        state.major_cycles += 1
        if not float(np.abs(state.residual).max()) <= limit_jy:
            state.diverged = True
        if state.diverged or not more or (masked and _done(state, options)):
            break
    state.iterations += int(worker.iteration_number)


def _done(state: Cleaned, options: ImageOptions) -> bool:
    """Say whether the residual at the components is as low as a further cycle would make it."""
    left = np.abs(state.residual[state.model != 0]).max(initial=0)
    return bool(left <= _CLOSE * options.threshold_sigma * image_sigma(state.residual))


def _settings(gridder: Gridder, options: ImageOptions, masked: bool) -> Any:
    import radler

    settings = radler.Settings()
    settings.algorithm_type = radler.AlgorithmType.generic_clean
    settings.trimmed_image_width = settings.trimmed_image_height = gridder.grid.size_px
    settings.pixel_scale.x = settings.pixel_scale.y = gridder.grid.cell_rad
    settings.minor_iteration_count = options.max_iterations
    settings.minor_loop_gain = _MINOR_GAIN
    settings.major_loop_gain = _OWN_MAJOR_GAIN
    settings.major_iteration_count = _MAX_MAJOR_CYCLES
    settings.thread_count = gridder.threads
    settings.parallel.grid_width = settings.parallel.grid_height = 1
    settings.parallel.max_threads = gridder.threads
    if options.multiscale:
        settings.algorithm_type = radler.AlgorithmType.multiscale
    if options.local_rms:
        settings.local_rms.method = radler.LocalRmsMethod.rms_window
    if masked:  # the peak is at the mask's threshold: the mask is made of the model at once
        settings.auto_mask_sigma = options.auto_mask_sigma
        settings.auto_threshold_sigma = options.threshold_sigma
    else:
        settings.auto_threshold_sigma = options.auto_mask_sigma
    return settings
