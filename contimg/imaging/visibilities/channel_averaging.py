"""Which channels each sample of a row stands for, under baseline-dependent averaging in frequency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ChannelAveraging:
    """The channels behind the samples of each row.

    Short baselines suffer less bandwidth smearing than long ones, so more of their channels may be averaged
    (see `contimg.imaging.visibilities.averaging`). All rows have the same number of samples: a row covers the
    whole band or a part of it. Its *layout* says which part, and how many channels each sample is the mean of:
    sample j of a row of layout k is the mean of the ``factor[k]`` channels that start at
    ``first_channel[k] + j factor[k]``, fewer at the upper end of the band.

    Attributes
    ----------
    channels_hz : (nchan,) float64
        The channels of the band (Hz).
    width : int
        Samples per row.
    first_channel, factor : (nlayout,) int
        First channel of each layout, and the number of channels per sample.
    layout_of_row : (nrow,) int
        Layout of each row.
    """

    channels_hz: NDArray[np.float64]
    width: int
    first_channel: NDArray[np.int64]
    factor: NDArray[np.int64]
    layout_of_row: NDArray[np.int64]

    @classmethod
    def unaveraged(cls, channels_hz: NDArray[np.float64], nrow: int) -> ChannelAveraging:
        """Return the description of rows that hold every channel of the band (Hz) as it is."""
        zero = np.zeros(1, np.int64)
        return cls(channels_hz, len(channels_hz), zero, zero + 1, np.zeros(nrow, np.int64))

    def select(self, rows: NDArray[np.int64]) -> ChannelAveraging:
        """Return the description of some of the rows."""
        return ChannelAveraging(self.channels_hz, self.width, self.first_channel, self.factor, self.layout_of_row[rows])

    def freq_hz(self) -> NDArray[np.float64]:
        """Return the mean frequency (nlayout, width) of each sample (Hz); beyond the band that of the last channel."""
        number = len(self.channels_hz)
        total = np.concatenate([[0.0], np.cumsum(self.channels_hz)])
        start = self.first_channel[:, None] + self.factor[:, None] * np.arange(self.width)
        stop = np.minimum(start + self.factor[:, None], number)
        start = np.minimum(start, number - 1)
        stop = np.maximum(stop, start + 1)
        mean: NDArray[np.float64] = (total[stop] - total[start]) / (stop - start)
        return mean

    def columns(self, layout: int, start: int, stop: int) -> tuple[slice, slice]:
        """Return the columns of a layout that lie in a range of channels, and the channels that they cover.

        The range must start at a multiple of the layout's factor.
        """
        first, factor = int(self.first_channel[layout]), int(self.factor[layout])
        low = max(start, first)
        high = min(stop, first + factor * self.width, len(self.channels_hz))
        if high <= low:
            return slice(0, 0), slice(0, 0)
        return slice((low - first) // factor, -((first - high) // factor)), slice(low, high)

    def starting_within(self, channels: slice) -> NDArray[np.bool_]:
        """Return which samples (nlayout, width) start within a range of channels."""
        start = self.first_channel[:, None] + self.factor[:, None] * np.arange(self.width)
        return np.asarray((start >= channels.start) & (start < channels.stop))

    def average(self, values: NDArray[Any], layout: int) -> NDArray[Any]:
        """Return the means over each sample's channels (n, ...) of values per channel (count, ...).

        The first of the channels must be the first of a sample.
        """
        factor = int(self.factor[layout])
        if factor == 1:
            return values
        whole = len(values) // factor * factor
        mean = values[:whole].reshape(-1, factor, *values.shape[1:]).mean(1)
        if whole == len(values):
            return mean
        return np.concatenate([mean, values[whole:].mean(0, keepdims=True)])

    def distribute(self, values: NDArray[Any], layout: int, count: int) -> NDArray[Any]:
        """Return values of samples (n, ...) divided evenly among their channels (count, ...): `average` transposed."""
        factor = int(self.factor[layout])
        if factor == 1:
            return values
        size = np.minimum(factor, count - factor * np.arange(len(values)))
        shares = values / size.reshape(-1, *[1] * (values.ndim - 1)).astype(values.real.dtype)
        return np.repeat(shares, factor, axis=0)[:count]
