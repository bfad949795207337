"""Converting between the rows and events of the registry and the record of a bundle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from contimg.bundle.bundle import read_metadata
from contimg.bundle.record import KINDS, Decision, with_decisions
from contimg.publishing.places import Places
from contimg.registry import queries
from contimg.registry.schema import publish_events


def publication(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of a row that a bundle's record holds, so that the row can be rebuilt from it."""
    keys = ("data_id", "version", "sha256", "qa_status", "validation_status", "auto_publish", "held_json")
    times = ("doi", "created_at", "staged_at", "approved_by", "approved_at", "approved_reason")
    return {key: row.get(key) for key in (*keys, *times)}


def recorded(connection: Connection, row: Mapping[str, Any]) -> list[Decision]:
    """Return the decisions about a version that stand in the registry, the oldest first."""
    table = publish_events.c
    query = select(table.time, table.event, table.message, table.actor, table.host).where(
        table.data_id == row["data_id"], table.version == row["version"], table.event.in_(KINDS)
    )
    return sorted(Decision(*found) for found in connection.execute(query))


# What the record of a copy on the stage says from the registration on; the rest is known later.
_FROM_THE_START = ("data_id", "version", "sha256", "auto_publish", "doi", "created_at")


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
    found = [name for name in names if record.get(name) != expected[name]]
    listed = with_decisions({}, decisions)["decisions"]
    return found + (["decisions"] if record.get("decisions", []) != listed else [])


def unknown_to(known: Iterable[Decision], found: Iterable[Decision]) -> list[Decision]:
    """Return those of the decisions in `found` that are later than all in `known`, the oldest first."""
    last = max((one.time for one in known), default="")
    return sorted(one for one in found if one.time > last)


def said(decisions: Iterable[Decision]) -> str:
    """Return decisions as words of a sentence."""
    return ", ".join(f"{one.by} has {one.decision} it on {one.time}" for one in decisions)


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
    closed = {"closed_at": one.time, "closed_by": one.by, "closed_reason": one.reason}
    if one.decision == "approved":
        approval = {"approved_by": one.by, "approved_at": one.time, "approved_reason": one.reason}
        return approval | ({"status": "staging", "attempts": 0, "error": None} if row["status"] == "held" else {})
    if one.decision == "rejected":
        return closed | {"status": "rejected", "published_path": None, "published_at": None}
    if one.decision == "withdrawn":
        return closed | {"status": "withdrawn", "published_path": str(where.hidden)}
    if one.decision == "cited":
        return {"doi": one.reason}
    if row["status"] != "withdrawn" or not is_earned(row):
        return {}
    return dict.fromkeys(closed) | {"status": "staging", "published_path": None, "attempts": 0, "error": None}


def is_earned(row: Mapping[str, Any]) -> bool:
    """Return whether a product may be published: it passed and was validated, or a person approved it."""
    passed = row["qa_status"] == "passed" and row["validation_status"] == "validated"
    return row["finalization_status"] == "finalized" and (passed or bool(row["approved_by"]))


def verdict_contradiction(row: Mapping[str, Any], path: Path) -> str | None:
    """Return how a row's verdict contradicts the one in its bundle's metadata, in words; None where they agree.

    The manifest keeps the bundle's verdict, and nothing keeps the row's: somebody may have edited the database.

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
    content = read_metadata(path).get("verdict")
    in_bundle = content.get("verdict") if isinstance(content, dict) else None
    if in_bundle == row["qa_status"]:
        return None
    return (
        f"the registry says that version {row['version']} of {row['data_id']} is {row['qa_status']}, and its bundle "
        f"{path} says {in_bundle}"
    )
