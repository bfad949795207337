"""Comparison of tiles with their neighbours in a group: common sources, flux scale and positions.

A tile with a wrong flux scale, wrong positions or another field is not found by the checks of single tiles, nor by the
medians of a mosaic. Neighbouring tiles share two thirds of their sky: for each pair the flux ratio and the offset are
known to the noise over the square root of the number of common sources.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from contimg.mosaic.bright_sources import MIN_RESPONSE, MIN_SNR, BrightSources
from contimg.mosaic.pair_statistics import lower_median, scatter, weighted_median
from contimg.sky.spherical import separation
from contimg.statistics import robust_fit

SIGNIFICANT = 5.0
"""Least significance (in errors) of a difference that counts."""
ACCUSING = 3.0
"""Least significance (in errors) of a difference from a neighbour that is counted against a tile."""
MIN_SOURCES = 3
"""Least number of common sources of a pair of tiles: single sources may vary or be blended."""
MATCH_BEAMS = 1.5
"""Largest separation of one source in two tiles, in beams."""
FLUX_FLOOR, POSITION_FLOOR_BEAMS = 0.01, 0.01
"""Systematic errors, added in quadrature: of fluxes (effective beam, deconvolution), and of positions in beams."""
MIN_MISSING, MISSING_FRACTION = 3, 0.1
"""A pair of tiles differs if at least this number, and this fraction, of the sources of one are missing in the
other."""
UNKNOWN = 1e3
"""Error of what could not be measured."""


@dataclass(frozen=True)
class Difference:
    """The difference of a tile from others.

    Attributes
    ----------
    log_scale, e_log_scale : float
        ln of the flux ratio of the common sources, and its error.
    east_arcsec, north_arcsec, e_offset_arcsec : float
        Their offsets, and the error of each coordinate.
    n_expected, n_missing : int
        Bright sources of one tile that the other must see, in both directions, and those that it does not see.
    log_scatter, offset_scatter_arcsec : float
        Standard deviations of the common sources' ln flux ratios and offsets where they scatter at least `SCATTERED`
        times as much as their errors say; else 0. A beam map of another shape, or an image that is turned, leaves means
        of zero.
    """

    log_scale: float
    e_log_scale: float
    east_arcsec: float
    north_arcsec: float
    e_offset_arcsec: float
    n_expected: int = 0
    n_missing: int = 0
    log_scatter: float = 0.0
    offset_scatter_arcsec: float = 0.0

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
        return replace(self, log_scale=-self.log_scale, east_arcsec=-self.east_arcsec, north_arcsec=-self.north_arcsec)

    @property
    def measured(self) -> bool:
        """Whether scale and offset are known."""
        return self.e_log_scale < UNKNOWN

    @property
    def sources_differ(self) -> bool:
        """Whether the tiles do not see the same sources."""
        return self.n_missing >= MIN_MISSING and self.n_missing > MISSING_FRACTION * self.n_expected

    def excess(self, limits: NeighbourLimits) -> float:
        """Return by how many times its error a difference exceeds a limit; 0 where it is within the limits."""
        scale = abs(self.log_scale) / self.e_log_scale if abs(self.scale - 1) > limits.scale else 0.0
        offset = self.offset_arcsec / self.e_offset_arcsec if self.offset_arcsec > limits.offset_arcsec else 0.0
        missing = SIGNIFICANT + self.n_missing if self.sources_differ else 0.0
        scattered = max(self.log_scatter / limits.scale, self.offset_scatter_arcsec / limits.offset_arcsec)
        return max(scale, offset, missing, SIGNIFICANT * scattered if scattered > 1 else 0.0)


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
        Of the first from the second, medians over the sources; None with fewer than three common ones, unless the
        tiles do not see the same sources.
    """
    radius = MATCH_BEAMS * beam_arcsec
    mine, theirs = _common(one, other, radius)
    counts = np.add(_count_missing(one, other, radius), _count_missing(other, one, radius))
    n_expected, n_missing = (int(count) for count in counts)
    if len(mine) < MIN_SOURCES:
        nothing = Difference(0.0, UNKNOWN, 0.0, 0.0, UNKNOWN, n_expected=n_expected, n_missing=n_missing)
        return nothing if nothing.sources_differ else None
    log_ratio = np.log(one.flux_jy[mine] / other.flux_jy[theirs])
    e_log_ratio = np.sqrt(
        (one.e_flux_jy[mine] / one.flux_jy[mine]) ** 2
        + (other.e_flux_jy[theirs] / other.flux_jy[theirs]) ** 2
        + FLUX_FLOOR**2
    )
    turn = (one.ra_deg[mine] - other.ra_deg[theirs] + 180) % 360 - 180
    east = 3600 * turn * np.cos(np.radians(other.dec_deg[theirs]))
    north = 3600 * (one.dec_deg[mine] - other.dec_deg[theirs])
    floor = POSITION_FLOOR_BEAMS * beam_arcsec
    e_offset = np.sqrt(one.e_position_arcsec[mine] ** 2 + other.e_position_arcsec[theirs] ** 2 + floor**2)
    log_scale, e_log_scale = weighted_median(log_ratio, e_log_ratio)
    (east_middle, e_east), (north_middle, e_north) = (weighted_median(offset, e_offset) for offset in (east, north))
    return Difference(
        log_scale,
        e_log_scale,
        east_middle,
        north_middle,
        max(e_east, e_north),
        n_expected,
        n_missing,
        scatter(log_ratio - log_scale, e_log_ratio),
        math.hypot(scatter(east - east_middle, e_offset), scatter(north - north_middle, e_offset)),
    )


def _count_missing(one: BrightSources, other: BrightSources, radius_arcsec: float) -> tuple[int, int]:
    """Return how many sources of a tile another one must see at 20 sigma, and how many of them it does not see.

    No maximum of 7 sigma within the radius counts as not seen. None are expected where the tiles' images are not known.
    """
    seen = other.seen
    if seen is None or not len(one.ra_deg):
        return 0, 0
    response = seen.response(one.ra_deg, one.dec_deg)
    with np.errstate(invalid="ignore"):  # NaN outside the image
        expected = (response >= MIN_RESPONSE) & (one.flux_jy * response >= MIN_SNR * seen.rms_jy)
    if not len(seen.ra_deg):
        return int(expected.sum()), int(expected.sum())
    places = (np.radians(angle) for angle in (one.ra_deg[expected], one.dec_deg[expected]))
    ra, dec = (angle[:, None] for angle in places)
    distance = separation(ra, dec, np.radians(seen.ra_deg)[None], np.radians(seen.dec_deg)[None])
    missing = distance.min(1) > np.radians(radius_arcsec / 3600) if len(distance) else np.array([], bool)
    return int(expected.sum()), int(missing.sum())


@dataclass(frozen=True)
class Disagreements:
    """The result of the comparison of all tiles of a group with each other.

    Attributes
    ----------
    wrong : dict
        By id of the tile: its mean difference from its partners, where most of them differ from it.
    unresolved : list of (str, str, Difference)
        Pairs that differ where too few other tiles cover the same sky to decide which of the two is wrong.
    compared : dict
        By id of each tile that is not wrong and has neighbours: its mean difference from them.
    pairs : dict
        By ids of two tiles that are not wrong: the difference of the first from the second.
    """

    wrong: dict[str, Difference]
    unresolved: list[tuple[str, str, Difference]]
    compared: dict[str, Difference]
    pairs: dict[tuple[str, str], Difference]


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
    return judge_pairs(pairs, limits)


def judge_pairs(pairs: dict[str, dict[str, Difference]], limits: NeighbourLimits) -> Disagreements:
    """Find the tiles that differ from their neighbours, from the differences of all pairs.

    Parameters
    ----------
    pairs : dict
        By the ids of two tiles: the difference of the first from the second, each pair in both orders; changed.
    limits : NeighbourLimits
    """
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
    compared = {name: _mean(list(partners.values())) for name, partners in pairs.items() if partners}
    kept = {(one, other): found for one, partners in pairs.items() for other, found in partners.items() if one < other}
    return Disagreements(wrong, unresolved, compared, kept)


def beam_width_error(tiles: Mapping[str, BrightSources], beam_arcsec: float) -> tuple[float, float] | None:
    """Return by what fraction the primary beam is wider than assumed, and the error, from sources in several tiles.

    Neighbouring tiles see a source at different offsets from the axis of the beam. With a true beam wider by the
    factor k its apparent flux is ``S A^(1/k^2)`` instead of ``S A``, so that ln of the ratio of its fluxes in two
    tiles changes by ``(1/k^2 - 1) (ln A1 - ln A2)``. The flux scales of the tiles are free parameters. None where too
    few sources are common.
    """
    names = sorted(tiles)
    rows, values, errors = [], [], []
    for one, other in itertools.combinations(names, 2):
        a, b = tiles[one], tiles[other]
        if a.response is None or b.response is None:
            continue
        for i, j in zip(*_common(a, b, MATCH_BEAMS * beam_arcsec), strict=True):
            scales = [float(name == one) - float(name == other) for name in names[1:]]
            rows.append([math.log(a.response[i] / b.response[j]), *scales])
            values.append(math.log(a.flux_jy[i] / b.flux_jy[j]))
            noise = math.hypot(a.e_flux_jy[i] / a.flux_jy[i], b.e_flux_jy[j] / b.flux_jy[j])
            errors.append(math.hypot(noise, FLUX_FLOOR))
    if len(rows) < 2 * (len(names) + MIN_SOURCES):
        return None
    fit = robust_fit(np.array(rows), np.array(values), np.array(errors))
    return -float(fit.coefficients[0]) / 2, float(fit.errors[0]) / 2


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
    """Return whether a tile, and not its partners, is the cause of their differences.

    Most partners differ from it, or two and more of them of which each differs from fewer tiles; of a single one, only
    if that agrees with a third tile.
    """
    accusers = _accusers(name, pairs, limits)
    if len(accusers) > 1:
        most = len(accusers) > len(pairs[name]) / 2
        return most or all(len(_accusers(other, pairs, limits)) < len(accusers) for other in accusers)
    if len(accusers) <= len(pairs[name]) / 2:
        return False
    others = (difference for other, difference in pairs[accusers[0]].items() if other != name)
    return any(difference.excess(limits) < ACCUSING for difference in others)


def _accusers(name: str, pairs: Mapping[str, Mapping[str, Difference]], limits: NeighbourLimits) -> list[str]:
    """Return the partners that a tile differs from."""
    return [other for other, difference in pairs[name].items() if difference.excess(limits) >= ACCUSING]


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
        # What at least half of the partners see.
        log_scatter=lower_median([one.log_scatter for one in differences]),
        offset_scatter_arcsec=lower_median([one.offset_scatter_arcsec for one in differences]),
        n_expected=sum(one.n_expected for one in differences),
        n_missing=sum(one.n_missing for one in differences),
    )
