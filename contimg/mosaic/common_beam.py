"""Restoring beams: the common beam of the tiles, and convolution to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FWHM_PER_SIGMA = float(np.sqrt(8 * np.log(2)))
TAIL_SIGMA = 5.0
SPREAD_ALLOWED = 1e-3
"""Largest part of the kernel that may reach over a blank or the edge: a third of the flux error allowed (0.3 %)."""


@dataclass(frozen=True)
class Beam:
    """An elliptical Gaussian beam: full widths at half maximum and angle from local north to east (deg)."""

    bmaj_deg: float
    bmin_deg: float
    bpa_deg: float

    @property
    def area_deg2(self) -> float:
        """Area under the beam: pi/(4 ln 2) x bmaj x bmin."""
        return float(np.pi / (4 * np.log(2)) * self.bmaj_deg * self.bmin_deg)

    def covariance(self) -> NDArray[np.float64]:
        """Return the (2, 2) covariance in (east, north), deg^2."""
        angle = np.deg2rad(self.bpa_deg)
        axes = np.array([[np.sin(angle), np.cos(angle)], [np.cos(angle), -np.sin(angle)]])
        sigma = np.array([self.bmaj_deg, self.bmin_deg]) / FWHM_PER_SIGMA
        return (axes * sigma**2) @ axes.T

    @classmethod
    def from_covariance(cls, covariance: NDArray[np.float64]) -> Beam:
        """Return the beam with this (2, 2) covariance in (east, north), deg^2."""
        variances, axes = np.linalg.eigh(covariance)
        fwhm = np.sqrt(variances) * FWHM_PER_SIGMA
        east, north = axes[:, 1]
        return cls(float(fwhm[1]), float(fwhm[0]), float(np.rad2deg(np.arctan2(east, north)) % 180))

    def facts(self) -> dict[str, float]:
        """Return the beam as twins hold it."""
        return {
            "bmaj_arcsec": round(self.bmaj_deg * 3600, 6),
            "bmin_arcsec": round(self.bmin_deg * 3600, 6),
            "bpa_deg": round(self.bpa_deg, 6),
        }


def common_beam(beams: Sequence[Beam]) -> Beam:
    """Return a small beam to which every one of `beams` can be convolved.

    radio-beam's minimum ellipse round all beams; where it finds none (beams that are nearly, but not
    quite equal) its slack ``epsilon`` is raised, and at last the shape of the largest beam is taken.
    Either is then scaled by the smallest factor, closed form, for which no beam sticks out.
    """
    import astropy.units as u
    from radio_beam import Beams
    from radio_beam.utils import BeamError

    ellipse = max(beams, key=lambda beam: beam.area_deg2)
    if len(set(beams)) > 1:
        many = Beams(
            major=[beam.bmaj_deg * 3600 for beam in beams] * u.arcsec,
            minor=[beam.bmin_deg * 3600 for beam in beams] * u.arcsec,
            pa=[beam.bpa_deg for beam in beams] * u.deg,
        )
        for slack in (1e-3, 5e-3):
            try:
                found = many.common_beam(max_epsilon=slack)
            except (BeamError, ValueError):
                continue
            ellipse = Beam(*(float(x.to_value(u.deg)) for x in (found.major, found.minor, found.pa)))
            break
    whitener = np.linalg.inv(np.linalg.cholesky(ellipse.covariance()))
    widest = max(np.linalg.eigvalsh(whitener @ beam.covariance() @ whitener.T)[-1] for beam in beams)
    if widest <= 1 + 1e-12:
        return ellipse
    return Beam.from_covariance(ellipse.covariance() * widest)


def convolve_to(
    image: NDArray[np.floating], beam: Beam, target: Beam, cdelt_deg: tuple[float, float]
) -> NDArray[np.float64]:
    """Convolve an image in Jy/beam of `beam` to Jy/beam of `target`.

    Multiplies the image's Fourier transform by that of the Gaussian between the two beams,
    ``exp(-2 pi^2 k^T (C_target - C_beam) k)`` (1 at k = 0: flux is kept), and the result by the ratio of the beam
    areas. Pixels whose kernel reaches over a blank or the edge with more than 0.1 % of its weight become NaN.

    Parameters
    ----------
    image : (ny, nx) array
        May hold NaN.
    beam, target : Beam
        The image's beam, and one that is nowhere narrower.
    cdelt_deg : (float, float)
        Signed pixel size along x (east is positive) and y (north).
    """
    from scipy.fft import irfft2, next_fast_len, rfft2, rfftfreq

    blank = ~np.isfinite(image)
    scale = np.diag(1 / np.asarray(cdelt_deg))
    between = scale @ (target.covariance() - beam.covariance()) @ scale  # pixels^2, (x, y)
    widths = np.sqrt(np.clip(np.diag(between), 0, None))
    if widths.max() < 1e-4:  # a hundredth of a per cent of a pixel: the same beam
        return np.where(blank, np.nan, image).astype(np.float64)
    reach = np.ceil(TAIL_SIGMA * widths).astype(int)
    ny, nx = image.shape
    shape = next_fast_len(ny + 2 * int(reach[1]), real=True), next_fast_len(nx + 2 * int(reach[0]), real=True)
    ky = np.fft.fftfreq(shape[0])[:, None]
    kx = rfftfreq(shape[1])[None, :]
    transfer = np.exp(-2 * np.pi**2 * (between[0, 0] * kx**2 + 2 * between[0, 1] * kx * ky + between[1, 1] * ky**2))

    def smooth(plane: NDArray[np.floating]) -> NDArray[np.float64]:
        return irfft2(rfft2(plane.astype(np.float64), s=shape) * transfer, s=shape)[:ny, :nx]

    result = smooth(np.where(blank, 0, image)) * (target.area_deg2 / beam.area_deg2)
    result[blank | (smooth(~blank) < 1 - SPREAD_ALLOWED)] = np.nan
    return result
