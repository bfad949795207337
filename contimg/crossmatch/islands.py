"""Islands of bright pixels in an image, and the peaks in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contimg.crossmatch.gaussian_fit import Pixels

_NOISE_PIXELS = 4_000_000
_NOISE_SIGMA = 4.0
_BAND_ROWS = 200
_FEWEST = 2000
_LAGS = ((0, 1), (1, 0), (1, 1), (1, -1))
_LIMITS = (0.5, 1.5)

REACH_BEAMS = 1.0
"""Distance from a peak up to which pixels are fitted, in beams (FWHM): a Gaussian has fallen to 1/16 there."""


MOST_PIXELS = 600
"""Largest number of pixels of a fit, whose time grows with the third power of that number."""


@dataclass(frozen=True)
class SkyImage:
    """An image with its noise.

    Attributes
    ----------
    data, rms : (ny, nx) array
        Jy/beam; NaN outside the footprint.
    beam : (2, 2) float64
        Covariance of the restoring beam in (x, y), pixels^2.
    noise : (2, 2) float64
        N of the noise's correlation ``exp(-d^T N^-1 d / 2)``, pixels^2; see `noise_correlation`.
    """

    data: NDArray[np.floating]
    rms: NDArray[np.floating]
    beam: NDArray[np.float64]
    noise: NDArray[np.float64]

    @property
    def fwhm_px(self) -> float:
        """Major axis of the beam in pixels."""
        return float(np.sqrt(8 * np.log(2) * np.linalg.eigvalsh(self.beam)[-1]))


@dataclass(frozen=True)
class Island:
    """Connected pixels above a level.

    Attributes
    ----------
    label : int
    peaks : (k, 2) int
        Row and column of its maxima, brightest first.
    """

    label: int
    peaks: NDArray[np.int64]


@dataclass(frozen=True)
class Islands:
    """All islands with a peak above a threshold.

    Attributes
    ----------
    labels : (ny, nx) int32
        Island of each pixel; 0 in none.
    found : list of Island
    """

    labels: NDArray[np.int32]
    found: list[Island]


def find_islands(image: SkyImage, peak_sigma: float, island_sigma: float) -> Islands:
    """Find islands and their maxima of 3 x 3 pixels.

    Parameters
    ----------
    image : SkyImage
    peak_sigma, island_sigma : float
        Least value of a maximum, and of an island's pixels, in local rms.
    """
    from scipy.ndimage import label

    mask = np.zeros(image.data.shape, bool)
    for rows in _blocks(len(mask)):
        with np.errstate(invalid="ignore"):
            mask[rows] = image.data[rows] >= island_sigma * image.rms[rows]
    labels, _ = label(mask, np.ones((3, 3)), output=np.int32)
    row, column = np.nonzero(mask)
    value = image.data[row, column]
    high = value >= peak_sigma * image.rms[row, column]
    row, column, value = row[high], column[high], value[high]
    top = np.ones(len(row), bool)
    neighbours: list[tuple[int, int]] = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]
    for dy, dx in neighbours:
        y, x = row + dy, column + dx
        there = (y >= 0) & (y < len(labels)) & (x >= 0) & (x < len(labels[0]))
        beside = np.full(len(row), -np.inf)
        beside[there] = np.nan_to_num(image.data[y[there], x[there]], nan=-np.inf)
        top &= (value > beside) | ((value == beside) & ((dy, dx) > (0, 0)))
    row, column, value = row[top], column[top], value[top]
    order = np.lexsort((-value, labels[row, column]))
    peaks, island = np.column_stack([row, column])[order], labels[row, column][order]
    starts = np.nonzero(np.diff(island, prepend=0))[0]
    groups = np.split(peaks, starts[1:]) if len(peaks) else []
    return Islands(labels, [Island(int(island[start]), group) for start, group in zip(starts, groups, strict=True)])


def _blocks(n: int, rows: int = 512) -> Iterator[slice]:
    return (slice(start, min(start + rows, n)) for start in range(0, n, rows))


def pixels_of(image: SkyImage, islands: Islands, island: int, peaks: NDArray[np.int64]) -> Pixels:
    """Return the pixels within a beam of some peaks and those of their island between them, of no other island.

    Of more than `MOST_PIXELS`, evenly spaced ones.

    Parameters
    ----------
    image : SkyImage
    islands : Islands
    island : int
        Label of the peaks' island.
    peaks : (k, 2) int
    """
    reach = int(np.ceil(REACH_BEAMS * image.fwhm_px))
    low = np.maximum(peaks.min(axis=0) - reach, 0)
    high = np.minimum(peaks.max(axis=0) + reach + 1, image.data.shape)
    box = (slice(low[0], high[0]), slice(low[1], high[1]))
    near = np.zeros(image.data[box].shape, bool)
    y, x = np.mgrid[box]
    inverse = np.linalg.inv(image.beam) / (8 * np.log(2))
    for row, column in peaks:
        dy, dx = y - row, x - column
        near |= inverse[0, 0] * dx**2 + 2 * inverse[0, 1] * dx * dy + inverse[1, 1] * dy**2 <= REACH_BEAMS**2
    labels = islands.labels[box]
    near = (near & (labels == 0)) | (labels == island)
    near &= np.isfinite(image.data[box]) & (image.rms[box] > 0)
    thin = -(-int(near.sum()) // MOST_PIXELS)
    return Pixels(
        x[near][::thin].astype(np.float64),
        y[near][::thin].astype(np.float64),
        image.data[box][near][::thin].astype(np.float64),
        image.rms[box][near][::thin].astype(np.float64),
        image.beam,
        image.noise,
    )


def noise_correlation(
    data: NDArray[np.floating], rms: NDArray[np.floating], beam: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the covariance N of the noise's correlation ``exp(-d^T N^-1 d / 2)``, measured on neighbouring pixels.

    White noise convolved with the beam has N = 2 beam; noise that is not weighted like its beam differs. Bright pixels
    and what lies within a beam of them are left out. It is measured in bands of rows, evenly spaced.

    Parameters
    ----------
    data, rms : (ny, nx) array
        Jy/beam.
    beam : (2, 2) float64
        Covariance of the beam (pixels^2): twice this is returned where nothing can be measured, and N is limited to
        half and to one and a half times that.
    """
    from scipy.ndimage import maximum_filter

    width = 2 * int(np.ceil(np.sqrt(8 * np.log(2) * np.linalg.eigvalsh(beam)[-1]))) + 1
    step = max(1, data.size // _NOISE_PIXELS) * _BAND_ROWS
    products, power, number = dict.fromkeys(_LAGS, 0.0), dict.fromkeys(_LAGS, 0.0), 0
    for start in range(0, len(data), step):
        rows = slice(start, start + _BAND_ROWS)
        with np.errstate(invalid="ignore", divide="ignore"):
            band = data[rows] / rms[rows]
        quiet = np.isfinite(band) & ~maximum_filter(np.abs(np.nan_to_num(band)) > _NOISE_SIGMA, width)
        number += int(quiet.sum())
        for dy, dx in _LAGS:
            first = np.s_[: len(band) - dy, max(0, -dx) : band.shape[1] - max(0, dx)]
            other = np.s_[dy:, max(0, dx) : band.shape[1] + min(0, dx)]
            one, two = (band[part][quiet[first] & quiet[other]] for part in (first, other))
            products[dy, dx] += float(one @ two)
            power[dy, dx] += float(one @ one + two @ two) / 2
    if number < _FEWEST or not all(0 < products[lag] < power[lag] for lag in _LAGS):
        return 2 * beam
    logs = {lag: -2 * np.log(products[lag] / power[lag]) for lag in _LAGS}  # d^T N^-1 d
    xx, yy = logs[0, 1], logs[1, 0]
    xy = (logs[1, 1] - logs[1, -1]) / 4
    inverse = np.array([[xx, xy], [xy, yy]])
    if np.linalg.eigvalsh(inverse)[0] <= 0:
        return 2 * beam
    root = np.linalg.cholesky(2 * beam)
    values, vectors = np.linalg.eigh(np.linalg.inv(root) @ np.linalg.inv(inverse) @ np.linalg.inv(root).T)
    limited = root @ vectors
    return (limited * np.clip(values, *_LIMITS)) @ limited.T
