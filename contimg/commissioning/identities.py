"""Antenna at each correlator input: inputs without coherent fringes are tried at every station of the table."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from contimg.commissioning.conventions import GOOD, Convention, Transit, table_positions
from contimg.commissioning.findings import CONFIRMED, REFUTED, Finding, listed
from contimg.commissioning.fringes import FringeModel, coherence, mean_coherence, stopped
from contimg.sky import geometry

_BAD = 0.8
"""An input is suspect whose coherence is below this part of the median's."""
_SILENT = 0.25
"""An input without fringes has less than this part of the median's fringe power."""
_EAST_M = np.arange(-60.0, 60.25, 0.5)


@dataclass(frozen=True)
class Identity:
    """The antenna or position that the data of a suspect input fit.

    Attributes
    ----------
    antenna : int
        Its place among the inputs.
    station : str or None
        Name of the station where its fringes are coherent, other than its own.
    east_m : float or None
        Offset from its own position that makes them coherent, where no station does.
    coherence, before : float
        There, and at its own position.
    """

    antenna: int
    station: str | None
    east_m: float | None
    coherence: float
    before: float


def find_identities(transit: Transit, convention: Convention) -> tuple[FringeModel, list[Identity], NDArray[np.bool_]]:
    """Return the fringe model with corrected positions of suspect antennas, their identities, and the inputs without
    signal.
    """
    power, coherences = _by_antenna(transit, convention.model)
    silent = ~(power >= _SILENT * np.nanmedian(power))  # without baselines, too
    suspects = _suspects(transit, convention.model, silent)
    trusted = ~silent
    trusted[suspects] = False
    model, found = convention.model, []
    for antenna in suspects:
        identity, position = _identify(transit, convention, antenna, trusted)
        found.append(replace(identity, before=coherences[antenna]))
        if position is not None:
            model = model.with_position(antenna, position)
    return model, found, silent


def _sums(transit: Transit, model: FringeModel) -> tuple[NDArray[np.float64], NDArray[np.complex128]]:
    """Return the coherence sums of every baseline, samples added up."""
    paths = model.paths_m(transit.header.times_mjd)
    baselines = transit.inputs.baselines
    pairs = [coherence(stopped(one.vis, paths, one.freq_hz, baselines)) for one in transit.samples]
    return sum(np.array(pair[0]) for pair in pairs), sum(np.abs(pair[1]).astype(complex) for pair in pairs)  # type: ignore[return-value]


def _by_antenna(transit: Transit, model: FringeModel) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the fringe power and the coherence of each antenna: medians over its baselines; NaN without any."""
    together, adjacent = _sums(transit, model)
    baselines, count = transit.inputs.baselines, len(transit.inputs.rows)
    power, ratio = np.full(count, np.nan), np.full(count, np.nan)
    for antenna in np.flatnonzero(baselines.reached(count)):
        mine = (baselines.one == antenna) | (baselines.two == antenna)
        power[antenna] = np.median(np.abs(adjacent[mine]))
        ratio[antenna] = mean_coherence(together[mine], adjacent[mine])
    return power, ratio


def _suspects(transit: Transit, model: FringeModel, silent: NDArray[np.bool_]) -> list[int]:
    """Return the antennas whose coherence with the others is low, the worst first; each is left out for the next."""
    together, adjacent = _sums(transit, model)
    baselines, count = transit.inputs.baselines, len(transit.inputs.rows)
    trusted, found = ~silent, []
    most = trusted.sum()
    while trusted.sum() > most / 2:
        inside = trusted[baselines.one] & trusted[baselines.two]
        ratios = np.full(count, np.inf)
        for antenna in np.flatnonzero(trusted):
            mine = inside & ((baselines.one == antenna) | (baselines.two == antenna))
            ratios[antenna] = mean_coherence(together[mine], adjacent[mine]) if mine.any() else np.inf
        worst = int(np.argmin(ratios))
        if ratios[worst] >= _BAD * np.median(ratios[np.isfinite(ratios)]):
            break
        trusted[worst] = False
        found.append(worst)
    return found


def _identify(
    transit: Transit, convention: Convention, antenna: int, trusted: NDArray[np.bool_]
) -> tuple[Identity, NDArray[np.float64] | None]:
    """Try an antenna at all stations, then at offsets to the east; return its identity and position."""
    header, inputs = transit.header, transit.inputs
    baselines = inputs.baselines
    mine = ((baselines.one == antenna) & trusted[baselines.two]) | ((baselines.two == antenna) & trusted[baselines.one])
    nothing = Identity(antenna, None, None, 0.0, 0.0)
    if mine.sum() < 2:
        return nothing, None
    few = replace(
        transit,
        samples=[replace(one, vis=one.vis[:, :, mine]) for one in transit.samples],
        inputs=replace(inputs, baselines=baselines.select(mine)),
    )

    def at(position: NDArray[np.float64]) -> float:
        return few.coherence(convention.model.with_position(antenna, position))

    table = table_positions(header, convention.frame)
    own = convention.model.positions_m[antenna]
    others = [row for row in range(len(table)) if np.isfinite(table[row]).all() and not np.array_equal(table[row], own)]
    ratios = np.array([at(table[row]) for row in others])
    best = int(np.argmax(ratios))
    if ratios[best] >= GOOD:
        row = others[best]
        return Identity(antenna, header.antenna_names[row], None, float(ratios[best]), 0.0), table[row]
    local = geometry.site_frame(own, header.location.longitude_rad)
    steps = [
        geometry.site_frame(local + np.array([0.0, east, 0.0]), -header.location.longitude_rad) for east in _EAST_M
    ]
    ratios = np.array([at(step) for step in steps])
    best = int(np.argmax(ratios))
    if ratios[best] >= GOOD:
        return Identity(antenna, None, float(_EAST_M[best]), float(ratios[best]), 0.0), steps[best]
    return replace(nothing, coherence=float(ratios[best])), None


def identity_finding(identities: list[Identity], names: tuple[str, ...], checked: int) -> Finding:
    """Return the finding on antennas at other inputs than their own."""
    wrong = sorted((one for one in identities if one.station is not None), key=lambda one: one.antenna)
    if not wrong:
        return Finding("swapped_antennas", CONFIRMED, f"the fringes of {checked} inputs fit their own stations",
                       value=0.0, unit="inputs")  # fmt: skip
    pairs = {names[one.antenna]: str(one.station) for one in wrong}
    parts: list[str] = []
    for name, station in pairs.items():
        if pairs.get(station) == name:
            if f"{station} and {name} are exchanged" not in parts:
                parts.append(f"{name} and {station} are exchanged")
        else:
            parts.append(f"input {name} has the antenna of station {station}")
    least = min(one.coherence for one in wrong)
    details = {"stations": pairs, "coherence": {names[one.antenna]: [one.before, one.coherence] for one in wrong}}
    return Finding(
        "swapped_antennas", REFUTED, f"{listed(parts)}: coherence there {least:.2f} or more",
        value=float(len(wrong)), unit="inputs", named=tuple(pairs), details=details,
    )  # fmt: skip
