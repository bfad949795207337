"""Plots of gain solutions: bandpass and gains of every antenna, amplitude and phase; and a map of lost solutions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg import plotting
from contimg.calibration.caltables import Solutions
from contimg.calibration.overview_plots import COLOURS, GREY, REFERENCE, draw_delays, draw_overlay
from contimg.calibration.quality import SolvedTable
from contimg.storage.atomic import atomic_path
from contimg.times import utc_from_mjd

_LOSS_COLOURS = ("#eef2f6", *COLOURS, "#3a3f47", "#ffffff")
_LOSS_LABELS = ("solved", "X lost", "Y lost", "both lost", "no data")
_NO_DATA = 4
_COLUMNS = 8
_MOST_LABELS = 48


@dataclass(frozen=True)
class Before:
    """The certified set before a calibration: its id and its gains, which are drawn in grey."""

    id: str
    gains: Solutions


@dataclass(frozen=True)
class About:
    """What the plots of a calibration say besides its solutions.

    Attributes
    ----------
    id : str
    refant : str or None
        The reference antenna, which is marked.
    before : Before or None
    synthetic : bool
    """

    id: str
    refant: str | None = None
    before: Before | None = None
    synthetic: bool = False

    @property
    def title(self) -> str:
        """The id, with a word on simulated data."""
        return f"{self.id}{' (simulated)' if self.synthetic else ''}"


def plot_solutions(tables: Sequence[SolvedTable], folder: Path, about: About) -> list[Path]:
    """Plot the tables of a calibration into its folder.

    Writes ``<id>.delays.png`` (K), ``<id>.overlay.png`` (the bandpasses of all antennas over each other),
    ``<id>.bandpass.png`` (B over frequency), ``<id>.gains.png`` (G over time) and ``<id>.losses.png`` (the lost
    solutions of both), each for the tables that there are.

    Returns
    -------
    list of Path
        The files written.
    """
    by_kind = {table.kind: table for table in tables}
    made = []

    def place(name: str) -> Path:
        made.append(Path(folder) / f"{about.id}.{name}.png")
        return made[-1]

    if "K" in by_kind:
        with atomic_path(place("delays")) as part:
            draw_delays(part, by_kind["K"].solutions, about.title, about.refant)
    if "B" in by_kind:
        with atomic_path(place("overlay")) as part:
            draw_overlay(part, by_kind["B"].solutions, about.title, about.refant)
        panels = _bandpass_panels(by_kind["B"].solutions)
        _draw_panels(panels, place("bandpass"), f"{about.title}: bandpass", about.refant)
    if "G" in by_kind:
        panels = _gain_panels(by_kind["G"].solutions, about.before)
        before = "" if about.before is None else f"; {about.before.id} in grey"
        _draw_panels(panels, place("gains"), f"{about.title}: gains{before}", about.refant)
    shown = [by_kind[kind] for kind in ("B", "G") if kind in by_kind]
    if shown:
        _draw_losses(shown, place("losses"), about.title)
    return made


def loss_title(table: SolvedTable) -> str:
    """Return the title of a table's panel: the lost fraction as the twin and `contimg calibration list` have it."""
    losses = table.losses
    dead = f"; {losses.dead_receptors} receptors dead" if losses.dead_receptors else ""
    return f"{table.kind}: {losses.fraction:.1%} of the working receptors' solutions lost{dead}"


def loss_map(table: SolvedTable) -> NDArray[np.int64]:
    """Return how each cell is drawn (nant, nchan of B or ntime of G): an index of the colours.

    0: solved; 1, 2: lost in X, Y; 3: in both; 4: no data to solve for.
    """
    lost, expected = table.solutions.flag & table.expected, table.expected
    if table.kind == "B":
        lost, expected = lost[0], expected[0]  # nant, nchan, npol
    else:
        lost, expected = (cells[:, :, 0].transpose(1, 0, 2) for cells in (lost, expected))  # nant, ntime, npol
    code = (lost * np.array([1, 2])[: lost.shape[-1]]).sum(-1)
    return np.where(expected.any(-1), code, _NO_DATA)


def _draw_losses(tables: Sequence[SolvedTable], picture: Path, title: str) -> None:
    """Draw a map of lost solutions: antennas down, channels of B and times of G across, both receptors in one cell."""
    figure = _figure((11.0, 3.2), dpi=100, layout="constrained")
    names = tables[0].solutions.antenna_names
    present = np.flatnonzero(np.any([table.expected.any((0, 2, 3)) for table in tables], axis=0))
    figure.set_figheight(max(3.2, 1.5 + 0.11 * len(present)))
    panels = figure.subplots(1, len(tables), squeeze=False, width_ratios=[3, 1][: len(tables)])[0]
    for panel, table in zip(panels, tables, strict=True):
        _draw_loss_map(panel, table, present)
        every = -(-len(present) // _MOST_LABELS) or 1
        panel.set_yticks(range(0, len(present), every), [names[a] for a in present[::every]], fontsize=6)
        panel.tick_params(axis="x", labelsize=7)
        panel.set_title(loss_title(table), fontsize=9 if table.kind == "B" else 7, wrap=True)
    panels[0].set_ylabel("antenna", fontsize=8)
    handles = [_square(colour, label) for colour, label in zip(_LOSS_COLOURS, _LOSS_LABELS, strict=True)]
    figure.legend(handles=handles, loc="outside lower center", ncols=5, fontsize=8, frameon=False)
    figure.suptitle(f"{title}: lost solutions of the antennas that had data", fontsize=10)
    _save(figure, picture)


def _draw_loss_map(panel: Any, table: SolvedTable, present: NDArray[np.intp]) -> None:
    from matplotlib.colors import ListedColormap

    solutions = table.solutions
    if table.kind == "B":
        edges, label = (solutions.freq_hz[0] / 1e6, solutions.freq_hz[-1] / 1e6), "frequency [MHz]"
    else:
        hours = _hours(solutions.time_mjd_s, solutions)
        step = hours[1] - hours[0] if len(hours) > 1 else 1 / 60
        edges, label = (hours[0] - step / 2, hours[-1] + step / 2), "UTC"
        ends = hours[[0, -1]] if len(hours) > 1 else hours[:1]
        panel.set_xticks(ends, [_clock(hour) for hour in ends])
    panel.imshow(
        loss_map(table)[present], aspect="auto", interpolation="nearest", cmap=ListedColormap(_LOSS_COLOURS),
        vmin=-0.5, vmax=len(_LOSS_COLOURS) - 0.5, extent=(*edges, len(present) - 0.5, -0.5),
    )  # fmt: skip
    panel.set_xlabel(label, fontsize=8)


def _square(colour: str, label: str) -> Any:
    from matplotlib.patches import Patch

    return Patch(facecolor=colour, edgecolor="#8a94a3", linewidth=0.5, label=label)


@dataclass(frozen=True)
class _Panels:
    """What is drawn of each antenna: complex values (nant, n, npol) along an axis (n,); NaN where there is none."""

    values: NDArray[np.complex128]
    names: Sequence[str]
    axis: NDArray[np.float64]
    label: str
    marker: str
    before: dict[str, NDArray[np.complex128]] = field(default_factory=dict)
    before_axis: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))


def _bandpass_panels(solutions: Solutions) -> _Panels:
    values = np.where(solutions.flag, np.nan, solutions.values)[0]
    return _Panels(values, solutions.antenna_names, solutions.freq_hz / 1e6, "frequency [MHz]", ".")


def _gain_panels(solutions: Solutions, before: Before | None) -> _Panels:
    """Return the gains over UTC [h], with those of the set before moved to the same time."""
    values = _gains_by_antenna(solutions)
    hours = _hours(solutions.time_mjd_s, solutions)
    label = f"UTC on {utc_from_mjd(float(solutions.time_mjd_s[0]) / 86400)[:10]}"
    if before is None:
        return _Panels(values, solutions.antenna_names, hours, label, "o-")
    old = before.gains
    moved_s = old.time_mjd_s - np.mean(old.time_mjd_s) + np.mean(solutions.time_mjd_s)
    behind = dict(zip(old.antenna_names, _gains_by_antenna(old), strict=True))
    label += f"; grey: {before.id}, of {utc_from_mjd(float(np.mean(old.time_mjd_s)) / 86400)[:16]}, at the same place"
    return _Panels(values, solutions.antenna_names, hours, label, "o-", behind, _hours(moved_s, solutions))


def _gains_by_antenna(solutions: Solutions) -> NDArray[np.complex128]:
    """Return gains (nant, ntime, npol), NaN where there is none."""
    return np.asarray(np.where(solutions.flag, np.nan, solutions.values)[:, :, 0].transpose(1, 0, 2))


def _hours(time_mjd_s: NDArray[np.float64], solutions: Solutions) -> NDArray[np.float64]:
    """Return times in hours since midnight (UTC) of the first solution's day."""
    midnight_s = np.floor(solutions.time_mjd_s[0] / 86400) * 86400
    return np.asarray((time_mjd_s - midnight_s) / 3600)


def _clock(hours: float, _: object = None) -> str:
    """Return hours since midnight as hh:mm."""
    minutes = round(hours * 60) % 1440
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _draw_panels(panels: _Panels, picture: Path, title: str, refant: str | None) -> None:
    """Draw one pair of small panels, amplitude above phase, for each antenna that has solutions."""
    over_time = panels.marker == "o-"
    shown = [a for a in range(len(panels.values)) if np.isfinite(panels.values[a]).any()]
    rows = max(1, -(-len(shown) // _COLUMNS))
    figure = _figure((1.75 * _COLUMNS, 1.0 + 1.9 * rows), dpi=90)
    margin = 0.55 / figure.get_figheight()
    grid = figure.add_gridspec(
        3 * rows, _COLUMNS, left=0.06, right=0.99, top=1 - margin, bottom=margin, wspace=0.12, hspace=0.12,
        height_ratios=[1, 1, 0.12] * rows,
    )  # fmt: skip
    amplitude_limits, phase_limit = _limits(panels.values)
    for place, antenna in enumerate(shown):
        row, column = divmod(place, _COLUMNS)
        amplitude = figure.add_subplot(grid[3 * row, column])
        phase = figure.add_subplot(grid[3 * row + 1, column])
        _draw_antenna(amplitude, phase, panels, antenna, refant)
        if over_time:
            ends = panels.axis[[0, -1]] if len(panels.axis) > 1 else panels.axis[:1]
            for axes in (amplitude, phase):
                axes.set_xticks(ends, [_clock(hour) for hour in ends])
        amplitude.set_ylim(*amplitude_limits)
        phase.set_ylim(-1.08 * phase_limit, 1.08 * phase_limit)
        phase.set_yticks([-phase_limit, 0, phase_limit])
        amplitude.tick_params(labelbottom=False, labelleft=column == 0, labelsize=6)
        phase.tick_params(labelbottom=place + _COLUMNS >= len(shown), labelleft=column == 0, labelsize=6)
    figure.suptitle(f"{title}; amplitude and phase [deg], X blue, Y orange", fontsize=10, y=1 - 0.3 * margin)
    figure.text(0.5, 0.25 * margin, panels.label, ha="center", fontsize=9)
    _save(figure, picture)


def _draw_antenna(amplitude: Any, phase: Any, panels: _Panels, antenna: int, refant: str | None) -> None:
    """Draw an antenna's solutions over those of the set before; the reference antenna has a coloured frame."""
    values, name = panels.values[antenna], panels.names[antenna]
    for old in np.transpose(panels.before.get(name, np.empty((0, 0)))):
        amplitude.plot(panels.before_axis, np.abs(old), color=GREY, linewidth=2.5, solid_capstyle="round")
        phase.plot(panels.before_axis, np.degrees(np.angle(old)), color=GREY, linewidth=2.5, solid_capstyle="round")
    for pol, colour in enumerate(COLOURS[: values.shape[1]]):
        style = {"color": colour, "markersize": 2, "linewidth": 0.8}
        amplitude.plot(panels.axis, np.abs(values[:, pol]), panels.marker, **style)
        phase.plot(panels.axis, np.degrees(np.angle(values[:, pol])), panels.marker, **style)
    is_reference = name == refant
    label = f"{name} (reference)" if is_reference else name
    amplitude.text(0.03, 0.06, label, transform=amplitude.transAxes, fontsize=7, weight="bold")
    if is_reference:
        for axes in (amplitude, phase):
            axes.patch.set_facecolor(REFERENCE)


def _limits(values: NDArray[np.complex128]) -> tuple[tuple[float, float], float]:
    """Return the limits of the amplitude axes, and the largest phase [deg] of the phase axes."""
    known = values[np.isfinite(values)]
    if not known.size:
        return (-0.1, 1.1), 180
    low, high = float(np.abs(known).min()), float(np.abs(known).max())
    if low < 0.5 * high:
        low = 0.0
    margin = 0.1 * max(high - low, 0.05 * high)
    largest_deg = float(np.degrees(np.abs(np.angle(known))).max())
    return (low - margin, high + margin), round(min(180.0, max(5.0, 1.2 * largest_deg)))


def _figure(size: tuple[float, float], **options: Any) -> Any:
    plotting.matplotlib_cache()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, **options)
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Any, picture: Path) -> None:
    with atomic_path(picture) as part:
        figure.savefig(part, format="png", metadata={"Software": None})
