"""The report of one mosaic: a single HTML page that needs no network, the same bytes for the same twins.

Its parts: `numbers_table`, `product_tables`, `provenance_tables`, and the pictures of `flags` and `health`.
"""

from __future__ import annotations

import logging
from pathlib import Path

from contimg.errors import InputError
from contimg.naming import Layout
from contimg.products.facts import crossmatch_facts, has_image, mosaic_facts, mosaic_image_facts
from contimg.products.gates import Options, commissioning
from contimg.products.judged import judged
from contimg.products.lineage import Lineage, collect
from contimg.products.numbers import crossmatch_qa, mosaic_qa
from contimg.products.twin import Twin, read_twin, verdict_of, worst
from contimg.report.effects import effects_table
from contimg.report.flags import flag_picture
from contimg.report.health import antenna_health
from contimg.report.markup import badge, page, picture, safe
from contimg.report.numbers_table import numbers_table
from contimg.report.product_tables import calibrations_table, thumbnails, tiles_table, verdicts_table
from contimg.report.provenance_tables import provenance_tables
from contimg.storage.atomic import atomic_path
from contimg.times import span_from_mjd

_LOG = logging.getLogger(__name__)


def summarise_mosaic(
    mosaic_twin: Path, crossmatch_twin: Path | None, output: Path, *, layout: Layout, judged_by: Options
) -> None:
    """Write the report of a mosaic as one HTML page.

    It has verdicts, measured numbers beside their thresholds, the tiles and calibrations behind the mosaic, and its
    provenance, all read from twins. It does not say when it was made: the page is part of the published bundle, and
    equal twins must give equal bytes.

    Parameters
    ----------
    mosaic_twin : Path
        Its folder stands beside it.
    crossmatch_twin : Path or None
        None where `crossmatch.enabled` is false.
    output : Path
        The HTML file.
    layout : Layout
        Paths on the page are shown relative to its roots.
    judged_by : mapping of str to Section
        The sections of the configuration that hold the thresholds, ``qa`` and ``calibration``.

    Raises
    ------
    InputError
        If a twin is missing or of the wrong kind.
    """
    mosaic = judged(_read(mosaic_twin, "mosaic"), judged_by)
    comparison = None if crossmatch_twin is None else judged(_read(crossmatch_twin, "crossmatch"), judged_by)
    lineage = collect([Path(path) for path in (mosaic_twin, crossmatch_twin) if path is not None]).judged(judged_by)
    parts = [
        _head(mosaic, comparison),
        _mosaic_picture(mosaic, Path(mosaic_twin).with_suffix("")),
        *_ranking(mosaic, comparison, lineage, judged_by),
        "<h2>Verdicts</h2>",
        verdicts_table(lineage),
        "<h2>Mosaic: measured numbers</h2>",
        numbers_table(mosaic),
    ]
    if comparison is not None and crossmatch_twin is not None:
        parts += [
            "<h2>Comparison with the catalogue</h2>",
            numbers_table(comparison),
            _plots(comparison, Path(crossmatch_twin).with_suffix("")),
        ]
    parts += [
        "<h2>Tiles</h2>",
        tiles_table(mosaic, lineage),
        thumbnails(lineage),
        flag_picture(sorted((node.twin for node in lineage.of_kind("ms")), key=lambda twin: twin.id)),
        "<h2>Calibrations</h2>",
        calibrations_table(lineage),
        _health(lineage),
        "<h2>Provenance</h2>",
        provenance_tables(mosaic, lineage, layout),
    ]
    with atomic_path(output) as part:
        part.write_text(page(mosaic.id, "\n".join(parts)), encoding="utf-8")
    _LOG.info("wrote %s: %d products behind %s", output, len(lineage.nodes), mosaic.id)


def _ranking(mosaic: Twin, comparison: Twin | None, lineage: Lineage, judged_by: Options) -> list[str]:
    """Return the ranking of what is wrong while ``qa.commissioning`` is on."""
    if not commissioning(judged_by):
        return []
    return ["<h2>What is wrong, by what it explains</h2>", effects_table(mosaic, comparison, lineage)]


def _read(path: Path, kind: str) -> Twin:
    """Read a twin of a kind."""
    twin = read_twin(Path(path))
    if twin.kind != kind:
        raise InputError(f"{path} is the twin of a {twin.kind}, not of a {kind}: name the right twin")
    return twin


def _head(mosaic: Twin, comparison: Twin | None) -> str:
    """Return the head of the page as HTML: id, verdict, time, flux anchor and the most important numbers."""
    twins = [mosaic] + ([comparison] if comparison else [])
    verdict = worst([worst([twin.verdict, verdict_of(twin.reasons)]) for twin in twins])
    stamp = badge("SYNTHETIC DATA", "synthetic").text if any(twin.synthetic for twin in twins) else ""
    facts = mosaic_facts(mosaic)
    when = "no usable tile"
    if facts.start_mjd is not None and facts.end_mjd is not None:
        when = span_from_mjd(facts.start_mjd, facts.end_mjd)
    if facts.sun is not None:
        when += f"  ·  {facts.sun.daytime}: Sun {facts.sun.separation_deg:.0f}° away or more"
    boxes = "".join(
        f'<div class="tile"><b>{safe(value)}</b><span>{safe(label)}</span></div>'
        for value, label in _headline_numbers(mosaic, comparison)
    )
    return (
        f'<div class="card"><div class="head"><h1>{safe(mosaic.id)}</h1>{badge(verdict).text}{stamp}</div>'
        f'<p class="soft">{safe(when)}  ·  flux anchor: {safe(facts.flux_anchor or "not recorded")}</p>'
        f'<div class="tiles">{boxes}</div></div>'
    )


def _headline_numbers(mosaic: Twin, comparison: Twin | None) -> list[tuple[object, str]]:
    """Return the numbers at the head of the page with their labels; None where one was not measured."""
    facts, numbers = mosaic_facts(mosaic), mosaic_qa(mosaic)
    beam = mosaic_image_facts(mosaic).beam if has_image(mosaic) else None
    boxes: list[tuple[object, str]] = [
        (numbers.rms_mjy, "mJy/beam noise"),
        (numbers.noise_ratio, "× expected noise"),
        (f"{beam.bmaj_arcsec:.1f}″ × {beam.bmin_arcsec:.1f}″" if beam else None, "beam"),
        (numbers.area_deg2, "deg²"),
        (f"{len(facts.tiles_used)} of {len(facts.tiles)}", "tiles used"),
    ]
    if comparison is not None:
        found = crossmatch_qa(comparison)
        boxes += [
            (found.median_flux_ratio, "flux over catalogue"),
            (found.median_offset_arcsec, "arcsec offset"),
            (found.completeness, "completeness"),
        ]
    return boxes


def _mosaic_picture(mosaic: Twin, folder: Path) -> str:
    if not has_image(mosaic):
        return ""
    name = mosaic_image_facts(mosaic).files.picture
    return f'<h2>Picture</h2><div class="card">{picture(folder / name, 1400, f"mosaic {mosaic.id}")}</div>'


def _plots(comparison: Twin, folder: Path) -> str:
    files = crossmatch_facts(comparison).files
    if files is None:
        return ""
    cards = "".join(
        f'<div class="card">{picture(folder / name, 1000, words)}</div>'
        for name, words in ((files.flux, "flux over catalogue"), (files.astrometry, "offsets from the catalogue"))
    )
    return f'<div class="pair" style="margin-top: 14px">{cards}</div>'


def _health(lineage: Lineage) -> str:
    drawn = antenna_health(lineage)
    if drawn is None:
        return ""
    words = "flagged data and lost solutions by antenna and tile"
    return f'<h2>Antenna health</h2><div class="card">{picture(drawn, 1200, words)}</div>'
