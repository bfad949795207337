"""The wall clock, as records name it."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> str:
    """Return the present UTC time as ``YYYY-MM-DDTHH:MM:SS.mmmZ``."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
