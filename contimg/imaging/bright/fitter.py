"""One least-squares step of the fluxes, spectral indices and positions of bright sources."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contimg.imaging.bright.sources import BrightSources
from contimg.imaging.clean.psf import curvature, psf_matrix
from contimg.imaging.transforms.direct import DirtyValues
from contimg.sky.restoring_beam import FWHM_PER_SIGMA, RestoringBeam

_MAX_SHIFT_BEAMS = 0.25


@dataclass(frozen=True)
class SourceStep:
    """Corrections of n sources.

    Attributes
    ----------
    residual_jy : (n,) float64
        Residual at each source that is its own (Jy/beam).
    flux_jy, index : (n,) float64
        Corrections of flux density (Jy) and spectral index.
    shift : (n, 2) float64
        Corrections of the positions along x and y (pixels).
    dipole_jy : (n,) float64
        Largest value of the dipole that the position's error leaves in the residual (Jy/beam).
    """

    residual_jy: NDArray[np.float64]
    flux_jy: NDArray[np.float64]
    index: NDArray[np.float64]
    shift: NDArray[np.float64]
    dipole_jy: NDArray[np.float64]


@dataclass(frozen=True)
class SourceFitter:
    """Computes corrections of sources from the residual image at their positions.

    Attributes
    ----------
    psf : (size, size) float32
    psf_curvature : (2, 2) float64
        Second derivatives of the PSF at its peak (per pixel^2).
    cell_rad : float
    width_px : float
        Minor axis of the restoring beam.
    """

    psf: NDArray[np.float32]
    psf_curvature: NDArray[np.float64]
    cell_rad: float
    width_px: float

    @classmethod
    def of(cls, psf: NDArray[np.float32], beam: RestoringBeam, cell_rad: float) -> SourceFitter:
        """Return the fitter of images with a PSF and pixels of a size."""
        return cls(psf, curvature(psf), cell_rad, beam.bmin_rad / cell_rad)

    def step(
        self,
        dirty: DirtyValues,
        pixels: NDArray[np.float64],
        sources: BrightSources,
        moments: NDArray[np.float64],
        fit_index: NDArray[np.bool_],
    ) -> SourceStep:
        """Return the corrections of sources.

        Parameters
        ----------
        dirty : DirtyValues
            The residual image at the sources.
        pixels : (2, n) float64
            Their positions x and y.
        sources : BrightSources
        moments : (3, n) float64
            `SourceResponse.moments`.
        fit_index : (n,) bool
            Sources whose spectral indices are fitted.
        """
        slope = dirty.slope * [-self.cell_rad, self.cell_rad]  # along x and y, per pixel
        k0, k1, k2 = moments
        apparent = sources.flux_jy * k0
        # The residual of one source contributes to those of the others through the sidelobes of the PSF.
        coupling = psf_matrix(self.psf, *pixels)
        value = np.asarray(np.linalg.solve(coupling, dirty.value), np.float64)
        flux_step, index_step = value / k0, np.zeros(len(sources))
        if fit_index.any():
            first = np.linalg.solve(coupling, dirty.first)
            # value = k0 dF + k1 F da, first = k1 dF + k2 F da
            determinant = k0 * k2 - k1**2
            index_step[fit_index] = ((k0 * first - k1 * value) / determinant / sources.flux_jy)[fit_index]
            flux_step[fit_index] = ((k2 * value - k1 * first) / determinant)[fit_index]
        # A source that is displaced by d leaves -apparent d . grad(psf): its gradient is -apparent H d.
        shift = -np.linalg.solve(self.psf_curvature, slope.T).T / apparent[:, None]
        length = np.hypot(*shift.T)
        # The steepest slope of a Gaussian is sqrt(8 ln 2) exp(-1/2) / FWHM.
        dipole = np.asarray(FWHM_PER_SIGMA * math.exp(-0.5) / self.width_px * length * np.abs(apparent), np.float64)
        shift *= np.minimum(1, _MAX_SHIFT_BEAMS * self.width_px / np.maximum(length, 1e-9))[:, None]
        return SourceStep(value, flux_step, index_step, shift, dipole)
