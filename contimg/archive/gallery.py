"""The gallery: an HTML page with the published mosaics, their verdicts, a sky map and a search; it needs no network.

The page stays small with any number of mosaics: those of each month stand in a file of their own, which the page
reads when they are to be shown or searched.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from contimg.archive.sky_map import outline, sky_map
from contimg.plotting.words import digits
from contimg.report.markup import STYLE
from contimg.storage import safe_files
from contimg.times import utc_from_mjd

_SHOWN = 120  # cards drawn at once; the search finds the others

CARD_STYLE = """
.map { margin: 20px 0; padding: 14px; }
.map svg { display: block; width: 100%; height: auto; max-height: 400px; }
.map .sky { fill: var(--wash); stroke: var(--line); }
.map .cover { fill: #9dbbe0; stroke: #9dbbe0; stroke-width: .5; }
.map .grid { fill: none; stroke: var(--line); stroke-width: .8; }
.map text { fill: var(--soft); font-size: 11px; }
.map .field { stroke-width: 2.2; fill-opacity: .45; stroke-linejoin: round; cursor: pointer; }
.map .passed { fill: var(--good); stroke: var(--good); } .map .warning { fill: var(--warn); stroke: var(--warn); }
.map .failed { fill: var(--bad); stroke: var(--bad); }
.map .warning { stroke-dasharray: 6 2; } .map .failed { stroke-dasharray: 2 2; } /* not by colour alone */
input[type=search] { width: 100%; margin-top: 12px; padding: 11px 15px; font: inherit; border: 1px solid var(--line);
  border-radius: 10px; background: var(--paper); color: var(--ink); }
input[type=search]::placeholder { color: var(--soft); opacity: 1; }
input[type=search]:focus { outline: 2px solid var(--blue); outline-offset: 1px; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(252px, 1fr)); gap: 18px; margin-top: 18px; }
.gallery article { background: var(--paper); border: 1px solid var(--line); border-radius: 12px; overflow: hidden; }
.gallery .shown img { width: 100%; aspect-ratio: 4 / 3; object-fit: contain;
  background: var(--paper); border-bottom: 1px solid var(--line); }
.gallery > h2 { grid-column: 1 / -1; margin: 14px 0 0; font-size: 15px; }
main > details { margin-top: 8px; } main > details ul { margin: 2px 0 0; padding-left: 18px; }
main > details summary { font-size: 13px; font-weight: 400; }
.filters { display: flex; flex-wrap: wrap; gap: 6px 18px; margin: 9px 0; font-size: 14px; }
.gallery .none { aspect-ratio: 4 / 3; display: grid; place-items: center; color: var(--soft); background: var(--wash); }
.gallery .text { padding: 12px 15px 15px; }
.gallery article h2, .gallery article h3 { font-size: 14.5px; margin: 0 0 6px; overflow-wrap: anywhere; }
.gallery dl { display: grid; grid-template-columns: auto 1fr; gap: 1px 10px; margin: 8px 0 0; font-size: 13px; }
.gallery dt { color: var(--soft); } .gallery dd { margin: 0; text-align: right; font-variant-numeric: tabular-nums; }
.gallery.decide { grid-template-columns: repeat(auto-fill, minmax(min(380px, 100%), 1fr)); }
.gallery .text ul { margin: 8px 0 0; padding-left: 18px; font-size: 13px; overflow-wrap: anywhere; }
.gallery pre { user-select: all; }
@media (max-width: 640px) { .map text { font-size: 24px; } }
@media print { input[type=search], .filters, #list { display: none; } .gallery article { break-inside: avoid; } }
"""

_ASKED = (
    ("a position (ICRS), with the radius of a cone in degrees or minutes",
     ("13:31:08 +30:30", "202.8 30.5 r=1", "J1331+3030 r=30'", "gal 56.5 80.7", "B1950 13:28:50 +30:46")),
    ("a flux calibrator by any of its names", ("3C286", "Cyg A", "M87", "1328+307")),
    ("dates (UTC)", ("2026-02-11", "2026-02", "11 Feb 2026", "2026-02-01..2026-02-14", "since 2026-02")),
    ("the noise", ("rms<2", "0.5-1 mJy")),
    ("the verdict, or what a card says", ("passed", "not passed", "simulated", "strip +30.5")),
)  # fmt: skip
"""What the search understands, with examples, which gallery.js answers by their address."""

_SEVERAL = "<li>several of these, with spaces between them: a mosaic has to meet each</li>"


def _examples() -> str:
    """Return what can be asked as items of a list in HTML."""
    items = []
    for what, examples in _ASKED:
        links = " · ".join(f'<a href="#{quote(one)}">{escape(one)}</a>' for one in examples)
        items.append(f"<li>{what}: {links}</li>")
    return "".join(items) + _SEVERAL


# The script is a file of its own: gallery.js.
_SCRIPT = Path(__file__).with_name("gallery.js")


def write_month(path: Path, entries: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """Write a month's mosaics, the newest first, as a JavaScript file that the page loads.

    It is a script and not JSON, since browsers let a page that was opened from a disk load nothing else beside it.
    """
    newest = sorted(entries, key=lambda entry: (entry["data_id"], entry["version"]), reverse=True)
    records = json.dumps([_published(entry, folder) for entry in newest], allow_nan=False)
    path.write_text(f"contimg({json.dumps(folder.name)}, {records});\n")


def write_page(path: Path, months: Sequence[Mapping[str, Any]], coverage: Path) -> None:
    """Write the HTML page.

    Parameters
    ----------
    path : Path
    months : sequence of mapping
        The summaries of the months (`contimg.archive.months.summaries`).
    coverage : Path
        MOC of the whole archive.
    """
    newest = sorted(months, key=lambda one: one["month"], reverse=True)
    strips = Counter[str]()
    for one in months:
        strips.update(one["strips"])
    total, n_synthetic = (sum(one[key] for one in months) for key in ("mosaics", "simulated"))
    made = f", {n_synthetic} of them simulated" if n_synthetic else ""
    above = f"""<p class="soft">{total} published{made}. Tables: <a href="obscore.vot">VOTable</a>,
<a href="obscore.fits">FITS</a> (ObsCore){_year_links(newest)}; sky coverage: <a href="coverage.moc.fits">MOC</a>.</p>
<div class="card map">{sky_map(coverage)}<p class="soft small">Outlines: passed whole, warning dashed, failed dotted; \
the name shows below the pointer.</p></div>"""
    settings = {"months": [{key: one[key] for key in ("month", "mosaics")} for one in newest]}
    page = search_page("DSA-110 continuum mosaics", above, settings, strips, _month_links(newest))
    path.write_text(page, encoding="utf-8")


def search_page(
    title: str, above: str, settings: Mapping[str, Any], strips: Mapping[str, int], links: str = "", style: str = ""
) -> str:
    """Return a page of mosaics as HTML: a search and lists of strips and verdicts above the cards.

    Parameters
    ----------
    title : str
    above : str
        HTML between the title and the search.
    settings : mapping
        For the script: ``months``, each with its number of ``mosaics``, and ``records`` where those of the only month
        stand on the page itself.
    strips : mapping
        The number of mosaics in each strip.
    links : str
        HTML between the lists and the cards.
    style : str
        A further class of the cards' grid.
    """
    known = {"shown": _SHOWN, "positions": _calibrator_positions(), **settings}
    # Reasons and names come from files: none of them ends the element that holds them.
    content = json.dumps(known, allow_nan=False).replace("<", "\\u003c")
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>{STYLE}{CARD_STYLE}</style></head><body><main>
<h1>{title}</h1>
{above}
<input id="search" type="search" autofocus aria-label="search" placeholder="13:31:08 +30:30 · 202.8 30.5 r=1 · 3C286 · \
2026-02-01..2026-02-14 · rms&lt;2 · warning · simulated">
<details class="soft small"><summary>What can be asked</summary><ul>{_examples()}</ul></details>
<p class="filters">
<label>strip <select id="strip"><option value="">all</option>{_strip_options(strips)}</select></label>
<label>verdict <select id="verdict"><option value="">all</option><option>passed</option><option>warning</option>
<option>failed</option></select></label>
<label><input type="checkbox" id="epochs"> epochs of a field together</label></p>
<p class="soft small" id="list">{links}</p>
<p class="soft small" id="count" role="status"></p>
<div class="gallery{f" {style}" if style else ""}" id="grid"></div>
<noscript>This page needs JavaScript to draw the mosaics.</noscript>
<script type="application/json" id="settings">{content}</script>
<script>{_SCRIPT.read_text(encoding="utf-8")}</script>
</main></body></html>
"""


def _calibrator_positions() -> dict[str, tuple[float, float]]:
    """Return the positions (deg) of the built-in calibrators by their names and aliases, in lower case."""
    from contimg.sky.calibrators import builtin

    found = {}
    for one in builtin():
        for name in (one.name, *one.aliases):
            found[name.lower().replace(" ", "")] = (round(one.ra_deg, 5), round(one.dec_deg, 5))
    return found


def _strip_options(strips: Mapping[str, int]) -> str:
    """Return the options of the list of strips, from south to north, with the number of mosaics of each, as HTML."""
    ordered = sorted(strips.items(), key=lambda item: float(item[0].rstrip("°")))
    return "".join(f'<option value="{name}">{name} ({number})</option>' for name, number in ordered)


def strip_of(entry: Mapping[str, Any]) -> str | None:
    """Return the declination strip of a mosaic, to half a degree: ``+30.5°``; None where its centre is not known."""
    centre = entry["centre_deg"]
    return None if not centre else f"{round(2 * centre[1]) / 2 + 0.0:+.1f}°"


def _field_of(entry: Mapping[str, Any]) -> str | None:
    """Return the field of a mosaic: its strip and its right ascension to a quarter of an hour."""
    strip, centre = strip_of(entry), entry["centre_deg"]
    if strip is None:
        return None
    quarters = round(centre[0] / 3.75) % 96
    return f"strip {strip}, {quarters // 4:02d}h{quarters % 4 * 15:02d}m"


def _half_widths(entry: Mapping[str, Any]) -> list[float] | None:
    """Return half the extent of a field in right ascension and declination (deg); None where it is not known."""
    corners, centre = entry["corners_deg"], entry["centre_deg"]
    if not corners or not centre:
        return None
    east = max(abs((ra - centre[0] + 540) % 360 - 180) for ra, _ in corners)
    return [round(east, 3), round(max(abs(dec - centre[1]) for _, dec in corners), 3)]


def _year_links(newest: Sequence[Mapping[str, Any]]) -> str:
    """Return links to the tables of each year, where there are several, as HTML."""
    years = sorted({one["month"][:4] for one in newest}, reverse=True)
    links = " · ".join(f'<a href="obscore-{year}.vot">{year}</a>' for year in years)
    return f", of each year: {links}" if len(years) > 1 else ""


def _month_links(newest: Sequence[Mapping[str, Any]]) -> str:
    """Return links to the months with the number of mosaics of each, one line for each year, as HTML."""
    lines: dict[str, list[str]] = {}
    for one in newest:
        year, month = one["month"].split("-")
        link = f'<a href="#" data-month="{one["month"]}">{month}</a>&nbsp;({one["mosaics"]})'
        lines.setdefault(year, []).append(link)
    return "<br>".join(f"<b>{year}</b>: {' · '.join(reversed(links))}" for year, links in lines.items())


def _published(entry: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the record of a published mosaic, whose entry stands in the folder of its month."""
    products = folder.parent.parent
    place = safe_files.relative_to_root(Path(entry["path"]), products, "paths.products")
    thumbnail = f"{folder.relative_to(products).as_posix()}/{entry['thumbnail']}" if entry["thumbnail"] else None
    note = "; ".join(([entry["approved"]] if entry["approved"] else []) + entry["reasons"])
    return record(entry, f"{place.as_posix()}/{entry['page'] or ''}", thumbnail, note)


def record(entry: Mapping[str, Any], href: str | None, thumbnail: str | None, note: str) -> dict[str, Any]:
    """Return what a page's script needs of an entry: ready to be shown, and the text that is searched.

    Parameters
    ----------
    entry : mapping
        Of `contimg.archive.entries`.
    href, thumbnail : str or None
        Where page and thumbnail stand, as seen from the page with the cards.
    note : str
        What is shown below the numbers.
    """
    centre = entry["centre_deg"]
    facts = [
        ("observed", _utc(entry["start_mjd"])),
        ("centre", f"{centre[0]:.3f}°, {centre[1]:+.3f}°" if centre else "not measured"),
        ("rms", "not measured" if entry["rms_mjy"] is None else f"{digits(entry['rms_mjy'])} mJy/beam"),
        ("beam", f"{entry['bmaj_arcsec']:.1f}″ × {entry['bmin_arcsec']:.1f}″" if entry["bmaj_arcsec"] else "-"),
        ("frequency", _number(entry["freq_hz"] and entry["freq_hz"] / 1e9, "GHz")),
        ("tiles", "not known" if entry["n_images"] is None else str(entry["n_images"])),
        ("calibrator", ", ".join(entry["calibrators"]) or "-"),
        *([("DOI", entry["doi"])] if entry.get("doi") else []),
    ]
    words = [
        entry["name"],
        entry["verdict"],
        "simulated" if entry["synthetic"] else "sky",
        _field_of(entry) or "",
        note,
    ]
    return {
        "name": entry["name"],
        "verdict": entry["verdict"],
        "synthetic": entry["synthetic"],
        "href": href,
        "thumbnail": thumbnail,
        "facts": facts,
        "note": note,
        "text": " ".join(words + [value for _, value in facts]).lower(),
        "outline": outline(entry) if entry["corners_deg"] else None,
        "centre": centre,
        "half": _half_widths(entry),
        "rms": entry["rms_mjy"],
        "date": None if entry["start_mjd"] is None else utc_from_mjd(entry["start_mjd"], 0)[:10],
        "strip": strip_of(entry),
        "field": _field_of(entry),
    }


def _number(value: float | None, unit: str) -> str:
    return "not measured" if value is None else f"{value:.4g} {unit}"


def _utc(mjd: float | None) -> str:
    return "not known" if mjd is None else f"{utc_from_mjd(mjd, 0)[:16].replace('T', ' ')} UTC"
