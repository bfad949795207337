"""Whether some order of operations explains what each of many processes saw: publishing as one object a mosaic.

Operations overlap, and some have no known end (their process was killed, or its connection was cut): these may have
taken place at any later time, or never. What is known is when each began and ended, and what it returned. `explained`
looks for an order that keeps to these times and in which every operation returns what it returned (Herlihy & Wing 1990;
the search is that of Wing & Gong 1993, with the states remembered, Lowe 2017). Of operations of one kind without a
known end it matters only how many took place: those that began first may be taken. A server that is away for a while
leaves dozens, and each subset of them would be looked at.

An operation that works in several transactions is several steps, between which others may see it half done.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

# What a reader may see of a mosaic. 'under way': in staging, or being published. A mosaic that was registered, and not
# judged yet, is in staging too.
STATES = ("absent", "under way", "held", "published", "rejected", "withdrawn")
_UNJUDGED = "unjudged"
Apply = Callable[[str], str | None]


@dataclass(frozen=True)
class Operation:
    """What a process asked for; `end` is infinite and `result` None where nothing is known of its end.

    Results are ``ok``, a state (of a reading, a work, or a refusal: the state for which it was refused), or ``nothing``
    where it certainly did nothing.
    """

    name: str
    start: float
    end: float = math.inf
    result: str | None = None


@dataclass(frozen=True)
class Step:
    """A part of an operation that took place at one moment; `apply` returns the state after it, None if impossible."""

    start: float
    end: float
    apply: Apply
    before: int | None


def _move(sources: Sequence[str], target: str) -> Apply:
    return lambda state: target if state in sources else None


def _try(sources: Sequence[str], target: str) -> Apply:
    return lambda state: target if state in sources else state


def _is(seen: str) -> Apply:
    return lambda state: state if seen == ("under way" if state == _UNJUDGED else state) else None


def steps_of(one: Operation, registered: str) -> list[tuple[Apply, bool]]:
    """Return the steps of an operation, and whether each may be left out.

    Parameters
    ----------
    one : Operation
    registered : str
        The state after the mosaic was registered and judged: ``under way``, or ``held`` where it did not pass.
    """
    unknown = one.result is None
    if one.result == "nothing":
        return []
    if one.name == "read":
        return [] if unknown else [(_is(one.result), False)]
    if one.name == "work":
        changes = [_try(["absent"], _UNJUDGED), _try([_UNJUDGED], registered), _try(["under way"], "published")]
        begun = [(change, unknown) for change in changes]
        return begun if unknown else [*begun, (_is(one.result), False)]
    moves: dict[str, list[Apply]] = {
        "approve": [_move(["held"], "under way")],
        "reject": [_move(["held", "under way", _UNJUDGED], "rejected")],
        "withdraw": [_move(["published"], "withdrawn")],
        "restore": [_move(["withdrawn"], "under way"), _try(["under way"], "published")],
    }
    if unknown or one.result == "ok":
        return [(move, unknown) for move in moves[one.name]]
    return [(_is(one.result), False)]  # refused, because of that state


def explained(operations: Sequence[Operation], registered: str) -> bool:
    """Return whether some order explains what operations on one mosaic returned, from its absence on."""
    steps: list[Step] = []
    kinds: dict[tuple[str, int], tuple[Apply, list[float]]] = {}  # of what may have taken place: when each began
    for one in operations:
        before = None
        for number, (apply, optional) in enumerate(steps_of(one, registered)):
            if optional:
                kinds.setdefault((one.name, number), (apply, []))[1].append(one.start)
                continue
            steps.append(Step(one.start, one.end, apply, before))
            before = len(steps) - 1
    possible = [(apply, sorted(starts)) for apply, starts in kinds.values()]
    everything = frozenset(range(len(steps)))
    seen: dict[tuple[frozenset[int], str], list[tuple[int, ...]]] = {}
    # First those that explain the most, and of these the ones that suppose the fewest operations without a known end.
    ticket = itertools.count()
    waiting = [(0, 0, next(ticket), frozenset[int](), (0,) * len(possible), "absent")]
    while waiting:
        _, supposed, _, done, used, state = heapq.heappop(waiting)
        if done == everything:
            return True
        alike = seen.setdefault((done, state), [])
        if any(all(a <= b for a, b in zip(less, used, strict=True)) for less in alike):
            continue  # whatever follows from here follows from there
        alike.append(used)
        limit = min(steps[number].end for number in everything - done)
        for number in everything - done:
            step = steps[number]
            after = step.apply(state) if step.start <= limit and (step.before is None or step.before in done) else None
            if after is not None:
                heapq.heappush(waiting, (-len(done) - 1, supposed, next(ticket), done | {number}, used, after))
        for kind, (apply, starts) in enumerate(possible):
            after = apply(state) if used[kind] < len(starts) and starts[used[kind]] <= limit else None
            if after not in (None, state):
                more = (*used[:kind], used[kind] + 1, *used[kind + 1 :])
                heapq.heappush(waiting, (-len(done), supposed + 1, next(ticket), done, more, after))
    return False
