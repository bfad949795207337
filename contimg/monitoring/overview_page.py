"""The overview as one static page, without anything from the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from contimg.monitoring.screen import sections
from contimg.report.markup import page, safe, table
from contimg.storage.atomic import atomic_path


def write_page(content: dict[str, Any], place: Path) -> None:
    """Write the page of an overview, whole or not at all."""
    parts = [f"<p>State of {safe(content['time'])} UTC.</p>"]
    parts += [f"<h2>{safe(one.title)}</h2>{table(one.columns, one.rows)}" for one in sections(content)]
    place.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(place) as part:
        part.write_text(page("contimg: state", "\n".join(parts)))
