"""The pixels of a tile image: a square SIN projection about the phase centre, RA increasing to the left."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class TileGrid:
    """A square of pixels in the orthographic (SIN) projection, FITS orientation.

    Arrays on it are indexed ``[y, x]`` with y towards north and x towards west. The phase centre is
    the centre of pixel ``(size_px // 2, size_px // 2)``, counted from 0, for odd and even sizes alike.

    Attributes
    ----------
    size_px : int
    cell_rad : float
        Pixel size, in direction cosines (rad at the centre).
    centre_rad : (float, float)
        ICRS right ascension and declination of the phase centre.
    """

    size_px: int
    cell_rad: float
    centre_rad: tuple[float, float]

    @property
    def middle(self) -> int:
        """The index, from 0, of the pixel that holds the phase centre."""
        return self.size_px // 2

    def halved(self, largest_rad: float) -> TileGrid:
        """Return the grid of every second pixel; this one if the pixels would exceed a size (rad), or not coincide."""
        if 2 * self.cell_rad > largest_rad or self.size_px % 4:
            return self
        return TileGrid(self.size_px // 2, 2 * self.cell_rad, self.centre_rad)

    def contains(self, east: NDArray[np.float64], north: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return whether the pixels closest to direction cosines (n,) lie on the image."""
        pixels = np.rint(self.pixels(east, north))
        return np.asarray(((pixels >= 0) & (pixels < self.size_px)).all(0))

    def cosines(self, x: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the direction cosines (l, m) of pixel positions counted from 0."""
        return -(np.asarray(x) - self.middle) * self.cell_rad, (np.asarray(y) - self.middle) * self.cell_rad

    def pixels(self, east: ArrayLike, north: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return pixel positions (x, y), counted from 0, of direction cosines."""
        return self.middle - np.asarray(east) / self.cell_rad, self.middle + np.asarray(north) / self.cell_rad

    def radec(self, east: ArrayLike, north: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return ICRS right ascension, in [0, 2 pi), and declination (rad) of direction cosines."""
        vector = self.vectors(east, north)
        return np.arctan2(vector[..., 1], vector[..., 0]) % (2 * np.pi), np.arcsin(vector[..., 2])

    def radec_cosines(self, ra_rad: ArrayLike, dec_rad: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the direction cosines of ICRS directions (rad) in the hemisphere of the centre."""
        ra0, dec0 = self.centre_rad
        dra, dec = np.asarray(ra_rad) - ra0, np.asarray(dec_rad)
        return np.cos(dec) * np.sin(dra), np.sin(dec) * math.cos(dec0) - np.cos(dec) * math.sin(dec0) * np.cos(dra)

    def vectors(self, east: ArrayLike, north: ArrayLike) -> NDArray[np.float64]:
        """Return ICRS unit vectors (..., 3) of direction cosines; NaN beyond the horizon."""
        ra0, dec0 = self.centre_rad
        east, north = np.broadcast_arrays(np.asarray(east, np.float64), np.asarray(north, np.float64))
        with np.errstate(invalid="ignore"):
            out = np.sqrt(1 - east**2 - north**2)
        sin_ra, cos_ra, sin_dec, cos_dec = math.sin(ra0), math.cos(ra0), math.sin(dec0), math.cos(dec0)
        e = np.array([-sin_ra, cos_ra, 0.0])
        n = np.array([-sin_dec * cos_ra, -sin_dec * sin_ra, cos_dec])
        s = np.array([cos_dec * cos_ra, cos_dec * sin_ra, sin_dec])
        return east[..., None] * e + north[..., None] * n + out[..., None] * s
