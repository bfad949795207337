"""Two tiles compared pixel by pixel where they overlap: scale, shift, noise, what only one of them shows, residue.

With a and b the brightness that two tiles show of the same place and their noises, the mean weighted by inverse
variances has no covariance with the difference a - b. So pixels can be chosen by the mean's S/N, and the difference
fitted to the mean and its gradients, without the noise of one tile in both: a - b = scale x mean - shift x gradient.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.mosaic.neighbours import FLUX_FLOOR, MIN_SOURCES, POSITION_FLOOR_BEAMS, UNKNOWN, Difference
from contimg.mosaic.noise import BOX_BEAMS
from contimg.mosaic.outliers import DYNAMIC_RANGE, brightest_near, count_apart
from contimg.mosaic.rejection import FLUX_ERROR
from contimg.mosaic.tile_samples import Sampling, TileSamples
from contimg.sky.restoring_beam import FWHM_PER_SIGMA
from contimg.statistics import robust_fit, robust_sigma

BRIGHT = 7.0
"""Least S/N of the mean of pixels that are fitted: its noise then lowers the fitted change by at most 2 % of it."""
FAINT = 5.0
"""Largest S/N of pixels whose scatter is measured."""
OUTLIER = 6.0
"""Least difference, in units of its expected size, of a place that only one tile shows."""
BLOCK_BEAMS = 12.0
_MOST_CHANGE = 0.7
"""Change of the brightness, by a factor of two, beyond which sources of one tile are not the other's."""
_MIN_PIXELS = 6
_MIN_KNOWN = 1000
_NEAR = 2


@dataclass(frozen=True)
class BlockRatios:
    """Ratios of two tiles' brightness in blocks of 12 beams; arrays (n,).

    Attributes
    ----------
    row, column : float64
        Mean place of the block's bright pixels, in pixels of the mosaic.
    log_ratio, e_log_ratio : float64
        ln of first over second tile, and its error.
    """

    row: NDArray[np.float64]
    column: NDArray[np.float64]
    log_ratio: NDArray[np.float64]
    e_log_ratio: NDArray[np.float64]


@dataclass(frozen=True)
class PixelDifference:
    """What the pixels say of two tiles.

    Attributes
    ----------
    difference : Difference
        Of the first from the second: scale and shift, unknown (an error of 1000) with fewer than three bright blocks;
        ``n_missing`` counts places that only one of them shows, ``n_expected`` the bright blocks. Shifts are along
        the mosaic's columns (east is to the left) and rows.
    width : float
        Scatter of the faint pixels' differences over what the tiles' noises say.
    residue : float
        Largest mean of the faint pixels' differences in a block of 12 beams, over their noise.
    blocks : BlockRatios
    unit : (m, n) float32
        Differences of the faint pixels over their noise; NaN elsewhere.
    worst_place : float
        Difference of the most significant place that only one of them shows, over its expected size; 0 without one.
    boxes : float
        Area of the faint pixels, in the boxes of 20 x 20 beams in which a tile's noise is measured.
    """

    difference: Difference
    width: float
    residue: float
    blocks: BlockRatios
    unit: NDArray[np.float32]
    worst_place: float = 0.0
    boxes: float = 0.0

    @property
    def known(self) -> NDArray[np.bool_]:
        """The faint pixels."""
        return np.isfinite(self.unit)

    def without_pixels(self) -> PixelDifference:
        """Return the same without the pixels, which take memory."""
        return replace(self, unit=np.empty((0, 0), np.float32))


@dataclass(frozen=True)
class _Pixels:
    """Mean, difference and the variance of the difference of two tiles, S/N of the mean, share of the first in it."""

    mean: NDArray[np.float32]
    difference: NDArray[np.float32]
    variance: NDArray[np.float32]
    snr: NDArray[np.float32]
    share: NDArray[np.float32]


def compare_pixels(one: TileSamples, other: TileSamples, sampling: Sampling) -> PixelDifference | None:
    """Compare two tiles pixel by pixel.

    Returns
    -------
    PixelDifference or None
        Of the first from the second; None where they have fewer than 1000 samples in common.
    """
    common = one.overlap(other)
    if common is None:
        return None
    mine, theirs, first = common
    with np.errstate(invalid="ignore"):  # NaN where one of the tiles does not see
        pixels = _pixels(one.value[mine], other.value[theirs], one.noise[mine] ** 2, other.noise[theirs] ** 2)
        faint = np.abs(pixels.snr) < FAINT
        unit = np.where(faint, pixels.difference / np.sqrt(pixels.variance), np.nan).astype(np.float32)
    known = np.isfinite(pixels.mean)
    if np.count_nonzero(known) < _MIN_KNOWN or np.count_nonzero(faint) < _MIN_KNOWN:
        return None
    fits = _fit_blocks(pixels, sampling)
    scale, shift = _overall(fits, sampling)
    places, worst_place = _only_in_one(pixels, sampling, scale[0])
    log_scale, e_log_scale = _log_ratio(np.array(scale[0]), np.array(scale[1]), float(np.nanmean(pixels.share)))
    return PixelDifference(
        Difference(
            float(log_scale), float(e_log_scale), -shift[0] * sampling.cell_arcsec, shift[1] * sampling.cell_arcsec,
            shift[2] * sampling.cell_arcsec, len(fits.row), places,
        ),
        width=robust_sigma(unit),
        residue=_residue(unit, sampling),
        blocks=BlockRatios(
            (fits.row + first[0]) * sampling.step,
            (fits.column + first[1]) * sampling.step,
            *_log_ratio(fits.change[:, 0], fits.error[:, 0], fits.share),
        ),
        unit=unit,
        worst_place=worst_place,
        boxes=np.count_nonzero(faint) / (BOX_BEAMS * sampling.beam) ** 2,
    )  # fmt: skip


def _pixels(
    a: NDArray[np.float32], b: NDArray[np.float32], var_a: NDArray[np.float32], var_b: NDArray[np.float32]
) -> _Pixels:
    """Return what is compared, at the pixels that both tiles see."""
    variance = var_a + var_b
    share = var_b / variance
    difference = a - b
    mean = b + share * difference
    return _Pixels(mean, difference, variance, mean / np.sqrt(var_a * share), share)


@dataclass(frozen=True)
class _BlockFits:
    """Fits in n blocks: mean row and column (samples), change by the mean and its two gradients, (n, 3), with errors.

    The gradients are along columns and rows; their coefficients, in samples, are minus the shift.
    """

    row: NDArray[np.float64]
    column: NDArray[np.float64]
    share: NDArray[np.float64]
    change: NDArray[np.float64]
    error: NDArray[np.float64]


def _fit_blocks(pixels: _Pixels, sampling: Sampling) -> _BlockFits:
    """Fit the difference to the mean and its gradients in each block with six bright pixels or more."""
    with np.errstate(invalid="ignore"):
        bright = pixels.snr > BRIGHT
    bright[:_NEAR] = bright[-_NEAR:] = False
    bright[:, :_NEAR] = bright[:, -_NEAR:] = False
    ys, xs = np.nonzero(bright)
    terms = np.stack([pixels.mean[ys, xs], *(_gradient(pixels.mean, ys, xs, *step) for step in ((0, 1), (1, 0)))])
    known = np.isfinite(terms).all(0)
    ys, xs, terms = ys[known], xs[known], terms[:, known].astype(np.float64)
    weight = 1 / pixels.variance[ys, xs].astype(np.float64)
    difference = pixels.difference[ys, xs].astype(np.float64)
    size = max(1, round(BLOCK_BEAMS * sampling.beam))
    number = (ys // size) * (bright.shape[1] // size + 1) + xs // size
    _, block, count = np.unique(number, return_inverse=True, return_counts=True)

    def sums(values: NDArray[Any]) -> NDArray[np.float64]:
        return np.asarray(np.bincount(block, values, len(count)), np.float64)

    normal = np.stack([sums(weight * terms[i] * terms[j]) for i in range(3) for j in range(3)], -1).reshape(-1, 3, 3)
    right = np.stack([sums(weight * term * difference) for term in terms], -1)
    use = count >= _MIN_PIXELS
    inverse = np.linalg.pinv(normal[use], hermitian=True)
    change = (inverse @ right[use][..., None])[..., 0]
    error = np.sqrt(np.clip(np.diagonal(inverse, axis1=1, axis2=2), 0, None) * max(1.0, sampling.correlated))
    response = _gradient_response(sampling.beam / FWHM_PER_SIGMA)
    change[:, 1:] *= response
    error[:, 1:] *= response
    error = np.hypot(error, [FLUX_FLOOR, *2 * [POSITION_FLOOR_BEAMS * sampling.beam]])
    row, column, share = ((sums(values) / count)[use] for values in (ys, xs, pixels.share[ys, xs]))
    return _BlockFits(row, column, share, change, error)


def _gradient(
    plane: NDArray[np.float32], ys: NDArray[np.int64], xs: NDArray[np.int64], dy: int, dx: int
) -> NDArray[np.float32]:
    """Return the derivative of a plane at some pixels, by differences of the fourth order."""
    near = plane[ys + dy, xs + dx] - plane[ys - dy, xs - dx]
    far = plane[ys + 2 * dy, xs + 2 * dx] - plane[ys - 2 * dy, xs - 2 * dx]
    return np.asarray((8 * near - far) / 12, np.float32)


def _gradient_response(sigma: float) -> float:
    """Return what fitted shifts are multiplied by, as differences fall short of the derivative of a Gaussian.

    A difference's transform is i D(k), a derivative's i k: a fit of one to the other gives sum(k D) / sum(D^2) of it,
    over a Gaussian's modes.
    """
    k = np.linspace(0, math.pi, 512)
    difference = (8 * np.sin(k) - np.sin(2 * k)) / 6
    power = np.exp(-((sigma * k) ** 2))
    return float((difference**2 * power).sum() / (k * difference * power).sum())


def _overall(fits: _BlockFits, sampling: Sampling) -> tuple[tuple[float, float], tuple[float, float, float]]:
    """Return scale change and its error, and the shift along columns and rows with its error (samples)."""
    if len(fits.row) < MIN_SOURCES:
        return (0.0, UNKNOWN), (0.0, 0.0, UNKNOWN * sampling.beam)
    found = [robust_fit(np.ones((len(fits.row), 1)), fits.change[:, i], fits.error[:, i]) for i in range(3)]
    (scale, e_scale), (x, e_x), (y, e_y) = ((float(fit.coefficients[0]), float(fit.errors[0])) for fit in found)
    return (scale, e_scale), (-x, -y, max(e_x, e_y))


def _log_ratio(
    change: NDArray[np.float64], error: NDArray[np.float64], share: NDArray[np.float64] | float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return ln of a / b, and its error, from the change c = (a - b) / mean.

    As mean = share a + (1 - share) b, a / b = (1 + (1 - share) c) / (1 - share c).
    """
    change = np.clip(change, -0.9, 0.9)  # a tile that shows nothing of the other's sky is not measured by its ratio
    above, below = 1 + (1 - share) * change, 1 - share * change
    return np.log(above / below), error / (above * below)


def _only_in_one(pixels: _Pixels, sampling: Sampling, change: float) -> tuple[int, float]:
    """Return the number of places, a beam apart, that one tile shows and the other does not, and the worst's size."""
    residual = pixels.difference - np.float32(np.clip(change, -_MOST_CHANGE, _MOST_CHANGE)) * pixels.mean
    with np.errstate(invalid="ignore"):
        ys, xs = np.nonzero(np.abs(residual) > OUTLIER * np.sqrt(pixels.variance))
    if not len(ys):
        return 0, 0.0
    rows, columns = pixels.mean.shape
    local = np.zeros(len(ys), np.float32)
    for dy in range(-_NEAR, _NEAR + 1):
        for dx in range(-_NEAR, _NEAR + 1):
            there = pixels.mean[np.clip(ys + dy, 0, rows - 1), np.clip(xs + dx, 0, columns - 1)]
            local = np.fmax(local, np.abs(there))
    step = max(1, round(sampling.beam))
    near = brightest_near(pixels.mean, step)[ys // step, xs // step] / DYNAMIC_RANGE
    expected = np.sqrt(pixels.variance[ys, xs] + (FLUX_ERROR * local) ** 2 + near**2)
    size = np.abs(residual[ys, xs]) / expected
    found = size > OUTLIER
    count = count_apart(np.column_stack([ys, xs])[found], size[found], sampling.beam)
    return count, float(size[found].max(initial=0.0))


def _residue(unit: NDArray[np.float32], sampling: Sampling) -> float:
    """Return the largest mean of differences over their noise in blocks of 12 beams of which most is known."""
    size = min(max(1, round(BLOCK_BEAMS * sampling.beam)), *unit.shape)
    rows, columns = (length // size for length in unit.shape)
    blocks = unit[: rows * size, : columns * size].reshape(rows, size, columns, size)
    known = np.isfinite(blocks).sum((1, 3))
    total = np.asarray(np.nansum(blocks, axis=(1, 3), dtype=np.float64))
    enough = known > size**2 / 2
    return float(np.abs(total[enough] / known[enough]).max(initial=0.0))
