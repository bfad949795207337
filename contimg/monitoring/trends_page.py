"""The trends as one page that needs no network: what happened, numbers over time, and maps of all receptors."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg import plotting
from contimg.monitoring.trends import Series, Trends
from contimg.plotting.words import counted
from contimg.report.markup import headline, page, picture, safe, table, wide
from contimg.storage.atomic import atomic_path

_WIDTH_PX = 1180
_BLUE, _GREY = "#1f5fa8", "#c9d0d9"
_COLUMNS = 2
_MOST_LABELS = 24


def write_trends_page(found: Trends, place: Path) -> None:
    """Write the page, whole or not at all."""
    receptors = found.receptors
    parts = [
        headline("Trends", found.simulated),
        f'<p class="soft">The last {found.days} days until {safe(found.time)} UTC: '
        f"{counted(len(receptors.calibrations), 'calibration')}, {counted(len(found.antennas), 'antenna')}.</p>",
        "<h2>What happened</h2>",
        table(("what", "receptors", "since", "in words"), [_row(one) for one in found.events]),
    ]
    if found.series:
        parts += ["<h2>Numbers</h2>", _card(_draw_series(found.series), "numbers over time")]
    maps = (
        ("Amplitudes of gains over the array's median (log2)", np.log2(_positive(receptors.gain)), 1.0, "RdBu_r"),
        ("Delays less each receptor's median [ns]", _less_median(receptors.delay_ns), 5.0, "RdBu_r"),
        ("SEFD over the array's median (log2)", _over_median(receptors.sefd_jy), 1.0, "PuOr_r"),
    )
    for title, values, most, colours in maps:
        if values.size and np.isfinite(values).any():
            labels = [name.removeprefix("cal_") for name in receptors.calibrations]
            drawn = _draw_map(values.T, receptors.names, labels, (-most, most), colours)
            parts += [f"<h2>{safe(title)}</h2>", _card(drawn, title)]
    if found.flags.size:
        drawn = _draw_map(found.flags.T, found.antennas, found.dates, (0.0, 1.0), "viridis")
        parts += ["<h2>Flagged fraction of antennas by date</h2>", _card(drawn, "flagged fraction")]
    parts.append('<p class="soft small">Grey: no solution, or no data.</p>')
    parts += [f"<p>{safe(sentence)}</p>" for sentence in found.trouble]
    place.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(place) as part:
        part.write_text(page("contimg: trends", "\n".join(parts)))


def _row(event: Any) -> tuple[Any, ...]:
    return event.kind.replace("_", " "), ", ".join(event.receptors), event.since, wide(event.message)


def _card(drawn: io.BytesIO, words: str) -> str:
    """Return a picture that keeps a readable size on a telephone, where it scrolls."""
    shown = picture(drawn, _WIDTH_PX, words).replace("<img ", '<img style="min-width: 800px" ', 1)
    return f'<div class="scroll">{shown}</div>'


def _positive(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(values > 0, values, np.nan)


def _less_median(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values less the median of each column, so that steps stand out whatever the cables' lengths."""
    medians = [np.median(one[np.isfinite(one)]) if np.isfinite(one).any() else np.nan for one in values.T]
    return values - np.array(medians)


def _over_median(values: NDArray[np.float64]) -> NDArray[np.float64]:
    known = values[np.isfinite(values)]
    return np.log2(_positive(values) / np.median(known)) if len(known) else values


def _draw_series(series: Sequence[Series]) -> io.BytesIO:
    """Draw each number over time in a panel of its own, with its errors where they are known."""
    rows = -(-len(series) // _COLUMNS)
    figure = _figure((11.8, 2.1 * rows + 0.4))
    panels = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    mjd = np.concatenate([one.mjd for one in series])
    span = np.array([mjd.min(), mjd.max()]) + np.array([-1, 1]) * max(0.02 * (mjd.max() - mjd.min()), 0.02)
    for panel, one in zip(panels, series, strict=False):
        errors = np.nan_to_num(one.errors)
        panel.errorbar(_dates(one.mjd), one.values, yerr=errors, fmt=".", ms=3, color=_BLUE, ecolor=_GREY, lw=0.8)
        panel.set_title(one.title, fontsize=9)
        panel.tick_params(labelsize=7)
        panel.grid(color="#eceff3")
        panel.margins(y=0.15)
        panel.set_xlim(*_dates(span))
        _name_dates(panel.xaxis)
    for panel in panels[len(series) :]:
        panel.set_axis_off()
    return _saved(figure)


def _name_dates(axis: Any) -> None:
    """Give an axis of times short labels, with the date that they belong to at its end."""
    import matplotlib.dates

    library: Any = matplotlib.dates  # has no types
    ticks = library.AutoDateLocator(minticks=3, maxticks=7)
    axis.set_major_locator(ticks)
    axis.set_major_formatter(library.ConciseDateFormatter(ticks))
    axis.get_offset_text().set_fontsize(7)


def _draw_map(
    values: NDArray[np.float64], rows: Sequence[str], columns: Sequence[str], limits: tuple[float, float], colours: str
) -> io.BytesIO:
    """Draw a map: receptors or antennas down, time to the right."""
    from matplotlib import colormaps

    figure = _figure((11.8, min(14.0, max(2.4, 1.0 + 0.075 * len(rows)))))
    panel = figure.subplots()
    shades = colormaps[colours].with_extremes(bad=_GREY)
    drawn = panel.imshow(values, aspect="auto", interpolation="nearest", cmap=shades, vmin=limits[0], vmax=limits[1])
    for axis, names, most in (("y", rows, 2 * _MOST_LABELS), ("x", columns, 8)):
        every = -(-len(names) // most)
        places = range(0, len(names), max(every, 1))
        getattr(panel, f"set_{axis}ticks")(places, [names[place] for place in places], fontsize=6)
    figure.colorbar(drawn, ax=panel, pad=0.01, fraction=0.03, aspect=40).ax.tick_params(labelsize=7)
    return _saved(figure)


def _dates(mjd: NDArray[np.float64]) -> Any:
    return np.datetime64("1858-11-17") + (mjd * 86400).astype("timedelta64[s]")


def _figure(size: tuple[float, float]) -> Any:
    plotting.matplotlib_cache()
    from matplotlib.figure import Figure

    return Figure(figsize=size, dpi=110, layout="constrained")


def _saved(figure: Any) -> io.BytesIO:
    content = io.BytesIO()
    figure.savefig(content, format="png")
    content.seek(0)
    return content
