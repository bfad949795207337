"""Which bundles have a copy in which replica: the registry's table ``replica_copies``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, delete, exists, func, insert, select, update

from contimg.bundle.record import KINDS
from contimg.registry.engine import Registry
from contimg.registry.schema import data_registry, publish_events, replica_copies
from contimg.times import ago, now

Row = Mapping[str, Any]
_ROW, _COPY = data_registry.c, replica_copies.c
_NAMES = ("data_id", "version", "status", "sha256", "tags_sha256", "published_path", "stage_path", "closed_at")
_NEVER = "0001-01-01T00:00:00.000Z"  # of a copy that was found in a replica, and not read since


def _all(registry: Registry, query: Select[Any]) -> list[Row]:
    with registry.read() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def _is_current() -> ColumnElement[bool]:
    later = data_registry.alias("later")
    beside = (later.c.data_id == _ROW.data_id, later.c.version > _ROW.version, later.c.status == "published")
    return ~exists().where(*beside)


def _columns() -> list[Any]:
    return [_ROW[name] for name in _NAMES]


def _copied(url: str) -> ColumnElement[bool]:
    return and_(_COPY.url == url, _COPY.data_id == _ROW.data_id, _COPY.version == _ROW.version)


def missing(registry: Registry, url: str, keep: str, data_id: str | None = None) -> list[Row]:
    """Return the published rows that a replica should have a copy of and has none, in order."""
    query = _select_missing(url, keep)
    if data_id is not None:
        query = query.where(_ROW.data_id == data_id)
    return _all(registry, query.order_by(_ROW.data_id, _ROW.version))


def _select_missing(url: str, keep: str) -> Select[Any]:
    query = select(*_columns()).where(_ROW.status == "published", ~exists().where(_copied(url)))
    return query.where(_is_current()) if keep == "current" else query


def every(registry: Registry) -> list[Row]:
    """Return the rows of all versions, in order."""
    return _all(registry, select(*_columns()).order_by(_ROW.data_id, _ROW.version))


def noted(registry: Registry, url: str) -> set[tuple[str, int]]:
    """Return the ids and versions of which a replica is known to have a copy."""
    return {
        (row["data_id"], row["version"])
        for row in _all(registry, select(_COPY.data_id, _COPY.version).where(_COPY.url == url))
    }


def damaged(registry: Registry, url: str) -> list[Row]:
    """Return the rows whose copy was not whole when it was last read."""
    return _all(registry, _select_damaged(url).order_by(_ROW.data_id, _ROW.version))


def _select_damaged(url: str) -> Select[Any]:
    return select(*_columns()).join(replica_copies, _copied(url)).where(_COPY.problem.is_not(None))


def decided_since(registry: Registry, url: str) -> list[Row]:
    """Return the rows about which a person decided something after their copy, or its record, was written."""
    event = publish_events.c
    later = exists().where(
        event.data_id == _ROW.data_id,
        event.version == _ROW.version,
        event.event.in_(KINDS),
        event.time > _COPY.copied_at,
    )
    query = select(*_columns()).join(replica_copies, _copied(url)).where(later)
    return _all(registry, query.order_by(_ROW.data_id, _ROW.version))


def outlived(registry: Registry, url: str, keep: str, days: float | None) -> list[Row]:
    """Return the rows whose copy a replica's policy does not keep any longer.

    They are withdrawn, or with `keep` ``current`` replaced by a later version, for more than so many days; None: never.
    """
    if days is None:
        return []
    before = ago(days)
    over: ColumnElement[bool] = and_(_ROW.status != "published", _ROW.closed_at.is_not(None), _ROW.closed_at < before)
    if keep == "current":
        later = data_registry.alias("later")
        beside = (later.c.data_id == _ROW.data_id, later.c.version > _ROW.version, later.c.status == "published")
        over = over | exists().where(*beside, later.c.published_at < before)
    query = select(*_columns()).join(replica_copies, _copied(url)).where(over)
    return _all(registry, query.order_by(_ROW.data_id, _ROW.version))


def longest_unread(registry: Registry, url: str, since: str | None = None, data_id: str | None = None) -> list[Row]:
    """Return the rows with a copy in a replica, those first whose copies were read the longest ago."""
    query = select(*_columns(), _COPY.copied_at).join(replica_copies, _copied(url))
    if since is not None:
        by_a_clock_ahead = _COPY.verified_at > now()
        query = query.where((_COPY.verified_at < since) | by_a_clock_ahead | _COPY.problem.is_not(None))
    if data_id is not None:
        query = query.where(_ROW.data_id == data_id)
    return _all(registry, query.order_by(_COPY.verified_at, _ROW.data_id, _ROW.version))


def counts(registry: Registry, url: str, keep: str) -> dict[str, int]:
    """Return how many copies a replica lacks, and how many were not whole when they were last read."""
    found = {}
    with registry.read() as connection:
        for name, query in (("missing", _select_missing(url, keep)), ("damaged", _select_damaged(url))):
            found[name] = int(connection.execute(query.with_only_columns(func.count())).scalar_one())
    return found


def note_copied(registry: Registry, url: str, row: Row, write_id: str, begun: str, *, read: bool = True) -> None:
    """Record that a copy was made; decisions since it was begun (UTC) are not in it.

    It was `read`, and found right, now, or stood there before and is the next to be read.
    """
    values = {"write_id": write_id, "copied_at": begun, "verified_at": now() if read else _NEVER, "problem": None}
    with registry.transaction(lock=row["data_id"]) as connection:
        connection.execute(delete(replica_copies).where(*_key(url, row)))
        key = {"url": url, "data_id": row["data_id"], "version": row["version"]}
        connection.execute(insert(replica_copies), key | values)


def note_verified(registry: Registry, url: str, row: Row, problem: str | None) -> None:
    """Record that a copy was read just now, and what was wrong with it."""
    _set(registry, url, row, {"verified_at": now(), "problem": problem})


def note_recorded(registry: Registry, url: str, row: Row, begun: str) -> None:
    """Record that the bundle's own record in a copy is that of a time (UTC)."""
    _set(registry, url, row, {"copied_at": begun})


def last_copied(connection: Connection, row: Row) -> str | None:
    """Return when a copy of a version, or its record, was last begun; None where there is none."""
    mine = (_COPY.data_id == row["data_id"], _COPY.version == row["version"])
    found: str | None = connection.execute(select(func.max(_COPY.copied_at)).where(*mine)).scalar_one()
    return found


def forget(registry: Registry, url: str, row: Row) -> None:
    """Record that a replica has no copy any more."""
    with registry.transaction(lock=row["data_id"]) as connection:
        connection.execute(delete(replica_copies).where(*_key(url, row)))


def forget_all(registry: Registry, url: str) -> None:
    """Record that a replica has no copies: it is a new one, whatever stood in its place before."""
    with registry.transaction() as connection:
        connection.execute(delete(replica_copies).where(_COPY.url == url))


def _key(url: str, row: Row) -> tuple[ColumnElement[bool], ...]:
    return _COPY.url == url, _COPY.data_id == row["data_id"], _COPY.version == row["version"]


def _set(registry: Registry, url: str, row: Row, values: Mapping[str, Any]) -> None:
    with registry.transaction(lock=row["data_id"]) as connection:
        connection.execute(update(replica_copies).where(*_key(url, row)).values(**values))
