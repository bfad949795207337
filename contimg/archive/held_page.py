"""The mosaics that are held, on one page of the stage: the gallery's cards with reasons and commands of a decision."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from contimg.archive import entries, gallery
from contimg.bundle.bundle import payload
from contimg.errors import ContimgError, RegistryError
from contimg.naming import Layout
from contimg.products.fits_images import DamagedFileError
from contimg.registry.columns import held_reasons, summary
from contimg.storage import safe_files
from contimg.storage.atomic import atomic_path
from contimg.storage.notes import are_whole, read_note, write_note

if TYPE_CHECKING:
    from contimg.registry.engine import Registry

_LOG = logging.getLogger(__name__)

Commands = Callable[[Mapping[str, Any]], Sequence[str]]

FOLDER = "held"
"""Folder of the thumbnails and of what is remembered of each image, below the stage."""


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
    records: list[dict[str, Any]] = []
    kept: set[str] = set()
    for row in rows:
        try:
            record, files = _record(row, layout.stage, commands)
        except RegistryError as error:  # of that row, which is damaged
            _LOG.warning("%s is not on the page of held mosaics: %s", row["data_id"], error)
            continue
        records.append(record)
        kept.update(files)
    for old in set(os.listdir(layout.stage / FOLDER)) - kept:
        (layout.stage / FOLDER / old).unlink(missing_ok=True)
    with atomic_path(page_of(layout)) as part:
        part.write_text(_page(records), encoding="utf-8")
    return len(records)


def _record(row: Mapping[str, Any], stage: Path, commands: Commands) -> tuple[dict[str, Any], set[str]]:
    """Return the record of a mosaic for the page's script, and the names of the files that it keeps below `FOLDER`."""
    name = row["data_id"] if row["version"] == 1 else f"{row['data_id']}.v{row['version']}"
    inside, metadata = payload(Path(row["stage_path"])), summary(row)
    image, page = (inside / f"{row['data_id']}{suffix}" for suffix in (".fits", ".html"))
    note = ""
    try:
        seen = _seen(image, stage / FOLDER, f"{name}.{row['sha256'][:12]}", metadata.get("rms_mjy"))
    except (OSError, DamagedFileError) as error:  # a torn image, which may be why it is held
        fault = error.fault if isinstance(error, DamagedFileError) else str(error)
        seen, note = dict.fromkeys(("thumbnail", "corners_deg")), f"{image.name} cannot be read: {fault}"
    href = quote(os.path.relpath(page, stage)) if page.exists() else None
    thumbnail = f"{FOLDER}/{seen['thumbnail']}" if seen["thumbnail"] else None
    why = [one["message"] for one in held_reasons(row)]
    found = gallery.record(entries.described(metadata) | seen | {"name": name}, href, thumbnail, note)
    found |= {"text": " ".join([found["text"], *why]).lower(), "why": why, "commands": list(commands(row))}
    return found, {seen[key] for key in ("memory", "thumbnail", "moc") if seen.get(key)}


def _seen(image: Path, folder: Path, name: str, rms_mjy: float | None) -> dict[str, Any]:
    """Return thumbnail and field of a mosaic, made once, and under ``memory`` the file that remembers them."""
    memory = folder / f"{name}.json"
    known = read_note(memory)
    if isinstance(known, dict) and known.get("schema") == entries.SCHEMA and are_whole(folder, known["files"]):
        return dict(known)
    made = entries.pictured(image, folder, name, rms_mjy) | {"schema": entries.SCHEMA, "memory": memory.name}
    write_note(memory, made)
    return made


def _page(records: list[dict[str, Any]]) -> str:
    """Return the whole page: the gallery's search and cards, with reasons and commands."""
    count, made = len(records), sum(one["synthetic"] for one in records)
    simulated = f" ({made} of them simulated)" if made else ""
    said = "Nothing is held."
    if records:
        said = f"{count} held{simulated}: look, then type one of the commands with a reason."
    strips = Counter(one["strip"] for one in records if one["strip"])
    settings = {"months": [{"month": "held", "mosaics": count}], "records": records}
    return gallery.search_page("Held mosaics", f'<p class="soft">{said}</p>', settings, strips, style="decide")
