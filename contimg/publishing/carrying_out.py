"""Carrying out what was decided: a withdrawn bundle is hidden, a restored one brought back to its place in sight.

Between recording a decision and carrying it out a process may be stopped, while others carry it out and decide anew. So
the row is read once more, within the transaction in which the bundle is moved.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from contimg.bundle.record import last_placing
from contimg.errors import RegistryError
from contimg.naming import Layout
from contimg.publishing import places
from contimg.publishing.checkpoints import checkpoint
from contimg.publishing.deciding import set_columns
from contimg.publishing.differences import sentence
from contimg.publishing.places import Places
from contimg.publishing.recording import first_published, recorded
from contimg.registry.engine import Registry
from contimg.registry.queries import latest
from contimg.registry.refusals import refused
from contimg.times import now

Row = Mapping[str, Any]


@contextlib.contextmanager
def recorded_as(
    row: Row, decision: str, failed: str = "its bundle could not be moved", command: str | None = None
) -> Iterator[None]:
    """Let an error of what follows a decision say what is recorded, and what does the rest: it cannot be typed again.

    Parameters
    ----------
    row : mapping
    decision : str
    failed : str
        What could not be done, where the block fails.
    command : str, optional
        What does the rest; ``contimg reconcile`` of the mosaic by default.
    """
    try:
        yield
    except (OSError, RegistryError) as error:
        kind, what = (
            (type(error), refused(error)) if isinstance(error, RegistryError) else (RegistryError, sentence(error))
        )
        command = command or f"contimg reconcile {row['data_id']}"
        raise kind(
            f"{row['data_id']} version {row['version']} is recorded as {decision}, and {failed} ({what}): correct "
            f"that, then '{command}' does the rest"
        ) from error


def finish_withdrawal(registry: Registry, layout: Layout, row: Row) -> bool:
    """Move a withdrawn product's bundle to ``.withdrawn`` and record its path; False if it is not withdrawn now."""
    where = Places.of(layout, row)
    with recorded_as(row, "withdrawn"), registry.transaction(lock=row["data_id"]) as connection:
        now_row = latest(connection, row["data_id"], row["version"])
        if now_row is None or now_row["status"] != "withdrawn":
            return False
        places.hide(where)
        set_columns(connection, row, {"published_path": str(where.hidden)})
    return True


def finish_restoration(registry: Registry, layout: Layout, row: Row) -> bool:
    """Move a restored product's bundle back, and record it as published; False if it was decided otherwise since."""
    where = Places.of(layout, row)
    with recorded_as(row, "restored"), registry.transaction(lock=row["data_id"]) as connection:
        now_row = latest(connection, row["data_id"], row["version"])
        last = last_placing(recorded(connection, row))
        if now_row is None or now_row["status"] != "staging" or last is None or last.decision != "restored":
            return False
        places.bring_back(where)
        checkpoint("restore:moved")
        values = {
            "status": "published", "published_path": str(where.sight),
            "published_at": first_published(row, where.sight) or now(),
            "closed_at": None, "closed_by": None, "closed_reason": None, "error": None, "attempts": 0,
        }  # fmt: skip
        set_columns(connection, row, values)
    return True
