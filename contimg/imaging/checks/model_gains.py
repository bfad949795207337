"""The visibilities of a tile against the model of its bright sources: amplitudes by subband, integration and antenna.

An image shows the mean over subbands, times and baselines. A subband whose gain is wrong, two subbands whose
frequencies were exchanged, or an antenna whose gain changed after the calibrator are a few per cent of that mean, but
stand out when the data are compared with the model part by part.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.correlator.band import subband_frequencies, subband_of_frequencies
from contimg.imaging.checks.arm_gains import PAIRS, ArmSums, arm_numbers, arm_sums, pairs_of_arms
from contimg.imaging.visibilities.samples import Samples, row_blocks
from contimg.measurement_set import Coordinates
from contimg.statistics import MAD_TO_SIGMA, robust_fit, robust_sigma

_BLOCK_SAMPLES = 1 << 18
_MIN_PARTS = 5
"""Least number of subbands, integrations or antennas with which one can be compared with the others."""
_LEAST_SHARE = 0.1
"""Least power of the model in a part, over that of the median part. The averaged channels of the shortest baselines
stand for a missing subband between two others, and see the faint sources that the model lacks."""
_OF_THE_SKY = 0.5
"""Least amplitude of the visibilities over those of the catalogue that an arm's delay brings back: data of another sky
have none."""
KEYS = ("subband_gain", "time_gain", "antenna_gain")


@dataclass(frozen=True)
class _Sums:
    """Weighted sums over the samples of each part (n,): data times conjugate model, and squared model."""

    product: NDArray[np.complex128]
    power: NDArray[np.float64]


def measure_model_gains(
    coordinates: Coordinates, samples: Samples, residual_vis: NDArray[np.complex64]
) -> dict[str, Any]:
    """Return how the amplitudes of subbands, integrations and antennas deviate from the bright sources' model.

    Parameters
    ----------
    coordinates : Coordinates
        Of the tile that the samples are of.
    samples : Samples
        With the bright sources.
    residual_vis : (nrow, width) complex64
        Without them (Jy).

    Returns
    -------
    dict
        ``subband_gain``, ``time_gain``, ``antenna_gain``: gain over that of the others, of the part whose deviation is
        the most significant (of an antenna's baselines: it is the antenna's gain), and its error in ``e_...``;
        ``subband_gain_of`` and so on name the part; ``gain_by_subband`` holds all, ``antenna_gain_scatter`` the scatter
        of the antennas that both halves of the band show alike. Subbands are compared
        with a straight line in frequency, as spectra may be. None where there is no bright source or too few parts.
        And the numbers of `arm_gains.arm_numbers`.
    """
    subbands = _subbands_of_layouts(samples)
    antennas = np.stack([coordinates.antenna1[samples.rows], coordinates.antenna2[samples.rows]])
    sums, arms = _sum_parts(
        samples, residual_vis, subbands, antennas, pairs_of_arms(coordinates.antenna_names, *antennas)
    )
    number = np.arange(len(sums["subband"].power))
    names: Mapping[str, list[str]] = {
        "subband": [f"sb{i:02d}" for i in number],
        "time": [f"integration {i}" for i in range(len(sums["time"].power))],
        "antenna": list(coordinates.antenna_names),
    }
    found: dict[str, Any] = arm_numbers(arms)
    found["antenna_gain_scatter"] = _common_scatter(sums.pop("lower"), sums.pop("upper"))
    for kind, one in sums.items():
        found |= _worst_part(kind, one, names[kind], slope=kind == "subband")
    return found


def measure_arms(coordinates: Coordinates, samples: Samples, model_vis: NDArray[np.complex64]) -> dict[str, Any]:
    """Return the numbers of `arm_gains.arm_numbers` against a model that was not fitted to the samples.

    In a tile with a late arm a fitted model is a compromise of the arms, and shows little of the delay.

    Parameters
    ----------
    coordinates : Coordinates
    samples : Samples
    model_vis : (nrow, width) complex64
        Visibilities of the catalogue's sources (Jy).
    """
    subbands = _subbands_of_layouts(samples)
    antennas = np.stack([coordinates.antenna1[samples.rows], coordinates.antenna2[samples.rows]])
    pairs = pairs_of_arms(coordinates.antenna_names, *antennas)
    _, arms = _sum_parts(samples, samples.vis - model_vis, subbands, antennas, pairs)
    return arm_numbers(arms, least_gain=_OF_THE_SKY)


def _subbands_of_layouts(samples: Samples) -> NDArray[np.int64]:
    """Return the subband of each sample of each layout (nlayout, width)."""
    freq = samples.averaging.freq_hz()
    known = {value: subband_of_frequencies(np.array([value])) for value in np.unique(freq)}
    return np.array([known[value] for value in freq.ravel()], np.int64).reshape(freq.shape)


def _sum_parts(
    samples: Samples,
    residual_vis: NDArray[np.complex64],
    subbands: NDArray[np.int64],
    antennas: NDArray[np.int32],
    arms: NDArray[np.int64],
) -> tuple[dict[str, _Sums], ArmSums]:
    """Return the sums by subband, integration, antenna (of the band and its halves) and pairs of arms, in blocks."""
    counts = {
        "cell": (PAIRS + 1) * (int(subbands.max()) + 1),  # pair of arms and subband
        "time": int(samples.time_index.max(initial=0)) + 1,
        "antenna": int(antennas.max(initial=0)) + 1,
    }
    counts |= dict.fromkeys(("lower", "upper"), counts["antenna"])
    in_lower = subbands > int(np.median(subbands))  # sb00 is the highest
    product = {kind: np.zeros(count, np.complex128) for kind, count in counts.items()}
    power = {kind: np.zeros(count) for kind, count in counts.items()}
    for rows in row_blocks(len(samples.vis), _BLOCK_SAMPLES // max(1, samples.vis.shape[1])):
        model = samples.vis[rows] - residual_vis[rows]
        cross = samples.weight[rows] * samples.vis[rows] * model.conj()
        square = samples.weight[rows] * (model.real**2 + model.imag**2)
        band = subbands[samples.averaging.layout_of_row[rows]]
        cell = (arms[rows, None] * (int(subbands.max()) + 1) + band).ravel()
        row_cross, row_square = cross.sum(1, dtype=np.complex128), square.sum(1, dtype=np.float64)
        lower = in_lower[samples.averaging.layout_of_row[rows]]
        low_cross = np.einsum("rc,rc->r", cross, lower, dtype=np.complex128)
        low_square = np.einsum("rc,rc->r", square, lower, dtype=np.float64)
        high_cross, high_square = row_cross - low_cross, row_square - low_square
        for kind, index, z, p in (
            ("cell", cell, cross.ravel(), square.ravel()),
            ("time", samples.time_index[rows], row_cross, row_square),
            ("antenna", antennas[0, rows], row_cross, row_square),
            ("antenna", antennas[1, rows], row_cross.conj(), row_square),
            ("lower", antennas[0, rows], low_cross, low_square),
            ("lower", antennas[1, rows], low_cross.conj(), low_square),
            ("upper", antennas[0, rows], high_cross, high_square),
            ("upper", antennas[1, rows], high_cross.conj(), high_square),
        ):
            n = counts[kind]
            product[kind] += np.bincount(index, z.real, n) + 1j * np.bincount(index, z.imag, n)
            power[kind] += np.bincount(index, p, n)
    cells = _Sums(product.pop("cell").reshape(PAIRS + 1, -1), power.pop("cell").reshape(PAIRS + 1, -1))
    middle_hz = np.array([subband_frequencies(i, 1)[0] for i in range(cells.power.shape[1])])
    sums = {"subband": _Sums(cells.product.sum(0), cells.power.sum(0))}
    sums |= {kind: _Sums(product[kind], power[kind]) for kind in product}
    return sums, arm_sums(cells.product, cells.power, middle_hz)


def _worst_part(kind: str, sums: _Sums, names: list[str], *, slope: bool) -> dict[str, Any]:
    """Return the part whose gain deviates most significantly from the others'; None where it cannot be known."""
    keys = (f"{kind}_gain", f"e_{kind}_gain", f"{kind}_gain_of")
    found: dict[str, Any] = dict.fromkeys(keys)
    if kind == "subband":
        found["gain_by_subband"] = {}
    there = np.flatnonzero(sums.power > 0)
    if len(there):
        there = np.flatnonzero(sums.power >= _LEAST_SHARE * np.median(sums.power[there]))
    if len(there) < _MIN_PARTS:
        return found
    gain = np.abs(sums.product[there]) / sums.power[there]
    error = 1 / np.sqrt(sums.power[there])
    place = (there - there.mean()) / max(1, len(there) - 1)
    design = np.stack([np.ones(len(there)), place], axis=1) if slope else np.ones((len(there), 1))
    fit = robust_fit(design, gain, error)
    expected = design @ fit.coefficients
    if not (expected > 0).all():
        return found
    ratio = gain / expected
    deviation = ratio - 1
    # What drifts, faint sources and noise let all parts scatter: that scatter is the error of each.
    scatter = max(1e-6, MAD_TO_SIGMA * float(np.median(np.abs(deviation))) * math.sqrt(len(there) / (len(there) - 1)))
    errors = np.maximum(error / expected, scatter)
    worst = int(np.argmax(np.abs(deviation) / errors))
    found |= dict(
        zip(keys, (round(float(ratio[worst]), 5), round(float(errors[worst]), 6), names[there[worst]]), strict=True)
    )
    if kind == "subband":
        found["gain_by_subband"] = {
            names[part]: round(float(value), 5) for part, value in zip(there, ratio, strict=True)
        }
    return found


def _common_scatter(lower: _Sums, upper: _Sums) -> float | None:
    """Return the scatter of the antennas' amplitudes that both halves of the band have in common.

    Drifts of amplifiers are alike in the whole band; noise, errors of the bandpass and faint sources that the model
    lacks differ between the halves, and are as large in the halves' difference as in their mean.
    """
    there = (lower.power > 0) & (upper.power > 0)
    if np.count_nonzero(there) < _MIN_PARTS:
        return None
    one, two = (np.abs(half.product[there]) / half.power[there] for half in (lower, upper))
    one, two = one / np.median(one), two / np.median(two)
    return round(math.sqrt(max(0.0, robust_sigma((one + two) / 2) ** 2 - robust_sigma((one - two) / 2) ** 2)), 6)
