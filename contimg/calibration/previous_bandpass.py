"""A bandpass calibration beside the certified one before it: what changed, and whether that is a reason.

Only amplitudes are compared. Phases change with the weather and the reference antenna, and delays and their bandpass
phases share what they explain; amplitudes are the receivers' own, and carry the flux scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.calibration.caltables import FILES, Solutions, read_solutions
from contimg.config import CalibrationOptions
from contimg.products.twin import Reason, Twin


def compare_with_previous(
    folder: Path, previous_folder: Path, previous: Twin, options: CalibrationOptions
) -> tuple[dict[str, Any], list[Reason], list[str]]:
    """Compare the tables of two calibrations on calibrators.

    Parameters
    ----------
    folder, previous_folder : Path
        Hold ``B.cal`` and ``G.cal``.
    previous : Twin
        Of the calibration before.
    options : CalibrationOptions

    Returns
    -------
    qa : dict
        ``gain_level_ratio``: the array's gain (power, so flux per correlator unit) over that before, from the median
        receptor; ``gain_change_by_antenna``: each antenna's amplitude over its own before, the array's median taken
        out; ``changed_antennas``; ``bandpass_change_rms``: change of a receptor's bandpass shape, rms over channels,
        its own median level and the noise of the solutions taken out, of the median receptor. None: not comparable.
    reasons : list of Reason
        Warnings.
    notes : list of str

    Raises
    ------
    InputError
        If a table is missing or unreadable.
    """
    new, old = (
        [read_solutions(Path(place) / FILES[kind]) for kind in ("B", "G")] for place in (folder, previous_folder)
    )
    level = _levels(*new) / _on_antennas(_levels(*old), old[0], new[0])
    qa: dict[str, Any] = {
        "gain_level_ratio": None,
        "gain_change_by_antenna": {},
        "changed_antennas": [],
        "bandpass_change_rms": None,
    }
    if not np.isfinite(level).any():
        return qa, [], [f"no antenna has solutions here and in {previous.id}: not compared with it"]
    common = float(np.nanmedian(level))
    names = new[0].antenna_names
    known = np.flatnonzero(np.isfinite(level).any(1))
    changes = {names[a]: float(np.nanmedian(level[a]) / common) for a in known}
    changed = [name for name, ratio in changes.items() if max(ratio, 1 / ratio) > 1 + options.max_gain_change]
    shape = _shape_change(new[0], old[0])
    qa = {
        "gain_level_ratio": round(common**2, 4),
        "gain_change_by_antenna": {name: round(ratio, 4) for name, ratio in changes.items()},
        "changed_antennas": changed,
        "bandpass_change_rms": shape,
    }
    return qa, _reasons(qa, previous.id, options), []


def _reasons(qa: Mapping[str, Any], before: str, options: CalibrationOptions) -> list[Reason]:
    level, shape = qa["gain_level_ratio"], qa["bandpass_change_rms"]
    share = len(qa["changed_antennas"]) / len(qa["gain_change_by_antenna"])
    limit = 1 + options.max_level_change
    checks = (
        (
            "gain_level_changed",
            max(level, 1 / level) > limit,
            f"the array's gain is {level:.2f} of that in {before}: check the flux of the calibrator",
            level,
            limit,
        ),
        (
            "antennas_changed",
            share > options.max_changed_antennas,
            f"{share:.0%} of the antennas changed their amplitude against {before}",
            round(share, 4),
            options.max_changed_antennas,
        ),
        (
            "bandpass_changed",
            shape is not None and shape > options.max_bandpass_change,
            f"the bandpasses changed shape against {before}",
            shape,
            options.max_bandpass_change,
        ),
    )
    return [
        Reason(code=code, severity="warning", message=message, measured=measured, threshold=threshold)
        for code, met, message, measured, threshold in checks
        if met
    ]


def _levels(bandpass: Solutions, gains: Solutions) -> NDArray[np.float64]:
    """Return each receptor's amplitude (nant, npol), of B over channels times G over time; NaN where it has none."""
    return _median(bandpass, (0, 2)) * _median(gains, (0, 2))


def _median(solutions: Solutions, axes: tuple[int, int]) -> NDArray[np.float64]:
    size = np.where(solutions.flag, np.nan, np.abs(solutions.values))
    there = np.isfinite(size).any(axes)
    size = np.where(there[None, :, None, :], size, 1.0)  # a median of nothing would warn
    return np.where(there, np.nanmedian(size, axis=axes), np.nan)


def _on_antennas(values: NDArray[np.float64], old: Solutions, new: Solutions) -> NDArray[np.float64]:
    """Return what belongs to the antennas of `new`, in their order; NaN for those that `old` does not know."""
    place = {name: i for i, name in enumerate(old.antenna_names)}
    rows = [values[place[name]] if name in place else np.full(values.shape[1:], np.nan) for name in new.antenna_names]
    return np.array(rows)


def _shape_change(new: Solutions, old: Solutions) -> float | None:
    """Return the median receptor's change of shape; None where no two channels are common."""
    if new.values.shape[2] != old.values.shape[2] or not np.allclose(new.freq_hz, old.freq_hz, rtol=0, atol=1.0):
        return None
    size, noise = [], []
    for one in (new, old):
        lost = one.flag[0] | (one.snr[0] <= 0)
        size.append(np.where(lost, np.nan, np.abs(one.values[0])))
        noise.append(np.where(lost, np.nan, 1 / np.where(lost, 1, one.snr[0])))
    ratio = (size[0] / _on_antennas(size[1], old, new)).transpose(0, 2, 1).reshape(-1, size[0].shape[1])
    error = np.hypot(noise[0], _on_antennas(noise[1], old, new)).transpose(0, 2, 1).reshape(ratio.shape)
    enough = np.isfinite(ratio).sum(1) > 1
    if not enough.any():
        return None
    ratio, error = ratio[enough], error[enough]
    variance = np.nanvar(ratio / np.nanmedian(ratio, axis=1, keepdims=True), axis=1, ddof=1)
    return round(float(np.sqrt(max(np.median(variance - np.nanmean(error**2, axis=1)), 0.0))), 5)
