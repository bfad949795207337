"""The picture of a piece of sky, the same for tiles and mosaics.

One colour map and stretch, ticks 1-2-5 in mJy, beam, the brightest sources and the most negative pixel marked, and
below them close-ups of the calibrator (or brightest source), of the worst residual and of the deepest part, with
contours of the noise. The colours, matplotlib's inferno, differ in lightness all along, for whatever eyes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.plotting.close_ups import draw_close_ups
from contimg.plotting.features import APART_BEAMS, Features, find_features
from contimg.plotting.labels import draw_labels
from contimg.plotting.setup import matplotlib_cache
from contimg.plotting.stretch import BLANK, COLOURS, HIGH_SIGMA, LOW_SIGMA, norm_of
from contimg.plotting.words import flux_words, ticks_125

DPI = 120
WIDE_IN, NARROW_IN = 15.0, 7.0
"""Widths of a picture for a page of 1400 pixels and for one of 420, with letters of the same size."""
MAX_HEIGHT_IN = 11.0
_LABEL_IN, _TICK_IN = 2.6, 0.17  # height of a bar that has room for its label, and of a tick label
INK, SOFT = "#222222", "#333333"
BACKED = {"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": "none", "alpha": 0.75}


@dataclass(frozen=True)
class Mark:
    """A place with a name: a calibrator, or a source of a catalogue."""

    name: str
    ra_deg: float
    dec_deg: float
    calibrator: bool = False


@dataclass(frozen=True)
class SkyPicture:
    """What a picture of the sky shows.

    Attributes
    ----------
    image_jy : (ny, nx) array
        Jy/beam; NaN where there is none.
    noise_jy : (ny, nx) array or float
        Noise of each pixel or of all (Jy/beam).
    wcs : astropy.wcs.WCS
        Celestial.
    cell_deg : float
    beam_deg : (float, float, float)
        Major axis, minor axis, position angle.
    rms_mjy : float
        Noise that sets the colours.
    title : str
    facts : sequence of str
        The line below the title.
    brightness : str
        What the colours are.
    synthetic : bool
    marks : sequence of Mark
        Names of sources, of which those are written that are among the brightest or calibrators.
    pb : (ny, nx) array or None
        Primary beam, of which contours at 0.5 and 0.2 are drawn.
    residual_jy : (ny, nx) array or None
        Where the worst residual is looked for, in either sign; None: the most negative pixel of the image.
    """

    image_jy: NDArray[np.floating]
    noise_jy: NDArray[np.floating] | float
    wcs: Any
    cell_deg: float
    beam_deg: tuple[float, float, float]
    rms_mjy: float
    title: str
    facts: Sequence[str]
    brightness: str
    synthetic: bool
    marks: Sequence[Mark] = field(default_factory=tuple)
    pb: NDArray[np.floating] | None = None
    residual_jy: NDArray[np.floating] | None = None

    @property
    def beam_px(self) -> float:
        """Major axis of the beam in pixels."""
        return self.beam_deg[0] / self.cell_deg

    def features(self) -> Features:
        """Return what stands out in the image."""
        return find_features(self.image_jy, self.noise_jy, max(1, round(self.beam_px)), APART_BEAMS)


def draw(path: Path, shown: SkyPicture, width_in: float = WIDE_IN, found: Features | None = None) -> Features:
    """Draw a picture as PNG, and return what stands out in it.

    Parameters
    ----------
    path : Path
    shown : SkyPicture
    width_in : float
        `WIDE_IN` or `NARROW_IN`.
    found : Features, optional
        What stands out, if it is known from another picture of the same image.
    """
    matplotlib_cache()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    found = shown.features() if found is None else found
    ny, nx = shown.image_jy.shape
    wide = width_in > NARROW_IN
    left, right = (1.05, 1.35) if wide else (0.95, 0.95)
    room = width_in - left - right
    close = min(3.3, (width_in - left - 0.45 - 2 * 0.3) / 3)
    heading = _heading(shown, found, wide)
    top = 0.42 + (0.34 if wide else 0.3) * len(heading) + 0.24
    scale = min(room / nx, MAX_HEIGHT_IN / ny)
    below = 0.45 + close + 0.98
    height = top + ny * scale + below
    figure = Figure(figsize=(width_in, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    thin = max(1, int(np.ceil(nx / (room * DPI))))
    place = (left / width_in, below / height, nx * scale / width_in, ny * scale / height)
    axes = figure.add_axes(place, projection=shown.wcs[::thin, ::thin] if thin > 1 else shown.wcs)
    colours = axes.imshow(
        block_means(shown.image_jy, thin) * 1e3, origin="lower", cmap=COLOURS, norm=norm_of(shown.rms_mjy),
        interpolation="nearest",
    )  # fmt: skip
    axes.set_facecolor(BLANK)
    _label_axes(axes, wide)
    if shown.pb is not None:
        contours = shown.pb[::thin, ::thin]
        axes.contour(contours, levels=[0.2, 0.5], colors="white", linewidths=0.8, linestyles=["dotted", "dashed"])
    _draw_beam(axes, shown, thin)
    _draw_colour_bar(figure, axes, colours, shown)
    squares = draw_close_ups(figure, shown, found, (left, 0.45, close))
    draw_labels(axes, shown, found, thin, squares)
    _write_heading(figure, shown, heading, left, wide)
    figure.savefig(path, format="png", metadata={"Software": None})
    return found


def _heading(shown: SkyPicture, found: Features, wide: bool) -> list[str]:
    """Return the lines below the title: facts, and the extremes of the image."""
    low = float(np.nanmin(shown.image_jy)) * 1e3
    high = found.brightest[0].value * 1e3  # of the peak, which lies between pixels
    count = f"{found.below:,} pixel{'' if found.below == 1 else 's'} below −5σ".replace(",", " ")
    deepest = "" if found.lowest is None else f" (lowest {found.lowest.value:.1f}σ)".replace("-", "−")
    extremes = f"peak {flux_words(high)}, lowest {flux_words(low)} per beam".replace("-", "−")
    return _joined([*shown.facts, extremes, f"{count}{deepest}"], 125 if wide else 62)


def _joined(facts: Sequence[str], columns: int) -> list[str]:
    """Return facts in lines, with dots between those of one line."""
    lines = [""]
    for fact in facts:
        longer = f"{lines[-1]}   ·   {fact}" if lines[-1] else fact
        if len(longer) <= columns or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(fact)
    return lines


def _write_heading(figure: Any, shown: SkyPicture, lines: Sequence[str], left: float, wide: bool) -> None:
    """Write title, lines and, on simulated data, the stamp."""
    width, height = figure.get_size_inches()
    figure.text(left / width, 1 - 0.3 / height, shown.title, fontsize=19 if wide else 14, weight="bold", va="center")
    for number, line in enumerate(lines):
        y = 1 - (0.72 + (0.32 if wide else 0.27) * number - (0 if wide else 0.08)) / height
        figure.text(left / width, y, line, fontsize=12.5 if wide else 10.5, color=SOFT, va="center")
    if shown.synthetic:
        figure.text(
            1 - 0.3 / width, 1 - 0.32 / height, "SYNTHETIC DATA" if wide else "SYNTHETIC", fontsize=15 if wide else 11,
            weight="bold", color="#b00020", ha="right", va="center",
            bbox={"boxstyle": "round,pad=0.35", "fc": "white", "ec": "#b00020", "lw": 1.6},
        )  # fmt: skip


def _label_axes(axes: Any, wide: bool) -> None:
    """Label the axes with right ascension and declination and draw their grid."""
    size = 12 if wide else 11
    for coordinate, label in zip(axes.coords, ("right ascension (ICRS)", "declination (ICRS)"), strict=True):
        coordinate.set_axislabel(label, fontsize=size, minpad=0.7)
        coordinate.set_ticklabel(size=size - 1, exclude_overlapping=True, simplify=False)
        coordinate.display_minor_ticks(True)
    axes.coords[0].set_major_formatter("hh:mm")
    axes.coords[1].set_major_formatter("dd:mm")
    axes.coords.grid(color="#c9d8e6", alpha=0.3, linewidth=0.8, linestyle="-")


def _draw_beam(axes: Any, shown: SkyPicture, thin: int) -> None:
    """Draw the beam in the lower left corner, enlarged by a whole number, which the label states, if it is small."""
    from matplotlib.patches import Circle, Ellipse

    ny, nx = (-(-size // thin) for size in shown.image_jy.shape)
    height, width = (axis / shown.cell_deg / thin for axis in shown.beam_deg[:2])
    frame = 0.022 * max(nx, 1.5 * ny)
    times = max(1, int(1.2 * frame / height))
    centre = (1.15 * frame, 1.15 * frame)
    axes.add_patch(Circle(centre, 0.85 * frame, facecolor="white", edgecolor="#555555", linewidth=0.8, zorder=4))
    # East is left: an angle from north to east turns anticlockwise on the picture, as matplotlib's does.
    ellipse = Ellipse(centre, times * width, times * height, angle=shown.beam_deg[2], facecolor="#333333", zorder=5)
    axes.add_patch(ellipse)
    label = "beam" if times == 1 else f"beam × {times}"
    axes.text(centre[0] + 1.05 * frame, centre[1], label, fontsize=10, va="center", zorder=5, bbox=BACKED)


def _draw_colour_bar(figure: Any, axes: Any, colours: Any, shown: SkyPicture) -> None:
    """Draw the colour bar, in mJy/beam, to the right of the image."""
    box = axes.get_position()
    width = figure.get_figwidth()
    bar_axes = figure.add_axes((box.x1 + 0.2 / width, box.y0, 0.17 / width, box.height))
    bar = figure.colorbar(colours, cax=bar_axes, extend="both")
    ticks = ticks_125(shown.rms_mjy, LOW_SIGMA * shown.rms_mjy, HIGH_SIGMA * shown.rms_mjy)
    ticks = _apart(ticks, colours.norm, box.height * figure.get_figheight())
    bar.set_ticks(ticks, labels=[f"{tick:g}".replace("-", "−") for tick in ticks])
    bar.ax.minorticks_off()
    bar.ax.tick_params(labelsize=10)
    if box.height * figure.get_figheight() > _LABEL_IN:
        bar.set_label(f"{shown.brightness} [mJy/beam]", fontsize=11)
    else:
        bar_axes.set_title("mJy/beam", fontsize=9.5, pad=8)


def _apart(ticks: Sequence[float], norm: Any, height_in: float) -> list[float]:
    """Return the ticks whose labels do not touch: first 0, then from the largest down."""
    kept: list[float] = []
    for tick in (0.0, *sorted(ticks, reverse=True)):
        if all(abs(float(norm(tick)) - float(norm(one))) * 0.9 * height_in > _TICK_IN for one in kept):
            kept.append(tick)
    return sorted(kept)


def block_means(image: NDArray[np.floating], thin: int) -> NDArray[np.float64]:
    """Return means over square blocks of finite pixels; NaN where a block has none."""
    if thin == 1:
        return image.astype(np.float64)
    ny, nx = (-(-n // thin) for n in image.shape)
    means = np.full((ny, nx), np.nan)
    for row in range(ny):
        part = image[row * thin : (row + 1) * thin]
        known = np.isfinite(part)
        columns = np.arange(0, image.shape[1], thin)
        total = np.add.reduceat(np.where(known, part, 0).sum(axis=0, dtype=np.float64), columns)
        number = np.add.reduceat(known.sum(axis=0), columns)
        np.divide(total, number, out=means[row], where=number > 0)
    return means
