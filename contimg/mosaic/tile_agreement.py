"""Exclusion of tiles whose fluxes or positions disagree with those of their neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from contimg.config import MosaicOptions
from contimg.mosaic.neighbours import Difference, NeighbourLimits, find_disagreements
from contimg.mosaic.tile_images import GroupTile, used


def leave_out_disagreeing(tiles: Sequence[GroupTile], options: MosaicOptions) -> tuple[list[GroupTile], list[str]]:
    """Leave out the tiles whose fluxes or positions differ from those of their neighbours.

    Parameters
    ----------
    tiles : sequence of GroupTile
    options : MosaicOptions

    Returns
    -------
    tiles : list of GroupTile
    unresolved : list of str
        A sentence for each pair of tiles that differ where nothing tells which of them is wrong.
    """
    images = {tile.id: image for tile, image in used(tiles)}
    if not images:
        return list(tiles), []
    axes = [(image.facts.beam.bmaj_arcsec * image.facts.beam.bmin_arcsec) ** 0.5 for image in images.values()]
    beam_arcsec = float(np.median(axes))
    limits = NeighbourLimits(options.max_scale_difference, options.max_shift_beams * beam_arcsec)
    found = find_disagreements({name: image.sources for name, image in images.items()}, beam_arcsec, limits)
    chosen = [
        replace(tile, left_out=_sentence(found.wrong[tile.id], limits, options), disagrees=True)
        if tile.id in found.wrong
        else tile
        for tile in tiles
    ]
    unresolved = [
        f"tiles {one} and {other} differ, and too few others see the same sky to tell which is wrong: of the first"
        f" {_sentence(difference, limits, options)}"
        for one, other, difference in found.unresolved
    ]
    return chosen, unresolved


def _sentence(difference: Difference, limits: NeighbourLimits, options: MosaicOptions) -> str:
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
    return " and ".join(parts)
