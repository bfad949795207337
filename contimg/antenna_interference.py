"""Interference that one antenna alone receives, found in what the two polarisations do not share.

The sky is all but unpolarised: XX and YY of a baseline carry the same fringes, through gains whose ratio is smooth
in frequency and steady over a tile. ``R = XX - f YY`` with that ratio f is free of the sky, however many bright
sources there are, and holds the noise of both and whatever interference there is. Its power, averaged over the baselines
of an antenna, is steady to ``1 / sqrt(baselines)``; cells (integration, channel) far above are flagged on that antenna.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SIGMA = 7.0
_LEAST_EXCESS = 0.5
_RATIO_CHANNELS, _RATIO_WINDOW = 16, 7
# One bad baseline among an antenna's must not raise its mean; pure noise exceeds this once in 5e8 samples.
_MOST_POWER = 20.0
_IQR_PER_SIGMA = 1.349


class AntennaPower:
    """Adds up, block by block, the power of each antenna in every cell, in units of each baseline's own median.

    Parameters
    ----------
    n_times, n_antennas, n_channels : int
    """

    def __init__(self, n_times: int, n_antennas: int, n_channels: int) -> None:
        self._total = np.zeros((n_times, n_antennas, n_channels), np.float32)
        self._count = np.zeros((n_times, n_antennas, n_channels), np.float32)

    def add(
        self,
        data: NDArray[np.complex64],
        good: NDArray[np.bool_] | None,
        found: NDArray[np.bool_] | None,
        noisy: NDArray[np.bool_],
        one: NDArray[np.integer[Any]],
        two: NDArray[np.integer[Any]],
    ) -> None:
        """Add a block of baselines.

        Parameters
        ----------
        data : (n_times, nbaselines, nchan, npol) complex64
        good : bool, same shape, or None
            Samples that were received; None when all are.
        found : bool, same shape, or None
            Interference known already, which must not disturb the ratio of the polarisations.
        noisy : (nbaselines,) bool
            Baselines that carry noise; others are left out.
        one, two : (nbaselines,) int
            Their antennas.
        """
        from scipy.sparse import csr_array

        usable = None if good is None else good.all(-1)
        steady = usable if found is None else ~found.any(-1) if usable is None else usable & ~found.any(-1)
        rest = unshared(data, steady)
        power = rest.real**2 + rest.imag**2
        if usable is not None:
            power[~usable] = np.nan
        middle = _median_power(power)
        usable_baselines = noisy & (middle > 0)
        power /= np.where(usable_baselines, middle, np.inf)[None, :, None]
        np.minimum(power, _MOST_POWER, out=power)
        rows = np.concatenate([one, two])
        members = np.ones(len(rows), np.float32), (rows, np.tile(np.arange(len(one)), 2))
        of_antenna = csr_array(members, shape=(self._total.shape[1], len(one)))
        if usable is None:
            self._count += np.asarray(of_antenna @ usable_baselines.astype(np.float32))[None, :, None]
        else:
            np.nan_to_num(power, copy=False)
        for time, plane in enumerate(power):
            self._total[time] += of_antenna @ plane
            if usable is not None:
                self._count[time] += of_antenna @ (usable[time] & usable_baselines[:, None]).astype(np.float32)

    def cells(self) -> NDArray[np.bool_]:
        """Return the cells (n_times, n_antennas, nchan) in which an antenna receives interference."""
        result = np.zeros(self._total.shape, bool)
        for antenna in np.flatnonzero(self._count.any((0, 2))):
            count = self._count[:, antenna]
            known = count > 0.5 * count.max()
            mean = self._total[:, antenna][known] / count[known]
            low, middle, high = np.quantile(mean, [0.25, 0.5, 0.75])
            sigma = (high - low) / _IQR_PER_SIGMA
            if middle > 0:
                result[:, antenna][known] = mean > middle + max(_SIGMA * sigma, _LEAST_EXCESS * middle)
        return result


def unshared(data: NDArray[np.complex64], steady: NDArray[np.bool_] | None) -> NDArray[np.complex64]:
    """Return ``XX - f YY`` (n_times, nbaselines, nchan): what the polarisations do not share.

    f is the least-squares ratio over the integrations of each channel, made smooth in frequency: medians of 16
    channels, freed of the baseline's delay, medians again of 7 of these, interpolated. So neither lines, bursts nor
    interference in up to 48 channels move it. ``steady`` tells the samples to use for it; None: all.
    """
    x = data[..., 0]
    if data.shape[-1] != 2:
        return x.copy()
    y = data[..., 1]
    conjugate = y.conj()
    if steady is not None:
        conjugate[~steady] = 0
    power = np.einsum("tbf,tbf->bf", y, conjugate).real
    ratio = np.full(power.shape, np.nan, np.complex64)
    np.divide(np.einsum("tbf,tbf->bf", x, conjugate), power, out=ratio, where=power > 0)
    return x - _smooth(ratio) * y


def _smooth(ratio: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Return the ratio (nbaselines, nchan) made smooth; NaN (no data) is passed over."""
    from scipy.ndimage import median_filter

    channels = ratio.shape[1]
    edges = np.linspace(0, channels, max(1, channels // _RATIO_CHANNELS) + 1).astype(int)
    absent = np.isnan(ratio)
    middles, centres = [], []
    for first, last in pairwise(edges):
        part = ratio[:, first:last][:, ~absent[:, first:last].all(0)]
        if part.shape[1]:
            part = np.nan_to_num(part)
            middles.append(np.median(part.real, axis=1) + 1j * np.median(part.imag, axis=1))
            centres.append((first + last - 1) / 2)
    if not middles:
        return np.zeros_like(ratio)
    steps, place = np.stack(middles, axis=1), np.array(centres)
    # The delay that makes the sum over the band largest, to an eighth of a turn over the band.
    turns = np.arange(-4 * len(edges), 4 * len(edges)) / (8 * channels)
    towards = np.exp(-2j * np.pi * np.outer(place, turns))
    turn = turns[np.abs(steps @ towards).argmax(1)][:, None]
    steps = steps * np.exp(-2j * np.pi * turn * place)
    size = (1, min(_RATIO_WINDOW, len(place)))
    steps = median_filter(steps.real, size, mode="nearest") + 1j * median_filter(steps.imag, size, mode="nearest")
    at = np.interp(np.arange(channels), place, np.arange(len(place)))
    left = np.minimum(at.astype(int), len(place) - 1)
    right, share = np.minimum(left + 1, len(place) - 1), at - left
    smooth = steps[:, left] * (1 - share) + steps[:, right] * share
    return (smooth * np.exp(2j * np.pi * turn * np.arange(channels))).astype(np.complex64)


def _median_power(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return each baseline's median over a sample of its cells (nbaselines,); 0 where there are none."""
    step = max(1, power.shape[0] * power.shape[2] // 4096)
    sample = power[:, :, ::step].transpose(1, 0, 2).reshape(power.shape[1], -1)
    if not np.isnan(sample).any():
        return np.median(sample, axis=1)
    middle = np.zeros(len(sample), np.float32)
    some = np.isfinite(sample).any(1)
    middle[some] = np.nanmedian(sample[some], axis=1)
    return middle
