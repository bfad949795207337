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

_DPI = 100
_SHOWN_PX = 400
_PSF_BEAMS = 8.0
_INK, _SOFT, _BLUE, _RED = "#222222", "#777777", "#2b6cb0", "#b00020"


@dataclass(frozen=True)
class QualityPlot:
    """What the quality plot of a tile shows.

    Attributes
    ----------
    residual_jy, psf : (size, size)
    beam : RestoringBeam
    grid : TileGrid
    compared : CatalogueComparison or None
        Without a catalogue its panels say so.
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
    """Draw what a tile is judged by, as a PNG file."""
    matplotlib_cache()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13.2, 8.2), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 3).ravel()
    figure.subplots_adjust(left=0.06, right=0.98, bottom=0.075, top=0.875, wspace=0.36, hspace=0.36)
    _residual(figure, axes[0], shown.residual_jy, shown.grid)
    _histogram(axes[1], shown.residual_jy, shown.qa)
    _psf(axes[2], shown)
    _fluxes(axes[3], axes[4], shown.compared, shown.qa)
    _positions(axes[5], shown.compared)
    figure.text(0.06, 0.95, f"{shown.title}: quality", fontsize=14, weight="bold", color=_INK)
    figure.text(0.06, 0.918, _summary(shown.qa), fontsize=9.5, color="#333333")
    if shown.synthetic:
        stamp_synthetic(figure, 0.98, 0.95)
    figure.savefig(path, format="png", metadata={"Software": None})


def _summary(qa: dict[str, Any]) -> str:
    def shown(key: str, text: str) -> str:
        return f"{text} {qa[key]:.3g}" if qa.get(key) is not None else f"{text} not measured"

    parts = [
        shown("rms_mjy", "rms [mJy/beam]"),
        shown("noise_ratio", "rms / thermal noise"),
        shown("dynamic_range", "peak / rms"),
        shown("artefact_ratio", "rms near the brightest source / rms"),
        shown("negative_bowl", "negative bowl / rms"),
        shown("striping", "stripe / rms"),
        shown("flagged_fraction", "flagged"),
    ]
    return "  ·  ".join(parts)


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
    figure.colorbar(picture, ax=axes, fraction=0.046, pad=0.02)
    means = f", means of {step} × {step} pixels" if step > 1 else ""
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
    axes.legend(frameon=False, fontsize=9)
    _labels(axes, "distribution of the residual", f"residual / rms ({rms:.3g} mJy/beam)", "density")


def _psf(axes: Any, shown: QualityPlot) -> None:
    """Show cuts through the PSF with the restoring beam."""
    psf, beam, grid, qa = shown.psf, shown.beam, shown.grid, shown.qa
    width = math.sqrt(beam.bmaj_rad * beam.bmin_rad)
    reach = min(grid.middle - 1, math.ceil(_PSF_BEAMS * width / grid.cell_rad))
    offset = np.arange(-reach, reach + 1)
    arcsec = offset * math.degrees(grid.cell_rad) * 3600
    middle = grid.middle
    axes.plot(arcsec, psf[middle, middle + offset][::-1], color=_BLUE, label="east-west")
    axes.plot(arcsec, psf[middle + offset, middle], color=_RED, label="north-south")
    a, _, c = beam.exponents()
    for scale in (a, c):
        axes.plot(arcsec, np.exp(-scale * (offset * grid.cell_rad) ** 2), color=_SOFT, lw=1, ls="--")
    axes.axhline(0, color=_SOFT, lw=0.6)
    axes.legend(frameon=False, fontsize=9)
    text = f"PSF: differs from the beam by {qa['psf_misfit']:.3f}, sidelobes {qa['psf_sidelobe']:.2f}"
    _labels(axes, text, "offset [arcsec]", "response")


def _fluxes(by_beam: Any, by_flux: Any, compared: CatalogueComparison | None, qa: dict[str, Any]) -> None:
    """Show measured over catalogued flux against the beam and against the flux."""
    for axes, label in ((by_beam, "effective beam"), (by_flux, "catalogue flux density [Jy]")):
        _labels(axes, "flux ratio", label, "measured / catalogue")
        if compared is None or not len(compared.ratio):
            _nothing(axes, compared)
            continue
        low, high = min(0.7, float(compared.ratio.min()) - 0.05), max(1.3, float(compared.ratio.max()) + 0.05)
        axes.set_ylim(max(low, -0.5), min(high, 3.0))
        axes.axhline(1, color=_SOFT, lw=0.8)
        if qa.get("median_flux_ratio") is not None:
            median = qa["median_flux_ratio"]
            axes.axhline(median, color=_RED, lw=1, ls="--", label=f"median {median:.3f}")
            axes.legend(frameon=False, fontsize=9)
    if compared is not None and len(compared.ratio):
        by_beam.plot(compared.beam, compared.ratio, ".", color=_BLUE)
        by_flux.semilogx(compared.catalogue_jy, compared.ratio, ".", color=_BLUE)


def _positions(axes: Any, compared: CatalogueComparison | None) -> None:
    """Show measured minus catalogued positions."""
    _labels(axes, "position, measured minus catalogue", "east [arcsec]", "north [arcsec]")
    if compared is None or not len(compared.ratio):
        _nothing(axes, compared)
        return
    axes.plot(compared.east_arcsec, compared.north_arcsec, ".", color=_BLUE)
    reach = max(0.15 * compared.width_arcsec, 1.1 * float(np.abs([compared.east_arcsec, compared.north_arcsec]).max()))
    angle = np.linspace(0, 2 * np.pi, 100)
    tenth = 0.1 * compared.width_arcsec
    axes.plot(tenth * np.cos(angle), tenth * np.sin(angle), color=_SOFT, lw=0.8, ls="--", label="a tenth of the beam")
    axes.axhline(0, color=_SOFT, lw=0.6)
    axes.axvline(0, color=_SOFT, lw=0.6)
    axes.set_xlim(reach, -reach)
    axes.set_ylim(-reach, reach)
    axes.set_aspect("equal")
    axes.legend(frameon=False, fontsize=9)


def _nothing(axes: Any, compared: CatalogueComparison | None) -> None:
    """Say why a panel is empty."""
    why = "no catalogue" if compared is None else "no isolated catalogue source"
    axes.text(0.5, 0.5, why, transform=axes.transAxes, ha="center", color=_SOFT)
    axes.set_xticks([])
    axes.set_yticks([])


def _labels(axes: Any, title: str, x: str, y: str) -> None:
    axes.set_title(title, fontsize=10.5, color=_INK)
    axes.set_xlabel(x, fontsize=9.5)
    axes.set_ylabel(y, fontsize=9.5)
    axes.tick_params(labelsize=8.5)
