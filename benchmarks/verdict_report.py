"""Tables of the campaign of verdicts: kinds and verdicts, limits and what they tell apart, smallest sizes."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.verdict_kinds import KINDS
from contimg.config import QaOptions
from contimg.products.gates import GATES, Gate

Record = dict[str, Any]


def report(runs: Sequence[Record]) -> str:
    """Return the tables in Markdown."""
    tables = (_totals, _kinds, _characteristics, _curves, _seen, _smallest, _clean)
    parts = [table(runs) for table in tables]
    return "\n\n".join(part for part in parts if part)


def _faulty(runs: Sequence[Record]) -> list[Record]:
    return [run for run in runs if run["mode"] != "clean"]


def _of_usual_size(runs: Sequence[Record]) -> list[Record]:
    """Return the runs with a fault of the size that its kind has; others are steps of a ladder."""
    return [run for run in _faulty(runs) if run["value"] == KINDS[run["kind"]].value]


def _totals(runs: Sequence[Record]) -> str:
    faulty, clean = _of_usual_size(runs), [run for run in runs if run["mode"] == "clean"]
    right, quiet = sum(run["right"] for run in faulty), sum(run["right"] for run in clean)
    said = f"{len(faulty)} runs with a fault of {len({run['kind'] for run in faulty})} kinds: "
    said += f"{right} named ({right / max(1, len(faulty)):.1%}). "
    parts = [run for run in faulty if run.get("part_named") is not None]
    if parts:
        named = sum(run["part_named"] for run in parts)
        said += f"Of {len(parts)} runs with a fault of one subband or antenna, {named} name it. "
    return said + f"{len(clean)} clean nights: {len(clean) - quiet} with a warning or without a tile."


def _kinds(runs: Sequence[Record]) -> str:
    groups: dict[tuple[str, str, float], list[Record]] = defaultdict(list)
    for run in _of_usual_size(runs):
        groups[run["kind"], run["mode"], run["value"]].append(run)
    lines = [
        "| fault | as | size | runs | named | verdicts | reasons most often given |",
        "|---|---|---|---|---|---|---|",
    ]
    for (kind, mode, value), same in sorted(groups.items()):
        verdicts = Counter(
            "left out"
            if run["verdict"] == "none" or (run.get("left_out") and run["verdict"] == "passed")
            else run["verdict"]
            for run in same
        )
        codes = Counter(code for run in same for code in set(run.get("codes", ())))
        lines.append(
            f"| {kind} | {mode} | {value:g} | {len(same)} | {sum(run['right'] for run in same)} | "
            f"{', '.join(f'{count} {verdict}' for verdict, count in verdicts.most_common())} | "
            f"{', '.join(code for code, _ in sorted(codes.items(), key=lambda one: (-one[1], one[0]))[:3])} |"
        )
    return "\n".join(lines)


def _characteristics(runs: Sequence[Record]) -> str:
    """Return for each gate what its number and its limit tell of clean and faulty nights."""
    lines = [
        "| of | number | limit | clean | beyond | faulty | beyond | area | worst clean | 99.9 % of clean |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for gate in GATES:
        if gate.kind in ("image", "mosaic", "crossmatch"):
            lines += _characteristic(gate, *_numbers_of(runs, gate))
    return "\n".join(lines)


def _numbers_of(runs: Sequence[Record], gate: Gate) -> tuple[list[Record], list[Record]]:
    """Return the numbers of the clean products of a gate's kind, and of those with faults, that have its number."""
    found: tuple[list[Record], list[Record]] = ([], [])
    for run in runs:
        rows = list(run.get("tiles", {}).values()) if gate.kind == "image" else [run.get("numbers", {})]
        found[run["mode"] != "clean"].extend(row for row in rows if _known(row, gate.key))
    return found


def _characteristic(gate: Gate, clean: list[Record], faulty: list[Record]) -> list[str]:
    """Return the line of a gate; none where too few clean or faulty products have its number."""
    if len(clean) < 2 or len(faulty) < 2:
        return []
    options = {"qa": QaOptions()}
    off, bad = (_badness(gate, some) for some in (clean, faulty))
    area = float(np.mean(off[:, None] < bad[None]) + np.mean(off[:, None] == bad[None]) / 2)
    crossed = [
        np.mean([gate.crossed(one[gate.key], options, one.get(gate.error)) for one in some]) for some in (clean, faulty)
    ]
    worst = clean[int(np.argmax(off))][gate.key]
    return [
        f"| {gate.kind} | {gate.key} | {gate.shown_threshold(options)} | {len(clean)} | {crossed[0]:.1%} | "
        f"{len(faulty)} | {crossed[1]:.1%} | {area:.2f} | {worst:.4g} | {_shown(gate, _tail(off)):.4g} |"
    ]


# Numbers that a few kinds of faults touch, and these kinds: among all faults their area says little.
_TOUCHED = {
    "arm_delay_ns": r"arm_delay",
    "arm_phase_deg": r"arm_delay",
    "arm_gain": r"arm_delay|antenna_gain|baselines_scaled",
    "subband_gain": r"subband|channels_reversed",
    "time_gain": r"integration|gain_ramp|satellite|stuck",
    "antenna_gain": r"antenna",
    "flux_tilt_ra": r"drift|gain_ramp",
    "flux_tilt_dec": r"declination",
    "flux_bow_dec": r"beam_diameter",
    "beam_width_error": r"beam_diameter",
    "band_tilt": r"bandpass_tilt",
    "distortion_beams": r"rotated|mirrored|b1950",
    "tile_scale_spread": r"tile_(scale|bright|image_scaled|pb)|drift|target",
    "tile_shift_spread_beams": r"tile_(image_shifted|shift|rotated|b1950)|clock",
    "pixel_scale_spread": r"tile_|drift|target",
    "pixel_shift_spread_beams": r"tile_|clock",
    "difference_width": r"tile_|noise|crosstalk",
    "difference_residue": r"tile_|constant|offset",
    "difference_stripe": r"bad_baseline|satellite|offset",
    "pixel_outliers": r"invented|ghost|duplicated|exchanged",
    "pixel_outlier_sigma": r"invented|ghost|duplicated|exchanged",
    "warned_weight": r"^(?!mosaic|tile_)",
    "striping": r"bad_baseline|offset|constant",
}
_AT = (0.5, 1.0, 2.0)


def _curves(runs: Sequence[Record]) -> str:
    """Return three points of the curve of each gate of `_TOUCHED`: at half its limit, at it, and at twice.

    Of a tile that was left out, its image's numbers count; a mosaic's numbers are those of the tiles that stayed.
    """
    lines = [
        "| of | number | faults that touch it | clean | faulty | area | beyond 0.5, 1, 2 limits: clean | faulty |",
        "|---|---|---|---|---|---|---|---|",
    ]
    seen = set()
    for gate in GATES:
        pattern = _TOUCHED.get(gate.key)
        if pattern is None or (gate.kind, gate.key) in seen or gate.kind not in ("image", "mosaic", "crossmatch"):
            continue
        seen.add((gate.kind, gate.key))
        touched = [run for run in runs if run["mode"] == "clean" or re.search(pattern, run["kind"])]
        clean, faulty = _numbers_of(touched, gate)
        if len(clean) < 2 or len(faulty) < 2:
            continue
        off, bad = (_badness(gate, some) for some in (clean, faulty))
        area = float(np.mean(off[:, None] < bad[None]) + np.mean(off[:, None] == bad[None]) / 2)
        limit = gate.threshold({"qa": QaOptions()})
        limit = float(np.log(limit)) if gate.bound == "factor" else limit
        shares = [", ".join(f"{np.mean(some > at * limit):.1%}" for at in _AT) for some in (off, bad)]
        words = pattern.replace("|", ", ")
        number = f"| {gate.kind} | {gate.key} | `{words}` | {len(clean)} | {len(faulty)} | {area:.2f} "
        lines.append(f"{number}| {shares[0]} | {shares[1]} |")
    return "\n".join(lines)


def _tail(badness: np.ndarray) -> float:
    """Return the 99.9 % quantile, extrapolated from median and 90 % quantile as of a normal distribution."""
    middle, high = np.quantile(badness, [0.5, 0.9])
    return float(middle + (high - middle) * 3.090 / 1.282)


def _shown(gate: Gate, badness: float) -> float:
    """Return the number that a badness is of."""
    if gate.bound == "factor":
        return float(np.exp(badness))
    return max(0.0, -badness) if gate.bound == "min" else badness


def _known(numbers: Record, key: str) -> bool:
    return isinstance(numbers.get(key), int | float) and bool(np.isfinite(numbers[key]))


def _badness(gate: Gate, numbers: Sequence[Record]) -> np.ndarray:
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
    clean = [run.get("numbers", {}) for run in runs if run["mode"] == "clean"]
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
        f"clean night {run['kind']} {run['seed']}: {run['verdict']}, {'; '.join(run.get('messages', [])[:2])}"
        for run in loud
    ]
    return "\n".join(lines)
