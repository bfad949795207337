"""Steps of reconciling for bundles whose files are not where the registry says, or differ from their manifest."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from contimg.bundle import bundle, unchanged
from contimg.bundle.record import is_time
from contimg.publishing import places
from contimg.publishing.differences import Difference, Row, Scope, about
from contimg.publishing.places import ALTERED, Places
from contimg.publishing.recording import contradiction, first_published, recorded, unearned
from contimg.publishing.register import gather_registered, reassemble, stage_problem
from contimg.replicas import commits, fetching
from contimg.replicas.fetching import Source
from contimg.replicas.stores import FolderStore
from contimg.storage import safe_files
from contimg.storage.atomic import atomic_path
from contimg.times import now, unix_from_utc


def unrecorded(scope: Scope) -> Iterator[Difference]:
    """Find bundles that stand under their final name while the row says ``staging``: they are recorded as published."""
    yield from scope.each(scope.settled_rows("staging", "publishing"), functools.partial(_unrecorded, scope))


def _unrecorded(scope: Scope, row: Row) -> Iterator[Difference]:
    final = scope.layout.bundle(row["data_id"], row["version"])
    if not final.is_dir():
        return
    problem = bundle.archived_problem(final, row["sha256"], row["tags_sha256"])
    if problem is not None:
        message = f"{final} stands where {row['data_id']} is to be published, and differs ({problem}): move it away"
        yield about("foreign", row, final, message, needs_person=True)
        return
    if row["finalization_status"] != "finalized":  # registered since it was looked at
        return
    with scope.registry.read() as connection:
        why = unearned(row, recorded(connection, row))
    if why is not None:
        message = f"{final} is in sight, and {why}: move it away"
        yield about("unapproved", row, final, message, needs_person=True)
        return
    found = about("not_recorded", row, final, f"{final} is whole but was not recorded as published: recorded")
    yield scope.repair(found, functools.partial(_record, scope, row, final))


def _record(scope: Scope, row: Row, final: Path) -> bool:
    places.settle(scope.layout, final)
    time = now()
    first = first_published(row, final) or time
    values: dict[str, Any] = {"status": "published", "published_path": str(final), "published_at": first}
    values |= {"verified_at": time, "error": None}
    values |= dict.fromkeys(("closed_at", "closed_by", "closed_reason"))
    return scope.change(row, values, "published", f"{final} (found by reconcile)")


Lost = list[tuple[Difference, Callable[[], object]]]


def published(scope: Scope) -> Iterator[Difference]:
    """Find published bundles that are missing or altered: set back to ``staging``, to be published again."""
    lost: Lost = []
    yield from scope.each(scope.rows("published"), functools.partial(_published, scope, lost))
    yield from scope.bounded(lost)


def _published(scope: Scope, lost: Lost, row: Row) -> Iterator[Difference]:
    path = Path(row["published_path"])
    where = Places.of(scope.layout, row)
    if path == where.sight and places.is_folder(where.hidden):  # `misplaced` looks after these
        return
    if path != where.sight and bundle.archived_problem(where.sight, row["sha256"]) is None:
        message = f"{where.sight} is whole, and the registry named another place, {path}: corrected"
        found = about("not_recorded", row, where.sight, message)
        values = {"published_path": str(where.sight)}
        yield scope.repair(found, functools.partial(scope.change, row, values, "reconciled", message))
        return
    missing = not path.is_dir()
    problem, strays = (f"{path} is missing", []) if missing else _problem(scope, row, path)
    if problem is None:
        yield from _contradicted(row, path)
        return
    if path == where.sight and strays:
        more = f" (and {len(strays) - 1} more)" if len(strays) > 1 else ""
        message = f"{path / strays[0]} is not of the bundle{more}: moved to {ALTERED}"
        yield scope.repair(
            about("stray", row, path, message), functools.partial(places.set_aside_strays, where, strays)
        )
        return
    found = about("missing" if missing else "altered", row, path, problem)
    # After a move of the archive, or with nothing whole anywhere, a person must decide.
    can = path == where.sight and _can_be_made_again(scope, row)
    asked = () if can or path != where.sight else scope.replicas
    found_in = list(fetching.sources(scope.registry, scope.layout, asked, row))
    if not can and not found_in:
        message = f"{problem}, and no whole copy is on the stage: restore it from a backup, or withdraw it"
        yield replace(found, message=message, needs_person=True)
        return
    moved = "" if missing else f", the altered bundle moved to {scope.layout.products / ALTERED}"
    again = f" from replica {' or '.join(one.store.where for one in found_in)}" if found_in else ""
    message = f"{problem}: given back to staging to be published again{again}{moved}"
    action = functools.partial(_unpublish, scope, row, where, problem, found_in)
    lost.append((replace(found, message=message), action))


def _contradicted(row: Row, path: Path) -> Iterator[Difference]:
    """Find a row that says otherwise than its bundle, which is whole."""
    problem = contradiction(row, path)
    if problem is not None:
        what = ", or withdraw the mosaic" if row["status"] == "published" else ""
        message = f"{problem}: restore the registry from a backup{what}"
        yield about("verdict_differs", row, path, message, needs_person=True)


def _problem(scope: Scope, row: Row, path: Path) -> tuple[str | None, list[str]]:
    """Return what is wrong with a bundle in the archive, and the files that are not its own if that is all.

    Before a product is registered or published, nothing is read that was found right before and that nobody has touched
    since, unless a verification found it wrong: rot does not change the times of a file.
    """
    read = row["verified_at"]
    known = read is not None and (row["problem_at"] or "") <= read <= now() and is_time(read)
    if known and not scope.every_byte and unchanged.is_unchanged(path, row["sha256"], unix_from_utc(read)):
        return None, []
    if path.is_symlink():
        return bundle.archived_problem(path, row["sha256"]), []
    return bundle.problem_and_strays(path, row["sha256"], row["tags_sha256"])


def _can_be_made_again(scope: Scope, row: Row) -> bool:
    if bundle.problem(Path(row["stage_path"]), row["sha256"], row["tags_sha256"]) is None:
        return True
    return gather_registered(scope.layout, row, scope.judged_by) is not None


def _fetch(scope: Scope, row: Row, found: list[Source]) -> None:
    """Bring a bundle from replicas back to the stage; raise `RegistryError` where a file of it is whole nowhere.

    What is left of it in the archive and on the stage may be whole where a copy is not.
    """
    staged = Path(row["stage_path"])
    relative = safe_files.relative_to_root(staged, scope.layout.stage, "paths.stage")
    left = (
        Source(FolderStore(scope.layout.products), commits.row_place(scope.layout, row)),
        Source(FolderStore(scope.layout.stage), str(relative)),
    )
    with (
        safe_files.open_folder(scope.layout.stage, relative.parent, create=True),
        atomic_path(staged) as part,
    ):
        fetching.fetch_bundle([*found, *left], part, row["sha256"], row["tags_sha256"])


def _unpublish(scope: Scope, row: Row, where: Places, problem: str, found_in: list[Source]) -> bool:
    # Once more: a disk that gave nothing back for a while does again, now that another copy of the bundle was read
    # from it, and another process may have brought the bundle back.
    if bundle.archived_problem(where.sight, row["sha256"], row["tags_sha256"]) is None:
        return False
    if found_in:
        _fetch(scope, row, found_in)
    staged = Path(row["stage_path"])
    if places.is_folder(staged):
        places.settle(scope.layout, staged)  # who brought it back may have died before it was on the disk
    missing = not where.sight.is_dir()
    # That it was published once is kept: no later version supersedes it.
    values = {"status": "staging", "published_path": None, "attempts": 0}

    def aside(_connection: Connection) -> None:
        if not missing:
            places.set_aside(where)

    # Set aside within the transaction: dying in between leaves 'published but missing', which the next call repairs.
    return scope.change(row, values, "reconciled", problem, aside)


def closed(scope: Scope) -> Iterator[Difference]:
    """Find what is not published any more, or never will be: rows and copies out of sight that are not as they were."""
    yield from scope.each(scope.settled_rows("withdrawn", "rejected", "superseded"), functools.partial(_closed, scope))


def _closed(scope: Scope, row: Row) -> Iterator[Difference]:
    where = Places.of(scope.layout, row)
    for place in where.standing():
        if bundle.manifest_digest(place) == row["sha256"]:
            yield from _contradicted(row, place)  # every copy says the same
            break
        if row["status"] != "withdrawn":  # of that, `misplaced` has said it
            message = f"{place} is not the bundle that the registry's row says is {row['status']}: restore either"
            yield about("altered", row, place, f"{message} from a backup", needs_person=True)
            return
    if not places.is_folder(where.hidden) or not where.is_own(where.hidden):
        return
    problem, _ = _problem(scope, row, where.hidden)
    if problem is not None:
        remedy = f"bring it back from a backup or a replica, or remove {where.hidden}, which nobody can restore so"
        message = f"{problem}: {remedy}"
        yield about("altered", row, where.hidden, message, needs_person=True)


def staged(scope: Scope) -> Iterator[Difference]:
    """Find bundles on the stage that are missing or altered: made again from the mosaic."""
    yield from scope.each(scope.rows("staging", "held"), functools.partial(_staged, scope))


def _staged(scope: Scope, row: Row) -> Iterator[Difference]:
    place = Path(row["stage_path"])
    # Reading every byte costs as much as publishing: before that only after a failure.
    settled = row["finalization_status"] == "finalized" and row["error"] is None
    if not scope.every_byte and settled and place.is_dir():
        return
    problem = stage_problem(row)
    if problem is None:
        yield from _contradicted(row, place) if settled else ()
        return
    found = about("stage_altered", row, place, f"{problem}: made again from the mosaic")
    if _can_be_made_again(scope, row):
        action = functools.partial(reassemble, scope.registry, scope.layout, row, scope.judged_by)
        yield scope.repair(found, action)
        return
    what = "the mosaic on the stage is another one now: snakemake --forcerun mosaic_group"
    if not scope.layout.product("mosaic", row["data_id"]).exists():  # as on a stage that is not mounted
        stage = scope.layout.stage
        what = f"its mosaic is not there either: mount {stage} or correct paths.stage; if it was lost, "
        what += "snakemake --forcerun mosaic_group"
    yield replace(found, message=f"{problem}, and {what}", needs_person=True)
