"""CLEAN: minor cycles by Radler, major cycles on the visibilities in memory."""

from __future__ import annotations

import logging
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.config import ImageOptions
from contimg.imaging.clean.channel_groups import ChannelGroup
from contimg.imaging.transforms.wgridder import accuracy
from contimg.imaging.visibilities.samples import row_blocks
from contimg.sky.restoring_beam import RestoringBeam
from contimg.statistics import image_sigma

_LOG = logging.getLogger(__name__)

# A major cycle starts when the peak has fallen by this fraction (WSClean's -mgain 0.8).
MAJOR_GAIN = 0.8
# Ours are less deep where the first one's PSF is not good enough for it.
_OWN_MAJOR_GAINS = (MAJOR_GAIN, 0.6, 0.2)
_MINOR_GAIN = 0.1
_MAX_MAJOR_CYCLES = 12
# Fluxes of components are linear functions of frequency.
_SPECTRAL_TERMS = 2
# Runs without a mask end when one lowers the noise by less than this factor.
_MAX_PASSES = 6
_SETTLED = 0.95
# The masked run may start when the peak is this far above its first threshold, and end this far above its last one.
_NEAR = 1.5
_CLOSE = 1.15
# The largest error of a minor cycle's residual, as a fraction of its peak: the next cycle would take it for a source.
_MAX_ERROR = 0.5
# Sums of squares that differ by less than this are the same: the transforms are made in single precision.
_SAME_MISFIT = 1e-6
_ROWS = 1 << 14


@dataclass(frozen=True)
class CleanTask:
    """What is to be deconvolved.

    Attributes
    ----------
    groups : sequence of ChannelGroup
    vis : (nrow, width) complex64
        Stokes I (Jy).
    dirty : (size, size) float32
        Its dirty image, of the whole band (Jy/beam).
    beam : RestoringBeam
        Resolution, with which Radler chooses its scales.
    options : ImageOptions
    noise_jy : float
        Expected noise (Jy/beam), which sets the accuracy of the transforms.
    catalogue_mask : (size, size) bool, optional
        Pixels that the mask contains besides those of the components found.
    """

    groups: Sequence[ChannelGroup]
    vis: NDArray[np.complex64]
    dirty: NDArray[np.float32]
    beam: RestoringBeam
    options: ImageOptions
    noise_jy: float
    catalogue_mask: NDArray[np.bool_] | None = None


@dataclass
class Cleaned:
    """What CLEAN found and left.

    Attributes
    ----------
    model : (ngroup, size, size) float32, Jy/pixel
        CLEAN components of each channel group.
    residual : (size, size) float32, Jy/beam
        Residual image of the whole band.
    residual_vis : (nrow, width) complex64, Jy
    iterations, major_cycles : int
        Of those kept and those undone.
    undone : int
        Major cycles that made the visibilities' misfit larger, and were repeated with less deep minor cycles.
    diverged : bool
        No components at all made the misfit smaller, although there are sources.
    """

    model: NDArray[np.float32]
    residual: NDArray[np.float32]
    residual_vis: NDArray[np.complex64]
    iterations: int = 0
    major_cycles: int = 0
    undone: int = 0
    diverged: bool = False


class Cleaner:
    """Deconvolves the channel groups of one tile jointly: all have components at the same positions.

    Notes
    -----
    Minor cycles take the PSF of the phase centre, up to half the image's width, for that of every source. But the w
    terms of an array that looks far from the zenith shear the far sidelobes off the centre, and a PSF that is cut off
    has negative weights in the uv plane. A minor cycle that goes below the errors of its PSF takes sidelobes for
    sources, which lowers fluxes, and in the end multiplies components of both signs. The major cycle computes the
    residual exactly. A cycle after which it differs from the minor cycle's by more than half of what that has left, or
    after which the weighted sum of squares of the visibilities is larger, is undone, and repeated less deep.
    """

    def __init__(self, task: CleanTask) -> None:
        self._task, self._groups = task, task.groups
        self._epsilon = accuracy(task.noise_jy, float(np.abs(task.dirty).max()))
        self._depth = 0
        shape = (len(task.groups), *task.dirty.shape)
        self._psf = np.stack([group.psf for group in task.groups])
        if len(task.groups) == 1:
            self._residual = task.dirty[None].copy()
        else:
            self._residual = np.stack([group.gridder.dirty(task.vis, self._epsilon) for group in task.groups])
        self._made = Cleaned(np.zeros(shape, np.float32), self._mean(self._residual), task.vis)
        self._kept_misfit = self._misfit()
        self._known_noise_jy: float | None = None

    def clean(self) -> Cleaned:
        """Deconvolve down to ``auto_mask_sigma``, then within the components' mask down to ``threshold_sigma``."""
        made, options = self._made, self._task.options
        # Radler makes its mask once, from components above a threshold that it sets with the noise at that time. So
        # it is made last: first runs without a mask, until their residual has the noise of the final image.
        for _ in range(_MAX_PASSES):
            noise = self._noise_jy()
            highest = float(np.abs(made.residual).max())
            low = highest <= _NEAR * options.auto_mask_sigma * noise  # Radler's masked run begins with the rest
            if made.diverged or low or made.iterations >= options.max_iterations:
                break
            self._run(masked=False)
            if self._noise_jy() > _SETTLED * noise:
                break
        if made.diverged:
            return made
        if self._task.catalogue_mask is not None:
            self._with_catalogue_mask(self._task.catalogue_mask)
        elif made.model.any() or highest > options.auto_mask_sigma * noise:
            self._with_automatic_mask()
        return made

    def _with_automatic_mask(self) -> None:
        """Deconvolve down to ``threshold_sigma`` at the components, again if that lowers the noise and so the mask."""
        made = self._made
        for _ in range(_MAX_PASSES):
            noise = self._noise_jy()
            self._run(masked=True)
            settled = self._noise_jy() > _SETTLED * noise
            if settled or made.diverged or made.iterations >= self._task.options.max_iterations:
                break

    def _with_catalogue_mask(self, catalogue_mask: NDArray[np.bool_]) -> None:
        """Deconvolve down to ``threshold_sigma`` at the components and at the catalogue's sources."""
        made = self._made
        if float(np.abs(made.residual).max()) > self._task.options.auto_mask_sigma * self._noise_jy():
            self._run(masked=False)
        allowed = catalogue_mask | (made.model != 0).any(0)
        if made.diverged or not allowed.any():
            return
        with tempfile.TemporaryDirectory(prefix="contimg-mask-") as folder:  # Radler reads masks from files
            self._run(masked=True, mask=_write_mask(Path(folder) / "mask.fits", allowed))

    def _run(self, *, masked: bool, mask: Path | None = None) -> None:
        """Run major and minor cycles, to the mask's threshold or, within the mask, to the final one."""
        made, kept = self._made, False
        while not kept and self._depth < len(_OWN_MAJOR_GAINS):
            worker = self._worker(masked, mask)
            for cycle in range(_MAX_MAJOR_CYCLES):
                before = made.model.copy(), self._residual.copy()
                more = worker.perform(cycle)
                kept = self._improve(*before)
                if not kept or not more or (masked and self._done()):
                    break
            made.iterations += int(worker.iteration_number)
        if not kept:
            made.diverged = not made.model.any()  # else CLEAN ends with the components that it has
            self._depth = len(_OWN_MAJOR_GAINS) - 1
            self._subtract_model()
            self._image_residual()

    def _improve(self, model: NDArray[np.float32], residual: NDArray[np.float32]) -> bool:
        """Make the major cycle after a minor one; return False, and undo the minor one, if that went too deep.

        Parameters
        ----------
        model, residual : (ngroup, size, size) float32
            From before the minor cycle.
        """
        made, predicted = self._made, self._residual.copy()
        kept = bool(np.isfinite(made.model).all() and np.isfinite(predicted).all())
        if kept:
            self._subtract_model()
            misfit, last = self._misfit(), self._depth == len(_OWN_MAJOR_GAINS) - 1
            kept = misfit <= self._kept_misfit * (1 + _SAME_MISFIT)  # if not, no image of the residual is needed
        if kept:
            self._image_residual()
            error_jy = float(np.abs(self._residual - predicted).max())
            kept = last or error_jy <= _MAX_ERROR * float(np.abs(predicted).max())
        if kept:
            self._kept_misfit = misfit
            return True
        made.model[:], self._residual[:] = model, residual
        made.residual, self._known_noise_jy = self._mean(self._residual), None
        made.undone += 1
        self._depth += 1
        return False

    def _misfit(self) -> float:
        """Return the weighted sum of squares of the residual visibilities (Jy^2)."""
        vis, weight = self._made.residual_vis, self._groups[0].gridder.weight
        return sum(
            float(np.einsum("rc,rc->", weight[rows], np.abs(vis[rows]) ** 2, dtype=np.float64))
            for rows in row_blocks(len(vis), _ROWS)
        )

    def _worker(self, masked: bool, mask: Path | None) -> Any:
        """Return Radler, set up for a run from the present residual and components."""
        import radler

        made, groups = self._made, self._groups
        settings = self._settings(masked, mask)
        size_rad = math.sqrt(self._task.beam.bmaj_rad * self._task.beam.bmin_rad)
        if len(groups) == 1:
            return radler.Radler(
                settings, self._psf[0], self._residual[0], made.model[0], size_rad,
                polarization=radler.Polarization.stokes_i,
            )  # fmt: skip
        bands = np.array([group.gridder.band_hz for group in groups])
        shares = np.array([group.share for group in groups])
        return radler.Radler(
            settings, self._psf, self._residual, made.model, size_rad, 0, bands, shares,
            radler.Polarization.stokes_i,
        )  # fmt: skip

    def _subtract_model(self) -> None:
        """Subtract the components from the visibilities."""
        made, task = self._made, self._task
        made.residual_vis = task.vis
        for group, model in zip(self._groups, made.model, strict=True):
            if model.any():
                made.residual_vis = made.residual_vis - group.gridder.predict(model, self._epsilon)
        made.major_cycles += 1

    def _image_residual(self) -> None:
        """Image the residual visibilities, in place of what the minor cycle has left."""
        made, task = self._made, self._task
        # The residual is accurate to a fraction of what the minor cycle has left, not of the model.
        left_jy = float(np.abs(self._residual).max())
        for group, residual in zip(self._groups, self._residual, strict=True):
            residual[:] = group.gridder.dirty(made.residual_vis, accuracy(task.noise_jy, left_jy))
        made.residual, self._known_noise_jy = self._mean(self._residual), None
        left_mjy, n = 1e3 * float(np.abs(made.residual).max()), made.iterations
        _LOG.info("major cycle %d: %d iterations, residual to %.4g mJy/beam", made.major_cycles, n, left_mjy)

    def _noise_jy(self) -> float:
        """Return the noise of the residual image (Jy/beam), measured once for each."""
        if self._known_noise_jy is None:
            self._known_noise_jy = image_sigma(self._made.residual)
        return self._known_noise_jy

    def _mean(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the plane (size, size) of the whole band: the weighted mean of the groups'."""
        if len(planes) == 1:
            return planes[0]
        mean: NDArray[np.float32] = np.tensordot(np.array([g.share for g in self._groups], np.float32), planes, 1)
        return mean

    def _done(self) -> bool:
        """Tell whether the residual at the components is as low as a further cycle would make it."""
        residual = self._made.residual
        left = np.abs(residual[(self._made.model != 0).any(0)]).max(initial=0)
        return bool(left <= _CLOSE * self._task.options.threshold_sigma * self._noise_jy())

    def _settings(self, masked: bool, mask: Path | None) -> Any:
        """Return Radler's settings for a run."""
        import radler

        options, gridder = self._task.options, self._groups[0].gridder
        settings = radler.Settings()
        settings.algorithm_type = radler.AlgorithmType.generic_clean
        settings.trimmed_image_width = settings.trimmed_image_height = gridder.grid.size_px
        settings.pixel_scale.x = settings.pixel_scale.y = gridder.grid.cell_rad
        settings.minor_iteration_count = options.max_iterations
        settings.minor_loop_gain = _MINOR_GAIN
        settings.major_loop_gain = _OWN_MAJOR_GAINS[self._depth]
        settings.major_iteration_count = _MAX_MAJOR_CYCLES
        settings.thread_count = gridder.threads
        settings.parallel.grid_width = settings.parallel.grid_height = 1
        settings.parallel.max_threads = gridder.threads
        if len(self._groups) > 1:
            settings.channels_out = len(self._groups)
        if len(self._groups) > _SPECTRAL_TERMS:
            settings.spectral_fitting.mode = radler.SpectralFittingMode.polynomial
            settings.spectral_fitting.terms = _SPECTRAL_TERMS
        if options.multiscale:
            settings.algorithm_type = radler.AlgorithmType.multiscale
        if options.local_rms:
            settings.local_rms.method = radler.LocalRmsMethod.rms_window
        settings.auto_threshold_sigma = options.threshold_sigma if masked else options.auto_mask_sigma
        if mask is not None:
            settings.fits_mask = str(mask)
        elif masked:  # the peak is at the mask's threshold: the mask is made from the model at once
            settings.auto_mask_sigma = options.auto_mask_sigma
        return settings


def _write_mask(path: Path, allowed: NDArray[np.bool_]) -> Path:
    from astropy.io import fits

    fits.PrimaryHDU(allowed.astype(np.float32)).writeto(path)
    return path
