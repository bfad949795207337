"""Carrying out what was decided: a withdrawn bundle is hidden, a restored one brought back to its place in sight.

Between recording a decision and carrying it out a process may be stopped, while others carry it out and decide anew. So
the row is read once more, within the transaction in which the bundle is moved.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, update

from contimg.naming import Layout
from contimg.publishing import places
from contimg.publishing.checkpoints import checkpoint
from contimg.publishing.places import Places
from contimg.publishing.recording import recorded
from contimg.registry.engine import Registry
from contimg.registry.queries import latest
from contimg.registry.schema import data_registry
from contimg.times import now

Row = Mapping[str, Any]


def finish_withdrawal(registry: Registry, layout: Layout, row: Row) -> bool:
    """Move a withdrawn product's bundle to ``.withdrawn`` and record its path; False if it is not withdrawn now."""
    where = Places.of(layout, row)
    with registry.transaction(lock=row["data_id"]) as connection:
        now_row = latest(connection, row["data_id"], row["version"])
        if now_row is None or now_row["status"] != "withdrawn":
            return False
        places.hide(where)
        _set(connection, row, {"published_path": str(where.hidden)})
    return True


def finish_restoration(registry: Registry, layout: Layout, row: Row) -> bool:
    """Move a restored product's bundle back, and record it as published; False if it was decided otherwise since."""
    where = Places.of(layout, row)
    with registry.transaction(lock=row["data_id"]) as connection:
        now_row = latest(connection, row["data_id"], row["version"])
        known = recorded(connection, row)
        if now_row is None or now_row["status"] != "staging" or not known or known[-1].decision != "restored":
            return False
        places.bring_back(where)
        checkpoint("restore:moved")
        values = {
            "status": "published", "published_path": str(where.sight), "published_at": row["published_at"] or now(),
            "closed_at": None, "closed_by": None, "closed_reason": None, "error": None, "attempts": 0,
        }  # fmt: skip
        _set(connection, row, values)
    return True


def _set(connection: Connection, row: Row, values: Mapping[str, Any]) -> None:
    column = data_registry.c
    same = (column.data_id == row["data_id"], column.version == row["version"])
    connection.execute(update(data_registry).where(*same).values(**values))
