"""Residual delays of every receptor in every subband, from the phases of neighbouring channels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from contimg.commissioning.findings import CONFIRMED, REFUTED, Finding, listed, not_measurable
from contimg.commissioning.fits import antenna_values
from contimg.commissioning.fringes import Baselines
from contimg.commissioning.transit import Residuals, disturbed
from contimg.statistics import robust_sigma

LONGEST_NS = 100.0
"""Largest delay (ns): 100 ns lose 0.1 % of the amplitude in a channel of 244 kHz."""
_STEP_NS, _STEP_SIGMA = 10.0, 8.0


def measure_delays(
    residuals: Sequence[Residuals], baselines: Baselines, used: NDArray[np.bool_], count: int
) -> NDArray[np.float64]:
    """Return the delays (nsubband, npol, nant), ns, less their median; NaN where not measured or disturbed."""
    found = []
    for one, lost in zip(residuals, disturbed(residuals), strict=True):
        frequencies = one.header.freq_hz
        if len(frequencies) < 2 or lost:
            found.append(np.full((len(one.slopes), count), np.nan))
            continue
        step_hz = frequencies[1] - frequencies[0]
        delays_ns = np.angle(one.slopes) / (2 * np.pi * step_hz) * 1e9
        weights = used & (np.abs(one.slopes) > 0)
        found.append(np.stack([
            antenna_values(delays, baselines, count, good.astype(float))
            for delays, good in zip(delays_ns, weights, strict=True)
        ]))  # fmt: skip
    return np.array(found)


def delay_finding(
    delays_ns: NDArray[np.float64], subbands: Sequence[int], names: tuple[str, ...], left_out: set[str]
) -> Finding:
    """Return the finding on delays: short, and the same in all subbands.

    Parameters
    ----------
    delays_ns : (nsubband, npol, nant) float64
    subbands : sequence of int
    names : tuple of str
        Of the antennas.
    left_out : set of str
        Antennas whose position is wrong: their delays follow from it.
    """
    kept = np.array([name not in left_out for name in names])
    known: NDArray[np.bool_] = np.asarray(np.isfinite(delays_ns).any(axis=0))
    if not known[:, kept].any():
        return not_measurable("delays", "too few channels or fringes")
    middle: NDArray[np.float64] = np.full(known.shape, np.nan)
    middle[known] = np.nanmedian(delays_ns[:, known], axis=0)
    steps = delays_ns - middle
    scatter = robust_sigma(steps[:, :, kept][np.isfinite(steps[:, :, kept])])
    limit = max(_STEP_NS, _STEP_SIGMA * scatter)
    off = np.argwhere((np.abs(steps) > limit) & kept)
    long = np.argwhere((np.abs(middle) > LONGEST_NS) & kept)
    largest = float(np.nanmax(np.abs(middle[:, kept])))
    details = {
        "median_ns": {name: [None if not np.isfinite(v) else round(float(v), 2) for v in middle[:, a]]
                      for a, name in enumerate(names)},
        "scatter_between_subbands_ns": scatter,
    }  # fmt: skip
    named = tuple(dict.fromkeys([names[a] for _, a in long] + [names[a] for _, _, a in off]))
    if not named:
        text = f"largest {largest:.1f} ns; subbands agree to {scatter:.2f} ns"
        return Finding("delays", CONFIRMED, text, largest, scatter, "ns", (), details)
    parts = [f"{names[a]} {'XY'[p]} {middle[p, a]:+.0f} ns" for p, a in long]
    parts += [f"{names[a]} {'XY'[p]} in sb{subbands[s]:02d} {steps[s, p, a]:+.0f} ns" for s, p, a in off]
    return Finding("delays", REFUTED, f"off: {listed(parts)}", largest, scatter, "ns", named, details)
