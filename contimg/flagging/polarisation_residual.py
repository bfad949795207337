"""The polarisation residual: XX minus scaled YY (and vice versa), in which the unpolarised sky cancels.

The sky is all but unpolarised: XX and YY hold the same fringes, through gains whose ratio is smooth in frequency and
constant over a tile. ``XX - f YY`` and ``YY - g XX`` with these complex ratios f and g are therefore free of the sky,
however many bright sources beat in it, and hold the noise and any interference; f and g are 0 where there is no sky.
(The primary beams of a real dish differ by some per cent off the axis, which leaves less than the noise of a sample.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.statistics import IQR_PER_SIGMA

_RATIO_CHANNELS, _RATIO_WINDOW = 16, 7  # channels of a median of the ratio; medians of the running median over them
_BASELINES = 32  # processed together: their arrays stay in the processor's cache
_SIGMA, _LEAST_EXCESS = 7.0, 0.5  # of an antenna's power above its median: standard deviations, fraction of the median
_MOST_POWER = 20.0  # a sample counts as at most this, so that one bad baseline does not raise its antennas' means
# Pure noise exceeds the maximum in 5e8 samples once.
_POWER_PER_MEDIAN = float(np.log(2))  # squared median amplitude over mean power, for complex Gaussian noise


def residual_amplitude(data: NDArray[np.complex64], steady: NDArray[np.bool_] | None) -> NDArray[np.float32]:
    """Return the amplitude of the polarisation residual, for each polarisation in its own units.

    The ratios are least-squares solutions over the integrations of each channel, smoothed in frequency: medians of
    16 channels, the delay of the baseline taken out, running medians over 7 of these, linear interpolation. Neither
    lines nor interference in up to 48 channels move them.

    Parameters
    ----------
    data : (n_times, nbaselines, nchan, npol) complex64
    steady : (n_times, nbaselines, nchan) bool, optional
        Samples that the ratios are measured on; None: all.

    Returns
    -------
    (n_times, nbaselines, nchan, npol) float32
        The amplitude of the data where there are not two polarisations.
    """
    if data.shape[-1] != 2:
        return np.abs(data)
    result = np.empty(data.shape, np.float32)
    for first in range(0, data.shape[1], _BASELINES):
        some = np.s_[:, first : first + _BASELINES]
        x, y = np.ascontiguousarray(data[..., 0][some]), np.ascontiguousarray(data[..., 1][some])
        known = x.conj()
        if steady is not None:
            known[~steady[some]] = 0
        cross = np.einsum("tbf,tbf->bf", y, known)
        result[..., 1][some] = np.abs(y - _smooth(_divide(cross, _power(x, known))) * x)
        np.conjugate(y, out=known)
        if steady is not None:
            known[~steady[some]] = 0
        result[..., 0][some] = np.abs(x - _smooth(_divide(cross.conj(), _power(y, known))) * y)
    return result


def _power(values: NDArray[np.complex64], known: NDArray[np.complex64]) -> NDArray[np.float32]:
    return np.einsum("tbf,tbf->bf", values, known).real


def _divide(cross: NDArray[np.complex64], power: NDArray[np.float32]) -> NDArray[np.complex64]:
    ratio = np.full(cross.shape, np.nan, np.complex64)
    np.divide(cross, power, out=ratio, where=power > 0)
    return ratio


def _smooth(ratio: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Return the ratio (nbaselines, nchan) smoothed in frequency; NaN, where there are no data, is skipped."""
    from scipy.ndimage import median_filter

    channels = ratio.shape[1]
    steps, place = _medians(ratio)
    if not len(place):
        return np.zeros_like(ratio)
    # The delay for which the sum over the band is largest, on a grid of an eighth of a turn over the band.
    turns = np.arange(-4 * len(place), 4 * len(place) + 1) / (8 * channels)
    trial = np.exp(-2j * np.pi * np.outer(place, turns))
    turn = turns[np.abs(steps @ trial).argmax(1)][:, None]
    steps = steps * np.exp(-2j * np.pi * turn * place)
    size = (1, min(_RATIO_WINDOW, len(place)))
    steps = median_filter(steps.real, size, mode="nearest") + 1j * median_filter(steps.imag, size, mode="nearest")
    at = np.interp(np.arange(channels), place, np.arange(len(place)))
    left = np.minimum(at.astype(int), len(place) - 1)
    right, share = np.minimum(left + 1, len(place) - 1), at - left
    smooth = steps[:, left] * (1 - share) + steps[:, right] * share
    return (smooth * np.exp(2j * np.pi * turn * np.arange(channels))).astype(np.complex64)


def _medians(ratio: NDArray[np.complex64]) -> tuple[NDArray[np.complex64], NDArray[np.float64]]:
    """Return medians of 16 channels (nbaselines, nsteps), of real and imaginary part, and their middle channels."""
    count, channels = ratio.shape
    absent = np.isnan(ratio)
    nowhere = np.asarray(absent.all(0))
    regular = channels % _RATIO_CHANNELS == 0
    if absent.any() or not regular:
        ratio = np.nan_to_num(ratio)
    edges = np.linspace(0, channels, max(1, channels // _RATIO_CHANNELS) + 1).astype(int)
    if regular:  # all steps at once, then again those that lack channels
        middle = _median(ratio.reshape(count, -1, _RATIO_CHANNELS))
        left = np.unique(np.flatnonzero(nowhere) // _RATIO_CHANNELS)
    else:
        middle, left = np.empty((count, len(edges) - 1), np.complex64), np.arange(len(edges) - 1)
    known = np.ones(len(edges) - 1, bool)
    for step in left:
        channel = slice(edges[step], edges[step + 1])
        part = ratio[:, channel][:, ~nowhere[channel]]
        known[step] = part.shape[1] > 0
        if known[step]:
            middle[:, step] = _median(part)
    return middle.compress(known, axis=1), ((edges[:-1] + edges[1:] - 1) / 2)[known]


def _median(values: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Return the medians of real and imaginary part along the last axis."""
    return np.median(values.real, axis=-1) + 1j * np.median(values.imag, axis=-1)


@dataclass(frozen=True)
class AntennaPowerSums:
    """Residual power of each antenna in each cell, summed over its baselines.

    Attributes
    ----------
    total, count : (n_times, n_antennas, nchan) float32
        Power in units of the noise's, and the number of baselines in it.
    """

    total: NDArray[np.float32]
    count: NDArray[np.float32]

    def interference_cells(self) -> NDArray[np.bool_]:
        """Return the cells (n_times, n_antennas, nchan) in which an antenna receives interference."""
        result = np.zeros(self.total.shape, bool)
        for antenna in np.flatnonzero(self.count.any((0, 2))):
            count = self.count[:, antenna]
            known = count > 0.5 * count.max()
            mean = self.total[:, antenna][known] / count[known]
            low, middle, high = np.quantile(mean, [0.25, 0.5, 0.75])
            sigma = (high - low) / IQR_PER_SIGMA
            if middle > 0:
                result[:, antenna][known] = mean > middle + max(_SIGMA * sigma, _LEAST_EXCESS * middle)
        return result


class AntennaPower:
    """Adds up, block by block, the residual power of each antenna in every cell (integration, channel).

    The mean over an antenna's baselines scatters by one over the square root of their number, so that interference
    too weak to be seen on each of them stands out.

    Parameters
    ----------
    n_times, n_antennas, n_channels : int
    """

    def __init__(self, n_times: int, n_antennas: int, n_channels: int) -> None:
        shape = (n_times, n_antennas, n_channels)
        self.sums = AntennaPowerSums(np.zeros(shape, np.float32), np.zeros(shape, np.float32))

    def add(
        self,
        residual: NDArray[np.float32],
        noisy: NDArray[np.bool_],
        antenna1: NDArray[np.integer[Any]],
        antenna2: NDArray[np.integer[Any]],
    ) -> None:
        """Add a block of baselines.

        Parameters
        ----------
        residual : (n_times, nbaselines, nchan, npol) float32
            From `residual_amplitude`, in units of its median; NaN where there are no data.
        noisy : (nbaselines,) bool
            Baselines that carry noise; the others are left out.
        antenna1, antenna2 : (nbaselines,) int
            Their antennas.
        """
        from scipy.sparse import csr_array

        total, count = self.sums.total, self.sums.count
        rows, columns = np.concatenate([antenna1, antenna2]), np.tile(np.arange(len(antenna1)), 2)
        members = np.tile(noisy, 2).astype(np.float32)
        of_antenna = csr_array((members, (rows, columns)), shape=(total.shape[1], len(antenna1)))
        complete = not np.isnan(residual).any()
        if complete:
            count += np.asarray(of_antenna.sum(1)).reshape(1, -1, 1)
        for time, plane in enumerate(residual):
            power = np.einsum("bfp,bfp->bf", plane, plane) * np.float32(_POWER_PER_MEDIAN / plane.shape[-1])
            if not complete:
                known = ~np.isnan(power)
                count[time] += of_antenna @ known.astype(np.float32)
                power[~known] = 0
            total[time] += of_antenna @ np.minimum(power, _MOST_POWER, out=power)
