"""Tables of the campaign of verdicts: kinds and verdicts, limits and what they tell apart, smallest sizes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from contimg.config import QaOptions
from contimg.products.gates import GATES

Record = dict[str, Any]


def report(runs: Sequence[Record]) -> str:
    """Return the tables in Markdown."""
    parts = [_totals(runs), _kinds(runs), _characteristics(runs), _seen(runs), _smallest(runs), _clean(runs)]
    return "\n\n".join(part for part in parts if part)


def _faulty(runs: Sequence[Record]) -> list[Record]:
    return [run for run in runs if run["mode"] != "clean"]


def _totals(runs: Sequence[Record]) -> str:
    faulty, clean = _faulty(runs), [run for run in runs if run["mode"] == "clean"]
    right, quiet = sum(run["right"] for run in faulty), sum(run["right"] for run in clean)
    said = f"{len(faulty)} runs with a fault of {len({run['kind'] for run in faulty})} kinds: "
    said += f"{right} named ({right / max(1, len(faulty)):.1%}). "
    return said + f"{len(clean)} clean nights: {len(clean) - quiet} with a warning or without a tile."


def _kinds(runs: Sequence[Record]) -> str:
    groups: dict[tuple[str, str, float], list[Record]] = defaultdict(list)
    for run in _faulty(runs):
        groups[run["kind"], run["mode"], run["value"]].append(run)
    lines = [
        "| fault | as | size | runs | named | verdicts | reasons most often given |",
        "|---|---|---|---|---|---|---|",
    ]
    for (kind, mode, value), same in sorted(groups.items()):
        verdicts = Counter(
            "left out"
            if run["verdict"] == "none" or (run["left_out"] and run["verdict"] == "passed")
            else run["verdict"]
            for run in same
        )
        codes = Counter(code for run in same for code in set(run["codes"]))
        lines.append(
            f"| {kind} | {mode} | {value:g} | {len(same)} | {sum(run['right'] for run in same)} | "
            f"{', '.join(f'{count} {verdict}' for verdict, count in verdicts.most_common())} | "
            f"{', '.join(code for code, _ in codes.most_common(3))} |"
        )
    return "\n".join(lines)


def _characteristics(runs: Sequence[Record]) -> str:
    """Return for each gate of mosaics and comparisons what its number and its limit tell of clean and faulty nights."""
    options = {"qa": QaOptions()}
    clean = [run["numbers"] for run in runs if run["mode"] == "clean"]
    faulty = [run["numbers"] for run in _faulty(runs)]
    lines = [
        "| number | limit | clean beyond | faulty beyond | area | 99 % of clean within |",
        "|---|---|---|---|---|---|",
    ]
    for gate in GATES:
        if gate.kind not in ("mosaic", "crossmatch"):
            continue
        off, bad = (_badness(gate, some) for some in (clean, faulty))
        if len(off) < 2 or len(bad) < 2:
            continue
        area = float(np.mean(off[:, None] < bad[None]) + np.mean(off[:, None] == bad[None]) / 2)
        crossed = [
            np.mean([gate.crossed(n[gate.key], options) for n in some if _known(n, gate.key)])
            for some in (clean, faulty)
        ]
        values = [one[gate.key] for one in clean if _known(one, gate.key)]
        within = np.quantile(values, 0.01 if gate.bound == "min" else 0.99)
        lines.append(
            f"| {gate.key} | {gate.shown_threshold(options)} | {crossed[0]:.1%} | {crossed[1]:.1%} | {area:.2f} | "
            f"{within:.4g} |"
        )
    return "\n".join(lines)


def _crossed(gate: Any, numbers: Sequence[Record], options: Any) -> float:
    """Return the fraction of the known values that a gate would make a reason."""
    known = [one for one in numbers if _known(one, gate.key)]
    return float(np.mean([gate.crossed(one[gate.key], options, one.get(gate.error)) for one in known]))


def _known(numbers: Record, key: str) -> bool:
    return isinstance(numbers.get(key), int | float) and bool(np.isfinite(numbers[key]))


def _badness(gate: Any, numbers: Sequence[Record]) -> np.ndarray:
    """Return how bad a number is, growing: for limits on both sides by its distance from the good value."""
    values = np.array([number[gate.key] for number in numbers if _known(number, gate.key)], float)
    if gate.bound == "min":
        return -values
    if gate.bound == "factor":
        return np.abs(np.log(np.maximum(values, 1e-9)))
    return np.abs(values) if gate.bound == "abs" else values


def _seen(runs: Sequence[Record]) -> str:
    """Return the smallest size that each limit with an error sees in clean nights: the limit, or so many errors."""
    options = QaOptions()
    clean = [run["numbers"] for run in runs if run["mode"] == "clean"]
    lines = ["| number | limit | median error | smallest size that is seen |", "|---|---|---|---|"]
    for gate in (gate for gate in GATES if gate.error and gate.kind in ("mosaic", "crossmatch")):
        errors = [one[gate.error] for one in clean if _known(one, gate.error)]
        if errors:
            limit = gate.threshold({"qa": options}) - (gate.bound == "factor")
            error = float(np.median(errors))
            lines.append(f"| {gate.key} | {limit:.3g} | {error:.3g} | {max(limit, options.significance * error):.3g} |")
    return "\n".join(lines)


def _smallest(runs: Sequence[Record]) -> str:
    """Return the smallest size of each ladder at which, and above which, every run was named."""
    sizes: dict[tuple[str, str], dict[float, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for run in _faulty(runs):
        sizes[run["kind"], run["mode"]][run["value"]].append(run["right"])
    lines = ["| fault | as | sizes tried, and how many of the runs were named |", "|---|---|---|"]
    for (kind, mode), of_size in sorted(sizes.items()):
        if len(of_size) > 2:
            tried = ", ".join(f"{value:g}: {sum(named)}/{len(named)}" for value, named in sorted(of_size.items()))
            lines.append(f"| {kind} | {mode} | {tried} |")
    return "\n".join(lines) if len(lines) > 2 else ""


def _clean(runs: Sequence[Record]) -> str:
    loud = [run for run in runs if run["mode"] == "clean" and not run["right"]]
    lines = [
        f"clean night {run['kind']} {run['seed']}: {run['verdict']}, {'; '.join(run['messages'][:2])}" for run in loud
    ]
    return "\n".join(lines)
