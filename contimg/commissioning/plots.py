"""The pictures of a check: coherence of assumptions, residual phases, antenna offsets, frequencies, receptors."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np

from contimg import plotting
from contimg.commissioning.check import FirstLight

_BLUE, _RED, _GREY = "#1f5fa8", "#b00020", "#5b6675"
_SIZE = (6.4, 3.7)


def pictures(outcome: FirstLight) -> list[tuple[io.BytesIO, str]]:
    """Return PNG pictures with what each shows, for the page."""
    plotting.matplotlib_cache()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    wanted: list[tuple[Callable[[Any, FirstLight], None], str]] = []
    if outcome.coherences:
        wanted.append((_coherences, "coherence in time of the fringes under each assumption; 1 is right"))
    if "offsets" in outcome.pictures:
        wanted += [
            (_phases, "phase that is left when the calibrator's fringe is taken off, all baselines"),
            (_offsets, "apparent offset of each antenna to the east, against its distance to the north"),
            (_frequencies, "measured less labelled frequency of each subband"),
        ]
    wanted.append((_levels, "autocorrelation of each receptor, in parts of the median"))
    if "power" in outcome.pictures:
        wanted.append((_power, "part of each receptor's power that is the calibrator's fringe"))
    made = []
    for draw, words in wanted:
        figure = Figure(figsize=_SIZE, dpi=130, layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure.add_subplot(), outcome)
        if outcome.synthetic:  # above the axes, so that it hides no data
            figure.axes[0].set_title("SYNTHETIC", loc="right", fontsize=9, weight="bold", color=_RED)
        content = io.BytesIO()
        figure.savefig(content, format="png", metadata={"Software": None})
        content.seek(0)
        made.append((content, words))
    return made


def _coherences(axes: Any, outcome: FirstLight) -> None:
    names, values = list(outcome.coherences), np.array(list(outcome.coherences.values()))
    best = int(np.argmax(values))
    colours = [_BLUE if place == best else "#b9c3d0" for place in range(len(names))]
    axes.barh(names, np.maximum(values, 0), color=colours)
    axes.invert_yaxis()
    for place, value in enumerate(values):
        axes.text(max(value, 0) + 0.01, place, f"{value:.2f}", va="center", fontsize=8, color=_GREY)
    axes.set(xlim=(0, 1.12), xlabel="coherence")
    axes.tick_params(axis="y", labelsize=8)


def _phases(axes: Any, outcome: FirstLight) -> None:
    offsets = outcome.pictures["offsets"]
    header = outcome.files.headers[0]
    minutes = (header.times_mjd - header.times_mjd[0]) * 1440
    degrees = np.degrees(offsets.phases[:, offsets.used] - offsets.phases[:, offsets.used].mean(axis=0))
    if degrees.shape[1]:
        shown = degrees[:, :: max(1, degrees.shape[1] // 400)]
        axes.plot(minutes, shown, color=_BLUE, alpha=max(0.03, 3 / max(shown.shape[1], 30)), lw=0.8)
        low, middle, high = np.percentile(degrees, [16, 50, 84], axis=1)
        axes.fill_between(minutes, low, high, color=_RED, alpha=0.15, lw=0)
        axes.plot(minutes, middle, color=_RED, lw=1.5)
        span = max(float(np.percentile(np.abs(degrees), 99.5)) * 1.2, 5.0)
        axes.set_ylim(-span, span)
    axes.set(xlabel="minutes", ylabel="residual phase [deg]")


def _offsets(axes: Any, outcome: FirstLight) -> None:
    from contimg.sky import geometry

    offsets, model, names = (outcome.pictures[key] for key in ("offsets", "model", "names"))
    local = geometry.site_frame(model.positions_m, model.location.longitude_rad)
    latitude = model.location.latitude_rad
    north = local @ np.array([-np.sin(latitude), 0.0, np.cos(latitude)])
    finding = next(one for one in outcome.findings if one.key == "positions")
    east = finding.details.get("east_m", {})
    shown = np.array([east.get(name, np.nan) for name in names])
    axes.axhline(0, color=_GREY, lw=0.8)
    axes.plot(north, shown, "o", color=_BLUE, ms=4, label="own offset")
    axes.plot(north, offsets.east_m, "x", color="#9aa7b5", ms=4, label="with clock and scale")
    for place, name in enumerate(names):
        if name in finding.named:
            axes.annotate(name, (north[place], shown[place]), xytext=(5, 4), textcoords="offset points", color=_RED)
    axes.set(xlabel="antenna's distance to the north [m]", ylabel="offset to the east [m]")
    axes.legend(fontsize=8, frameon=False)


def _frequencies(axes: Any, outcome: FirstLight) -> None:
    found = outcome.pictures["frequencies"]
    axes.axhline(0, color=_GREY, lw=0.8)
    axes.errorbar(
        [one.subband for one in found], [one.measured_mhz - one.labelled_mhz for one in found],
        yerr=[one.error_mhz if np.isfinite(one.error_mhz) else 0 for one in found], fmt="o", color=_BLUE, ms=4,
    )  # fmt: skip
    axes.axhspan(-5.86, 5.86, color="#e6f5ec", zorder=0)
    axes.set(xlabel="subband", ylabel="measured − labelled [MHz]")
    axes.set_title("green: half a subband either way", loc="left", fontsize=8, color=_GREY)


def _by_antenna(axes: Any, values: Any, names: Any, label: str) -> None:
    for product, colour, marker in zip(range(len(values)), (_BLUE, "#d95f02"), "ox", strict=False):
        axes.plot(values[product], marker, color=colour, ms=4, label="XY"[product])
    axes.set(xlabel="antenna", ylabel=label)
    places = np.unique(np.linspace(0, len(names) - 1, min(12, len(names))).round().astype(int))
    axes.set_xticks(places, [names[place] for place in places])
    axes.legend(fontsize=8, frameon=False)


def _levels(axes: Any, outcome: FirstLight) -> None:
    _by_antenna(axes, outcome.pictures["levels"], outcome.pictures["names"], "autocorrelation / median")
    axes.set_ylim(bottom=0)


def _power(axes: Any, outcome: FirstLight) -> None:
    _by_antenna(axes, outcome.pictures["power"], outcome.pictures["names"], "fringe's part of the power")
    axes.set_ylim(min(-0.02, float(np.nanmin(outcome.pictures["power"]))), 1.02)
