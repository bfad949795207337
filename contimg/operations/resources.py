"""Memory requests of the rules, from the sizes of their data and images.

A job that asks for too little is killed, one that asks for too much waits for a node that is larger than it needs.
The coefficients were measured as the largest resident memory of each rule on three sizes of night, which
``tests/operations/test_resources.py`` holds: a request lies between the peak and 1.6 times the peak.
Each attempt after the first asks for half as much again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from contimg.config import Config, ImageOptions
from contimg.plan.model import Plan, PlannedTile
from contimg.sky.constants import C_M_S, SIDEREAL_DAYS_PER_DAY

GROWTH_PER_ATTEMPT = 1.5
SNAKEMAKE_BYTES = 2 * 0.145e9
"""What a job on a cluster needs beside its rule: Snakemake runs twice in it (in the batch script and in the step that
srun starts), with a resident memory of 134 MB each, measured under Slurm 22.05; a job that asks for less is killed."""
ON_HEAD_NODE = ("register_mosaic", "publish_mosaic")
"""Rules that are never submitted to a cluster."""
MS_OVER_FILES = 1.1
"""Size of a Measurement Set over that of its subband files, measured: visibilities and weights, flags in bits."""
LOWEST_HZ = 1.28e9
"""Lower edge of the band, where the primary beam is widest (Hz)."""


@dataclass(frozen=True)
class TileSizes:
    """The sizes that determine the memory of a tile's jobs.

    Attributes
    ----------
    files_bytes : int
        Sum of the sizes of its subband files: 13 bytes a sample (visibility, flag, number of samples) and baseline.
    image_px : int
        Pixels of its image.
    channel_groups : int
        Parts of the band that are imaged apart; 0 where the band is imaged whole.
    """

    files_bytes: int
    image_px: int
    channel_groups: int = 0


@dataclass(frozen=True)
class MosaicSizes:
    """The sizes that determine the memory of a mosaic's jobs: one tile's image, and the mosaic.

    Attributes
    ----------
    tile_px : int
        Pixels of a tile's image.
    tile_width_px : int
        A tile's width in pixels of the mosaic.
    width_px, height_px : int
        Of the mosaic.
    """

    tile_px: int
    tile_width_px: int
    width_px: int
    height_px: int

    @property
    def mosaic_px(self) -> int:
        """The number of pixels of the mosaic."""
        return self.width_px * self.height_px


def tile_sizes(config: Config, tile: PlannedTile) -> TileSizes:
    """Return the sizes of a planned tile."""
    groups = config.image.channel_groups if config.image.channel_groups > 1 else 0
    return TileSizes(sum(file.size for file in tile.signature), image_width_px(config) ** 2, groups)


def mosaic_sizes(config: Config, plan: Plan, group_id: str) -> MosaicSizes:
    """Return the sizes of a planned mosaic: its tiles side by side, as far apart as the sky drifts between them."""
    tiles = [plan.tiles[one] for one in plan.groups[group_id].tiles]
    starts = [tile.start_mjd for tile in tiles]
    drift_deg = (max(starts) - min(starts)) * 360 * SIDEREAL_DAYS_PER_DAY * math.cos(math.radians(tiles[0].dec_app_deg))
    tile_deg = image_width_px(config) * config.image.cell_arcsec / 3600
    cell_deg = config.mosaic.cell_arcsec / 3600
    height_px, width_px = math.ceil(tile_deg / cell_deg), math.ceil((tile_deg + drift_deg) / cell_deg)
    return MosaicSizes(image_width_px(config) ** 2, height_px, width_px, height_px)


def image_width_px(config: Config) -> int:
    """Return the width of a tile's image; an upper limit where each tile finds its own (``image.size_px: null``).

    That is the distance at which a Gaussian of the beam's width at the lowest frequency (1.03 lambda/D, Baars 2007,
    The Paraboloidal Reflector Antenna, section 4.2) falls to ``image.pb_limit``, on both sides, and a tile's drift.
    """
    image: ImageOptions = config.image
    if image.size_px is not None:
        return image.size_px
    fwhm_deg = math.degrees(1.03 * C_M_S / LOWEST_HZ / config.beam.dish_diameter_m)
    reach_deg = fwhm_deg * math.sqrt(math.log2(1 / max(image.pb_limit, 1e-3)))
    return math.ceil((reach_deg + 1.3) * 3600 / image.cell_arcsec)


def convert_bytes(tile: TileSizes) -> float:
    """Return the memory of `convert_tile`: buffers of a block of integrations, and the flags of all of them."""
    return 0.21e9 + min(1.8 * tile.files_bytes, 0.12e9) + 0.11 * tile.files_bytes


def solve_bytes(tile: TileSizes) -> float:
    """Return the memory of `solve_calibration`: CASA, the tile's samples and their model."""
    return 0.52e9 + 1.5 * tile.files_bytes


def apply_bytes(tile: TileSizes) -> float:
    """Return the memory of `apply_calibration`: one block of rows at a time, and the solutions."""
    return 0.18e9 + 0.03 * tile.files_bytes


def image_bytes(tile: TileSizes) -> float:
    """Return the memory of `image_tile`: planes of the image, the averaged samples, and models of them."""
    samples = min(1.5 * tile.files_bytes, 0.1e9) + 1.35 * tile.files_bytes
    return 0.33e9 + (36 + 16 * tile.channel_groups) * tile.image_px + samples


def mosaic_bytes(mosaic: MosaicSizes) -> float:
    """Return the memory of `mosaic_group`: the planes of one tile and the sums, or at the end the mosaic's planes."""
    return 0.42e9 + max(82 * mosaic.tile_px + 20.5 * mosaic.mosaic_px, 40 * mosaic.mosaic_px)


def crossmatch_bytes(mosaic: MosaicSizes) -> float:
    """Return the memory of `crossmatch_mosaic`: image, noise and its boxes, and the pixels of islands."""
    return 0.185e9 + 26 * mosaic.mosaic_px


def summarise_bytes(_mosaic: MosaicSizes) -> float:
    """Return the memory of `summarise_mosaic`: small pictures of the tiles, and figures, whatever the mosaic's size."""
    return 0.165e9


def register_bytes(_mosaic: MosaicSizes) -> float:
    """Return the memory of `register_mosaic`, which reads files and pixels block by block."""
    return 0.125e9


def publish_bytes(_mosaic: MosaicSizes) -> float:
    """Return the memory of `publish_mosaic`: blocks as well, and the archive's tables and sky map of a month."""
    return 0.175e9


def megabytes(needed_bytes: float, attempt: int, *, remote: bool = False) -> int:
    """Return a request in MB, larger by half at each attempt after the first; `remote`: for a job on a cluster."""
    own = SNAKEMAKE_BYTES if remote else 0.0
    return math.ceil((needed_bytes + own) * GROWTH_PER_ATTEMPT ** (attempt - 1) / 1e6)


_OF_TILE: dict[str, Callable[[TileSizes], float]] = {
    "convert_tile": convert_bytes,
    "solve_calibration": solve_bytes,
    "apply_calibration": apply_bytes,
    "image_tile": image_bytes,
}
_OF_MOSAIC: dict[str, Callable[[MosaicSizes], float]] = {
    "mosaic_group": mosaic_bytes,
    "crossmatch_mosaic": crossmatch_bytes,
    "summarise_mosaic": summarise_bytes,
    "register_mosaic": register_bytes,
    "publish_mosaic": publish_bytes,
}


def tile_mb(config: Config, tile: PlannedTile, rule: str, attempt: int, *, remote: bool = False) -> int:
    """Return the memory (MB) that a rule asks for on a planned tile."""
    return megabytes(_OF_TILE[rule](tile_sizes(config, tile)), attempt, remote=remote)


def mosaic_mb(config: Config, plan: Plan, group_id: str, rule: str, attempt: int, *, remote: bool = False) -> int:
    """Return the memory (MB) that a rule asks for on a planned mosaic."""
    remote = remote and rule not in ON_HEAD_NODE
    return megabytes(_OF_MOSAIC[rule](mosaic_sizes(config, plan, group_id)), attempt, remote=remote)
