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

# One colour for each of contimg.flagging.flag_codes.REASONS, in its order: Paul Tol's "muted" scheme, which people with
# any kind of colour vision tell apart (SRON/EPS/TN/09-002, issue 3.2), with black between its light and dark ones.
_COLOURS = (
    "#dddddd", "#000000", "#ddcc77", "#882255", "#332288", "#88ccee", "#117733", "#cc6677", "#aa4499", "#999933",
)  # fmt: skip
_WIDTH_IN, _DPI = 5.6, 170  # shown 541 pixels wide on a page of 1400, 372 on one of 420: letters of 8 to 11 pixels
_MOST_NAMES, _MOST_TILES = 36, 26  # labels that have room


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
    each = max(1.2, 0.13 * min(len(flagged), _MOST_TILES))
    figure = Figure(figsize=(_WIDTH_IN, 3 * each + 2.6), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    upper, middle, lower = figure.subplots(3, 1)
    antennas = list(dict.fromkeys(name for one in numbers for name in one.flagged_by_antenna))
    subbands = sorted({name for one in numbers for name in one.flagged_by_subband})
    by_antenna = _percentages([one.flagged_by_antenna for one in numbers], antennas)
    by_subband = _percentages([one.flagged_by_subband for one in numbers], subbands)
    top = max(1.0, *(float(np.nanmax(values, initial=0)) for values in (by_antenna, by_subband)))
    image = _map(upper, by_antenna, antennas, labels, top, "Flagged, by tile and antenna")
    _map(middle, by_subband, subbands, labels, top, "Flagged, by tile and subband (white: no data)")
    bar = figure.colorbar(image, ax=[upper, middle], pad=0.02, aspect=30)
    bar.set_label("flagged [%]", fontsize=8.5)
    bar.ax.tick_params(labelsize=8)
    _bars(lower, [one.flagged_by_reason or {} for one in numbers], labels)
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    words = "flagged fractions of the tiles by antenna, subband and reason"
    return picture(content, round(_WIDTH_IN * _DPI), words)


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
    _label_tiles(axes, labels)
    axes.set_ylim(len(by_reason) - 0.5, -0.5)
    axes.set_title("Flagged, by tile and reason", fontsize=9.5, loc="left")
    axes.set_xlabel("% of what was received", fontsize=8.5)
    axes.tick_params(axis="x", labelsize=8)
    if left.any():
        axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.45, -0.32), ncols=4, frameon=False)


def _map(
    axes: Any,
    values: NDArray[np.float64],
    names: Sequence[str],
    labels: Sequence[str],
    top: float,
    title: str,
) -> Any:
    """Draw percentages as an image with one row for each tile and one column for each name, and return the image."""
    from matplotlib.colors import PowerNorm

    image = axes.imshow(values, aspect="auto", interpolation="nearest", norm=PowerNorm(0.5, 0, top), cmap="magma_r")
    every = max(1, -(-len(names) // _MOST_NAMES))
    shown = [name.removeprefix("sb") for name in names[::every]]
    axes.set_xticks(range(0, len(names), every), shown, fontsize=7.5, rotation=90)
    _label_tiles(axes, labels)
    axes.set_title(title, fontsize=9.5, loc="left")
    return image


def _label_tiles(axes: Any, labels: Sequence[str]) -> None:
    """Write the times of the tiles, thinned to what there is room for."""
    every = max(1, -(-len(labels) // _MOST_TILES))
    axes.set_yticks(range(0, len(labels), every), labels[::every], fontsize=7.5)
