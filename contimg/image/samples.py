"""What is imaged: Stokes I samples, one per row and channel, with weights, and their noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contimg.image.averaging import Averaged
from contimg.image.bins import Bins
from contimg.measurement_set import Visibilities

# The scale of the normal distribution: sigma = 1.4826 median absolute deviations.
MAD_TO_SIGMA = 1.4826
# Fewer differences than this on a baseline do not measure its noise; the others' stands for it.
_MIN_DIFFERENCES = 50
# More than these measure it no better than it needs to be known (2 %).
_ENOUGH_DIFFERENCES = 4000


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


def stokes_i(vis: Visibilities) -> Samples:
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
    usable = ~vis.flag & np.isfinite(vis.data) & np.isfinite(vis.weight) & (vis.weight > 0)
    weight = np.where(usable, vis.weight, np.float32(0))
    used = np.flatnonzero(weight.any((1, 2)))
    data = vis.data
    if len(used) < len(data):  # else a copy of everything is saved
        weight, data = weight[used], data[used]
    total = weight.sum(2)
    mean = np.zeros(total.shape, np.complex64)
    for hand in range(2):
        mean += np.where(weight[..., hand] > 0, data[..., hand] * weight[..., hand], 0)
    mean /= np.where(total > 0, total, 1)
    bins = vis.bins if isinstance(vis, Averaged) else Bins.single(np.ascontiguousarray(vis.freq_hz), len(vis.uvw_m))
    baseline = _baselines(vis.antenna1[used], vis.antenna2[used])
    return Samples(
        rows=used,
        uvw_m=np.ascontiguousarray(vis.uvw_m[used]),
        time_index=np.searchsorted(vis.times_mjd_s, vis.time_mjd_s[used] - vis.integration_s / 2),
        bins=bins.select(used),
        vis=mean,
        weight=total,
        unit_sigma_jy=_unit_sigma(data, weight, mean, total, baseline),
    )


def _baselines(antenna1: NDArray[np.int32], antenna2: NDArray[np.int32]) -> NDArray[np.int64]:
    pair = antenna1.astype(np.int64) << 32 | antenna2
    return np.unique(pair, return_inverse=True)[1]


def _unit_sigma(data, weight, mean, total, baseline) -> NDArray[np.float64] | None:
    """Return the noise of weight 1 for each row, measured on its baseline.

    From XX - YY where both hands are there: the sky and its sidelobes cancel. Where only one hand is,
    from the difference of neighbouring channels.
    """
    count = int(baseline.max(initial=-1)) + 1
    sigma = np.full(count, np.nan)
    order = np.argsort(baseline, kind="stable")
    bounds = np.searchsorted(baseline[order], np.arange(count + 1))
    for index in range(count):
        rows = order[bounds[index] : bounds[index + 1]]
        rows = rows[:: max(1, rows.size * weight.shape[1] // _ENOUGH_DIFFERENCES)]
        both = (weight[rows] > 0).all(2)
        if np.count_nonzero(both) >= _MIN_DIFFERENCES:
            w = weight[rows][both]
            difference = data[rows][both]
            scaled = (difference[:, 0] - difference[:, 1]) / np.sqrt(1 / w[:, 0] + 1 / w[:, 1])
        else:
            v, w = mean[rows], total[rows]
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


def robust_sigma(values: NDArray) -> float:
    """Return 1.4826 times the median absolute deviation about the median, of the finite values."""
    values = values[np.isfinite(values)]
    return float(MAD_TO_SIGMA * np.median(np.abs(values - np.median(values))))


def image_sigma(image: NDArray[np.floating]) -> float:
    """Return the robust sigma of a large image from about a million of its pixels, evenly spaced."""
    step = max(1, min(image.shape) // 1024)
    return robust_sigma(image[::step, ::step])
