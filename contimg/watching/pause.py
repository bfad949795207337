"""The note by which a person pauses `contimg watch`, and who paused it and why."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from contimg import times
from contimg.errors import ContimgError
from contimg.naming import Layout
from contimg.storage.atomic import write_json
from contimg.storage.json_files import read_json
from contimg.storage.reasons import deciding_operator, require_reason


@dataclass(frozen=True)
class Pause:
    """Who paused the watch, why and when (UTC)."""

    by: str
    reason: str
    time: str

    def __str__(self) -> str:
        return f"paused by {self.by} at {self.time}: {self.reason}"


def note_of(layout: Layout) -> Path:
    """Return the path of the note: while it exists, no run is started."""
    return layout.state / "paused.json"


def paused(layout: Layout) -> Pause | None:
    """Return the pause that is in force, or None. A damaged note counts as a pause: somebody wanted one."""
    place = note_of(layout)
    if not place.exists():
        return None
    content = read_json(place)
    found = content if isinstance(content, dict) else {}
    return Pause(*(str(found.get(key, "unknown")) for key in ("by", "reason", "time")))


def pause(layout: Layout, reason: str) -> Pause:
    """Pause the watch: the jobs that run are finished, and nothing is started until `resume`.

    Raises
    ------
    InputError
        If the reason is blank, too long or not in one line.
    """
    require_reason("contimg pause", reason)
    made = Pause(deciding_operator("contimg pause"), reason, times.now(0))
    write_json(note_of(layout), asdict(made))
    return made


def resume(layout: Layout) -> Pause:
    """End the pause, and return it.

    Raises
    ------
    ContimgError
        If the watch is not paused.
    """
    before = paused(layout)
    if before is None:
        raise ContimgError("contimg watch is not paused: contimg status says what it does")
    note_of(layout).unlink(missing_ok=True)
    return before
