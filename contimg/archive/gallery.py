"""The gallery: an HTML page with the published mosaics, their verdicts, a sky map and a search; it needs no network.

The page stays small with any number of mosaics: those of each month stand in a file of their own, which the page
reads when they are to be shown or searched.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from contimg.report.markup import STYLE
from contimg.storage import safe_files
from contimg.times import utc_from_mjd

_MAP_WIDTH, _MAP_HEIGHT = 960.0, 480.0
_SHOWN = 120  # cards drawn at once; the search finds the others
_MAP_ORDER = 6  # HEALPix cells of 0.9 deg, in which the map shows the coverage

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
input[type=search] { width: 100%; padding: 11px 15px; font: inherit; border: 1px solid var(--line); border-radius: 10px;
  background: var(--paper); color: var(--ink); }
input[type=search]:focus { outline: 2px solid var(--blue); outline-offset: 1px; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(252px, 1fr)); gap: 18px; margin-top: 18px; }
.gallery article { background: var(--paper); border: 1px solid var(--line); border-radius: 12px; overflow: hidden; }
.gallery article > a img, .gallery article > img { width: 100%; aspect-ratio: 4 / 3; object-fit: contain;
  background: var(--paper); border-bottom: 1px solid var(--line); }
.gallery h3 { grid-column: 1 / -1; margin: 14px 0 0; font-size: 15px; }
.filters { display: flex; flex-wrap: wrap; gap: 6px 18px; font-size: 14px; }
.gallery .none { aspect-ratio: 4 / 3; display: grid; place-items: center; color: var(--soft); background: var(--wash); }
.gallery .text { padding: 12px 15px 15px; }
.gallery h2 { font-size: 14.5px; margin: 0 0 6px; overflow-wrap: anywhere; }
.gallery dl { display: grid; grid-template-columns: auto 1fr; gap: 1px 10px; margin: 8px 0 0; font-size: 13px; }
.gallery dt { color: var(--soft); } .gallery dd { margin: 0; text-align: right; font-variant-numeric: tabular-nums; }
"""

# The script is a file of its own: gallery.js.
_SCRIPT = Path(__file__).with_name("gallery.js")


def write_month(path: Path, entries: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """Write a month's mosaics, the newest first, as a JavaScript file that the page loads.

    It is a script and not JSON, since browsers let a page that was opened from a disk load nothing else beside it.
    """
    newest = sorted(entries, key=lambda entry: (entry["data_id"], entry["version"]), reverse=True)
    records = json.dumps([_record(entry, folder) for entry in newest], allow_nan=False)
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
    settings = {
        "months": [{key: one[key] for key in ("month", "mosaics")} for one in newest],
        "shown": _SHOWN,
        "positions": _calibrator_positions(),
    }
    strips = Counter[str]()
    for one in months:
        strips.update(one["strips"])
    total, n_synthetic = (sum(one[key] for one in months) for key in ("mosaics", "simulated"))
    made = f", {n_synthetic} of them simulated" if n_synthetic else ""
    path.write_text(
        f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>DSA-110 continuum mosaics</title><style>{STYLE}{CARD_STYLE}</style></head><body><main>
<h1>DSA-110 continuum mosaics</h1>
<p class="soft">{total} published{made}. Tables: <a href="obscore.vot">VOTable</a>,
<a href="obscore.fits">FITS</a> (ObsCore){_year_links(newest)}; sky coverage: <a href="coverage.moc.fits">MOC</a>.</p>
<div class="card map">{sky_map(coverage)}<p class="soft small">Outlines: passed whole, warning dashed, failed dotted; \
the name shows below the pointer.</p></div>
<input id="search" type="search" autofocus aria-label="search" placeholder="13:31:08 +30:30 · 202.8 30.5 r=1 · 3C286 · \
2026-02-01..2026-02-14 · rms&lt;2 · warning · simulated">
<p class="filters">
<label>strip <select id="strip"><option value="">all</option>{_strip_options(strips)}</select></label>
<label>verdict <select id="verdict"><option value="">all</option><option>passed</option><option>warning</option>
<option>failed</option></select></label>
<label><input type="checkbox" id="epochs"> epochs of a field together</label></p>
<p class="soft small" id="list">{_month_links(newest)}</p>
<p class="soft small" id="count"></p>
<div class="gallery" id="grid"></div>
<noscript>This page needs JavaScript to draw the mosaics; they stand below mosaics/.</noscript>
<script type="application/json" id="settings">{json.dumps(settings)}</script>
<script>{_SCRIPT.read_text(encoding="utf-8")}</script>
</main></body></html>
"""
    )


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


def _record(entry: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return what the page's script needs of an entry: ready to be shown, and the text that is searched."""
    products = folder.parent.parent
    place = safe_files.relative_to_root(Path(entry["path"]), products, "paths.products")
    centre = entry["centre_deg"]
    facts = [
        ("observed", _utc(entry["start_mjd"])),
        ("centre", f"{centre[0]:.3f}°, {centre[1]:+.3f}°" if centre else "not measured"),
        ("rms", _number(entry["rms_mjy"], "mJy/beam")),
        ("beam", f"{entry['bmaj_arcsec']:.1f}″ × {entry['bmin_arcsec']:.1f}″" if entry["bmaj_arcsec"] else "-"),
        ("frequency", _number(entry["freq_hz"] and entry["freq_hz"] / 1e9, "GHz")),
        ("tiles", str(entry["n_images"])),
        ("calibrator", ", ".join(entry["calibrators"]) or "-"),
    ]
    note = "; ".join(([entry["approved"]] if entry["approved"] else []) + entry["reasons"])
    words = [entry["name"], entry["verdict"], "simulated" if entry["synthetic"] else "sky", note]
    return {
        "name": entry["name"],
        "verdict": entry["verdict"],
        "synthetic": entry["synthetic"],
        "href": f"{place.as_posix()}/{entry['page'] or ''}",
        "thumbnail": f"{folder.relative_to(products).as_posix()}/{entry['thumbnail']}" if entry["thumbnail"] else None,
        "facts": facts,
        "note": note,
        "text": " ".join(words + [value for _, value in facts]).lower(),
        "outline": _outline(entry) if entry["corners_deg"] else None,
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


def aitoff(ra_deg: float, dec_deg: float) -> tuple[float, float]:
    """Return the place of a direction on the map [px]: Hammer-Aitoff, right ascension 0 in the middle, to the left.

    Calabretta & Greisen 2002, A&A 395, 1077, eqs. 102-103 (AIT), scaled so that the whole sky fills the map.
    """
    longitude = math.radians((ra_deg + 180) % 360 - 180)
    latitude = math.radians(dec_deg)
    scale = 1 / math.sqrt(1 + math.cos(latitude) * math.cos(longitude / 2))
    x = scale * math.cos(latitude) * math.sin(longitude / 2)  # -1 to 1
    y = scale * math.sin(latitude)
    return _MAP_WIDTH / 2 * (1 - x * 0.985), _MAP_HEIGHT / 2 * (1 - y * 0.985)


def _path(points: Sequence[tuple[float, float]], *, closed: bool = False) -> str:
    return "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points) + ("Z" if closed else "")


def sky_map(coverage: Path) -> str:
    """Return the map of the sky with the archive's coverage; the script adds the outlines of what it shows."""
    edge = [aitoff(180 - 1e-6, d) for d in range(-90, 91, 3)] + [aitoff(180 + 1e-6, d) for d in range(90, -91, -3)]
    parts = [f'<path class="sky" d="{_path(edge, closed=True)}"/>', f'<path class="cover" d="{_cells(coverage)}"/>']
    for ra in range(30, 360, 30):
        if ra != 180:
            parts.append(f'<path class="grid" d="{_path([aitoff(ra, d) for d in range(-90, 91, 3)])}"/>')
    for dec in range(-60, 61, 30):
        line = [aitoff(180 + 1e-6 + r * (360 - 2e-6) / 120, dec) for r in range(121)]
        parts.append(f'<path class="grid" d="{_path(line)}"/>')
        x, y = aitoff(180 - 1e-6, dec)
        parts.append(f'<text x="{x + 4:.0f}" y="{y - 4:.0f}">{dec:+d}°</text>')
    for hour in (2, 6, 10, 14, 18, 22):
        x, y = aitoff(hour * 15, 0)
        parts.append(f'<text x="{x:.0f}" y="{y - 4:.0f}" text-anchor="middle">{hour}h</text>')
    box = f"0 0 {_MAP_WIDTH:.0f} {_MAP_HEIGHT:.0f}"
    return (
        f'<svg viewBox="{box}" role="img" aria-label="sky map of the mosaics">{"".join(parts)}<g id="fields"></g></svg>'
    )


def _cells(coverage: Path) -> str:
    """Return a MOC's cells of 0.9 deg as one path; those that the map's edge (12 h) cuts are left out."""
    from astropy_healpix import HEALPix
    from mocpy import MOC

    cells = MOC.from_fits(str(coverage)).degrade_to_order(_MAP_ORDER).flatten()
    if not len(cells):
        return ""
    ra, dec = HEALPix(2**_MAP_ORDER, order="nested").boundaries_lonlat(cells, step=1)
    outlines = []
    for ra_deg, dec_deg in zip(ra.deg, dec.deg, strict=True):
        if not _crosses_edge(ra_deg):
            outlines.append(_path([aitoff(r, d) for r, d in zip(ra_deg, dec_deg, strict=True)], closed=True))
    return "".join(outlines)


def _crosses_edge(ra_deg: Iterable[float]) -> bool:
    """Return whether an outline lies on both sides of the map's edge (12 h): near the poles the map is narrow there."""
    from_edge = [(ra - 180) % 360 for ra in ra_deg]
    return max(from_edge) - min(from_edge) > 180


def _outline(entry: Mapping[str, Any]) -> str:
    """Return a field's outline; one that crosses the map's edge (12 h) is drawn on the side of its centre."""
    corners = entry["corners_deg"]
    points = [aitoff(ra, dec) for ra, dec in corners]
    if _crosses_edge([ra for ra, _ in corners]):
        side = aitoff(*entry["centre_deg"])[0] < _MAP_WIDTH / 2 if entry["centre_deg"] else True
        edge_deg = 180 - 1e-6 if side else 180 + 1e-6
        points = [aitoff(ra if ((ra % 360) < 180) == side else edge_deg, dec) for ra, dec in corners]
    return _path(points, closed=True)
