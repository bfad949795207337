"""The report of a run or a night as one page that needs no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from contimg.report.markup import Html, badge, code, page, safe, table, wide
from contimg.storage.atomic import atomic_path

_ANYWHERE = "overflow-wrap: anywhere"


def write_period_page(content: Mapping[str, Any], place: Path) -> None:
    """Write the page of a report (`contimg.monitoring.period_report.period_report`), whole or not at all."""
    title = f"Report of {content['title']}"
    parts = [f"<h1>{safe(title)}</h1>", f'<p class="soft">Written {safe(content["time"])} UTC.</p>', _head(content)]
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
        ("CPU hours", f"{cpu_h:.2f}"),
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
        rows = [(one["file"], one["code"], wide(one["message"])) for one in content["quarantined"]]
        found.append(("Set aside", table(("file", "code", "reason"), rows)))
    return found


_MOSAIC_LABELS = {
    "noise_ratio": "noise over the expected", "flux_scale": "flux scale", "median_offset_beams": "offset [beams]",
    "completeness": "completeness",
}  # fmt: skip
_TILE_LABELS = {"noise_ratio": "noise over the expected", "rms_mjy": "noise [mJy]", "flagged_fraction": "flagged"}
_CALIBRATION_LABELS = {"snr_median": "median S/N", "flagged_fraction": "lost"}


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
        rows.append((one["id"], verdict, *(one[key] for key in first), *(one[key] for key in labels), reasons, *after))
    return table(columns, rows)


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
        (one["rule"], one["planned"], one["done"], one["jobs"], one["wall_s"] / 60, one["cpu_s"] / 60) for one in rows
    ]
    return table(columns, cells)


def _slowest(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = ("rule", "id", "wall [s]", "CPU [s]", "memory [MB]", "asked [MB]")
    keys = ("rule", "id", "wall_s", "cpu_s", "used_mb", "asked_mb")
    return table(columns, [tuple(one[key] for key in keys) for one in rows])


def _resources(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = ("rule", "jobs", "asked MB", "took MB", "asked min", "took min", "CPU hours")
    keys = ("rule", "jobs", "asked_mb", "used_mb", "asked_min", "used_min", "cpu_h")
    return table(columns, [tuple(one[key] for key in keys) for one in rows])
