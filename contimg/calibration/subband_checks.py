"""Checks of a bandpass subband by subband: files whose frequencies were exchanged, subbands whose gain changed.

The correlator makes each subband in a process of its own, so that faults come by subband. After the delays have been
removed, the phases of a bandpass go smoothly from one subband to the next: a subband at a wrong frequency has the
phase ``2 pi tau (f_true - f_labelled)`` of each receptor's delay tau (21 degrees for 5 ns and neighbouring subbands).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from contimg.calibration.caltables import Solutions
from contimg.correlator.band import subband_of_frequencies
from contimg.statistics import MAD_TO_SIGMA


def subband_numbers(freq_hz: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the subband of each channel (nchan,)."""
    return np.array([subband_of_frequencies(np.array([freq])) for freq in freq_hz])


def phase_offsets_deg(bandpass: Solutions) -> dict[str, float]:
    """Return how far the phases of each subband are off the mean of its two neighbours' [deg], by name.

    Of each receptor the phase of the mean over the subband's channels; over receptors the robust rms. Subbands at the
    ends of the band, or beside one without solutions, have no two neighbours and are left out.
    """
    number = subband_numbers(bandpass.freq_hz)
    turns = np.where(bandpass.flag, 0, np.exp(1j * np.angle(bandpass.values)))[0]  # nant, nchan, npol
    mean = {n: turns[:, number == n].mean(1) for n in np.unique(number)}
    offsets = {}
    for n in sorted(mean):
        if n - 1 not in mean or n + 1 not in mean:
            continue
        # Twice the offset, from the steps on both sides; 0 where a receptor has no solution in one of the three.
        steps = mean[n] * mean[n - 1].conj(), mean[n + 1] * mean[n].conj()
        known = (steps[0] != 0) & (steps[1] != 0)
        if known.any():
            twice = np.angle(steps[0][known]) - np.angle(steps[1][known])
            offsets[f"sb{n:02d}"] = round(float(np.degrees(MAD_TO_SIGMA * np.median(np.abs(twice)) / 2)), 3)
    return offsets


def amplitude_changes(
    ratio: NDArray[np.float64], error: NDArray[np.float64], freq_hz: NDArray[np.float64]
) -> dict[str, float]:
    """Return the relative change of each subband's amplitude since another bandpass, by name.

    Parameters
    ----------
    ratio, error : (nreceptor, nchan) float64
        Amplitude over that of the other bandpass, divided by the receptor's median; its standard deviation. NaN where
        there is none.
    freq_hz : (nchan,) float64

    Returns
    -------
    dict
        The rms over receptors of the mean over the subband's channels, minus 1, with the noise subtracted.
    """
    number, changes = subband_numbers(freq_hz), {}
    for n in np.unique(number):
        part, part_error = ratio[:, number == n], error[:, number == n]
        count = np.isfinite(part).sum(1)
        if not count.any():
            continue
        mean = np.nansum(part, axis=1)[count > 0] / count[count > 0] - 1
        variance = np.nansum(part_error**2, axis=1)[count > 0] / count[count > 0] ** 2
        changes[f"sb{n:02d}"] = round(float(np.sqrt(max(np.mean(mean**2 - variance), 0.0))), 5)
    return changes


def largest(values: dict[str, float]) -> float | None:
    """Return the largest of some numbers by subband; None where there are none."""
    return max(values.values(), default=None)


def named_above(values: dict[str, float], limit: float, form: str) -> str:
    """Return the subbands above a limit with their values, in words; empty where there are none."""
    return ", ".join(f"{name} ({value:{form}})" for name, value in values.items() if value > limit)
