"""Plots of a calibration that show all antennas at once: delays, and the bandpasses over each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg import plotting
from contimg.calibration.caltables import Solutions
from contimg.statistics import robust_sigma

COLOURS = ("#1f77b4", "#d95f02")  # X, Y: blue and orange, which all eyes tell apart
GREY, REFERENCE = "#c4cad3", "#fff3d6"
ODD_COLOURS = ("#d95f02", "#1f77b4", "#009e73", "#cc79a7", "#000000", "#e69f00")  # Okabe & Ito 2008
_ODD_SIGMA = 5.0
_DPI, _WIDTH_IN = 120, 8.4


def odd_receptors(deviation: NDArray[np.float64], most: int = len(ODD_COLOURS)) -> list[tuple[int, int]]:
    """Return the (antenna, receptor) whose deviation from the others is larger than 5 sigma, the largest first.

    Parameters
    ----------
    deviation : (nant, npol)
        Of a receptor from the array; NaN without solutions.
    most : int
        At most so many.
    """
    known = np.isfinite(deviation)
    if known.sum() < 4:
        return []
    middle, width = float(np.median(deviation[known])), robust_sigma(deviation)
    excess = np.where(known, np.abs(deviation - middle), -np.inf)
    order = np.column_stack(np.unravel_index(np.argsort(-excess, axis=None, kind="stable"), excess.shape))
    return [(int(a), int(p)) for a, p in order[:most] if width > 0 and excess[a, p] > _ODD_SIGMA * width]


def draw_delays(path: Path, solutions: Solutions, title: str, refant: str | None) -> None:
    """Draw the delay [ns] of each receptor; those that are far from the others are named, the reference is marked."""
    delays = np.where(solutions.flag, np.nan, np.real(solutions.values))[:, :, 0].astype(np.float64)
    delays = np.nanmedian(delays, axis=0) if len(delays) > 1 else delays[0]
    shown = np.flatnonzero(np.isfinite(delays).any(-1))
    figure = _figure(3.6)
    axes = figure.subplots()
    names = [solutions.antenna_names[a] for a in shown]
    for pol, colour in enumerate(COLOURS[: delays.shape[-1]]):
        axes.plot(np.arange(len(shown)), delays[shown, pol], "o", ms=4, color=colour, label="XY"[pol], zorder=3)
    axes.axhline(0, color="#777777", lw=0.6)
    for number, (antenna, pol) in enumerate(odd_receptors(delays)):
        place = (int(np.flatnonzero(shown == antenna)[0]), delays[antenna, pol])
        text = f"{solutions.antenna_names[antenna]} {'XY'[pol]} {delays[antenna, pol]:+.1f} ns"
        axes.annotate(text, place, (6, 6 - 12 * (number % 2)), textcoords="offset points", fontsize=8)
    _mark_reference(axes, names, refant)
    every = max(1, -(-len(names) // 48))
    axes.set_xticks(range(0, len(names), every), names[::every], rotation=90, fontsize=7)
    axes.set(xlabel="antenna", ylabel="delay [ns]", xlim=(-1, max(len(names), 1)))
    axes.margins(y=0.15)
    axes.legend(frameon=False, fontsize=9, ncols=2, loc="upper right")
    axes.set_title(f"{title}: delays", fontsize=11, loc="left")
    figure.savefig(path, format="png", metadata={"Software": None})


def _mark_reference(axes: Any, names: list[str], refant: str | None) -> None:
    if refant in names:
        at = names.index(refant)
        axes.axvspan(at - 0.5, at + 0.5, color=REFERENCE, zorder=0)
        axes.text(
            at, 0.02, f"{refant}: reference", transform=axes.get_xaxis_transform(), rotation=90, fontsize=7, ha="right",
            va="bottom", color="#8a6d1f",
        )  # fmt: skip


def draw_overlay(path: Path, solutions: Solutions, title: str, refant: str | None) -> None:
    """Draw the bandpasses of all receptors over each other, grey, and those whose shape is unlike the others in colour.

    Amplitudes are divided by the receptor's median over the band, phases are turned by that of the receptor's mean.
    Shapes are compared by the rms of their difference from the median receptor's.
    """
    values = np.where(solutions.flag, np.nan, solutions.values)[0]
    amplitude, phase_deg = shapes(values)
    deviation = _rms_from_median(amplitude) + _rms_from_median(np.radians(phase_deg))
    odd = odd_receptors(deviation)
    figure = _figure(6.0)
    panels = figure.subplots(2, 1, sharex=True)
    mhz = solutions.freq_hz / 1e6
    for axes, drawn in zip(panels, (amplitude, phase_deg), strict=True):
        every = drawn.transpose(0, 2, 1).reshape(-1, drawn.shape[1])
        axes.plot(mhz, every.T, color=GREY, lw=0.7, zorder=1)
        if np.isfinite(every).any():
            axes.plot(mhz, _median(every), color="#333333", lw=1.4, zorder=3, label="median")
        for (antenna, pol), colour in zip(odd, ODD_COLOURS, strict=False):
            label = f"{solutions.antenna_names[antenna]} {'XY'[pol]}"
            axes.plot(mhz, drawn[antenna, :, pol], color=colour, lw=1.3, zorder=4, label=label)
        if refant in solutions.antenna_names:
            reference = drawn[solutions.antenna_names.index(refant)]
            for number, row in enumerate(reference.T):
                named = {"label": f"{refant}, reference"} if number == 0 else {}
                axes.plot(mhz, row, color="#8a6d1f", lw=1.0, ls="--", zorder=2, **named)
    panels[0].set_ylabel("amplitude over its median")
    panels[1].set(ylabel="phase over its mean [deg]", xlabel="frequency [MHz]")
    if panels[0].get_legend_handles_labels()[0]:
        panels[0].legend(frameon=False, fontsize=8, ncols=4, loc="upper center", bbox_to_anchor=(0.5, 1.13))
    words = "no receptor is unlike the others" if not odd else f"{len(odd)} unlike the others in colour"
    panels[0].set_title(f"{title}: bandpasses of all antennas; {words}", fontsize=10.5, loc="left", pad=26)
    figure.savefig(path, format="png", metadata={"Software": None})


def shapes(values: NDArray[np.complex128]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return amplitudes over their medians, and phases [deg] from the receptor's mean; both (nant, nchan, npol)."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # receptors without solutions
        level = np.nanmedian(np.abs(values), axis=1, keepdims=True)
        mean = np.nanmean(values, axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.abs(values) / level, np.degrees(np.angle(values * np.conj(mean)))


def _median(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median over rows of each column; NaN where no row has one."""
    known = np.isfinite(rows).any(axis=0)
    found = np.full(rows.shape[1], np.nan)
    found[known] = np.nanmedian(rows[:, known], axis=0)
    return found


def _rms_from_median(shape: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each receptor's rms difference (nant, npol) from the median receptor; NaN without solutions."""
    median = _median(shape.transpose(0, 2, 1).reshape(-1, shape.shape[1]))
    square = (shape - median[None, :, None]) ** 2
    known = np.isfinite(square).sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.sqrt(np.nansum(square, axis=1) / np.where(known > 0, known, np.nan))


def _figure(height_in: float) -> Any:
    plotting.matplotlib_cache()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH_IN, height_in), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure
