"""The picture of antenna health: flagged data and lost solutions by antenna, tile and calibration of a mosaic."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg import naming, plotting
from contimg.products.lineage import Lineage
from contimg.products.numbers import calibration_qa, ms_qa

_WIDTH_IN, _DPI = 5.6, 170  # shown 541 pixels wide on a page of 1400, 372 on one of 420: letters of 8 to 11 pixels
_ROW_IN = 0.11  # inches a label needs
_MOST_ROWS, _MOST_COLUMNS = 36, 32  # labels
_LITTLE = 0.05


def antenna_health(lineage: Lineage) -> io.BytesIO | None:
    """Draw, for each antenna (rows), the flagged fraction of each tile and the lost fraction of each calibration.

    Tiles show the flagged fraction of what was received of an antenna (``flagged_by_antenna`` of the MS), calibrations
    the lost fraction of its solutions (``lost_by_antenna``).

    Returns
    -------
    io.BytesIO or None
        A PNG; None where no twin states numbers of antennas.
    """
    columns = _columns(lineage)
    names = sorted({name for *_, values in columns for name in values}, key=lambda name: (len(name), name))
    if not names:
        return None
    plotting.matplotlib_cache()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    share = np.array([[values.get(name, np.nan) for *_, values in columns] for name in names])
    top = _top_percent(share)
    height = max(3.4, 1.6 + _ROW_IN * min(len(names), _MOST_ROWS))
    figure = Figure(figsize=(_WIDTH_IN, height), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set_facecolor("#b9c0ca")
    shown = axes.imshow(100 * share, aspect="auto", interpolation="nearest", cmap="YlOrRd", vmin=0, vmax=top)
    _label_axes(axes, names, columns)
    bar = figure.colorbar(shown, ax=axes, pad=0.01, fraction=0.03, aspect=40)
    bar.set_label("flagged, or solutions lost [%]", fontsize=8.5)
    axes.set_title(_sentence(share, names), fontsize=9.5, loc="left")
    bar.ax.tick_params(labelsize=8)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", metadata={"Software": None})
    picture.seek(0)
    return picture


def _top_percent(share: NDArray[np.float64]) -> float:
    """Return the end of the colours: all that can be lost, or less where nothing much is, so that it can be seen."""
    largest = 100 * float(np.nanmax(share, initial=0.0))
    return next(end for end in (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0) if largest <= end or end == 100.0)


def _sentence(share: NDArray[np.float64], names: Sequence[str]) -> str:
    """Return what the picture shows in words: how many antennas lost little, and which lost the most."""
    means = np.array([float(np.nanmean(row)) if np.isfinite(row).any() else np.nan for row in share])
    good = int(np.count_nonzero(means < _LITTLE))
    if good == len(names):
        return f"all {len(names)} antennas lost less than {100 * _LITTLE:g} %; {_named(means, names, 1)}"
    return f"{good} of {len(names)} antennas lost less than {100 * _LITTLE:g} %;\n{_named(means, names, 4)}"


def _named(means: NDArray[np.float64], names: Sequence[str], count: int) -> str:
    worst = np.argsort(-np.nan_to_num(means), kind="stable")[:count]
    return "the most: " + ", ".join(f"{names[number]} ({100 * means[number]:.1f} %)" for number in worst)


def _label_axes(axes: Any, names: Sequence[str], columns: Sequence[tuple[str, str, dict[str, float]]]) -> None:
    """Label antennas, tiles and calibrations, thinned to what there is room for."""
    every = -(-len(names) // _MOST_ROWS)
    axes.set_yticks(range(0, len(names), every), names[::every], fontsize=7.5)
    some = -(-len(columns) // _MOST_COLUMNS)
    words = [f"{name[11:]}{' cal' if kind == 'calibration' else ''}" for name, kind, _ in columns]
    axes.set_xticks(range(0, len(columns), some), words[::some], rotation=90, fontsize=7.5)
    for label, (_, kind, _) in zip(axes.get_xticklabels(), columns[::some], strict=True):
        label.set_color("#1f5fa8" if kind == "calibration" else "#1d2430")
    axes.set_ylabel("antenna", fontsize=8.5)
    axes.set_xlabel("tiles [UTC], and calibrations (blue)", fontsize=8.5)


def _columns(lineage: Lineage) -> list[tuple[str, str, dict[str, float]]]:
    """Return (tile id, kind, fraction by antenna) of tiles and calibrations, in order of time."""
    found = [(node.twin, ms_qa(node.twin).flagged_by_antenna) for node in lineage.of_kind("ms")]
    found += [(node.twin, calibration_qa(node.twin).lost_by_antenna) for node in lineage.of_kind("calibration")]
    columns = [(naming.iso(twin.id), twin.kind, by_antenna) for twin, by_antenna in found if by_antenna]
    return sorted(columns, key=lambda column: (column[0], column[1] != "ms"))
