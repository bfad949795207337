"""The common beam of tiles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from contimg.sky.restoring_beam import RestoringBeam

MIN_BEAM_PX = 2.7
"""Least width (FWHM) of the common beam in pixels of the tiles. Smoothed to this width, a point source that had 2
pixels a beam is right between pixels to 0.29 % at worst, 0.11 % in the median; before, to 3 and 1.5 %."""
_SLACKS = (1e-3, 5e-3)
"""Values of radio-beam's ``epsilon``, by which the beams are enlarged before the fit, that are tried in turn."""


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


def sampled(beam: RestoringBeam, cell_deg: float) -> RestoringBeam:
    """Return a beam whose axes are at least `MIN_BEAM_PX` pixels wide.

    Pixels of less than that do not determine an image between them, see `fourier_image`. Convolution to the wider beam
    suppresses what they do not hold.
    """
    least = np.radians(MIN_BEAM_PX * cell_deg)
    if beam.bmin_rad >= least:
        return beam
    return RestoringBeam(max(beam.bmaj_rad, least), least, beam.bpa_rad)


def turned(beam: RestoringBeam, angle_deg: float) -> RestoringBeam:
    """Return a beam turned from north to east by an angle."""
    return RestoringBeam(beam.bmaj_rad, beam.bmin_rad, (beam.bpa_rad + np.radians(angle_deg)) % np.pi)
