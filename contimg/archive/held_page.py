"""The mosaics that are held, on one page of the stage: picture, reasons, and the commands of a decision."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from contimg.archive import gallery
from contimg.archive.thumbnail import write_thumbnail
from contimg.bundle.bundle import payload
from contimg.errors import ContimgError
from contimg.naming import Layout
from contimg.report.markup import STYLE
from contimg.storage import safe_files
from contimg.storage.atomic import atomic_path

if TYPE_CHECKING:
    from contimg.registry.engine import Registry

Commands = Callable[[Mapping[str, Any]], Sequence[str]]

FOLDER = "held"
"""Folder of the thumbnails, below the stage."""

_OWN_STYLE = """
code { display: block; margin-top: 6px; padding: 6px 9px; border-radius: 6px; background: var(--wash); font-size: 12px;
  overflow-wrap: anywhere; user-select: all; }
"""


def page_of(layout: Layout) -> Path:
    """Return the place of the page, ``<stage>/held.html``."""
    return layout.stage / "held.html"


def update_held_page(registry: Registry, layout: Layout, commands: Commands) -> str:
    """Write the page and return a sentence about it for the terminal; empty where nothing is held.

    A page that cannot be written is said, and stops nothing: decisions and mosaics stand in the registry.
    """
    try:
        count = write_held_page(registry, layout, commands)
    except (ContimgError, OSError) as error:
        return f"the page of held mosaics {page_of(layout)} was not written: {error}"
    return f"{count} held, with picture, reasons and commands: {page_of(layout)}" if count else ""


def write_held_page(registry: Registry, layout: Layout, commands: Commands) -> int:
    """Write the page of all held mosaics, and return their number; without any, and without a page, nothing is written.

    Parameters
    ----------
    registry : Registry
    layout : Layout
    commands : callable
        Gives the commands of a decision for a mosaic's row in the registry, as a person types them.

    Raises
    ------
    ContimgError, OSError
        If the stage cannot be written, or its folder of thumbnails is a symlink.
    """
    from contimg.registry import queries

    rows = queries.listing(registry, statuses=("held",))[::-1]
    if not rows and not page_of(layout).exists():
        return 0
    with safe_files.open_folder(layout.stage, FOLDER, create=True):  # refuses a symlink, which would lead elsewhere
        pass
    cards, pictures = [], set()
    for row in rows:
        picture = _picture(row, layout.stage / FOLDER)
        pictures.add(picture)
        cards.append(_card(row, picture, layout.stage, commands))
    for old in set(os.listdir(layout.stage / FOLDER)) - pictures:
        (layout.stage / FOLDER / old).unlink(missing_ok=True)
    with atomic_path(page_of(layout)) as part:
        part.write_text(_page(cards), encoding="utf-8")
    return len(rows)


def _picture(row: Mapping[str, Any], folder: Path) -> str | None:
    """Return the name of a mosaic's thumbnail, which is written once; None where there is no image or no pixel."""
    name = f"{row['data_id']}.v{row['version']}.{row['sha256'][:12]}.png"
    image = payload(Path(row["stage_path"])) / f"{row['data_id']}.fits"
    if (folder / name).exists():
        return name
    rms_mjy = json.loads(row["metadata_json"] or "{}").get("rms_mjy")
    return write_thumbnail(image, folder / name, rms_mjy) if image.exists() else None


def _card(row: Mapping[str, Any], picture: str | None, stage: Path, commands: Commands) -> str:
    """Return the card of a mosaic as HTML."""
    page = payload(Path(row["stage_path"])) / f"{row['data_id']}.html"
    shown = f'<img src="{FOLDER}/{picture}" alt="picture of {row["data_id"]}" loading="lazy">' if picture else None
    shown = shown or '<div class="none">no picture</div>'
    if page.exists():
        shown = f'<a href="{quote(os.path.relpath(page, stage))}">{shown}</a>'
    reasons = "".join(f"<li>{escape(one['message'])}</li>" for one in json.loads(row["held_json"] or "[]"))
    typed = "".join(f"<code>{escape(one)}</code>" for one in commands(row))
    version = f" version {row['version']}" if row["version"] > 1 else ""
    return (
        f'<article id="{row["data_id"]}">{shown}<div class="text"><h2>{row["data_id"]}{version}</h2>'
        f'<span class="badge {row["qa_status"]}">{row["qa_status"]}</span><ul>{reasons}</ul>{typed}</div></article>'
    )


def _page(cards: list[str]) -> str:
    """Return the whole page."""
    what = "Nothing is held." if not cards else f"{len(cards)} held: look, then type one of the commands with a reason."
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Held mosaics</title><style>{STYLE}{gallery.CARD_STYLE}{_OWN_STYLE}</style></head><body><main>
<h1>Held mosaics</h1><p class="soft">{what}</p>
<div class="gallery">{"".join(cards)}</div></main></body></html>
"""
