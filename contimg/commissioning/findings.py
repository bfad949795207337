"""Findings: statements about the telescope that data confirm, refute or leave undecided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Verdict = Literal["confirmed", "refuted", "not measurable"]
CONFIRMED: Verdict = "confirmed"
REFUTED: Verdict = "refuted"
NOT_MEASURABLE: Verdict = "not measurable"

# Key of a finding -> what its verdict is about, in the order of the page.
STATEMENTS = {
    "files": "files are readable and their headers are valid",
    "header_agreement": "the headers of all hosts agree",
    "sign": "sign: V grows in phase with (position 2 - position 1)·direction",
    "frame": "antenna positions are geocentric (ITRF)",
    "station_order": "the order of the stations is that of the header",
    "swapped_antennas": "every input has its own antenna",
    "positions": "antennas stand where the header says",
    "clock": "the header's time is right",
    "integration_time": "the integration time is right",
    "frequencies": "subbands have the frequencies of their labels",
    "channel_order": "channels descend in frequency as labelled",
    "delays": "residual delays are short and equal in all subbands",
    "polarisations": "both products that are used are parallel hands",
    "receptor_names": "X and Y are the receptors that the header calls so",
    "boards": "all receptors are alive (autocorrelations)",
    "receptors": "all live receptors have fringes",
    "packet_loss": "no samples are lost",
    "declination": "the header's declination is that of the dishes",
    "sun": "the Sun is not in the data",
}


@dataclass(frozen=True)
class Finding:
    """One statement with its verdict and the number behind it.

    Attributes
    ----------
    key : str
        Of `STATEMENTS`.
    verdict : str
        ``confirmed``, ``refuted`` or ``not measurable``.
    text : str
        What was measured, in one sentence.
    value, error : float or None
        The number and its standard error.
    unit : str
    named : tuple of str
        Antennas, receptors or subbands that are at fault.
    details : dict
        Further numbers, JSON-ready.
    """

    key: str
    verdict: Verdict
    text: str
    value: float | None = None
    error: float | None = None
    unit: str = ""
    named: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def statement(self) -> str:
        """What the verdict is about."""
        return STATEMENTS[self.key]

    def as_json(self) -> dict[str, Any]:
        """Return the finding for a program."""
        return finite(asdict(self)) | {"named": list(self.named), "statement": self.statement}


def finite(value: Any) -> Any:
    """Return a JSON-ready value with None for numbers that are not finite, and plain numbers for numpy's."""
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value


def listed(names: list[str] | tuple[str, ...], most: int = 6) -> str:
    """Return names separated by commas, the rest counted."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def not_measurable(key: str, why: str) -> Finding:
    """Return a finding that the data cannot decide."""
    return Finding(key, NOT_MEASURABLE, why)


OF_SINGLE_ANTENNAS = ("swapped_antennas", "positions", "delays", "receptors")
"""Findings that hold for the antennas with baselines only."""


def of_some_antennas(findings: Sequence[Finding], reached: NDArray[np.bool_]) -> list[Finding]:
    """Return findings of which those that confirm something of every antenna do so only where all have baselines.

    Parameters
    ----------
    findings : sequence of Finding
    reached : (nant,) bool
        Antennas with baselines: of a fingerprint, some of them.
    """
    if reached.all():
        return list(findings)
    seen = f"right for the {int(reached.sum())} of {len(reached)} antennas with baselines here"
    return [
        replace(one, verdict=NOT_MEASURABLE, text=f"{seen}: {one.text}")
        if one.key in OF_SINGLE_ANTENNAS and one.verdict == CONFIRMED
        else one
        for one in findings
    ]
