"""The Sun and the brightest radio sources, which far sidelobes of the dishes let into every tile."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contimg.sky import geometry
from contimg.sky.sun import DAY_ALTITUDE_DEG, sun_apparent


@dataclass(frozen=True)
class FarSource:
    """A source that matters outside the main beam.

    Attributes
    ----------
    name : str
    diameter_arcmin : float
        Of a uniform disc of about its visibilities.
    icrs_deg : (float, float) or None
        None for the Sun, which moves.
    """

    name: str
    diameter_arcmin: float
    icrs_deg: tuple[float, float] | None

    def apparent(
        self, times_mjd: NDArray[np.float64], location: geometry.Location
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return apparent hour angle and declination (rad) at UTC times (n,)."""
        if self.icrs_deg is None:
            return sun_apparent(times_mjd, location)
        return geometry.apparent_from_icrs(np.radians(self.icrs_deg), times_mjd, location)


FAR_SOURCES = (
    FarSource("Sun", 32.0, None),
    FarSource("Cas A", 5.0, (350.850, 58.815)),
    FarSource("Cyg A", 1.8, (299.868, 40.734)),
    FarSource("Tau A", 5.0, (83.633, 22.015)),
    FarSource("Vir A", 1.0, (187.706, 12.391)),
)
"""Positions and sizes of the bright parts: Perley & Butler 2017 (ApJS 230, 7), table 1; the Sun's visible disc."""


def above_horizon(
    hour_angle_rad: NDArray[np.float64], dec_rad: NDArray[np.float64], location: geometry.Location
) -> NDArray[np.bool_]:
    """Return when a source is above the horizon (n,), with the refraction there."""
    latitude = location.latitude_rad
    zenith = np.array([np.cos(latitude), 0.0, np.sin(latitude)])
    return np.asarray(geometry.direction(hour_angle_rad, dec_rad) @ zenith > np.sin(np.radians(DAY_ALTITUDE_DEG)))
