"""CLEAN: Radler's minor cycles, and major cycles on the visibilities in memory."""

from __future__ import annotations

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
from contimg.imaging.clean.psf import square
from contimg.imaging.imaging_data import Tile
from contimg.imaging.restoring_beam import RestoringBeam
from contimg.imaging.transforms.wgridder import accuracy
from contimg.statistics import image_sigma

# A major cycle ends when the peak has fallen to this fraction of what it was (WSClean's -mgain 0.8).
MAJOR_GAIN = 0.8
# Ours can go deeper: what the beam does to bright sources is dealt with before.
_OWN_MAJOR_GAIN = 0.9
_MINOR_GAIN = 0.1
_MAX_MAJOR_CYCLES = 12
# Fluxes of components are straight lines over the band.
_SPECTRAL_TERMS = 2
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
    model : (ngroup, size, size) float32, Jy/pixel
        Of each channel group.
    residual : (size, size) float32, Jy/beam
        Of the whole band.
    residual_vis : (nrow, width) complex64, Jy
    iterations, major_cycles : int
    diverged : bool
    """

    model: NDArray[np.float32]
    residual: NDArray[np.float32]
    residual_vis: NDArray[np.complex64]
    iterations: int = 0
    major_cycles: int = 0
    diverged: bool = False


class Cleaner:
    """Deconvolves the channel groups of one tile jointly: components stand at the same places in all."""

    def __init__(
        self,
        groups: Sequence[ChannelGroup],
        vis: NDArray[np.complex64],
        dirty: NDArray[np.float32],
        beam: RestoringBeam,
        options: ImageOptions,
        noise_jy: float,
        seeds: NDArray[np.bool_] | None = None,
    ) -> None:
        """Prepare.

        Parameters
        ----------
        groups : sequence of ChannelGroup
        vis : (nrow, width) complex64
            Stokes I (Jy).
        dirty : (size, size) float32
            Its dirty image, of the whole band (Jy/beam).
        beam : RestoringBeam
            Radler's first guess of the resolution.
        options : ImageOptions
        noise_jy : float
            To be expected (Jy/beam); sets the accuracy of the transforms.
        seeds : (size, size) bool, optional
            Pixels that the mask holds besides those of the components.
        """
        self._groups, self._vis, self._beam, self._options = groups, vis, beam, options
        self._noise_jy, self._seeds = noise_jy, seeds
        first_jy = float(np.abs(dirty).max())
        self._epsilon, self._limit_jy = accuracy(noise_jy, first_jy), _DIVERGED * first_jy
        shape = (len(groups), *dirty.shape)
        self._psf = np.stack([group.psf for group in groups])
        if len(groups) == 1:
            self._residual = dirty[None].copy()
        else:
            self._residual = np.stack([group.gridder.dirty(vis, self._epsilon) for group in groups])
        self._made = Cleaned(np.zeros(shape, np.float32), self._mean(self._residual), vis)

    def clean(self) -> Cleaned:
        """Deconvolve, down to ``auto_mask_sigma``, then within the components' mask to ``threshold_sigma``."""
        made, options = self._made, self._options
        # Once Radler has made its mask it never looks beside it, and it sets the mask's threshold by the
        # noise before the sidelobes were gone. So: first without a mask, until the noise is that of the end.
        for _ in range(_MAX_PASSES):
            noise = image_sigma(made.residual)
            highest = float(np.abs(made.residual).max())
            low = highest <= _NEAR * options.auto_mask_sigma * noise  # Radler's masked run begins with the rest
            if made.diverged or low or made.iterations >= options.max_iterations:
                break
            self._run(masked=False)
            if image_sigma(made.residual) > _SETTLED * noise:
                break
        if made.diverged:
            return made
        if self._seeds is not None:
            self._with_seeds()
        elif made.model.any() or highest > options.auto_mask_sigma * noise:
            self._run(masked=True)
        return made

    def _with_seeds(self) -> None:
        """Go down to the last threshold at the components and at the seeds."""
        made = self._made
        if float(np.abs(made.residual).max()) > self._options.auto_mask_sigma * image_sigma(made.residual):
            self._run(masked=False)
        allowed = self._seeds | (made.model != 0).any(0)
        if made.diverged or not allowed.any():
            return
        with tempfile.TemporaryDirectory(prefix="contimg-mask-") as folder:  # Radler reads masks from files
            self._run(masked=True, mask=_write_mask(Path(folder) / "mask.fits", allowed))

    def _run(self, *, masked: bool, mask: Path | None = None) -> None:
        """Let Radler go on, to the mask's threshold or, within the mask, to the last one."""
        import radler

        made, groups = self._made, self._groups
        settings = self._settings(masked, mask)
        size_rad = math.sqrt(self._beam.bmaj_rad * self._beam.bmin_rad)
        if len(groups) == 1:
            worker = radler.Radler(
                settings, self._psf[0], self._residual[0], made.model[0], size_rad,
                polarization=radler.Polarization.stokes_i,
            )  # fmt: skip
        else:
            bands = np.array([group.gridder.band_hz for group in groups])
            shares = np.array([group.share for group in groups])
            worker = radler.Radler(
                settings, self._psf, self._residual, made.model, size_rad, 0, bands, shares,
                radler.Polarization.stokes_i,
            )  # fmt: skip
        for cycle in range(_MAX_MAJOR_CYCLES):
            more = worker.perform(cycle)
            self._transform()
            if not float(np.abs(made.residual).max()) <= self._limit_jy:
                made.diverged = True
            if made.diverged or not more or (masked and self._done()):
                break
        made.iterations += int(worker.iteration_number)

    def _transform(self) -> None:
        """Subtract the components from the visibilities, and image what is left."""
        made = self._made
        # What is transformed now is what the minor cycle left: the error is a part of that, not of the model.
        left_jy = float(np.abs(self._residual).max())
        made.residual_vis = self._vis
        for group, model in zip(self._groups, made.model, strict=True):
            if model.any():
                made.residual_vis = made.residual_vis - group.gridder.predict(model, self._epsilon)
        for group, residual in zip(self._groups, self._residual, strict=True):
            residual[:] = group.gridder.dirty(made.residual_vis, accuracy(self._noise_jy, left_jy))
        made.residual = self._mean(self._residual)
        made.major_cycles += 1

    def _mean(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the plane (size, size) of the whole band."""
        if len(planes) == 1:
            return planes[0]
        return np.tensordot(np.array([group.share for group in self._groups], np.float32), planes, 1)

    def _done(self) -> bool:
        """Say whether the residual at the components is as low as a further cycle would make it."""
        residual = self._made.residual
        left = np.abs(residual[(self._made.model != 0).any(0)]).max(initial=0)
        return bool(left <= _CLOSE * self._options.threshold_sigma * image_sigma(residual))

    def _settings(self, masked: bool, mask: Path | None) -> Any:
        import radler

        options, gridder = self._options, self._groups[0].gridder
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
        elif masked:  # the peak is at the mask's threshold: the mask is made of the model at once
            settings.auto_mask_sigma = options.auto_mask_sigma
        return settings


def _write_mask(path: Path, allowed: NDArray[np.bool_]) -> Path:
    from astropy.io import fits

    fits.PrimaryHDU(allowed.astype(np.float32)).writeto(path)
    return path


def mask(tile: Tile, beam: RestoringBeam, level_jy: float) -> NDArray[np.bool_]:
    """Return the pixels (size, size) within a beam's half width of the catalogue's sources.

    Parameters
    ----------
    tile : Tile
        With a catalogue.
    beam : RestoringBeam
    level_jy : float
        Sources of a lower apparent flux (Jy) are left out: CLEAN would not go down to them.
    """
    grid = tile.gridder.grid
    known = tile.catalogue.within(*grid.centre_rad, math.pi / 4)
    east, north = grid.radec_cosines(np.radians(known.ra_deg), np.radians(known.dec_deg))
    x, y = (np.rint(axis).astype(int) for axis in grid.pixels(east, north))
    inside = (np.minimum(x, y) >= 0) & (np.maximum(x, y) < grid.size_px)
    apparent = known.flux_at(tile.freq_hz)[inside, 0] * tile.response.at(east[inside], north[inside])
    there = np.zeros((grid.size_px, grid.size_px), bool)
    half = math.ceil(beam.bmaj_rad / 2 / grid.cell_rad)
    for column, row in zip(x[inside][apparent >= level_jy], y[inside][apparent >= level_jy], strict=True):
        square(there, column, row, half)[:] = True
    return there
