"""Confusion: the noise of faint sources that a beam does not resolve."""

from __future__ import annotations

from contimg.sky.restoring_beam import RestoringBeam


def confusion_rms_jy(beam: RestoringBeam, freq_hz: float) -> float:
    """Return the noise of unresolved faint sources at a beam (Jy/beam).

    1.2 uJy/beam x (f / 3.02 GHz)^-0.7 x (theta / 8 arcsec)^(10/3), theta the geometric mean of the axes (Condon et al.
    2012, ApJ 758, 23, equation 27).
    """
    theta_arcsec = 3600 * (beam.bmaj_deg * beam.bmin_deg) ** 0.5
    return float(1.2e-6 * (freq_hz / 3.02e9) ** -0.7 * (theta_arcsec / 8) ** (10 / 3))
