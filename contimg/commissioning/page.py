"""The page of a check: verdicts, numbers and plots in one HTML file without external resources."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from contimg.commissioning.check import FirstLight
from contimg.commissioning.findings import Finding
from contimg.commissioning.plots import pictures
from contimg.report.markup import Html, badge, page, picture, safe, table
from contimg.storage.atomic import atomic_path

_COLOURS = {"confirmed": "passed", "refuted": "failed", "not measurable": "neutral"}
_WIDTH_PX = 830
_GRID = ".plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,430px),1fr));gap:14px}"
_STACKED = """@media (max-width: 700px) { .stacked thead { display: none; }
.stacked table, .stacked tbody, .stacked tr, .stacked td { display: block; width: 100%; }
.stacked td, .stacked td.number { border: 0; padding: 2px 14px; text-align: left; white-space: normal; }
.stacked tr { border-bottom: 1px solid var(--line); padding: 8px 0; }
.stacked td:nth-child(2) { font-weight: 600; } }"""
"""On a narrow screen each row of a table becomes a paragraph."""


def write_page(outcome: FirstLight, path: Path) -> None:
    """Write the page of a check."""
    content = page(
        f"First light {outcome.files.tile_id}",
        "\n".join([_head(outcome), _verdicts(outcome), _plots(outcome), _antennas(outcome)]),
    )
    with atomic_path(Path(path)) as part:
        part.write_text(content, encoding="utf-8")


def _head(outcome: FirstLight) -> str:
    header, calibrator = outcome.files.headers[0], outcome.files.calibrator
    refuted = outcome.refuted
    word = f"{len(refuted)} refuted" if refuted else "nothing refuted"
    marks = [badge(word, "failed" if refuted else "passed").text]
    if outcome.synthetic:
        marks.append('<span class="badge synthetic">SYNTHETIC</span>')
    source = (
        "no calibrator" if calibrator is None else f"{calibrator.name}, {outcome.files.apparent_jy:.1f} Jy apparent"
    )
    counts = {kind: sum(one.verdict == kind for one in outcome.findings) for kind in _COLOURS}
    tiles = [
        (source, "calibrator in transit"),
        (f"{np.degrees(header.dec_app_rad):+.3f}°", "apparent declination"),
        (str(len(np.unique(header.antenna1))), "antennas"),
        (f"{len(outcome.files.headers)} × {len(header.freq_hz)}", "subbands × channels"),
        (str(header.n_times), "integrations"),
        (" / ".join(str(counts[kind]) for kind in _COLOURS), "confirmed / refuted / not measurable"),
    ]
    numbers = "".join(
        f'<div class="tile"><b>{safe(value)}</b><span>{safe(label)}</span></div>' for value, label in tiles
    )
    wrong = "".join(
        f"<p>{badge('refuted', 'failed').text} <b>{safe(one.statement)}</b>: {safe(one.text)}</p>" for one in refuted
    )
    return (
        f'<div class="card"><div class="head"><h1>First light, {safe(outcome.files.tile_id)}</h1>{"".join(marks)}</div>'
        '<p class="soft">Raw files of one calibrator transit, compared with the conventions of the pipeline without '
        f'any calibration.</p>{wrong}<div class="tiles">{numbers}</div></div>'
    )  # fmt: skip


def _verdicts(outcome: FirstLight) -> str:
    rows = [
        (Html(f"{badge(one.verdict, _COLOURS[one.verdict]).text}"), one.statement, one.text, _number(one))
        for one in outcome.findings
    ]
    shown = table(("verdict", "statement", "measured", "number"), rows, numbers=("number",))
    return f'<h2>Verdicts</h2><style>{_STACKED}</style><div class="stacked">{shown}</div>'


def _number(one: Finding) -> str:
    if one.value is None:
        return ""
    if one.unit in ("files", "inputs", "antennas", "subbands"):
        return f"{one.value:.0f} {one.unit}"
    digits = 4 if one.unit == "s" and one.key == "integration_time" else 2
    error = "" if one.error is None else f" ± {one.error:.{digits}f}"
    return f"{one.value:.{digits}f}{error} {one.unit}".strip()


def _plots(outcome: FirstLight) -> str:
    figures = "".join(
        f'<figure class="card" style="margin:0;padding:10px">{picture(content, _WIDTH_PX, words)}'
        f"<figcaption>{safe(words)}</figcaption></figure>"
        for content, words in pictures(outcome)
    )
    return f'<h2>Pictures</h2><style>{_GRID}</style><div class="plots">{figures}</div>'


def _antennas(outcome: FirstLight) -> str:
    details = {one.key: one.details for one in outcome.findings}
    levels = details["boards"].get("level", {})
    east, north = (details["positions"].get(key, {}) for key in ("east_m", "north_m"))
    power = details["receptors"].get("fringe_power", {})
    delays = details["delays"].get("median_ns", {})
    rows = [
        (name, _text(east.get(name), 3), _text(north.get(name), 0), *_pair(delays.get(name), 1),
         *_pair(power.get(name), 2), *_pair(levels.get(name), 2))
        for name in outcome.pictures["names"]
    ]  # fmt: skip
    columns = ("antenna", "east [m]", "north [m]", "delay X [ns]", "delay Y [ns]", "fringe X", "fringe Y", "auto X",
               "auto Y")  # fmt: skip
    return "<h2>Antennas</h2>" + table(columns, rows, numbers=columns[1:])


def _text(value: float | None, decimals: int) -> str:
    return "" if value is None else f"{value:.{decimals}f}"


def _pair(values: list[float] | None, decimals: int) -> tuple[str, str]:
    first, second = [*(values or []), None, None][:2]
    return _text(first, decimals), _text(second, decimals)
