"""The noise of a tile's visibilities by subband and integration, in units of what their weights say."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.correlator.band import subband_of_frequencies
from contimg.imaging.visibilities.samples import Samples, usable_data
from contimg.measurement_set import Visibilities
from contimg.statistics import robust_sigma

_ENOUGH_SAMPLES = 1_000_000
"""The noise of each subband is then known to half a per cent, that of each integration nearly so."""
_FEWEST = 200


def measure_system_noise(vis: Visibilities, samples: Samples, *, calibrated_weights: bool = True) -> dict[str, Any]:
    """Return the noise by subband and integration, from the differences of XX and YY.

    Weights are inverse variances by the noise that the receivers had on the calibrator. A noise of 1 is what they
    promise: a flux scale that changed since, or weights that do not belong to the data, change it.

    Parameters
    ----------
    vis : Visibilities
        Calibrated, with both correlations.
    samples : Samples
        Stokes I of the same.
    calibrated_weights : bool
        Whether the weights are inverse variances (1/Jy^2); otherwise ``system_noise`` is None: there is nothing that it
        could be compared with.

    Returns
    -------
    dict
        ``system_noise``: median over subbands of the noise of weight 1; ``noise_by_subband``: each over that median;
        ``subband_noise``, ``subband_noise_of``: the one that differs most; ``time_noise``, ``time_noise_of``: the
        integration whose noise differs most, over the median of all. None where XX and YY cannot be compared.
    """
    keys = ("system_noise", "subband_noise", "subband_noise_of", "time_noise", "time_noise_of")
    found: dict[str, Any] = {**dict.fromkeys(keys), "noise_by_subband": {}}
    rows = _some_baselines(vis, samples)
    data, weight = usable_data(vis, samples.rows[rows])
    if data.shape[2] != 2:
        return found
    both: NDArray[np.bool_] = np.asarray((weight > 0).all(2))
    variance = np.divide(1, weight, out=np.zeros_like(weight), where=weight > 0).sum(2)
    difference = np.divide(data[..., 0] - data[..., 1], np.sqrt(variance), out=np.zeros_like(data[..., 0]), where=both)
    change, twice = _changes_in_time(vis, samples, rows, difference, both)
    by_subband = _noise_of(change, twice, _subband_of_samples(samples, rows))
    if not by_subband:
        return found
    middle = float(np.median(list(by_subband.values())))
    relative = {f"sb{part:02d}": round(value / middle, 4) for part, value in sorted(by_subband.items())}
    of_subband = max(relative, key=lambda name: abs(np.log(relative[name])))
    times = np.broadcast_to(samples.time_index[rows][:, None], both.shape)
    by_time = _noise_of(difference, both, times)
    level = float(np.median(list(by_time.values()))) if by_time else 1.0
    of_time = max(by_time, key=lambda index: abs(np.log(by_time[index] / level)), default=None)
    return found | {
        "system_noise": round(middle, 4) if calibrated_weights else None,
        "noise_by_subband": relative,
        "subband_noise": relative[of_subband],
        "subband_noise_of": of_subband,
        "time_noise": None if of_time is None else round(by_time[of_time] / level, 4),
        "time_noise_of": None if of_time is None else f"integration {of_time}",
    }


def _some_baselines(vis: Visibilities, samples: Samples) -> NDArray[np.int64]:
    """Return the rows (of the samples) of evenly spaced baselines that hold about as many samples as are enough."""
    number = vis.antenna1[samples.rows].astype(np.int64) << 32 | vis.antenna2[samples.rows]
    known = np.unique(number)
    step = max(1, samples.weight.size // _ENOUGH_SAMPLES)
    return np.flatnonzero(np.isin(number, known[step // 2 :: step]))


def _changes_in_time(
    vis: Visibilities,
    samples: Samples,
    rows: NDArray[np.int64],
    difference: NDArray[np.complex64],
    usable: NDArray[np.bool_],
) -> tuple[NDArray[np.complex64], NDArray[np.bool_]]:
    """Return the changes from one integration to the next over sqrt(2), and which are known.

    Receptors whose gains have drifted apart leave a part of a bright source in XX - YY, the same in both integrations.
    """
    layout, time = samples.averaging.layout_of_row[rows], samples.time_index[rows]
    baseline = vis.antenna1[samples.rows[rows]].astype(np.int64) << 32 | vis.antenna2[samples.rows[rows]]
    order = np.lexsort((time, layout, baseline))
    one, other = order[:-1], order[1:]
    follows = (baseline[one] == baseline[other]) & (layout[one] == layout[other]) & (time[one] < time[other])
    one, other = one[follows], other[follows]
    change, known = np.zeros_like(difference), np.zeros_like(usable)
    change[one] = (difference[other] - difference[one]) / np.float32(np.sqrt(2))
    known[one] = usable[one] & usable[other]
    return change, known


def _subband_of_samples(samples: Samples, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the subband (n, width) of the samples of some rows."""
    freq = samples.averaging.freq_hz()
    known = {value: subband_of_frequencies(np.array([value])) for value in np.unique(freq)}
    table = np.array([known[value] for value in freq.ravel()], np.int64).reshape(freq.shape)
    return np.asarray(table[samples.averaging.layout_of_row[rows]])


def _noise_of(
    difference: NDArray[np.complex64], usable: NDArray[np.bool_], part: NDArray[np.int64]
) -> dict[int, float]:
    """Return the robust standard deviation of real and imaginary parts, by part; without those that do not scatter."""
    found = {}
    for number in np.unique(part[usable]):
        values = difference[usable & (part == number)]
        if len(values) >= _FEWEST:
            sigma = robust_sigma(values.view(np.float32))
            if sigma > 0:
                found[int(number)] = sigma
    return found
