"""The marker in the archive's root that names its registry, read without a database.

Without it a root that is not mounted would look like an archive that lost everything, and would be published into;
and two registries on one archive would remove each other's copies as left over.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from contimg.errors import RegistryError
from contimg.naming import Layout
from contimg.storage.json_files import read_json
from contimg.storage.process import me

MARKER = ".contimg-archive.json"
ADOPT = "contimg archive adopt"


class WrongArchive(RegistryError):
    """What stands at ``paths.products`` is not the archive of this registry."""


def marker_place(layout: Layout) -> Path:
    """Return where the archive's marker stands."""
    return layout.products / MARKER


def read_marker(layout: Layout) -> dict[str, Any] | None:
    """Return the content of the archive's marker; None when there is none.

    Raises
    ------
    WrongArchive
        If it is damaged: then nothing tells whose archive this is.
    """
    path = marker_place(layout)
    content = read_json(path) if layout.products.is_dir() else None
    if content is None:
        if not path.exists():
            return None
        content = read_json(path)  # another publisher may have put it there since
    if not isinstance(content, dict) or not all(isinstance(content.get(key), str) for key in ("registry", "place")):
        raise WrongArchive(f"{path} is damaged, so that nobody knows whose archive this is: type {ADOPT} to say so")
    return content


def sqlite_place(file: Path | str) -> str:
    """Return where an SQLite registry stands: machine and file."""
    return f"{me().installation or me().host}:{file}"


def foreign(layout: Layout, where: str, marker: dict[str, Any], *, copied: bool) -> WrongArchive:
    """Return the error that an archive is another registry's.

    Parameters
    ----------
    layout : Layout
    where : str
        The configured registry, as messages name it.
    marker : dict
        The archive's marker.
    copied : bool
        The configured registry has the UUID in the marker, but stands in another place.
    """
    what = f"{layout.products} is the archive of the registry at {marker['place']}"
    if copied:
        return WrongArchive(
            f"{what}, and {where} is a copy of that one: correct paths.state or registry.url; if the registry was "
            f"moved for good, type {ADOPT}"
        )
    return WrongArchive(
        f"{what}, not of {where}: correct paths.products, paths.state or registry.url; if the other registry is gone "
        f"for good, type {ADOPT}, then contimg reconcile"
    )


def unmounted(layout: Layout, where: str, since: str | None) -> WrongArchive:
    """Return the error that a registry's archive is not there; `since` is when the registry got it, where known."""
    had = "" if since is None else f" since {since}"
    return WrongArchive(
        f"{layout.products} is not the archive that registry {where} has had{had} ({MARKER} is missing): mount the "
        f"archive or correct paths.products; if it was lost for good, type {ADOPT}, then contimg reconcile"
    )
