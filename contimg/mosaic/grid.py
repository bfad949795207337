"""The pixel grid of a mosaic: an equal-area projection along the strip's declination.

A strip is a band of declination a few degrees high and, with many tiles, up to an hour or more of right ascension long.
The projection is Albers' equal-area conic with one standard parallel, the strip's declination (FITS code COE), or its
limit at the equator, the cylindrical equal-area projection (CEA); Calabretta & Greisen 2002, A&A 395, 1077, sections
5.4.3 and 5.2.2. All pixels have the same solid angle, and lengths depend on declination alone: along the parallel they
are right at the strip's declination and too long by k(dec) elsewhere, by about half the square of the distance, however
long the strip is. On a tangent plane they grow with the distance from the centre, along the strip too (7 % at 15 deg).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.errors import ConfigError

MAX_STRETCH = 0.003
"""Largest deviation of the scale from 1 anywhere in a mosaic: the header's beam then gives fluxes to half of this."""
EQUATOR_DEG = 0.05
"""Strips nearer to the equator are projected on a cylinder: the cone's apex would be more than 1000 rad away."""
MAX_SPAN_DEG = 170.0
"""Largest extent of a mosaic in right ascension from its centre."""


@dataclass(frozen=True)
class Footprint:
    """The area of a tile above the beam limit: its phase centre and the outermost pixels of the area (ICRS, deg)."""

    centre_deg: tuple[float, float]
    rim_deg: NDArray[np.float64]  # (n, 2)


@dataclass(frozen=True)
class MosaicGrid:
    """An equal-area pixel grid along a parallel; north is up at the centre, east left.

    Attributes
    ----------
    centre_deg : (float, float)
        Reference point: ICRS right ascension in [0, 360) and declination, the standard parallel.
    cell_deg : float
        Pixel size at the standard parallel; its square is the solid angle of every pixel.
    crpix : (int, int)
        FITS (1-based) pixel of the reference point along x and y; whole, and possibly outside the array.
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

        ra, dec = self.centre_deg
        wcs = WCS(naxis=2)
        if self.cylindrical:
            wcs.wcs.ctype = ["RA---CEA", "DEC--CEA"]
            wcs.wcs.set_pv([(2, 1, 1.0)])  # the equator is the standard parallel
        else:
            wcs.wcs.ctype = ["RA---COE", "DEC--COE"]
            wcs.wcs.set_pv([(2, 1, dec), (2, 2, 0.0)])
        wcs.wcs.cunit = ["deg", "deg"]
        # The reference point of a cylindrical projection lies on the equator.
        wcs.wcs.crval = [ra, 0.0 if self.cylindrical else dec]
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

    @property
    def cylindrical(self) -> bool:
        """Whether the projection is CEA, with the equator as its standard parallel, and not COE."""
        return abs(self.centre_deg[1]) < EQUATOR_DEG

    def north_deg(self, ra_deg: float) -> float:
        """Return the position angle of local north, counted from the y axis towards east (-x), at a right ascension.

        Meridians are straight lines towards the cone's apex: the angle is -(ra - ra0) sin(dec0), at any declination.
        """
        if self.cylindrical:
            return 0.0
        east_deg = (ra_deg - self.centre_deg[0] + 180) % 360 - 180
        return -east_deg * float(np.sin(np.radians(self.centre_deg[1])))

    def stretch(self, dec_deg: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return by how much lengths along a parallel are projected too long; along a meridian they are too short by
        the same factor.

        For COE with one standard parallel it is sqrt(1 + s^2 - 2 s sin(dec)) / cos(dec), s the sine of the parallel.
        """
        dec = np.radians(dec_deg)
        parallel = 0.0 if self.cylindrical else np.sin(np.radians(self.centre_deg[1]))
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.sqrt(1 + parallel**2 - 2 * parallel * np.sin(dec)) / np.cos(dec)

    def worst_stretch(self, footprints: Sequence[Footprint]) -> float:
        """Return the largest deviation of the scale from 1 in some footprints; infinity where they reach a pole.

        Lengths are wrong by it at most, and the flux densities of sources that are measured with the header's beam by
        half of it at most, as pixels have one solid angle.
        """
        dec = np.concatenate([one.rim_deg[:, 1] for one in footprints])
        return float(np.nan_to_num(np.abs(self.stretch(dec) - 1), nan=np.inf).max())


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

    Its reference point is the circular mean of the tiles' right ascensions, which is correct across 0 h, and the mean
    of their declinations.

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
        If the mosaic would be larger, or stretched by more than 0.3 % somewhere, or go round the pole.
    """
    centre = (
        circular_mean_deg([f.centre_deg[0] for f in footprints]),
        float(np.round(np.mean([f.centre_deg[1] for f in footprints]), 9)),
    )
    plane = MosaicGrid(centre, cell_arcsec / 3600, (0, 0), (1, 1))
    _check_shape(plane, footprints)
    extents = np.array([_extent(plane.wcs(), f) for f in footprints])
    low, high = extents[:, 0].min(axis=0), extents[:, 1].max(axis=0)
    nx, ny = (int(n) for n in high - low + 1)
    if max(nx, ny) > max_size_px:
        raise ConfigError(
            f"the mosaic would be {nx} x {ny} pixels of {cell_arcsec:g} arcsec, more than mosaic.max_size_px"
            f" ({max_size_px}): raise mosaic.max_size_px, lower group.tiles, or check the nights that were grouped"
        )
    return MosaicGrid(centre, cell_arcsec / 3600, (-int(low[0]), -int(low[1])), (ny, nx))


def extended(grid: MosaicGrid, footprint: Footprint, max_size_px: int) -> MosaicGrid:
    """Return a grid of the same pixels whose array holds a footprint too.

    Raises
    ------
    ConfigError
        As `make_grid`.
    """
    _check_shape(grid, [footprint])
    low, high = _extent(grid.wcs(), footprint)
    left, top = (max(0, -int(one)) for one in low)
    ny, nx = grid.shape
    nx, ny = max(nx, int(high[0]) + 1) + left, max(ny, int(high[1]) + 1) + top
    if max(nx, ny) > max_size_px:
        raise ConfigError(
            f"the image would be {nx} x {ny} pixels, more than mosaic.max_size_px ({max_size_px}): raise"
            " mosaic.max_size_px, or keep right ascensions apart"
        )
    return MosaicGrid(grid.centre_deg, grid.cell_deg, (grid.crpix[0] + left, grid.crpix[1] + top), (ny, nx))


def _check_shape(plane: MosaicGrid, footprints: Sequence[Footprint]) -> None:
    """Raise `ConfigError` if footprints reach too far from the standard parallel, or too far along it."""
    rim = np.concatenate([f.rim_deg for f in footprints])
    east_deg = (rim[:, 0] - plane.centre_deg[0] + 180) % 360 - 180
    if np.abs(east_deg).max() > MAX_SPAN_DEG:
        raise ConfigError(
            f"the mosaic would reach {np.abs(east_deg).max():.0f} deg in right ascension from its centre, where one"
            f" projection holds {MAX_SPAN_DEG:.0f} deg: lower group.tiles, or check the nights that were grouped"
        )
    stretch = np.abs(plane.stretch(rim[:, 1]) - 1)
    worst = int(np.argmax(np.nan_to_num(stretch, nan=np.inf)))
    if not stretch[worst] <= MAX_STRETCH:
        raise ConfigError(
            f"the mosaic would reach from declination {plane.centre_deg[1]:.2f} to {rim[worst, 1]:.2f} deg, where its"
            f" pixels are stretched by {stretch[worst]:.1%} ({MAX_STRETCH:.1%} are allowed): lower"
            " group.max_dec_difference_deg or image.size_px, or check the nights that were grouped"
        )


def _extent(wcs: Any, footprint: Footprint) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the first and last pixel (x, y; 0-based) that a footprint touches."""
    x, y = wcs.all_world2pix(footprint.rim_deg[:, 0], footprint.rim_deg[:, 1], 0)
    low = np.floor([x.min(), y.min()])
    high = np.ceil([x.max(), y.max()])
    return low, high
