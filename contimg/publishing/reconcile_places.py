"""Steps of reconciling for bundles in the wrong place: in sight, or hidden, where they should not be."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from contimg.bundle import bundle
from contimg.bundle.record import last_placing
from contimg.publishing import places
from contimg.publishing.carrying_out import finish_withdrawal
from contimg.publishing.differences import Difference, Row, Scope, about, is_as_read
from contimg.publishing.places import Places, is_folder
from contimg.publishing.recording import recorded


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
