"""The gallery: an HTML page with the published mosaics, their verdicts, a sky map and a search; it needs no network.

The page stays small with any number of mosaics: those of each month stand in a file of their own, which the page
reads when they are to be shown or searched.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from contimg.report.markup import STYLE
from contimg.storage import safe_files
from contimg.times import utc_from_mjd

_MAP_WIDTH, _MAP_HEIGHT = 960.0, 480.0
_SHOWN = 120  # cards drawn at once; the search finds the others
_MAP_ORDER = 6  # HEALPix cells of 0.9 deg, in which the map shows the coverage

_OWN_STYLE = """
.map { margin: 20px 0; padding: 14px; }
.map svg { display: block; width: 100%; height: auto; max-height: 400px; }
.map .sky { fill: #f2f5fa; stroke: #b9c3d0; }
.map .cover { fill: #9dbbe0; stroke: #9dbbe0; stroke-width: .5; }
.map .grid { fill: none; stroke: #d9e0e9; stroke-width: .8; }
.map text { fill: #7b8696; font-size: 11px; }
.map .field { stroke-width: 2.2; fill-opacity: .45; stroke-linejoin: round; cursor: pointer; }
.map .passed { fill: #18794e; stroke: #18794e; } .map .warning { fill: #c77a00; stroke: #c77a00; }
.map .failed { fill: #b00020; stroke: #b00020; }
input[type=search] { width: 100%; padding: 11px 15px; font: inherit; border: 1px solid #c9d1dc; border-radius: 10px; }
input[type=search]:focus { outline: 2px solid #1f5fa8; outline-offset: 1px; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(252px, 1fr)); gap: 18px; margin-top: 18px; }
.gallery article { background: #fff; border: 1px solid #dde2e9; border-radius: 12px; overflow: hidden; }
.gallery article > a img { width: 100%; aspect-ratio: 4 / 3; object-fit: contain; background: #fff;
  border-bottom: 1px solid #dde2e9; }
.gallery .none { aspect-ratio: 4 / 3; display: grid; place-items: center; color: #5b6675; background: #f5f7fa; }
.gallery .text { padding: 12px 15px 15px; }
.gallery h2 { font-size: 14.5px; margin: 0 0 6px; overflow-wrap: anywhere; }
.gallery dl { display: grid; grid-template-columns: auto 1fr; gap: 1px 10px; margin: 8px 0 0; font-size: 13px; }
.gallery dt { color: #5b6675; } .gallery dd { margin: 0; text-align: right; font-variant-numeric: tabular-nums; }
"""

_SCRIPT = """
const months = JSON.parse(document.getElementById('months').textContent), shown = %d;
const grid = document.getElementById('grid'), box = document.getElementById('search');
const fields = document.getElementById('fields'), status = document.getElementById('count');
const loaded = new Map();  // month -> its mosaics, the newest first
const total = months.reduce((sum, m) => sum + m.mosaics, 0);
function make(tag, text, css) {
  const one = document.createElement(tag);
  if (text !== undefined) one.textContent = text;
  if (css) one.className = css;
  return one;
}
function contimg(month, mosaics) { loaded.set(month, mosaics); }  // what a month's file calls
function load(month) {
  if (loaded.has(month)) return Promise.resolve();
  return new Promise(done => {
    const file = make('script');
    file.src = 'gallery/' + month + '/mosaics.js';
    file.onload = done;
    file.onerror = () => { loaded.set(month, []); done(); };
    document.head.append(file);
  });
}
function card(e) {
  const one = make('article'), link = make('a'), text = make('div', undefined, 'text'), list = make('dl');
  one.id = e.name;
  link.href = e.href;
  if (e.thumbnail) {
    const picture = make('img');
    picture.src = e.thumbnail; picture.alt = 'picture of ' + e.name; picture.loading = 'lazy';
    link.append(picture);
  } else link.append(make('div', 'no picture', 'none'));
  text.append(make('h2', e.name), make('span', e.verdict, 'badge ' + e.verdict));
  if (e.synthetic) text.append(' ', make('span', 'simulated', 'badge synthetic'));
  for (const [name, value] of e.facts) list.append(make('dt', name), make('dd', value));
  text.append(list);
  if (e.note) text.append(make('p', e.note, 'soft small'));
  one.append(link, text);
  return one;
}
function outline(e) {
  const one = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  const title = document.createElementNS('http://www.w3.org/2000/svg', 'title');
  one.setAttribute('class', 'field ' + e.verdict);
  one.setAttribute('d', e.outline);
  title.textContent = e.name + ': ' + e.verdict;
  one.append(title);
  one.addEventListener('click', () => { box.value = e.name; draw(); });
  return one;
}
let asked = 0;
async function draw(only) {
  const turn = ++asked, words = box.value.toLowerCase().split(/\\s+/).filter(Boolean), found = [];
  let count = 0;
  for (const m of months) {  // the newest first; without words no more are read than are drawn
    if (only ? m.month !== only : !words.length && found.length >= shown) continue;
    await load(m.month);
    if (turn !== asked) return;  // the words have changed meanwhile
    const some = loaded.get(m.month).filter(e => words.every(word => e.text.includes(word)));
    count += some.length;
    found.push(...some.slice(0, shown - found.length));
    if (words.length) status.textContent = 'searching ' + m.month + ' …';
  }
  if (!only && !words.length) count = total;
  grid.replaceChildren(...found.map(card));
  fields.replaceChildren(...found.filter(e => e.outline).map(outline).reverse());
  const more = count > found.length ? ', the newest ' + found.length + ' drawn' : '';
  status.textContent = count + ' of ' + total + ' mosaics' + more;
  document.body.dataset.drawn = found.length;
}
for (const one of document.querySelectorAll('#list a'))
  one.addEventListener('click', event => { event.preventDefault(); box.value = ''; draw(one.dataset.month); });
box.addEventListener('input', () => draw());
draw();
"""


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
    data = json.dumps([{key: one[key] for key in ("month", "mosaics")} for one in newest])
    total, n_synthetic = (sum(one[key] for one in months) for key in ("mosaics", "simulated"))
    made = f", {n_synthetic} of them simulated" if n_synthetic else ""
    path.write_text(
        f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>DSA-110 continuum mosaics</title><style>{STYLE}{_OWN_STYLE}</style></head><body><main>
<h1>DSA-110 continuum mosaics</h1>
<p class="soft">{total} published{made}. Tables: <a href="obscore.vot">VOTable</a>,
<a href="obscore.fits">FITS</a> (ObsCore); sky coverage: <a href="coverage.moc.fits">MOC</a>.</p>
<div class="card map">{sky_map(coverage)}</div>
<input id="search" type="search" placeholder="Search: date, verdict, calibrator, position, simulated …" autofocus>
<p class="soft small" id="list">{_month_links(newest)}</p>
<p class="soft small" id="count"></p>
<div class="gallery" id="grid"></div>
<noscript>This page needs JavaScript to draw the mosaics; they stand below mosaics/.</noscript>
<script type="application/json" id="months">{data}</script>
<script>{_SCRIPT % _SHOWN}</script>
</main></body></html>
"""
    )


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
        points = [aitoff(r, d) for r, d in zip(ra_deg, dec_deg, strict=True)]
        xs = [x for x, _ in points]
        if max(xs) - min(xs) < _MAP_WIDTH / 2:
            outlines.append(_path(points, closed=True))
    return "".join(outlines)


def _outline(entry: Mapping[str, Any]) -> str:
    """Return a field's outline; one that crosses the map's edge (12 h) is drawn on the side of its centre."""
    corners = entry["corners_deg"]
    points = [aitoff(ra, dec) for ra, dec in corners]
    xs = [x for x, _ in points]
    if max(xs) - min(xs) > _MAP_WIDTH / 2:
        side = aitoff(*entry["centre_deg"])[0] < _MAP_WIDTH / 2 if entry["centre_deg"] else True
        edge_deg = 180 - 1e-6 if side else 180 + 1e-6
        points = [aitoff(ra if ((ra % 360) < 180) == side else edge_deg, dec) for ra, dec in corners]
    return _path(points, closed=True)
