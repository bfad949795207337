"""Decisions of persons about calibrations: withdrawn or certified, by whom, when and why.

``<stage>/calibrations/decisions.json`` holds every decision, in order of time; the last one about a calibration counts.
The plan reads it; the commands `contimg calibration certify` and `withdraw` write it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from contimg.config import Config
from contimg.errors import InputError, UnknownIdError
from contimg.naming import Layout
from contimg.products.judged import options_of, read_judged
from contimg.products.twin import Twin
from contimg.storage import locks
from contimg.storage.atomic import write_json
from contimg.storage.json_files import parse_json, plain_bytes
from contimg.storage.reasons import deciding_operator, require_reason
from contimg.times import now


def place(layout: Layout) -> Path:
    """Return the path of the file of decisions."""
    return layout.stage / "calibrations" / "decisions.json"


def history(layout: Layout) -> list[dict[str, Any]]:
    """Return every decision: calibration, decision (``withdrawn`` or ``certified``), reason, by, time.

    Raises
    ------
    InputError
        If the file is damaged: without it a withdrawn calibration would be used again.
    """
    path = place(layout)
    try:
        content = parse_json(plain_bytes(path))
        return [{key: item[key] for key in ("calibration", "decision", "reason", "by", "time")} for item in content]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError, KeyError):
        raise InputError(f"{path} is damaged: restore it, or remove it and decide again") from None


def standing(layout: Layout) -> dict[str, dict[str, Any]]:
    """Return the latest decision about each calibration, by its id."""
    return {item["calibration"]: item for item in history(layout)}


def is_certified(twin: Twin, decision: dict[str, Any] | None, *, commissioning: bool = False) -> bool:
    """Return whether a calibration may be used: it is passed and not withdrawn, or a person overruled its warning.

    A failed calibration cannot be certified. While ``qa.commissioning`` is on, a warning does not wait
    for a person's decision.
    """
    if decision is not None:
        return decision["decision"] == "certified" and twin.verdict != "failed"
    return twin.verdict == "passed" or (commissioning and twin.verdict == "warning")


def withdraw(config: Config, calibration_id: str, reason: str) -> dict[str, Any]:
    """Withdraw a calibration, so that no plan uses it any more.

    A second withdrawal changes nothing: the first one is returned, with its reason.

    Raises
    ------
    UnknownIdError
        If there is no such calibration.
    InputError
        If no reason is given, or it is too long or not in one line.
    """
    find(config, calibration_id)
    return _decide(config.layout, calibration_id, "withdrawn", reason)


def certify(config: Config, calibration_id: str, reason: str) -> dict[str, Any]:
    """Certify a calibration with a warning, or take a withdrawal back.

    Raises
    ------
    UnknownIdError
        If there is no such calibration.
    InputError
        If it is failed, is certified already, or no reason is given, or it is too long or not in one line.
    """
    twin = find(config, calibration_id)
    if twin.verdict == "failed":
        raise InputError(f"calibration {twin.id} is failed ({twin.reasons[0].message}): it cannot be certified")
    if is_certified(twin, standing(config.layout).get(twin.id)):
        raise InputError(f"calibration {twin.id} is certified already: nothing is to be done")
    return _decide(config.layout, calibration_id, "certified", reason)


def find(config: Config, calibration_id: str) -> Twin:
    """Return the twin of a calibration.

    Raises
    ------
    UnknownIdError
        If there is none.
    """
    try:
        path = config.layout.twin("calibration", calibration_id)
    except InputError:
        path = None
    if path is None or not calibration_id.startswith("cal_") or not path.exists():
        raise UnknownIdError(f"there is no calibration {calibration_id}: see 'contimg calibration list'")
    return read_judged(path, options_of(config))


def _decide(layout: Layout, calibration_id: str, decision: str, reason: str) -> dict[str, Any]:
    """Append a decision to the file, unless it is the standing one already, and return the one that stands."""
    require_reason(calibration_id, reason)
    by = deciding_operator(calibration_id)
    lock = locks.acquire(place(layout).with_name(".decisions.lock"), key="paths.stage", wait=True)
    try:
        before = history(layout)
        last = next((item for item in reversed(before) if item["calibration"] == calibration_id), None)
        if last is not None and last["decision"] == decision:
            return last
        made = {"calibration": calibration_id, "decision": decision, "reason": reason, "by": by, "time": now()}
        write_json(place(layout), [*before, made])
    finally:
        lock.release()
    return made
