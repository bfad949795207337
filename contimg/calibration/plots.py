"""Pictures of solutions: bandpasses and gains of every antenna, amplitude and phase; and which of them were lost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from contimg import plotting
from contimg.calibration.caltables import FILES, Solutions, read_solutions
from contimg.storage.atomic import atomic_path

COLOURS = ("#1f77b4", "#d95f02")  # X, Y
_COLUMNS = 8


def plot_solutions(
    folder: Path, calibration_id: str, *, synthetic: bool, lost_antennas: Sequence[str] = ()
) -> list[Path]:
    """Plot the tables of a calibration into its folder.

    Writes ``<id>.bandpass.png`` (B over frequency), ``<id>.gains.png`` (G over time) and ``<id>.losses.png`` (what is
    lost of both), each for the tables that are there.

    Returns
    -------
    list of Path
        The pictures made.
    """
    made, found = [], []
    title = f"{calibration_id}{' (simulated)' if synthetic else ''}"
    for kind, name, draw in (("B", "bandpass", _bandpass), ("G", "gains", _gains)):
        table = Path(folder) / FILES[kind]
        if table.exists():
            picture = Path(folder) / f"{calibration_id}.{name}.png"
            found.append(read_solutions(table))
            draw(found[-1], picture, title)
            made.append(picture)
    if found:
        made.append(Path(folder) / f"{calibration_id}.losses.png")
        _losses(found, made[-1], title, lost_antennas)
    return made


def _losses(tables: list[Solutions], picture: Path, title: str, lost_antennas: Sequence[str]) -> None:
    """Draw a map of lost solutions: antennas down, channels of B and times of G across, both hands in one cell."""
    plotting.matplotlib_cache()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure

    names = tables[0].antenna_names
    present = [
        a for a, name in enumerate(names) if name in lost_antennas or any((~one.flag[:, a]).any() for one in tables)
    ]
    figure = Figure(figsize=(11.0, max(3.2, 1.5 + 0.11 * len(present))), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(tables), squeeze=False, width_ratios=[3, 1][: len(tables)])[0]
    colours = ListedColormap(["#eef2f6", COLOURS[0], COLOURS[1], "#3a3f47"])
    for panel, one in zip(panels, tables, strict=True):
        lost = one.flag[0] if one.kind == "B" else one.flag[:, :, 0].transpose(1, 0, 2)  # nant, nchan or ntime, npol
        code = (lost * np.array([1, 2])[: lost.shape[-1]]).sum(-1)[present]
        if one.kind == "B":
            edges, label = (one.freq_hz[0] / 1e6, one.freq_hz[-1] / 1e6), "frequency [MHz]"
        else:
            minutes = (one.time_mjd_s - one.time_mjd_s[0]) / 60
            step = minutes[1] - minutes[0] if len(minutes) > 1 else 1.0
            edges, label = (-step / 2, minutes[-1] + step / 2), "minutes since the first solution"
        panel.imshow(code, aspect="auto", interpolation="nearest", cmap=colours, vmin=-0.5, vmax=3.5,
                     extent=(*edges, len(present) - 0.5, -0.5))  # fmt: skip
        every = -(-len(present) // 48)
        panel.set_yticks(range(0, len(present), every), [names[a] for a in present[::every]], fontsize=6)
        panel.set_xlabel(label, fontsize=8)
        panel.tick_params(axis="x", labelsize=7)
        panel.set_title(f"{one.kind}: {one.flag[:, present].mean():.1%} lost", fontsize=9)
    panels[0].set_ylabel("antenna", fontsize=8)
    keys = zip(colours.colors, ("solved", "X lost", "Y lost", "both lost"), strict=True)
    handles = [_square(colour, words) for colour, words in keys]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    figure.suptitle(f"{title}: lost solutions of the antennas that had data", fontsize=10)
    with atomic_path(picture) as part:
        figure.savefig(part, format="png", metadata={"Software": None})


def _square(colour: str, words: str) -> Any:
    from matplotlib.patches import Patch

    return Patch(facecolor=colour, edgecolor="#8a94a3", linewidth=0.5, label=words)


def _bandpass(solutions: Solutions, picture: Path, title: str) -> None:
    values = np.where(solutions.flag, np.nan, solutions.values)[0]  # nant, nchan, npol
    _grid(values, solutions, solutions.freq_hz / 1e6, "frequency [MHz]", picture, f"{title}: bandpass", ".")


def _gains(solutions: Solutions, picture: Path, title: str) -> None:
    values = np.where(solutions.flag, np.nan, solutions.values)[:, :, 0].transpose(1, 0, 2)
    minutes = (solutions.time_mjd_s - solutions.time_mjd_s[0]) / 60
    _grid(values, solutions, minutes, "minutes since the first solution", picture, f"{title}: gains", "o-")


def _grid(values: Any, solutions: Solutions, axis: Any, label: str, picture: Path, title: str, marker: str) -> None:
    """Draw one pair of small panels, amplitude above phase, for each antenna that has solutions."""
    plotting.matplotlib_cache()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = [a for a in range(len(values)) if np.isfinite(values[a]).any()]
    rows = max(1, -(-len(shown) // _COLUMNS))
    figure = Figure(figsize=(1.75 * _COLUMNS, 1.0 + 1.9 * rows), dpi=90)
    FigureCanvasAgg(figure)
    head = 0.55 / figure.get_figheight()
    foot = 0.55 / figure.get_figheight()
    grid = figure.add_gridspec(
        3 * rows, _COLUMNS, left=0.06, right=0.99, top=1 - head, bottom=foot, wspace=0.12, hspace=0.12,
        height_ratios=[1, 1, 0.12] * rows,
    )  # fmt: skip
    size, turn = np.abs(values), np.degrees(np.angle(values))
    low, high = (float(np.nanmin(size)), float(np.nanmax(size))) if shown else (0.0, 1.0)
    if low < 0.5 * high:
        low = 0.0
    margin = 0.1 * max(high - low, 0.05 * high)
    reach = 180.0 if not shown else min(180.0, max(5.0, 1.2 * float(np.nanmax(np.abs(turn)))))
    reach = round(reach)
    for place, antenna in enumerate(shown):
        row, column = divmod(place, _COLUMNS)
        last = place + _COLUMNS >= len(shown)
        amplitude = figure.add_subplot(grid[3 * row, column])
        phase = figure.add_subplot(grid[3 * row + 1, column])
        for pol, colour in enumerate(COLOURS[: values.shape[2]]):
            style = {"color": colour, "markersize": 2, "linewidth": 0.8}
            amplitude.plot(axis, size[antenna, :, pol], marker, **style)
            phase.plot(axis, turn[antenna, :, pol], marker, **style)
        amplitude.set_ylim(low - margin, high + margin)
        phase.set_ylim(-1.08 * reach, 1.08 * reach)
        phase.set_yticks([-reach, 0, reach])
        amplitude.text(
            0.03, 0.06, solutions.antenna_names[antenna], transform=amplitude.transAxes, fontsize=7, weight="bold"
        )
        amplitude.tick_params(labelbottom=False, labelleft=column == 0, labelsize=6)
        phase.tick_params(labelbottom=last, labelleft=column == 0, labelsize=6)
    figure.suptitle(f"{title}; amplitude and phase [deg], X blue, Y orange", fontsize=10, y=1 - 0.3 * head)
    figure.text(0.5, 0.25 * foot, label, ha="center", fontsize=9)
    with atomic_path(picture) as part:
        figure.savefig(part, format="png", metadata={"Software": None})
