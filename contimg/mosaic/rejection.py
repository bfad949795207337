"""Rejection of signals that only one tile has: aircraft, satellites, interference of some seconds.

Where three tiles or more cover a pixel, each is compared with the weighted mean of the others. The one that differs
most is left out there, and within a beam, if it differs by more than ``mosaic.reject_sigma`` of the expected
difference. Sources that vary from tile to tile, or move, are rejected as well.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np
from numpy.typing import NDArray

from contimg.mosaic.coadd import Contribution, Sums

MIN_TILES = 3
"""Least number of tiles: of two, the wrong one cannot be identified."""
FLUX_ERROR = 0.1
"""Fraction of a pixel's brightness that tiles may differ by: calibration and position errors of bright sources."""


@dataclass
class Spool:
    """The contributions of tiles in an anonymous temporary file, which is deleted when it is closed."""

    file: IO[bytes]
    blocks: list[tuple[int, int, slice, slice]]
    """Tile, position in the file, rows and columns."""

    @classmethod
    def empty(cls) -> Spool:
        """Return a spool in the folder of temporary files (TMPDIR)."""
        return cls(tempfile.TemporaryFile(prefix="contimg-mosaic-"), [])

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def put(self, tile: int, part: Contribution) -> None:
        """Add a contribution."""
        self.blocks.append((tile, self.file.tell(), part.rows, part.columns))
        for plane in (np.packbits(part.inside), part.signal, part.weight, part.beam):
            np.save(self.file, plane)

    def parts(self) -> Iterator[tuple[int, Contribution]]:
        """Yield tiles and their contributions, in the order in which they were put."""
        for tile, position, rows, columns in self.blocks:
            self.file.seek(position)
            packed, signal, weight, beam = (np.load(self.file) for _ in range(4))
            shape = (rows.stop - rows.start, columns.stop - columns.start)
            inside = np.unpackbits(packed, count=shape[0] * shape[1]).reshape(shape).astype(bool)
            yield tile, Contribution(rows, columns, inside, signal, weight, beam)


def find_outliers(
    sums: Sums, parts: Iterable[tuple[int, Contribution]], sigma: float
) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    """Return for each pixel the tile that differs most from the others, and by how much.

    Parameters
    ----------
    sums : Sums
        Of all tiles.
    parts : iterable of (int, Contribution)
        Every tile's contributions.
    sigma : float
        Differences below this count for nothing.

    Returns
    -------
    tile : (ny, nx) int16
        -1 where none differs by more than `sigma`.
    difference : (ny, nx) float32
        In units of its expected value.
    """
    worst = np.full(sums.tiles.shape, -1, np.int16)
    most = np.full(sums.tiles.shape, sigma, np.float32)
    for tile, part in parts:
        place, inside = (part.rows, part.columns), part.inside
        others = sums.weight[place][inside] - part.weight
        enough = (sums.tiles[place][inside] >= MIN_TILES) & (others > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = (sums.signal[place][inside] - part.signal) / others
            own = part.signal / part.weight
            expected = np.sqrt(1 / part.weight + 1 / others + (FLUX_ERROR * mean) ** 2)
            difference = np.where(enough, np.abs(own - mean) / expected, 0).astype(np.float32)
        found = difference > most[place][inside]
        where = inside.copy()
        where[inside] = found
        most[place][where] = difference[found]
        worst[place][where] = tile
    return worst, most


def reject(sums: Sums, spool: Spool, sigma: float, beam_px: float) -> dict[int, int]:
    """Subtract outlying contributions from the sums.

    Expected noise, frequency and number of tiles are reduced in proportion to the weight.

    Parameters
    ----------
    sums : Sums
        Of all tiles in `spool`; changed.
    spool : Spool
    sigma : float
        ``mosaic.reject_sigma``.
    beam_px : float
        Major axis of the beam (FWHM, pixels): the distance from an outlier within which its tile is left out.

    Returns
    -------
    dict
        Tile -> pixels that were taken out of it, where there are any.
    """
    from scipy.ndimage import distance_transform_edt

    worst, _ = find_outliers(sums, spool.parts(), sigma)
    rejected: dict[int, int] = {}
    tiles = sorted({int(tile) for tile in np.unique(worst) if tile >= 0})
    masks: dict[int, tuple[slice, slice, NDArray[np.bool_]]] = {}
    for tile in tiles:
        rows, columns = _box(worst == tile, int(np.ceil(beam_px)))
        near = distance_transform_edt(worst[rows, columns] != tile) <= beam_px
        masks[tile] = rows, columns, near
    for tile, part in spool.parts():
        if tile in masks:
            rejected[tile] = rejected.get(tile, 0) + _take_out(sums, part, masks[tile])
    return {tile: count for tile, count in rejected.items() if count}


def _box(mask: NDArray[np.bool_], reach: int) -> tuple[slice, slice]:
    """Return rows and columns of the box that holds a mask and what lies within `reach` of it."""
    ranges = []
    for axis, n in ((1, mask.shape[0]), (0, mask.shape[1])):
        hit = np.nonzero(mask.any(axis))[0]
        ranges.append(slice(max(0, int(hit[0]) - reach), min(n, int(hit[-1]) + reach + 1)))
    return ranges[0], ranges[1]


def _take_out(sums: Sums, part: Contribution, mask: tuple[slice, slice, NDArray[np.bool_]]) -> int:
    """Subtract masked pixels of a contribution from the sums, where other tiles remain; return their number."""
    rows, columns, near = mask
    here = np.zeros(part.inside.shape, bool)
    top, bottom = max(part.rows.start, rows.start), min(part.rows.stop, rows.stop)
    left, right = max(part.columns.start, columns.start), min(part.columns.stop, columns.stop)
    if top >= bottom or left >= right:
        return 0
    here[top - part.rows.start : bottom - part.rows.start, left - part.columns.start : right - part.columns.start] = (
        near[top - rows.start : bottom - rows.start, left - columns.start : right - columns.start]
    )
    place = (part.rows, part.columns)
    here &= part.inside & (sums.tiles[place] >= MIN_TILES)
    chosen = here[part.inside]
    kept = 1 - part.weight[chosen] / sums.weight[place][here]
    sums.expected[place][here] *= kept.astype(np.float32)
    sums.frequency[place][here] *= kept.astype(np.float32)
    sums.signal[place][here] -= part.signal[chosen]
    sums.weight[place][here] -= part.weight[chosen]
    sums.tiles[place] -= here
    return int(chosen.sum())
