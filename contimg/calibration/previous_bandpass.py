"""A bandpass calibration compared with the certified one before it: how much the receivers changed.

Only amplitudes are compared. Phases change with the weather and the reference antenna, and delays and bandpass phases
share what they describe; amplitudes belong to the receivers, and carry the flux scale. Limits on the changes are gates
of `contimg.products.gates`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.calibration.caltables import Solutions
from contimg.calibration.subband_checks import amplitude_changes, largest
from contimg.config import CalibrationOptions

NOT_COMPARED: dict[str, Any] = {
    "gain_level_ratio": None,
    "gain_change_by_antenna": {},
    "changed_antennas": [],
    "changed_antennas_fraction": None,
    "bandpass_change_rms": None,
    "bandpass_change_by_subband": {},
    "subband_change": None,
}


@dataclass(frozen=True)
class BandpassAndGains:
    """The solutions B and G of a calibration on a calibrator."""

    bandpass: Solutions
    gains: Solutions


def compare_with_previous(
    new: BandpassAndGains, old: BandpassAndGains, options: CalibrationOptions
) -> dict[str, Any] | None:
    """Compare the solutions of two calibrations on calibrators.

    Parameters
    ----------
    new, old : BandpassAndGains
    options : CalibrationOptions
        An antenna has changed if its amplitude did by more than ``max_gain_change``.

    Returns
    -------
    dict or None
        ``gain_level_ratio``: the array's gain (power, so flux density per correlator unit) over that before, of the
        median receptor. ``gain_change_by_antenna``: each antenna's amplitude over its own before, divided by the
        array's median ratio. ``changed_antennas``, and their fraction. ``bandpass_change_rms``: change of the shape of
        a receptor's bandpass, rms over channels, of the median receptor; the change of its median level and the noise
        of the solutions are subtracted; None where the channels are others. ``bandpass_change_by_subband``: the same of
        each subband's mean, rms over receptors, and ``subband_change``, the largest of them. None if no antenna has
        solutions in both.
    """
    level = _levels(new) / _on_antennas(_levels(old), old.bandpass, new.bandpass)
    if not np.isfinite(level).any():
        return None
    common = float(np.nanmedian(level))
    names = new.bandpass.antenna_names
    known = np.flatnonzero(np.isfinite(level).any(1))
    changes = {names[a]: float(np.nanmedian(level[a]) / common) for a in known}
    changed = [name for name, ratio in changes.items() if max(ratio, 1 / ratio) > 1 + options.max_gain_change]
    return {
        "gain_level_ratio": round(common**2, 4),
        "gain_change_by_antenna": {name: round(ratio, 4) for name, ratio in changes.items()},
        "changed_antennas": changed,
        "changed_antennas_fraction": round(len(changed) / len(changes), 4),
        **_shape_changes(new.bandpass, old.bandpass),
    }


def _levels(solved: BandpassAndGains) -> NDArray[np.float64]:
    """Return each receptor's amplitude (nant, npol), of B over channels times G over time; NaN where it has none."""
    return _median_amplitude(solved.bandpass) * _median_amplitude(solved.gains)


def _median_amplitude(solutions: Solutions) -> NDArray[np.float64]:
    """Return each receptor's median amplitude over times and channels (nant, npol); NaN where it has no solution."""
    size = np.where(solutions.flag, np.nan, np.abs(solutions.values))
    there = np.asarray(np.isfinite(size).any((0, 2)))
    size = np.where(there[None, :, None, :], size, 1.0)  # numpy warns of medians of nothing
    return np.where(there, np.nanmedian(size, axis=(0, 2)), np.nan)


def _on_antennas(values: NDArray[np.float64], old: Solutions, new: Solutions) -> NDArray[np.float64]:
    """Return values by antenna of `old` in the order of the antennas of `new`; NaN for those that `old` lacks."""
    place = {name: i for i, name in enumerate(old.antenna_names)}
    rows = [values[place[name]] if name in place else np.full(values.shape[1:], np.nan) for name in new.antenna_names]
    return np.array(rows)


def _shape_changes(new: Solutions, old: Solutions) -> dict[str, Any]:
    """Return the changes of the bandpass shapes, of the whole band and by subband; None where the channels differ."""
    unknown = {
        key: NOT_COMPARED[key] for key in ("bandpass_change_rms", "bandpass_change_by_subband", "subband_change")
    }
    if new.values.shape[2] != old.values.shape[2] or not np.allclose(new.freq_hz, old.freq_hz, rtol=0, atol=1.0):
        return unknown
    size, noise = [], []
    for one in (new, old):
        lost = one.flag[0] | (one.snr[0] <= 0)
        size.append(np.where(lost, np.nan, np.abs(one.values[0])))
        noise.append(np.where(lost, np.nan, 1 / np.where(lost, 1, one.snr[0])))
    ratio = (size[0] / _on_antennas(size[1], old, new)).transpose(0, 2, 1).reshape(-1, size[0].shape[1])
    error = np.hypot(noise[0], _on_antennas(noise[1], old, new)).transpose(0, 2, 1).reshape(ratio.shape)
    enough = np.isfinite(ratio).sum(1) > 1
    if not enough.any():
        return unknown
    ratio, error = ratio[enough], error[enough]
    ratio = ratio / np.nanmedian(ratio, axis=1, keepdims=True)
    variance = np.nanvar(ratio, axis=1, ddof=1)
    by_subband = amplitude_changes(ratio, error, new.freq_hz)
    return {
        "bandpass_change_rms": round(float(np.sqrt(max(np.median(variance - np.nanmean(error**2, axis=1)), 0.0))), 5),
        "bandpass_change_by_subband": by_subband,
        "subband_change": largest(by_subband),
    }
