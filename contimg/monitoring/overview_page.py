"""The overview as one static page, without anything from the network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from contimg.monitoring.screen import sections
from contimg.report.markup import badge, headline, page, safe, table, wide
from contimg.storage.atomic import atomic_path

_LONG = 40  # characters
_VERDICTS = ("passed", "warning", "failed")


def write_page(content: dict[str, Any], place: Path) -> None:
    """Write the page of an overview, whole or not at all."""
    parts = [headline("Overview", content["simulated"]), f'<p class="soft">{safe(content["time"])} UTC.</p>']
    parts += [f"<h2>{safe(one.title)}</h2>{table(one.columns, _cells(one.rows))}" for one in sections(content)]
    place.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(place) as part:
        part.write_text(page("contimg: state", "\n".join(parts)))


def _cells(rows: Iterable[Sequence[Any]]) -> list[list[Any]]:
    """Return rows whose sentences and commands break where they must, also on a telephone; verdicts are coloured."""
    return [[_cell(cell) for cell in row] for row in rows]


def _cell(cell: Any) -> Any:
    if not isinstance(cell, str):
        return cell
    return badge(cell) if cell in _VERDICTS else wide(cell) if len(cell) > _LONG else cell
