"""Elements of an HTML page: text is escaped, pictures are embedded, nothing is loaded from the network."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

STYLE = """
:root { color-scheme: light dark;
  --ink: #1d2430; --soft: #5b6675; --line: #dde2e9; --paper: #ffffff; --wash: #f5f7fa; --blue: #1f5fa8;
  --good: #18794e; --good-wash: #e6f5ec; --warn: #9a5b00; --warn-wash: #fff3dc; --bad: #b00020; --bad-wash: #fdeaec; }
@media screen and (prefers-color-scheme: dark) {
  :root { --ink: #e6eaf0; --soft: #9aa6b5; --line: #333c49; --paper: #171c23; --wash: #0f1318; --blue: #7fb4f0;
    --good: #6fd3a0; --good-wash: #12301f; --warn: #f0b860; --warn-wash: #35260b; --bad: #ff8a97; --bad-wash: #3a1318; }
  img { border-radius: 6px; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--wash); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 32px 28px 64px; }
a { color: var(--blue); }
:focus-visible { outline: 2px solid var(--blue); outline-offset: 2px; }
h1 { font-size: 27px; margin: 0 0 4px; letter-spacing: -0.01em; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 36px 0 10px; }
p { margin: 4px 0; }
.soft { color: var(--soft); }
.small { font-size: 13px; }
.card { background: var(--paper); border: 1px solid var(--line); border-radius: 10px; padding: 20px 22px; }
.head { display: flex; flex-wrap: wrap; gap: 8px 14px; align-items: center; }
.badge { display: inline-block; border-radius: 999px; padding: 1px 11px; font-size: 13px; font-weight: 600;
  white-space: nowrap; }
.passed { color: var(--good); background: var(--good-wash); }
.warning { color: var(--warn); background: var(--warn-wash); }
.failed { color: var(--bad); background: var(--bad-wash); }
.neutral { color: var(--soft); background: var(--wash); }
.synthetic { color: var(--bad); border: 2px solid var(--bad); border-radius: 6px; background: var(--paper); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(158px, 1fr)); gap: 12px; margin-top: 18px; }
.tile { border: 1px solid var(--line); border-radius: 8px; padding: 10px 13px; background: var(--paper); }
.tile b { display: block; font-size: 20px; font-weight: 650; font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: 12.5px; }
.action { border-left: 4px solid var(--line); padding: 4px 0 4px 14px; margin-top: 14px; }
.action.failed, .action.warning { border-color: currentColor; background: none; color: var(--ink); }
.action.failed { border-color: var(--bad); } .action.warning { border-color: var(--warn); }
.action.passed { border-color: var(--good); background: none; color: var(--ink); }
.action ul { margin: 4px 0; padding-left: 18px; }
pre { margin: 8px 0; padding: 9px 12px; background: var(--wash); border: 1px solid var(--line); border-radius: 8px;
  font: 12.5px/1.5 ui-monospace, "DejaVu Sans Mono", monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
.links { display: flex; flex-wrap: wrap; gap: 6px 18px; margin: 12px 0 0; padding: 0; list-style: none;
  font-size: 14px; }
details { margin-top: 14px; }
summary { cursor: pointer; font-size: 16px; font-weight: 600; padding: 4px 0; }
details details summary { font-size: 14px; }
.scroll { overflow-x: auto; background: var(--paper); border: 1px solid var(--line); border-radius: 10px; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; font-variant-numeric: tabular-nums; }
th { text-align: left; color: var(--soft); font-weight: 600; background: var(--wash); white-space: nowrap; }
th, td { padding: 7px 12px; border-bottom: 1px solid var(--line); vertical-align: top; }
tr:last-child td { border-bottom: 0; }
td.number, th.number { text-align: right; min-width: 11em; }
.compact td.number, .compact th.number { min-width: 0; }
.id { white-space: nowrap; overflow-wrap: normal; }
.broad { grid-column: 1 / -1; overflow-x: auto; }
td.name { min-width: 11em; }
code { font: 12.5px ui-monospace, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
img { max-width: 100%; height: auto; display: block; margin: 0 auto; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(430px, 100%), 1fr)); gap: 14px; }
.thumbnails { display: grid; grid-template-columns: repeat(auto-fill, minmax(190px, 1fr)); gap: 12px; }
.thumbnails figure { margin: 0; padding: 8px; }
figcaption { color: var(--soft); font-size: 12px; text-align: center; margin-top: 4px; }
@media (max-width: 640px) {
  main { padding: 14px 10px 40px; } .card { padding: 13px 12px; } h1 { font-size: 20px; }
  .tiles { grid-template-columns: repeat(auto-fit, minmax(118px, 1fr)); } .tile b { font-size: 17px; }
  td.number, th.number, td.name { min-width: 7.5em; } th, td { padding: 6px 8px; }
  .broad img { max-width: none; width: 1100px; }
  .scroll td:first-child { min-width: 9.5em; } .scroll code { overflow-wrap: break-word; }
}
@media print {
  body { background: var(--paper); font-size: 12px; } main { max-width: none; padding: 0; }
  .card { padding: 10px 12px; } .card, .tile, figure, tr { break-inside: avoid; } h2, summary { break-after: avoid; }
  .pair { grid-template-columns: 1fr 1fr; } .tiles { grid-template-columns: repeat(5, 1fr); gap: 8px; }
  .scroll { overflow: visible; border: 0; } th { white-space: normal; } th, td { padding: 3px 6px; }
  table, code { font-size: 10px; } td.number, th.number, td.name { min-width: 0; } .tile b { font-size: 15px; }
  .links { display: none; } img { max-height: 14cm; object-fit: contain; }
  .badge { print-color-adjust: exact; }
}
"""


_NARROW_PX = 840


@dataclass(frozen=True)
class Html:
    """Markup that is already safe; everything else is escaped."""

    text: str


def safe(value: Any) -> str:
    """Return a value as HTML: `Html` unchanged, None as a dash, numbers with four digits, other text escaped."""
    if isinstance(value, Html):
        return value.text
    if value is None or value == "":
        return '<span class="soft">–</span>'
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return escape(number(value))
    if isinstance(value, (list, tuple)):
        return ", ".join(safe(item) for item in value) if value else safe(None)
    return escape(str(value))


def number(value: float) -> str:
    """Return a number with four digits, in groups of three from ten thousand on."""
    return f"{value:,.0f}".replace(",", " ") if abs(value) >= 9999.5 else f"{value:#.4g}".rstrip(".")


def badge(word: str, kind: str | None = None) -> Html:
    """Return a word on a coloured background, as for a verdict; `kind` names the colour where the word does not."""
    return Html(f'<span class="badge {escape(kind or word)}">{escape(word)}</span>')


def headline(title: str, mark: str | None) -> str:
    """Return the title of a page; where its data are simulated, with that as a mark beside it."""
    stamp = "" if mark is None else badge(mark, "synthetic").text
    return f'<div class="head"><h1>{safe(title)}</h1>{stamp}</div>'


def code(text: str) -> Html:
    """Return text in a fixed-width font."""
    return Html(f"<code>{escape(text)}</code>")


def ident(name: str) -> Html:
    """Return an id in a fixed-width font, never split at the end of a line."""
    return Html(f'<code class="id">{escape(name)}</code>')


def wide(content: str | Html) -> Html:
    """Return a sentence or command for a cell that stays wide enough to be read, and breaks long words."""
    return Html(f'<div style="min-width: 16em; overflow-wrap: anywhere">{safe(content)}</div>')


def table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], numbers: Sequence[str] = (), *, compact: bool = False
) -> str:
    """Return a table; columns named in `numbers` are right-aligned. Without rows, a sentence.

    Parameters
    ----------
    columns : sequence of str
    rows : iterable of sequences
        Cells for `safe`.
    numbers : sequence of str
    compact : bool
        Columns of numbers are as narrow as the numbers.
    """
    kinds = [' class="number"' if column in numbers else "" for column in columns]
    kinds[0] = kinds[0] or ' class="name"'
    body = "".join(
        "<tr>" + "".join(f"<td{kind}>{safe(cell)}</td>" for kind, cell in zip(kinds, row, strict=True)) + "</tr>\n"
        for row in rows
    )
    if not body:
        return '<p class="soft">None.</p>'
    head = "".join(f'<th{kind} scope="col">{escape(column)}</th>' for kind, column in zip(kinds, columns, strict=True))
    style = ' class="compact"' if compact else ""
    return f'<div class="scroll"><table{style}><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></div>'


def fold(title: str, body: str, anchor: str | None = None) -> str:
    """Return a part of the page that is opened by a click on its title, or by a link to its anchor."""
    name = "" if anchor is None else f' id="{escape(anchor)}"'
    return f"<details{name}><summary>{safe(title)}</summary>\n{body}\n</details>"


def picture(path: Path | io.BytesIO, width_px: int, words: str, narrow: Path | None = None) -> str:
    """Return a PNG as an image within the page, no wider than `width_px`.

    Parameters
    ----------
    path : Path or BytesIO
    width_px : int
        A wider picture is scaled down, as the page is part of the published bundle and should stay small.
    words : str
        What it shows, as the alternative text.
    narrow : Path, optional
        The same with larger letters, for narrow screens.
    """
    image = f'<img alt="{escape(words)}" src="{_embedded(path, width_px)}" />'
    if narrow is None or not narrow.is_file():
        return image
    small = f'<source media="(max-width: 760px)" srcset="{_embedded(narrow, _NARROW_PX)}" />'
    return f"<picture>{small}{image}</picture>"


def _embedded(path: Path | io.BytesIO, width_px: int) -> str:
    """Return a picture as a data address."""
    from PIL import Image

    with Image.open(path) as image:
        shown = image.convert("RGB")
    if shown.width > width_px:
        height = round(shown.height * width_px / shown.width)
        shown = shown.resize((width_px, height), Image.Resampling.LANCZOS)
    content = io.BytesIO()
    # JPEG, as noise makes a PNG three times larger; without optimize, for which Pillow's buffer is too small for noise.
    shown.save(content, format="JPEG", quality=88, subsampling=0)
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"


def page(title: str, body: str) -> str:
    """Return a whole HTML page, which is well-formed XML too."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8" />'
        '<meta name="viewport" content="width=device-width, initial-scale=1" />'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body><main>\n{body}\n</main></body></html>\n"
    )
