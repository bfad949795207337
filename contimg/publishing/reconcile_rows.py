"""Steps of reconciling for rows that are damaged, and for those that the registry lost."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from contimg.bundle import bundle
from contimg.bundle.find import find_bundles, find_links, find_misnamed, find_staged
from contimg.errors import BusyError, ContimgError, RegistryError
from contimg.publishing import places
from contimg.publishing.differences import Difference, Row, Scope
from contimg.publishing.places import Places
from contimg.publishing.rebuild import rebuild_archived, rebuild_staged
from contimg.registry.columns import damage, damaged
from contimg.registry.refusals import RegistryStalled, RegistryUnavailable


def damaged_rows(scope: Scope) -> Iterator[Difference]:
    """Find rows that are damaged themselves: no later step looks at them."""

    def look(row: Row) -> Iterator[Difference]:
        found = damage(row) or _misplaced_by_row(scope, row)
        if found is not None:
            raise RegistryError(found)
        yield from ()

    yield from scope.each(scope.rows(), look)


def _misplaced_by_row(scope: Scope, row: Row) -> str | None:
    """Return what is wrong with the paths in a row, which follow from id, version and layout; None where all is well.

    A repair that believed them would remove what stands there. That of what is published or withdrawn is corrected.
    """
    where, stage = Places.of(scope.layout, row), scope.layout.product("registered", row["data_id"])
    if where.stage != stage / f"v{row['version']}":
        return str(damaged(row, "stage_path"))
    archived = row["published_path"] is None or Path(row["published_path"]) in (where.sight, where.hidden)
    return None if archived or row["status"] in ("published", "withdrawn") else str(damaged(row, "published_path"))


def lost_rows(scope: Scope) -> Iterator[Difference]:
    """Find bundles in the archive and on the stage that have no row: their rows are rebuilt."""
    known = {(row["data_id"], row["version"]) for row in scope.rows()}
    for path, data_id, version, _ in find_bundles(scope.layout, scope.data_id):
        if (data_id, version) not in known:
            known.add((data_id, version))
            yield from _lost(scope, path, data_id, version, rebuild_archived)
    for path, data_id, version in find_staged(scope.layout, scope.data_id):
        if (data_id, version) not in known:
            yield from _lost(scope, path, data_id, version, rebuild_staged)
    if scope.data_id is None:
        for path in find_misnamed(scope.layout):
            if any(path == scope.layout.bundle(*key) for key in known):  # a symlink: other steps look at that row
                continue
            message = f"{path} is a bundle, and no bundle belongs there: move it away"
            yield Difference("foreign", "", 0, str(path), message, needs_person=True)
        yield from _behind_links(scope)


def _behind_links(scope: Scope) -> Iterator[Difference]:
    """Find symlinks behind which bundles may stand that have no row; steps that look at a row say it of that row."""
    places_known = [Places.of(scope.layout, row) for row in scope.rows() if damage(row) is None]
    known = {one for where in places_known for place in (where.stage, where.sight) for one in (place, *place.parents)}
    for path, message in find_links(scope.layout):
        if path not in known:
            yield Difference("unreadable", "", 0, str(path), message, needs_person=True)


def _lost(scope: Scope, path: Path, data_id: str, version: int, rebuild: object) -> Iterator[Difference]:
    what = Difference("unreadable", data_id, version, str(path), f"{path} is not in the registry, and")
    yield from scope.attempt(what, functools.partial(_rebuilt, scope, path, data_id, version, rebuild))


def _rebuilt(scope: Scope, path: Path, data_id: str, version: int, rebuild: object) -> Iterator[Difference]:
    found = Difference("row_lost", data_id, version, str(path), f"{path} is not in the registry: row rebuilt from it")
    problem = bundle.problem(path, None)
    if problem is not None:
        message = f"{path} is not in the registry and is no whole bundle ({problem}): move it away"
        yield replace(found, code="foreign", needs_person=True, message=message)
        return
    manifest_sha256, _ = bundle.read_manifest(path)
    try:
        assert callable(rebuild)
        action = rebuild(scope.registry, scope.layout, path, data_id, version, manifest_sha256)

        def settled() -> object:
            places.settle(scope.layout, path)  # the row will outlive a power cut
            return action()

        yield scope.repair(found, settled)
    except (RegistryUnavailable, RegistryStalled, BusyError):
        raise
    except ContimgError as error:  # of that bundle: its content is not what rows are made of
        message = f"{path} is not in the registry, and its row cannot be made again: {error}"
        yield replace(found, code="foreign", needs_person=True, message=message)
