"""Frequencies of the subbands from fringe rates, which are proportional to frequency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.commissioning.conventions import GOOD
from contimg.commissioning.findings import CONFIRMED, REFUTED, Finding, listed, not_measurable
from contimg.commissioning.fits import regress
from contimg.commissioning.fringes import Baselines, FringeModel, Sample, coherence, mean_coherence, stopped
from contimg.commissioning.positions import Offsets, patterns
from contimg.commissioning.transit import Residuals
from contimg.correlator.band import SUBBAND_WIDTH_HZ, SUBBANDS
from contimg.sky import geometry
from contimg.sky.constants import C_M_S

_SIGMA = 5.0
_WORST_ERROR_MHZ = 3.0
"""A frequency is measured if its error is below a quarter of a subband."""
_ORDER_SIGMA, _WORST_ORDER = 4.0, 0.25


@dataclass(frozen=True)
class Frequency:
    """Measured frequency of a subband.

    Attributes
    ----------
    subband : int
        By its label.
    labelled_mhz, measured_mhz, error_mhz : float
        Of the middle of the subband; the measured one is relative to the mean of all.
    order, order_error : float
        Slope of measured against labelled frequency within the subband: 1 if right, -1 if the channels are reversed.
    fits : int
        The subband whose frequencies fit the fringes best.
    """

    subband: int
    labelled_mhz: float
    measured_mhz: float
    error_mhz: float
    order: float
    order_error: float
    fits: int


def measure_frequencies(
    residuals: Sequence[Residuals], offsets: Offsets, model: FringeModel, baselines: Baselines
) -> list[Frequency]:
    """Measure the frequency of every subband from the stretch of its fringe rates against the band's."""
    times = residuals[0].header.times_mjd
    east, _ = patterns(model, times)
    local = geometry.site_frame(model.positions_m, model.location.longitude_rad)
    length = (local[baselines.two] - local[baselines.one])[:, 1][offsets.used]
    found = []
    for one in residuals:
        parts = np.array([_stretch(one, block, offsets, east, length) for block in range(len(one.freq_hz))])
        good = np.isfinite(parts).all(axis=1)
        label = one.header.freq_hz.mean() / 1e6
        if not good.any():
            found.append(Frequency(one.header.subband, label, np.nan, np.inf, np.nan, np.inf, one.header.subband))
            continue
        weights = 1 / parts[good, 1] ** 2
        stretch, error = float(weights @ parts[good, 0] / weights.sum()), float(weights.sum() ** -0.5)
        order, order_error = _order(one.freq_hz[good], parts[good])
        measured = label * (1 + stretch)
        found.append(
            Frequency(one.header.subband, label, measured, label * error, order, order_error, subband_at(measured))
        )
    return found


def _stretch(
    one: Residuals, block: int, offsets: Offsets, east: NDArray[np.float64], length_m: NDArray[np.float64]
) -> tuple[float, float]:
    """Return true over labelled frequency, less 1, and its error, of one part of a subband."""
    frequency = one.freq_hz[block]
    # The mean over the band is subtracted first: it contains errors of positions and clock, and field sources.
    products = one.products[block][:, offsets.used]
    lit = np.abs(products).mean(axis=1) > 0 if products.size else np.zeros(len(products), bool)
    if lit.sum() < 3:
        return float("nan"), float("inf")
    path = np.outer(east, offsets.slopes_m[offsets.used])
    left = products * np.exp(-2j * np.pi * frequency / C_M_S * path)
    phases = np.unwrap(np.angle(left[lit]), axis=0)
    shape = east[lit] - east[lit].mean()
    slopes = shape @ phases / (shape @ shape) / (2 * np.pi * frequency / C_M_S)
    size = np.abs(left).mean(axis=0)
    steady = np.abs((left / np.maximum(np.abs(left), 1e-300))[lit].mean(axis=0)) > 0.5
    weights = np.where(steady & (size > 0), 1.0, 0.0)
    coefficients, errors, _ = regress(length_m[:, None], slopes, weights)
    return float(coefficients[0]), float(errors[0])


def _order(freq_hz: NDArray[np.float64], parts: NDArray[np.float64]) -> tuple[float, float]:
    """Return the slope of measured against labelled frequency within a subband, and its error."""
    if len(freq_hz) < 2:
        return float("nan"), float("inf")
    offset, weights = freq_hz - freq_hz.mean(), 1 / (parts[:, 1] * freq_hz) ** 2
    centred = offset - weights @ offset / weights.sum()
    shift = parts[:, 0] * freq_hz
    return 1 + float((weights * centred) @ shift / (weights @ centred**2)), float((weights @ centred**2) ** -0.5)


def subband_at(megahertz: float) -> int:
    """Return the number of the subband nearest to a frequency (MHz)."""
    top = 1530.0 - 1023.5 * 250 / 8192
    return min(max(round((top - megahertz) * 1e6 / SUBBAND_WIDTH_HZ - 0.5), 0), SUBBANDS - 1)


def label_that_fits(
    sample: Sample, model: FringeModel, times_mjd: NDArray[np.float64], baselines: Baselines
) -> tuple[int, float, float]:
    """Return the subband whose frequencies make a sample most coherent, that coherence, and that at its own label."""
    paths = model.paths_m(times_mjd)
    ratios = []
    for subband in range(SUBBANDS):
        frequencies = sample.freq_hz - (subband - sample.subband) * SUBBAND_WIDTH_HZ
        ratios.append(mean_coherence(*coherence(stopped(sample.vis, paths, frequencies, baselines))))
    best = int(np.argmax(ratios))
    return best, float(ratios[best]), float(ratios[sample.subband])


def frequency_findings(found: Sequence[Frequency], labels: dict[int, tuple[int, float, float]]) -> list[Finding]:
    """Return the findings on labels and on the order of channels.

    Parameters
    ----------
    found : sequence of Frequency
    labels : dict
        Subband -> what `label_that_fits` says, for subbands that are not coherent at their own label.
    """
    wrong, unknown = {}, []
    for one in found:
        best, ratio, own = labels.get(one.subband, (one.subband, 1.0, 1.0))
        off = abs(one.measured_mhz - one.labelled_mhz)
        if own < GOOD:
            if ratio >= GOOD and best != one.subband:
                wrong[one.subband] = best
            else:
                unknown.append(one.subband)
        elif not one.error_mhz < _WORST_ERROR_MHZ:
            unknown.append(one.subband)
        elif off > max(_SIGMA * one.error_mhz, SUBBAND_WIDTH_HZ / 2e6):
            wrong[one.subband] = one.fits
    details: dict[str, Any] = {"subbands": [vars(one) | {"fits": wrong.get(one.subband, one.subband)} for one in found]}
    return [_label_finding(found, wrong, unknown, details), _order_finding(found, set(wrong) | set(unknown))]


def _label_finding(
    found: Sequence[Frequency], wrong: dict[int, int], unknown: list[int], details: dict[str, Any]
) -> Finding:
    good = [one for one in found if one.subband not in wrong and one.subband not in unknown]
    lost = f"; no steady fringes in {listed([f'sb{s:02d}' for s in unknown])}" if unknown else ""
    if wrong:
        exchanged = listed([f"sb{own:02d} holds sb{true:02d}" for own, true in sorted(wrong.items())])
        return Finding("frequencies", REFUTED, exchanged + lost, float(len(wrong)), None, "subbands",
                       tuple(f"sb{own:02d}" for own in sorted(wrong)), details)  # fmt: skip
    if not good:
        why = "fringe rates do not tell the frequency of any subband" + lost
        return Finding("frequencies", "not measurable", why, details=details)
    off = np.array([one.measured_mhz - one.labelled_mhz for one in good])
    error = float(np.median([one.error_mhz for one in good]))
    largest = float(np.abs(off).max())
    text = f"{len(good)} subbands are within {largest:.2f} MHz of their labels (± {error:.2f} MHz each){lost}"
    return Finding("frequencies", CONFIRMED, text, largest, error, "MHz", (), details)


def _order_finding(found: Sequence[Frequency], left_out: set[int]) -> Finding:
    good = [one for one in found if one.subband not in left_out and np.isfinite(one.order_error)]
    if not good:
        return not_measurable("channel_order", "fringe rates do not tell the order of channels in any subband")
    weights = np.array([1 / one.order_error**2 for one in good])
    slope = float(weights @ np.array([one.order for one in good]) / weights.sum())
    error = float(weights.sum() ** -0.5)
    reversed_ = [one.subband for one in good
                 if one.order + _ORDER_SIGMA * one.order_error < 0.0 and one.order_error < 0.5]  # fmt: skip
    if reversed_:
        names = tuple(f"sb{subband:02d}" for subband in reversed_)
        worst = min((one for one in good if one.subband in reversed_), key=lambda one: one.order)
        return Finding("channel_order", REFUTED, f"channels of {listed(names)} are reversed: slope {worst.order:+.2f} "
                       f"± {worst.order_error:.2f}, 1 if right", worst.order, worst.order_error, "", names)  # fmt: skip
    if error > _WORST_ORDER:
        return not_measurable("channel_order", f"slope {slope:+.2f} ± {error:.2f}, 1 if right, -1 if reversed")
    if slope + _ORDER_SIGMA * error < 0:
        return Finding("channel_order", REFUTED, f"channels of all subbands are reversed: slope {slope:+.2f} ± "
                       f"{error:.2f}, 1 if right", slope, error)  # fmt: skip
    return Finding("channel_order", CONFIRMED, f"slope {slope:+.2f} ± {error:.2f}, 1 if right, -1 if reversed",
                   slope, error)  # fmt: skip
