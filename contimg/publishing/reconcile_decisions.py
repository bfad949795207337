"""Steps of reconciling for decisions: those of the registry and of the records beside the bundles agree."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from contimg.bundle import bundle
from contimg.bundle.record import Decision, read_record, said, unknown_to
from contimg.errors import ContimgError, RegistryError
from contimg.publishing.differences import Difference, Row, Scope, about
from contimg.publishing.places import Places
from contimg.publishing.recording import (
    add_decisions,
    after,
    contradiction,
    decided,
    edited,
    edited_decisions,
    in_force,
    publication,
    recorded,
    unearned,
)
from contimg.replicas import copy_records, fetching


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
    for ours, theirs in edited_decisions(known, on_disk):
        yield _edited_decision(row, where, ours, theirs)
        return
    lost, otherwise = _believed(where, known, unknown_to(known, on_disk)), decided(row, known)
    in_copies = unknown_to([*known, *lost], _in_replicas(scope, row))
    if lost or in_copies:
        source = "of its copy in a replica" if in_copies else "beside the bundle"
        lost = sorted([*lost, *in_copies])
        message = f"the registry did not know that {said(lost)}: taken from the record {source}"
        found = about("decision_lost", row, _first(where), message)
        if scope.dry_run:  # where it belongs then, the registry does not know yet
            scope.aside.add((row["data_id"], row["version"]))
        yield scope.repair(found, functools.partial(_apply, scope, row, known, lost, where))
        return
    if otherwise:
        message = (
            f"the row of {row['data_id']} version {row['version']} did not say what was decided, {said(known)} "
            f"({', '.join(otherwise)}): corrected"
        )
        found = about("row_differs", row, _first(where), message)
        done = scope.repair(found, functools.partial(scope.change, row, otherwise, "reconciled", message))
        yield done
        if not done.repaired:
            return
        row = dict(row) | otherwise  # a record may be wrong beside it
    if row["status"] in ("staging", "published") and row["finalization_status"] == "finalized" and unearned(row, known):
        yield _unapproved(scope, row, known)
        return
    if known and any(not _holds(where, place, known) for place in where.standing() if where.is_own(place)):
        message = f"the record of {row['data_id']} did not say that {said(known)}: written into it"
        found = about("record_lost", row, _first(where), message)
        write = functools.partial(where.record, publication(row), known)
        yield scope.repair(found, functools.partial(_unless_decided, scope, row, known, write))


def _in_replicas(scope: Scope, row: Row) -> set[Decision]:
    """Return the decisions in the records of copies; looked for where one mosaic is asked for, as `sync` advises.

    Registry and archive may both be of an earlier day than a replica. What cannot be read there is no copy's word.
    """
    found: set[Decision] = set()
    asked = scope.replicas if scope.data_id is not None else ()
    for one in fetching.sources(scope.registry, scope.layout, asked, row):
        with contextlib.suppress(ContimgError):
            found.update(copy_records.decisions_of(one.store, one.place, row["sha256"]))
    return found


def _edited_decision(row: Row, where: Places, ours: Decision, theirs: Decision) -> Difference:
    """Return that registry and records hold two forms of one decision: nothing tells which of them was edited."""
    record = next(place for place in where.standing() if theirs in where.decisions_at(place)) / bundle.PUBLICATION
    message = (
        f"the registry says that {said([ours])} ('{ours.reason}', at {ours.host}), and {record} that {said([theirs])} "
        f"('{theirs.reason}', at {theirs.host}): if the registry is right, remove that file, then 'contimg reconcile'; "
        "else restore the registry from a backup"
    )
    return about("decision_differs", row, record, message, needs_person=True)


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


def edited_records(scope: Scope) -> Iterator[Difference]:
    """Find copies whose record is gone or says otherwise than the registry: written anew.

    It is looked for once all rows are settled: one that was recorded as published just now may have lost its record.
    What stands in the archive though the row says that nothing does is not touched, nor what is another version's.
    Where the bundle contradicts the row, it is not the record that was edited.
    """
    yield from scope.each(scope.settled_rows(), functools.partial(_edited_records, scope))


def _edited_records(scope: Scope, row: Row) -> Iterator[Difference]:
    where = Places.of(scope.layout, row)
    archived = {"published": where.sight, "withdrawn": where.hidden}.get(row["status"])
    with scope.registry.read() as connection:
        known = recorded(connection, row)
    try:
        own = [one for one in where.standing() if one in (where.stage, archived) and where.is_own(one)]
        names = {one: edited(read_record(one), row, known, archived=one != where.stage) for one in own}
    except RegistryError:  # one that cannot be read: `lost_decisions` has said it
        return
    for place in own:
        if names[place] and _agree(row, where, known) and contradiction(row, place) is None:
            message = (
                f"{place / bundle.PUBLICATION} does not say what the registry does ({', '.join(names[place])}): "
                "written anew"
            )
            found = about("record_differs", row, place, message)
            write = functools.partial(where.record_anew, place, publication(row), known)
            yield scope.repair(found, functools.partial(_unless_decided, scope, row, known, write))


def _agree(row: Row, where: Places, known: list[Decision]) -> bool:
    """Return whether row, registry and records hold the same decisions; `lost_decisions` has said where they do not."""
    try:
        on_disk = where.decisions()
    except RegistryError:
        return False
    lost = _believed(where, known, unknown_to(known, on_disk))
    return not (lost or edited_decisions(known, on_disk) or decided(row, known))


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
        _unless_decided(scope, row, both, functools.partial(_spread, where, publication({**row, **values}), both))
    return changed


def _spread(where: Places, base: Mapping[str, Any], decisions: list[Decision]) -> None:
    """Write decisions, and what an approval changes besides, into the record of every copy of a version."""
    for place in filter(where.is_own, where.standing()):
        where.record_anew(place, base, decisions)
