"""The pixel grid of a mosaic: the smallest tangent plane (TAN projection) that holds all tiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.errors import ConfigError
from contimg.sky.spherical import separation

MAX_RADIUS_DEG = 30.0
"""Largest radius of a mosaic: farther out the projection enlarges areas by more than 1/cos^3(30 deg) = 1.54."""


@dataclass(frozen=True)
class Footprint:
    """The area of a tile above the beam limit: its phase centre and the outermost pixels of the area (ICRS, deg)."""

    centre_deg: tuple[float, float]
    rim_deg: NDArray[np.float64]  # (n, 2)


@dataclass(frozen=True)
class MosaicGrid:
    """A tangent-plane (TAN) pixel grid, north up, east left.

    Attributes
    ----------
    centre_deg : (float, float)
        CRVAL: ICRS right ascension in [0, 360) and declination.
    cell_deg : float
        Pixel size.
    crpix : (int, int)
        FITS (1-based) pixel of the tangent point along x and y; whole, and possibly outside the array.
    shape : (int, int)
        (ny, nx).
    """

    centre_deg: tuple[float, float]
    cell_deg: float
    crpix: tuple[int, int]
    shape: tuple[int, int]

    def wcs(self) -> Any:
        """Return the astropy WCS."""
        from astropy.wcs import WCS

        wcs = WCS(naxis=2)
        wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
        wcs.wcs.cunit = ["deg", "deg"]
        wcs.wcs.crval = self.centre_deg
        wcs.wcs.cdelt = [-self.cell_deg, self.cell_deg]
        wcs.wcs.crpix = self.crpix
        wcs.wcs.radesys = "ICRS"
        wcs.wcs.set()
        wcs.array_shape = self.shape
        return wcs

    def cutout(self, rows: slice, columns: slice) -> MosaicGrid:
        """Return the grid of a part of the array: the same pixels."""
        return MosaicGrid(
            self.centre_deg,
            self.cell_deg,
            (self.crpix[0] - columns.start, self.crpix[1] - rows.start),
            (rows.stop - rows.start, columns.stop - columns.start),
        )

    def box(self, footprint: Footprint) -> tuple[slice, slice]:
        """Return the rows and columns of the smallest box in the array that holds a footprint."""
        low, high = _extent(self.wcs(), footprint)
        rows, columns = (slice(max(0, int(low[i])), min(self.shape[1 - i], int(high[i]) + 1)) for i in (1, 0))
        return rows, columns

    def pixel_area_deg2(self, rows: slice) -> NDArray[np.float64]:
        """Return the solid angle of each pixel of some rows: cell^2 cos^3 of its distance from the centre."""
        x = np.deg2rad(self.cell_deg) * (np.arange(self.shape[1]) + 1 - self.crpix[0])
        y = np.deg2rad(self.cell_deg) * (np.arange(self.shape[0])[rows] + 1 - self.crpix[1])
        return self.cell_deg**2 * (1 + y[:, None] ** 2 + x[None, :] ** 2) ** -1.5


def circular_mean_deg(angles_deg: Sequence[float]) -> float:
    """Return the mean direction of angles, in [0, 360): 350, 5 and 10 give 1.7."""
    angles = np.deg2rad(np.asarray(angles_deg, dtype=np.float64))
    mean = np.rad2deg(np.arctan2(np.sin(angles).sum(), np.cos(angles).sum()))
    # 1e-9 deg is 4 microarcsec: so -1e-17 becomes 0, not 360.
    return float(np.round(mean, 9) % 360)


def footprint_of(wcs: Any, used: NDArray[np.bool_]) -> Footprint:
    """Return the footprint of an image's used pixels.

    Parameters
    ----------
    wcs : astropy.wcs.WCS
        Celestial, two axes, ICRS.
    used : (ny, nx) bool
        Not all False.
    """
    from scipy.ndimage import binary_erosion

    rim = used & ~binary_erosion(used)
    y, x = np.nonzero(rim)
    rim_deg = np.column_stack(wcs.all_pix2world(x, y, 0))
    ra, dec = (float(angle) for angle in wcs.wcs.crval)
    return Footprint((ra % 360, dec), rim_deg)


def make_grid(footprints: Sequence[Footprint], cell_arcsec: float, max_size_px: int) -> MosaicGrid:
    """Return the smallest grid that holds every footprint.

    The tangent point is the circular mean of the tiles' right ascensions, which is correct across 0 h, and the mean of
    their declinations; the extent is measured on the tangent plane.

    Parameters
    ----------
    footprints : sequence of Footprint
    cell_arcsec : float
        Pixel size, which is used as it is.
    max_size_px : int
        Largest width or height.

    Raises
    ------
    ConfigError
        If the mosaic would be larger, or reach more than 30 deg from its centre.
    """
    centre = (
        circular_mean_deg([f.centre_deg[0] for f in footprints]),
        float(np.round(np.mean([f.centre_deg[1] for f in footprints]), 9)),
    )
    radius = max(np.degrees(separation(*np.radians(f.rim_deg).T, *np.radians(centre))).max() for f in footprints)
    if radius > MAX_RADIUS_DEG:
        raise ConfigError(
            f"the mosaic would reach {radius:.1f} deg from its centre, but one tangent plane holds"
            f" {MAX_RADIUS_DEG:.0f} deg: lower group.tiles, or check the nights that were grouped"
        )
    plane = MosaicGrid(centre, cell_arcsec / 3600, (0, 0), (1, 1)).wcs()
    extents = np.array([_extent(plane, f) for f in footprints])
    low, high = extents[:, 0].min(axis=0), extents[:, 1].max(axis=0)
    nx, ny = (int(n) for n in high - low + 1)
    if max(nx, ny) > max_size_px:
        raise ConfigError(
            f"the mosaic would be {nx} x {ny} pixels of {cell_arcsec:g} arcsec, more than mosaic.max_size_px"
            f" ({max_size_px}): raise mosaic.max_size_px, or check the nights that were grouped"
        )
    return MosaicGrid(centre, cell_arcsec / 3600, (-int(low[0]), -int(low[1])), (ny, nx))


def _extent(wcs: Any, footprint: Footprint) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the first and last pixel (x, y; 0-based) that a footprint touches."""
    x, y = wcs.all_world2pix(footprint.rim_deg[:, 0], footprint.rim_deg[:, 1], 0)
    low = np.floor([x.min(), y.min()])
    high = np.ceil([x.max(), y.max()])
    return low, high
