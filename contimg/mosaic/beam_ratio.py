"""The primary beam against itself: a map of its errors, from the brightness that overlapping tiles give of one sky.

A place of the sky stands at different places of the beam in two tiles. With E the ln of the true over the assumed beam
and g of a tile's flux scale, ln of the ratio of two tiles is E(place in the first) - E(place in the second) + g - g'.
As tiles of a group are shifted along right ascension alone, this leaves unknown what changes with declination alone,
and a slope along right ascension that is the same at all declinations (a drift of the flux scale looks alike).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.mosaic.grid import MosaicGrid
from contimg.mosaic.pixel_pairs import PixelDifference
from contimg.statistics import robust_fit

NODES = 5
"""Places along each axis of the map, between which it is linear."""
PRIOR = 0.1
"""Standard deviation of the map that is assumed where nothing is measured."""
_MIN_RATIOS = 2 * NODES**2


@dataclass(frozen=True)
class TileRatios:
    """Ratios of two tiles in blocks of the sky, with the blocks' offsets from the tiles' centres.

    Attributes
    ----------
    first, second : str
        Ids of the tiles.
    places : (2, n, 2) float64
        Offsets to the east and north (deg) in either tile.
    log_ratio, e_log_ratio : (n,) float64
        ln of first over second, and its error.
    """

    first: str
    second: str
    places: NDArray[np.float64]
    log_ratio: NDArray[np.float64]
    e_log_ratio: NDArray[np.float64]

    @classmethod
    def of(
        cls, grid: MosaicGrid, first: tuple[str, Any], second: tuple[str, Any], found: PixelDifference
    ) -> TileRatios:
        """Return the ratios of two tiles, given by id and WCS."""
        blocks = found.blocks
        places = np.zeros((2, len(blocks.row), 2))
        if len(blocks.row):
            world = grid.wcs().all_pix2world(blocks.column, blocks.row, 0)
            for i, (_, wcs) in enumerate((first, second)):
                x, y = wcs.all_world2pix(*world, 1)
                steps = wcs.pixel_scale_matrix.diagonal()
                places[i, :, 0] = (x - wcs.wcs.crpix[0]) * steps[0]
                places[i, :, 1] = (y - wcs.wcs.crpix[1]) * steps[1]
        return cls(first[0], second[0], places, blocks.log_ratio, blocks.e_log_ratio)


def beam_ratio_map(ratios: Sequence[TileRatios]) -> dict[str, Any]:
    """Return the map of the beam's errors, and the most significant of them.

    Returns
    -------
    dict
        ``beam_ratio_map``: fraction by which the beam is stronger than assumed, rows from south to north, columns from
        west to east, less what is not known (see above); ``beam_ratio_error`` with its error ``e_beam_ratio_error``
        and its place ``beam_ratio_error_of``. None with too few ratios.
    """
    keys = ("beam_ratio_map", "beam_ratio_error", "e_beam_ratio_error", "beam_ratio_error_of")
    found: dict[str, Any] = dict.fromkeys(keys)
    some = [one for one in ratios if len(one.log_ratio)]
    names = sorted({name for one in some for name in (one.first, one.second)})
    count = sum(len(one.log_ratio) for one in some)
    if count < _MIN_RATIOS + len(names):
        return found
    reach = max(float(np.abs(one.places).max()) for one in some)
    rows = []
    for one in some:
        scales = [float(name == one.first) - float(name == one.second) for name in names[1:]]
        change = _tents(one.places[0] / reach) - _tents(one.places[1] / reach)
        rows.append(np.hstack([change, np.broadcast_to(scales, (len(change), len(scales)))]))
    nodes = NODES**2
    prior = np.hstack([np.eye(nodes), np.zeros((nodes, len(names) - 1))])
    fit = robust_fit(
        np.vstack([*rows, prior]),
        np.concatenate([*(one.log_ratio for one in some), np.zeros(nodes)]),
        np.concatenate([*(one.e_log_ratio for one in some), np.full(nodes, PRIOR)]),
    )
    keep = _known_part()
    errors = keep @ fit.coefficients[:nodes]
    uncertain = np.sqrt(np.diag(keep @ fit.covariance[:nodes, :nodes] @ keep.T))
    worst = int(np.argmax(np.abs(errors) / uncertain))
    places = np.linspace(-reach, reach, NODES)
    north, east = places[worst // NODES], places[worst % NODES]
    words = f"{_along(east, 'east', 'west')}, {_along(north, 'north', 'south')}"
    values = (
        np.round(np.expm1(errors), 5).reshape(NODES, NODES).tolist(),
        round(float(errors[worst]), 5), round(float(uncertain[worst]), 6), f"{words} of the beam's centre",
    )  # fmt: skip
    return dict(zip(keys, values, strict=True))


def _along(offset_deg: float, positive: str, negative: str) -> str:
    """Return an offset in words."""
    return f"{abs(offset_deg):.1f} deg {positive if offset_deg > 0 else negative}"


def _tents(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weights (n, 25) of the nodes at places (n, 2; east and north, from -1 to 1), linear between them."""
    nodes = np.linspace(-1, 1, NODES)
    east, north = (np.clip(1 - np.abs(places[:, i, None] - nodes) * (NODES - 1) / 2, 0, None) for i in (0, 1))
    return (north[:, :, None] * east[:, None, :]).reshape(len(places), -1)


def _known_part() -> NDArray[np.float64]:
    """Return the projection (25, 25) of a map to what tiles shifted along right ascension can tell."""
    rows = [np.outer(row, np.ones(NODES)).ravel() for row in np.eye(NODES)]
    slope = np.outer(np.ones(NODES), np.linspace(-1, 1, NODES)).ravel()
    unknown = np.stack([*rows, slope], axis=1)
    return np.eye(NODES**2) - unknown @ np.linalg.pinv(unknown)
