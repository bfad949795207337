"""Steps of reconciling for rows and decisions that the registry lost, and for bundles in the wrong place."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from contimg.bundle import bundle
from contimg.bundle.find import find_bundles, find_links, find_misnamed, find_staged
from contimg.bundle.record import Decision, is_of, last_placing, read_record
from contimg.errors import BusyError, ContimgError, RegistryError
from contimg.publishing import places
from contimg.publishing.carrying_out import finish_withdrawal
from contimg.publishing.differences import Difference, Row, Scope, about, is_as_read
from contimg.publishing.places import Places, is_folder
from contimg.publishing.rebuild import rebuild_archived, rebuild_staged
from contimg.publishing.recording import (
    add_decisions,
    after,
    contradiction,
    decided,
    edited,
    in_force,
    publication,
    recorded,
    said,
    unearned,
    unknown_to,
)
from contimg.registry.columns import damage, damaged
from contimg.registry.engine import RegistryStalled, RegistryUnavailable


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


def lost_decisions(scope: Scope) -> Iterator[Difference]:
    """Find decisions that stand in a bundle's record and not in the registry, or the reverse: copied to the other."""
    yield from scope.each(scope.settled_rows(), functools.partial(_lost_decisions, scope))


def _lost_decisions(scope: Scope, row: Row) -> Iterator[Difference]:
    where = Places.of(scope.layout, row)
    where.require_no_link()  # before a decision is taken over that could not be carried out, here or by later steps
    try:
        on_disk = where.decisions()
    except RegistryError as error:
        yield about("record_unreadable", row, where.sight, str(error), needs_person=True)
        return
    with scope.registry.read() as connection:
        known = recorded(connection, row)
    lost, otherwise = _believed(where, known, unknown_to(known, on_disk)), decided(row, known)
    if lost:
        message = f"the registry did not know that {said(lost)}: taken from the record beside the bundle"
        found = about("decision_lost", row, _first(where), message)
        if scope.dry_run:  # where it belongs then, the registry does not know yet
            scope.aside.add((row["data_id"], row["version"]))
        yield scope.repair(found, functools.partial(_apply, scope, row, known, lost, where))
    elif otherwise:
        message = (
            f"the row of {row['data_id']} version {row['version']} did not say what was decided, {said(known)} "
            f"({', '.join(otherwise)}): corrected"
        )
        found = about("row_differs", row, _first(where), message)
        yield scope.repair(found, functools.partial(scope.change, row, otherwise, "reconciled", message))
    elif (
        row["status"] in ("staging", "published") and row["finalization_status"] == "finalized" and unearned(row, known)
    ):
        yield _unapproved(scope, row, known)
    elif known and any(not _holds(where, place, known) for place in where.standing() if where.is_own(place)):
        message = f"the record of {row['data_id']} did not say that {said(known)}: written into it"
        found = about("record_lost", row, _first(where), message)
        write = functools.partial(where.record, publication(row), known)
        yield scope.repair(found, functools.partial(_unless_decided, scope, row, known, write))
    else:
        yield from _edited_records(scope, row, where, known)


def _believed(where: Places, known: list[Decision], unknown: list[Decision]) -> list[Decision]:
    """Return those of the decisions on the disk that the registry lost.

    One that is later than all that it knows may stand in one copy alone, as its process died. An earlier one was
    written into every copy; where a copy lacks it, somebody has edited the other.
    """
    last = max((one.time for one in known), default="")
    earlier = [one for one in unknown if one.time <= last]
    copies = [set(where.decisions_at(place)) for place in where.standing() if where.is_own(place)] if earlier else []
    return sorted({one for one in unknown if one.time > last or all(one in copy for copy in copies)})


def _unapproved(scope: Scope, row: Row, known: list[Decision]) -> Difference:
    """Set a version that is to be published, and must not be, back to what it was; without a way back, say so.

    So it is said of one that is published, by an approval that nobody has made: what stands in its row only.
    """
    why = unearned(row, known)
    if row["held_json"] is not None and not row["approved_by"]:
        found = about("unapproved", row, row["stage_path"], f"{why}: held again")
        return scope.repair(
            found, functools.partial(scope.change, row, {"status": "held"}, "reconciled", found.message)
        )
    scope.aside.add((row["data_id"], row["version"]))
    message = f"{why}: restore the registry from a backup" + (", or withdraw it" if row["published_path"] else "")
    return about("unapproved", row, row["published_path"] or row["stage_path"], message, needs_person=True)


def _edited_records(scope: Scope, row: Row, where: Places, known: list[Decision]) -> Iterator[Difference]:
    """Find copies whose record is gone or says otherwise than the registry: written anew.

    What stands in the archive though the row says that nothing does is not touched, nor what is another version's.
    Where the bundle contradicts the row, it is not the record that was edited.
    """
    archived = {"published": where.sight, "withdrawn": where.hidden}.get(row["status"])
    for place in (one for one in where.standing() if one in (where.stage, archived) and where.is_own(one)):
        names = edited(read_record(place), row, known, archived=place != where.stage)
        if names and contradiction(row, place) is None:
            message = (
                f"{place / bundle.PUBLICATION} does not say what the registry does ({', '.join(names)}): written anew"
            )
            found = about("record_differs", row, place, message)
            write = functools.partial(where.record_anew, place, publication(row), known)
            yield scope.repair(found, functools.partial(_unless_decided, scope, row, known, write))


def _unless_decided(scope: Scope, row: Row, known: list[Decision], write: Callable[[], object]) -> bool:
    """Write records while nobody can decide about a version; return False, unwritten, where somebody has since.

    Records that are written from decisions of before would lose a person's.
    """
    with scope.registry.transaction(lock=row["data_id"]) as connection:
        if recorded(connection, row) != known:
            return False
        write()
    return True


def _holds(where: Places, place: Path, decisions: list[Decision]) -> bool:
    return set(decisions) <= set(where.decisions_at(place))


def _first(where: Places) -> Path:
    return next(iter(where.standing()), where.stage)


def _apply(scope: Scope, row: Row, known: list[Decision], lost: list[Decision], where: Places) -> bool:
    def note(connection: Connection) -> None:
        add_decisions(connection, row, lost)

    values = after(row, in_force(known, lost), where)
    if not values:
        values = {"status": row["status"]}
    changed = scope.change(row, values, "reconciled", f"decisions of the bundle's record: {said(lost)}", note)
    if changed:
        both = sorted([*known, *lost])
        _unless_decided(scope, row, both, functools.partial(_spread, where, publication({**row, **values}), row, both))
    return changed


def _spread(where: Places, base: Mapping[str, Any], row: Row, decisions: list[Decision]) -> None:
    """Write decisions into the record of every copy of a version."""
    where.record(base, decisions)
    for place in where.standing():
        if is_of(read_record(place), row):  # an approval changes what else the record says
            where.record_anew(place, base, decisions)


@dataclass(frozen=True)
class Standing:
    """The state of a version in registry and archive.

    Attributes
    ----------
    status : str
        Of its row.
    sight, hidden : bool
        Whether a bundle stands under its final name, and among the withdrawn ones.
    last : str or None
        The last decision about it.
    """

    status: str
    sight: bool
    hidden: bool
    last: str | None


@dataclass(frozen=True)
class Answer:
    """What to do about a bundle in the wrong place.

    Attributes
    ----------
    code : str
        Of the `Difference`.
    action : str
        ``hide``, ``bring back``, ``aside`` (move to ``.altered``), ``hidden aside`` (the withdrawn copy), ``replace``
        (``aside``, then ``bring back``), ``withdraw`` (record it as withdrawn) or ``person``.
    message : str
        With a field ``{status}``.
    """

    code: str
    action: str
    message: str


def answer(one: Standing) -> Answer | None:
    """Return what to do about a bundle in the archive, from state, places and the last decision alone.

    None when state and places agree, or when the bytes decide (`unrecorded`, `published`).
    """
    if one.sight and one.hidden:
        if one.status in ("withdrawn", "rejected") or one.last in ("withdrawn", "rejected"):
            return Answer("not_hidden", "hide", "is {status} but was still in sight: set aside, as a copy is withdrawn")
        if one.last == "restored" and one.status in ("staging", "published"):
            return Answer("in_two_places", "hidden aside", "was restored, a copy stayed withdrawn: moved to .altered")
        return Answer("in_two_places", "person", "is in sight and withdrawn as well: remove one of the two")
    if one.hidden:
        if one.status in ("withdrawn", "rejected", "superseded"):
            return None
        if one.last == "restored" and one.status in ("staging", "published"):
            return Answer("not_in_sight", "bring back", "was restored but still withdrawn: moved back")
        return Answer("decision_lost", "withdraw", "is {status}, but its bundle was withdrawn: recorded as withdrawn")
    if not one.sight:
        return None
    if one.status in ("withdrawn", "rejected"):
        return Answer("not_hidden", "hide", "is {status} but was still in sight: moved to .withdrawn")
    if one.status in ("held", "superseded"):
        return Answer("unapproved", "aside", "is {status}, and nothing shows that it was approved: moved to .altered")
    return None


def misplaced(scope: Scope) -> Iterator[Difference]:
    """Find bundles under their final name, or among the withdrawn ones, that should not be there: moved."""
    hidden_ones: list[tuple[Difference, Callable[[], object]]] = []
    yield from scope.each(scope.settled_rows(), functools.partial(_misplaced, scope, hidden_ones))
    yield from scope.bounded(hidden_ones)


def _misplaced(
    scope: Scope, hidden_ones: list[tuple[Difference, Callable[[], object]]], row: Row
) -> Iterator[Difference]:
    where = Places.of(scope.layout, row)
    sight, hidden = is_folder(where.sight), is_folder(where.hidden)
    last = _last_decision(scope, row) if hidden else None
    found = answer(Standing(row["status"], sight, hidden, last))
    if found is None:
        if row["status"] != "withdrawn" or not hidden:
            return
        if not where.is_own(where.hidden):
            message = f"{where.hidden} is not the bundle that the registry's row says was withdrawn: restore either"
            yield about("altered", row, where.hidden, f"{message} from a backup", needs_person=True)
            return
        if row["published_path"] == str(where.hidden):
            return
        found = Answer("not_hidden", "hide", "is {status}, and the registry named another place: corrected")
    if found.action == "hidden aside" and bundle.archived_problem(where.sight, row["sha256"]) is not None:
        found = _instead_of_restored(row, where)
    message = f"{row['data_id']} version {row['version']} {found.message.format(status=row['status'])}"
    difference = about(found.code, row, where.sight, message, needs_person=found.action == "person")
    action = functools.partial(_move, scope, row, where, found.action)
    if found.action == "person":
        yield difference
    elif sight and found.action in ("hide", "aside"):
        hidden_ones.append((difference, action))
    else:
        yield scope.repair(difference, action)


def _instead_of_restored(row: Row, where: Places) -> Answer:
    """Return what to do where another bundle, or an altered one, stands where a restored one belongs."""
    problem = bundle.archived_problem(where.hidden, row["sha256"])
    if problem is None:
        message = "was restored, and what stood in its place is not it: moved to .altered, and the right one moved back"
        return Answer("in_two_places", "replace", message)
    return Answer(
        "in_two_places", "person", f"was restored, and neither of two copies is whole ({problem}): remove one"
    )


def _last_decision(scope: Scope, row: Row) -> str | None:
    with scope.registry.read() as connection:
        last = last_placing(recorded(connection, row))
    return None if last is None else last.decision


def _move(scope: Scope, row: Row, where: Places, action: str) -> bool:
    if action == "withdraw":
        values = {"status": "withdrawn", "published_path": str(where.hidden)}
        closed = {
            "closed_at": row["created_at"],
            "closed_by": "unknown",
            "closed_reason": "withdrawn, with no record why",
        }
        return scope.change(row, values | closed, "reconciled", f"{where.hidden} is withdrawn")
    if action == "hide" and row["status"] == "withdrawn":
        return finish_withdrawal(scope.registry, scope.layout, row)
    move: Callable[[Places], object] = {
        "aside": places.set_aside,
        "hidden aside": places.set_hidden_aside,
        "replace": places.replace_in_sight,
        "bring back": places.bring_back,
        "hide": places.hide,
    }[action]
    # Others may have carried it out, and decided anew, since the row was read.
    with scope.registry.transaction(lock=row["data_id"]) as connection:
        if not is_as_read(connection, row):
            return False
        move(where)
    return True
