"""Reading the pixels of a FITS image in blocks of rows, so that the memory does not grow with the image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK_PX = 1 << 20  # 4 MB of float32


def pixel_rows(hdu: Any) -> Iterator[tuple[int, NDArray[Any]]]:
    """Give the pixels of an image in blocks of rows.

    Parameters
    ----------
    hdu : astropy.io.fits.ImageHDU or PrimaryHDU
        Of a file opened with ``memmap=False``: the pages of a memory-mapped file count as memory of the process.
        Planes of a cube follow each other.

    Yields
    ------
    first : int
        Number of the first row; rows of all planes are counted together.
    block : numpy.ndarray, shape (rows, columns)
        At most `BLOCK_PX` pixels, or one row.
    """
    *leading, n_rows, n_columns = (1, *hdu.shape)[-max(2, len(hdu.shape)) :]
    step = max(1, BLOCK_PX // max(1, n_columns))
    first = 0
    for plane in np.ndindex(*leading):
        for row in range(0, n_rows, step):
            rows = slice(row, min(row + step, n_rows))
            block = hdu.section[(*plane, rows)] if len(hdu.shape) > 1 else hdu.section[:][None]
            yield first, block
            first += block.shape[0]
