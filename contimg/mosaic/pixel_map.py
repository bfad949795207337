"""Pixel coordinates of a tile at the pixels of a mosaic, by Chebyshev polynomials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.polynomial.chebyshev import chebval2d, chebvander
from numpy.typing import NDArray

from contimg.mosaic.grid import MosaicGrid

TERMS = 24
"""Terms of the polynomials in each coordinate. Projections are analytic functions whose nearest singularity, a pole, is
several tile widths away, so that the error falls by that factor with each term: it is below 1e-9 pixels (tested)."""
_ROUNDING = 1e-7


@dataclass(frozen=True)
class PixelMap:
    """The map from pixels of a cut-out of the mosaic to pixels of a tile.

    Attributes
    ----------
    shape : (int, int)
        (ny, nx) of the cut-out.
    coefficients : (2, TERMS, TERMS) float64
        Of the tile's row and column, by terms in the cut-out's row and column.
    """

    shape: tuple[int, int]
    coefficients: NDArray[np.float64]

    def rows(self, rows: slice) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return row and column (0-based) of the tile at each pixel of some rows of the cut-out."""
        down = chebvander(_scaled(np.arange(rows.start, rows.stop), self.shape[0]), TERMS - 1)
        across = chebvander(_scaled(np.arange(self.shape[1]), self.shape[1]), TERMS - 1)
        y, x = (down @ plane @ across.T for plane in self.coefficients)
        return y, x

    @classmethod
    def of_pixels(cls, shape: tuple[int, int]) -> PixelMap:
        """Return the map of an image's pixels to themselves."""
        coefficients = np.zeros((2, TERMS, TERMS))
        middle = [(n - 1) / 2 for n in shape]
        coefficients[0, :2, 0] = middle[0]
        coefficients[1, 0, :2] = middle[1]
        return cls(shape, coefficients)

    def plane(self, values: NDArray[np.float64]) -> SmoothPlane:
        """Return the plane whose values are known at the nodes of this map."""
        inverse = np.linalg.inv(chebvander(_nodes(), TERMS - 1))
        return SmoothPlane(self.shape, (inverse @ values @ inverse.T).astype(np.float32))

    def nodes(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return row and column (0-based) of the tile at the TERMS x TERMS nodes."""
        at = chebvander(_nodes(), TERMS - 1)
        y, x = (at @ plane @ at.T for plane in self.coefficients)
        return y, x


@dataclass(frozen=True)
class SmoothPlane:
    """A smooth function over the pixels of a cut-out, by its coefficients (TERMS, TERMS)."""

    shape: tuple[int, int]
    coefficients: NDArray[np.float32]

    def at(self, y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the function at rows and columns (0-based; any shape), which may lie a little outside."""
        down, across = (2 * at / max(n - 1, 1) - 1 for at, n in zip((y, x), self.shape, strict=True))
        return np.asarray(chebval2d(down, across, self.coefficients.astype(np.float64)), np.float64)

    def without_noise(self) -> SmoothPlane:
        """Return the plane without terms below 1e-7 of the largest, which are rounding errors of single precision."""
        size = np.abs(self.coefficients)
        return SmoothPlane(self.shape, np.where(size < _ROUNDING * size.max(), 0, self.coefficients).astype(np.float32))

    def rows(self, rows: slice) -> NDArray[np.float32]:
        """Return the function at each pixel of some rows."""
        down = chebvander(_scaled(np.arange(rows.start, rows.stop), self.shape[0]), TERMS - 1).astype(np.float32)
        across = chebvander(_scaled(np.arange(self.shape[1]), self.shape[1]), TERMS - 1).astype(np.float32)
        return np.asarray(down @ self.coefficients @ across.T)


def _nodes() -> NDArray[np.float64]:
    return np.asarray(np.cos(np.pi * (np.arange(TERMS) + 0.5) / TERMS))


def pixel_map(cut: MosaicGrid, wcs: Any) -> PixelMap:
    """Return the map from a cut-out of the mosaic to the pixels of an image with a WCS.

    Both transformations are computed exactly at TERMS x TERMS Chebyshev nodes.
    """
    nodes = _nodes()
    y, x = np.meshgrid(*((nodes + 1) * max(n - 1, 1) / 2 for n in cut.shape), indexing="ij")
    world = cut.wcs().all_pix2world(x.ravel(), y.ravel(), 0)
    there = [place.reshape(x.shape) for place in wcs.all_world2pix(*world, 0)]
    inverse = np.linalg.inv(chebvander(nodes, TERMS - 1))
    return PixelMap(cut.shape, np.stack([inverse @ plane @ inverse.T for plane in there[::-1]]))


def _scaled(pixels: NDArray[np.int_], n: int) -> NDArray[np.float64]:
    """Return pixel numbers from 0 to n - 1 as the argument of Chebyshev polynomials, -1 to 1."""
    return 2 * pixels / max(n - 1, 1) - 1
