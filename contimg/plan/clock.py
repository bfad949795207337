"""The time that deadlines are counted with: this computer's clock, but for steps ahead that no file confirms.

A clock that is set ahead makes every tile that waits overdue, and it would go on without the subbands that are still
to come. Time since the boot does not step. So a note holds both clocks, and where the clock has gained on the time
since the boot, it is believed as soon as the telescope's files are of its time. Until then deadlines are counted
with the time that has passed, or the newest file if that is later.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from contimg.config import IngestOptions
from contimg.correlator.facts import FileFacts
from contimg.correlator.integrations import TILE_S
from contimg.storage.notes import read_note, write_note_if_allowed
from contimg.storage.process import me
from contimg.times import datetime_from_mjd

_STEP_S = 60.0  # less is no step: services that keep clocks slow them down or speed them up by less
_LONGEST_S = 1e10  # of a boot: three centuries


@dataclass(frozen=True)
class Clocks:
    """A computer's clock (UTC), and the time since its boot [s], which no setting of the clock changes."""

    boot: str
    since_boot_s: float
    clock: datetime

    @classmethod
    def read(cls) -> Clocks:
        """Return what they show now."""
        return cls(me().boot, time.clock_gettime(time.CLOCK_BOOTTIME), datetime.now(UTC))

    @classmethod
    def of_note(cls, content: Any) -> Clocks | None:
        """Return the clocks of a note; None for a damaged one: its loss costs no more than this check."""
        try:
            found = cls(content["boot"], float(content["since_boot_s"]), datetime.fromisoformat(content["clock"]))
        except (KeyError, TypeError, ValueError, OverflowError):
            return None
        whole = 0 <= found.since_boot_s < _LONGEST_S and found.clock.tzinfo is not None
        return found if whole else None

    def note(self) -> dict[str, Any]:
        """Return the content of the note."""
        return {"boot": self.boot, "since_boot_s": self.since_boot_s, "clock": self.clock.isoformat()}


def believed(shown: Clocks, before: Clocks | None, newest: datetime | None, options: IngestOptions) -> datetime:
    """Return the time that deadlines are counted with; never later than the clock.

    Parameters
    ----------
    shown : Clocks
        Of now.
    before : Clocks or None
        The believed time of an earlier plan.
    newest : datetime or None
        The end of the newest sound file.
    options : IngestOptions
    """
    if before is None or before.boot != shown.boot:
        return shown.clock
    passed = before.clock + timedelta(seconds=shown.since_boot_s - before.since_boot_s)
    if shown.clock <= passed + timedelta(seconds=_STEP_S):
        return shown.clock
    if newest is None:
        return passed
    if newest >= shown.clock - timedelta(seconds=2 * TILE_S + options.settle_s):
        return shown.clock
    return min(shown.clock, max(passed, newest))


def time_of_plan(cache: Path, facts: Mapping[str, FileFacts], options: IngestOptions) -> tuple[datetime, float]:
    """Return the time that deadlines are counted with, and how far the clock is ahead of it [s].

    Parameters
    ----------
    cache : Path
        Folder of the note, ``clock.json``.
    facts : mapping of path to FileFacts
        What the files with open work say.
    options : IngestOptions

    Raises
    ------
    OSError
        If the note cannot be written, other than for want of permission: who may only read plans with the old one.
    """
    place, shown = cache / "clock.json", Clocks.read()
    before = Clocks.of_note(read_note(place))
    ends = [fact.end_mjd for fact in facts.values() if fact.fault_code is None and math.isfinite(fact.end_mjd)]
    now = believed(shown, before, datetime_from_mjd(max(ends)) if ends else None, options)
    stands = Clocks(shown.boot, shown.since_boot_s, now)
    if before is None or before.boot != shown.boot or _apart_s(before, stands) > _STEP_S / 2:
        write_note_if_allowed(place, stands.note())
    return now, (shown.clock - now).total_seconds()


def _apart_s(one: Clocks, other: Clocks) -> float:
    """Return by how much the clocks of one boot differ in what has passed between them [s]."""
    passed_s = other.since_boot_s - one.since_boot_s
    return abs((other.clock - one.clock).total_seconds() - passed_s)
