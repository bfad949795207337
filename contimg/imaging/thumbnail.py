"""The thumbnail of a tile: its image at a glance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.imaging.fits_output import wcs_cards
from contimg.imaging.grid import TileGrid
from contimg.plotting import matplotlib_cache, stamp_synthetic
from contimg.sky.restoring_beam import RestoringBeam

_WIDTH_PX = 800
_DPI = 100
_LOW_SIGMA, _LINEAR_SIGMA, _HIGH_SIGMA = -3.0, 5.0, 100.0


@dataclass(frozen=True)
class Thumbnail:
    """What the thumbnail of a tile shows.

    Attributes
    ----------
    image_jy, pb : (size, size)
        Apparent brightness (Jy/beam) and effective beam.
    grid : TileGrid
    beam : RestoringBeam
    rms_mjy : float
        Noise that sets the colour scale (mJy/beam).
    title : str
    synthetic : bool
        Stamp the picture.
    """

    image_jy: NDArray[np.floating]
    pb: NDArray[np.floating]
    grid: TileGrid
    beam: RestoringBeam
    rms_mjy: float
    title: str
    synthetic: bool


def draw(path: Path, shown: Thumbnail) -> None:
    """Draw the apparent image of a tile with its restoring beam and contours of its primary beam, as a PNG file.

    Colours run as asinh from -3 to 100 times the rms, linear within 5, so that noise and bright
    sources are seen together.
    """
    matplotlib_cache()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import AsinhNorm
    from matplotlib.figure import Figure

    rms_mjy = shown.rms_mjy
    block = max(1, math.ceil(shown.grid.size_px / _WIDTH_PX))
    pixels = _block_means(shown.image_jy, block) * 1e3
    figure = Figure(figsize=(8.2, 7.4), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    axes: Any = figure.add_axes((0.13, 0.09, 0.72, 0.80), projection=_wcs(shown.grid, block))
    norm = AsinhNorm(linear_width=_LINEAR_SIGMA * rms_mjy, vmin=_LOW_SIGMA * rms_mjy, vmax=_HIGH_SIGMA * rms_mjy)
    colours = axes.imshow(pixels, origin="lower", cmap="viridis", norm=norm, interpolation="nearest")
    pb = shown.pb[::block, ::block]
    axes.contour(pb, levels=[0.2, 0.5], colors="white", linewidths=0.8, linestyles=["dotted", "dashed"])
    _coordinates(axes)
    _beam_ellipse(axes, shown.beam, shown.grid.cell_rad * block, pixels.shape[0])
    bar = figure.colorbar(colours, cax=figure.add_axes((0.87, 0.09, 0.02, 0.80)), extend="both")
    ticks = [0.0, *(factor * rms_mjy for factor in (-3, 5, 10, 20, 50, 100))]
    bar.set_ticks(ticks, labels=[f"{tick:.3g}" for tick in ticks])
    bar.ax.minorticks_off()
    bar.set_label("apparent brightness [mJy/beam]")
    figure.text(0.13, 0.945, shown.title, fontsize=14, weight="bold")
    figure.text(
        0.13, 0.91,
        f"rms {rms_mjy:.3g} mJy/beam  ·  beam {_arcsec(shown.beam.bmaj_rad)} × {_arcsec(shown.beam.bmin_rad)}"
        "  ·  contours: power beam 0.5 and 0.2",
        fontsize=9.5, color="#333333",
    )  # fmt: skip
    if shown.synthetic:
        stamp_synthetic(figure, 0.85, 0.948)
    figure.savefig(path, format="png", metadata={"Software": None})


def _wcs(grid: TileGrid, block: int) -> Any:
    """Return the celestial coordinates of blocks of pixels."""
    from astropy.wcs import WCS

    wcs = WCS(naxis=2)
    cards = {key: value for key, (value, _) in wcs_cards(grid).items()}
    wcs.wcs.ctype = [cards["CTYPE1"], cards["CTYPE2"]]
    wcs.wcs.crval = [cards["CRVAL1"], cards["CRVAL2"]]
    wcs.wcs.cdelt = [cards["CDELT1"] * block, cards["CDELT2"] * block]
    wcs.wcs.crpix = [(cards["CRPIX1"] - 0.5) / block + 0.5, (cards["CRPIX2"] - 0.5) / block + 0.5]
    return wcs


def _coordinates(axes: Any) -> None:
    """Label right ascension and declination."""
    sides = (("right ascension (ICRS)", "b"), ("declination (ICRS)", "l"))
    for coordinate, (label, side) in zip(axes.coords, sides, strict=True):
        coordinate.set_ticks_position(side)
        coordinate.set_ticklabel_position(side)
        coordinate.set_axislabel_position(side)
        coordinate.set_axislabel(label)
        coordinate.display_minor_ticks(True)
        coordinate.set_ticklabel(exclude_overlapping=True)
    axes.coords[0].set_major_formatter("hh:mm")
    axes.coords[1].set_major_formatter("dd:mm")


def _block_means(image: NDArray[np.floating], block: int) -> NDArray[np.floating]:
    """Return the means over square blocks of pixels."""
    if block == 1:
        return image
    size = -(-image.shape[0] // block) * block
    padded = np.pad(image, (0, size - image.shape[0]), mode="edge")
    means: NDArray[np.floating] = padded.reshape(size // block, block, size // block, block).mean((1, 3))
    return means


def _beam_ellipse(axes: Any, beam: RestoringBeam, cell_rad: float, size: int) -> None:
    """Draw the restoring beam in the lower left corner, magnified by an integer where it would be a dot."""
    from matplotlib.patches import Circle, Ellipse

    frame = 0.035 * size
    height, width = beam.bmaj_rad / cell_rad, beam.bmin_rad / cell_rad
    times = max(1, int(1.2 * frame / height))
    centre = (1.4 * frame, 1.4 * frame)
    axes.add_patch(Circle(centre, 0.9 * frame, facecolor="white", edgecolor="#555555", linewidth=0.8, zorder=4))
    # East is left: an angle from north to east turns anticlockwise on the picture, as matplotlib's does.
    axes.add_patch(
        Ellipse(centre, times * width, times * height, angle=math.degrees(beam.bpa_rad), color="#222222", zorder=5)
    )
    label = "beam" if times == 1 else f"beam × {times}"
    axes.text(centre[0] + 1.1 * frame, centre[1], label, fontsize=9, va="center", color="white", zorder=5)


def _arcsec(angle_rad: float) -> str:
    return f"{math.degrees(angle_rad) * 3600:.1f}″"
