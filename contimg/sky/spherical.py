"""Spherical trigonometry: separations and unit vectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def separation(ra1_rad: ArrayLike, dec1_rad: ArrayLike, ra2_rad: ArrayLike, dec2_rad: ArrayLike) -> NDArray[np.float64]:
    """Return the angular separation (rad) of directions, accurate at small and large angles alike (haversine formula).

    Parameters
    ----------
    ra1_rad, dec1_rad, ra2_rad, dec2_rad : array_like
        Right ascensions and declinations (rad), broadcast against each other.
    """
    ra1, dec1, ra2, dec2 = (np.asarray(value, np.float64) for value in (ra1_rad, dec1_rad, ra2_rad, dec2_rad))
    haversine = np.sin((dec2 - dec1) / 2) ** 2 + np.cos(dec1) * np.cos(dec2) * np.sin((ra2 - ra1) / 2) ** 2
    return np.asarray(2 * np.arcsin(np.sqrt(np.clip(haversine, 0, 1))))


def unit_vectors(radec_rad: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the unit vectors (..., 3) of right ascensions and declinations (..., 2) in rad."""
    ra, dec = radec_rad[..., 0], radec_rad[..., 1]
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1)
