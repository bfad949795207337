"""The overview as tables, for a terminal and for a page: one list of sections, drawn by either."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_WORST_ANTENNAS = 12


@dataclass(frozen=True)
class Section:
    """A table: its title, the names of its columns and its rows."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


def sections(content: dict[str, Any]) -> list[Section]:
    """Return the sections of an overview that have something to show, the most urgent first."""
    found = [
        Section("Alarms", ("alarm", "what it is"), tuple(content["alarms"].items())),
        Section("State", ("what", "now"), tuple(_state(content))),
        _of(content["failed"], "Failed", ("rule", "id", "reason", "log")),
        _of(content["running"], "Running now", ("rule", "id", "since", "expected")),
        _of(content["waiting"], "Waiting", ("what", "id", "message")),
        Section("Set aside", ("reason", "files"), tuple(content["quarantined"].items())),
        _groups(content["groups"]),
        Section("Disks", ("root", "free GB", "GB a day", "full on"), tuple(_disk(one) for one in content["disks"])),
        Section("Antennas, last 7 days", ("antenna", "SEFD [Jy]", "flagged"), tuple(_antennas(content["antennas"]))),
    ]
    return [one for one in found if one.rows]


def _of(items: Sequence[dict[str, Any]], title: str, columns: tuple[str, ...]) -> Section:
    return Section(title, columns, tuple(tuple(item[name] for name in columns) for item in items))


def _state(content: dict[str, Any]) -> list[tuple[str, Any]]:
    inbox, watch, calibration = content["inbox"], content["watch"], content["calibration"]
    newest = "nothing" if inbox["newest"] is None else f"newest {inbox['newest']}, {age_words(inbox['age_h'])} ago"
    rows: list[tuple[str, Any]] = [("data", content["simulated"])] if content["simulated"] else []
    rows.append(("inbox", f"{inbox['tiles']} tiles, {inbox['files']} files; {newest}"))
    if inbox["trouble"]:
        rows.append(("plan", inbox["trouble"]))
    if watch is not None:
        rows.append(("watch", f"{watch['state']}: {watch['message']}" if watch["alive"] else "not running"))
    if content["paused"]:
        rows.append(("pause", content["paused"]))
    rows.append(("published today", content["published_today"]))
    factor = content["real_time_factor"]
    rows.append(("real-time factor, last day", "no tile imaged" if factor is None else factor))
    last = "none" if calibration is None else f"{calibration['id']}, {age_words(calibration['age_h'])} old"
    rows.append(("newest calibration", last))
    return rows


def _disk(disk: dict[str, Any]) -> tuple[Any, ...]:
    """Return the row of a root's disk; growth is known once the free space was noted for a day."""
    growth = disk["growth_gb_per_day"]
    if growth is None:
        return disk["root"], disk["free_gb"], "not known yet", "after a day of records"
    return disk["root"], disk["free_gb"], f"{growth:+.3f}", disk["full_on"] or "not in ten years"


def age_words(hours: float) -> str:
    """Return an age in the unit that people say: 12 min, 3.5 h, 288 days."""
    if hours < 1:
        return f"{60 * hours:.0f} min"
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.0f} days"


def _groups(groups: Sequence[dict[str, Any]]) -> Section:
    columns = ("mosaic", "tiles", "calibrated", "imaged", "verdict", "sun", "state", "version", "next")
    rows = tuple(tuple(group.get(name) for name in columns) for group in groups)
    return Section("Groups", (*columns[:5], "Sun", "state", "version", "next step"), rows)


def _antennas(antennas: Sequence[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Return the antennas that stand out: the most flagged, or the noisiest."""

    def badness(one: dict[str, Any]) -> float:
        return float(max(one["flagged"] or 0.0, (one["sefd_jy"] or 0.0) / 1e5))

    worst = sorted(antennas, key=badness, reverse=True)[:_WORST_ANTENNAS]
    return [
        (
            one["name"],
            None if one["sefd_jy"] is None else f"{one['sefd_jy']:.0f}",
            None if one["flagged"] is None else f"{one['flagged']:.1%}",
        )
        for one in worst
    ]
