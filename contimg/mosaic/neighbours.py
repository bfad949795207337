"""Comparison of the flux scale and astrometry of tiles with those of their neighbours in the same group.

A tile with a wrong flux scale or wrong positions is not found by the checks of single tiles, nor by the medians of a
mosaic. Neighbouring tiles share two thirds of their sky: for each pair the flux ratio and the offset are known to the
noise over the square root of the number of common sources.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contimg.mosaic.bright_sources import BrightSources
from contimg.sky.spherical import separation
from contimg.statistics import MAD_TO_SIGMA

SIGNIFICANT = 5.0
"""Least significance (in errors) of a difference that counts."""
ACCUSING = 3.0
"""Least significance (in errors) of a difference from a neighbour that is counted against a tile."""
MIN_SOURCES = 3
"""Least number of common sources of a pair of tiles: single sources may vary or be blended."""
MATCH_BEAMS = 1.5
"""Largest separation of one source in two tiles, in beams."""
# Systematic errors, added in quadrature: of fluxes (effective beam, deconvolution), and of positions in beams.
_FLUX_FLOOR, _POSITION_FLOOR_BEAMS = 0.01, 0.01


@dataclass(frozen=True)
class Difference:
    """The difference of a tile from others: ln of the flux ratio, offsets to east and north (arcsec), and errors."""

    log_scale: float
    e_log_scale: float
    east_arcsec: float
    north_arcsec: float
    e_offset_arcsec: float

    @property
    def scale(self) -> float:
        """Flux of the tile over that of the others."""
        return math.exp(self.log_scale)

    @property
    def offset_arcsec(self) -> float:
        """Length of the offset."""
        return math.hypot(self.east_arcsec, self.north_arcsec)

    def reversed(self) -> Difference:
        """Return the difference of the others from the tile."""
        return Difference(
            -self.log_scale, self.e_log_scale, -self.east_arcsec, -self.north_arcsec, self.e_offset_arcsec
        )

    def excess(self, limits: NeighbourLimits) -> float:
        """Return by how many times its error a difference exceeds a limit; 0 where it is within the limits."""
        scale = abs(self.log_scale) / self.e_log_scale if abs(self.scale - 1) > limits.scale else 0.0
        offset = self.offset_arcsec / self.e_offset_arcsec if self.offset_arcsec > limits.offset_arcsec else 0.0
        return max(scale, offset)


@dataclass(frozen=True)
class NeighbourLimits:
    """Largest differences from the neighbours: of the flux scale (fraction), and of the position."""

    scale: float
    offset_arcsec: float


def compare_pair(one: BrightSources, other: BrightSources, beam_arcsec: float) -> Difference | None:
    """Compare the common sources of two tiles.

    Parameters
    ----------
    one, other : BrightSources
    beam_arcsec : float
        Geometric mean of the beam's axes: sources within 1.5 beams of each other, and nearest to each other, are the
        same.

    Returns
    -------
    Difference or None
        Of the first from the second, medians over the sources; None with fewer than three of them.
    """
    mine, theirs = _common(one, other, MATCH_BEAMS * beam_arcsec)
    if len(mine) < MIN_SOURCES:
        return None
    log_ratio = np.log(one.flux_jy[mine] / other.flux_jy[theirs])
    e_log_ratio = np.sqrt(
        (one.e_flux_jy[mine] / one.flux_jy[mine]) ** 2
        + (other.e_flux_jy[theirs] / other.flux_jy[theirs]) ** 2
        + _FLUX_FLOOR**2
    )
    turn = (one.ra_deg[mine] - other.ra_deg[theirs] + 180) % 360 - 180
    east = 3600 * turn * np.cos(np.radians(other.dec_deg[theirs]))
    north = 3600 * (one.dec_deg[mine] - other.dec_deg[theirs])
    floor = _POSITION_FLOOR_BEAMS * beam_arcsec
    e_offset = np.sqrt(one.e_position_arcsec[mine] ** 2 + other.e_position_arcsec[theirs] ** 2 + floor**2)
    log_scale, e_log_scale = _weighted_median(log_ratio, e_log_ratio)
    (east_middle, e_east), (north_middle, e_north) = (_weighted_median(offset, e_offset) for offset in (east, north))
    return Difference(log_scale, e_log_scale, east_middle, north_middle, max(e_east, e_north))


@dataclass(frozen=True)
class Disagreements:
    """The result of the comparison of all tiles of a group with each other.

    Attributes
    ----------
    wrong : dict
        By id of the tile: its mean difference from its partners, where most of them differ from it.
    unresolved : list of (str, str, Difference)
        Pairs that differ where too few other tiles cover the same sky to decide which of the two is wrong.
    """

    wrong: dict[str, Difference]
    unresolved: list[tuple[str, str, Difference]]


def find_disagreements(
    tiles: Mapping[str, BrightSources], beam_arcsec: float, limits: NeighbourLimits
) -> Disagreements:
    """Find the tiles that differ from their neighbours by more than the limits and their errors allow.

    The tile with the largest difference is removed first, and the others are compared without it, so that one wrong
    tile is not counted against its neighbours.

    Parameters
    ----------
    tiles : mapping of str to BrightSources
        By id.
    beam_arcsec : float
        Geometric mean of the beam's axes.
    limits : NeighbourLimits
    """
    pairs: dict[str, dict[str, Difference]] = {name: {} for name in tiles}
    for one, other in itertools.combinations(sorted(tiles), 2):
        found = compare_pair(tiles[one], tiles[other], beam_arcsec)
        if found is not None:
            pairs[one][other], pairs[other][one] = found, found.reversed()
    wrong: dict[str, Difference] = {}
    while (worst := _worst(pairs, limits)) is not None:
        wrong[worst] = _mean(list(pairs.pop(worst).values()))
        for partners in pairs.values():
            partners.pop(worst, None)
    unresolved = [
        (one, other, difference)
        for one, partners in pairs.items()
        for other, difference in partners.items()
        if one < other and difference.excess(limits) >= SIGNIFICANT
    ]
    return Disagreements(wrong, unresolved)


def _worst(pairs: Mapping[str, Mapping[str, Difference]], limits: NeighbourLimits) -> str | None:
    """Return the tile that exceeds the limits most, among those that most partners differ from; None without one."""
    excess = {
        name: _mean(list(partners.values())).excess(limits)
        for name, partners in pairs.items()
        if _is_accused(name, pairs, limits)
    }
    worst = max(excess, key=lambda name: (excess[name], name), default=None)
    return None if worst is None or excess[worst] < SIGNIFICANT else worst


def _is_accused(name: str, pairs: Mapping[str, Mapping[str, Difference]], limits: NeighbourLimits) -> bool:
    """Return whether most partners of a tile differ from it: two or more, or one that agrees with a third tile."""
    accusers = [other for other, difference in pairs[name].items() if difference.excess(limits) >= ACCUSING]
    if len(accusers) <= len(pairs[name]) / 2:
        return False
    if len(accusers) > 1:
        return True
    others = (difference for other, difference in pairs[accusers[0]].items() if other != name)
    return any(difference.excess(limits) < ACCUSING for difference in others)


def _common(
    one: BrightSources, other: BrightSources, radius_arcsec: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the indices of the sources that are each other's nearest, within a radius."""
    if not len(one.ra_deg) or not len(other.ra_deg):
        return np.array([], np.int64), np.array([], np.int64)
    places = [np.radians(angle) for angle in (one.ra_deg, one.dec_deg, other.ra_deg, other.dec_deg)]
    distance = separation(places[0][:, None], places[1][:, None], places[2][None], places[3][None])
    nearest = distance.argmin(1)
    mine = np.arange(len(nearest))
    mutual = (distance.argmin(0)[nearest] == mine) & (distance[mine, nearest] <= np.radians(radius_arcsec / 3600))
    return mine[mutual], nearest[mutual]


def _weighted_median(values: NDArray[np.float64], errors: NDArray[np.float64]) -> tuple[float, float]:
    """Return the median weighted by inverse variances, and its error: that of the mean, times sqrt(pi / 2).

    Where the values scatter more than their errors say, the error grows with them.
    """
    order = np.argsort(values, kind="stable")
    weight = errors[order] ** -2
    share = (np.cumsum(weight) - weight / 2) / weight.sum()
    middle = float(np.interp(0.5, share, values[order]))
    excess = float(np.median(np.abs(values - middle) / errors)) * MAD_TO_SIGMA
    return middle, math.sqrt(math.pi / 2 / float(weight.sum())) * max(1.0, excess)


def _mean(differences: Sequence[Difference]) -> Difference:
    """Return the mean of a tile's differences from its partners, weighted by inverse variances."""
    flux = np.array([one.e_log_scale for one in differences]) ** -2
    place = np.array([one.e_offset_arcsec for one in differences]) ** -2
    return Difference(
        log_scale=float(np.average([one.log_scale for one in differences], weights=flux)),
        e_log_scale=float(flux.sum()) ** -0.5,
        east_arcsec=float(np.average([one.east_arcsec for one in differences], weights=place)),
        north_arcsec=float(np.average([one.north_arcsec for one in differences], weights=place)),
        e_offset_arcsec=float(place.sum()) ** -0.5,
    )
