"""Steps of reconciling for what dead processes left (claims, copies, temporary bundles), and for outdated markers."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from pathlib import Path

from contimg import naming
from contimg.publishing import claims, copying, markers, places
from contimg.publishing.differences import Difference, Row, Scope, about
from contimg.publishing.places import Places
from contimg.registry import queries
from contimg.storage import json_files, safe_files, trees
from contimg.storage.process import is_orphan, operator
from contimg.times import now


def left_claims(scope: Scope) -> Iterator[Difference]:
    """Find claims of publishers that have ended, or that have expired: the product is set back to ``staging``."""
    for row in scope.settled_rows("publishing"):
        message = f"{row['data_id']} was being published by a process that is gone: given back to staging"
        found = about("claim_left", row, row["stage_path"], message)
        yield scope.repair(found, functools.partial(_free, scope, row))


def _free(scope: Scope, row: Row) -> bool:
    with scope.registry.transaction(lock=row["data_id"]) as connection:
        return claims.free_abandoned(connection, row)


def remains(scope: Scope) -> Iterator[Difference]:
    """Find unfinished copies in the archive and temporary files beside bundles that no process works on: removed."""
    for place in copying.incoming_places(scope.layout, scope.data_id):
        what = Difference("unreadable", "", 0, str(place), str(place))
        yield from scope.attempt(what, functools.partial(_copies, scope, place))
    yield from _parts(scope)


def _copies(scope: Scope, place: Path) -> Iterator[Difference]:
    relative = safe_files.relative_to_root(place, scope.layout.products, "paths.products")
    with safe_files.open_folder(scope.layout.products, relative) as folder:
        yield from _copies_in(scope, place, folder)


def _copies_in(scope: Scope, place: Path, folder: int) -> Iterator[Difference]:
    # Listed before the claims are read: a copy's claim is older than the copy.
    names = sorted(os.listdir(folder))
    tokens = {row["claim_token"] for row in scope.rows("publishing", anew=True) if _may_be_worked_on(scope, row)}
    for name in names:
        data_id, _, token = name.lstrip(".").partition(".")  # hidden: being removed by a process that died
        if token in tokens or (scope.data_id is not None and data_id != scope.data_id):
            continue
        path = place / name
        found = Difference("incoming_left", data_id, 0, str(path), f"{path} was left unfinished: removed")
        yield scope.repair(found, functools.partial(trees.discard, folder, name))


def _may_be_worked_on(scope: Scope, row: Row) -> bool:
    return scope.is_aside(row) or scope.is_worked_on(row)


def _parts(scope: Scope) -> Iterator[Difference]:
    """Find temporary bundles on the stage, and temporary records beside bundles anywhere: removed."""
    layout = scope.layout
    tops = [(layout.stage, "paths.stage", layout.stage / "registered", "*/mosaic_*")]
    for top in (layout.products / "mosaics", layout.products / ".withdrawn" / "mosaics"):
        tops.append((layout.products, "paths.products", top, "*"))
    for root, key, top, pattern in tops:
        if scope.data_id is not None:
            pattern = pattern.replace("*/mosaic_*", f"*/{scope.data_id}").replace("*", naming.date(scope.data_id), 1)
        for home in sorted(path for path in top.glob(pattern) if path.is_dir() and not path.is_symlink()):
            what = Difference("unreadable", "", 0, str(home), str(home))
            yield from scope.attempt(what, functools.partial(_parts_in, scope, root, key, home))


def _parts_in(scope: Scope, root: Path, key: str, home: Path) -> Iterator[Difference]:
    orphans = sorted(path.name for path in home.glob(".*.part-*") if is_orphan(path))
    if not orphans:
        return
    with safe_files.open_folder(root, safe_files.relative_to_root(home, root, key)) as folder:
        for name in orphans:
            data_id = next((part for part in (home.name, *name[1:].split(".")) if part[:7] == "mosaic_"), "")
            message = f"{home / name} was left unfinished: removed"
            found = Difference("part_left", data_id, 0, str(home / name), message)
            yield scope.repair(found, functools.partial(trees.remove_tree, folder, name))


def overtaken(scope: Scope) -> Iterator[Difference]:
    """Find versions that were never published, though a later one was registered: superseded, as registering does.

    So it is after an older backup of the registry was restored, when the later version's row was rebuilt.
    """
    rows = scope.rows()  # once: others register meanwhile
    newest = {row["data_id"]: row["version"] for row in rows}
    earlier = [row for row in rows if row["status"] in ("staging", "held") and row["version"] < newest[row["data_id"]]]
    yield from scope.each(earlier, lambda row: _overtaken(scope, row, newest[row["data_id"]]))


def _overtaken(scope: Scope, row: Row, newest: int) -> Iterator[Difference]:
    where = Places.of(scope.layout, row)
    if row["published_at"] is not None or any(map(places.is_folder, (where.sight, where.hidden))):
        return
    why = f"version {newest} was registered"
    message = f"{row['data_id']} version {row['version']} is {row['status']}, although {why}: superseded"
    values = {"status": "superseded", "closed_at": now(), "closed_by": operator(), "closed_reason": why}
    found = about("row_differs", row, where.stage, message)
    yield scope.repair(found, functools.partial(scope.change, row, values, "reconciled", message))


# After these events a version is published until another of its kind: the others say what became of it.
_PUBLISHED = ("published", "restored")
_OF_STATE = (*_PUBLISHED, "reconciled", "rebuilt", "rejected", "withdrawn")


def disowned(scope: Scope) -> Iterator[Difference]:
    """Find rows that say of a bundle in sight that it is held, superseded or closed, though nobody decided so.

    Nothing but a change with SQL does that to what was published: the row is set to staging, and the bundle recorded.
    """
    rows = scope.settled_rows("held", "superseded", "rejected", "withdrawn")
    yield from scope.each(rows, functools.partial(_disowned, scope))


def _disowned(scope: Scope, row: Row) -> Iterator[Difference]:
    where = Places.of(scope.layout, row)
    if not places.is_folder(where.sight) or places.is_folder(where.hidden):
        return
    events = queries.events(scope.registry, row["data_id"])
    last = [one["event"] for one in events if one["version"] == row["version"] and one["event"] in _OF_STATE][-1:]
    if not set(last) & set(_PUBLISHED):
        return
    message = (
        f"{row['data_id']} version {row['version']} was published, and nobody decided that it is {row['status']}: "
        "corrected"
    )
    values = {"status": "staging", "published_path": None, "attempts": 0, "error": None}
    values |= dict.fromkeys(("closed_at", "closed_by", "closed_reason"))
    found = about("row_differs", row, where.sight, message)
    yield scope.repair(found, functools.partial(scope.change, row, values, "reconciled", message))


def marks(scope: Scope) -> Iterator[Difference]:
    """Find markers that differ from the registry: corrected. The workflow makes those that are missing."""
    aside = {data_id for data_id, _ in scope.aside}
    rows = [row for row in scope.rows() if row["data_id"] not in aside]
    current = {row["data_id"]: row["version"] for row in rows if row["status"] == "published"}
    newest = {row["data_id"]: dict(row) | {"current_version": current.get(row["data_id"])} for row in rows}
    yield from scope.each(newest.values(), functools.partial(_marks, scope))


def _marks(scope: Scope, row: Row) -> Iterator[Difference]:
    if row["status"] == "publishing":  # its publisher is about to write them
        return
    for kind in ("registered", "published"):
        if not _marker_differs(scope, kind, row):
            continue
        path = markers.place(scope.layout, kind, row["data_id"])
        message = f"{path} did not say what the registry says: corrected"
        found = about("marker_differs", row, path, message)
        yield scope.repair(found, functools.partial(_mark, scope, kind, row["data_id"]))


def _marker_differs(scope: Scope, kind: str, row: Row) -> bool:
    path = markers.place(scope.layout, kind, row["data_id"])
    return path.exists() and json_files.read_json(path) != markers.CONTENT[kind](row)


def _mark(scope: Scope, kind: str, data_id: str) -> bool:
    row = markers.newest(scope.registry, data_id)  # once more: a publisher may have come and gone meanwhile
    if row["status"] == "publishing" or not _marker_differs(scope, kind, row):
        return False
    content = markers.CONTENT[kind](row)
    if content is None:
        markers.remove(scope.layout, kind, data_id)
    else:
        markers.write(scope.layout, kind, content)
    return True
