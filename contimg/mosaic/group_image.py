"""The co-added image of a group: its tiles at one beam, on one grid, with their weights."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from contimg.config import MosaicOptions
from contimg.mosaic import coadd, noise
from contimg.mosaic.common_beam import common_beam, sampled, turned
from contimg.mosaic.fourier_image import fourier_image
from contimg.mosaic.grid import MosaicGrid, make_grid
from contimg.mosaic.overlap import OverlapComparison, OverlapResult
from contimg.mosaic.rejection import Spool, reject
from contimg.mosaic.spectrum import MIN_SNR, SpectralSums, common_groups
from contimg.mosaic.tile_agreement import judge_by_pixels, limits_of
from contimg.mosaic.tile_images import GroupTile, TileImage, used
from contimg.products.fits_images import read_image
from contimg.sky.restoring_beam import RestoringBeam

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class GroupImage:
    """A mosaic in memory.

    Attributes
    ----------
    tiles : list of GroupTile
        Every tile of the group; those that were added with their noise and weight.
    grid : MosaicGrid
    beam : RestoringBeam
        The common beam; its position angle counts from the y axis of the pixels, which is north at the centre.
    image, weights, rms : (ny, nx) float32
        Jy/beam, 1/Jy^2 and Jy/beam; NaN, 0 and NaN outside the footprint.
    expected_rms : (ny, nx) float32
        The rms (Jy/beam) with each tile at its expected noise; NaN where it is not known.
    frequency_hz : (ny, nx) float32
        Effective frequency of each pixel; NaN outside.
    tile_count : (ny, nx) int16
        Number of tiles that cover a pixel.
    spectral_index : (ny, nx) float32 or None
        Of bright pixels, NaN elsewhere; None where the tiles were not imaged in channel groups.
    rejected : dict
        Tile -> number of its pixels that were left out, as they differ from the other tiles.
    overlap : OverlapResult
        The tiles compared pixel by pixel.
    unresolved : list of str
        A sentence for each pair of tiles whose pixels differ where nothing tells which of them is wrong.
    """

    tiles: list[GroupTile]
    grid: MosaicGrid
    beam: RestoringBeam
    image: NDArray[np.float32]
    weights: NDArray[np.float32]
    rms: NDArray[np.float32]
    expected_rms: NDArray[np.float32]
    frequency_hz: NDArray[np.float32]
    tile_count: NDArray[np.int16]
    spectral_index: NDArray[np.float32] | None
    rejected: dict[str, int]
    overlap: OverlapResult
    unresolved: list[str] = field(default_factory=list)


def _width_arcsec(beam: RestoringBeam) -> float:
    """Return the geometric mean of a beam's axes."""
    return float(np.sqrt(beam.bmaj_deg * beam.bmin_deg)) * 3600


class _UnusableTileError(Exception):
    """A tile that turned out to be unusable while it was added."""

    def __init__(self, tile_id: str, fault: str) -> None:
        super().__init__(tile_id, fault)
        self.tile_id = tile_id
        self.fault = fault


def coadd_tiles(
    tiles: Sequence[GroupTile], options: MosaicOptions, pb_limit: float, threads: int = 1
) -> tuple[list[GroupTile], GroupImage | None]:
    """Co-add the usable tiles of a group.

    A tile that turns out to be unusable, or whose pixels differ from its neighbours', is left out, and the others are
    co-added without it, from the beginning: the common beam and the grid must not depend on it.

    Parameters
    ----------
    tiles : sequence of GroupTile
    options : MosaicOptions
    pb_limit : float
        A tile has no weight where its effective beam is lower (``image.pb_limit``).
    threads : int
        With more than one, tiles are compared while the next one is added; the result is the same to the bit.

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
            made = _coadd(tiles, options, pb_limit, threads)
        except _UnusableTileError as error:
            tiles = [tile.damage(error.fault) if tile.id == error.tile_id else tile for tile in tiles]
            continue
        judged = judge_by_pixels(tiles, made.overlap.found, _width_arcsec(made.beam), options)
        if not made.overlap.found.wrong:
            return made.tiles, replace(made, unresolved=judged.unresolved)
        tiles = judged.tiles
    return tiles, None


@dataclass(frozen=True)
class _Target:
    """Common grid and beam of a mosaic, the weighting of its tiles, and the threads that make it."""

    grid: MosaicGrid
    beam: RestoringBeam
    options: MosaicOptions
    pb_limit: float
    threads: int


def _coadd(tiles: Sequence[GroupTile], options: MosaicOptions, pb_limit: float, threads: int) -> GroupImage:
    """Co-add the tiles that are not left out; raise `_UnusableTileError` at the first one without noise."""
    chosen = used(tiles)
    images = [image for _, image in chosen]
    grid = make_grid([image.footprint for image in images], options.cell_arcsec, options.max_size_px)
    target = _Target(grid, mosaic_beam(grid, images), options, pb_limit, threads)
    _LOG.info("%d of %d tiles go on %d x %d pixels", len(chosen), len(tiles), grid.shape[1], grid.shape[0])
    sums = coadd.Sums.empty(grid.shape, images[0].facts.freq_hz)
    overlap = OverlapComparison(grid, target.beam, [image.footprint for image in images])
    rejected: dict[int, int] = {}
    if options.reject_sigma:
        with Spool.empty() as spool:
            added = _add_all(sums, target, chosen, overlap, spool)
            rejected = reject(sums, spool, options.reject_sigma, target.beam.bmaj_deg / grid.cell_deg)
    else:
        added = _add_all(sums, target, chosen, overlap, None)
    image, weights, rms = sums.mosaic()
    total = sum(weight for _, weight in added.values())
    return GroupImage(
        tiles=[
            replace(tile, rms_common_jy=added[tile.id][0], weight_fraction=added[tile.id][1] / total)
            if tile.id in added
            else tile
            for tile in tiles
        ],
        grid=grid,
        beam=target.beam,
        image=image,
        weights=weights,
        rms=rms,
        expected_rms=sums.expected_rms(),
        frequency_hz=sums.frequency_hz(),
        tile_count=sums.tiles,
        spectral_index=_spectral_index(target, images, image, rms),
        rejected={chosen[number][0].id: count for number, count in rejected.items()},
        overlap=overlap.result(limits_of(options, _width_arcsec(target.beam)), places=not options.reject_sigma),
    )


def mosaic_beam(grid: MosaicGrid, images: Sequence[TileImage]) -> RestoringBeam:
    """Return the common beam of tiles, in the frame of the mosaic's pixels.

    Pixels of a tile have north up at its centre, pixels of the mosaic at its own: the position angles of the tiles'
    beams are turned by the angle between the two.
    """
    beam = common_beam([turned(image.beam, grid.north_deg(image.facts.centre_deg[0])) for image in images])
    return sampled(beam, max(image.facts.cell_arcsec for image in images) / 3600)


def _add_all(
    sums: coadd.Sums,
    target: _Target,
    chosen: Sequence[tuple[GroupTile, TileImage]],
    overlap: OverlapComparison,
    spool: Spool | None,
) -> dict[str, tuple[float, float]]:
    """Convolve tiles to the common beam, measure their noise there and add them.

    What they contribute is compared with the tiles before it, and kept in the spool if there is one.

    Returns
    -------
    dict
        By tile: its noise at the common beam (Jy/beam), and the sum of its weights (1/Jy^2).
    """
    added = {}
    with _in_order(target.threads) as later:
        for number, (tile, source) in enumerate(chosen):
            planes, rms_jy = _planes(target, tile, source)
            weight, samples = 0.0, overlap.samples_of(planes)
            for part in coadd.contributions(target.grid, planes, target.pb_limit):
                weight += coadd.add(sums, part, planes)
                samples.put(part, overlap.sampling)
                if spool is not None:
                    spool.put(number, part)
            later(overlap.add, tile.id, samples, planes.wcs)
            _LOG.info(
                "tile %s added: %.4g mJy/beam at the common beam, weight %.4g /Jy^2", tile.id, 1e3 * rms_jy, weight
            )
            added[tile.id] = rms_jy, weight
    return added


@contextmanager
def _in_order(threads: int) -> Iterator[Callable[..., None]]:
    """Hand out a function that does calls one after the other: at once, or behind, with more than one thread.

    At the end of the block all of them are done; an error of one is raised there.
    """
    if threads == 1:
        yield lambda call, *arguments: call(*arguments)
        return
    with ThreadPoolExecutor(1) as behind:
        calls: list[Future[None]] = []
        yield lambda call, *arguments: calls.append(behind.submit(call, *arguments))
        for call in calls:
            call.result()


def _planes(target: _Target, tile: GroupTile, source: TileImage) -> tuple[coadd.TilePlanes, float]:
    """Return one tile at the common beam, with its noise in boxes, and its noise as a whole (Jy/beam)."""
    apparent, pb = (read_image(path, dtype=np.float32) for path in (source.image, source.pb))
    x_step, y_step = apparent.wcs.pixel_scale_matrix.diagonal()
    beam = turned(target.beam, -target.grid.north_deg(source.facts.centre_deg[0]))
    data = apparent.data if tile.rescaled_by is None else np.float32(tile.rescaled_by) * apparent.data
    smooth = fourier_image(data, source.beam, beam, (x_step, y_step))
    pixels, beam_px = smooth.pixels(), beam.bmaj_deg / abs(x_step)
    rms_jy = noise.rms_off_sources(pixels, pb.data >= target.pb_limit, beam_px)
    if rms_jy is None:
        raise _UnusableTileError(tile.id, f"{source.image.name} has no noise left at the common beam")
    local = noise.noise_map(pixels, beam_px) if target.options.local_noise else None
    expected_mjy = source.qa.expected_rms_mjy
    planes = coadd.TilePlanes(
        footprint=source.footprint,
        image=smooth,
        pb=pb.data,
        wcs=apparent.wcs,
        noise=rms_jy if local is None else local,
        # Convolution changes the expected noise by the same factor as that of the image.
        expected_jy=None if expected_mjy is None else expected_mjy / 1e3 * rms_jy / source.rms_jy,
        freq_hz=source.facts.freq_hz,
        bandwidth_hz=source.facts.bandwidth_hz,
    )
    return planes, rms_jy


def _spectral_index(
    target: _Target, images: Sequence[TileImage], image: NDArray[np.float32], rms: NDArray[np.float32]
) -> NDArray[np.float32] | None:
    """Return the spectral index of the mosaic's bright pixels; None where the tiles have no channel groups."""
    groups = common_groups([one.facts for one in images])
    if not groups:
        return None
    with np.errstate(invalid="ignore"):
        sums = SpectralSums(target.grid, image >= MIN_SNR * rms, groups)
    for one in images:
        sums.add(one, turned(target.beam, -target.grid.north_deg(one.facts.centre_deg[0])), target.pb_limit)
    return sums.index()
