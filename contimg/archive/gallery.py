"""The gallery: one page with every published mosaic, its verdict, a sky map and a search; nothing is fetched."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from contimg.report.markup import STYLE

_MAP_WIDTH, _MAP_HEIGHT = 960.0, 480.0
_SHOWN = 120  # cards drawn at once; the search finds the others

_OWN_STYLE = """
.map { margin: 20px 0; padding: 14px; }
.map svg { display: block; width: 100%; height: auto; max-height: 400px; }
.map .sky { fill: #f2f5fa; stroke: #b9c3d0; }
.map .grid { fill: none; stroke: #d9e0e9; stroke-width: .8; }
.map text { fill: #7b8696; font-size: 11px; }
.map .field { stroke-width: 2.2; stroke-linejoin: round; cursor: pointer; }
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
const all = JSON.parse(document.getElementById('entries').textContent), shown = %d;
const grid = document.getElementById('grid'), box = document.getElementById('search');
function make(tag, text, css) {
  const one = document.createElement(tag);
  if (text !== undefined) one.textContent = text;
  if (css) one.className = css;
  return one;
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
function draw() {
  const words = box.value.toLowerCase().split(/\\s+/).filter(Boolean);
  const found = all.filter(e => words.every(word => e.text.includes(word)));
  const names = new Set(found.map(e => e.name));
  grid.replaceChildren(...found.slice(0, shown).map(card));
  const more = found.length > shown ? ', the first ' + shown + ' drawn' : '';
  document.getElementById('count').textContent = found.length + ' of ' + all.length + ' mosaics' + more;
  for (const field of document.querySelectorAll('.field'))
    field.style.opacity = names.has(field.dataset.name) ? .55 : .06;
}
for (const field of document.querySelectorAll('.field'))
  field.addEventListener('click', () => { box.value = field.dataset.name; draw(); });
box.addEventListener('input', draw);
draw();
"""


def write_page(path: Path, entries: Sequence[Mapping[str, Any]], products: Path) -> None:
    """Write the page; pictures stand beside it, the newest mosaic comes first."""
    newest = sorted(entries, key=lambda entry: (entry["data_id"], entry["version"]), reverse=True)
    # '<' is escaped so that no text can end the script element that holds the data.
    data = json.dumps([_record(entry, products) for entry in newest], allow_nan=False).replace("<", "\\u003c")
    n_synthetic = sum(entry["synthetic"] for entry in entries)
    made = f", {n_synthetic} of them simulated" if n_synthetic else ""
    path.write_text(
        f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>DSA-110 continuum mosaics</title><style>{STYLE}{_OWN_STYLE}</style></head><body><main>
<h1>DSA-110 continuum mosaics</h1>
<p class="soft">{len(entries)} published{made}. Tables: <a href="obscore.vot">VOTable</a>,
<a href="obscore.fits">FITS</a> (ObsCore); sky coverage: <a href="coverage.moc.fits">MOC</a>.</p>
<div class="card map">{_sky_map(newest)}</div>
<input id="search" type="search" placeholder="Search: date, verdict, calibrator, position, simulated …" autofocus>
<p class="soft small" id="count"></p>
<div class="gallery" id="grid"></div>
<noscript>This page needs JavaScript to draw the mosaics; they stand below mosaics/.</noscript>
<script type="application/json" id="entries">{data}</script>
<script>{_SCRIPT % _SHOWN}</script>
</main></body></html>
"""
    )


def _record(entry: Mapping[str, Any], products: Path) -> dict[str, Any]:
    """Return what the page's script needs of an entry: ready to be shown, and the text that is searched."""
    folder = Path(entry["path"]).relative_to(products)
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
        "href": f"{folder.as_posix()}/{entry['page'] or ''}",
        "thumbnail": f"gallery/{entry['thumbnail']}" if entry["thumbnail"] else None,
        "facts": facts,
        "note": note,
        "text": " ".join(words + [value for _, value in facts]).lower(),
    }


def _number(value: float | None, unit: str) -> str:
    return "not measured" if value is None else f"{value:.4g} {unit}"


def _utc(mjd: float | None) -> str:
    from datetime import timedelta

    from contimg.naming import MJD_EPOCH

    return "not known" if mjd is None else f"{MJD_EPOCH + timedelta(days=mjd):%Y-%m-%d %H:%M} UTC"


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


def _sky_map(entries: Sequence[Mapping[str, Any]]) -> str:
    edge = [aitoff(180 - 1e-6, d) for d in range(-90, 91, 3)] + [aitoff(180 + 1e-6, d) for d in range(90, -91, -3)]
    parts = [f'<path class="sky" d="{_path(edge, closed=True)}"/>']
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
    parts += [_field(entry) for entry in reversed(entries) if entry["corners_deg"]]
    box = f"0 0 {_MAP_WIDTH:.0f} {_MAP_HEIGHT:.0f}"
    return f'<svg viewBox="{box}" role="img" aria-label="sky map of the mosaics">{"".join(parts)}</svg>'


def _field(entry: Mapping[str, Any]) -> str:
    """Return a field's outline; one that crosses the map's edge (12 h) is drawn on the side of its centre."""
    corners = entry["corners_deg"]
    points = [aitoff(ra, dec) for ra, dec in corners]
    xs = [x for x, _ in points]
    if max(xs) - min(xs) > _MAP_WIDTH / 2:
        side = aitoff(*entry["centre_deg"])[0] < _MAP_WIDTH / 2 if entry["centre_deg"] else True
        edge_deg = 180 - 1e-6 if side else 180 + 1e-6
        points = [aitoff(ra if ((ra % 360) < 180) == side else edge_deg, dec) for ra, dec in corners]
    name, verdict = escape(entry["name"], quote=True), entry["verdict"]
    return (
        f'<path class="field {verdict}" data-name="{name}" d="{_path(points, closed=True)}">'
        f"<title>{name}: {verdict}</title></path>"
    )
