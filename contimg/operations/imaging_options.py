"""Checks of options against the planned data before a run: pixels, baselines, channels, antenna, sizes, memory.

Only headers are read.
"""

from __future__ import annotations

import math
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from contimg.config import Config
from contimg.errors import InputError
from contimg.operations.references import Known, stamp
from contimg.operations.resources import image_bytes, image_width_px, mosaic_sizes, tile_sizes
from contimg.plan.model import Plan, PlannedTile
from contimg.sky.constants import C_M_S

MIN_PIXELS_PER_BEAM, MAX_PIXELS_PER_BEAM = 0.5, 50.0
"""Limits of the number of pixels across lambda/B, the resolution of the longest baseline. The beam of an image is wider
than that, depending on the weighting, as the longest baselines are few. Below half a pixel no weighting makes a beam
that the pixels sample; more than fifty cost memory and add no information."""


@dataclass(frozen=True)
class Array:
    """What a header says about the array: longest baseline (m), highest frequency (Hz), channels of a subband."""

    longest_m: float
    highest_hz: float
    channels: int
    antennas: tuple[str, ...]

    @property
    def resolution_arcsec(self) -> float:
        """The width lambda/B of the finest fringes."""
        return math.degrees(C_M_S / self.highest_hz / self.longest_m) * 3600


def imaging_findings(config: Config, plan: Plan, known: Known, *, local: bool) -> list[str]:
    """Return a sentence for each option that does not fit the planned tiles, or this machine if the jobs run on it."""
    found = _sky(config) + _backend(config, local=local)
    tiles = {t: plan.tiles[t] for group in plan.groups.values() for t in group.tiles}
    if not tiles:
        return found
    by_setup = {tile.setup: tile for tile in tiles.values()}
    arrays = [array for tile in by_setup.values() if (array := _array(tile, known)) is not None]
    if arrays:
        finest = max(arrays, key=lambda array: array.longest_m * array.highest_hz)
        found += _pixels(config, finest) + _baselines(config, finest) + _antenna(config, arrays)
        found += _channels(config, min(arrays, key=lambda array: array.channels))
    found += _mosaics(config, plan)
    if local:
        found += _memory(config, next(iter(tiles.values())))
    return found


def _array(tile: PlannedTile, known: Known) -> Array | None:
    """Return the array by the header of a tile's first file; None if it cannot be read, which the plan reports."""
    try:
        key = stamp(tile.files[0])
        cached = known.get(key)
        if cached is None:
            cached = asdict(_read_array(Path(tile.files[0])))
            known.put(key, cached)
    except (InputError, OSError):
        return None
    return Array(cached["longest_m"], cached["highest_hz"], cached["channels"], tuple(cached["antennas"]))


def _read_array(path: Path) -> Array:
    """Read the array from the header of a subband file."""
    import numpy as np

    from contimg.correlator.hdf5 import read_header

    header = read_header(path)
    first, second = header.antenna1, header.antenna2
    lengths = np.linalg.norm(header.antenna_positions_m[first] - header.antenna_positions_m[second], axis=1)
    names = sorted({header.antenna_names[i] for i in (*first, *second)})
    return Array(float(lengths.max()), float(header.freq_hz.max()), len(header.freq_hz), tuple(names))


def _sky(config: Config) -> list[str]:
    """Return a sentence if the image reaches below the horizon: direction cosines of its corners exceed 1."""
    width_px, cell_rad = image_width_px(config), math.radians(config.image.cell_arcsec / 3600)
    if width_px / 2 * cell_rad * math.sqrt(2) < 1:
        return []
    return [
        f"image.size_px {width_px} of image.cell_arcsec {config.image.cell_arcsec:g} are "
        f"{math.degrees(width_px * cell_rad):.0f} degrees, more than the sky above a tile: choose a smaller image"
    ]


def _backend(config: Config, *, local: bool) -> list[str]:
    """Return a sentence for each option that WSClean does not support."""
    image = config.image
    if image.backend != "wsclean":
        return []
    found = []
    if local and shutil.which("wsclean") is None:
        found.append("image.backend is 'wsclean', which is not installed: install it or write contimg")
    for key, off in (("channel_groups", 1), ("catalogue_mask", False)):
        if getattr(image, key) != off:
            found.append(f"image.{key} needs image.backend contimg: set it to {str(off).lower()} for wsclean")
    if image.size_px is not None and image.size_px % 2:
        found.append(f"image.size_px is {image.size_px}, but WSClean wants even sizes: add one pixel")
    return found


def _pixels(config: Config, array: Array) -> list[str]:
    """Return a sentence for each pixel size that under- or oversamples the beam, and for a field that is too small."""
    beam = array.resolution_arcsec
    best = beam / 4
    found = []
    for key, cell in (("image", config.image.cell_arcsec), ("mosaic", config.mosaic.cell_arcsec)):
        sampling = f"{key}.cell_arcsec {cell:g} is {beam / cell:.3g} pixels a beam of {beam:.3g} arcsec"
        if beam / cell < MIN_PIXELS_PER_BEAM:
            found.append(f"{sampling}, too few to sample it: write about {best:.2g}")
        elif beam / cell > MAX_PIXELS_PER_BEAM:
            found.append(f"{sampling}, many more than it takes to sample it: write about {best:.2g}")
    width_arcsec = image_width_px(config) * config.image.cell_arcsec
    if width_arcsec < 10 * beam:
        found.append(
            f"image.size_px {image_width_px(config)} of image.cell_arcsec {config.image.cell_arcsec:g} is a field of "
            f"{width_arcsec / beam:.2g} beams, too small to measure its noise: choose a larger image"
        )
    return found


def _baselines(config: Config, array: Array) -> list[str]:
    """Return a sentence for each lower limit of the baselines that leaves none."""
    longest = array.longest_m * array.highest_hz / C_M_S / 1e3
    return [
        f"{key}.min_uv_klambda {cut:g} leaves no baseline, as the longest has {longest:.3g}: choose less"
        for key, cut in (("image", config.image.min_uv_klambda), ("calibration", config.calibration.min_uv_klambda))
        if cut >= longest
    ]


def _antenna(config: Config, arrays: list[Array]) -> list[str]:
    """Return a sentence if the reference antenna is not in every array."""
    wanted = config.calibration.refant
    if wanted == "auto" or all(wanted in array.antennas for array in arrays):
        return []
    return [f"calibration.refant '{wanted}' is not an antenna of the planned tiles: name one of them, or write auto"]


def _channels(config: Config, array: Array) -> list[str]:
    """Return a sentence if there are fewer channels than groups of channels."""
    channels = array.channels * config.ingest.subbands
    if config.image.channel_groups <= channels:
        return []
    return [f"image.channel_groups {config.image.channel_groups} is more than the {channels} channels: choose fewer"]


def _mosaics(config: Config, plan: Plan) -> list[str]:
    """Return a sentence for the first mosaic that would be larger than ``mosaic.max_size_px``."""
    for group in plan.groups.values():
        sizes = mosaic_sizes(config, plan, group.id)
        longest = max(sizes.width_px, sizes.height_px)
        # The mosaic is as wide as the beams, which need not fill the images: only what is surely too large counts.
        if longest - sizes.tile_width_px > config.mosaic.max_size_px:
            return [
                f"{group.mosaic_id} would be about {longest} pixels wide, and mosaic.max_size_px is "
                f"{config.mosaic.max_size_px}: make mosaic.cell_arcsec larger, or group.tiles smaller"
            ]
    return []


def _memory(config: Config, tile: PlannedTile) -> list[str]:
    """Return a sentence if an image needs more memory than this machine has."""
    from contimg.imaging.limits import machine_memory

    needed, there = image_bytes(tile_sizes(config, tile)), machine_memory()
    if needed <= there:
        return []
    return [
        f"image.size_px {image_width_px(config)} needs {needed / 1e9:.1f} GB of memory, and this machine has "
        f"{there / 1e9:.1f} GB: choose a smaller image, or a cluster's profile"
    ]
