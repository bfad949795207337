"""Judging twins again by the present thresholds, from the measured numbers that they hold.

The verdict in a twin on the stage is that of the day on which its product was made. Code that acts on a verdict or
shows it judges again with the present configuration, which takes milliseconds and repeats no work.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel

from contimg.config import Config
from contimg.products import gates
from contimg.products.gates import Options
from contimg.products.twin import DamagedTwinError, Twin, read_twin, verdict_of


def options_of(config: Config) -> Options:
    """Return the sections of a configuration that hold thresholds of verdicts, by name."""
    return {"qa": config.qa, "calibration": config.calibration}


def judged(twin: Twin, options: Options) -> Twin:
    """Return a twin with the verdict, reasons and thresholds that follow from given options.

    Twins of before version 0.2 keep their verdict: it is part of the digest under which archives list them.

    Parameters
    ----------
    twin : Twin
    options : mapping of str to Section
        Sections of the configuration that hold the thresholds: ``qa`` and ``calibration``.

    Raises
    ------
    KeyError
        If a section that the twin's kind is judged by is missing.
    """
    if not gates.threshold_keys(twin.kind) or twin.schema_version == 1:
        return twin
    reasons = gates.judge_again(twin, options)
    update = {"reasons": reasons, "verdict": verdict_of(reasons), "judged_with": thresholds(twin.kind, options)}
    return twin.model_copy(update=update)


def read_judged(path: Path, options: Options) -> Twin:
    """Read a twin and judge it by given thresholds.

    Raises
    ------
    InputError
        If the twin is missing or unreadable.
    """
    return judged(read_twin(path), options)


def thresholds(kind: str, options: Options) -> dict[str, dict[str, Any]]:
    """Return the thresholds that a kind of product is judged by, by section and key."""
    found = {}
    for section, keys in gates.threshold_keys(kind).items():
        values = options[section]
        content = values.model_dump(mode="json") if isinstance(values, BaseModel) else values
        version = {"version": content["version"]} if "version" in content else {}
        known = {"commissioning": False} | dict(content)  # sections of before that key had it off
        found[section] = version | {key: known[key] for key in keys}
    return found


def verdict_of_image(config: Config, tile_id: str) -> str | None:
    """Return the verdict of a tile's image with the codes of its reasons; None before it has been made.

    A damaged twin is that of an image still to be made: see `contimg.operations.damaged_twins`.
    """
    path = config.layout.twin("image", tile_id)
    if not path.exists():
        return None
    try:
        twin = read_judged(path, options_of(config))
    except DamagedTwinError:
        return None
    return " ".join([twin.verdict, *sorted(reason.code for reason in twin.reasons)])
