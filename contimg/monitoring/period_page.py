"""The report of a run or a night as one page that needs no network."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from contimg import naming
from contimg.report.markup import Html, badge, code, headline, ident, number, page, safe, table, wide
from contimg.storage.atomic import atomic_path

_ANYWHERE = "overflow-wrap: anywhere"
_STEM = re.compile(r"\d{8}T\d{6}", re.ASCII)  # of a tile, as in the names of files


def write_period_page(content: Mapping[str, Any], place: Path) -> None:
    """Write the page of a report (`contimg.monitoring.period_report.period_report`), whole or not at all."""
    title = f"Report of {content['title']}"
    parts = [
        headline(title, content["simulated"]),
        f'<p class="soft">Written {safe(content["time"])} UTC.</p>',
        _head(content),
    ]
    for heading, body in _sections(content):
        parts += [f"<h2>{safe(heading)}</h2>", body]
    place.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(place) as part:
        part.write_text(page(f"contimg: {title}", "\n".join(parts)))


def _head(content: Mapping[str, Any]) -> str:
    """Return the numbers that matter most, large."""
    published = sum(one["state"] == "published" for one in content["mosaics"])
    held = sum(one["state"] == "held" for one in content["mosaics"])
    cpu_h = sum(one["cpu_s"] for one in content["work"]) / 3600
    numbers = (
        ("mosaics published", f"{published} of {len(content['mosaics'])}"),
        ("held", held),
        ("tiles imaged", f"{len(content['tiles'])} of {content['work'][0]['planned']}"),
        ("failed jobs", len(content["failures"])),
        ("files set aside", len(content["quarantined"])),
        ("CPU time", f"{cpu_h:.2f} h"),
    )
    cells = "".join(
        f'<div class="tile"><b>{safe(value)}</b><span>{safe(words)}</span></div>' for words, value in numbers
    )
    return f'<div class="tiles">{cells}</div>'


def _sections(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return headings and bodies; failures come first, and what is empty is left out but for the products."""
    found = []
    if content["failures"]:
        found.append(("Failures", "".join(_failure(one) for one in content["failures"])))
    found.append(("Mosaics", _verdicts(content["mosaics"], ("state", "version"), _MOSAIC_LABELS, "next")))
    found.append(("Planned and done", _work(content["work"])))
    if content["waiting"]:
        rows = [(one["what"], one["id"], wide(one["message"])) for one in content["waiting"]]
        found.append(("Waiting", table(("what", "id", "for what"), rows)))
    found.append(("Calibrations", _verdicts(content["calibrations"], (), _CALIBRATION_LABELS)))
    found.append(("Tiles", _verdicts(content["tiles"], (), _TILE_LABELS)))
    if content["slowest"]:
        found.append(("Slowest jobs", _slowest(content["slowest"])))
    if content["resources"]:
        found.append(("Resources: asked for, and the most that one job took", _resources(content["resources"])))
    if content["quarantined"]:
        rows = [(ident(one["file"]), one["code"], wide(one["message"])) for one in content["quarantined"]]
        found.append(("Set aside", table(("file", "code", "reason"), rows)))
    return found


_MOSAIC_LABELS = {
    "noise_ratio": "noise / expected", "flux_scale": "flux / catalogue", "median_offset_beams": "offset [beams]",
    "completeness": "found [%]",
}  # fmt: skip
_TILE_LABELS = {
    "noise_ratio": "noise / expected", "rms_mjy": "noise [mJy/beam]", "flagged_fraction": "flagged data [%]",
}  # fmt: skip
_CALIBRATION_LABELS = {"snr_median": "median S/N", "flagged_fraction": "lost solutions [%]"}


def _verdicts(
    items: Sequence[Mapping[str, Any]], first: Sequence[str], labels: Mapping[str, str], last: str | None = None
) -> str:
    """Return a table of products: id, verdict, numbers, reasons, and the command that each waits for."""
    columns = ("id", "verdict", *first, *labels.values(), "reasons", *(["next"] if last else []))
    rows = []
    for one in items:
        verdict = badge(one["verdict"]) if one["verdict"] else None
        reasons = wide(Html("<br />".join(escape(text) for text in one["reasons"]))) if one["reasons"] else None
        after = [wide(code(one[last])) if one[last] else None] if last else []
        numbers = [_in_unit(one[key], label) for key, label in labels.items()]
        rows.append((ident(one["id"]), verdict, *(one[key] for key in first), *numbers, reasons, *after))
    return table(columns, rows, numbers=tuple(labels.values()), compact=True)


def _in_unit(value: float | None, label: str) -> str | None:
    """Return a number in the unit that its column names, which twins keep as a fraction where it is per cent."""
    if value is None:
        return None
    return f"{100 * value:.1f}" if label.endswith("[%]") else number(value)


def _failure(job: Mapping[str, Any]) -> str:
    """Return one failed job with the end of its log."""
    what = f"{job['rule']} {job['id']}"
    return (
        f'<div class="card"><p style="{_ANYWHERE}"><b>{safe(what)}</b>: {safe(job["reason"])}</p>'
        f'<p class="soft small">{code(job["log"]).text}</p>'
        f'<pre class="small" style="white-space: pre-wrap; {_ANYWHERE}">{escape(job["tail"])}</pre></div>'
    )


def _work(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = ("rule", "planned", "done", "jobs", "wall [min]", "CPU [min]")
    cells = [
        (*(one[key] for key in columns[:4]), f"{one['wall_s'] / 60:.2f}", f"{one['cpu_s'] / 60:.2f}") for one in rows
    ]
    return table(columns, cells, numbers=columns[1:], compact=True)


def _slowest(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = ("rule", "id", "wall [s]", "CPU [s]", "memory [MB]", "asked [MB]")
    keys = ("rule", "id", "wall_s", "cpu_s", "used_mb", "asked_mb")
    return table(columns, [_shown(one, keys) for one in rows], numbers=columns[2:], compact=True)


def _shown(row: Mapping[str, Any], keys: Sequence[str]) -> tuple[Any, ...]:
    """Return the cells of a row, with the id of a tile as other tables have it, and as many digits as are of use."""
    cells = []
    for key in keys:
        value = row[key]
        if key == "id":
            value = ident(naming.iso(value) if _STEM.fullmatch(value) else value)
        if isinstance(value, float):
            value = f"{value:.0f}" if key.endswith("_mb") else f"{value:.2f}" if key == "cpu_h" else f"{value:.1f}"
        cells.append(value)
    return tuple(cells)


def _resources(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = ("rule", "jobs", "asked [MB]", "took [MB]", "asked [min]", "took [min]", "CPU [h]")
    keys = ("rule", "jobs", "asked_mb", "used_mb", "asked_min", "used_min", "cpu_h")
    return table(columns, [_shown(one, keys) for one in rows], numbers=columns[1:], compact=True)
