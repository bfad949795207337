"""Which baselines of a tile a fingerprint holds: those by which a check measures most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from contimg.correlator import hdf5
from contimg.correlator.hdf5 import Header
from contimg.errors import InputError

BASELINES = 30
_ANTENNAS = 12
"""Antennas that are tied to each other by 24 of the baselines; the other six are the shortest of all, for the Sun."""
_LIT = 0.1
"""A dead receptor has less than this part of the median autocorrelation."""


def choose_baselines(header: Header, wanted: Sequence[str] = ()) -> NDArray[np.intp]:
    """Return rows of a file's baselines, ascending: all autocorrelations and up to thirty others.

    Twelve live antennas that lie as far from each other as can be, each with four others in a ring, so that positions,
    clock and delays can be solved for; and the shortest baselines of the array.

    Parameters
    ----------
    header : Header
        With data: the autocorrelations of its first integration tell which antennas live.
    wanted : sequence of str
        Names of antennas that must be among the twelve.

    Raises
    ------
    InputError
        If one is not correlated, or they are more than twelve.
    """
    one, two = header.antenna1, header.antenna2
    autos = np.flatnonzero(one == two)
    rows = one[autos]
    first = _wanted_rows(header, rows, wanted)
    live = rows[_lit(header, autos) & np.isfinite(header.antenna_positions_m[rows]).all(axis=1)]
    spread = _far_apart(header.antenna_positions_m, live, first)
    place = {(min(a, b), max(a, b)): row for row, (a, b) in enumerate(zip(one.tolist(), two.tolist(), strict=True))}
    pairs = dict.fromkeys(_ring(spread))
    for pair in _shortest(header.antenna_positions_m, live):
        if len(pairs) >= BASELINES:
            break
        pairs[pair] = None
    return np.array(sorted([*autos.tolist(), *(place[pair] for pair in pairs)]), np.intp)


def _wanted_rows(header: Header, correlated: NDArray[np.int64], wanted: Sequence[str]) -> list[int]:
    if len(wanted) > _ANTENNAS:
        raise InputError(f"a fingerprint ties {_ANTENNAS} antennas, {len(wanted)} are asked for: name fewer")
    known = {header.antenna_names[row]: int(row) for row in correlated}
    for name in wanted:
        if name not in known:
            raise InputError(f"antenna {name} is not in the data: see the antennas with contimg inspect FILE")
    return list(dict.fromkeys(known[name] for name in wanted))


def _lit(header: Header, autos: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return which antennas have power in both receptors in the first integration."""
    with hdf5.open_data(header) as data:
        plane, _, _ = data.at(0, 0, header.n_baselines)
        levels = np.nanmedian(np.where(np.isfinite(plane[:, autos]), plane[:, autos].real, np.nan), axis=2)
    usual = np.nanmedian(levels, axis=1, keepdims=True)
    return np.asarray((levels > _LIT * usual).all(axis=0))


def _far_apart(positions_m: NDArray[np.float64], live: NDArray[np.int64], first: list[int]) -> list[int]:
    """Return antennas each of which is the farthest from all before it; the first ones are given, or the outermost."""
    rest = [int(row) for row in live if row not in first]
    chosen = list(first)
    if not chosen and rest:
        middle = np.median(positions_m[rest], axis=0)
        chosen = [rest[int(np.argmax(np.linalg.norm(positions_m[rest] - middle, axis=1)))]]
        rest.remove(chosen[0])
    while rest and len(chosen) < _ANTENNAS:
        apart = np.linalg.norm(positions_m[rest][:, None] - positions_m[chosen], axis=2).min(axis=1)
        chosen.append(rest.pop(int(np.argmax(apart))))
    return chosen


def _ring(antennas: list[int]) -> list[tuple[int, int]]:
    """Return pairs that tie each antenna to the next two in a ring."""
    count = len(antennas)
    found = []
    for step in (1, 2):
        for place in range(count):
            a, b = antennas[place], antennas[(place + step) % count]
            if a != b:
                found.append((min(a, b), max(a, b)))
    return found


def _shortest(positions_m: NDArray[np.float64], live: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return all pairs of live antennas, the shortest first."""
    one, two = np.triu_indices(len(live), 1)
    a, b = np.minimum(live[one], live[two]), np.maximum(live[one], live[two])
    length = np.linalg.norm(positions_m[a] - positions_m[b], axis=1)
    order = np.argsort(length.round(3), kind="stable")
    return [(int(a[place]), int(b[place])) for place in order]
