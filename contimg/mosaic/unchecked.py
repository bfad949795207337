"""Checks of the flux scale without a catalogue: neighbours, the calibrator and the previous calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from contimg.mosaic.tile_images import GroupTile, used
from contimg.products.lineage import collect

LEVEL_CHANGE = 0.1
"""Largest fractional change of the array's gain since the previous bandpass that counts as the same flux scale."""


def unchecked(tiles: Sequence[GroupTile], numbers: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each missing check of the fluxes and positions of a mosaic; none where all were made.

    Tiles that were compared with a catalogue are checked. Others need three independent checks: neighbours with the
    same sources and fluxes, visibilities whose noise is that of the receivers on the calibrator, and a
    bandpass on a calibrator whose level is that of the certified one before it to 10 %.

    Parameters
    ----------
    tiles : sequence of GroupTile
        Of the group.
    numbers : mapping
        `tile_agreement.Agreement.numbers`.
    """
    chosen = [tile for tile, _ in used(tiles)]
    if not chosen or any(tile.twin.qa.get("n_compared") is not None for tile in chosen):
        return []
    missing = []
    compared = numbers.get("compared_tiles") or 0.0
    if compared < 1:
        missing.append(
            f"{round((1 - compared) * len(chosen))} of {len(chosen)} tiles have no neighbour to compare with"
        )
    unknown = [tile.id for tile in chosen if tile.twin.qa.get("system_noise") is None]
    if unknown:
        missing.append(f"the noise of tile {unknown[0]} cannot be compared with that on the calibrator")
    bandpasses = [
        node.twin
        for node in collect([tile.path for tile in chosen]).of_kind("calibration")
        if node.twin.facts.get("type") == "bandpass"
    ]
    if not bandpasses:
        missing.append("no bandpass on a calibrator is known")
    for twin in bandpasses:
        level = twin.qa.get("gain_level_ratio")
        if level is None:
            missing.append(f"bandpass {twin.id} was not compared with a certified one before it")
        elif not 1 / (1 + LEVEL_CHANGE) <= level <= 1 + LEVEL_CHANGE:
            missing.append(f"bandpass {twin.id} has {level:.2f} times the level of the certified one before it")
    return missing
