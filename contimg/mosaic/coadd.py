"""Co-addition of tiles: running sums of pixels weighted by primary beam and noise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.mosaic.fourier_image import FourierImage
from contimg.mosaic.grid import Footprint, MosaicGrid
from contimg.mosaic.noise import NoiseMap
from contimg.mosaic.pixel_map import PixelMap, SmoothPlane, pixel_map

_ROWS = 256
_LINEAR_PX = 1500
"""Images of at least this width: the effective beam, which spans it, is interpolated linearly to 2e-6."""
_BEAM_ERROR = 1e-5
"""Largest error of the beam as a polynomial; where it is larger, the beam is interpolated pixel by pixel."""
_CHECKED = 64
_MOST_BEYOND = 1.15
"""Largest distance of a node from the tile's middle, in half widths: beyond, a polynomial of 14 terms multiplies the
rounding errors of the beam map by more than 1000."""


@dataclass
class Sums:
    """The running sums of a mosaic, all (ny, nx); in single precision, as few tiles cover a pixel.

    Attributes
    ----------
    signal : float32
        sum of PB I / s^2, in 1/Jy.
    weight : float32
        sum of PB^2 / s^2, in 1/Jy^2.
    expected : float32
        sum of PB^2 e^2 / s^4 with e the noise expected of a tile, in 1/Jy^2; NaN where e is not known.
    frequency : float32
        sum of PB^2 f / s^2, f the effective frequency above `reference_hz`, in Hz/Jy^2.
    tiles : int16
        Number of tiles that cover a pixel.
    reference_hz : float
    """

    signal: NDArray[np.float32]
    weight: NDArray[np.float32]
    expected: NDArray[np.float32]
    frequency: NDArray[np.float32]
    tiles: NDArray[np.int16]
    reference_hz: float = 0.0

    @classmethod
    def empty(cls, shape: tuple[int, int], reference_hz: float = 0.0) -> Sums:
        """Return sums without any tile."""
        signal, weight, expected, frequency = (np.zeros(shape, np.float32) for _ in range(4))
        return cls(signal, weight, expected, frequency, np.zeros(shape, np.int16), reference_hz)

    def mosaic(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Return the image (Jy/beam, NaN outside), its weights (1/Jy^2, 0 outside) and its rms (Jy/beam, NaN)."""
        image, rms = (np.full(self.weight.shape, np.nan, np.float32) for _ in range(2))
        for rows in row_blocks(len(image)):
            weight = self.weight[rows]
            inside = weight > 0
            np.divide(self.signal[rows], weight, out=image[rows], where=inside, casting="same_kind")
            np.divide(1, np.sqrt(weight), out=rms[rows], where=inside, casting="same_kind")
        return image, self.weight.copy(), rms

    def expected_rms(self) -> NDArray[np.float32]:
        """Return the rms (Jy/beam) of the co-added pixels were each tile at its expected noise; NaN outside."""
        result = np.full(self.weight.shape, np.nan, np.float32)
        for rows in row_blocks(len(result)):
            weight = self.weight[rows]
            np.divide(np.sqrt(self.expected[rows]), weight, out=result[rows], where=weight > 0, casting="same_kind")
        return result

    def frequency_hz(self) -> NDArray[np.float32]:
        """Return the effective frequency (Hz) of each pixel; NaN outside. Single precision holds it to 128 Hz."""
        result = np.full(self.weight.shape, np.nan, np.float32)
        for rows in row_blocks(len(result)):
            weight = self.weight[rows]
            np.divide(self.frequency[rows], weight, out=result[rows], where=weight > 0, casting="same_kind")
        result += np.float32(self.reference_hz)
        return result


def row_blocks(n: int) -> Iterator[slice]:
    """Yield slices of some hundred rows: arrays over all rows at once would take the memory of a plane."""
    return (slice(start, min(start + _ROWS, n)) for start in range(0, n, _ROWS))


@dataclass(frozen=True)
class TilePlanes:
    """The pixels and noise of one tile that is to be added.

    Attributes
    ----------
    footprint : Footprint
        Of the tile's pixels above the beam limit.
    image : FourierImage
        Apparent image (Jy/beam of the common beam).
    pb : (ny, nx) array
        Effective beam; NaN where there is none.
    wcs : astropy.wcs.WCS
        Of both.
    noise : NoiseMap or float
        s: rms of the image (Jy/beam), local or of the whole tile.
    expected_jy : float or None
        Noise expected in the image (Jy/beam).
    freq_hz, bandwidth_hz : float
        Effective frequency and bandwidth of the tile.
    """

    footprint: Footprint
    image: FourierImage
    pb: NDArray[np.floating]
    wcs: Any
    noise: NoiseMap | float
    expected_jy: float | None
    freq_hz: float = 0.0
    bandwidth_hz: float = 0.0

    def frequency_hz(self, beam: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the effective frequency (Hz above `freq_hz`) at values of the effective beam.

        The beam narrows with frequency, which gives lower frequencies more weight away from its centre. A Gaussian
        beam is B(f) = B^((f / f0)^2): d ln B / d ln f = 2 ln B, and over an evenly filled band of width W the mean
        frequency is f0 (1 + (W / f0)^2 / 12 x 2 ln B); to first order in (W / f0)^2.
        """
        if not self.freq_hz:
            return np.zeros_like(beam)
        return np.float32(self.bandwidth_hz**2 / self.freq_hz / 6) * np.log(beam)


@dataclass(frozen=True)
class Contribution:
    """What a tile adds to some rows of a mosaic, at the pixels where it has weight; arrays (n,).

    Attributes
    ----------
    rows, columns : slice
        The cut-out of the mosaic.
    inside : (ny, nx) bool
        The n pixels in it.
    signal, weight : float32
        PB I / s^2 and PB^2 / s^2.
    beam : float32
        PB.
    """

    rows: slice
    columns: slice
    inside: NDArray[np.bool_]
    signal: NDArray[np.float32]
    weight: NDArray[np.float32]
    beam: NDArray[np.float32]


def add(sums: Sums, part: Contribution, tile: TilePlanes) -> float:
    """Add what a tile contributes to some rows: pixel = sum(PB I / s^2) / sum(PB^2 / s^2).

    Returns
    -------
    float
        Sum of the weights (1/Jy^2).
    """
    inside, place = part.inside, (part.rows, part.columns)
    sums.signal[place][inside] += part.signal
    sums.weight[place][inside] += part.weight
    expected_jy = np.float32(np.nan if tile.expected_jy is None else tile.expected_jy)
    sums.expected[place][inside] += (part.weight / part.beam * expected_jy) ** 2
    offset = np.float32(tile.freq_hz - sums.reference_hz)
    sums.frequency[place][inside] += part.weight * (offset + tile.frequency_hz(part.beam))
    sums.tiles[place] += inside
    return float(part.weight.sum(dtype=np.float64))


def contributions(grid: MosaicGrid, tile: TilePlanes, pb_limit: float) -> Iterator[Contribution]:
    """Yield what a tile adds to the mosaic, by blocks of rows; it has no weight where its PB is below `pb_limit`."""
    rows, columns = grid.box(tile.footprint)
    cut = grid.cutout(rows, columns)
    places, smooth = pixel_map(cut, tile.wcs), None
    if min(tile.pb.shape) >= _LINEAR_PX:
        smooth = beam_on_grid(places, tile.pb)
    blocks = list(row_blocks(cut.shape[0]))
    there = np.empty((cut.shape[0] * cut.shape[1], 2))  # what is not used takes no memory
    chosen, count = [], 0
    for block in blocks:
        one = _select(tile, places, smooth, (block, there[count:]), pb_limit)
        chosen.append(one)
        count += len(one.beam)
    values = tile.image.at(there[:count])  # one transform for all pixels of the tile
    start = 0
    for block, one in zip(blocks, chosen, strict=True):
        part = slice(start, start + len(one.beam))
        weight = _weight(tile.noise, there[part]) * one.beam
        start = part.stop
        here = slice(rows.start + block.start, rows.start + block.stop)
        yield Contribution(here, columns, one.inside, weight * values[part], weight * one.beam, one.beam)


@dataclass(frozen=True)
class _Selection:
    """Pixels of some rows where a tile has weight: where they are in the rows, and PB at each."""

    inside: NDArray[np.bool_]
    beam: NDArray[np.float32]


def _select(
    tile: TilePlanes,
    places: PixelMap,
    smooth: SmoothPlane | None,
    into: tuple[slice, NDArray[np.float64]],
    pb_limit: float,
) -> _Selection:
    """Return the pixels of some rows where a tile has weight, and put their places in the tile into an (n, 2) array."""
    block, there = into
    y, x = places.rows(block)
    if smooth is not None:
        beam = smooth.rows(block)
        inside = beam >= pb_limit
        y, x, beam = y[inside], x[inside], beam[inside]
    else:
        ny, nx = tile.pb.shape
        inside = (y >= -0.5) & (y <= ny - 0.5) & (x >= -0.5) & (x <= nx - 0.5)
        y, x = y[inside], x[inside]
        beam = interpolate_smooth(tile.pb, y, x)
    chosen = (beam >= pb_limit) & tile.image.knows(y, x)  # False where the beam is NaN
    if not chosen.all():
        inside[inside] = chosen
        y, x, beam = y[chosen], x[chosen], beam[chosen]
    there = there[: len(beam)]
    there[:, 0], there[:, 1] = y, x
    return _Selection(inside, beam)


def beam_on_grid(places: PixelMap, pb: NDArray[np.floating]) -> SmoothPlane | None:
    """Return an effective beam on the pixels of a cut-out of the mosaic; None where it is not smooth enough.

    The beam becomes a polynomial over the tile's pixels, evaluated at the nodes of the map to the mosaic, some of which
    may lie a little outside the tile. The result is compared with the beam map itself at a thousand places.
    """
    y, x = places.nodes()
    own = PixelMap.of_pixels((pb.shape[0], pb.shape[1]))
    beyond = max(np.abs(2 * at / (n - 1) - 1).max() for at, n in zip((y, x), pb.shape, strict=True))
    rows, columns = own.nodes()
    values = interpolate_smooth(pb, rows.ravel(), columns.ravel()).reshape(rows.shape)
    if beyond > _MOST_BEYOND or not np.isfinite(values).all():
        return None
    smooth = places.plane(own.plane(values.astype(np.float64)).without_noise().at(y, x))
    sampled = np.linspace(0, places.shape[1] - 1, _CHECKED).astype(np.intp)
    for row in np.linspace(0, places.shape[0] - 1, _CHECKED // 4).astype(int):
        here = slice(int(row), int(row) + 1)
        y, x = (at[0, sampled] for at in places.rows(here))
        inside = (y >= 0) & (y <= pb.shape[0] - 1) & (x >= 0) & (x <= pb.shape[1] - 1)
        true = interpolate_smooth(pb, y[inside], x[inside])
        if not (np.abs(smooth.rows(here)[0, sampled][inside] - true) <= _BEAM_ERROR).all():
            return None
    return smooth


def _weight(noise: NoiseMap | float, places: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return 1 / s^2 at (n, 2) places of a tile."""
    if isinstance(noise, NoiseMap):
        return (noise.at(*places.T) ** -2.0).astype(np.float32)
    return np.full(len(places), noise**-2.0, np.float32)


def interpolate_smooth(
    plane: NDArray[np.floating], y: NDArray[np.float64], x: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return values of a plane without fine structure between its pixels; NaN beside NaN pixels.

    Linear in a wide image, by a cubic spline in a narrow one.
    """
    from scipy.ndimage import map_coordinates

    order = 1 if min(plane.shape) >= _LINEAR_PX or np.isnan(plane.sum()) else 3
    return map_coordinates(plane, [y, x], order=order, mode="nearest", output=np.float32)
