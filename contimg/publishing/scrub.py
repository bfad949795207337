"""Reading published bundles again, the longest unread first, so that rot is found while another copy is whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import update

from contimg.bundle import bundle
from contimg.errors import InputError
from contimg.publishing.recording import verdict_contradiction
from contimg.registry import queries
from contimg.registry.engine import Registry
from contimg.registry.schema import data_registry
from contimg.times import now


@dataclass
class Pace:
    """How fast bundles are read, and until when: a disk has others to serve.

    Attributes
    ----------
    megabytes_per_s : float or None
        None: as fast as the disk gives them.
    seconds : float or None
        No further bundle is begun after so long; None: all are read [s].
    """

    megabytes_per_s: float | None = None
    seconds: float | None = None
    _started_s: float = field(default_factory=time.monotonic)
    _bytes: int = 0

    def spend(self, count: int) -> None:
        """Note that so many bytes were read, and wait as long as the pace asks."""
        self._bytes += count
        if self.megabytes_per_s is not None:
            due_s = self._started_s + self._bytes / (self.megabytes_per_s * 1e6)
            time.sleep(max(0.0, due_s - time.monotonic()))

    @property
    def is_over(self) -> bool:
        """True when the time is over."""
        return self.seconds is not None and time.monotonic() - self._started_s >= self.seconds


def cutoff(days: float) -> str:
    """Return the time so many days ago, as the registry writes times."""
    ago = datetime.now(UTC) - timedelta(days=days)
    return f"{ago:%Y-%m-%dT%H:%M:%S}.000Z"


def verify_row(
    registry: Registry | None, row: Mapping[str, Any], progress: Callable[[int], None] | None = None
) -> dict[str, Any]:
    """Read every byte of a published bundle, compare it with its manifest and row, and note in the row when it was.

    Parameters
    ----------
    registry : Registry or None
        None: nothing is noted.
    row : mapping
        With ``data_id``, ``version``, ``published_path``, and ``sha256`` (None: compared with its own manifest).
    progress : callable, optional
        Called with the number of bytes just read.

    Returns
    -------
    dict
        With ``data_id``, ``version``, ``path``, ``ok``, ``files``, ``bytes`` and ``problems``, sentences.
    """
    path = Path(row["published_path"])
    result = {"data_id": row["data_id"], "version": row["version"], "path": str(path)}
    try:
        found = bundle.verify(path, expected=row["sha256"], progress=progress)
        problems = [problem.message for problem in found.problems]
        if not problems and row.get("qa_status") is not None and not row["approved_by"]:
            problems += [one for one in [verdict_contradiction(row, path)] if one is not None]
    except InputError as error:
        return result | {"ok": False, "files": 0, "bytes": 0, "problems": [str(error)]}
    except OSError as error:
        where = f" ({error.filename})" if error.filename is not None else ""
        return result | {"ok": False, "files": 0, "bytes": 0, "problems": [f"{path}: {error.strerror}{where}"]}
    if registry is not None and not problems:
        _note(registry, row)
    return result | {"ok": not problems, "files": found.n_files, "bytes": found.n_bytes, "problems": problems}


def _note(registry: Registry, row: Mapping[str, Any]) -> None:
    column = data_registry.c
    same = (column.data_id == row["data_id"], column.version == row["version"], column.sha256 == row["sha256"])
    with registry.transaction(lock=row["data_id"], durable=False) as connection:
        connection.execute(update(data_registry).where(*same).values(verified_at=now()))


def scrub(
    registry: Registry,
    *,
    unread_since: str | None = None,
    pace: Pace | None = None,
    note: bool = True,
    progress: Callable[[int], None] | None = None,
) -> Iterator[dict[str, Any]]:
    """Verify published bundles one after the other, the longest unread first, and give the result of each.

    Interrupted and begun again it goes on with those that were not read yet.

    Parameters
    ----------
    registry : Registry
    unread_since : str, optional
        Only bundles that were not read since this time (UTC).
    pace : Pace, optional
    note : bool
        False: nothing is written, for somebody who may only read.
    progress : callable, optional
        Called with the number of bytes just read.
    """
    pace = Pace() if pace is None else pace

    def advance(count: int) -> None:
        pace.spend(count)
        if progress is not None:
            progress(count)

    for row in queries.longest_unread(registry, unread_since):
        if pace.is_over:
            return
        yield verify_row(registry if note else None, row, advance)
