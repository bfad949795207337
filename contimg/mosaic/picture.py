"""The picture of a mosaic: a PNG with axes, colour bar, beam, and a heading with time, frequency and noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.mosaic.grid import MosaicGrid
from contimg.plotting import matplotlib_cache
from contimg.products.facts import BeamFacts, MosaicImageFacts
from contimg.times import span_from_mjd

WIDTH_PX = 1800
DPI = 120
MAX_HEIGHT_IN = 11.0
BACKED = {"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": "none", "alpha": 0.75}
LOW_SIGMA, LINEAR_SIGMA, HIGH_SIGMA = -3.0, 4.0, 120.0


def draw(  # pixels, grid, noise and facts come from different objects
    path: Path,
    image_jy: NDArray[np.floating],
    grid: MosaicGrid,
    facts: MosaicImageFacts,
    rms_mjy: float,
    *,
    mosaic_id: str,
    synthetic: bool,
) -> None:
    """Draw a mosaic as PNG.

    The colour scale is asinh from -3 to 120 times the rms, linear within 4, so that noise, faint and bright sources are
    visible together.

    Parameters
    ----------
    path : Path
        PNG to write.
    image_jy : (ny, nx) array
        Jy/beam, NaN outside the footprint.
    grid : MosaicGrid
    facts : MosaicImageFacts
    rms_mjy : float
        Noise that sets the colours (mJy/beam).
    mosaic_id : str
    synthetic : bool
        Whether the data are simulated: the picture is then marked as synthetic.
    """
    matplotlib_cache()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    thin = max(1, int(np.ceil(grid.shape[1] / WIDTH_PX)))
    shown = _shrink(image_jy, thin) * 1e3
    ny, nx = shown.shape
    # In inches, so that text has the same room whatever the shape of the mosaic.
    width = WIDTH_PX / DPI
    left, right, bottom, top = 1.05, 1.35, 0.8, 1.05
    scale = min((width - left - right) / nx, MAX_HEIGHT_IN / ny)
    height = bottom + top + ny * scale
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    wcs = grid.wcs()[::thin, ::thin] if thin > 1 else grid.wcs()
    place = (left / width, bottom / height, nx * scale / width, ny * scale / height)
    axes = figure.add_axes(place, projection=wcs)
    colours = _draw_image(axes, shown, rms_mjy)
    _draw_beam(axes, facts.beam, grid.cell_deg * thin, shown)
    _draw_colour_bar(figure, axes, colours, rms_mjy)
    _write_heading(figure, axes, facts, rms_mjy, mosaic_id)
    if synthetic:
        figure.text(
            1 - 0.3 / width, 1 - 0.38 / height, "SYNTHETIC DATA", fontsize=15, weight="bold", color="#b00020",
            ha="right", va="center", bbox={"boxstyle": "round,pad=0.35", "fc": "white", "ec": "#b00020", "lw": 1.6},
        )  # fmt: skip
    figure.savefig(path, format="png", metadata={"Software": None})


def _draw_image(axes: Any, shown_mjy: NDArray[np.float64], rms_mjy: float) -> Any:
    """Draw the pixels and label the axes; return what the colour bar needs."""
    from matplotlib.colors import AsinhNorm

    norm = AsinhNorm(linear_width=LINEAR_SIGMA * rms_mjy, vmin=LOW_SIGMA * rms_mjy, vmax=HIGH_SIGMA * rms_mjy)
    colours = axes.imshow(shown_mjy, origin="lower", cmap="inferno", norm=norm, interpolation="nearest")
    axes.set_facecolor("#e9e9ee")
    _label(axes)
    return colours


def _draw_colour_bar(figure: Any, axes: Any, colours: Any, rms_mjy: float) -> None:
    """Draw the colour bar, in mJy/beam, to the right of the image."""
    box = axes.get_position()
    bar_axes = figure.add_axes((box.x1 + 0.014, box.y0, 0.012, box.height))
    bar = figure.colorbar(colours, cax=bar_axes, extend="both")
    ticks = _ticks(rms_mjy)
    bar.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    bar.ax.minorticks_off()
    bar.set_label("brightness [mJy/beam]", fontsize=12)


def _write_heading(figure: Any, axes: Any, facts: MosaicImageFacts, rms_mjy: float, mosaic_id: str) -> None:
    """Write the mosaic's id, and a line with its time, tiles, frequency, noise and beam."""
    x, height = axes.get_position().x0, figure.get_figheight()
    figure.text(x, 1 - 0.36 / height, mosaic_id, fontsize=19, weight="bold", va="center", family="DejaVu Sans")
    line = (
        f"{span_from_mjd(facts.start_mjd, facts.end_mjd)}   ·   {len(facts.tiles_used)} tiles"
        f"   ·   {facts.freq_hz / 1e9:.4f} GHz"
        f"   ·   rms {rms_mjy:.3g} mJy/beam"
        f"   ·   beam {facts.beam.bmaj_arcsec:.1f}″ × {facts.beam.bmin_arcsec:.1f}″"
    )
    figure.text(x, 1 - 0.72 / height, line, fontsize=12.5, color="#333333", va="center")


def _shrink(image: NDArray[np.floating], thin: int) -> NDArray[np.float64]:
    """Return means over blocks of finite pixels; NaN where a block has none."""
    if thin == 1:
        return image.astype(np.float64)
    ny, nx = (-(-n // thin) * thin for n in image.shape)
    padded = np.full((ny, nx), np.nan)
    padded[: image.shape[0], : image.shape[1]] = image
    blocks = padded.reshape(ny // thin, thin, nx // thin, thin)
    count = np.isfinite(blocks).sum(axis=(1, 3))
    total = np.nansum(blocks, axis=(1, 3))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _label(axes: Any) -> None:
    """Label the axes with right ascension and declination and draw their grid."""
    for coordinate, label in zip(axes.coords, ("right ascension (ICRS)", "declination (ICRS)"), strict=True):
        coordinate.set_axislabel(label, fontsize=12, minpad=0.7)
        coordinate.set_ticklabel(size=11, exclude_overlapping=True, simplify=False)
        coordinate.display_minor_ticks(True)
    axes.coords[0].set_major_formatter("hh:mm")
    axes.coords[1].set_major_formatter("dd:mm")
    axes.coords.grid(color="#c9d8e6", alpha=0.3, linewidth=0.8, linestyle="-")


def _draw_beam(axes: Any, beam: BeamFacts, cell_deg: float, shown: NDArray[np.float64]) -> None:
    """Draw the beam in the lower left corner, enlarged by a whole number, which the label states, if it is small."""
    from matplotlib.patches import Circle, Ellipse

    height, width = (axis / 3600 / cell_deg for axis in (beam.bmaj_arcsec, beam.bmin_arcsec))
    frame = 0.022 * shown.shape[1]
    times = max(1, int(1.2 * frame / height))
    centre = (1.15 * frame, 1.15 * frame)
    axes.add_patch(Circle(centre, 0.85 * frame, facecolor="white", edgecolor="#555555", linewidth=0.8, zorder=4))
    # East is left: an angle from north to east turns anticlockwise on the picture, as matplotlib's does.
    axes.add_patch(Ellipse(centre, times * width, times * height, angle=beam.bpa_deg, facecolor="#333333", zorder=5))
    label = "beam" if times == 1 else f"beam × {times}"
    axes.text(centre[0] + 1.05 * frame, centre[1], label, fontsize=10, va="center", zorder=5, bbox=BACKED)


def _ticks(rms_mjy: float) -> list[float]:
    """Return about nine ticks of two digits at most, from below zero to the top of the colours."""
    low, high = LOW_SIGMA * rms_mjy, HIGH_SIGMA * rms_mjy
    found = [0.0]
    decades = range(int(np.floor(np.log10(rms_mjy))), int(np.ceil(np.log10(high))) + 1)
    for value in (digit * 10.0**decade for decade in decades for digit in (1, 2, 5)):
        if 1.5 * rms_mjy < value < high:
            found.append(float(f"{value:.1g}"))
        if 1.5 * rms_mjy < value < -low:
            found.insert(0, -float(f"{value:.1g}"))
    return found
