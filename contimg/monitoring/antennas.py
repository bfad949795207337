"""Noise and flags of each antenna over the last days, from the twins of calibrations and Measurement Sets."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from contimg.config import Config
from contimg.storage.json_files import read_json

DAYS = 7
_MOST_TILES = 300  # the last ones: a week at full rate has two thousand
_MOST = 1e30  # no number here is larger, and an integer of JSON may be beyond a float


@dataclass(frozen=True)
class AntennaHealth:
    """An antenna's median SEFD [Jy], of both receptors, and the mean flagged fraction of its tiles; None: not known."""

    name: str
    sefd_jy: float | None
    flagged: float | None

    def to_json(self) -> dict[str, object]:
        """Return the content for programs."""
        return asdict(self)


def antenna_health(config: Config, *, now: datetime | None = None) -> list[AntennaHealth]:
    """Return the health of each antenna over the last `DAYS`, in the order of their names."""
    moment = now or datetime.now(UTC)
    dates = {(moment - timedelta(days=back)).date().isoformat() for back in range(DAYS + 1)}
    stage = config.layout.stage
    sefd: dict[str, list[float]] = {}
    for twin in _twins(stage / "calibrations", dates, "cal_*.json"):
        for name, values in sefd_by_antenna(twin).items():
            sefd.setdefault(name, []).extend(value for value in values if value is not None)
    flagged: dict[str, list[float]] = {}
    for twin in _twins(stage / "ms", dates, "*.json"):
        for name, share in flagged_by_antenna(twin).items():
            flagged.setdefault(name, []).append(share)
    names = sorted({*sefd, *flagged}, key=lambda name: (len(name), name))
    return [
        AntennaHealth(
            name,
            statistics.median(sefd[name]) if sefd.get(name) else None,
            statistics.fmean(flagged[name]) if flagged.get(name) else None,
        )
        for name in names
    ]


def _twins(folder: Path, dates: set[str], pattern: str) -> Iterator[Any]:
    paths = sorted(path for day in dates for path in (folder / day).glob(pattern))
    for path in paths[-_MOST_TILES:]:
        yield read_json(path)


def sefd_by_antenna(twin: Any) -> dict[str, list[float | None]]:
    """Return the SEFD [Jy] of both receptors of each antenna in a calibration's twin; damaged entries are left out."""

    def is_pair(found: object) -> bool:
        return isinstance(found, list) and len(found) == 2 and all(one is None or is_number(one) for one in found)

    return {name: found for name, found in _mapping(twin, "facts", "sefd_jy").items() if is_pair(found)}


def flagged_by_antenna(twin: Any) -> dict[str, float]:
    """Return the flagged fraction of each antenna in the twin of an MS; damaged entries are left out."""
    return {name: one for name, one in _mapping(twin, "qa", "flagged_by_antenna").items() if is_number(one)}


def is_number(found: object) -> bool:
    """Return whether something in a JSON file is a number that arithmetic can be done with."""
    return isinstance(found, int | float) and not isinstance(found, bool) and -_MOST < found < _MOST


def _mapping(twin: Any, part: str, key: str) -> dict[str, Any]:
    """Return a mapping in a twin; an empty one where the twin is damaged or has none."""
    content = twin.get(part) if isinstance(twin, dict) else None
    found = content.get(key) if isinstance(content, dict) else None
    return found if isinstance(found, dict) else {}
