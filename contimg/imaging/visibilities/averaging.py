"""Baseline-dependent averaging in frequency, while a tile is read, within a stated loss at the edge of the field."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg import measurement_set
from contimg.imaging.visibilities.channel_averaging import ChannelAveraging
from contimg.measurement_set import Coordinates, Visibilities
from contimg.sky.constants import C_M_S

_MAX_FACTOR = 16  # channels per sample: 4 MHz at full size, over which beams and spectra are linear
# Channel widths may differ by this (Hz) in a regular band.
_REGULAR_HZ = 1.0
# Visibilities (per block of rows) that are read at a time.
_BLOCK_VISIBILITIES = 4e6


@dataclass(kw_only=True)
class Averaged(Visibilities):
    """A tile whose samples are means over channels; ``freq_hz`` remain the channels of the band.

    Attributes
    ----------
    averaging : ChannelAveraging
    flagged_fraction : float or None
        Of the visibilities that the correlator delivered; None when it delivered none.
    usable : (ntime, nchan) float64
        Sums of the weights of unflagged visibilities per integration and channel: an averaged sample may lack
        some of its channels.
    """

    averaging: ChannelAveraging
    flagged_fraction: float | None
    usable: NDArray[np.float64]


def delay_s(uvw_m: NDArray[np.float64], radius_rad: float) -> NDArray[np.float64]:
    """Return the largest geometric delay (nrow,), in s, of a source at an angle from the phase centre.

    ``(|uv| sin r + |w| (1 - cos r)) / c``: the position angle is the worst one for each baseline.
    """
    across = np.hypot(uvw_m[:, 0], uvw_m[:, 1]) * np.sin(radius_rad)
    return (across + np.abs(uvw_m[:, 2]) * (1 - np.cos(radius_rad))) / C_M_S


def averaging_loss(delay: NDArray[np.float64], width_hz: float, factor: int) -> NDArray[np.float64]:
    """Return the fraction of a source's amplitude that averaging channels loses, beyond that within one channel.

    Parameters
    ----------
    delay : (nrow,) float64
        Geometric delay of the source (s).
    width_hz : float
        Channel width.
    factor : int
        Number of channels averaged.

    Notes
    -----
    The mean of N phasors at equal phase steps x is ``sin(N x / 2) / (N sin(x / 2))``, the Dirichlet
    kernel; here ``x = 2 pi width delay``.
    """
    half = np.pi * width_hz * np.asarray(delay, np.float64)
    safe = np.where(half == 0, 1.0, half)
    return np.where(half == 0, 0.0, 1 - np.sin(factor * safe) / (factor * np.sin(safe)))


def averaging_factors(
    coordinates: Coordinates, radius_rad: float, max_loss: float, groups: int = 1
) -> NDArray[np.int64]:
    """Return how many channels (nrow,) may be averaged: the largest power of 2, up to 16, that keeps the loss.

    Parameters
    ----------
    coordinates : Coordinates
    radius_rad : float
        Angle from the phase centre at which the loss is evaluated.
    max_loss : float
        Largest fraction of a source's amplitude that averaging may lose there.
    groups : int
        Parts of the band that are imaged by themselves (``image.channel_groups``): each keeps a sample or more.

    Returns
    -------
    (nrow,) int
        1 throughout for a band of unequal channel spacing.
    """
    best = np.ones(len(coordinates.uvw_m), np.int64)
    step = np.diff(coordinates.freq_hz)
    if len(step) == 0 or np.ptp(step) > _REGULAR_HZ:
        return best
    delay, factor = delay_s(coordinates.uvw_m, radius_rad), 2
    while factor <= min(_MAX_FACTOR, len(coordinates.freq_hz) // groups):
        # Up to a quarter turn the loss grows with the factor; beyond, the kernel's sidelobes would look like less.
        within = np.pi * factor * coordinates.channel_width_hz * delay < np.pi / 2
        best[within & (averaging_loss(delay, coordinates.channel_width_hz, factor) <= max_loss)] = factor
        factor *= 2
    return best


def read_averaged(path: Path, coordinates: Coordinates, factor: NDArray[np.int64]) -> Averaged:
    """Read a Measurement Set, averaging `factor` (nrow,) channels of each row.

    Samples are weighted means of the unflagged visibilities (see `contimg.imaging.visibilities.samples`); a sample
    without any has weight 0 and is flagged. Rows are ordered by time, then layout, then as in the Measurement Set.
    """
    plan = _plan(coordinates, factor)
    shape = (len(plan.source_row), plan.averaging.width, len(coordinates.polarisations))
    data, weight = np.zeros(shape, np.complex64), np.zeros(shape, np.float32)
    usable_sums = np.zeros((len(coordinates.times_mjd_s), len(coordinates.freq_hz)))
    received = flagged = 0
    for rows, values, flag, weights in measurement_set.blocks(path, plan.rows_per_block):
        delivered = weights > 0
        received += int(np.count_nonzero(delivered))
        flagged += int(np.count_nonzero(flag & delivered))
        usable = ~flag & delivered & np.isfinite(weights) & np.isfinite(values)
        weights = np.where(usable, weights, np.float32(0))
        weighted = np.where(usable, values, np.complex64(0)) * weights
        _add_usable(usable_sums, weights, plan.integration[rows])
        for one in np.unique(factor[rows]):
            chosen = np.flatnonzero(factor[rows] == one)
            into = plan.target_rows(rows, chosen, int(one))
            columns = plan.pieces[int(one)] * plan.averaging.width
            sums = _sum_channels(weights[chosen], int(one), columns)
            mean = _sum_channels(weighted[chosen], int(one), columns)
            mean /= np.where(sums > 0, sums, 1)
            data[into], weight[into] = mean.reshape(-1, *shape[1:]), sums.reshape(-1, *shape[1:])
    shared = {f.name: getattr(coordinates, f.name) for f in fields(Coordinates)}
    shared |= {name: shared[name][plan.source_row] for name in ("uvw_m", "time_mjd_s", "antenna1", "antenna2")}
    return Averaged(
        **shared,
        data=data,
        flag=weight == 0,
        weight=weight,
        averaging=plan.averaging,
        flagged_fraction=round(float(flagged / received), 6) if received else None,
        usable=usable_sums,
    )


@dataclass(frozen=True)
class _Plan:
    """Where the visibilities of each row of a Measurement Set go.

    Attributes
    ----------
    averaging : ChannelAveraging
        Of the averaged rows.
    pieces : dict
        Averaging factor: number of rows into which a row of that factor is divided, each a part of the band.
    source_row : (nrow_out,) int
        The row of the Measurement Set behind each averaged row.
    target : (nrow_out,) int
        Averaged rows in the order of the Measurement Set's rows and their pieces.
    first_piece : (nrow,) int
        Index in `target` of each row's first piece.
    integration : (nrow,) int
        Index of each row's integration among the tile's times.
    rows_per_block : int
    """

    averaging: ChannelAveraging
    pieces: dict[int, int]
    source_row: NDArray[np.int64]
    target: NDArray[np.int64]
    first_piece: NDArray[np.int64]
    integration: NDArray[np.int64]
    rows_per_block: int

    def target_rows(self, rows: slice, chosen: NDArray[np.int64], factor: int) -> NDArray[np.int64]:
        """Return the averaged rows of chosen rows of a block, of one averaging factor."""
        return self.target[self.first_piece[rows][chosen][:, None] + np.arange(self.pieces[factor])].ravel()


def _plan(coordinates: Coordinates, factor: NDArray[np.int64]) -> _Plan:
    nchan, largest = len(coordinates.freq_hz), int(factor.max(initial=1))
    width = -(-nchan // largest)
    factors = [2**k for k in range(largest.bit_length())]
    pieces = {one: -(-nchan // (one * width)) for one in factors}
    first_layout = dict(zip(factors, np.cumsum([0, *pieces.values()]), strict=False))
    per_row = np.array([pieces.get(one, 0) for one in range(largest + 1)])[factor]
    first_piece = np.cumsum(per_row) - per_row
    source = np.repeat(np.arange(len(factor)), per_row)
    piece = np.arange(len(source)) - np.repeat(first_piece, per_row)
    layout = np.array([first_layout.get(one, 0) for one in range(largest + 1)])[factor[source]] + piece
    _, moment = np.unique(coordinates.time_mjd_s, return_inverse=True)
    order = np.lexsort((source, layout, moment[source]))
    target = np.empty(len(order), np.int64)
    target[order] = np.arange(len(order))
    averaging = ChannelAveraging(
        channels_hz=coordinates.freq_hz,
        width=width,
        first_channel=np.concatenate([np.arange(pieces[one]) * one * width for one in factors]),
        factor=np.concatenate([np.full(pieces[one], one) for one in factors]),
        layout_of_row=layout[order],
    )
    integration = np.searchsorted(coordinates.times_mjd_s, coordinates.time_mjd_s - coordinates.integration_s / 2)
    per_block = max(1, int(_BLOCK_VISIBILITIES / (nchan * len(coordinates.polarisations))))
    return _Plan(averaging, pieces, source[order], target, first_piece, integration, per_block)


def _add_usable(sums: NDArray[np.float64], weights: NDArray[np.float32], integration: NDArray[np.int64]) -> None:
    """Add the weights (n, nchan, npol) of rows to the sums (ntime, nchan) of their integrations."""
    for index in np.unique(integration):
        sums[index] += weights[integration == index].sum(0, dtype=np.float64).sum(1)


def _sum_channels(values: NDArray[Any], factor: int, columns: int) -> NDArray[Any]:
    """Return sums (n, columns, npol) over `factor` adjacent channels of (n, nchan, npol), 0 beyond the band."""
    missing = columns * factor - values.shape[1]
    if missing:
        values = np.pad(values, ((0, 0), (0, missing), (0, 0)))
    if factor == 1:
        return values.copy()
    return np.add.reduceat(values, np.arange(0, values.shape[1], factor), axis=1)
