"""Which channels each sample is the mean of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Bins:
    """The channels behind the samples of each row.

    Rows of short baselines hold means of several channels (see `contimg.image.averaging`). All rows are
    equally long, so a row covers the whole band or a part of it; which part, and how finely, is told by
    its list. Column j of list k is the mean of channels ``first[k] + j factor[k]`` and the following,
    ``factor[k]`` of them, as far as the band reaches.

    Attributes
    ----------
    channels_hz : (nchan,) float64
        The band's channels.
    width : int
        Samples a row.
    first, factor : (nlist,) int
    of_row : (nrow,) int
        Each row's list.
    """

    channels_hz: NDArray[np.float64]
    width: int
    first: NDArray[np.int64]
    factor: NDArray[np.int64]
    of_row: NDArray[np.int64]

    @classmethod
    def single(cls, channels_hz: NDArray[np.float64], nrow: int) -> Bins:
        """Return the bins of rows that hold the band as it is."""
        zero = np.zeros(1, np.int64)
        return cls(channels_hz, len(channels_hz), zero, zero + 1, np.zeros(nrow, np.int64))

    def select(self, rows: NDArray[np.int64]) -> Bins:
        """Return the bins of some of the rows."""
        return Bins(self.channels_hz, self.width, self.first, self.factor, self.of_row[rows])

    def freq_hz(self) -> NDArray[np.float64]:
        """Return the frequencies (nlist, width) of the samples; beyond the band the last channel's."""
        number = len(self.channels_hz)
        total = np.concatenate([[0.0], np.cumsum(self.channels_hz)])
        start = self.first[:, None] + self.factor[:, None] * np.arange(self.width)
        stop = np.minimum(start + self.factor[:, None], number)
        start = np.minimum(start, number - 1)
        stop = np.maximum(stop, start + 1)
        return (total[stop] - total[start]) / (stop - start)

    def columns(self, which: int, start: int, stop: int) -> tuple[slice, slice]:
        """Return the columns of a list that lie in a range of channels, and their channels.

        The range must start at a multiple of the list's factor.
        """
        first, factor = int(self.first[which]), int(self.factor[which])
        low = max(start, first)
        high = min(stop, first + factor * self.width, len(self.channels_hz))
        if high <= low:
            return slice(0, 0), slice(0, 0)
        return slice((low - first) // factor, -((first - high) // factor)), slice(low, high)

    def within(self, channels: slice) -> NDArray[np.bool_]:
        """Return which samples (nlist, width) of the lists begin in a range of channels."""
        start = self.first[:, None] + self.factor[:, None] * np.arange(self.width)
        return (start >= channels.start) & (start < channels.stop)

    def means(self, values: NDArray, which: int) -> NDArray:
        """Return the means (n, ...) of channels' values (count, ...), count from a boundary of bins on."""
        factor = int(self.factor[which])
        if factor == 1:
            return values
        whole = len(values) // factor * factor
        mean = values[:whole].reshape(-1, factor, *values.shape[1:]).mean(1)
        if whole == len(values):
            return mean
        return np.concatenate([mean, values[whole:].mean(0, keepdims=True)])

    def spread(self, values: NDArray, which: int, count: int) -> NDArray:
        """Return values (n, ...) of samples as shares of their channels (count, ...), the transpose of `means`."""
        factor = int(self.factor[which])
        if factor == 1:
            return values
        size = np.minimum(factor, count - factor * np.arange(len(values)))
        shares = values / size.reshape(-1, *[1] * (values.ndim - 1)).astype(values.real.dtype)
        return np.repeat(shares, factor, axis=0)[:count]
