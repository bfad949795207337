"""Bringing tables, sky map and gallery of all published mosaics up to date, below ``paths.products``.

::

    obscore.vot, obscore.fits    ObsCore 1.1, a row a published mosaic
    coverage.moc.fits            where the archive has data (MOC)
    index.html                   gallery with search; needs no network
    gallery/<month>/             what is kept of each mosaic, and the month's part of all of the above

A publish makes the part of its own month again and puts the parts together, so that it costs what a month
costs. All of it follows from the registry and the bundles: deleted, it is made again by the next publish or
by ``contimg archive``.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from contimg.naming import Layout
from contimg.storage import safe_files
from contimg.storage.atomic import atomic_path

if TYPE_CHECKING:
    from contimg.registry.engine import Registry

GALLERY = "gallery"


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


def update(registry: Registry, layout: Layout, data_id: str | None = None) -> bool:
    """Bring a mosaic's month up to date; return whether that worked. Errors are logged in one line and never raised.

    Parameters
    ----------
    registry : Registry
    layout : Layout
    data_id : str, optional
        The mosaic that was published or withdrawn; every month is looked at when not given.
    """
    try:
        rebuild(registry, layout, data_id)
    except Exception as error:  # noqa: BLE001  contimg-ok: the mosaic is published, whatever becomes of its thumbnail
        what = "the archive's tables and gallery were not brought up to date (%s): run 'contimg archive'"
        logging.getLogger(__name__).warning(what, error)
        return False
    return True


def rebuild(registry: Registry, layout: Layout, data_id: str | None = None, *, anew: bool = False) -> int:
    """Write tables, sky map and gallery of all published mosaics; return their number.

    Parameters
    ----------
    registry : Registry
    layout : Layout
    data_id : str, optional
        Look at this mosaic's month only, if all others together have as many mosaics as the registry.
    anew : bool
        Read every bundle again instead of what is kept of it.

    Raises
    ------
    ContimgError, OSError
        If a bundle cannot be read, or the archive not be written.
    """
    from contimg.archive import gallery, months, tables
    from contimg.registry import queries

    top = layout.products / GALLERY
    with safe_files.open_folder(layout.products, GALLERY, create=True), registry.exclusive(GALLERY):
        if data_id is not None:
            month = months.month_of(data_id)
            months.write(top, month, queries.published(registry, month), anew=anew)
        wanted = queries.count_current(registry)
        if data_id is None or sum(one["mosaics"] for one in months.summaries(top)) != wanted:
            by_month = months.split(queries.published(registry))
            for month in sorted(by_month.keys() | {one["month"] for one in months.summaries(top)}):
                months.write(top, month, by_month.get(month, []), anew=anew)
        summaries = months.summaries(top)
        folders = [top / one["month"] for one in summaries]
        for name, write in (
            ("obscore.vot", tables.join_votables),
            ("obscore.fits", tables.join_fits),
            ("coverage.moc.fits", tables.join_coverage),
        ):
            with atomic_path(layout.products / name) as part:
                write(part, [folder / name for folder in folders])
        with atomic_path(layout.products / "index.html") as part:
            gallery.write_page(part, summaries, layout.products / "coverage.moc.fits")
    return sum(one["mosaics"] for one in summaries)
