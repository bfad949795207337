"""Converting between the rows and events of the registry and the record of a bundle."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Select, bindparam, select

from contimg.bundle.bundle import read_metadata
from contimg.bundle.metadata import summary
from contimg.bundle.record import (
    KINDS,
    PLACING,
    Decision,
    is_decision,
    is_of,
    last_placing,
    read_record,
    said,
    with_decisions,
)
from contimg.errors import RegistryError
from contimg.publishing.places import Places, is_folder
from contimg.registry import columns, queries
from contimg.registry.schema import publish_events


def publication(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of a row that a bundle's record holds, so that the row can be rebuilt from it."""
    keys = (
        "data_id",
        "version",
        "sha256",
        "qa_status",
        "validation_status",
        "auto_publish",
        "held_json",
        "tags_sha256",
    )
    times = ("doi", "created_at", "staged_at", "published_at", "approved_by", "approved_at", "approved_reason")
    return {key: row.get(key) for key in (*keys, *times)}


def first_published(row: Mapping[str, Any], path: Path) -> str | None:
    """Return when a version was first published, as its row says, else its bundle's record; None where neither does.

    Parameters
    ----------
    row : mapping
    path : Path
        The bundle in the archive. A record of before records said it, or one that cannot be read, says nothing.
    """
    if row["published_at"] is not None:
        return str(row["published_at"])
    try:
        record = read_record(path)
    except (RegistryError, FileNotFoundError):  # reconciling reports it
        return None
    return record.get("published_at") if is_of(record, row) else None


def recorded(connection: Connection, row: Mapping[str, Any]) -> list[Decision]:
    """Return the decisions about a version that stand in the registry, the oldest first.

    Raises
    ------
    RegistryError
        If one is none, as after a change with SQL: written into a record it would make that unreadable.
    """
    asked = {"asked_id": row["data_id"], "asked_version": row["version"]}
    found = [Decision(*one) for one in connection.execute(_select_decisions(), asked)]
    odd = next((one for one in found if not is_decision(one)), None)
    if odd is not None:
        raise RegistryError(
            f"the registry's event '{odd.decision}' of {row['data_id']} version {row['version']} is damaged (its time, "
            "name, host or reason): restore the registry from a backup"
        )
    return sorted(found)


@functools.cache
def _select_decisions() -> Select[Any]:
    table = publish_events.c
    about = (table.data_id == bindparam("asked_id"), table.version == bindparam("asked_version"))
    return select(table.time, table.event, table.message, table.actor, table.host).where(*about, table.event.in_(KINDS))


# What the record of a copy on the stage says from the registration on; the rest is known later.
_FROM_THE_START = ("data_id", "version", "sha256", "auto_publish", "doi", "created_at", "tags_sha256")
_LATER = ("published_at", "tags_sha256")  # that records and rows of before do not have


def edited(
    record: Mapping[str, Any], row: Mapping[str, Any], decisions: Iterable[Decision], *, archived: bool
) -> list[str]:
    """Return what a bundle's record says otherwise than the registry: names of fields, and ``decisions``.

    Parameters
    ----------
    record : mapping
        As read; empty where there is none.
    row : mapping
        The version's row.
    decisions : iterable of Decision
        Those about it in the registry.
    archived : bool
        The copy is in the archive, and not on the stage.
    """
    expected = publication(row)
    names = expected if archived else _FROM_THE_START
    stated = [name for name in names if name not in _LATER or (name in record and expected[name] is not None)]
    found = [name for name in stated if record.get(name) != expected[name]]
    listed = with_decisions({}, decisions)["decisions"]
    return found + (["decisions"] if record.get("decisions", []) != listed else [])


def edited_decisions(known: Iterable[Decision], found: Iterable[Decision]) -> list[tuple[Decision, Decision]]:
    """Return the decisions of one kind and moment that the registry holds in one form, and the records in another.

    Nobody takes two in one millisecond: somebody has edited either. Those of before records held hosts are left out.
    """
    known, found = set(known), set(found)
    registered = {(one.time, one.decision): one for one in known - found}
    written = {(one.time, one.decision): one for one in found - known if one.host}
    return [(registered[key], written[key]) for key in sorted(registered.keys() & written.keys())]


def in_force(known: Iterable[Decision], lost: Iterable[Decision]) -> list[Decision]:
    """Return those of the lost decisions that still change the row: later than all known ones of their sort.

    One that says where the bundle belongs is overtaken by a later one that does, and a DOI by a later DOI.
    """
    last: dict[bool, str] = {}
    for one in known:
        last[one.decision in PLACING] = max(last.get(one.decision in PLACING, ""), one.time)
    return [one for one in lost if one.time > last.get(one.decision in PLACING, "")]


def add_decisions(connection: Connection, row: Mapping[str, Any], decisions: Iterable[Decision]) -> None:
    """Insert decisions found in a bundle's record as events, with the time, person and host of each decision."""
    for one in decisions:
        stamp = queries.Stamp(one.time, one.by, one.host)
        queries.add_event(connection, row["data_id"], row["version"], one.decision, one.reason, stamp)


def after(row: Mapping[str, Any], decisions: Iterable[Decision], where: Places) -> dict[str, Any]:
    """Return the columns of a row that change when decisions are applied to it in their order.

    A restored product is in ``staging`` until its bundle is found whole under its final name.
    """
    now_row: dict[str, Any] = dict(row)
    for one in decisions:
        now_row |= _step(now_row, one, where)
    return {key: value for key, value in now_row.items() if value != row.get(key)}


def _step(row: Mapping[str, Any], one: Decision, where: Places) -> dict[str, Any]:
    closed = _closed(one)
    if one.decision == "approved":
        return _approval(one) | ({"status": "staging", "attempts": 0, "error": None} if row["status"] == "held" else {})
    if one.decision == "rejected":
        return closed | {"status": "rejected", "published_path": None, "published_at": None}
    if one.decision == "withdrawn":
        first = first_published(row, where.hidden if is_folder(where.hidden) else where.sight)
        return closed | {"status": "withdrawn", "published_path": str(where.hidden), "published_at": first}
    if one.decision == "cited":
        return {"doi": one.reason}
    if row["status"] != "withdrawn" or not is_earned(row):
        return {}
    return dict.fromkeys(closed) | {"status": "staging", "published_path": None, "attempts": 0, "error": None}


def is_earned(row: Mapping[str, Any]) -> bool:
    """Return whether a product may be published: it passed, with no reason to hold it, or a person approved it."""
    passed = (row["qa_status"], row["validation_status"], row["held_json"]) == ("passed", "validated", None)
    return row["finalization_status"] == "finalized" and (passed or bool(row["approved_by"]))


def decided(row: Mapping[str, Any], decisions: Iterable[Decision]) -> dict[str, Any]:
    """Return the columns in which a row is otherwise than the decisions about it say, with what they say.

    They are set together with the decision; if they differ, somebody has edited the database.
    """
    last = {one.decision: one for one in sorted(decisions)}
    placing = last_placing(last.values())
    says: dict[str, Any] = {}
    if "approved" in last:
        says |= _approval(last["approved"])
    if "cited" in last:
        says["doi"] = last["cited"].reason
    if placing is not None and placing.decision in ("rejected", "withdrawn"):
        says |= {"status": placing.decision} | _closed(placing)
        if placing.decision == "rejected" != row["status"]:
            says |= {"published_path": None, "published_at": None}
    elif placing is not None and placing.decision == "approved" and row["status"] == "held":
        says |= {"status": "staging", "attempts": 0, "error": None}
    return {key: value for key, value in says.items() if value != row[key]}


def unearned(row: Mapping[str, Any], decisions: Collection[Decision]) -> str | None:
    """Return why a row must not be published, whatever state it names, in words; None where it may.

    Nothing but the database keeps the state and the name of who approved; an approval stands among the decisions too.
    """
    name = f"version {row['version']} of {row['data_id']}"
    if "status" in decided(row, decisions):
        return f"the registry says that {name} is {row['status']}, and that {said([max(_placing(decisions))])}"
    if not is_earned(row):
        return f"{name} did not pass, or is held, and nobody approved it"
    if row["approved_by"] and not any(one.decision == "approved" for one in decisions):
        return f"the registry says that {name} was approved by {row['approved_by']}, and no decision of theirs is known"
    return None


def _placing(decisions: Iterable[Decision]) -> list[Decision]:
    return [one for one in decisions if one.decision in PLACING]


def _approval(one: Decision) -> dict[str, Any]:
    return {"approved_by": one.by, "approved_at": one.time, "approved_reason": one.reason}


def _closed(one: Decision) -> dict[str, Any]:
    return {"closed_at": one.time, "closed_by": one.by, "closed_reason": one.reason}


def contradiction(row: Mapping[str, Any], path: Path) -> str | None:
    """Return how a row contradicts its bundle's metadata, in words; None where they agree.

    The manifest keeps what the bundle says, and nothing keeps the row: somebody may have edited the database. The
    verdict of what a person approved is not compared, nor that of a version which nobody has judged yet.

    Parameters
    ----------
    row : mapping
    path : Path
        The bundle.

    Raises
    ------
    InputError
        If the bundle's metadata cannot be read.
    """
    content = read_metadata(path)
    verdict = content.get("verdict")
    in_bundle = verdict.get("verdict") if isinstance(verdict, dict) else None
    judged = row["finalization_status"] == "finalized"
    if judged and in_bundle != row["qa_status"] and not row["approved_by"]:
        return (
            f"the registry says that version {row['version']} of {row['data_id']} is {row['qa_status']}, and its "
            f"bundle {path} says {in_bundle}"
        )
    says = {"data_type": content.get("data_type"), "synthetic": content.get("synthetic")}
    names = [name for name, value in says.items() if value != row[name]]
    names += ["metadata_json"] if columns.summary(row) != summary(content) else []
    if not names:
        return None
    return (
        f"the registry's row of version {row['version']} of {row['data_id']} does not say what its bundle {path} says "
        f"({', '.join(names)})"
    )
