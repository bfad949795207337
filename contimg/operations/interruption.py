"""Signals that end a run (Ctrl-C, shutdown), noted so that the closing message does not report a failed job."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

_received: list[str] = []


def watch() -> None:
    """Note SIGINT (Ctrl-C) and SIGTERM from now on, and pass them on to the handlers that were there before."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _noting(signal.getsignal(number)))


def _noting(before: Any) -> Any:
    """Return a signal handler that notes the signal and calls the handler `before`."""

    def note(number: int, frame: FrameType | None) -> None:
        _received.append(signal.Signals(number).name)
        if callable(before):
            before(number, frame)
        elif before is signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    return note


def interrupted() -> str | None:
    """Return the name of the first signal that was received; None without one."""
    return _received[0] if _received else None
