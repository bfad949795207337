"""Pixel coordinates of a tile at the pixels of a mosaic, by Chebyshev polynomials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.polynomial.chebyshev import chebvander
from numpy.typing import NDArray

from contimg.mosaic.grid import MosaicGrid

TERMS = 24
"""Terms of the polynomials in each coordinate. Projections are analytic functions whose nearest singularity, a pole, is
several tile widths away, so that the error falls by that factor with each term: it is below 1e-9 pixels (tested)."""


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


def pixel_map(cut: MosaicGrid, wcs: Any) -> PixelMap:
    """Return the map from a cut-out of the mosaic to the pixels of an image with a WCS.

    Both transformations are computed exactly at TERMS x TERMS Chebyshev nodes.
    """
    nodes = np.cos(np.pi * (np.arange(TERMS) + 0.5) / TERMS)
    y, x = np.meshgrid(*((nodes + 1) * max(n - 1, 1) / 2 for n in cut.shape), indexing="ij")
    world = cut.wcs().all_pix2world(x.ravel(), y.ravel(), 0)
    there = [place.reshape(x.shape) for place in wcs.all_world2pix(*world, 0)]
    inverse = np.linalg.inv(chebvander(nodes, TERMS - 1))
    return PixelMap(cut.shape, np.stack([inverse @ plane @ inverse.T for plane in there[::-1]]))


def _scaled(pixels: NDArray[np.int_], n: int) -> NDArray[np.float64]:
    """Return pixel numbers from 0 to n - 1 as the argument of Chebyshev polynomials, -1 to 1."""
    return 2 * pixels / max(n - 1, 1) - 1
