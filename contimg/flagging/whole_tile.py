"""Second phase of flagging: dead receptors and interference that only the whole tile shows.

- dead receptors: their autocorrelations are zero, constant or below `DEAD_POWER` of the array's median;
- samples that AOFlagger found but that do not stand out by themselves, where the same cell (integration, channel) was
  found on many baselines, or on many baselines of one of the two antennas;
- cells that stand out in the mean over all baselines, or in which a fifth of the baselines were flagged, are flagged
  on all: interference too weak to be seen on each baseline alone;
- the same for the baselines of each antenna, in the polarisation residual.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.flagging.findings import BlockFindings
from contimg.flagging.flag_codes import FlagCode
from contimg.statistics import IQR_PER_SIGMA

DEAD_POWER = 0.02
"""Power of a receptor, over the array's median, below which it is dead: -17 dB, far below any working receiver."""
# Shares of baselines above which a cell stands out: of all, and of one antenna; and by how many interquartile ranges.
_LEAST_SHARE, _LEAST_SHARE_OF_ANTENNA, _SHARE_SPREADS = 0.05, 0.25, 4.0
_CELL_OCCUPANCY = 0.2  # share of flagged baselines above which a cell is flagged on all
# The mean amplitude of a cell over that of the channels around it: excess in standard deviations, least excess, width.
_CELL_SIGMA, _CELL_EXCESS, _CELL_WINDOW = 7.0, 0.1, 17


@dataclass(frozen=True)
class WholeTileFlags:
    """Flags that need the whole tile.

    Attributes
    ----------
    dead_receptors : (n_antennas, n_pols) bool
    cells : (n_times, nchan, n_pols) bool
        Flagged on every baseline.
    antenna_cells : (n_times, n_antennas, nchan) bool
        Flagged on all baselines of the antenna.
    """

    dead_receptors: NDArray[np.bool_]
    cells: NDArray[np.bool_]
    antenna_cells: NDArray[np.bool_]
    _antenna1: NDArray[np.integer[Any]]
    _antenna2: NDArray[np.integer[Any]]
    _shared: _SharedFindings | None

    def at(self, time: int) -> Iterator[tuple[FlagCode, NDArray[np.bool_]]]:
        """Yield the flags of one integration by code, in order of precedence.

        Each is an array that broadcasts to (nbaselines, nchan, n_pols).
        """
        one, two = self._antenna1, self._antenna2
        yield FlagCode.DEAD_ANTENNA, (self.dead_receptors[one] | self.dead_receptors[two])[:, None, :]
        if self._shared is not None:
            yield FlagCode.AOFLAGGER, self._shared.at(time, one, two)[:, :, None]
        yield FlagCode.CELL, self.cells[time][None]
        of_antenna = self.antenna_cells[time]
        if of_antenna.any():
            yield FlagCode.ANTENNA, (of_antenna[one] | of_antenna[two])[:, :, None]


def whole_tile_flags(
    findings: BlockFindings, antenna1: NDArray[np.integer[Any]], antenna2: NDArray[np.integer[Any]]
) -> WholeTileFlags:
    """Return the flags that need the whole tile.

    Parameters
    ----------
    findings : BlockFindings
    antenna1, antenna2 : (nbaselines,) int
        Antennas of the baselines, in the order in which the blocks had them.
    """
    return WholeTileFlags(
        dead_receptors(findings),
        interference_cells(findings),
        antenna_cells(findings),
        antenna1,
        antenna2,
        _SharedFindings.of(findings, antenna1, antenna2) if findings.aoflagger else None,
    )


def dead_receptors(findings: BlockFindings) -> NDArray[np.bool_]:
    """Return which receptors (n_antennas, n_pols) are dead; none where no autocorrelations were seen."""
    power = findings.auto_power
    if not np.isfinite(power).any():
        return np.zeros(power.shape, bool)
    with np.errstate(invalid="ignore"):
        typical = np.nanmedian(np.where(power > 0, power, np.nan), axis=0) if (power > 0).any() else 1.0
        return np.isfinite(power) & ~(power >= DEAD_POWER * typical)


def interference_cells(findings: BlockFindings) -> NDArray[np.bool_]:
    """Return the cells (n_times, nchan, n_pols) that are to be flagged on every baseline."""
    sums, received = findings.cells, findings.axes.received
    result = np.zeros(sums.amplitude.shape, bool)
    channels = np.flatnonzero(received)
    if not len(channels) or not findings.n_baselines or not findings.enough_noise:
        return result
    from scipy.ndimage import median_filter

    good = sums.good[:, channels]
    mean = np.where(good > 0, sums.amplitude[:, channels] / np.maximum(good, 1), 1.0)
    smooth = median_filter(mean, size=(1, min(_CELL_WINDOW, len(channels)), 1), mode="nearest")
    excess = mean / smooth - 1
    low, high = np.quantile(excess, [0.25, 0.75])
    sigma = (high - low) / IQR_PER_SIGMA
    stands_out = excess > max(_CELL_SIGMA * sigma, _CELL_EXCESS)
    share = sums.found / np.maximum(sums.valid, 1)
    occupied = share > _unusual_share(share[:, received], _CELL_OCCUPANCY)
    result[:, channels] = (stands_out & (good > 0)) | occupied[:, channels]
    # Few transmitters are polarised fully, and an outlier in one polarisation makes the other suspect.
    return np.repeat(result.any(-1, keepdims=True), findings.axes.n_pols, axis=-1)


def antenna_cells(findings: BlockFindings) -> NDArray[np.bool_]:
    """Return the cells (n_times, n_antennas, nchan) that are to be flagged on all baselines of an antenna."""
    axes = findings.axes
    if not findings.enough_noise:
        return np.zeros((axes.n_times, axes.n_antennas, axes.n_channels), bool)
    return findings.antenna_power.interference_cells()


def _unusual_share(shares: NDArray[np.floating[Any]], least: float) -> float:
    """Return the fraction of baselines above which a cell is an outlier among all cells; at least `least`.

    Where several bright sources beat, AOFlagger finds their fringes, on some antennas in most cells. The spread of the
    shares over the received cells gives the usual share; interference fills few cells.
    """
    if not shares.size:
        return least
    low, middle, high = np.quantile(shares, [0.25, 0.5, 0.75])
    return max(least, float(middle + _SHARE_SPREADS * (high - low)))


@dataclass(frozen=True)
class _SharedFindings:
    """The samples that AOFlagger found, and the cells in which it found them on many baselines.

    Attributes
    ----------
    found : tuple of (n_times, nbaselines, nbytes) uint8
        As in `BlockFindings`.
    everywhere : (n_times, nchan) bool
        Cells that were found on unusually many baselines.
    by_antenna : (n_times, n_antennas, nchan) bool
        Cells that were found on unusually many baselines of the antenna.
    """

    found: tuple[NDArray[np.uint8], ...]
    everywhere: NDArray[np.bool_]
    by_antenna: NDArray[np.bool_]

    @classmethod
    def of(
        cls, findings: BlockFindings, one: NDArray[np.integer[Any]], two: NDArray[np.integer[Any]]
    ) -> _SharedFindings:
        """Find the cells that many baselines share."""
        from scipy.sparse import csr_array

        axes = findings.axes
        ends = (np.concatenate([one, two]), np.tile(np.arange(len(one)), 2))
        of_antenna = csr_array((np.ones(len(ends[0]), np.float32), ends), shape=(axes.n_antennas, len(one)))
        baselines = np.maximum(np.asarray(of_antenna.sum(1)).ravel(), 1)[:, None]
        share = np.zeros((axes.n_times, axes.n_channels), np.float32)
        by_antenna = np.zeros((axes.n_times, axes.n_antennas, axes.n_channels), np.float32)
        for time in range(axes.n_times):
            found = _unpack(findings.aoflagger, time, axes.n_channels).astype(np.float32)
            share[time] = found.mean(0)
            by_antenna[time] = of_antenna @ found / baselines
        everywhere = share > _unusual_share(share[:, axes.received], _LEAST_SHARE)
        for antenna in np.flatnonzero(by_antenna.any((0, 2))):
            mine = by_antenna[:, antenna]
            mine[...] = mine > _unusual_share(mine[:, axes.received], _LEAST_SHARE_OF_ANTENNA)
        return cls(findings.aoflagger, everywhere, by_antenna.astype(bool))

    def at(self, time: int, one: NDArray[np.integer[Any]], two: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
        """Return AOFlagger's findings at one integration that other baselines share, (nbaselines, nchan)."""
        by_antenna = self.by_antenna[time]
        found = _unpack(self.found, time, self.everywhere.shape[1])
        return found & (self.everywhere[time] | by_antenna[one] | by_antenna[two])


def _unpack(packed: tuple[NDArray[np.uint8], ...], time: int, n_channels: int) -> NDArray[np.bool_]:
    """Return what was found at one integration, (nbaselines, nchan)."""
    found = np.concatenate([part[time] for part in packed])
    return np.unpackbits(found, axis=-1, count=n_channels).view(bool)
