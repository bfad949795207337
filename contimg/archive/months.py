"""The parts of tables, sky map and gallery that belong to the mosaics of one month."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from contimg import naming
from contimg.archive import datalink, entries, gallery, tables
from contimg.storage import safe_files
from contimg.storage.atomic import atomic_path, remove
from contimg.storage.notes import are_whole, digests_of, read_note, write_note

SUMMARY = "month.json"
SCHEMA = 4
TABLES, COVERAGE, CARDS = ("obscore.vot", "obscore.fits"), "coverage.moc.fits", "mosaics.js"


def month_of(name: str) -> str:
    """Return the month of a mosaic or of its bundle's folder, ``YYYY-MM``."""
    return naming.date(name.partition(".v")[0])[:7]


def address_of(layout: naming.Layout) -> list[str | None]:
    """Return what the addresses of a month's tables begin with."""
    return [layout.publisher.base_url, layout.publisher.ivoid]


def split(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Return published rows by month."""
    found = defaultdict(list)
    for row in rows:
        found[month_of(row["data_id"])].append(row)
    return dict(found)


def summaries(top: Path) -> list[dict[str, Any]]:
    """Return the summary of each month (mosaics, simulated, strips, verdicts), the earliest first."""
    found = [_read_summary(path.parent) for path in sorted(top.glob(f"????-??/{SUMMARY}"))]
    return [one for one in found if one is not None]


def _read_summary(folder: Path) -> dict[str, Any] | None:
    """Return the summary of a month; None when it is missing, damaged, of another version or of before a move."""
    content = read_note(folder / SUMMARY)
    known = {"schema": SCHEMA, "archive": str(folder.parents[1])}
    return content if isinstance(content, dict) and known.items() <= content.items() else None


def is_whole(top: Path, summary: Mapping[str, Any], names: Sequence[str] = (*TABLES, COVERAGE, CARDS)) -> bool:
    """Return whether files of a month are as its summary has them: a torn one would end the joining of all months."""
    return are_whole(top / summary["month"], {name: summary["files"][name] for name in names})


def write(top: Path, month: str, rows: Sequence[Mapping[str, Any]], layout: naming.Layout, *, anew: bool) -> None:
    """Write a month's files again unless they are those of the rows; remove them if there is no row.

    Parameters
    ----------
    top : Path
        ``<products>/gallery``.
    month : str
        ``YYYY-MM``.
    rows : sequence of mapping
        The month's published rows.
    layout : Layout
        With the addresses that the tables name.
    anew : bool
        Write them in any case, and read every bundle again.
    """
    folder = top / month
    if not rows:
        remove(folder)
        return
    identity = hashlib.sha256(json.dumps([dict(row) for row in rows], sort_keys=True).encode()).hexdigest()
    address = address_of(layout)
    kept = _read_summary(folder)
    same = kept is not None and (kept["rows_sha256"], kept["address"]) == (identity, address)
    if not anew and kept is not None and same and is_whole(top, kept):
        return
    with safe_files.open_folder(top, month, create=True):  # refuses a symlink, through which the archive would be left
        pass
    found = [entries.entry(folder, row, anew=anew) for row in rows]
    found = [one | datalink.addresses(layout, folder, one) for one in found]
    datalink.keep_links(layout, folder, found, anew=anew or kept is None or kept["address"] != address)
    for name, make in (
        (TABLES[0], tables.write_votable),
        (TABLES[1], tables.write_fits),
        (COVERAGE, tables.write_coverage),
        (CARDS, gallery.write_month),
    ):
        with atomic_path(folder / name) as part:
            make(part, found, folder)
    # Last, so that everything that it lists is there.
    made = digests_of(folder, (*TABLES, COVERAGE, CARDS))
    content = {"schema": SCHEMA, "archive": str(top.parent), "address": address, "month": month}
    content |= {"mosaics": len(found), "rows_sha256": identity, "files": made}
    content["simulated"] = sum(one["synthetic"] for one in found)
    strips = Counter(strip for one in found if (strip := gallery.strip_of(one)) is not None)
    content["strips"] = dict(sorted(strips.items()))
    content["verdicts"] = {v: sum(one["verdict"] == v for one in found) for v in ("passed", "warning", "failed")}
    write_note(folder / SUMMARY, content)
