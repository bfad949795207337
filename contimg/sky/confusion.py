"""Confusion: the noise of faint sources that a beam does not resolve."""

from __future__ import annotations

from contimg.sky.restoring_beam import RestoringBeam

_BREAK_ARCMIN = 0.17
"""Beams beyond this are confused by brighter sources, whose counts are less steep."""


def confusion_rms_jy(beam: RestoringBeam, freq_hz: float) -> float:
    """Return the noise of unresolved faint sources at a beam (Jy/beam).

    (f / GHz)^-0.7 x 0.2 mJy/beam (theta / arcmin)^2 above 0.17 arcmin and 2.2 mJy/beam (theta / arcmin)^(10/3) below,
    theta the geometric mean of the axes (Condon & Ransom, Essential Radio Astronomy, 2016; the second is equation 27
    of Condon et al. 2012, ApJ 758, 23: 1.2 uJy/beam at 3.02 GHz and 8 arcsec).
    """
    theta_arcmin = 60 * (beam.bmaj_deg * beam.bmin_deg) ** 0.5
    scale = 0.2e-3 * theta_arcmin**2 if theta_arcmin > _BREAK_ARCMIN else 2.2e-3 * theta_arcmin ** (10 / 3)
    return float(scale * (freq_hz / 1e9) ** -0.7)
