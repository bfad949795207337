"""What is known about the clock behind the header's times: the header itself does not say which one it was.

From the notes of the observatory's real-time system (dsa110/dsa110-rt, 2026, as documented there). Where the
observatory changes its clock again, a row is added here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from contimg import times

_SOURCE = "dsa110/dsa110-rt, notes of the real-time system, 2026"


@dataclass(frozen=True)
class ClockEpoch:
    """A time in which one clock stamped the headers.

    Attributes
    ----------
    since : str
        UTC date of its beginning; empty where it is not known.
    clock : str
        What stamped the headers.
    offset_s : float or None
        Header minus true time, as the observatory states it; None where it is not known.
    source : str
    """

    since: str
    clock: str
    offset_s: float | None
    source: str = _SOURCE

    def facts(self) -> dict[str, Any]:
        """Return the epoch for a twin."""
        return {"since": self.since, "clock": self.clock, "offset_s": self.offset_s, "source": self.source}


EPOCHS = (
    ClockEpoch("", "not stated; that of the real-time system was more than 10 days behind", None),
    ClockEpoch("2026-06-02", "wall clock, about 1.8 s early", -1.8),
    ClockEpoch("2026-07-20", "GPS pulse per second, the wall clock as fallback", 0.0),
)
"""In order of time."""


def clock_epoch(start_mjd: float) -> ClockEpoch:
    """Return the epoch that a header's time falls into.

    Parameters
    ----------
    start_mjd : float
        UTC of the first integration, by the header: within an epoch's last 2 s the true time may be in the next.
    """
    day = times.datetime_from_mjd(start_mjd).date().isoformat()
    return [epoch for epoch in EPOCHS if epoch.since <= day][-1]
