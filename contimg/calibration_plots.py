"""Pictures of solutions: bandpasses and gains of every antenna, amplitude and phase."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from contimg import casa
from contimg.calibrate.tables import FILES, Solutions, read_solutions
from contimg.product import atomic_path

COLOURS = ("#1f77b4", "#d95f02")  # X, Y
_COLUMNS = 8


def plot_solutions(folder: Path, calibration_id: str, *, synthetic: bool) -> list[Path]:
    """Plot the tables of a calibration into its folder.

    Writes ``<id>.bandpass.png`` (B over frequency) and ``<id>.gains.png`` (G over time), each for the
    tables that are there.

    Returns
    -------
    list of Path
        The pictures made.
    """
    made = []
    for kind, name, draw in (("B", "bandpass", _bandpass), ("G", "gains", _gains)):
        table = Path(folder) / FILES[kind]
        if table.exists():
            picture = Path(folder) / f"{calibration_id}.{name}.png"
            draw(read_solutions(table), picture, f"{calibration_id}{' (simulated)' if synthetic else ''}")
            made.append(picture)
    return made


def _bandpass(solutions: Solutions, picture: Path, title: str) -> None:
    values = np.where(solutions.flag, np.nan, solutions.values)[0]  # nant, nchan, npol
    _grid(values, solutions, solutions.freq_hz / 1e6, "frequency [MHz]", picture, f"{title}: bandpass", ".")


def _gains(solutions: Solutions, picture: Path, title: str) -> None:
    values = np.where(solutions.flag, np.nan, solutions.values)[:, :, 0].transpose(1, 0, 2)
    minutes = (solutions.time_mjd_s - solutions.time_mjd_s[0]) / 60
    _grid(values, solutions, minutes, "minutes since the first solution", picture, f"{title}: gains", "o-")


def _grid(values: Any, solutions: Solutions, axis: Any, label: str, picture: Path, title: str, marker: str) -> None:
    """Draw one pair of small panels, amplitude above phase, for each antenna that has solutions."""
    casa.matplotlib_cache()
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
