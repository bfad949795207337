"""The common beam of tiles, and convolution to it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from contimg.sky.restoring_beam import RestoringBeam

TAIL_SIGMA = 5.0
"""Half the width of the padding around an image, in standard deviations of the kernel."""
SPREAD_ALLOWED = 1e-3
"""Largest fraction of the kernel that may lie on blank pixels or outside: a third of the flux error allowed (0.3 %)."""
_SLACKS = (1e-3, 5e-3)
"""Values of radio-beam's ``epsilon``, by which the beams are enlarged before the fit, that are tried in turn."""
_SAME_BEAM_PX = 1e-4
"""Beams that differ by a narrower Gaussian than this are the same beam."""


def common_beam(beams: Sequence[RestoringBeam]) -> RestoringBeam:
    """Return a small beam to which every one of `beams` can be convolved.

    This is radio-beam's minimum ellipse that encloses all beams. Where it finds none (beams that are almost equal),
    its parameter ``epsilon`` is raised, and in the end the shape of the largest beam is taken. The ellipse is then
    scaled by the smallest factor with which it encloses all beams, the largest generalised eigenvalue of the
    covariances.
    """
    ellipse = _minimum_ellipse(beams) or max(beams, key=lambda beam: beam.area_rad2)
    whitener = np.linalg.inv(np.linalg.cholesky(ellipse.covariance()))
    widest = max(np.linalg.eigvalsh(whitener @ beam.covariance() @ whitener.T)[-1] for beam in beams)
    if widest <= 1 + 1e-12:
        return ellipse
    return RestoringBeam.from_covariance(ellipse.covariance() * widest)


def _minimum_ellipse(beams: Sequence[RestoringBeam]) -> RestoringBeam | None:
    """Return radio-beam's common beam; None where all beams are equal or radio-beam fails to find one."""
    import astropy.units as u
    from radio_beam import Beams
    from radio_beam.utils import BeamError

    if len(set(beams)) == 1:
        return None
    many = Beams(
        major=[beam.bmaj_deg * 3600 for beam in beams] * u.arcsec,
        minor=[beam.bmin_deg * 3600 for beam in beams] * u.arcsec,
        pa=[beam.bpa_deg for beam in beams] * u.deg,
    )
    for slack in _SLACKS:
        try:
            found = many.common_beam(max_epsilon=slack)
        except (BeamError, ValueError):
            continue
        return RestoringBeam.from_degrees(*(float(x.to_value(u.deg)) for x in (found.major, found.minor, found.pa)))
    return None


def convolve_to(
    image: NDArray[np.floating], beam: RestoringBeam, target: RestoringBeam, cdelt_deg: tuple[float, float]
) -> NDArray[np.float64]:
    """Convolve an image in Jy/beam of `beam` to Jy/beam of `target`.

    Multiplies the image's Fourier transform by that of the Gaussian between the two beams,
    ``exp(-2 pi^2 k^T (C_target - C_beam) k)`` (1 at k = 0: flux is kept), and the result by the ratio of the beam
    areas. Pixels whose kernel reaches over a blank or the edge with more than 0.1 % of its weight become NaN.

    Parameters
    ----------
    image : (ny, nx) array
        May hold NaN.
    beam, target : RestoringBeam
        The image's beam, and one that is nowhere narrower.
    cdelt_deg : (float, float)
        Signed pixel size along x (east is positive) and y (north).
    """
    from scipy.fft import irfft2, next_fast_len, rfft2, rfftfreq

    blank = ~np.isfinite(image)
    scale = np.diag(1 / np.radians(cdelt_deg))
    between = scale @ (target.covariance() - beam.covariance()) @ scale  # pixels^2, (x, y)
    widths = np.sqrt(np.clip(np.diag(between), 0, None))
    if widths.max() < _SAME_BEAM_PX:
        return np.where(blank, np.nan, image).astype(np.float64)
    reach = np.ceil(TAIL_SIGMA * widths).astype(int)
    ny, nx = image.shape
    shape = next_fast_len(ny + 2 * int(reach[1]), real=True), next_fast_len(nx + 2 * int(reach[0]), real=True)
    ky = np.fft.fftfreq(shape[0])[:, None]
    kx = rfftfreq(shape[1])[None, :]
    transfer = np.exp(-2 * np.pi**2 * (between[0, 0] * kx**2 + 2 * between[0, 1] * kx * ky + between[1, 1] * ky**2))

    def smooth(plane: NDArray[np.floating]) -> NDArray[np.float64]:
        return irfft2(rfft2(plane.astype(np.float64), s=shape) * transfer, s=shape)[:ny, :nx]

    result = smooth(np.where(blank, 0, image)) * (target.area_rad2 / beam.area_rad2)
    result[blank | (smooth(~blank) < 1 - SPREAD_ALLOWED)] = np.nan
    return result
