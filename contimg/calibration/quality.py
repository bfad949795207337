"""The measured quality of solutions, and the verdict's reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.calibration.caltables import Solutions
from contimg.config import CalibrationOptions
from contimg.correlator.band import subband_of_frequencies
from contimg.products.twin import Reason


def assess(
    solutions: Sequence[Solutions], expected: Sequence[NDArray[np.bool_]], options: CalibrationOptions
) -> tuple[dict[str, Any], list[Reason], list[str]]:
    """Measure tables and judge them.

    Parameters
    ----------
    solutions : sequence of Solutions
    expected : sequence of (ntime, nant, nchan, npol) bool
        Cells of each for which there was data.
    options : CalibrationOptions

    Returns
    -------
    qa : dict
    reasons : list of Reason
    notes : list of str
    """
    qa: dict[str, Any] = {}
    counts = {s.kind: _count(s, cells) for s, cells in zip(solutions, expected, strict=True)}
    for kind, count in counts.items():
        qa[f"flagged_fraction_{kind}"] = round(count.fraction, 6)
        qa[f"dead_receptors_{kind}"] = count.dead_receptors
    qa["flagged_fraction"] = max(qa[f"flagged_fraction_{kind}"] for kind in counts)
    qa["working_receptors"] = min(count.working_receptors for count in counts.values())
    qa |= _lost_by(solutions, expected)
    lost = _lost_antennas(solutions, expected)
    had_data = int(expected[0].any((0, 2, 3)).sum())
    qa["lost_antennas"] = lost
    qa["antennas_with_data"] = had_data
    snr = {s.kind: _median(s.snr[~s.flag]) for s in solutions if s.kind != "K"}
    qa |= {f"snr_median_{kind}": value for kind, value in snr.items()}
    qa["snr_median"] = min((value for value in snr.values() if value is not None), default=None)
    for one in solutions:
        qa |= _MEASURES[one.kind](one)
    reasons = _reasons(qa, had_data, options) + _warnings(qa, options)
    notes = [f"antennas with data but without a solution: {', '.join(lost)}"] if lost else []
    poor = [f"{name} ({share:.0%})" for name, share in qa["lost_by_subband"].items() if share > options.max_flagged]
    notes += [f"subbands that lost their solutions: {', '.join(poor)}"] if poor else []
    return qa, reasons, notes


def _reasons(qa: dict[str, Any], had_data: int, options: CalibrationOptions) -> list[Reason]:
    checks = (
        (
            "solutions_lost",
            qa["flagged_fraction"] > options.max_flagged,
            f"{qa['flagged_fraction']:.1%} of the working receptors' solutions are lost",
            qa["flagged_fraction"],
            options.max_flagged,
        ),
        (
            "antennas_lost",
            len(qa["lost_antennas"]) > options.max_lost_antennas * had_data,
            f"{len(qa['lost_antennas'])} of {had_data} antennas with data have no solution",
            len(qa["lost_antennas"]) / max(had_data, 1),
            options.max_lost_antennas,
        ),
        (
            "low_snr",
            qa["snr_median"] is None or qa["snr_median"] < options.min_median_snr,
            "the solutions' median signal-to-noise ratio is low",
            qa["snr_median"],
            options.min_median_snr,
        ),
    )
    return [
        Reason(code=code, severity="failed", message=message, measured=measured, threshold=threshold)
        for code, met, message, measured, threshold in checks
        if met
    ]


def _warnings(qa: dict[str, Any], options: CalibrationOptions) -> list[Reason]:
    """Return what makes solutions doubtful although they were found."""
    checks = (
        (
            "phase_scatter",
            "gain_phase_scatter_deg",
            options.max_phase_scatter_deg,
            "gains' phases scatter over the tile",
        ),
        ("phase_steps", "bandpass_phase_step_deg", options.max_phase_step_deg, "bandpasses' phases are not smooth"),
        ("amplitude_range", "amplitude_range", options.max_amplitude_range, "receptors' amplitudes differ widely"),
    )
    return [
        Reason(code=code, severity="warning", message=f"the {words}", measured=qa[key], threshold=threshold)
        for code, key, threshold, words in checks
        if qa.get(key) is not None and qa[key] > threshold
    ]


def _lost_by(solutions: Sequence[Solutions], expected: Sequence[NDArray[np.bool_]]) -> dict[str, dict[str, float]]:
    """Return the lost fraction of the solutions of each antenna and polarisation, all tables together, and subband (B).

    Antennas: of all that had data, so that one whose receptors are both dead shows as 1. Polarisations and subbands:
    of the working receptors.
    """
    names = solutions[0].antenna_names
    had, lost = np.zeros(len(names)), np.zeros(len(names))
    by_pol = np.zeros((2, solutions[0].flag.shape[-1]))
    by_subband: dict[str, float] = {}
    for one, cells in zip(solutions, expected, strict=True):
        had += cells.sum((0, 2, 3))
        lost += (cells & one.flag).sum((0, 2, 3))
        working = cells & (cells & ~one.flag).any((0, 2), keepdims=True)
        by_pol += [(working & one.flag).sum((0, 1, 2)), working.sum((0, 1, 2))]
        if one.kind == "B":
            subband = np.array([subband_of_frequencies(np.array([freq])) for freq in one.freq_hz])
            for number in np.unique(subband):
                mine = working[:, :, subband == number]
                if mine.any():
                    gone = (mine & one.flag[:, :, subband == number]).sum() / mine.sum()
                    by_subband[f"sb{number:02d}"] = round(float(gone), 6)
    return {
        "lost_by_antenna": {name: round(float(lost[i] / had[i]), 6) for i, name in enumerate(names) if had[i]},
        "lost_by_polarisation": {
            name: round(float(gone / count), 6) for name, gone, count in zip("XY", *by_pol, strict=False) if count
        },
        "lost_by_subband": by_subband,
    }


def _count(solutions: Solutions, expected: NDArray[np.bool_]) -> FlagStatistics:
    """Count the flags of a table; its (time, antenna) cells become rows grouped by antenna."""
    ntime, nant = solutions.flag.shape[:2]
    rows = (ntime * nant, *solutions.flag.shape[2:])
    return flag_statistics(solutions.flag.reshape(rows), np.tile(np.arange(nant), ntime), expected.reshape(rows))


def _lost_antennas(solutions: Sequence[Solutions], expected: Sequence[NDArray[np.bool_]]) -> list[str]:
    """Return the names of antennas that had data but lack every solution of a receptor in some table."""
    lost = np.zeros(len(solutions[0].antenna_names), bool)
    for one, cells in zip(solutions, expected, strict=True):
        lost |= (cells.any((0, 2)) & ~(cells & ~one.flag).any((0, 2))).any(-1)
    return [name for name, gone in zip(solutions[0].antenna_names, lost, strict=True) if gone]


def _median(values: NDArray[np.float64]) -> float | None:
    return round(float(np.median(values)), 2) if values.size else None


def _delays(solutions: Solutions) -> dict[str, Any]:
    delays = np.abs(solutions.values[~solutions.flag])
    return {"delay_max_ns": round(float(delays.max()), 3) if delays.size else None}


def _bandpass(solutions: Solutions) -> dict[str, Any]:
    """Amplitude: over receptors; scatter: over channels, about each receptor's own median."""
    values = np.where(solutions.flag, np.nan, solutions.values)
    size = np.abs(values)
    flat = size.transpose(0, 1, 3, 2).reshape(-1, size.shape[2])
    turn = np.angle(values[:, :, 1:] * values[:, :, :-1].conj())
    flat = flat[np.isfinite(flat).any(1)]
    if not flat.size:
        keys = ("bandpass_amplitude_median", "bandpass_amplitude_scatter", "bandpass_phase_step_deg", "amplitude_range")
        return dict.fromkeys(keys)
    middle = np.nanmedian(flat, axis=1, keepdims=True)
    relative = flat / middle
    weak, strong = np.percentile(middle, (5, 95))  # a few odd receptors are not the set's fault
    return {
        "amplitude_range": round(float(strong / weak), 4) if weak > 0 else None,
        "bandpass_amplitude_median": float(f"{np.nanmedian(flat):.6g}"),
        "bandpass_amplitude_scatter": round(float(np.nanstd(relative)), 5),
        "bandpass_phase_step_deg": round(float(np.degrees(np.sqrt(np.nanmean(turn**2)))), 4),
    }


def _gains(solutions: Solutions) -> dict[str, Any]:
    """Amplitude and scatter of the gains over time, about each receptor's own mean."""
    values = np.where(solutions.flag, np.nan, solutions.values)[:, :, 0]
    known = np.isfinite(values).any(0)
    if not known.any():
        return {"gain_amplitude_median": None, "gain_amplitude_scatter": None, "gain_phase_scatter_deg": None}
    values = values[:, known]
    size = np.abs(values)
    mean = np.nanmean(values, axis=0)
    return {
        "gain_amplitude_median": round(float(np.nanmedian(size)), 5),
        "gain_amplitude_scatter": round(float(np.nanstd(size / np.nanmean(size, axis=0))), 5),
        "gain_phase_scatter_deg": round(float(np.degrees(np.nanstd(np.angle(values * mean.conj())))), 3),
    }


_MEASURES = {"K": _delays, "B": _bandpass, "G": _gains}


@dataclass(frozen=True)
class FlagStatistics:
    """Counts of one table.

    Attributes
    ----------
    dead_receptors, working_receptors : int
    affected_antennas : int
        Antennas with at least one dead receptor.
    flagged, cells : int
        Flagged solutions and all solutions of the working receptors.
    """

    dead_receptors: int
    working_receptors: int
    affected_antennas: int
    flagged: int
    cells: int

    @property
    def fraction(self) -> float:
        """Flagged fraction of the working receptors' solutions; 1 when none works."""
        return self.flagged / self.cells if self.cells else 1.0


def flag_statistics(
    flag: NDArray[np.bool_], antenna1: NDArray[np.int32], expected: NDArray[np.bool_] | None = None
) -> FlagStatistics:
    """Count the flags of a table.

    Parameters
    ----------
    flag : (nrow, nchan, npol) bool
    antenna1 : (nrow,) int
    expected : (nrow, nchan, npol) bool, optional
        Cells for which there was data at all; the others (subbands that are missing, antennas that
        are absent) are not counted. Default: every cell.
    """
    expected = np.ones(flag.shape, bool) if expected is None else expected
    solved = ~flag & expected
    dead = working = affected = flagged = cells = 0
    for antenna in np.unique(antenna1):
        rows = antenna1 == antenna
        receptors = expected[rows].any((0, 1))
        alive = solved[rows].any((0, 1))
        dead += int((receptors & ~alive).sum())
        working += int(alive.sum())
        affected += bool((receptors & ~alive).any())
        counted = expected[rows] & alive
        cells += int(counted.sum())
        flagged += int((counted & flag[rows]).sum())
    return FlagStatistics(dead, working, affected, flagged, cells)
