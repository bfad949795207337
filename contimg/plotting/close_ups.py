"""Close-ups below a picture of the sky: calibrator or brightest source, worst residual, deepest part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from contimg.plotting.features import Features, Pixel, find_features
from contimg.plotting.stretch import BLANK, COLOURS, dark_edge, norm_of
from contimg.plotting.words import angle_words, flux_words
from contimg.statistics import interpolated_peak

if TYPE_CHECKING:
    from contimg.plotting.sky_picture import Mark, SkyPicture

_BEAMS = (12.0, 12.0, 30.0)  # half widths of the three, in beams
LEVELS = (-5.0, -3.0, 5.0, 10.0, 20.0, 50.0, 100.0, 1000.0, 10000.0)
"""Contours, in units of the noise; negative ones are dashed."""
POSITIVE, NEGATIVE = "#8fd3ff", "white"
_EDGE = 3.0  # of beam, bar and its length


@dataclass(frozen=True)
class Square:
    """The part of the image that a close-up shows: letter, middle and half width in pixels, and what it is."""

    letter: str
    y: int
    x: int
    half: int
    title: str


def draw_close_ups(figure: Any, shown: SkyPicture, found: Features, place: tuple[float, float, float]) -> list[Square]:
    """Draw the close-ups in a row, and return what they show.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    shown : SkyPicture
    found : Features
    place : (float, float, float)
        Left and lower edge of the first, and the size of each (inches).
    """
    squares = choose(shown, found)
    left, bottom, size = place
    width, height = figure.get_size_inches()
    for number, square in enumerate(squares):
        x = left + number * (size + 0.3)
        axes = figure.add_axes((x / width, bottom / height, size / width, size / height))
        _draw_square(axes, shown, square, small=size < 2.5)
    levels = ", ".join(f"{level:g}".replace("-", "−") for level in LEVELS[:7])
    figure.text(
        left / width, 0.16 / height, f"contours: {levels} … × noise, negative dashed; labels: peaks per beam",
        fontsize=10 if size > 2.5 else 9, color="#333333", va="center",
    )  # fmt: skip
    return squares


def choose(shown: SkyPicture, found: Features) -> list[Square]:
    """Return what the close-ups show: at most three, fewer where there is nothing to show."""
    half = [max(8, round(beams * shown.beam_px)) for beams in _BEAMS]
    squares = []
    calibrator = _calibrator(shown)
    if calibrator is not None:
        mark, pixel = calibrator
        squares.append(Square("a", pixel.y, pixel.x, half[0], f"{mark.name}, {flux_words(pixel.value * 1e3)}/beam"))
    elif found.brightest:
        pixel = found.brightest[0]
        squares.append(Square("a", pixel.y, pixel.x, half[0], f"brightest, {flux_words(pixel.value * 1e3)}/beam"))
    worst = _worst(shown, found)
    if worst is not None:
        words = "lowest" if shown.residual_jy is None else "worst residual"
        text = f"{worst.value:+.1f}σ".replace("-", "−").replace("+", "" if shown.residual_jy is None else "+")
        squares.append(Square("b", worst.y, worst.x, half[1], f"{words}, {text}"))
    if found.quietest is not None:
        quiet = found.quietest
        squares.append(Square("c", quiet.y, quiet.x, half[2], f"deepest, rms {flux_words(quiet.value * 1e3)}"))
    return squares


def _calibrator(shown: SkyPicture) -> tuple[Mark, Pixel] | None:
    """Return the first calibrator whose place has pixels, with the brightest pixel within two beams of it."""
    for mark in shown.marks:
        if mark.calibrator:
            pixel = brightest_near(shown, mark)
            if pixel is not None:
                return mark, pixel
    return None


def brightest_near(shown: SkyPicture, mark: Mark) -> Pixel | None:
    """Return the brightest pixel within two beams of a place, with the peak there; None outside the image."""
    x, y = (float(v) for v in shown.wcs.all_world2pix(mark.ra_deg, mark.dec_deg, 0))
    if not (np.isfinite(x) and np.isfinite(y)):
        return None
    reach = max(1, round(2 * shown.beam_px))
    rows, columns = (slice(max(0, round(at) - reach), max(0, round(at) + reach + 1)) for at in (y, x))
    part = shown.image_jy[rows, columns]
    if not np.isfinite(part).any():
        return None
    row, column = np.unravel_index(np.nanargmax(part), part.shape)
    y, x = rows.start + int(row), columns.start + int(column)
    return Pixel(y, x, interpolated_peak(shown.image_jy, y, x))


def _worst(shown: SkyPicture, found: Features) -> Pixel | None:
    """Return the pixel with the worst residual (sigma): in either sign of a residual image, else the lowest pixel."""
    if shown.residual_jy is None:
        return found.lowest
    block = max(1, round(shown.beam_px))
    low = find_features(shown.residual_jy, shown.noise_jy, block, 4, count=0).lowest
    high = find_features(-shown.residual_jy, shown.noise_jy, block, 4, count=0).lowest
    if low is None or high is None:
        return None
    return low if low.value < high.value else Pixel(high.y, high.x, -high.value)


def _draw_square(axes: Any, shown: SkyPicture, square: Square, *, small: bool) -> None:
    """Draw one close-up with its contours, the beam and a bar of scale."""
    from matplotlib.patches import Ellipse

    image, noise = cut_out(shown.image_jy, square), cut_out(shown.noise_jy, square)
    reach = square.half + 0.5
    axes.imshow(
        image * 1e3, origin="lower", cmap=COLOURS, norm=norm_of(shown.rms_mjy), interpolation="nearest",
        extent=(-reach, reach, -reach, reach),
    )  # fmt: skip
    axes.set_facecolor(BLANK)
    with np.errstate(invalid="ignore"):
        over = np.ma.masked_invalid(image / noise)
    offset = np.arange(-square.half, square.half + 1)
    levels = [level for level in LEVELS if over.count() and over.min() < level < over.max()]
    for sign, colour, style in ((1, POSITIVE, "solid"), (-1, NEGATIVE, "dashed")):
        chosen = [level for level in levels if level * sign > 0]
        # In the deepest part even noise reaches 3 sigma: its contours would hide it.
        if chosen and square.letter != "c":
            axes.contour(offset, offset, over, levels=chosen, colors=colour, linewidths=0.8, linestyles=style)
    height, width = (axis / shown.cell_deg for axis in shown.beam_deg[:2])
    corner = -0.86 * reach
    beam = Ellipse((corner, corner), width, height, angle=shown.beam_deg[2], facecolor="white", alpha=0.9, zorder=5)
    beam.set_path_effects(dark_edge(_EDGE))
    axes.add_patch(beam)
    _draw_scale(axes, shown, reach, small=small)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(f"{square.letter}: {square.title}", fontsize=9.5 if small else 11.5, loc="left", pad=4)


def cut_out(image: NDArray[np.floating] | float, square: Square) -> NDArray[np.float32]:
    """Return the pixels of a close-up, (2 half + 1, 2 half + 1); NaN beyond the edge of the image."""
    side = 2 * square.half + 1
    if isinstance(image, float):
        return np.full((side, side), image, np.float32)
    cut = np.full((side, side), np.nan, np.float32)
    top, left = square.y - square.half, square.x - square.half
    rows = slice(max(top, 0), min(top + side, image.shape[0]))
    columns = slice(max(left, 0), min(left + side, image.shape[1]))
    if rows.start < rows.stop and columns.start < columns.stop:
        cut[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = image[rows, columns]
    return cut


def _draw_scale(axes: Any, shown: SkyPicture, reach: float, *, small: bool) -> None:
    """Draw a bar whose length is a round angle, about a third of the close-up."""
    wanted = 0.6 * reach * shown.cell_deg
    steps = [digit * 10.0**power / unit for unit in (1, 60, 3600) for power in (0, 1) for digit in (1, 2, 3, 5)]
    length = max((step for step in steps if step <= wanted), default=min(steps))
    pixels = length / shown.cell_deg
    x, y = 0.92 * reach, -0.86 * reach
    axes.plot(
        [x - pixels, x], [y, y], color="white", lw=1.4, solid_capstyle="butt", zorder=5, path_effects=dark_edge(_EDGE)
    )
    axes.text(
        x - pixels / 2, y + 0.05 * reach, angle_words(length), color="white", ha="center", va="bottom",
        fontsize=8.5 if small else 10, zorder=5, path_effects=dark_edge(_EDGE),
    )  # fmt: skip
