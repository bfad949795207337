"""Imaging weights: Briggs weighting by the gridded uv density, and the image noise that follows from them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from contimg.config import ImageOptions
from contimg.imaging.grid import TileGrid
from contimg.imaging.visibilities.samples import Samples, row_blocks
from contimg.sky.constants import C_M_S

_CHUNK = 1 << 22


def imaging_weights(samples: Samples, grid: TileGrid, options: ImageOptions) -> NDArray[np.float32]:
    """Return Briggs weights (nrow, width) with the shortest baselines excluded and a Gaussian taper, as in the options.

    The taper is the Fourier transform of a Gaussian with the full width at half maximum w:
    ``exp(-(pi w |uv|)^2 / (4 ln 2))`` with uv in wavelengths.
    """
    weight = briggs(samples, grid, options.robust, options.min_uv_klambda * 1e3)
    if options.taper_arcsec > 0:
        width_rad = math.radians(options.taper_arcsec / 3600)
        for rows in _chunks(samples):
            squared = _wavelengths(samples, rows) ** 2
            weight[rows] *= np.exp(-((math.pi * width_rad) ** 2) / (4 * math.log(2)) * squared).astype(np.float32)
    return weight


def briggs(samples: Samples, grid: TileGrid, robust: float, min_uv: float = 0.0) -> NDArray[np.float32]:
    """Return Briggs weights of Stokes I samples.

    Parameters
    ----------
    samples : Samples
    grid : TileGrid
        Its field of view sets the size of the uv cells, ``1 / (size cell)``.
    robust : float
        -2 (about uniform) to 2 (about natural).
    min_uv : float
        Samples closer to the centre of the uv plane (wavelengths) have weight 0.

    Returns
    -------
    (nrow, width) float32

    Notes
    -----
    ``w_i / (1 + W_k f^2)`` with ``W_k`` the sum of weights in the cell of sample i, conjugates
    included, and ``f^2 = (5 10^-R)^2 / (sum_k W_k^2 / sum_i w_i)`` (Briggs 1995, PhD thesis, New Mexico
    Tech, section 3.3; the form that CASA and WSClean use).
    """
    density = np.zeros(math.prod(_half_plane(grid)))
    weight, cells = np.empty_like(samples.weight), []
    for rows in _chunks(samples):
        weight[rows] = samples.weight[rows]
        if min_uv > 0:
            weight[rows] *= _wavelengths(samples, rows) >= min_uv
        cells.append(_cells(samples, grid, rows).astype(np.int32))
        density += np.bincount(cells[-1], weight[rows].ravel(), len(density))
    if not density.any():
        return weight
    factor = (5 * 10**-robust) ** 2 / (np.dot(density, density) / density.sum())
    for rows, cell in zip(_chunks(samples), cells, strict=True):
        weight[rows] /= 1 + density[cell].reshape(weight[rows].shape) * factor
    return weight


def expected_rms(samples: Samples, weight: NDArray[np.float32]) -> float | None:
    """Return the thermal noise of the image (Jy/beam) expected from the scatter of the samples; None if not measured.

    ``sqrt(sum W^2 s^2 / w) / sum W``: W the imaging weight, w the statistical weight and s the measured
    noise of the real (or imaginary) part of a sample of weight 1 on its baseline.
    """
    if samples.unit_sigma_jy is None:
        return None
    variance, total = 0.0, 0.0
    for rows in _chunks(samples):
        natural = samples.weight[rows]
        ratio = np.divide(weight[rows], natural, out=np.zeros_like(natural), where=natural > 0)
        per_row = np.einsum("rc,rc->r", weight[rows], ratio, dtype=np.float64)
        variance += float(per_row @ samples.unit_sigma_jy[rows] ** 2)
        total += float(weight[rows].sum(dtype=np.float64))
    return math.sqrt(variance) / total


def time_channel_weights(
    samples: Samples, weight: NDArray[np.float32], ntime: int, usable: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Return the sums of the imaging weights per integration and channel, (ntime, nchan).

    The weight of an averaged sample is distributed over its channels in proportion to their unflagged weights in
    that integration, `usable` (ntime, nchan); evenly where that is not given.
    """
    averaging, nchan = samples.averaging, len(samples.freq_hz)
    sums = np.zeros((ntime, nchan))
    n_layouts = len(averaging.first_channel)
    key = samples.time_index * n_layouts + averaging.layout_of_row
    for group in np.unique(key):
        index, layout = divmod(int(group), n_layouts)
        columns, channels = averaging.columns(layout, 0, nchan)
        total = weight[key == group].sum(0, dtype=np.float64)[columns]
        shares = np.ones(channels.stop - channels.start) if usable is None else usable[index, channels]
        mean = averaging.average(shares, layout)
        total = np.divide(total, mean, out=np.zeros_like(total), where=mean > 0)
        sums[index, channels] += averaging.distribute(total, layout, len(shares)) * shares
    return sums


def _half_plane(grid: TileGrid) -> tuple[int, int]:
    """Return the shape of the uv grid: v >= 0, u from -size/2 to size/2, and a margin for samples beyond."""
    return grid.size_px // 2 + 2, grid.size_px + 4


def _chunks(samples: Samples) -> list[slice]:
    return row_blocks(len(samples.weight), _CHUNK // max(1, samples.weight.shape[1]))


def _wavelengths(samples: Samples, rows: slice) -> NDArray[np.float64]:
    """Return the uv distance (n, width) of samples (wavelengths)."""
    per_metre = samples.averaging.freq_hz()[samples.averaging.layout_of_row[rows]] / C_M_S
    return np.hypot(samples.uvw_m[rows, :1], samples.uvw_m[rows, 1:2]) * per_metre


def _cells(samples: Samples, grid: TileGrid, rows: slice) -> NDArray[np.int64]:
    """Return flat indices of the uv cells of samples, folded into the half plane v >= 0 by conjugation."""
    height, width = _half_plane(grid)
    scale = samples.averaging.freq_hz() / C_M_S * grid.size_px * grid.cell_rad
    scale = scale[samples.averaging.layout_of_row[rows]]
    iu = np.rint(samples.uvw_m[rows, :1] * scale).astype(np.int64)
    iv = np.rint(samples.uvw_m[rows, 1:2] * scale).astype(np.int64)
    sign = np.where((iv < 0) | ((iv == 0) & (iu < 0)), -1, 1)
    # Samples beyond the grid are beyond its Nyquist frequency: they share the cells at its edge.
    iv = np.minimum(sign * iv, height - 1)
    iu = np.clip(sign * iu + width // 2, 0, width - 1)
    return (iv * width + iu).ravel()
