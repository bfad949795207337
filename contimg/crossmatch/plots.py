"""Plots of the comparison with the catalogue: flux scale and astrometry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.config import QaOptions
from contimg.crossmatch.matching import Match
from contimg.plotting import matplotlib_cache
from contimg.products.facts import BeamFacts
from contimg.products.numbers import CrossmatchQa

DPI = 165
"""Shown 541 pixels wide on a page of 1400, 372 on one of 420: letters of 8 to 12 pixels."""
BLUE, GREY, RED, INK = "#1f5fa8", "#8a93a0", "#b00020", "#222222"


def draw_flux(path: Path, matched: Match, measured: CrossmatchQa, qa: QaOptions, title: str) -> None:
    """Draw found over catalogue flux against expected S/N, with median, 5-95 % band and the verdict's limits.

    Parameters
    ----------
    path : Path
        PNG to write.
    matched : Match
    measured : CrossmatchQa
    qa : QaOptions
    title : str
    """
    figure = _figure((6.1, 4.3))
    axes = figure.add_axes((0.125, 0.135, 0.85, 0.7))
    found = matched.source >= 0
    _scatter_fluxes(axes, matched, found)
    _draw_flux_limits(axes, measured, qa)
    axes.set_xscale("log")
    if not found.any():
        axes.set_xlim(1, 1000)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ratios = np.clip(matched.flux_ratio[found], 0, 3)
    axes.set_ylim(min(0.6, *ratios, 1) - 0.05, max(1.4, *ratios, 1) + 0.05)
    axes.set_xlabel("signal to noise expected from the catalogue")
    axes.set_ylabel("flux density over catalogue")
    axes.legend(fontsize=9, loc="best", framealpha=0.9, edgecolor="#dddddd")
    _finish(figure, axes, "Flux scale", title)
    _save(figure, path)


def _scatter_fluxes(axes: Any, matched: Match, found: NDArray[np.bool_]) -> None:
    """Draw flux ratios: filled where they are compared, empty where they are not."""
    other, use = found & ~matched.compared, matched.compared
    axes.scatter(
        matched.expected_snr[other], matched.flux_ratio[other], s=24, facecolors="none", edgecolors=GREY,
        linewidths=0.9, label=f"faint or not isolated ({other.sum()})", zorder=3,
    )  # fmt: skip
    axes.scatter(
        matched.expected_snr[use], matched.flux_ratio[use], s=30, color=BLUE, edgecolors="white", linewidths=0.5,
        label=f"compared ({use.sum()})", zorder=4,
    )  # fmt: skip
    axes.axhline(1, color=INK, linewidth=0.8, zorder=2)


def _draw_flux_limits(axes: Any, measured: CrossmatchQa, qa: QaOptions) -> None:
    """Draw the limits of the verdict, and the measured median with its 5-95 % band."""
    limits = f"limits of the median, {qa.min_flux_ratio:g} and {qa.max_flux_ratio:g}"
    for limit, label in ((qa.min_flux_ratio, limits), (qa.max_flux_ratio, None)):
        axes.axhline(limit, color=RED, linestyle="--", linewidth=1.3, label=label, zorder=2)
    median = measured.median_flux_ratio
    if median is None:
        _say_not_measured(axes)
        return
    axes.axhline(median, color=BLUE, linewidth=1.8, label=f"median {median:.3f}", zorder=3)
    low, high = measured.flux_ratio_p05, measured.flux_ratio_p95
    axes.axhspan(low, high, color=BLUE, alpha=0.1, label=f"5–95 %: {low:.2f}–{high:.2f}", zorder=1)


def draw_astrometry(
    path: Path, matched: Match, measured: CrossmatchQa, beam: BeamFacts, qa: QaOptions, title: str
) -> None:
    """Draw offsets from the catalogue: against the size of the beam, and close up.

    Parameters
    ----------
    path : Path
        PNG to write.
    matched : Match
    measured : CrossmatchQa
    beam : BeamFacts
        Of the mosaic.
    qa : QaOptions
    title : str
    """
    figure = _figure((6.1, 4.3))
    use = matched.compared
    far_arcsec = float(np.max(np.hypot(matched.dra_arcsec[use], matched.ddec_arcsec[use]), initial=0))
    near = 1.25 * max(far_arcsec, 0.02 * beam.bmaj_arcsec)
    limit_arcsec = qa.max_offset_beams * (beam.bmaj_arcsec * beam.bmin_arcsec) ** 0.5
    wide = max(0.62 * beam.bmaj_arcsec, 1.3 * limit_arcsec, near)
    panels = [figure.add_axes((left, 0.28, 0.385, 0.55)) for left in (0.105, 0.6)]
    for axes, reach in zip(panels, (wide, near), strict=True):
        _draw_beam_and_limit(axes, beam, limit_arcsec)
        _scatter_offsets(axes, matched, measured)
        axes.set_xlim(reach, -reach)  # east is to the left, as on the sky
        axes.set_ylim(-reach, reach)
        axes.set_aspect("equal")
        axes.set_xlabel("ΔRA cos δ [arcsec]")
        axes.set_ylabel("ΔDec [arcsec]", labelpad=1)
    _finish(figure, panels[0], "Astrometry, found − catalogue", title)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=9, ncols=2, loc="lower center", frameon=False)
    panels[1].text(0.02, 0.98, "close up", transform=panels[1].transAxes, fontsize=10, color=INK, va="top", zorder=6)
    panels[1].grid(color="#e3e6ea", linewidth=0.7)
    panels[1].set_axisbelow(True)
    _save(figure, path)


def _draw_beam_and_limit(axes: Any, beam: BeamFacts, limit_arcsec: float) -> None:
    """Draw the axes, the beam's half-power ellipse and the circle that the median offset must lie in."""
    from matplotlib.patches import Circle, Ellipse

    axes.axhline(0, color=INK, linewidth=0.6)
    axes.axvline(0, color=INK, linewidth=0.6)
    axes.add_patch(
        Ellipse(
            (0, 0), beam.bmin_arcsec, beam.bmaj_arcsec, angle=beam.bpa_deg, facecolor="#eef3f9",
            edgecolor=GREY, linewidth=1.1, label="beam (FWHM)", zorder=0,
        )
    )  # fmt: skip
    axes.add_patch(
        Circle(
            (0, 0), limit_arcsec, fill=False, edgecolor=RED, linestyle="--", linewidth=1.3,
            label=f"limit of the median, {limit_arcsec:.1f}″",
        )
    )  # fmt: skip


def _scatter_offsets(axes: Any, matched: Match, measured: CrossmatchQa) -> None:
    """Draw the offsets of the compared sources, and their median with its scatter."""
    use = matched.compared
    axes.scatter(
        matched.dra_arcsec[use], matched.ddec_arcsec[use], s=26, color=BLUE, alpha=0.8, edgecolors="white",
        linewidths=0.5, zorder=3, label=f"compared ({use.sum()})",
    )  # fmt: skip
    dra, ddec = measured.median_dra_arcsec, measured.median_ddec_arcsec
    if dra is None or ddec is None:
        _say_not_measured(axes)
        return
    axes.errorbar(
        dra, ddec, xerr=measured.scatter_ra_arcsec, yerr=measured.scatter_dec_arcsec, color="#f08c00", marker="o",
        markersize=6, linewidth=1.8, label=f"median ({dra:+.2f}″, {ddec:+.2f}″) and scatter", zorder=5,
    )  # fmt: skip


def _figure(size: tuple[float, float]) -> Any:
    """Return an empty figure of a size in inches."""
    matplotlib_cache()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _finish(figure: Any, axes: Any, what: str, title: str) -> None:
    """Write the headings and draw the grid."""
    figure.text(axes.get_position().x0, 0.95, what, fontsize=13, weight="bold", va="center")
    figure.text(axes.get_position().x0, 0.885, title, fontsize=9, color="#555555", va="center")
    axes.grid(color="#e3e6ea", linewidth=0.7)
    axes.set_axisbelow(True)


def _say_not_measured(axes: Any) -> None:
    """Write 'not measured' across the axes."""
    axes.text(
        0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", va="center", fontsize=20, color=RED, alpha=0.6
    )


def _save(figure: Any, path: Path) -> None:
    """Write the figure as PNG, without the version of matplotlib: the same data give the same bytes."""
    figure.savefig(path, format="png", metadata={"Software": None})
