"""The quality plot of a tile: residual and PSF, fluxes and positions against the catalogue."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.imaging.checks.catalogue import CatalogueComparison
from contimg.imaging.grid import TileGrid
from contimg.plotting import matplotlib_cache, stamp_synthetic
from contimg.sky.restoring_beam import RestoringBeam

_DPI = 120
_WIDTH_IN = 7.0
_LINE = 84  # letters of the lines below the title
_SHOWN_PX = 400
_PSF_BEAMS = 8.0
# Blue and orange, which all eyes tell apart.
_INK, _SOFT, _BLUE, _ORANGE = "#222222", "#777777", "#1f5fa8", "#d95f02"


@dataclass(frozen=True)
class QualityPlot:
    """What the quality plot of a tile shows.

    Attributes
    ----------
    residual_jy, psf : (size, size)
    beam : RestoringBeam
    grid : TileGrid
    compared : CatalogueComparison or None
        Without it, or without a source in it, its panels are left out and the heading says so.
    qa : dict
        The measured numbers.
    title : str
    synthetic : bool
        Stamp the picture.
    """

    residual_jy: NDArray[np.floating]
    psf: NDArray[np.floating]
    beam: RestoringBeam
    grid: TileGrid
    compared: CatalogueComparison | None
    qa: dict[str, Any]
    title: str
    synthetic: bool


def draw(path: Path, shown: QualityPlot) -> None:
    """Draw what a tile is judged by, as a PNG file of two columns; panels without something to show are left out."""
    matplotlib_cache()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    compared = shown.compared if shown.compared is not None and len(shown.compared.ratio) else None
    lines = _summary(shown, compared)
    rows = 3 if compared is not None else 2
    top_in = 0.75 + 0.26 * len(lines)
    height = top_in + 3.3 * rows
    figure = Figure(figsize=(_WIDTH_IN, height), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(
        rows, 2, left=0.105, right=0.965, bottom=0.62 / height, top=1 - top_in / height - 0.02, wspace=0.36, hspace=0.42
    )
    places = [grid[row, column] for row in range(rows) for column in (0, 1)]
    _residual(figure, figure.add_subplot(places[0]), shown.residual_jy, shown.grid)
    _histogram(figure.add_subplot(places[1]), shown.residual_jy, shown.qa)
    _psf(figure.add_subplot(places[2] if compared is not None else grid[1, :]), shown)
    if compared is not None:
        _fluxes(figure.add_subplot(places[3]), figure.add_subplot(places[4]), compared, shown.qa)
        _positions(figure.add_subplot(places[5]), compared, shown.qa)
    figure.text(
        0.105, 1 - 0.32 / height, f"{shown.title}: quality", fontsize=14, weight="bold", color=_INK, va="center"
    )
    for number, line in enumerate(lines):
        y = 1 - (0.66 + 0.26 * number) / height
        figure.text(0.105, y, line, fontsize=9.5, color="#333333", va="center")
    if shown.synthetic:
        stamp_synthetic(figure, 0.965, 1 - 0.4 / height)
    figure.savefig(path, format="png", metadata={"Software": None})


def _summary(shown: QualityPlot, compared: CatalogueComparison | None) -> list[str]:
    """Return the lines below the title: the numbers that were measured."""
    words = {
        "rms_mjy": "rms {:.3g} mJy/beam",
        "noise_ratio": "{:.2f} times the expected noise",
        "dynamic_range": "dynamic range {:,.0f}",
        "artefact_ratio": "rms near the brightest source × {:.2f}",
        "negative_bowl": "negative bowl {:.2f} rms",
        "striping": "strongest stripe {:.2f} rms",
        "streak": "in one row or column {:.2f} rms",
        "flagged_fraction": "{:.1%} flagged",
    }
    qa = shown.qa
    parts = [text.format(qa[key]).replace(",", " ") for key, text in words.items() if qa.get(key) is not None]
    if compared is None:
        why = "no catalogue" if shown.compared is None else "no isolated source of the catalogue"
        parts.append(f"{why} to compare fluxes and positions with")
    lines = [""]
    for part in parts:
        longer = f"{lines[-1]}  ·  {part}" if lines[-1] else part
        if len(longer) <= _LINE or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(part)
    return lines


def _residual(figure: Any, axes: Any, residual_jy: NDArray[np.floating], grid: TileGrid) -> None:
    """Show the residual image as means over blocks, which bring out stripes and negative bowls."""
    step = max(1, grid.size_px // _SHOWN_PX)
    size = grid.size_px // step * step
    blocks = residual_jy[:size, :size].reshape(size // step, step, size // step, step).mean((1, 3)) * 1e3
    reach = 4 * float(np.median(np.abs(blocks))) / 0.6745 or 1.0
    half = math.degrees(grid.middle * grid.cell_rad)
    picture = axes.imshow(
        blocks, origin="lower", cmap="RdBu_r", vmin=-reach, vmax=reach, extent=(half, -half, -half, half),
        interpolation="nearest",
    )  # fmt: skip
    figure.colorbar(picture, ax=axes, fraction=0.046, pad=0.02).ax.tick_params(labelsize=8)
    means = f", {step} × {step} means" if step > 1 else ""
    _labels(axes, f"residual [mJy/beam]{means}", "east of the centre [deg]", "north [deg]")


def _histogram(axes: Any, residual_jy: NDArray[np.floating], qa: dict[str, Any]) -> None:
    """Show the distribution of the residual's pixels against a Gaussian."""
    rms = qa["residual_rms_mjy"] or 1.0
    edges = np.linspace(-10, 10, 161)
    counts, _ = np.histogram(residual_jy.ravel() * (1e3 / rms), edges)
    middle = (edges[1:] + edges[:-1]) / 2
    share = counts / residual_jy.size / (edges[1] - edges[0])
    axes.semilogy(middle, np.where(share > 0, share, np.nan), drawstyle="steps-mid", color=_BLUE, label="residual")
    axes.semilogy(middle, np.exp(-(middle**2) / 2) / math.sqrt(2 * math.pi), color=_SOFT, lw=1, label="Gaussian")
    axes.set_ylim(1e-8, 1)
    axes.legend(frameon=False, fontsize=8.5, loc="lower center")
    _labels(axes, "pixels of the residual", f"over its rms, {rms:.3g} mJy/beam", "density")


def _psf(axes: Any, shown: QualityPlot) -> None:
    """Show cuts through the PSF with the restoring beam."""
    psf, beam, grid, qa = shown.psf, shown.beam, shown.grid, shown.qa
    width = math.sqrt(beam.bmaj_rad * beam.bmin_rad)
    reach = min(grid.middle - 1, math.ceil(_PSF_BEAMS * width / grid.cell_rad))
    offset = np.arange(-reach, reach + 1)
    arcmin = offset * math.degrees(grid.cell_rad) * 60
    middle = grid.middle
    axes.plot(arcmin, psf[middle, middle + offset][::-1], color=_BLUE, label="east-west")
    axes.plot(arcmin, psf[middle + offset, middle], color=_ORANGE, label="north-south")
    a, _, c = beam.exponents()
    for scale, label in ((a, "restoring beam"), (c, None)):
        shape = np.exp(-scale * (offset * grid.cell_rad) ** 2)
        axes.plot(arcmin, shape, color=_SOFT, lw=1, ls="--", label=label)
    axes.axhline(0, color=_SOFT, lw=0.6)
    axes.set_ylim(min(-0.25, 1.2 * float(psf.min())), 1.1)
    axes.legend(frameon=False, fontsize=8, loc="upper right", handlelength=1.2)
    text = f"PSF: misfit {qa['psf_misfit']:.3f}, sidelobes {qa['psf_sidelobe']:.2f}"
    _labels(axes, text, "offset [arcmin]", "response")


def _fluxes(by_beam: Any, by_flux: Any, compared: CatalogueComparison, qa: dict[str, Any]) -> None:
    """Show measured over catalogued flux, with errors, against the beam and against the flux."""
    errors = np.abs(compared.ratio * compared.e_log_ratio)
    low, high = float((compared.ratio - errors).min()), float((compared.ratio + errors).max())
    for axes, values, title, label in (
        (by_beam, compared.beam, "fluxes across the beam", "response of the primary beam"),
        (by_flux, compared.catalogue_jy, "fluxes of faint and bright sources", "flux density in the catalogue [Jy]"),
    ):
        _labels(axes, title, label, "measured / catalogue")
        axes.set_ylim(max(min(0.7, low - 0.05), -0.5), min(max(1.3, high + 0.05), 3.0))
        axes.axhline(1, color=_SOFT, lw=0.8)
        style = {"color": _BLUE, "ms": 5, "elinewidth": 0.9, "capsize": 2}
        axes.errorbar(values, compared.ratio, yerr=errors, fmt=".", **style)
        if qa.get("median_flux_ratio") is not None:
            median = qa["median_flux_ratio"]
            axes.axhline(median, color=_ORANGE, lw=1.2, ls="--", label=f"median {median:.3f}")
            axes.legend(frameon=False, fontsize=8.5)
    by_flux.set_xscale("log")
    by_flux.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    by_flux.xaxis.set_minor_formatter(lambda value, _: "")


def _positions(axes: Any, compared: CatalogueComparison, qa: dict[str, Any]) -> None:
    """Show measured minus catalogued positions; errors are half a beam over the S/N (Condon 1997, PASP 109, 166)."""
    _labels(axes, "positions, measured − catalogue", "east [arcsec]", "north [arcsec]")
    apparent_mjy = np.abs(compared.ratio * compared.catalogue_jy * compared.beam) * 1e3
    errors = 0.5 * compared.width_arcsec * (qa["rms_mjy"] or 0.0) / np.maximum(apparent_mjy, 1e-9)
    style = {"color": _BLUE, "ms": 5, "elinewidth": 0.9, "capsize": 2}
    axes.errorbar(compared.east_arcsec, compared.north_arcsec, yerr=errors, xerr=errors, fmt=".", **style)
    reach = max(0.15 * compared.width_arcsec, 1.1 * float(np.abs([compared.east_arcsec, compared.north_arcsec]).max()))
    angle = np.linspace(0, 2 * np.pi, 100)
    tenth = 0.1 * compared.width_arcsec
    axes.plot(tenth * np.cos(angle), tenth * np.sin(angle), color=_SOFT, lw=0.8, ls="--", label="a tenth of the beam")
    axes.axhline(0, color=_SOFT, lw=0.6)
    axes.axvline(0, color=_SOFT, lw=0.6)
    axes.set_xlim(reach, -reach)
    axes.set_ylim(-reach, 1.25 * reach)
    axes.set_aspect("equal")
    axes.legend(frameon=False, fontsize=8, loc="upper right", borderpad=0.1)


def _labels(axes: Any, title: str, x: str, y: str) -> None:
    axes.set_title(title, fontsize=10.5, color=_INK)
    axes.set_xlabel(x, fontsize=9.5)
    axes.set_ylabel(y, fontsize=9.5)
    axes.tick_params(labelsize=8.5)
