"""Copies in a replica that the registry does not know of: it was lost, or is of an earlier day."""

from __future__ import annotations

import re
from dataclasses import dataclass

from contimg.naming import DATE_PATTERN, MOSAIC_PATTERN, Layout
from contimg.registry.engine import Registry
from contimg.replicas import commits, copy_rows
from contimg.replicas.copy_rows import Row
from contimg.replicas.stores import Store
from contimg.storage.process import one_line

# Their copy is looked for by `copy_rows.missing`, or once it was decided what becomes of them.
_OPEN = ("staging", "publishing", "held")
_BUNDLE = re.compile(rf"mosaics/{DATE_PATTERN}/{MOSAIC_PATTERN}(\.v[1-9]\d*)?", re.ASCII)


@dataclass(frozen=True)
class Unknown:
    """What stands in a replica without a row of ``replica_copies``.

    Attributes
    ----------
    rows : list of mapping
        Versions that the registry knows, in order.
    places : list of str
        Folders of copies of versions that it does not know, sorted.
    """

    rows: list[Row]
    places: list[str]


def look(registry: Registry, layout: Layout, store: Store, url: str) -> Unknown:
    """Compare the commit records of a replica with the registry, by their names alone."""
    names = {f"commits/{name}" for name in store.names("commits") if name.endswith(".json")}
    rows = copy_rows.every(registry)
    versions = {commits.commit_name(commits.row_place(layout, row)): row for row in rows}
    noted = copy_rows.noted(registry, url)
    found = [
        row
        for name, row in versions.items()
        if name in names and row["status"] not in _OPEN and (row["data_id"], row["version"]) not in noted
    ]
    places = [f"mosaics/{name.removeprefix('commits/').removesuffix('.json')}" for name in names - versions.keys()]
    return Unknown(found, sorted(places))


def message(layout: Layout, store: Store, place: str) -> str:
    """Return what is said of a copy of a version that the registry does not know, with the remedy."""
    if _BUNDLE.fullmatch(place) is None:
        return f"replica {store.where}: {one_line(commits.commit_name(place))} is the record of no mosaic: remove it"
    return (
        f"replica {store.where} has a copy of {place} that the registry does not know: copy that folder to "
        f"{layout.products / place}, then type contimg reconcile; if nobody needs it, remove "
        f"{commits.commit_name(place)} there"
    )
