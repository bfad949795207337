"""The tiles of a mosaic: what their twins and headers say, and which of them are used."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contimg import naming
from contimg.config import MosaicOptions
from contimg.errors import InputError
from contimg.mosaic.common_beam import Beam
from contimg.products.manifest import read_product
from contimg.products.twin import Input, Twin


@dataclass(frozen=True)
class Tile:
    """One tile image, as far as the mosaic needs it.

    Attributes
    ----------
    id, twin, input
        Its id, its image's twin and the record of that twin.
    image, pb : Path
        Apparent image (flat noise) and effective beam; they exist where `left_out` is None.
    beam : Beam or None
        Restoring beam, from the image's header; None without a usable image.
    left_out : str or None
        Why the tile is not in the mosaic.
    measured : dict
        What making the mosaic measured: ``rms_common_mjy``, ``expected_common_mjy``, ``weight_fraction``.
    """

    id: str
    twin: Twin
    input: Input
    image: Path
    pb: Path
    beam: Beam | None = None
    left_out: str | None = None
    measured: dict[str, float | None] = field(default_factory=dict)


def read_tiles(twins: Sequence[Path]) -> list[Tile]:
    """Read the twins and image headers of tiles, in order of their ids whatever order they come in.

    Raises
    ------
    InputError
        If a twin is not an image's, or a file that it promises is missing or without a beam.
    """
    tiles = []
    for path in map(Path, twins):
        twin, record = read_product(path)
        if twin.kind != "image":
            raise InputError(f"{path} is the twin of a {twin.kind}, not of a tile image: name image twins")
        stem = naming.stem(twin.id)
        folder = path.with_suffix("")
        tile = Tile(twin.id, twin, record, folder / f"{stem}.image.fits", folder / f"{stem}.pb.fits")
        if twin.verdict == "failed":
            codes = ", ".join(reason.code for reason in twin.reasons) or "no reason given"
            tile = replace(tile, left_out=f"its image failed ({codes})")
        else:
            tile = replace(tile, beam=_header_beam(tile.image))
        tiles.append(tile)
    tiles.sort(key=lambda tile: tile.id)
    for one, next_one in itertools.pairwise(tiles):
        if one.id == next_one.id:
            raise InputError(f"tile {one.id} is named twice for one mosaic: name each tile once")
    return tiles


def select(tiles: Sequence[Tile], options: MosaicOptions) -> list[Tile]:
    """Return the tiles with ``left_out`` set on those whose noise or beam is out of line.

    Noise: ``qa.rms_mjy`` of the twin above ``max_rms_ratio`` medians, or not measured. Beam: major or minor axis
    off its median by more than ``max_beam_deviation``. Medians are over the tiles not failed.
    """
    candidates = [tile for tile in tiles if tile.left_out is None]
    noises = [n for tile in candidates if (n := tile.twin.qa.get("rms_mjy")) is not None]
    if not noises:
        return [tile if tile.left_out else replace(tile, left_out="its noise was not measured") for tile in tiles]
    middle = float(np.median(noises))
    axes = np.median([(tile.beam.bmaj_deg, tile.beam.bmin_deg) for tile in candidates], axis=0)
    chosen = []
    for tile in tiles:
        if tile.left_out is None:
            tile = replace(tile, left_out=_fault(tile, middle, axes, options))
        chosen.append(tile)
    return chosen


def _fault(tile: Tile, median_mjy: float, axes_deg: NDArray[np.float64], options: MosaicOptions) -> str | None:
    rms = tile.twin.qa.get("rms_mjy")
    if rms is None:
        return "its noise was not measured"
    if rms > options.max_rms_ratio * median_mjy:
        return (
            f"its rms of {rms:.3g} mJy/beam is {rms / median_mjy:.1f} times the median of the tiles"
            f" (mosaic.max_rms_ratio {options.max_rms_ratio:g})"
        )
    deviation = beam_deviation(tile.beam, axes_deg)
    if deviation > options.max_beam_deviation:
        return (
            f"its beam of {tile.beam.bmaj_deg * 3600:.1f} x {tile.beam.bmin_deg * 3600:.1f} arcsec is off the"
            f" median by {deviation:.0%} (mosaic.max_beam_deviation {options.max_beam_deviation:.0%})"
        )
    return None


def beam_deviation(beam: Beam, axes_deg: NDArray[np.float64]) -> float:
    """Return by how much a beam's worse axis differs from reference axes (major, minor; deg), as a fraction."""
    return float(np.max(np.abs(np.array([beam.bmaj_deg, beam.bmin_deg]) / axes_deg - 1)))


def _header_beam(path: Path) -> Beam:
    from astropy.io import fits

    try:
        header = fits.getheader(path)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist, but its twin does: delete the twin and rerun snakemake") from None
    try:
        beam = Beam(float(header["BMAJ"]), float(header["BMIN"]), float(header["BPA"]))
    except KeyError as error:
        raise InputError(f"{path} has no restoring beam ({error.args[0]}): delete its twin and rerun") from None
    if not beam.bmaj_deg >= beam.bmin_deg > 0:
        raise InputError(f"{path} has an impossible beam ({beam}): delete its twin and rerun snakemake")
    return beam
