"""The archive for people: tables, sky map and gallery of all published mosaics, below ``paths.products``.

::

    obscore.vot, obscore.fits    ObsCore 1.1, a row a published mosaic
    coverage.moc.fits            where the archive has data (MOC)
    index.html                   gallery with search; needs no network
    gallery/<mosaic>.{json,png,moc.fits}    what is kept of each mosaic, so that it is read once

All of it follows from the registry and the bundles: deleted, it is made again by the next publish or by
``contimg archive``.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contimg.naming import Layout
from contimg.product import atomic_path
from contimg.publishing import files

if TYPE_CHECKING:
    from contimg.registry.engine import Registry

GALLERY = "gallery"


def knows(layout: Layout, bundle: Path) -> bool:
    """Tell whether the gallery was written after a bundle came into it."""
    try:
        kept = (layout.products / GALLERY / f"{bundle.name}.json").stat()
        return (layout.products / "index.html").stat().st_mtime_ns >= kept.st_mtime_ns
    except OSError:
        return False


def update(registry: Registry, layout: Layout) -> bool:
    """Bring everything up to date after a publication; what fails is said in a line and never raised."""
    try:
        rebuild(registry, layout)
    except Exception as error:  # noqa: BLE001  contimg-ok: the mosaic is published, whatever becomes of its thumbnail
        what = "the archive's tables and gallery were not brought up to date (%s): run 'contimg archive'"
        logging.getLogger(__name__).warning(what, error)
        return False
    return True


def rebuild(registry: Registry, layout: Layout, *, anew: bool = False) -> list[dict[str, Any]]:
    """Make tables, sky map and gallery of all published mosaics; return the entries, the newest last.

    Parameters
    ----------
    registry : Registry
    layout : Layout
    anew : bool
        Read every bundle again instead of what is kept of it in ``gallery/``.

    Raises
    ------
    ContimgError, OSError
        If a bundle cannot be read, or the archive not be written.
    """
    from contimg.archive import entries, gallery, tables
    from contimg.registry import queries

    with files.open_folder(layout.products, GALLERY, create=True), _alone(layout.products / GALLERY):
        rows = queries.listing(registry, statuses=("published",), latest_only=False, with_metadata=False)
        found = [entries.entry(layout.products / GALLERY, row, anew=anew) for row in rows]
        for name, write in (
            ("obscore.vot", tables.write_votable),
            ("obscore.fits", tables.write_fits),
            ("coverage.moc.fits", tables.write_coverage),
            ("index.html", gallery.write_page),
        ):
            with atomic_path(layout.products / name) as part:
                write(part, found, layout.products)
    return found


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process at a time read the registry and write the files, so that the last knows all."""
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
