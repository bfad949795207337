"""Labels on a picture of the sky: the brightest sources, calibrators, the most negative pixel, places of close-ups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from contimg.plotting.close_ups import Square, brightest_near
from contimg.plotting.features import Features, Pixel
from contimg.plotting.stretch import dark_edge
from contimg.plotting.words import flux_words

if TYPE_CHECKING:
    from contimg.plotting.sky_picture import Mark, SkyPicture

_SIZE = 10
_CORNERS = {"a": (1, 1), "b": (0, 0), "c": (1, 0)}
_LINE_PX = 19.0  # of a label at 120 pixels per inch
_EDGE_PT = 2.2  # of the dark edge round letters, half of which lies outside of them
_FRAME_PX = 3.0  # least distance of a label from the frame
_MARK_PX = 9.0  # half the room of what a label names: no other label covers it
_PLACES = (
    (10, 0, "left"), (-10, 0, "right"), (10, 16, "left"), (10, -16, "left"), (-10, 16, "right"), (-10, -16, "right"),
    (0, 26, "center"), (0, -26, "center"), (10, 34, "left"), (10, -34, "left"),
)  # fmt: skip
"""Where a label is tried: pixels to the right and up from its place, and its alignment."""

Box = tuple[float, float, float, float]


def draw_labels(axes: Any, shown: SkyPicture, found: Features, thin: int, squares: list[Square]) -> None:
    """Write the labels so that they do not cover each other, and draw the squares of the close-ups.

    Parameters
    ----------
    axes : WCSAxes
    shown : SkyPicture
    found : Features
    thin : int
        Pixels of the image per pixel of the picture.
    squares : list of Square
    """
    from matplotlib.patches import Rectangle

    axes.autoscale(False)  # a square at the edge must not widen the picture
    for square in squares:
        corner = ((square.x - square.half) / thin, (square.y - square.half) / thin)
        side = 2 * square.half / thin
        axes.add_patch(Rectangle(corner, side, side, fill=False, edgecolor="white", linewidth=0.8, alpha=0.8, zorder=3))
        # Each letter at a corner of its own: the squares of a calibrator and of what it leaves round it overlap.
        across, up = _CORNERS[square.letter]
        x = min(max(corner[0] + across * side, axes.get_xlim()[0]), axes.get_xlim()[1])
        y = min(max(corner[1] + up * side, axes.get_ylim()[0]), axes.get_ylim()[1])
        side_of = "bottom" if _above(axes, (x, y), up) else "top"
        axes.text(
            x, y, f" {square.letter} ", color="white", fontsize=_SIZE, va=side_of, ha="right" if across else "left",
            zorder=6, clip_on=True,
        )  # fmt: skip
    named = texts(shown, found)
    marked = [pixel for pixel, _ in named] + ([found.lowest] if found.lowest is not None else [])
    placed = [_room(axes, (pixel.x / thin, pixel.y / thin)) for pixel in marked]
    for pixel, text in named:
        _write(axes, (pixel.x / thin, pixel.y / thin), text, placed)
    if found.lowest is not None:
        x, y = found.lowest.x / thin, found.lowest.y / thin
        axes.plot([x], [y], marker="v", markersize=9, fillstyle="none", color="#8fd3ff", zorder=6)
        _write(axes, (x, y), f"{found.lowest.value:.1f}σ".replace("-", "−"), placed, colour="#8fd3ff")


def _above(axes: Any, place: tuple[float, float], up: int) -> bool:
    """Return whether a letter stands above its corner: outside of the square, except where the picture ends there."""
    y, box = axes.transData.transform(place)[1], axes.get_window_extent()
    return y + _LINE_PX <= box.y1 if up else y - _LINE_PX < box.y0


def texts(shown: SkyPicture, found: Features) -> list[tuple[Pixel, str]]:
    """Return the label of each calibrator in the image and of the five brightest sources, with their flux."""
    labels: list[tuple[Pixel, str]] = []
    for mark in shown.marks:
        pixel = brightest_near(shown, mark) if mark.calibrator else None
        if pixel is not None:
            labels.append((pixel, f"{mark.name} {flux_words(pixel.value * 1e3)}"))
    near = 2 * shown.beam_px
    for pixel in found.brightest:
        if all(np.hypot(pixel.y - other.y, pixel.x - other.x) > near for other, _ in labels):
            name = _name(shown, pixel)
            labels.append((pixel, f"{name} {flux_words(pixel.value * 1e3)}".strip()))
    return labels


def _name(shown: SkyPicture, pixel: Pixel) -> str:
    """Return the name of the mark within two beams of a pixel, or an empty text."""
    known: list[Mark] = [mark for mark in shown.marks if mark.name]
    if not known:
        return ""
    places = np.array([(mark.ra_deg, mark.dec_deg) for mark in known])
    x, y = shown.wcs.all_world2pix(places[:, 0], places[:, 1], 0)
    distance = np.nan_to_num(np.hypot(x - pixel.x, y - pixel.y), nan=np.inf)
    nearest = int(np.argmin(distance))
    return known[nearest].name if distance[nearest] <= 2 * shown.beam_px else ""


def _room(axes: Any, place: tuple[float, float]) -> Box:
    """Return the pixels of the picture round a place that is named or marked."""
    x, y = axes.transData.transform(place)
    return (x - _MARK_PX, y - _MARK_PX, x + _MARK_PX, y + _MARK_PX)


def _write(axes: Any, place: tuple[float, float], text: str, placed: list[Box], colour: str = "white") -> None:
    """Write a label beside a place, where no other label and no marked place is; else where it covers the least."""
    box = axes.get_window_extent()
    at = axes.transData.transform(place)
    width = _width(axes, text)
    choices = []
    for rank, (dx, dy, side) in enumerate(_PLACES):
        x = at[0] + dx - {"left": 0.0, "center": width / 2, "right": width}[side]
        room = (x, at[1] + dy - _LINE_PX / 2, x + width, at[1] + dy + _LINE_PX / 2)
        across = box.x0 + _FRAME_PX <= room[0] and room[2] <= box.x1 - _FRAME_PX
        inside = across and box.y0 <= room[1] and room[3] <= box.y1
        choices.append((not inside, sum(_overlap(room, other) for other in placed), rank, room))
    _, _, rank, room = min(choices)
    dx, dy, side = _PLACES[rank]
    placed.append(room)
    axes.annotate(
        text, place, (dx, dy), textcoords="offset pixels", ha=side, va="center", color=colour, fontsize=_SIZE,
        path_effects=dark_edge(_EDGE_PT), zorder=7, annotation_clip=True,
    )  # fmt: skip


def _width(axes: Any, text: str) -> float:
    """Return the width of a label in pixels of the picture, with the dark edge of its letters."""
    from matplotlib.font_manager import FontProperties

    figure = axes.figure
    letters, _, _ = figure.canvas.get_renderer().get_text_width_height_descent(text, FontProperties(size=_SIZE), False)
    return float(letters) + _EDGE_PT * figure.dpi / 72


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
