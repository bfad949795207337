"""The picture of what was flagged: by antenna, by subband and by reason, for every tile of a mosaic."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg import plotting
from contimg.products.numbers import ms_qa
from contimg.products.twin import Twin
from contimg.report.markup import picture

# One colour for each of contimg.flagging.flag_codes.REASONS, in its order.
_COLOURS = (
    "#888888", "#222222", "#c7b299", "#8c564b", "#9467bd", "#1f77b4", "#17becf", "#d95f02", "#e7298a", "#bbbbbb",
)  # fmt: skip


def flag_picture(tiles: Sequence[Twin]) -> str:
    """Return the picture of the flags as an HTML image; an empty string where no twin states what was flagged.

    Parameters
    ----------
    tiles : sequence of Twin
        Of kind ``ms``, in the order of time. Their ``flagged_by_antenna`` and ``flagged_by_subband`` are fractions of
        what was received, ``flagged_by_reason`` divides all of it among the reasons.
    """
    flagged = [(twin.id[11:], ms_qa(twin)) for twin in tiles if "flagged_by_reason" in twin.qa]
    if not flagged:
        return ""
    plotting.matplotlib_cache()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    labels, numbers = [label for label, _ in flagged], [one for _, one in flagged]
    figure = Figure(figsize=(14, 3.2 + 0.36 * len(flagged)), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 2, width_ratios=[2, 1])
    antennas = list(dict.fromkeys(name for one in numbers for name in one.flagged_by_antenna))
    subbands = sorted({name for one in numbers for name in one.flagged_by_subband})
    by_antenna = _percentages([one.flagged_by_antenna for one in numbers], antennas)
    by_subband = _percentages([one.flagged_by_subband for one in numbers], subbands)
    top = max(1.0, *(float(np.nanmax(values, initial=0)) for values in (by_antenna, by_subband)))
    _map(figure.add_subplot(grid[0, :]), by_antenna, antennas, labels, top, "antenna")
    _map(figure.add_subplot(grid[1, 1]), by_subband, subbands, labels, top, "subband (white: no data)")
    _bars(figure.add_subplot(grid[1, 0]), [one.flagged_by_reason or {} for one in numbers], labels)
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    words = "flagged fractions of the tiles by antenna, subband and reason"
    return picture(content, 1400, words)


def _percentages(fractions: Sequence[Mapping[str, float]], names: Sequence[str]) -> NDArray[np.float64]:
    """Return fractions in per cent as a (tile, name) array; NaN where a tile has no such name."""
    rows = [[tile.get(name, np.nan) for name in names] for tile in fractions]
    return 100 * np.array(rows, float).reshape(len(fractions), len(names))


def _bars(axes: Any, by_reason: Sequence[Mapping[str, float]], labels: Sequence[str]) -> None:
    """Draw bars of the flagged fraction of each tile, divided among the reasons."""
    reasons = list(dict.fromkeys(name for tile in by_reason for name in tile))
    left = np.zeros(len(by_reason))
    for name, colour in zip(reasons, _COLOURS, strict=False):
        share = np.array([100 * tile.get(name, 0) for tile in by_reason])
        if share.any():
            axes.barh(range(len(by_reason)), share, left=left, color=colour, label=name.replace("_", " "))
        left += share
    axes.set_yticks(range(len(by_reason)), labels, fontsize=8)
    axes.set(xlabel="flagged by reason [% of what was received]", ylim=(len(by_reason) - 0.5, -0.5))
    if left.any():
        axes.legend(fontsize=8, loc="upper right")
    axes.margins(x=0.3)


def _map(
    axes: Any,
    values: NDArray[np.float64],
    names: Sequence[str],
    labels: Sequence[str],
    top: float,
    what: str,
) -> None:
    """Draw percentages as an image with one row for each tile and one column for each name."""
    from matplotlib.colors import PowerNorm

    image = axes.imshow(values, aspect="auto", interpolation="nearest", norm=PowerNorm(0.5, 0, top), cmap="magma_r")
    axes.set_xticks(range(len(names)), [name.removeprefix("sb") for name in names], fontsize=7, rotation=90)
    axes.set_yticks(range(len(labels)), labels, fontsize=8)
    axes.set_xlabel(what)
    axes.figure.colorbar(image, ax=axes, label="flagged [%]", pad=0.01)
