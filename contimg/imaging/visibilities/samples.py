"""Stokes I samples of a tile with their weights, and the noise measured from their scatter."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contimg.imaging.visibilities.averaging import Averaged
from contimg.imaging.visibilities.channel_averaging import ChannelAveraging
from contimg.measurement_set import Visibilities
from contimg.statistics import robust_sigma

# A baseline with fewer differences than this is given the median noise of the others.
_MIN_DIFFERENCES = 50
# The scatter of this many is known to 1.3 %: more are not needed.
_ENOUGH_DIFFERENCES = 2000
_BLOCK_SAMPLES = 1 << 16


@dataclass
class Samples:
    """Stokes I of one tile.

    Attributes
    ----------
    rows : (nrow,) int
        Rows of the tile that these are.
    uvw_m : (nrow, 3) float64
        Baseline coordinates (m).
    time_index : (nrow,) int
        Index of the row's integration among the tile's times.
    averaging : ChannelAveraging
        The channels that each sample is the mean of.
    vis : (nrow, width) complex64
        Stokes I (Jy); 0 where the weight is 0.
    weight : (nrow, width) float32
        Statistical weight, from nsamples and flags.
    unit_sigma_jy : (nrow,) float64, or None
        Standard deviation of the real (and the imaginary) part of a sample of weight 1, measured on the row's
        baseline; None where neither correlations nor channels can be compared.
    """

    rows: NDArray[np.int64]
    uvw_m: NDArray[np.float64]
    time_index: NDArray[np.int64]
    averaging: ChannelAveraging
    vis: NDArray[np.complex64]
    weight: NDArray[np.float32]
    unit_sigma_jy: NDArray[np.float64] | None

    @property
    def freq_hz(self) -> NDArray[np.float64]:
        """The channels of the band, (nchan,) Hz."""
        return self.averaging.channels_hz

    def select(self, chosen: NDArray[np.int64]) -> Samples:
        """Return some of the rows."""
        return Samples(
            rows=self.rows[chosen],
            uvw_m=self.uvw_m[chosen],
            time_index=self.time_index[chosen],
            averaging=self.averaging.select(chosen),
            vis=self.vis[chosen],
            weight=self.weight[chosen],
            unit_sigma_jy=None if self.unit_sigma_jy is None else self.unit_sigma_jy[chosen],
        )


def stokes_i(vis: Visibilities, threads: int = 1) -> Samples:
    """Return Stokes I: the mean of XX and YY with their weights, over what is not flagged.

    Where only one of the two correlations is left it stands for Stokes I with its own weight: the sky is taken to
    be unpolarised. Rows without any weight are left out. Visibilities that are not finite, or have no finite
    positive weight, count as flagged.

    Raises
    ------
    ValueError
        If the correlations are not XX and YY.
    """
    if vis.polarisations != ("XX", "YY"):
        raise ValueError(f"imaging needs the polarisations XX and YY, not {', '.join(vis.polarisations)}")
    shape = vis.data.shape[:2]
    mean, total = np.zeros(shape, np.complex64), np.zeros(shape, np.float32)

    def average(rows: slice) -> None:
        data, weight = usable_data(vis, rows)
        for correlation in range(data.shape[2]):
            total[rows] += weight[..., correlation]
            mean[rows] += data[..., correlation] * weight[..., correlation]
        mean[rows] *= np.divide(1, total[rows], out=np.zeros_like(total[rows]), where=total[rows] > 0)

    with ThreadPoolExecutor(threads) as pool:  # numpy releases the interpreter's lock
        list(pool.map(average, row_blocks(len(mean), _BLOCK_SAMPLES // shape[1])))
    used = np.flatnonzero(total.any(1))
    if len(used) < len(mean):
        mean, total = mean[used], total[used]
    if isinstance(vis, Averaged):
        averaging = vis.averaging
    else:
        averaging = ChannelAveraging.unaveraged(np.ascontiguousarray(vis.freq_hz), len(vis.uvw_m))
    samples = Samples(
        rows=used,
        uvw_m=np.ascontiguousarray(vis.uvw_m[used]),
        time_index=np.searchsorted(vis.times_mjd_s, vis.time_mjd_s[used] - vis.integration_s / 2),
        averaging=averaging.select(used),
        vis=mean,
        weight=total,
        unit_sigma_jy=None,
    )
    samples.unit_sigma_jy = _unit_sigma(vis, samples)
    return samples


def usable_data(
    vis: Visibilities, rows: slice | NDArray[np.int64]
) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
    """Return data and weights (n, nchan, npol) of some rows, both 0 where a visibility is flagged or not finite."""
    data, weight = vis.data[rows], vis.weight[rows]
    usable = ~vis.flag[rows] & np.isfinite(data) & np.isfinite(weight) & (weight > 0)
    return np.where(usable, data, np.complex64(0)), np.where(usable, weight, np.float32(0))


def row_blocks(count: int, largest: int) -> list[slice]:
    """Return slices of at most `largest` rows: work on blocks of this size stays in the processor's cache."""
    return [slice(start, start + max(1, largest)) for start in range(0, count, max(1, largest))]


def baseline_numbers(antenna1: NDArray[np.int32], antenna2: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return a number (nrow,) from 0 on for the baseline of each row."""
    pair = antenna1.astype(np.int64) << 32 | antenna2
    return np.unique(pair, return_inverse=True)[1]


def _unit_sigma(vis: Visibilities, samples: Samples) -> NDArray[np.float64] | None:
    """Return the noise of weight 1 for each row of the samples (nrow,), measured on its baseline (Jy)."""
    baseline = baseline_numbers(vis.antenna1[samples.rows], vis.antenna2[samples.rows])
    count = int(baseline.max(initial=-1)) + 1
    sigma = np.full(count, np.nan)
    order = np.argsort(baseline, kind="stable")
    bounds = np.searchsorted(baseline[order], np.arange(count + 1))
    for index in range(count):
        rows = order[bounds[index] : bounds[index + 1]]
        rows = rows[:: max(1, rows.size * samples.weight.shape[1] // _ENOUGH_DIFFERENCES)]
        differences = _normalised_differences(vis, samples, rows)
        if differences is not None:
            sigma[index] = robust_sigma(differences.view(np.float32))
    known = np.isfinite(sigma)
    if not known.any():
        return None
    sigma[~known] = np.median(sigma[known])
    return sigma[baseline]


def _normalised_differences(
    vis: Visibilities, samples: Samples, rows: NDArray[np.int64]
) -> NDArray[np.complex64] | None:
    """Return differences of visibilities of rows of one baseline, scaled to the noise of weight 1; None where too few.

    Of XX and YY where both are there: the sky and its sidelobes cancel. Else of adjacent channels.
    """
    data, weight = usable_data(vis, samples.rows[rows])
    both = (weight > 0).all(2)
    if np.count_nonzero(both) >= _MIN_DIFFERENCES:
        w, pair = weight[both], data[both]
        return _over_errors(pair[:, 0] - pair[:, 1], w[:, 0], w[:, 1])
    v, w = samples.vis[rows], samples.weight[rows]
    both = (w[:, 1:] > 0) & (w[:, :-1] > 0)
    if np.count_nonzero(both) < _MIN_DIFFERENCES:
        return None
    return _over_errors((v[:, 1:] - v[:, :-1])[both], w[:, 1:][both], w[:, :-1][both])


def _over_errors(
    difference: NDArray[np.complex64], one: NDArray[np.float32], two: NDArray[np.float32]
) -> NDArray[np.complex64]:
    """Return differences (n,) of two visibilities scaled to the noise of weight 1, given the weights of both."""
    return (difference / np.sqrt(1 / one + 1 / two)).astype(np.complex64, copy=False)
