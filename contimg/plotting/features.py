"""What a picture of the sky points out: its brightest pixels, its most negative one, the part with the least noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contimg.statistics import interpolated_peak

BELOW_SIGMA = 5.0
"""Pixels below minus this are counted: of Gaussian noise one in 3.5 million is."""
APART_BEAMS = 4
"""Least distance of two sources that are pointed out."""


@dataclass(frozen=True)
class Pixel:
    """A pixel (row, column) and its value; of a source the peak between pixels."""

    y: int
    x: int
    value: float


@dataclass(frozen=True)
class Features:
    """What stands out in an image.

    Attributes
    ----------
    brightest : list of Pixel
        Brightest first, at least a distance apart, with their peaks between pixels (Jy/beam).
    lowest : Pixel or None
        The lowest pixel over its noise (sigma); None in an image without noise.
    highest : float
        Largest value over its noise (sigma).
    below : int
        Number of pixels below -5 sigma.
    quietest : Pixel or None
        A pixel of the least noise (Jy/beam), the one nearest to the middle of them.
    """

    brightest: list[Pixel]
    lowest: Pixel | None
    highest: float
    below: int
    quietest: Pixel | None


def find_features(
    image: NDArray[np.floating], noise: NDArray[np.floating] | float, block: int, apart: int, count: int = 5
) -> Features:
    """Return what stands out in an image, read in strips so that no copy of it is made.

    Parameters
    ----------
    image : (ny, nx) array
        NaN where there is none.
    noise : (ny, nx) array or float
        Noise of each pixel, or of all.
    block : int
        Size of the blocks (pixels) of which the extremes are kept; about a beam.
    apart : int
        Least distance of two of the brightest pixels, in blocks.
    count : int
        How many of the brightest to return.
    """
    ny = len(image)
    highest, lowest = -np.inf, Pixel(0, 0, np.inf)
    below, maxima, noises = 0, [], []
    for first in range(0, ny, block):
        part = np.asarray(image[first : first + block], np.float32)
        sigma = noise if isinstance(noise, float) else noise[first : first + block]
        with np.errstate(invalid="ignore", divide="ignore"):
            over = part / np.float32(sigma) if isinstance(sigma, float) else part / sigma
        known = np.isfinite(over)
        maxima.append(_block_extremes(np.where(np.isfinite(part), part, -np.inf), block, np.max))
        level = np.full(part.shape, sigma, np.float32) if isinstance(sigma, float) else sigma
        noises.append(_block_extremes(np.where(known, level, np.inf), block, np.min))
        if known.any():
            below += int(np.count_nonzero(over[known] < -BELOW_SIGMA))
            highest = max(highest, float(over[known].max()))
            y, x = np.unravel_index(np.argmin(np.where(known, over, np.inf)), over.shape)
            if over[y, x] < lowest.value:
                lowest = Pixel(first + int(y), int(x), float(over[y, x]))
    brightest = _brightest(image, np.array(maxima), block, apart, count)
    return Features(
        brightest, lowest if np.isfinite(lowest.value) else None, highest, below, _quietest(np.array(noises), block)
    )


def _block_extremes(rows: NDArray[np.float32], block: int, extreme: np.ufunc | object) -> NDArray[np.float32]:
    """Return the extremes of a strip by blocks of columns."""
    width = -(-rows.shape[1] // block) * block
    padded = np.pad(rows, ((0, 0), (0, width - rows.shape[1])), mode="edge")
    shaped = padded.reshape(len(rows), width // block, block)
    return np.asarray(extreme(shaped, axis=(0, 2)), np.float32)  # type: ignore[operator]


def _brightest(
    image: NDArray[np.floating], maxima: NDArray[np.float32], block: int, apart: int, count: int
) -> list[Pixel]:
    """Return the brightest peaks that are apart from each other."""
    left, found = maxima.copy(), list[Pixel]()
    rows, columns = np.ogrid[: left.shape[0], : left.shape[1]]
    for _ in range(count):
        row, column = divmod(int(np.argmax(left)), left.shape[1])
        if not np.isfinite(left[row, column]):
            break
        part = image[row * block : (row + 1) * block, column * block : (column + 1) * block]
        y, x = divmod(int(np.nanargmax(part)), part.shape[1])
        y, x = row * block + y, column * block + x
        found.append(Pixel(y, x, interpolated_peak(image, y, x)))
        left[np.hypot(rows - row, columns - column) < apart] = -np.inf
    return sorted(found, key=lambda pixel: -pixel.value)


def _quietest(noises: NDArray[np.float32], block: int) -> Pixel | None:
    """Return the middle of the block with the least noise; of those within 1 % of it, the nearest to the middle."""
    least = float(noises.min())
    if not np.isfinite(least):
        return None
    rows, columns = np.nonzero(noises <= 1.01 * least)
    middle = (np.array(noises.shape) - 1) / 2
    nearest = int(np.argmin(np.hypot(rows - middle[0], columns - middle[1])))
    half = block // 2
    return Pixel(int(rows[nearest]) * block + half, int(columns[nearest]) * block + half, least)
