"""Bringing tables, sky map and gallery of all published mosaics up to date, below ``paths.products``.

::

    obscore.vot, obscore.fits    ObsCore 1.1, a row a published mosaic
    obscore-<year>.vot, .fits    those of a year
    coverage.moc.fits            where the archive has data (MOC)
    index.html                   gallery with search; needs no network
    gallery/<month>/             what is kept of each mosaic, and the month's part of all of the above

A publish makes the part of its own month again and puts the parts of its year together, so that it costs what a year
costs; the tables of all years are put together at each publish of a small archive, and once a day of a large one.
All of it follows from the registry and the bundles: deleted, it is made again by the next publish or by
``contimg archive``.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from contimg.errors import ContimgError
from contimg.naming import Layout
from contimg.storage import safe_files
from contimg.storage.atomic import atomic_path

if TYPE_CHECKING:
    from contimg.registry.engine import Registry

GALLERY = "gallery"
WHOLE_AT_ONCE = 10_000  # mosaics, whose tables have 16 MB
_DAY_S = 86_400.0


def knows(layout: Layout, bundle: Path) -> bool:
    """Return whether the gallery contains a bundle: its entry, its month and the page were written in this order."""
    from contimg.archive import months

    try:
        month = layout.products / GALLERY / months.month_of(bundle.name)
        written = [month / f"{bundle.name}.json", month / months.SUMMARY, layout.products / "index.html"]
        times = [path.stat().st_mtime_ns for path in written]
    except OSError:
        return False
    return times == sorted(times)


def update(registry: Registry, layout: Layout, data_id: str | None = None, *, whole: bool = True) -> bool:
    """Bring a mosaic's month up to date; return whether that worked.

    What a disk, a damaged file or the registry does is logged in one line: the mosaic is published, whatever becomes of
    its thumbnail.

    Parameters
    ----------
    registry : Registry
    layout : Layout
    data_id : str, optional
        The mosaic that was published or withdrawn; every month is looked at when not given.
    whole : bool
        As for `rebuild`.
    """
    try:
        rebuild(registry, layout, data_id, whole=whole)
    except (ContimgError, OSError, ValueError, SQLAlchemyError) as error:
        what = "the archive's tables and gallery were not brought up to date (%s): run 'contimg archive'"
        logging.getLogger(__name__).warning(what, error)
        return False
    return True


def rebuild(
    registry: Registry, layout: Layout, data_id: str | None = None, *, anew: bool = False, whole: bool = True
) -> int:
    """Write tables, sky map and gallery of all published mosaics; return their number.

    Parameters
    ----------
    registry : Registry
    layout : Layout
    data_id : str, optional
        Look at this mosaic's month only, if all others together have as many mosaics as the registry.
    anew : bool
        Read every bundle again instead of what is kept of it.
    whole : bool
        False: the tables of all years may be a day old where they are large (`WHOLE_AT_ONCE`).

    Raises
    ------
    ContimgError, OSError
        If a bundle cannot be read, or the archive not be written.
    """
    from contimg.archive import gallery, months, tables
    from contimg.registry import queries

    top = layout.products / GALLERY
    with (
        registry.exclusive(GALLERY),
        safe_files.permissions(layout.archive_mode),
        safe_files.open_folder(layout.products, GALLERY, create=True),
    ):
        if data_id is not None:
            month = months.month_of(data_id)
            months.write(top, month, queries.published(registry, month), layout, anew=anew)
        wanted = queries.count_current(registry)
        known = months.summaries(top)
        moved = any(one.get("address") != months.address_of(layout) for one in known)
        everything = data_id is None or moved or sum(one["mosaics"] for one in known) != wanted
        if everything:
            by_month = months.split(queries.published(registry))
            for month in sorted(by_month.keys() | {one["month"] for one in months.summaries(top)}):
                months.write(top, month, by_month.get(month, []), layout, anew=anew)
        due = whole or everything or _is_due(layout.products / "obscore.fits", wanted)
        if not everything and data_id is not None:  # else each month was looked at just now
            for one in months.summaries(top):
                joined = due or one["month"][:4] == months.month_of(data_id)[:4]
                if not months.is_whole(top, one, (*(months.TABLES if joined else ()), months.COVERAGE)):
                    months.write(top, one["month"], queries.published(registry, one["month"]), layout, anew=anew)
        summaries = months.summaries(top)
        folders = [top / one["month"] for one in summaries]
        years = {folder.name[:4] for folder in folders}
        for year in sorted(years):
            if data_id is not None and not everything and year != months.month_of(data_id)[:4]:
                continue
            _write_tables(layout.products, f"obscore-{year}", [one for one in folders if one.name.startswith(year)])
        for path in layout.products.glob("obscore-*.*"):
            if path.stem.removeprefix("obscore-") not in years:
                path.unlink()
        if due:
            _write_tables(layout.products, "obscore", folders)
        with atomic_path(layout.products / "coverage.moc.fits") as part:
            tables.join_coverage(part, [folder / "coverage.moc.fits" for folder in folders])
        with atomic_path(layout.products / "index.html") as part:
            gallery.write_page(part, summaries, layout.products / "coverage.moc.fits")
    return sum(one["mosaics"] for one in summaries)


def _write_tables(products: Path, stem: str, folders: list[Path]) -> None:
    """Write VOTable and FITS table of the mosaics of some months, from the months' own tables."""
    from contimg.archive import tables

    for suffix, join in ((".vot", tables.join_votables), (".fits", tables.join_fits)):
        with atomic_path(products / f"{stem}{suffix}") as part:
            join(part, [folder / f"obscore{suffix}" for folder in folders])


def _is_due(table: Path, mosaics: int) -> bool:
    """Return whether the table of all years is to be written again at a publish: it is small, or a day old."""
    return mosaics <= WHOLE_AT_ONCE or not table.exists() or time.time() - table.stat().st_mtime > _DAY_S
