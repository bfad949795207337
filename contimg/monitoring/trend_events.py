"""What a person should see in weeks of gains and delays: dead receptors, steps, and cables that were exchanged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

DELAY_STEP_NS = 1.0
GAIN_STEP = 0.15
SIGMAS = 5.0
_FITTED = 3  # numbers that a step takes from the values: its place and both medians
_FLOOR_NS, _FLOOR_GAIN = 0.05, 0.01
"""Least scatter that is believed: a few quiet calibrations have less by chance."""
_EXCHANGED = 0.2
"""Two steps are an exchange if each receptor takes the other's place within this part of the step."""


@dataclass(frozen=True)
class Event:
    """Something that happened to a receptor, or to two of them.

    Attributes
    ----------
    kind : str
        ``dead``, ``delay_step``, ``gain_step`` or ``exchange``.
    receptors : tuple of str
    since : str or None
        The first calibration that shows it; None where all do.
    size : float or None
        The step [ns], or the ratio of amplitudes after and before.
    message : str
    """

    kind: str
    receptors: tuple[str, ...]
    since: str | None
    size: float | None
    message: str

    def to_json(self) -> dict[str, object]:
        """Return the content for programs."""
        return asdict(self)


def find_events(
    calibrations: Sequence[str], names: Sequence[str], gain: NDArray[np.float64], delay_ns: NDArray[np.float64]
) -> list[Event]:
    """Return what happened, the latest first.

    Parameters
    ----------
    calibrations : sequence of str
        Ids in order of time (ncal).
    names : sequence of str
        Receptors (nrec).
    gain, delay_ns : (ncal, nrec) float64
        NaN: no solution. Delays are compared in ns, amplitudes by their ratio.
    """
    if not calibrations:
        return []
    found = _dead(calibrations, names, gain)
    with np.errstate(all="ignore"):
        changes = _steps(np.log(gain), GAIN_STEP / 2, _FLOOR_GAIN)
    for column, (place, before, after) in changes.items():
        ratio = math.exp(after - before)
        if abs(ratio - 1) >= GAIN_STEP:
            name, since = names[column], calibrations[place]
            message = f"the amplitude of {name} is {ratio:.2f} times what it was since {since}: look at its receiver"
            found.append(Event("gain_step", (name,), since, ratio, message))
    steps = {names[column]: step for column, step in _steps(delay_ns, DELAY_STEP_NS, _FLOOR_NS).items()}
    found += _delay_events(calibrations, steps)
    return sorted(found, key=lambda one: (one.since or "", one.receptors), reverse=True)


def _dead(calibrations: Sequence[str], names: Sequence[str], gain: NDArray[np.float64]) -> list[Event]:
    """Return an event for the receptors that have no solution in the last calibration, one for each time of death."""
    together: dict[str | None, list[str]] = {}
    for name, column in zip(names, gain.T, strict=True):
        solved = np.flatnonzero(np.isfinite(column))
        if not len(solved):
            together.setdefault(None, []).append(name)
        elif solved[-1] < len(column) - 1:
            together.setdefault(calibrations[solved[-1] + 1], []).append(name)
    return [_died(since, receptors, len(names), len(calibrations)) for since, receptors in together.items()]


def _died(since: str | None, receptors: Sequence[str], of: int, calibrations: int) -> Event:
    never = f"in any of {calibrations} calibrations" if calibrations > 1 else "in the only calibration"
    when = f"since {since}" if since else never
    if len(receptors) == 1:
        message = f"{receptors[0]} has no solution {when}: look at its receiver and cable"
    else:
        where = "that calibration" if len(receptors) > of / 2 else "what they have in common, then at each"
        message = f"{len(receptors)} of {of} receptors have no solution {when}: look at {where}"
    return Event("dead", tuple(receptors), since, None, message)


_Step = tuple[int, float, float]
"""The first row after a step, and the medians before and after it."""


def _steps(values: NDArray[np.float64], least: float, floor: float) -> dict[int, _Step]:
    """Return the clearest step of each column that has one of a least size.

    A step has two values before it, and stands `SIGMAS` above the scatter about both medians (by the mean absolute
    deviation, as of normal errors), that of the column or of the middle one of all columns, whichever is larger: among
    hundreds of columns of few values one has little scatter by chance.
    """
    found = {column: one for column in range(values.shape[1]) if (one := _clearest(values[:, column])) is not None}
    usual = float(np.median([scatter for _, scatter in found.values()])) if found else 0.0
    return {
        column: step
        for column, (step, scatter) in found.items()
        if abs(step[2] - step[1]) >= max(least, SIGMAS * max(floor, usual, scatter))
    }


def _clearest(values: NDArray[np.float64]) -> tuple[_Step, float] | None:
    """Return the step that leaves the least absolute deviations, and the scatter about it; None with few values."""
    known = np.flatnonzero(np.isfinite(values))
    best: tuple[float, _Step, float] | None = None
    for cut in range(2, len(known)):
        first, last = values[known[:cut]], values[known[cut:]]
        before, after = float(np.median(first)), float(np.median(last))
        rest = np.abs(np.concatenate([first - before, last - after]))
        if best is None or rest.sum() < best[0]:
            scatter = math.sqrt(math.pi / 2) * float(rest.sum()) / max(len(known) - _FITTED, 1)
            best = (float(rest.sum()), (int(known[cut]), before, after), scatter)
    return None if best is None else (best[1], best[2])


def _delay_events(calibrations: Sequence[str], steps: dict[str, _Step]) -> list[Event]:
    """Return the exchanges among steps of delays, and the other steps."""
    found: list[Event] = []
    left = dict(steps)
    for one in list(steps):
        if one not in left:
            continue
        partner = next((other for other in left if other != one and _exchanged(left[one], left[other])), None)
        place, before, after = left.pop(one)
        since = calibrations[place]
        if partner is None:
            message = f"the delay of {one} went from {before:+.2f} to {after:+.2f} ns in {since}: look at its cable"
            found.append(Event("delay_step", (one,), since, after - before, message))
        else:
            del left[partner]
            message = f"the delays of {one} and {partner} changed places in {since}: their cables were exchanged"
            found.append(Event("exchange", (one, partner), since, after - before, message))
    return found


def _exchanged(one: _Step, other: _Step) -> bool:
    near = _EXCHANGED * abs(one[2] - one[1])
    return one[0] == other[0] and abs(one[2] - other[1]) <= near and abs(other[2] - one[1]) <= near
