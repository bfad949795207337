"""The picture of what was flagged: by antenna, by subband and by reason, for every tile of a mosaic."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from contimg import plotting
from contimg.products.twin import Twin
from contimg.report.markup import picture

# One colour for each of contimg.flagging.flag_codes.REASONS, in its order.
_COLOURS = (
    "#888888", "#222222", "#c7b299", "#8c564b", "#9467bd", "#1f77b4", "#17becf", "#d95f02", "#e7298a", "#bbbbbb",
)  # fmt: skip


def flag_picture(tiles: Sequence[Twin]) -> str:
    """Return a card with the picture; nothing where no tile's twin says what was flagged.

    Parameters
    ----------
    tiles : sequence of Twin
        Of kind ``ms``, in the order of time. Their ``flagged_by_antenna`` and ``flagged_by_subband`` are fractions of
        what was received, ``flagged_by_reason`` shares the whole out.
    """
    tiles = [twin for twin in tiles if "flagged_by_reason" in twin.qa]
    if not tiles:
        return ""
    plotting.matplotlib_cache()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 3.2 + 0.36 * len(tiles)), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 2, width_ratios=[2, 1])
    antennas, subbands, reasons = (
        list(dict.fromkeys(name for twin in tiles for name in twin.qa[f"flagged_by_{what}"]))
        for what in ("antenna", "subband", "reason")
    )
    labels = [twin.id[11:] for twin in tiles]
    subbands.sort()
    by_antenna, by_subband = _fractions(tiles, "antenna", antennas), _fractions(tiles, "subband", subbands)
    top = max(1.0, *(float(np.nanmax(values, initial=0)) for values in (by_antenna, by_subband)))
    _map(figure, grid[0, :], by_antenna, antennas, labels, top, "antenna")
    _map(figure, grid[1, 1], by_subband, subbands, labels, top, "subband (white: no data)")
    axes = figure.add_subplot(grid[1, 0])
    left = np.zeros(len(tiles))
    for name, colour in zip(reasons, _COLOURS, strict=False):
        share = np.array([100 * twin.qa["flagged_by_reason"].get(name, 0) for twin in tiles])
        if share.any():
            axes.barh(range(len(tiles)), share, left=left, color=colour, label=name.replace("_", " "))
        left += share
    axes.set_yticks(range(len(tiles)), labels, fontsize=8)
    axes.set(xlabel="flagged by reason [% of what was received]", ylim=(len(tiles) - 0.5, -0.5))
    if left.any():
        axes.legend(fontsize=8, loc="upper right")
    axes.margins(x=0.3)
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    words = "flagged fractions of the tiles by antenna, subband and reason"
    return f'<h2>Flags</h2><div class="card">{picture(content, 1400, words)}</div>'


def _fractions(tiles: Sequence[Twin], what: str, names: Sequence[str]) -> Any:
    """Return per cents (tile, name); NaN where a tile lacks it."""
    rows = [[twin.qa[f"flagged_by_{what}"].get(name, np.nan) for name in names] for twin in tiles]
    return 100 * np.array(rows, float).reshape(len(tiles), len(names))


def _map(
    figure: Any, place: Any, values: Any, names: Sequence[str], labels: Sequence[str], top: float, what: str
) -> None:
    from matplotlib.colors import PowerNorm

    axes = figure.add_subplot(place)
    image = axes.imshow(values, aspect="auto", interpolation="nearest", norm=PowerNorm(0.5, 0, top), cmap="magma_r")
    axes.set_xticks(range(len(names)), [name.removeprefix("sb") for name in names], fontsize=7, rotation=90)
    axes.set_yticks(range(len(labels)), labels, fontsize=8)
    axes.set_xlabel(what)
    figure.colorbar(image, ax=axes, label="flagged [%]", pad=0.01)
