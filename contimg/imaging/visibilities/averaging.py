"""Averaging channels of short baselines while a tile is read, within a stated loss at the field's edge."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contimg import measurement_set
from contimg.measurement_set import Coordinates, Visibilities
from contimg.sky.airy_beam import C_M_S

_MOST = 16  # channels a bin: 4 MHz at full size, over which beams and spectra are straight lines
_REGULAR_HZ = 1.0


@dataclass(kw_only=True)
class Averaged(Visibilities):
    """A tile whose rows are means over `bins`; ``freq_hz`` are the band's channels as ever.

    Attributes
    ----------
    bins : Bins
    flagged_fraction : float or None
        Of what was received; None when nothing was.
    usable : (ntime, nchan) float64
        Sums of the weights that are not flagged, channel by channel: a bin may be short of some.
    """

    bins: Bins
    flagged_fraction: float | None
    usable: NDArray[np.float64]


def delay_s(uvw_m: NDArray[np.float64], radius_rad: float) -> NDArray[np.float64]:
    """Return the largest delay (nrow,) between the phase centre and a source at a distance from it."""
    across = np.hypot(uvw_m[:, 0], uvw_m[:, 1]) * np.sin(radius_rad)
    return (across + np.abs(uvw_m[:, 2]) * (1 - np.cos(radius_rad))) / C_M_S


def loss(delay: NDArray[np.float64], width_hz: float, factor: int) -> NDArray[np.float64]:
    """Return what a mean of `factor` channels loses of a source, on top of what one channel loses.

    Notes
    -----
    The mean of N phasors whose phases are x apart is ``sin(N x / 2) / (N sin(x / 2))``, the Dirichlet
    kernel; ``x = 2 pi width delay``.
    """
    half = np.pi * width_hz * np.asarray(delay, np.float64)
    safe = np.where(half == 0, 1.0, half)
    return np.where(half == 0, 0.0, 1 - np.sin(factor * safe) / (factor * np.sin(safe)))


def factors(coordinates: Coordinates, radius_rad: float, max_loss: float) -> NDArray[np.int64]:
    """Return how many channels (nrow,) may be averaged: the powers of 2 up to 16 that keep the loss."""
    best = np.ones(len(coordinates.uvw_m), np.int64)
    step = np.diff(coordinates.freq_hz)
    if len(step) == 0 or np.ptp(step) > _REGULAR_HZ:
        return best
    delay, factor = delay_s(coordinates.uvw_m, radius_rad), 2
    while factor <= min(_MOST, len(coordinates.freq_hz)):
        within = np.pi * factor * coordinates.channel_width_hz * delay < np.pi / 2
        best[within & (loss(delay, coordinates.channel_width_hz, factor) <= max_loss)] = factor
        factor *= 2
    return best


def read(path: Path, coordinates: Coordinates, factor: NDArray[np.int64]) -> Averaged:
    """Read a Measurement Set, averaging `factor` (nrow,) channels of each row.

    Bins are weighted means of what is usable in them (see `contimg.imaging.visibilities.samples`); what has no usable
    channel has weight 0 and is flagged. Rows are in the order of time, then of list, then of the set.
    """
    nchan, largest = len(coordinates.freq_hz), int(factor.max(initial=1))
    width = -(-nchan // largest)
    kinds = [2**k for k in range(largest.bit_length())]
    pieces = {kind: -(-nchan // (kind * width)) for kind in kinds}
    start_of = dict(zip(kinds, np.cumsum([0, *pieces.values()]), strict=False))
    first = np.concatenate([np.arange(pieces[kind]) * kind * width for kind in kinds])
    size = np.concatenate([np.full(pieces[kind], kind) for kind in kinds])
    _, moment = np.unique(coordinates.time_mjd_s, return_inverse=True)
    integration = np.searchsorted(coordinates.times_mjd_s, coordinates.time_mjd_s - coordinates.integration_s / 2)
    usable_sums = np.zeros((len(coordinates.times_mjd_s), nchan))
    per_row = np.array([pieces.get(kind, 0) for kind in range(largest + 1)])[factor]
    source = np.repeat(np.arange(len(factor)), per_row)
    piece = np.arange(len(source)) - np.repeat(np.cumsum(per_row) - per_row, per_row)
    lists = np.array([start_of.get(kind, 0) for kind in range(largest + 1)])[factor[source]] + piece
    order = np.lexsort((source, lists, moment[source]))
    target = np.empty(len(order), np.int64)
    target[order] = np.arange(len(order))
    begin = np.cumsum(per_row) - per_row  # of each row's pieces in `target`
    shape = (len(order), width, len(coordinates.polarisations))
    data, weight = np.zeros(shape, np.complex64), np.zeros(shape, np.float32)
    received = flagged = 0
    count = max(1, int(4e6 / (nchan * shape[2])))
    for rows, values, flag, weights in measurement_set.blocks(path, count):
        there = weights > 0
        received += np.count_nonzero(there)
        flagged += np.count_nonzero(flag & there)
        usable = ~flag & there & np.isfinite(weights) & np.isfinite(values)
        weights = np.where(usable, weights, np.float32(0))
        values = np.where(usable, values, np.complex64(0)) * weights
        for index in np.unique(integration[rows]):
            usable_sums[index] += weights[integration[rows] == index].sum(0, dtype=np.float64).sum(1)
        for kind in np.unique(factor[rows]):
            chosen = np.flatnonzero(factor[rows] == kind)
            into = target[begin[rows][chosen][:, None] + np.arange(pieces[kind])].ravel()
            sums = _binned(weights[chosen], kind, pieces[kind] * width)
            mean = _binned(values[chosen], kind, pieces[kind] * width)
            mean /= np.where(sums > 0, sums, 1)
            data[into], weight[into] = mean.reshape(-1, *shape[1:]), sums.reshape(-1, *shape[1:])
    rows = source[order]
    shared = {f.name: getattr(coordinates, f.name) for f in fields(Coordinates)}
    shared |= {name: shared[name][rows] for name in ("uvw_m", "time_mjd_s", "antenna1", "antenna2")}
    return Averaged(
        **shared,
        data=data,
        flag=weight == 0,
        weight=weight,
        bins=Bins(coordinates.freq_hz, width, first, size, lists[order]),
        flagged_fraction=round(float(flagged / received), 6) if received else None,
        usable=usable_sums,
    )


def _binned(values: NDArray, factor: int, columns: int) -> NDArray:
    """Return sums (n, columns, npol) over `factor` neighbours of (n, nchan, npol), 0 beyond the band."""
    missing = columns * factor - values.shape[1]
    if missing:
        values = np.pad(values, ((0, 0), (0, missing), (0, 0)))
    if factor == 1:
        return values.copy()
    return np.add.reduceat(values, np.arange(0, values.shape[1], factor), axis=1)


@dataclass(frozen=True)
class Bins:
    """The channels behind the samples of each row.

    Rows of short baselines hold means of several channels (see `contimg.imaging.visibilities.averaging`). All rows are
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
