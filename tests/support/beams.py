"""Beams, Gaussians and tile coordinates for the tests of mosaics."""

from __future__ import annotations

import numpy as np
from astropy.wcs import WCS

from contimg.sky.restoring_beam import RestoringBeam

ARCSEC = 1 / 3600


def beam(bmaj: float, bmin: float, bpa: float) -> RestoringBeam:
    """Return a beam of axes in arcsec."""
    return RestoringBeam.from_degrees(bmaj * ARCSEC, bmin * ARCSEC, bpa)


def sin_wcs(ra: float, dec: float, size: int, cell_arcsec: float) -> WCS:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---SIN", "DEC--SIN"]
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.crval = [ra, dec]
    wcs.wcs.cdelt = [-cell_arcsec * ARCSEC, cell_arcsec * ARCSEC]
    wcs.wcs.crpix = [size // 2 + 1, size // 2 + 1]
    wcs.wcs.radesys = "ICRS"
    return wcs


def gaussian(shape, x, y, covariance):
    """Return a Gaussian of peak 1; covariance in (x, y), pixels^2."""
    yy, xx = np.mgrid[: shape[0], : shape[1]]
    d = np.stack([xx - x, yy - y])
    return np.exp(-0.5 * np.einsum("iyx,ij,jyx->yx", d, np.linalg.inv(covariance), d))


def correlated_noise(shape, sigma_px: float, seed) -> np.ndarray:
    """Return noise of rms 1 with the correlation of a round beam: white noise convolved with a Gaussian, periodic."""
    from scipy.ndimage import gaussian_filter

    white = np.random.default_rng(seed).normal(size=shape)
    return gaussian_filter(white, sigma_px, mode="wrap") * 2 * np.sqrt(np.pi) * sigma_px
