"""Robust statistics of the amplitudes of a block of baselines: medians, standard deviations, presence of noise.

Blocks are arrays (n_times, nbaselines, nchan, n_pols). A subset of the channels, evenly spaced, gives each number
to a few per cent at a fraction of the cost.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.statistics import IQR_PER_SIGMA

MIN_NOISE = 0.02
"""Standard deviation, over the median amplitude, below which data count as free of noise (simulations)."""
_SCALE_SAMPLES = 4500  # samples of a baseline from which its median and quartiles are known to 2 %
_NOISE_CHANNELS = 64


def every_nth(channels: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """Return every nth of some channels, evenly spaced: `most` of them or up to twice as many, where there are more."""
    return channels[:: max(1, len(channels) // most)]


def has_noise(data: NDArray[np.complex64], received: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which baselines (nbaselines,) carry receiver noise.

    Noise-free simulations do not, and their fringes are no interference. XX and YY see the same unpolarised sky
    through different gains: what is left of XX after YY times the least-squares factor of each channel is noise (and
    interference, for which reason the median is compared).

    Parameters
    ----------
    data : (n_times, nbaselines, nchan, n_pols) complex64
    received : (nchan,) bool
        Channels for which there was a file.

    Returns
    -------
    (nbaselines,) bool
        True for all where it cannot be determined: other than two polarisations, or one integration.
    """
    if data.shape[-1] != 2 or len(data) < 2:
        return np.ones(data.shape[1], bool)
    channels = every_nth(np.flatnonzero(received), _NOISE_CHANNELS)
    x, y = data[:, :, channels, 0], data[:, :, channels, 1]
    power = (y.real**2 + y.imag**2).sum(0)
    factor = (x * y.conj()).sum(0) / np.where(power > 0, power, 1)
    return _baseline_medians(np.abs(x - factor * y)) > MIN_NOISE * _baseline_medians(np.abs(x))


def median_and_relative_sigma(
    amplitude: NDArray[np.float32], received: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the median amplitude of each baseline and polarisation, and its standard deviation over the median.

    Statistics are over all times and channels. The standard deviation is `median_and_sigma`'s, from the quartiles.

    Parameters
    ----------
    amplitude : (n_times, nbaselines, nchan, n_pols) float32
        NaN where there are no data.
    received : (nchan,) bool

    Returns
    -------
    median, sigma : (1, nbaselines, nchan, n_pols) float32
        The same in all channels, as numpy is slow along an axis of two polarisations. The median is 1 where it is 0
        or where there are no data; sigma is 0 where three samples or fewer are known.
    """
    n_times, n_baselines, n_channels, n_pols = amplitude.shape
    channels = np.flatnonzero(received)
    channels = channels[:: max(1, len(channels) * n_times // _SCALE_SAMPLES)]
    planes = amplitude[:, :, channels].transpose(1, 3, 0, 2).reshape(n_baselines * n_pols, -1)
    median, sigma = np.ones(len(planes), np.float32), np.zeros(len(planes), np.float32)
    incomplete = np.isnan(planes).any(1)
    if planes.shape[1] > 3:  # all complete baselines at once
        median[~incomplete], sigma[~incomplete] = median_and_sigma(planes[~incomplete])
    for row in np.flatnonzero(incomplete):
        values = planes[row][np.isfinite(planes[row])]
        if len(values) > 3:
            median[row], sigma[row] = median_and_sigma(values)
    relative = sigma / np.where(median > 0, median, 1)
    positive = np.where(median > 0, median, 1).astype(np.float32)
    shape = (1, n_baselines, 1, n_pols)
    return (
        np.repeat(positive.reshape(shape), n_channels, axis=2),
        np.repeat(relative.reshape(shape), n_channels, axis=2),
    )


def median_and_sigma(
    values: NDArray[np.floating[Any]],
) -> tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]:
    """Return the median and the robust standard deviation along the last axis.

    The standard deviation is the interquartile range over 1.349, that of a normal distribution of this range. Of an
    even number of values the median is the upper middle one.
    """
    length = values.shape[-1]
    quarter, half = length // 4, length // 2
    ordered = np.sort(values, axis=-1)  # faster than numpy's partition at three places
    return ordered[..., half], (ordered[..., -1 - quarter] - ordered[..., quarter]) / np.float64(IQR_PER_SIGMA)


def _baseline_medians(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the median (nbaselines,) of values (n_times, nbaselines, nchan)."""
    planes = values.transpose(1, 0, 2).reshape(values.shape[1], -1)
    return np.sort(planes, axis=-1)[:, planes.shape[1] // 2]
