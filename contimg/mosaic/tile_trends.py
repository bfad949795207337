"""Relative flux scales and positions of a group's tiles, solved jointly, and the trend that explains them.

Differences between neighbours add up along a group: a drift that no pair shows is a large difference between its ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.mosaic.neighbours import Difference
from contimg.statistics import best_explanation, robust_fit

_MIN_TILES = 4
"""Least number of tiles with which a drift, a step and one deviating tile can be distinguished."""
_MIN_SUBBANDS = 8
_NOISE_ERROR = 0.01
"""Least fractional error of a subband's noise; a larger scatter of the subbands raises it."""


def solve_tiles(
    pairs: Sequence[tuple[str, str]], values: NDArray[np.float64], errors: NDArray[np.float64]
) -> dict[str, tuple[float, float]]:
    """Return a quantity of each tile relative to the median tile, and its error, by least squares from differences.

    Parameters
    ----------
    pairs : sequence of (str, str)
        Ids of two tiles.
    values, errors : (n,) float64
        Quantity of the first less that of the second, and its standard deviation.

    Notes
    -----
    Tiles that no chain of pairs connects are compared with the mean of all.
    """
    names = sorted({name for pair in pairs for name in pair})
    if not names:
        return {}
    rows = np.array([[float(name == one) - float(name == other) for name in names] for one, other in pairs])
    inverse = np.linalg.pinv(rows / errors[:, None], rcond=1e-9)
    solved, variances = inverse @ (values / errors), (inverse**2).sum(1)
    return dict(zip(names, zip(solved - np.median(solved), np.sqrt(variances), strict=True), strict=True))


def tile_trends(pairs: Mapping[tuple[str, str], Difference], beam_arcsec: float) -> dict[str, Any]:
    """Return the spread of the tiles of a group in flux scale and position, and its most likely cause.

    Parameters
    ----------
    pairs : mapping
        By ids of two tiles: the difference of the first from the second.
    beam_arcsec : float
        Geometric mean of the beam's axes.

    Returns
    -------
    dict
        ``tile_scale_spread``: ln of the flux scale of the tile that is farthest from the median tile;
        ``tile_shift_spread_beams``: the largest shift from the median tile; their errors ``e_...``; ``diagnosis``: one
        tile, a step or a drift, in words with its size. None without pairs.
    """
    keys = ("tile_scale_spread", "e_tile_scale_spread", "tile_shift_spread_beams", "e_tile_shift_spread_beams")
    numbers: dict[str, Any] = dict.fromkeys((*keys, "diagnosis"))
    if not pairs:
        return numbers
    found = list(pairs.values())
    e_offset = np.array([one.e_offset_arcsec for one in found])
    scales = solve_tiles(
        list(pairs), np.array([one.log_scale for one in found]), np.array([one.e_log_scale for one in found])
    )
    east, north = (
        solve_tiles(list(pairs), np.array(offset), e_offset)
        for offset in ([one.east_arcsec for one in found], [one.north_arcsec for one in found])
    )
    farthest = max(scales.values(), key=lambda one: abs(one[0]))
    shift = max(((np.hypot(east[name][0], north[name][0]), east[name][1]) for name in east), key=lambda one: one[0])
    values = (*farthest, *(value / beam_arcsec for value in shift))
    numbers |= {key: round(float(value), 6) for key, value in zip(keys, values, strict=True)}
    return numbers | {"diagnosis": _diagnosis(scales, east)}


def band_tilt(noises: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """Return the largest change of a tile's noise along the band, against the median of the tiles.

    The noise of the visibilities has the gain of each subband in it, and the receivers' own shape over the band, which
    all tiles of a group share: a tilt of a single tile is a bandpass that drifted.

    Parameters
    ----------
    noises : mapping
        By tile: noise of each subband by name, in any unit.

    Returns
    -------
    dict
        ``band_tilt``: change of ln noise from the middle of the band to its end, ``e_band_tilt``, and the tile in
        ``band_tilt_of``; None with fewer than three tiles or eight common subbands.
    """
    found: dict[str, Any] = dict.fromkeys(("band_tilt", "e_band_tilt", "band_tilt_of"))
    known = {name: noise for name, noise in noises.items() if noise}
    common = sorted(set.intersection(*(set(noise) for noise in known.values()))) if known else []
    if len(known) < _MIN_TILES - 1 or len(common) < _MIN_SUBBANDS:
        return found
    table = np.log([[noise[subband] for subband in common] for noise in known.values()])
    table = table - np.median(table, axis=0)
    place = np.linspace(-1, 1, len(common))
    design = np.stack([np.ones(len(common)), place], axis=1)
    fits = [robust_fit(design, row, np.full(len(common), _NOISE_ERROR)) for row in table]
    worst = max(range(len(fits)), key=lambda i: abs(fits[i].coefficients[1]) / fits[i].errors[1])
    return {
        "band_tilt": round(float(fits[worst].coefficients[1]), 5),
        "e_band_tilt": round(float(fits[worst].errors[1]), 6),
        "band_tilt_of": f"tile {list(known)[worst]}",
    }


def _diagnosis(scales: Mapping[str, tuple[float, float]], east: Mapping[str, tuple[float, float]]) -> str | None:
    """Return the most likely cause of the tiles' flux scales or eastward shifts, whichever differ more
    significantly.
    """
    if len(scales) < _MIN_TILES:
        return None
    best = None
    for what, unit, solved in (("fluxes", "%", scales), ("sources", " arcsec to the east", east)):
        names = sorted(solved)
        values, errors = (np.array([solved[name][k] for name in names]) for k in (0, 1))
        found = best_explanation(_patterns(names), values, errors)
        if found is not None and (best is None or found.improvement > best[0].improvement):
            best = found, what, unit
    if best is None:
        return None
    explanation, what, unit = best
    factor = 100.0 if unit == "%" else 1.0
    kind, _, name = explanation.name.partition(" ")
    size = f"{factor * explanation.value:+.1f} ± {factor * explanation.error:.1f}{unit}"
    verb = "change" if what == "fluxes" else "move"
    return {
        "tile": f"tile {name} alone, whose {what} {verb} by {size}",
        "step": f"a step: {what} {verb} by {size} from tile {name} on",
        "drift": f"a drift: {what} {verb} by {size} from the first to the last tile",
    }[kind]


def _patterns(names: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """Return the patterns of one deviating tile, of steps and of a drift over tiles in time order, less their
    medians.
    """
    n = len(names)
    number = np.arange(n)
    patterns = {f"tile {name}": (number == i).astype(np.float64) for i, name in enumerate(names)}
    patterns |= {f"step {names[i]}": (number >= i).astype(np.float64) for i in range(2, n - 1)}
    patterns["drift "] = number / (n - 1)
    return {name: pattern - np.median(pattern) for name, pattern in patterns.items()}
