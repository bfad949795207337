"""Plots of gain solutions: bandpass and gains of every antenna, amplitude and phase; and a map of lost solutions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg import plotting
from contimg.calibration.caltables import Solutions
from contimg.calibration.quality import SolvedTable
from contimg.storage.atomic import atomic_path

COLOURS = ("#1f77b4", "#d95f02")  # X, Y
_LOSS_COLOURS = ("#eef2f6", *COLOURS, "#3a3f47", "#ffffff")
_LOSS_LABELS = ("solved", "X lost", "Y lost", "both lost", "no data")
_NO_DATA = 4
_COLUMNS = 8
_MOST_LABELS = 48


def plot_solutions(tables: Sequence[SolvedTable], folder: Path, calibration_id: str, *, synthetic: bool) -> list[Path]:
    """Plot the tables of a calibration into its folder.

    Writes ``<id>.bandpass.png`` (B over frequency), ``<id>.gains.png`` (G over time) and ``<id>.losses.png`` (the lost
    solutions of both), each for the tables that there are.

    Returns
    -------
    list of Path
        The files written.
    """
    title = f"{calibration_id}{' (simulated)' if synthetic else ''}"
    made, shown = [], []
    for kind, name, panels in (("B", "bandpass", _bandpass_panels), ("G", "gains", _gain_panels)):
        for table in tables:
            if table.kind == kind:
                made.append(Path(folder) / f"{calibration_id}.{name}.png")
                _draw_panels(panels(table.solutions), made[-1], f"{title}: {name}")
                shown.append(table)
    if shown:
        made.append(Path(folder) / f"{calibration_id}.losses.png")
        _draw_losses(shown, made[-1], title)
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
        minutes = (solutions.time_mjd_s - solutions.time_mjd_s[0]) / 60
        step = minutes[1] - minutes[0] if len(minutes) > 1 else 1.0
        edges, label = (-step / 2, minutes[-1] + step / 2), "minutes since the first solution"
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


def _bandpass_panels(solutions: Solutions) -> _Panels:
    values = np.where(solutions.flag, np.nan, solutions.values)[0]
    return _Panels(values, solutions.antenna_names, solutions.freq_hz / 1e6, "frequency [MHz]", ".")


def _gain_panels(solutions: Solutions) -> _Panels:
    values = np.where(solutions.flag, np.nan, solutions.values)[:, :, 0].transpose(1, 0, 2)
    minutes = (solutions.time_mjd_s - solutions.time_mjd_s[0]) / 60
    return _Panels(values, solutions.antenna_names, minutes, "minutes since the first solution", "o-")


def _draw_panels(panels: _Panels, picture: Path, title: str) -> None:
    """Draw one pair of small panels, amplitude above phase, for each antenna that has solutions."""
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
        _draw_antenna(amplitude, phase, panels, antenna)
        amplitude.set_ylim(*amplitude_limits)
        phase.set_ylim(-1.08 * phase_limit, 1.08 * phase_limit)
        phase.set_yticks([-phase_limit, 0, phase_limit])
        amplitude.tick_params(labelbottom=False, labelleft=column == 0, labelsize=6)
        phase.tick_params(labelbottom=place + _COLUMNS >= len(shown), labelleft=column == 0, labelsize=6)
    figure.suptitle(f"{title}; amplitude and phase [deg], X blue, Y orange", fontsize=10, y=1 - 0.3 * margin)
    figure.text(0.5, 0.25 * margin, panels.label, ha="center", fontsize=9)
    _save(figure, picture)


def _draw_antenna(amplitude: Any, phase: Any, panels: _Panels, antenna: int) -> None:
    values = panels.values[antenna]
    for pol, colour in enumerate(COLOURS[: values.shape[1]]):
        style = {"color": colour, "markersize": 2, "linewidth": 0.8}
        amplitude.plot(panels.axis, np.abs(values[:, pol]), panels.marker, **style)
        phase.plot(panels.axis, np.degrees(np.angle(values[:, pol])), panels.marker, **style)
    amplitude.text(0.03, 0.06, panels.names[antenna], transform=amplitude.transAxes, fontsize=7, weight="bold")


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
