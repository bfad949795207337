"""The pixel-by-pixel comparison of a group's tiles, made on the way while they are co-added."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from contimg.imaging.checks.image_quality import stripe
from contimg.mosaic.beam_ratio import TileRatios, beam_ratio_map
from contimg.mosaic.coadd import TilePlanes
from contimg.mosaic.grid import Footprint, MosaicGrid
from contimg.mosaic.neighbours import Difference, Disagreements, NeighbourLimits, judge_pairs
from contimg.mosaic.pair_statistics import lower_median
from contimg.mosaic.pixel_pairs import PixelDifference, compare_pixels
from contimg.mosaic.tile_samples import Sampling, TileSamples
from contimg.mosaic.tile_trends import tile_trends
from contimg.sky.restoring_beam import RestoringBeam

NUMBERS = (
    "pixel_scale_spread", "e_pixel_scale_spread", "pixel_shift_spread_beams", "e_pixel_shift_spread_beams",
    "difference_width", "difference_width_of", "difference_residue", "difference_residue_of", "difference_stripe",
    "difference_stripe_of", "pixel_outliers", "pixel_outliers_of", "pixel_outlier_sigma",
    "pixel_outlier_sigma_of", "beam_ratio_error", "e_beam_ratio_error",
    "beam_ratio_error_of", "beam_ratio_map",
)  # fmt: skip
"""Keys of a mosaic's ``qa`` that this comparison fills."""

_LEAST_BOXES = 4.0
"""Least overlap whose scatter counts, in boxes of noise: in less, at the edge of both tiles, one box's noise that is
a third too low for that edge (seen on a clean night, in half a box) is the whole overlap's. Such tiles have neighbours
with which they overlap more."""
_NO_WIDTH = 1e-3
"""Least scatter of differences that counts: tiles with the same pixels have none."""


@dataclass(frozen=True)
class OverlapResult:
    """What the pixels say of a group's tiles.

    Attributes
    ----------
    found : Disagreements
    numbers : dict
        By the keys `NUMBERS`, None where nothing could be compared.
    compared : frozenset of str
        Tiles whose scale could be compared with a neighbour's.
    """

    found: Disagreements
    numbers: dict[str, Any]
    compared: frozenset[str]


@dataclass(frozen=True)
class _Held:
    """A tile whose samples are kept: they may overlap those of later tiles."""

    name: str
    samples: TileSamples
    wcs: Any


class OverlapComparison:
    """Compares each tile that is added with those before it that overlap.

    Parameters
    ----------
    grid : MosaicGrid
    beam : RestoringBeam
        The common beam.
    footprints : sequence of Footprint
        Of the tiles, in the order in which they will be added.
    """

    def __init__(self, grid: MosaicGrid, beam: RestoringBeam, footprints: Sequence[Footprint]) -> None:
        self._grid = grid
        self._beam_arcsec = float(np.sqrt(beam.bmaj_deg * beam.bmin_deg)) * 3600
        self.sampling = Sampling.of(grid, beam)
        self._boxes = [self.sampling.box(grid, footprint) for footprint in footprints]
        self._held: list[_Held] = []
        self._added = 0
        self._pairs: dict[tuple[str, str], PixelDifference] = {}
        self._stripes: dict[tuple[str, str], float] = {}
        self._ratios: list[TileRatios] = []

    def samples_of(self, tile: TilePlanes) -> TileSamples:
        """Return the samples of a tile that has not contributed yet."""
        return TileSamples.empty(self._grid, tile.footprint, self.sampling)

    def add(self, name: str, samples: TileSamples, wcs: Any) -> None:
        """Compare a tile with those before it, and let go of samples where no later tile is.

        Parameters
        ----------
        name : str
            The tile's.
        samples : TileSamples
            With all that the tile contributes.
        wcs : astropy.wcs.WCS
            Of the tile's pixels.
        """
        this = _Held(name, samples, wcs)
        overlaps: dict[str, PixelDifference] = {}
        for before in self._held:
            found = compare_pixels(before.samples, this.samples, self.sampling)
            if found is not None:
                overlaps[before.name] = found
                self._ratios.append(TileRatios.of(self._grid, (before.name, before.wcs), (name, wcs), found))
        if overlaps:  # stripes in one of the differences: the tile's neighbour with the largest overlap
            widest = max(overlaps, key=lambda other: (np.isfinite(overlaps[other].unit).sum(), other))
            unit, width = np.nan_to_num(overlaps[widest].unit), max(overlaps[widest].width, _NO_WIDTH)
            self._stripes[widest, name] = stripe(unit, overlaps[widest].known)[0] / width
        self._pairs |= {(other, name): found.without_pixels() for other, found in overlaps.items()}
        self._added += 1
        later = self._boxes[self._added :]
        held = [(one, one.samples.within(later)) for one in (*self._held, this)]
        self._held = [replace(one, samples=part) for one, part in held if part is not None]

    def result(self, limits: NeighbourLimits, *, places: bool = True) -> OverlapResult:
        """Return what was found.

        Parameters
        ----------
        limits : NeighbourLimits
            Differences beyond which a tile is odd.
        places : bool
            Whether what a tile alone shows or lacks makes it odd: not where that is rejected pixel by pixel.
        """
        pairs: dict[str, dict[str, Difference]] = {}
        for (one, other), pixels in self._pairs.items():
            found = pixels.difference if places else replace(pixels.difference, n_missing=0)
            pairs.setdefault(one, {})[other] = found
            pairs.setdefault(other, {})[one] = found.reversed()
        judged = judge_pairs(pairs, limits)
        measured = {pair: one for pair, one in judged.pairs.items() if one.measured}
        numbers: dict[str, Any] = dict.fromkeys(NUMBERS)
        trends = tile_trends(measured, self._beam_arcsec)
        for key in ("scale_spread", "shift_spread_beams"):
            numbers |= {f"{e}pixel_{key}": trends[f"{e}tile_{key}"] for e in ("", "e_")}
        right = {pair: one for pair, one in self._pairs.items() if not judged.wrong.keys() & set(pair)}
        numbers |= _extremes(right, {pair: value for pair, value in self._stripes.items() if pair in right})
        numbers |= _outliers(right)
        numbers |= beam_ratio_map([one for one in self._ratios if not judged.wrong.keys() & {one.first, one.second}])
        return OverlapResult(judged, numbers, frozenset(name for pair in measured for name in pair))


def _extremes(
    pairs: Mapping[tuple[str, str], PixelDifference], stripes: Mapping[tuple[str, str], float]
) -> dict[str, Any]:
    """Return the width that is farthest from 1, the largest residue and stripe, and the tiles that they are of.

    Widths are of overlaps of four boxes of noise or more, or of the largest if all are smaller.
    """
    if not pairs:
        return {}
    least = min(_LEAST_BOXES, max(one.boxes for one in pairs.values()))
    large = [pair for pair, one in pairs.items() if one.boxes >= least]
    widest = max(large, key=lambda pair: (abs(np.log(max(pairs[pair].width, _NO_WIDTH))), pair))
    residue = max(pairs, key=lambda pair: (pairs[pair].residue, pair))
    numbers: dict[str, Any] = {
        "difference_width": round(pairs[widest].width, 4),
        "difference_width_of": f"tiles {widest[0]} and {widest[1]}",
        "difference_residue": round(pairs[residue].residue, 4),
        "difference_residue_of": f"tiles {residue[0]} and {residue[1]}",
    }
    if stripes:
        striped = max(stripes, key=lambda pair: (stripes[pair], pair))
        numbers |= {
            "difference_stripe": round(stripes[striped], 4),
            "difference_stripe_of": f"tiles {striped[0]} and {striped[1]}",
        }
    return numbers


def _outliers(pairs: Mapping[tuple[str, str], PixelDifference]) -> dict[str, Any]:
    """Return the largest number of places in which a tile alone differs, the worst such place, and the tiles.

    What is wrong in one tile is counted in each of its pairs, and in one pair of each of its neighbours: the number of
    a tile is the median over its pairs, the lower of two.
    """
    if not pairs:
        return {}
    count, of_count = _largest_of_tile({pair: one.difference.n_missing for pair, one in pairs.items()})
    size, of_size = _largest_of_tile({pair: one.worst_place for pair, one in pairs.items()})
    return {
        "pixel_outliers": int(count),
        "pixel_outliers_of": of_count,
        "pixel_outlier_sigma": round(size, 2),
        "pixel_outlier_sigma_of": of_size,
    }


def _largest_of_tile(values: Mapping[tuple[str, str], float]) -> tuple[float, str | None]:
    """Return the largest of the tiles' medians over their pairs, and the tile; no tile where it is 0."""
    of_tile: dict[str, list[float]] = {}
    for pair, value in values.items():
        for name in pair:
            of_tile.setdefault(name, []).append(value)
    middle = {name: lower_median(some) for name, some in of_tile.items()}
    worst = max(middle, key=lambda name: (middle[name], name))
    return middle[worst], f"tile {worst}" if middle[worst] else None
