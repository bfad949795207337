"""The restoring beam of an image: an elliptical Gaussian, as FITS headers (BMAJ, BMIN, BPA) hold it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FWHM_PER_SIGMA = math.sqrt(8 * math.log(2))
"""Full width at half maximum of a Gaussian over its standard deviation."""


@dataclass(frozen=True)
class RestoringBeam:
    """An elliptical Gaussian beam of peak 1.

    Attributes
    ----------
    bmaj_rad, bmin_rad : float
        Full widths at half maximum along the major and the minor axis.
    bpa_rad : float
        Position angle of the major axis, from local north through east.
    """

    bmaj_rad: float
    bmin_rad: float
    bpa_rad: float

    @classmethod
    def from_degrees(cls, bmaj_deg: float, bmin_deg: float, bpa_deg: float) -> RestoringBeam:
        """Return the beam of a FITS header's BMAJ, BMIN and BPA."""
        return cls(math.radians(bmaj_deg), math.radians(bmin_deg), math.radians(bpa_deg))

    @classmethod
    def from_covariance(cls, covariance: NDArray[np.float64]) -> RestoringBeam:
        """Return the beam with a (2, 2) covariance in (east, north), rad^2; its position angle is in [0, pi)."""
        variances, axes = np.linalg.eigh(covariance)
        fwhm = np.sqrt(variances) * FWHM_PER_SIGMA
        east, north = axes[:, 1]
        return cls(float(fwhm[1]), float(fwhm[0]), float(np.arctan2(east, north) % np.pi))

    @property
    def bmaj_deg(self) -> float:
        """Major axis (FWHM, deg)."""
        return math.degrees(self.bmaj_rad)

    @property
    def bmin_deg(self) -> float:
        """Minor axis (FWHM, deg)."""
        return math.degrees(self.bmin_rad)

    @property
    def bpa_deg(self) -> float:
        """Position angle from north through east (deg)."""
        return math.degrees(self.bpa_rad)

    @property
    def area_rad2(self) -> float:
        """Solid angle (rad^2): pi / (4 ln 2) x bmaj x bmin."""
        return math.pi * self.bmaj_rad * self.bmin_rad / (4 * math.log(2))

    def area_px(self, cell_rad: float) -> float:
        """Return the solid angle in pixels of a width (rad)."""
        return self.area_rad2 / cell_rad**2

    def covariance(self) -> NDArray[np.float64]:
        """Return the (2, 2) covariance in (east, north), rad^2."""
        sin, cos = math.sin(self.bpa_rad), math.cos(self.bpa_rad)
        axes = np.array([[sin, cos], [cos, -sin]])
        sigma = np.array([self.bmaj_rad, self.bmin_rad]) / FWHM_PER_SIGMA
        covariance: NDArray[np.float64] = (axes * sigma**2) @ axes.T
        return covariance

    def exponents(self) -> tuple[float, float, float]:
        """Return (a, b, c) of ``exp(-(a east^2 + 2 b east north + c north^2))`` (per rad^2)."""
        major, minor = 4 * math.log(2) / self.bmaj_rad**2, 4 * math.log(2) / self.bmin_rad**2
        sin, cos = math.sin(self.bpa_rad), math.cos(self.bpa_rad)
        # The major axis points along (east, north) = (sin, cos) of the position angle.
        return major * sin**2 + minor * cos**2, (major - minor) * sin * cos, major * cos**2 + minor * sin**2

    def facts(self) -> dict[str, float]:
        """Return the beam as twins hold it."""
        widths = {"bmaj_arcsec": self.bmaj_rad, "bmin_arcsec": self.bmin_rad}
        record = {key: round(math.degrees(angle) * 3600, 6) for key, angle in widths.items()}
        return record | {"bpa_deg": round(math.degrees(self.bpa_rad), 6)}
