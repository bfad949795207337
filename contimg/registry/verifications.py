"""When published bundles were last read as a whole, and what was found: noted, and asked for."""

from __future__ import annotations

from sqlalchemy import ColumnElement, case, func, select, update

from contimg.registry.engine import Registry
from contimg.registry.queries import Row
from contimg.registry.schema import data_registry
from contimg.times import now

_COLUMN = data_registry.c


def longest_unread(registry: Registry, since: str | None = None) -> list[Row]:
    """Return what a verification needs of published rows, those first whose bundles were read the longest ago.

    Of a bundle that was found wrong it counts when that was: however many there are, all others are read before them.

    Parameters
    ----------
    registry : Registry
    since : str, optional
        Only those that were not found right since this time (UTC).
    """
    names = ("data_id", "version", "published_path", "sha256", "tags_sha256", "qa_status", "approved_by", "verified_at")
    query = select(*(_COLUMN[name] for name in names)).where(_COLUMN.status == "published")
    if since is not None:
        query = query.where(_right_at() < since)
    right, wrong = _right_at(), func.coalesce(_COLUMN.problem_at, "")
    ordered = query.order_by(case((wrong > right, wrong), else_=right), _COLUMN.data_id, _COLUMN.version)
    with registry.read() as connection:
        return [dict(row) for row in connection.execute(ordered).mappings()]


def note(registry: Registry, row: Row, *, right: bool) -> None:
    """Record that every byte of a published bundle was read just now and found right, or that something is wrong."""
    same = (_COLUMN.data_id == row["data_id"], _COLUMN.version == row["version"], _COLUMN.sha256 == row["sha256"])
    with registry.transaction(lock=row["data_id"], durable=False) as connection:
        connection.execute(update(data_registry).where(*same).values({"verified_at" if right else "problem_at": now()}))


def count_unread(registry: Registry, since: str) -> tuple[int, int]:
    """Return how many published bundles were not found right since a time (UTC), and how many there are, at once."""
    unread = func.coalesce(func.sum(case((_right_at() < since, 1), else_=0)), 0)
    query = select(unread, func.count()).select_from(data_registry).where(_COLUMN.status == "published")
    with registry.read() as connection:
        found, of = connection.execute(query).one()
    return int(found), int(of)


def found_wrong(registry: Registry) -> list[str]:
    """Return the ids of published products of which a verification found a bundle wrong, and none right since."""
    known = _COLUMN.problem_at > ""  # by its index: of states or ids, SQLite would take theirs, and read all rows
    published = _COLUMN.status.concat("") == "published"
    query = select(_COLUMN.data_id).where(published, known, _COLUMN.problem_at > _right_at())
    with registry.read() as connection:
        return sorted(set(connection.execute(query).scalars()))


def _right_at() -> ColumnElement[str]:
    """Return when a bundle was last found right; an empty text, before all times, where never, or by a clock ahead."""
    read = _COLUMN.verified_at
    return case((read <= now(), read), else_="")
