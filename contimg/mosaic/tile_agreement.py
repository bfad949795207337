"""Leaves out or rescales tiles whose fluxes, positions or sources disagree with their neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from contimg.config import MosaicOptions
from contimg.mosaic.neighbours import (
    Difference,
    Disagreements,
    NeighbourLimits,
    beam_width_error,
    find_disagreements,
)
from contimg.mosaic.tile_images import GroupTile, used
from contimg.mosaic.tile_trends import band_tilt, tile_trends


@dataclass(frozen=True)
class Agreement:
    """The tiles of a group after the comparison with their neighbours.

    Attributes
    ----------
    tiles : list of GroupTile
    unresolved : list of str
        A sentence for each pair of tiles that differ where the wrong one cannot be identified.
    numbers : dict
        ``compared_tiles``: fraction of the tiles used that were compared with a neighbour; ``beam_width_error``: see
        `neighbours.beam_width_error`, with its error ``e_...``; and those of `tile_trends.tile_trends`. None where
        they are not known.
    """

    tiles: list[GroupTile]
    unresolved: list[str]
    numbers: dict[str, Any]


def compare_with_neighbours(tiles: Sequence[GroupTile], options: MosaicOptions) -> Agreement:
    """Compare the tiles of a group with each other, and leave out or rescale those that differ from the others.

    Parameters
    ----------
    tiles : sequence of GroupTile
    options : MosaicOptions
        With ``odd_tiles: rescale`` a tile that differs in nothing but its flux scale is divided by it.
    """
    images = {tile.id: image for tile, image in used(tiles)}
    if not images:
        return Agreement(list(tiles), [], {})
    axes = [(image.facts.beam.bmaj_arcsec * image.facts.beam.bmin_arcsec) ** 0.5 for image in images.values()]
    beam_arcsec = float(np.median(axes))
    limits = limits_of(options, beam_arcsec)
    found = find_disagreements({name: image.sources for name, image in images.items()}, beam_arcsec, limits)
    chosen = [_judged(tile, found.wrong.get(tile.id), limits, options) for tile in tiles]
    return Agreement(chosen, _unresolved(found, limits, options), _numbers(tiles, found, beam_arcsec))


def judge_by_pixels(
    tiles: Sequence[GroupTile], found: Disagreements, beam_arcsec: float, options: MosaicOptions
) -> Agreement:
    """Leave out or rescale the tiles whose pixels differ from those of their neighbours.

    Parameters
    ----------
    tiles : sequence of GroupTile
        As they were co-added.
    found : Disagreements
        Of their pixels.
    beam_arcsec : float
        Geometric mean of the axes of the beam of the mosaic.
    options : MosaicOptions
    """
    limits = limits_of(options, beam_arcsec)
    judged = [_judged(tile, found.wrong.get(tile.id), limits, options, pixels=True) for tile in tiles]
    return Agreement(judged, _unresolved(found, limits, options, pixels=True), {})


def limits_of(options: MosaicOptions, beam_arcsec: float) -> NeighbourLimits:
    """Return the differences beyond which a tile is odd, for a beam (geometric mean of its axes)."""
    return NeighbourLimits(options.max_scale_difference, options.max_shift_beams * beam_arcsec)


def _unresolved(
    found: Disagreements, limits: NeighbourLimits, options: MosaicOptions, *, pixels: bool = False
) -> list[str]:
    """Return a sentence for each pair that differs where nothing tells which of the two is wrong."""
    return [
        f"tiles {one} and {other} differ, and too few others see the same sky to tell which is wrong: of the first"
        f" {_sentence(difference, limits, options, pixels=pixels)}"
        for one, other, difference in found.unresolved
    ]


def _judged(
    tile: GroupTile,
    difference: Difference | None,
    limits: NeighbourLimits,
    options: MosaicOptions,
    *,
    pixels: bool = False,
) -> GroupTile:
    """Return a tile as it is, left out or rescaled, with the reason."""
    if difference is None:
        return tile
    sentence = _sentence(difference, limits, options, pixels=pixels)
    scattered = difference.log_scatter > limits.scale or difference.offset_scatter_arcsec > limits.offset_arcsec
    misplaced = difference.offset_arcsec > limits.offset_arcsec
    only_scale = not (misplaced or scattered or difference.sources_differ)
    if options.odd_tiles == "rescale" and only_scale and tile.rescaled_by is None:
        return replace(tile, rescaled_by=1 / difference.scale, disagreement=sentence)
    return replace(tile, left_out=sentence, disagreement=sentence, rescaled_by=None)


def _numbers(tiles: Sequence[GroupTile], found: Disagreements, beam_arcsec: float) -> dict[str, Any]:
    """Return the measured numbers of the tiles that agree."""
    right = {tile.id: image.sources for tile, image in used(tiles) if tile.id not in found.wrong}
    numbers: dict[str, Any] = {
        "compared_tiles": round(len(found.compared) / len(right), 4) if right else None,
        "beam_width_error": None,
        "e_beam_width_error": None,
    }
    width = beam_width_error(right, beam_arcsec)
    if width is not None:
        numbers |= {"beam_width_error": round(width[0], 6), "e_beam_width_error": round(width[1], 6)}
    noises = {tile.id: tile.twin.qa.get("noise_by_subband") or {} for tile in tiles if tile.id in right}
    return numbers | tile_trends(found.pairs, beam_arcsec) | band_tilt(noises)


def _sentence(difference: Difference, limits: NeighbourLimits, options: MosaicOptions, *, pixels: bool = False) -> str:
    """Return a difference in words, with its error and the configuration key of its limit."""
    parts = []
    if abs(difference.scale - 1) > limits.scale:
        error = difference.scale * difference.e_log_scale
        parts.append(
            f"its fluxes are {difference.scale:.3f} ± {error:.3f} of its neighbours'"
            f" (mosaic.max_scale_difference {options.max_scale_difference:g})"
        )
    if difference.offset_arcsec > limits.offset_arcsec:
        parts.append(
            f"its sources are {difference.east_arcsec:+.1f} arcsec east and {difference.north_arcsec:+.1f} arcsec north"
            f" (± {difference.e_offset_arcsec:.1f}) of its neighbours' (mosaic.max_shift_beams"
            f" {options.max_shift_beams:g})"
        )
    if difference.log_scatter > limits.scale:
        parts.append(
            f"its fluxes scatter by {difference.log_scatter:.1%} about its neighbours', as of another beam map"
        )
    if difference.offset_scatter_arcsec > limits.offset_arcsec:
        parts.append(
            f"its sources scatter by {difference.offset_scatter_arcsec:.1f} arcsec about its neighbours' places, as of"
            " an image that is turned or stretched"
        )
    if difference.sources_differ and pixels:
        parts.append(f"{difference.n_missing} places are not in both")
    elif difference.sources_differ:
        parts.append(f"{difference.n_missing} of {difference.n_expected} bright sources are not in both")
    return ("compared pixel by pixel, " if pixels else "") + " and ".join(parts)
