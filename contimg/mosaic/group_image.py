"""The co-added image of a group: its tiles at one beam, on one grid, with their weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from contimg.config import MosaicOptions
from contimg.mosaic import coadd, noise
from contimg.mosaic.common_beam import common_beam, convolve_to
from contimg.mosaic.grid import MosaicGrid, make_grid
from contimg.mosaic.tile_images import GroupTile, TileImage, used
from contimg.products.fits_images import read_image
from contimg.sky.restoring_beam import RestoringBeam


@dataclass(frozen=True)
class GroupImage:
    """A mosaic in memory.

    Attributes
    ----------
    tiles : list of GroupTile
        Every tile of the group; those that were added with their noise and weight.
    grid : MosaicGrid
    beam : RestoringBeam
        The common beam.
    image, weights, rms : (ny, nx) float32
        Jy/beam, 1/Jy^2 and Jy/beam; NaN, 0 and NaN outside the footprint.
    expected_rms : (ny, nx) float64
        The rms (Jy/beam) with each tile at the noise expected from the radiometer; NaN where it is not known.
    tile_count : (ny, nx) int16
        Number of tiles that cover a pixel.
    """

    tiles: list[GroupTile]
    grid: MosaicGrid
    beam: RestoringBeam
    image: NDArray[np.float32]
    weights: NDArray[np.float32]
    rms: NDArray[np.float32]
    expected_rms: NDArray[np.float64]
    tile_count: NDArray[np.int16]


class _UnusableTileError(Exception):
    """A tile that turned out to be unusable while it was added."""

    def __init__(self, tile_id: str, fault: str) -> None:
        super().__init__(tile_id, fault)
        self.tile_id = tile_id
        self.fault = fault


def coadd_tiles(
    tiles: Sequence[GroupTile], options: MosaicOptions, pb_limit: float
) -> tuple[list[GroupTile], GroupImage | None]:
    """Co-add the usable tiles of a group.

    A tile that turns out to be unusable is left out, and the others are co-added without it, from the beginning: the
    common beam and the grid must not depend on it.

    Parameters
    ----------
    tiles : sequence of GroupTile
    options : MosaicOptions
    pb_limit : float
        A tile has no weight where its effective beam is lower (``image.pb_limit``).

    Returns
    -------
    tiles : list of GroupTile
        All tiles of the group, with what became of them.
    GroupImage or None
        None where no tile is usable.

    Raises
    ------
    ConfigError
        If the mosaic would be larger than ``mosaic.max_size_px``.
    """
    tiles = list(tiles)
    while used(tiles):
        try:
            made = _coadd(tiles, options, pb_limit)
            return made.tiles, made
        except _UnusableTileError as error:
            tiles = [tile.damage(error.fault) if tile.id == error.tile_id else tile for tile in tiles]
    return tiles, None


def _coadd(tiles: Sequence[GroupTile], options: MosaicOptions, pb_limit: float) -> GroupImage:
    """Co-add the tiles that are not left out; raise `_UnusableTileError` at the first one without noise."""
    chosen = used(tiles)
    beam = common_beam([image.beam for _, image in chosen])
    grid = make_grid([image.footprint for _, image in chosen], options.cell_arcsec, options.max_size_px)
    sums = coadd.Sums.empty(grid.shape)
    added = {tile.id: _add(sums, grid, tile, image, beam, pb_limit) for tile, image in chosen}
    total = sum(weight for _, weight in added.values())
    image, weights, rms = sums.mosaic()
    return GroupImage(
        tiles=[
            replace(tile, rms_common_jy=added[tile.id][0], weight_fraction=added[tile.id][1] / total)
            if tile.id in added
            else tile
            for tile in tiles
        ],
        grid=grid,
        beam=beam,
        image=image,
        weights=weights,
        rms=rms,
        expected_rms=sums.expected_rms(),
        tile_count=sums.tiles,
    )


def _add(
    sums: coadd.Sums, grid: MosaicGrid, tile: GroupTile, source: TileImage, beam: RestoringBeam, pb_limit: float
) -> tuple[float, float]:
    """Convolve one tile to the common beam, measure its noise there and add it.

    Returns
    -------
    rms_jy : float
        Noise at the common beam (Jy/beam).
    weight : float
        Sum of the tile's weights (1/Jy^2).
    """
    apparent, pb = read_image(source.image), read_image(source.pb)
    x_step, y_step = apparent.wcs.pixel_scale_matrix.diagonal()
    data = apparent.data if tile.rescaled_by is None else tile.rescaled_by * apparent.data
    smooth = convolve_to(data, source.beam, beam, (x_step, y_step))
    rms_jy = noise.rms_off_sources(smooth, pb.data >= pb_limit, beam.bmaj_deg / abs(x_step))
    if rms_jy is None:
        raise _UnusableTileError(tile.id, f"{source.image.name} has no noise left at the common beam")
    expected_mjy = source.qa.expected_rms_mjy
    # Convolution and rescaling change the radiometer's noise by the same factor as that of the image.
    expected_jy = None if expected_mjy is None else expected_mjy / 1e3 * rms_jy / source.rms_jy
    planes = coadd.TilePlanes(source.footprint, smooth, pb.data, apparent.wcs, rms_jy, expected_jy)
    weight = coadd.add_tile(sums, grid, planes, pb_limit)
    return rms_jy, weight
