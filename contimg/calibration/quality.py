"""The measured quality of gain solutions; its limits are gates of `contimg.products.gates`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.calibration.caltables import Solutions
from contimg.calibration.subband_checks import largest, named_above, phase_offsets_deg, subband_numbers
from contimg.config import CalibrationOptions


@dataclass(frozen=True)
class SolvedTable:
    """The solutions of a table and where there were data to solve for.

    Attributes
    ----------
    solutions : Solutions
    expected : (ntime, nant, nchan, npol) bool
        Cells for which there were data. The others (subbands that are missing, antennas that are absent) cannot be
        solved and do not count as lost.
    """

    solutions: Solutions
    expected: NDArray[np.bool_]

    @property
    def kind(self) -> str:
        return self.solutions.kind

    @property
    def losses(self) -> FlagStatistics:
        """The count of lost solutions: the one definition of the fraction that tables, pages and plots show."""
        ntime, nant = self.solutions.flag.shape[:2]
        rows = (ntime * nant, *self.solutions.flag.shape[2:])  # as in the table, grouped by antenna
        antenna = np.tile(np.arange(nant, dtype=np.int32), ntime)
        return flag_statistics(self.solutions.flag.reshape(rows), antenna, self.expected.reshape(rows))


def measure(tables: Sequence[SolvedTable], options: CalibrationOptions) -> tuple[dict[str, Any], list[str]]:
    """Measure the tables of a calibration.

    Parameters
    ----------
    tables : sequence of SolvedTable
    options : CalibrationOptions
        Subbands that lost more than ``max_flagged`` of their solutions, or whose phases are off by more than
        ``max_subband_phase_deg``, are named in notes.

    Returns
    -------
    qa : dict
    notes : list of str
    """
    qa: dict[str, Any] = {}
    losses = {table.kind: table.losses for table in tables}
    for kind, found in losses.items():
        qa[f"flagged_fraction_{kind}"] = round(found.fraction, 6)
        qa[f"dead_receptors_{kind}"] = found.dead_receptors
    qa["flagged_fraction"] = max(qa[f"flagged_fraction_{kind}"] for kind in losses)
    qa["working_receptors"] = min(found.working_receptors for found in losses.values())
    qa |= _lost_by(tables)
    lost = _lost_antennas(tables)
    with_data = int(tables[0].expected.any((0, 2, 3)).sum())
    qa["lost_antennas"] = lost
    qa["antennas_with_data"] = with_data
    qa["lost_antennas_fraction"] = round(len(lost) / with_data, 6) if with_data else 0.0
    snr = {t.kind: _median(t.solutions.snr[~t.solutions.flag]) for t in tables if t.kind != "K"}
    qa |= {f"snr_median_{kind}": value for kind, value in snr.items()}
    qa["snr_median"] = min((value for value in snr.values() if value is not None), default=None)
    for table in tables:
        qa |= _MEASURES[table.kind](table.solutions)
    notes = [f"antennas with data but without a solution: {', '.join(lost)}"] if lost else []
    poor = [f"{name} ({share:.0%})" for name, share in qa["lost_by_subband"].items() if share > options.max_flagged]
    notes += [f"subbands that lost their solutions: {', '.join(poor)}"] if poor else []
    off = named_above(qa.get("phase_offset_by_subband_deg", {}), options.max_subband_phase_deg, ".0f")
    notes += [f"subbands whose phases are off their neighbours' [deg]: {off}: exchanged frequencies?"] if off else []
    return qa, notes


def _lost_by(tables: Sequence[SolvedTable]) -> dict[str, dict[str, float]]:
    """Return the lost fraction of solutions by antenna and by polarisation, in all tables, and by subband, in B.

    By antenna it is the fraction of all solutions for which there were data, so that it is 1 where both receptors are
    dead; by polarisation and subband that of the working receptors' solutions.
    """
    names = tables[0].solutions.antenna_names
    had, lost = np.zeros(len(names)), np.zeros(len(names))
    by_pol = np.zeros((2, tables[0].solutions.flag.shape[-1]))
    by_subband: dict[str, float] = {}
    for table in tables:
        one, cells = table.solutions, table.expected
        had += cells.sum((0, 2, 3))
        lost += (cells & one.flag).sum((0, 2, 3))
        working = cells & (cells & ~one.flag).any((0, 2), keepdims=True)
        by_pol += [(working & one.flag).sum((0, 1, 2)), working.sum((0, 1, 2))]
        if one.kind == "B":
            subband = subband_numbers(one.freq_hz)
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


def _lost_antennas(tables: Sequence[SolvedTable]) -> list[str]:
    """Return the names of antennas that had data but lack every solution of a receptor in some table."""
    names = tables[0].solutions.antenna_names
    lost = np.zeros(len(names), bool)
    for table in tables:
        cells = table.expected
        lost |= (cells.any((0, 2)) & ~(cells & ~table.solutions.flag).any((0, 2))).any(-1)
    return [name for name, gone in zip(names, lost, strict=True) if gone]


def _median(values: NDArray[np.float64]) -> float | None:
    return round(float(np.median(values)), 2) if values.size else None


def _measure_delays(solutions: Solutions) -> dict[str, Any]:
    """Return the largest delay."""
    delays = np.abs(solutions.values[~solutions.flag])
    return {"delay_max_ns": round(float(delays.max()), 3) if delays.size else None}


def _measure_bandpass(solutions: Solutions) -> dict[str, Any]:
    """Return the median amplitude and its range over receptors, and the scatter over channels.

    The scatter is relative to each receptor's own median amplitude; the phase step is the rms difference of phase
    between neighbouring channels.
    """
    values = np.where(solutions.flag, np.nan, solutions.values)
    size = np.abs(values)
    flat = size.transpose(0, 1, 3, 2).reshape(-1, size.shape[2])
    turn = np.angle(values[:, :, 1:] * values[:, :, :-1].conj())
    offsets = phase_offsets_deg(solutions)
    by_subband = {"phase_offset_by_subband_deg": offsets, "subband_phase_offset_deg": largest(offsets)}
    flat = flat[np.isfinite(flat).any(1)]
    if not flat.size:
        keys = ("bandpass_amplitude_median", "bandpass_amplitude_scatter", "bandpass_phase_step_deg", "amplitude_range")
        return by_subband | dict.fromkeys(keys)
    middle = np.nanmedian(flat, axis=1, keepdims=True)
    relative = flat / middle
    weak, strong = np.percentile(middle, (5, 95))  # a few bad receptors do not make the set bad
    return {
        **by_subband,
        "amplitude_range": round(float(strong / weak), 4) if weak > 0 else None,
        "bandpass_amplitude_median": float(f"{np.nanmedian(flat):.6g}"),
        "bandpass_amplitude_scatter": round(float(np.nanstd(relative)), 5),
        "bandpass_phase_step_deg": round(float(np.degrees(np.sqrt(np.nanmean(turn**2)))), 4),
    }


def _measure_gains(solutions: Solutions) -> dict[str, Any]:
    """Return the median amplitude of the gains, and their scatter over time about each receptor's own mean."""
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


_MEASURES = {"K": _measure_delays, "B": _measure_bandpass, "G": _measure_gains}


@dataclass(frozen=True)
class FlagStatistics:
    """Counts of the lost (flagged) solutions of one table.

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
        """Lost fraction of the working receptors' solutions; 1 where no receptor works."""
        return self.flagged / self.cells if self.cells else 1.0


def flag_statistics(
    flag: NDArray[np.bool_], antenna1: NDArray[np.int32], expected: NDArray[np.bool_] | None = None
) -> FlagStatistics:
    """Count the lost solutions of a table.

    A receptor is dead if it has no solution at all; its solutions are not counted among the lost ones, so that a few
    dead receptors do not hide how well the others were solved.

    Parameters
    ----------
    flag : (nrow, nchan, npol) bool
        True where there is no solution.
    antenna1 : (nrow,) int
    expected : (nrow, nchan, npol) bool, optional
        Cells for which there were data; the others are not counted. Default: every cell.
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
