"""What is imaged: Stokes I samples, one per row and channel, with weights, and their noise."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contimg.imaging.visibilities.averaging import Averaged, Bins
from contimg.measurement_set import Visibilities
from contimg.statistics import robust_sigma

# Fewer differences than this on a baseline do not measure its noise; the others' stands for it.
_MIN_DIFFERENCES = 50
# More than these measure it no better than it needs to be known (1.3 %).
_ENOUGH_DIFFERENCES = 2000
_BLOCK_SAMPLES = 1 << 16


@dataclass
class Samples:
    """Stokes I of one tile.

    Attributes
    ----------
    rows : (nrow,) int
        Which rows of the tile these are.
    uvw_m : (nrow, 3) float64
    time_index : (nrow,) int
        Index of the row's integration among the tile's times.
    bins : Bins
        Which channels the samples are means of.
    vis : (nrow, width) complex64
        Stokes I (Jy); 0 where the weight is 0.
    weight : (nrow, width) float32
        Statistical weight, from nsamples and flags.
    unit_sigma_jy : (nrow,) float64, or None
        Noise of real and imaginary part of a sample of weight 1, per row, as measured on its baseline;
        None where neither hands nor channels can be compared.
    """

    rows: NDArray[np.int64]
    uvw_m: NDArray[np.float64]
    time_index: NDArray[np.int64]
    bins: Bins
    vis: NDArray[np.complex64]
    weight: NDArray[np.float32]
    unit_sigma_jy: NDArray[np.float64] | None

    @property
    def freq_hz(self) -> NDArray[np.float64]:
        """The band's channels (nchan,)."""
        return self.bins.channels_hz

    def select(self, chosen: NDArray[np.int64]) -> Samples:
        """Return some of the rows."""
        sigma = None if self.unit_sigma_jy is None else self.unit_sigma_jy[chosen]
        picked = [array[chosen] for array in (self.rows, self.uvw_m, self.time_index)]
        return Samples(*picked, self.bins.select(chosen), self.vis[chosen], self.weight[chosen], sigma)


def stokes_i(vis: Visibilities, threads: int = 1) -> Samples:
    """Return Stokes I: the mean of XX and YY weighted with their weights, without what is flagged.

    Where only one hand is left it stands for Stokes I with its own weight: the sky is taken to be
    unpolarised. Rows without any weight are left out. Samples that are not finite, or have no finite
    positive weight, count as flagged.

    Raises
    ------
    ValueError
        If the polarisations are not XX and YY.
    """
    if vis.polarisations != ("XX", "YY"):
        raise ValueError(f"imaging needs the polarisations XX and YY, not {', '.join(vis.polarisations)}")
    shape = vis.data.shape[:2]
    mean, total = np.zeros(shape, np.complex64), np.zeros(shape, np.float32)

    def average(rows: slice) -> None:
        data, weight = hands(vis, rows)
        for hand in range(data.shape[2]):
            total[rows] += weight[..., hand]
            mean[rows] += data[..., hand] * weight[..., hand]
        mean[rows] *= np.divide(1, total[rows], out=np.zeros_like(total[rows]), where=total[rows] > 0)

    with ThreadPoolExecutor(threads) as pool:  # numpy lets go of the interpreter's lock
        list(pool.map(average, blocks(len(mean), _BLOCK_SAMPLES // shape[1])))
    used = np.flatnonzero(total.any(1))
    if len(used) < len(mean):
        mean, total = mean[used], total[used]
    bins = vis.bins if isinstance(vis, Averaged) else Bins.single(np.ascontiguousarray(vis.freq_hz), len(vis.uvw_m))
    samples = Samples(
        rows=used,
        uvw_m=np.ascontiguousarray(vis.uvw_m[used]),
        time_index=np.searchsorted(vis.times_mjd_s, vis.time_mjd_s[used] - vis.integration_s / 2),
        bins=bins.select(used),
        vis=mean,
        weight=total,
        unit_sigma_jy=None,
    )
    samples.unit_sigma_jy = _unit_sigma(vis, samples)
    return samples


def hands(vis: Visibilities, rows: slice | NDArray[np.int64]) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
    """Return data and weights (n, nchan, nhand) of some rows, both 0 where a sample is not usable."""
    data, weight = vis.data[rows], vis.weight[rows]
    usable = ~vis.flag[rows] & np.isfinite(data) & np.isfinite(weight) & (weight > 0)
    return np.where(usable, data, np.complex64(0)), np.where(usable, weight, np.float32(0))


def blocks(count: int, most: int) -> list[slice]:
    """Return slices of at most so many rows: what is worked through together stays in the processor's cache."""
    return [slice(start, start + max(1, most)) for start in range(0, count, max(1, most))]


def _baselines(antenna1: NDArray[np.int32], antenna2: NDArray[np.int32]) -> NDArray[np.int64]:
    pair = antenna1.astype(np.int64) << 32 | antenna2
    return np.unique(pair, return_inverse=True)[1]


def _unit_sigma(vis: Visibilities, samples: Samples) -> NDArray[np.float64] | None:
    """Return the noise of weight 1 for each row of the samples, measured on its baseline.

    From XX - YY where both hands are there: the sky and its sidelobes cancel. Where only one hand is,
    from the difference of neighbouring channels.
    """
    baseline = _baselines(vis.antenna1[samples.rows], vis.antenna2[samples.rows])
    count = int(baseline.max(initial=-1)) + 1
    sigma = np.full(count, np.nan)
    order = np.argsort(baseline, kind="stable")
    bounds = np.searchsorted(baseline[order], np.arange(count + 1))
    for index in range(count):
        rows = order[bounds[index] : bounds[index + 1]]
        rows = rows[:: max(1, rows.size * samples.weight.shape[1] // _ENOUGH_DIFFERENCES)]
        data, weight = hands(vis, samples.rows[rows])
        both = (weight > 0).all(2)
        if np.count_nonzero(both) >= _MIN_DIFFERENCES:
            w, difference = weight[both], data[both]
            scaled = (difference[:, 0] - difference[:, 1]) / np.sqrt(1 / w[:, 0] + 1 / w[:, 1])
        else:
            v, w = samples.vis[rows], samples.weight[rows]
            pair = (w[:, 1:] > 0) & (w[:, :-1] > 0)
            if np.count_nonzero(pair) < _MIN_DIFFERENCES:
                continue
            scaled = (v[:, 1:] - v[:, :-1])[pair] / np.sqrt(1 / w[:, 1:][pair] + 1 / w[:, :-1][pair])
        sigma[index] = robust_sigma(scaled.view(np.float32))
    known = np.isfinite(sigma)
    if not known.any():
        return None
    sigma[~known] = np.median(sigma[known])
    return sigma[baseline]
