"""Flagging of one tile while it is converted: what is no data, what is interference, which antennas are dead.

The data are not calibrated yet. Four searches follow each other (codes in `contimg.flagging.flag_codes`):

- AOFlagger on every baseline (strategy ``dsa110.lua``), on the mean amplitude of what XX and YY do not share
  (`contimg.flagging.polarisation_residual`): fringes of several bright sources look like interference and are not
  in it. What it finds counts where the sample stands out by itself (4 sigma), or the same cell (integration,
  channel) is found on many baselines, or on many of one antenna;
- a cut at ``mad_sigma`` robust sigma above the median amplitude of each baseline and polarisation, statistics
  over all times and channels, sigma = interquartile range / 1.349 (science-traps F3, F4);
- cells (integration, channel) that stand out in the mean over all baselines, or in which a fifth of the
  baselines were flagged, are flagged on all: interference too weak to be seen on each baseline alone;
- the same for each antenna's baselines, in what XX and YY do not share.

A bright calibrator raises a baseline's amplitudes as a whole, and its fringes are part of the spread that sigma is
measured from, so it does not flag itself.

An antenna is dead when its autocorrelations are zero, constant or below `DEAD_POWER` of the array's median.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.config import FlagOptions
from contimg.flagging import flag_codes
from contimg.flagging.aoflagger import AOFlagger
from contimg.flagging.flag_codes import N_CODES, FlagCode, count
from contimg.flagging.polarisation_residual import AntennaPower, unshared

NOT_RECEIVED = FlagCode.NOT_RECEIVED.value
REASONS = {code.value: code.label for code in flag_codes.REASONS}

IQR_PER_SIGMA = 1.349
"""Interquartile range of a normal distribution over its standard deviation."""
DEAD_POWER = 0.02
"""-17 dB: no working receiver's power is that far below the others'."""
_SURE_SIGMA = 4.0
_SHARED, _SHARED_BY_ANTENNA, _SPREADS = 0.05, 0.25, 4.0
_CELL_OCCUPANCY = 0.2
_CELL_SIGMA = 7.0
_CELL_EXCESS = 0.1
_CELL_WINDOW = 17
# Below this part of the median amplitude there is no noise to measure outliers against.
_MIN_NOISE = 0.02
# Enough of a baseline to know its median and quartiles to 2 %, and whether there is noise in it at all.
_SCALE_SAMPLES, _NOISE_CHANNELS = 4500, 64


@dataclass
class Flagger:
    """Flags a tile block by block of baselines, then once over the whole.

    Attributes
    ----------
    options : FlagOptions
    received : (nchan,) bool
        Channels for which a file was there.
    n_times, n_antennas, n_pols : int
    subbands : sequence of slice
        The channels of each subband.
    counts : (len(subbands), N_CODES) int64
        Samples by subband and code so far.
    """

    options: FlagOptions
    received: NDArray[np.bool_]
    n_times: int
    n_antennas: int
    n_pols: int
    subbands: Sequence[slice]
    counts: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        cells = (self.n_times, len(self.received), self.n_pols)
        self.counts = np.zeros((len(self.subbands), N_CODES), np.int64)
        self._auto_power = np.full((self.n_antennas, self.n_pols), np.nan)
        self._noisy = self._baselines = 0
        self._seen = np.zeros(len(self.subbands), np.int64)
        self._suspects: list[NDArray[np.uint8]] = []
        self._shared: tuple[NDArray[np.bool_], NDArray[np.bool_]] | None = None
        self._total, self._good = np.zeros(cells), np.zeros(cells, np.int64)
        self._found, self._valid = np.zeros(cells, np.int64), np.zeros(cells, np.int64)
        self._edges = np.zeros(len(self.received), bool)
        if width := self.options.edge_channels:
            for channels in self.subbands:
                self._edges[channels][:width] = self._edges[channels][-width:] = True
        self._power = AntennaPower(self.n_times, self.n_antennas, len(self.received))
        search = self.options.interference and self.options.aoflagger
        self._aoflagger = AOFlagger(self.n_times, len(self.received)) if search else None

    def add_autos(self, antennas: NDArray[np.int64], data: NDArray[np.complex64]) -> None:
        """Take note of the power of antennas; ``data`` is (n_times, len(antennas), nchan, n_pols)."""
        if len(antennas) and self.received.any():
            power = np.abs(data[:, :, self.received])
            constant = (power == power[:1, :, :1]).all((0, 2))
            middle = np.median(np.nan_to_num(power, nan=0.0, posinf=0.0), axis=(0, 2))
            self._auto_power[antennas] = np.where(constant, 0.0, middle)

    def block(
        self,
        data: NDArray[np.complex64],
        code: NDArray[np.uint8],
        one: NDArray[np.integer[Any]],
        two: NDArray[np.integer[Any]],
    ) -> None:
        """Flag a block of cross-correlations, in place.

        Parameters
        ----------
        data : (n_times, nbaselines, nchan, n_pols) complex64
            Values that are not finite become 0.
        code : uint8, same shape
            Codes known so far (`NOT_RECEIVED`, ``correlator``).
        one, two : (nbaselines,) int
            Antennas of the baselines.
        """
        amplitude = np.abs(data)
        self._find_no_data(data, amplitude, code)
        if self._edges.any():
            code[(code == 0) & self._edges[:, None]] = FlagCode.EDGE.value
        if self.options.interference:
            self._search(data, amplitude, code, one, two)
        self._count(code)

    def _search(
        self,
        data: NDArray[np.complex64],
        amplitude: NDArray[np.float32],
        code: NDArray[np.uint8],
        one: NDArray[np.integer[Any]],
        two: NDArray[np.integer[Any]],
    ) -> None:
        """Search a block for interference, and note what the searches over the whole tile need."""
        complete = not code.any()
        noisy = self._has_noise(data)
        self._noisy += int(noisy.sum())
        self._baselines += len(noisy)
        if not complete:
            amplitude[code != 0] = np.nan
        scale, sigma = self._scale(amplitude)
        amplitude /= scale
        self._valid += len(noisy) if complete else count(code == 0, 1)
        # NaN, where there are no data, exceeds nothing.
        clipped = amplitude > 1 + self.options.mad_sigma * np.maximum(sigma, _MIN_NOISE)
        some_clipped = clipped.any()
        steady = None if complete else (code == 0).all(-1)
        if some_clipped:
            steady = ~clipped.any(-1) if steady is None else steady & ~clipped.any(-1)
        rest = unshared(data, steady)
        if not complete:
            rest[code != 0] = np.nan
        own, sigma = self._scale(rest)
        rest /= own
        self._power.add(rest, noisy, one, two)
        found = None
        if self._aoflagger is not None:
            found = self._aoflagger.run(rest, np.flatnonzero(noisy))
            self._suspects.append(np.packbits(found, axis=-1))
        if found is not None and found.any():
            sure = found[..., None] & (rest > 1 + _SURE_SIGMA * np.maximum(sigma, _MIN_NOISE))
            self._found += count(found[..., None] & ((code == 0) | sure), 1)
            self._found += count(clipped & ~found[..., None], 1)
            code[clipped] = FlagCode.CLIP.value
            code[sure] = FlagCode.AOFLAGGER.value
        elif some_clipped:
            self._found += count(clipped, 1)
            code[clipped] = FlagCode.CLIP.value
        if code.any():
            bad = code != 0
            amplitude[bad] = 0
            self._good += len(noisy) - count(bad, 1)
        else:
            self._good += len(noisy)
        self._total += amplitude.sum(1)

    def _count(self, code: NDArray[np.uint8]) -> None:
        """Add up the samples of each subband and code."""
        for value in range(1, int(code.max(initial=0)) + 1):
            hit = code == value
            if hit.any():
                of_channel = count(hit, 1).sum((0, 2))
                self.counts[:, value] += [of_channel[channels].sum() for channels in self.subbands]
        per_channel = code.size // code.shape[2]
        self._seen += [per_channel * (channels.stop - channels.start) for channels in self.subbands]
        self.counts[:, 0] = self._seen - self.counts[:, 1:].sum(1)

    def dead_antennas(self) -> NDArray[np.bool_]:
        """Return which receptors (antenna, polarisation) are dead, once all autocorrelations were seen."""
        power = self._auto_power
        if not np.isfinite(power).any():
            return np.zeros(power.shape, bool)
        with np.errstate(invalid="ignore"):
            typical = np.nanmedian(np.where(power > 0, power, np.nan), axis=0) if (power > 0).any() else 1.0
            return np.isfinite(power) & ~(power >= DEAD_POWER * typical)

    def confirmed(self, time: int, one: NDArray[np.int32], two: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Return AOFlagger's findings at one integration that other baselines share, (nbaselines, nchan).

        Parameters
        ----------
        time : int
        one, two : (nbaselines,) int32
            Antennas of the baselines, in the order in which `block` saw them; the same in every call.
        """
        if not self._suspects:
            return np.zeros((len(one), len(self.received)), bool)
        if self._shared is None:
            self._shared = self._find_shared(one, two)
        everywhere, by_antenna = (part[time] for part in self._shared)
        return self._found_at(time) & (everywhere | by_antenna[one] | by_antenna[two])

    def _found_at(self, time: int) -> NDArray[np.bool_]:
        found = np.concatenate([part[time] for part in self._suspects])
        return np.unpackbits(found, axis=-1, count=len(self.received)).view(bool)

    def _find_shared(
        self, one: NDArray[np.int32], two: NDArray[np.int32]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return the cells found on unusually many baselines (n_times, nchan), and of an antenna (.., nant, nchan)."""
        from scipy.sparse import csr_array

        ends = (np.concatenate([one, two]), np.tile(np.arange(len(one)), 2))
        of_antenna = csr_array((np.ones(len(ends[0]), np.float32), ends), shape=(self.n_antennas, len(one)))
        baselines = np.maximum(np.asarray(of_antenna.sum(1)).ravel(), 1)[:, None]
        share = np.zeros((self.n_times, len(self.received)), np.float32)
        by_antenna = np.zeros((self.n_times, self.n_antennas, len(self.received)), np.float32)
        for time in range(self.n_times):
            found = self._found_at(time).astype(np.float32)
            share[time] = found.mean(0)
            by_antenna[time] = of_antenna @ found / baselines
        many = share > self._unusual(share, _SHARED)
        for antenna in np.flatnonzero(by_antenna.any((0, 2))):
            mine = by_antenna[:, antenna]
            mine[...] = mine > self._unusual(mine, _SHARED_BY_ANTENNA)
        return many, by_antenna.astype(bool)

    def _unusual(self, share: NDArray[np.floating[Any]], least: float) -> float:
        """Return the share of baselines above which a cell (n_times, nchan) stands out among the others.

        Where several bright sources beat, AOFlagger finds their fringes, on some antennas in most cells. The
        shares' own spread over the cells says what is usual; interference fills few cells.
        """
        received = share[:, self.received]
        if not received.size:
            return least
        low, middle, high = np.quantile(received, [0.25, 0.5, 0.75])
        return max(least, float(middle + _SPREADS * (high - low)))

    def cells(self) -> NDArray[np.bool_]:
        """Return the cells (n_times, nchan, n_pols) that are to be flagged on every baseline."""
        result = np.zeros(self._total.shape, bool)
        which = np.flatnonzero(self.received)
        if not len(which) or not self._baselines or self._noisy < self._baselines / 2:
            return result
        from scipy.ndimage import median_filter

        good = self._good[:, which]
        mean = np.where(good > 0, self._total[:, which] / np.maximum(good, 1), 1.0)
        smooth = median_filter(mean, size=(1, min(_CELL_WINDOW, len(which)), 1), mode="nearest")
        excess = mean / smooth - 1
        low, high = np.quantile(excess, [0.25, 0.75])
        sigma = (high - low) / IQR_PER_SIGMA
        stands_out = excess > max(_CELL_SIGMA * sigma, _CELL_EXCESS)
        share = self._found / np.maximum(self._valid, 1)
        occupied = share > self._unusual(share, _CELL_OCCUPANCY)
        result[:, which] = (stands_out & (good > 0)) | occupied[:, which]
        # Few transmitters are polarised fully, and an outlier in one makes the other suspect.
        return np.repeat(result.any(-1, keepdims=True), self.n_pols, axis=-1)

    def antenna_cells(self) -> NDArray[np.bool_]:
        """Return the cells (n_times, nant, nchan) that are to be flagged on all baselines of an antenna."""
        if self._noisy < self._baselines / 2:
            return np.zeros((self.n_times, self.n_antennas, len(self.received)), bool)
        return self._power.cells()

    def _find_no_data(
        self, data: NDArray[np.complex64], amplitude: NDArray[np.float32], code: NDArray[np.uint8]
    ) -> None:
        if not (amplitude.min(initial=1) > 0 and amplitude.max(initial=0) < np.inf):  # NaN is neither
            for value, bad in (
                (FlagCode.NOT_FINITE.value, ~np.isfinite(amplitude)),
                (FlagCode.ZERO.value, amplitude == 0),
            ):
                if value == FlagCode.NOT_FINITE.value:
                    data[bad] = 0
                code[bad & (code == 0)] = value
        channels = np.flatnonzero(self.received)
        if not len(channels):
            return
        # Ends first: hardly any baseline needs the whole comparison.
        first, last = data[0, :, channels[0]], data[-1, :, channels[-1]]
        for baseline, pol in np.argwhere((first == last) & (first != 0)):
            plane = data[:, baseline, channels, pol]
            if (plane == plane[0, 0]).all():
                part = code[:, baseline, :, pol]
                part[part == 0] = FlagCode.CONSTANT.value

    def _has_noise(self, data: NDArray[np.complex64]) -> NDArray[np.bool_]:
        """Return which baselines carry noise: noise-free simulations do not, and their fringes are no interference.

        XX and YY see the same unpolarised sky through different gains; what is left of XX after YY times
        the best factor of each channel is noise (and interference, which is why a median is taken).
        """
        if self.n_pols != 2 or self.n_times < 2:
            return np.ones(data.shape[1], bool)
        # A sample of the channels tells it.
        channels = np.flatnonzero(self.received)
        channels = channels[:: max(1, len(channels) // _NOISE_CHANNELS)]
        x, y = data[:, :, channels, 0], data[:, :, channels, 1]
        power = (y.real**2 + y.imag**2).sum(0)
        factor = (x * y.conj()).sum(0) / np.where(power > 0, power, 1)
        return _medians(np.abs(x - factor * y)) > _MIN_NOISE * _medians(np.abs(x))

    def _scale(self, amplitude: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the median amplitude and the robust sigma over it, (1, nbaselines, nchan, n_pols).

        They are the same in all channels; numpy is slow along an axis of nothing but two polarisations.
        """
        channels = np.flatnonzero(self.received)
        channels = channels[:: max(1, len(channels) * self.n_times // _SCALE_SAMPLES)]
        planes = amplitude[:, :, channels].transpose(1, 3, 0, 2).reshape(amplitude.shape[1] * self.n_pols, -1)
        scale, sigma = np.ones(len(planes), np.float32), np.zeros(len(planes), np.float32)
        # At once where nothing is missing, NaN.
        incomplete = np.isnan(planes).any(1)
        if planes.shape[1] > 3:
            scale[~incomplete], sigma[~incomplete] = _centre_and_sigma(planes[~incomplete])
        for row in np.flatnonzero(incomplete):
            values = planes[row][np.isfinite(planes[row])]
            if len(values) > 3:
                scale[row], sigma[row] = _centre_and_sigma(values)
        sigma = sigma / np.where(scale > 0, scale, 1)
        positive = np.where(scale > 0, scale, 1).astype(np.float32)
        shape = (1, amplitude.shape[1], 1, self.n_pols)
        return tuple(np.repeat(one.reshape(shape), amplitude.shape[2], axis=2) for one in (positive, sigma))


def robust_sigma(values: NDArray[np.floating[Any]]) -> float:
    """Return the standard deviation that a normal distribution of this interquartile range has."""
    return float(_centre_and_sigma(np.asarray(values).ravel())[1])


def _centre_and_sigma(values: NDArray[np.floating[Any]]) -> tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]:
    """Return the median and the robust sigma along the last axis."""
    length = values.shape[-1]
    quarter, half = length // 4, length // 2
    ordered = np.sort(values, axis=-1)  # faster than numpy's partition at three places
    return ordered[..., half], (ordered[..., -1 - quarter] - ordered[..., quarter]) / np.float64(IQR_PER_SIGMA)


def _medians(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the median of each baseline of values (time, baseline, channel)."""
    planes = values.transpose(1, 0, 2).reshape(values.shape[1], -1)
    return np.sort(planes, axis=-1)[:, planes.shape[1] // 2]
