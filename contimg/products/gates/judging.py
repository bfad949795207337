"""Reasons that follow from measured numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contimg.products.gates.gate import SIGNIFICANCE, Gate, Options, is_number
from contimg.products.gates.table import GATES
from contimg.products.twin import Reason, Twin

COMMISSIONING = "commissioning"
"""Code of the reason by which every mosaic is held while ``qa.commissioning`` is on."""


def gates_of(kind: str, measured: Mapping[str, Any] | None = None) -> dict[str, list[Gate]]:
    """Return the gates of a kind of product by the number that they judge, in the table's order.

    Parameters
    ----------
    kind : str
        As in `Gate`.
    measured : mapping, optional
        A product's ``qa``: then without the gates that do not apply to it (`Gate.when`).
    """
    found: dict[str, list[Gate]] = {}
    for gate in GATES:
        if gate.kind == kind and (measured is None or not gate.when or gate.when in measured):
            found.setdefault(gate.key, []).append(gate)
    return found


def threshold_keys(kind: str) -> dict[str, list[str]]:
    """Return the keys of the configuration that a kind's verdict depends on, by section."""
    names = {gate.limit for gate in GATES if gate.kind == kind and isinstance(gate.limit, str)}
    names |= {gate.sample.option for gate in GATES if gate.kind == kind and gate.sample is not None}
    names |= {SIGNIFICANCE for gate in GATES if gate.kind == kind and gate.error}
    if any(name.startswith("qa.") for name in names):
        names.add("qa.commissioning")
    found: dict[str, list[str]] = {}
    for name in sorted(names):
        section, _, key = name.partition(".")
        found.setdefault(section, []).append(key)
    return found


def judge(kind: str, measured: Mapping[str, Any], options: Options) -> list[Reason]:
    """Return the reasons against a product; none when every number was measured and lies within its limits.

    Parameters
    ----------
    kind : str
        As in `Gate`.
    measured : mapping
        The twin's ``qa``. It must hold every number of the gates that apply, None where it was not measured.
    options : mapping of str to Section
        The sections of the configuration that the kind's gates name, by name.

    Raises
    ------
    KeyError
        If a number or a section is missing.
    """
    found = (_judge_number(measured, gates, options) for gates in gates_of(kind, measured).values())
    reasons = _explained([reason for reason in found if reason is not None], measured, kind)
    return _commissioned(reasons, kind) if commissioning(options) else reasons


def judge_again(twin: Twin, options: Options) -> list[Reason]:
    """Return a product's reasons under other thresholds, from what its twin holds.

    Reasons that no gate gave (no data, an input that failed) stay. A product is judged by the numbers that its twin
    has: one that failed early lacks some, and one of an earlier version lacks those of newer gates.

    Parameters
    ----------
    twin : Twin
    options : mapping of str to Section
        As in `judge`.
    """
    gates = gates_of(twin.kind, twin.qa)
    codes = {code for some in gates.values() for gate in some for code in (gate.reason_code, gate.unmeasured_code)}
    codes.add(COMMISSIONING)
    kept = [reason for reason in twin.reasons if reason.code not in codes]
    known = (_judge_number(twin.qa, some, options) for key, some in gates.items() if key in twin.qa)
    reasons = _explained([reason for reason in known if reason is not None], twin.qa, twin.kind)
    return kept + (_commissioned(reasons, twin.kind) if commissioning(options) else reasons)


def commissioning(options: Options) -> bool:
    """Return whether ``qa.commissioning`` is on; it is off in options without ``qa``, or of before the key."""
    section = options.get("qa", {})
    value = (
        section.get("commissioning", False) if isinstance(section, Mapping) else section.model_dump()["commissioning"]
    )
    return bool(value)


def _commissioned(reasons: list[Reason], kind: str) -> list[Reason]:
    """Return reasons with failures as warnings; a mosaic gets one more, so that it is held whatever its numbers are."""
    softened = [
        reason.model_copy(
            update={"severity": "warning", "message": f"{reason.message}; failed, but for qa.commissioning"}
        )
        if reason.severity == "failed"
        else reason
        for reason in reasons
    ]
    if kind == "mosaic":
        message = "qa.commissioning is true: every mosaic waits for a person"
        softened.append(Reason(code=COMMISSIONING, severity="warning", message=message))
    return softened


def _explained(reasons: list[Reason], measured: Mapping[str, Any], kind: str) -> list[Reason]:
    """Return the reasons, with the ``diagnosis`` (most likely cause) appended to the first one about a fitted number.

    Numbers that name a part of the data (a subband, an antenna) explain themselves.
    """
    diagnosis = measured.get("diagnosis")
    gates = [gate for gate in GATES if gate.kind == kind and gate.error and f"{gate.key}_of" not in measured]
    fitted = {gate.reason_code for gate in gates}
    first = next((reason for reason in reasons if reason.code in fitted), None)
    if first is None or not diagnosis:
        return reasons
    explained = first.model_copy(update={"message": f"{first.message}; best explained by {diagnosis}"})
    return [explained if reason is first else reason for reason in reasons]


def _judge_number(measured: Mapping[str, Any], gates: list[Gate], options: Options) -> Reason | None:
    """Return the reason of one number: that of the most severe gate it crosses."""
    first = gates[0]
    value, error = measured[first.key], measured.get(first.error) if first.error else None
    shortage = first.sample.shortage(measured, options) if first.sample else None
    if shortage or not is_number(value) or (first.error and not is_number(error)):
        if first.unmeasured is None:
            return None
        message = f"{first.label}: not measured{f': {shortage}' if shortage else ''}"
        return Reason(code=first.unmeasured_code, severity=first.unmeasured, message=message)
    crossed = [gate for gate in gates if gate.crossed(value, options, error)]
    if not crossed:
        return None
    reason = next((gate for gate in crossed if gate.severity == "failed"), crossed[0]).reason(value, options, error)
    part = measured.get(f"{first.key}_of")  # the subband, integration or antenna that the number is of
    return reason if part is None else reason.model_copy(update={"message": f"{reason.message}: {part}"})
