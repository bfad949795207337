"""The correlator's setup: what two observations must have in common to be calibrated with each other, or be one scan.

The one comparison of setups and of declination strips: the plan asks here, and the solving of gains and the application
of calibrations do by way of `contimg.calibration.compatibility`.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

Value = TypeVar("Value", str, float)


@dataclass(frozen=True)
class CorrelatorSetup:
    """What a calibration depends on besides time and declination; None where it is not known.

    Attributes
    ----------
    applied_delays_sha256, antenna_order_sha256 : str or None
        Digests of the F-engine delays, and of names and pairs of the antennas.
    fs_table : str or None
        The fringe-stopping table.
    n_channels : int or None
        Channels of the whole band.
    """

    applied_delays_sha256: str | None = None
    antenna_order_sha256: str | None = None
    fs_table: str | None = None
    n_channels: int | None = None

    @classmethod
    def of_facts(cls, facts: Mapping[str, Any]) -> CorrelatorSetup:
        """Read the setup from the facts of the twin of an MS or of a calibration."""
        return cls(**{item.name: facts.get(item.name) for item in fields(cls)})

    @classmethod
    def from_json(cls, content: Mapping[str, Any] | Sequence[str]) -> CorrelatorSetup:
        """Read the setup of a frozen plan; older plans hold a list of the first three items, or an empty one."""
        return cls(**content) if isinstance(content, Mapping) else cls.of_header(content)

    @classmethod
    def of_header(cls, items: Sequence[str], n_channels: int | None = None) -> CorrelatorSetup:
        """Return the setup of what a file's header says (`contimg.correlator.header.Header.setup`), or of nothing."""
        return cls(**dict(zip(NAMES, items, strict=False)), n_channels=n_channels)


NAMES = {
    "applied_delays_sha256": "applied delays",
    "antenna_order_sha256": "antenna order",
    "fs_table": "fringe-stopping table",
    "n_channels": "number of channels",
}


SAME_DECLINATION_DEG = 1 / 3600
"""Files of one tile agree in declination to an arcsecond: hosts round it differently, and it moves nothing."""


def table_of(fs_table: str) -> tuple[float, int] | None:
    """Return declination (deg) and number of antennas of a fringe-stopping table, from its name.

    Equal tables can have different paths. None where the name does not say (``...dec54.6deg_96ant...`` does).
    """
    found = re.search(r"dec([+-]?\d+(?:\.\d+)?)deg_(\d+)ant", fs_table)
    return (float(found[1]), int(found[2])) if found else None


def comparable(key: str, value: Any) -> Any:
    """Return an item of a setup in the form in which it is compared: a table by what it is for, else by its path."""
    if key != "fs_table" or value is None:
        return value
    return table_of(value) or value


def setup_differences(one: CorrelatorSetup, other: CorrelatorSetup, *, strict: bool = False) -> dict[str, str]:
    """Return the items in which two setups differ: attribute -> its name in words.

    An item that is known on one side only differs where `strict`, as before data are changed; else it contradicts
    nothing.
    """
    return dict(_differences(one, other, strict))


@functools.lru_cache(maxsize=4096)  # a plan compares each tile with a hundred calibrations, which all have one setup
def _differences(one: CorrelatorSetup, other: CorrelatorSetup, strict: bool) -> tuple[tuple[str, str], ...]:
    differing = []
    for key, name in NAMES.items():
        mine, its = (comparable(key, getattr(setup, key)) for setup in (one, other))
        if mine != its and (strict or None not in (mine, its)):
            differing.append((key, name))
    return tuple(differing)


def most_frequent(values: Sequence[Value]) -> Value:
    """Return the value that most files of a tile have, of several the lowest."""
    counts = Counter(values)
    return min(counts, key=lambda value: (-counts[value], value))


def strips_apart_deg(one_deg: float, other_deg: float, limit_deg: float) -> float | None:
    """Return how far apart two declinations are (deg) where that makes them different strips, else None."""
    apart_deg = abs(one_deg - other_deg)
    return None if apart_deg <= limit_deg else apart_deg
