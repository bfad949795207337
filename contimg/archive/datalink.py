"""The files of a published mosaic as links (IVOA DataLink 1.1, one VOTable a mosaic), and its addresses in ObsCore."""

from __future__ import annotations

import functools
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from contimg.naming import Layout
from contimg.storage.atomic import atomic_path, remove

STANDARD = "ivo://ivoa.net/std/DataLink#links-1.1"
MIME = "application/x-votable+xml;content=datalink"
_NO_SIZE = -1
# Column -> type, unit, UCD (table 1 of the recommendation).
_COLUMNS: dict[str, tuple[str, str | None, str]] = {
    "ID": ("str", None, "meta.id;meta.main"),
    "access_url": ("str", None, "meta.ref.url"),
    "service_def": ("str", None, "meta.ref"),
    "error_message": ("str", None, "meta.code.error"),
    "description": ("str", None, "meta.note"),
    "semantics": ("str", None, "meta.code"),
    "content_type": ("str", None, "meta.code.mime"),
    "content_length": ("int64", "byte", "phys.size;meta.file"),
}
# End of the file's name -> semantics (vocabulary of datalink/core), MIME type, description.
_FILES = {
    "{id}.fits": ("#this", "image/fits", "image, corrected for the primary beam"),
    "{id}.weights.fits": ("#weight", "image/fits", "weights, 1/(Jy/beam)^2"),
    "{id}.rms.fits": ("#noise", "image/fits", "noise by the weights"),
    "{id}.coverage.fits": ("#auxiliary", "image/fits", "number of tiles of each pixel"),
    "{id}.frequency.fits": ("#auxiliary", "image/fits", "effective frequency of each pixel"),
    "{id}.alpha.fits": ("#derivation", "image/fits", "spectral index of bright pixels"),
    "{id}.png": ("#preview", "image/png", "picture with axes and beam"),
    "{id}.html": ("#documentation", "text/html", "page with every verdict and number"),
    "{id}.tiles.csv": ("#auxiliary", "text/csv", "tiles of the mosaic"),
    "crossmatch/{id}.sources.vot": ("#derivation", "application/x-votable+xml", "sources found"),
    "crossmatch/{id}.sources.fits": ("#derivation", "application/fits", "sources found"),
    "crossmatch/{id}.matches.vot": ("#derivation", "application/x-votable+xml", "comparison with a catalogue"),
    "metadata.json": ("#documentation", "application/json", "verdict, parameters and lineage"),
}


def addresses(layout: Layout, folder: Path, entry: Mapping[str, Any]) -> dict[str, str]:
    """Return what the tables need of an entry's place: its publisher's id and the addresses of image and links.

    Parameters
    ----------
    layout : Layout
    folder : Path
        The folder of the month in the gallery.
    entry : mapping
    """
    return {
        "publisher_did": f"{layout.publisher.ivoid}?{entry['name']}",
        "access_url": layout.address(Path(entry["path"]) / entry["image"]),
        "datalink_url": layout.address(folder / file_name(entry["name"])),
    }


def file_name(name: str) -> str:
    """Return the name of the links of a mosaic, in the folder of its month in the gallery."""
    return f"{name}.datalink.vot"


def keep_links(layout: Layout, folder: Path, entries: Sequence[Mapping[str, Any]], *, anew: bool) -> None:
    """Write the links of the mosaics of a month that have none or older ones than their entries; remove all others."""
    wanted = {file_name(entry["name"]): entry for entry in entries}
    for path in folder.glob(file_name("*")):
        if path.name not in wanted:
            remove(path)
    for name, entry in wanted.items():
        made, read = folder / name, folder / f"{entry['name']}.json"
        if anew or not made.exists() or made.stat().st_mtime_ns < read.stat().st_mtime_ns:
            write_links(layout, folder, entry)


def write_links(layout: Layout, folder: Path, entry: Mapping[str, Any]) -> None:
    """Write the links of a mosaic, a row for each file that its bundle has, and for its thumbnail and MOC."""
    begin, end = _frame()
    rows = "".join(_as_xml(_row(layout, entry, *found)) for found in _links(folder, entry))
    with atomic_path(folder / file_name(entry["name"])) as part:
        part.write_text(f"{begin}\n{rows}{end}", encoding="utf-8")


@functools.cache
def _frame() -> tuple[str, str]:
    """Return what stands before and after the rows of every table of links.

    Made once: to let astropy write each of 100 000 tables would take an hour.
    """
    from astropy.io.votable import from_table, writeto
    from astropy.io.votable.tree import Info
    from astropy.table import MaskedColumn, Table

    table = Table()
    for name, (kind, unit, _) in _COLUMNS.items():
        value = "" if kind == "str" else 0
        table.add_column(MaskedColumn([value], name=name, unit=unit, dtype=None if kind == "str" else kind))
    votable = from_table(table)
    (resource,) = votable.resources
    resource.type = "results"
    resource.infos.extend([Info(name="QUERY_STATUS", value="OK"), Info(name="standardID", value=STANDARD)])
    (first,) = votable.iter_tables()
    for field in first.fields:
        kind, _, field.ucd = _COLUMNS[field.name]
        if kind == "str":
            field.arraysize = "*"
        else:
            field.values.null = _NO_SIZE
    written = io.BytesIO()
    writeto(votable, written)
    text, begin = written.getvalue().decode(), "<TABLEDATA>"
    before, _, rest = text.partition(begin)
    return before + begin, _INDENT[1:] + rest[rest.index("</TABLEDATA>") :]


_INDENT = " " * 5  # of rows, as astropy writes them


def _as_xml(row: Mapping[str, Any]) -> str:
    """Return a row of the table as XML."""
    cells = [f"<TD>{escape(str(row[name]))}</TD>" if row[name] != "" else "<TD/>" for name in _COLUMNS]
    return "".join(f"{_INDENT}{line}\n" for line in ("<TR>", *(f" {cell}" for cell in cells), "</TR>"))


def _links(folder: Path, entry: Mapping[str, Any]) -> list[tuple[Path, str, str, str]]:
    """Return path, semantics, MIME type and description of each file there is."""
    bundle = (Path(entry["path"]) / entry["image"]).parent
    found = [(bundle / name.format(id=entry["data_id"]), *text) for name, text in _FILES.items()]
    for key, semantics, mime, words in (
        ("thumbnail", "#thumbnail", "image/png", "the image alone, small"),
        ("moc", "#auxiliary", "application/fits", "where the image has data (MOC)"),
    ):
        if entry.get(key):
            found.append((folder / entry[key], semantics, mime, words))
    return [one for one in found if one[0].is_file()]


def _row(
    layout: Layout, entry: Mapping[str, Any], path: Path, semantics: str, mime: str, description: str
) -> dict[str, Any]:
    """Return the row of one file."""
    return {
        "ID": entry["publisher_did"],
        "access_url": layout.address(path),
        "service_def": "",
        "error_message": "",
        "description": description,
        "semantics": semantics,
        "content_type": mime,
        "content_length": path.stat().st_size,
    }
