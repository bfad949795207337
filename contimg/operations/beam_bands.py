"""The primary beam in bands, from tile images in channel groups (``contimg beam measure --cube``)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contimg import naming
from contimg.config import Config
from contimg.errors import InputError
from contimg.imaging.checks.catalogue import fit_peak
from contimg.imaging.grid import TileGrid
from contimg.mosaic.bright_sources import MIN_SNR
from contimg.mosaic.tile_fluxes import tile_fluxes
from contimg.mosaic.tile_images import GroupTile, TileImage, read_tiles, used
from contimg.operations.beam_measurement import catalogue_of, groups_of
from contimg.plan.standing import read_group
from contimg.products.fits_images import read_image
from contimg.products.judged import options_of
from contimg.products.manifest import product_of
from contimg.sky.beam_cube_fit import BandBeam, fit_band
from contimg.sky.beam_cube_writing import write_beam_cube
from contimg.sky.beam_fit import TileFluxes, fit_beam
from contimg.sky.catalogue import Catalogue
from contimg.sky.restoring_beam import RestoringBeam
from contimg.statistics import image_sigma

MIN_GROUPS = 4
"""Least number of channel groups: a cube is interpolated by cubic splines."""
_MIN_RESPONSE = 0.08  # of the assumed beam: fluxes below it are left out
_MIN_SNR = 5.0
_REACH_RAD = math.radians(5.0)


@dataclass(frozen=True)
class MeasuredCube:
    """A measured cube: its bands, the offset of its axis (deg), and the number of tiles and groups behind it."""

    bands: tuple[BandBeam, ...]
    offset_deg: tuple[float, float]
    n_tiles: int
    mosaics: tuple[str, ...]


def measure_cube(config: Config, names: Sequence[str], output: Path) -> MeasuredCube:
    """Measure the beam in each channel group of the tiles of some groups, and write it as a cube.

    Parameters
    ----------
    config : Config
    names : sequence of str
        Ids of mosaics, or nights (YYYY-MM-DD); all groups where none is given.
    output : Path
        The FITS cube (``beam.cube``).

    Raises
    ------
    InputError
        If tiles were imaged in too few channel groups, or too few fluxes are known; or without a catalogue.
    """
    mosaics = groups_of(config, names)
    tiles = {tile.id: (tile, image) for name in mosaics for tile, image in _tiles(config, name)}
    if not tiles:
        raise InputError(f"no group in {config.layout.stage} has tile images: run snakemake first")
    fewest = min(len(image.facts.groups) for _, image in tiles.values())
    if fewest < MIN_GROUPS:
        raise InputError(
            f"the tiles were imaged in {fewest} channel groups, a cube needs {MIN_GROUPS} or more: set"
            " image.channel_groups to 16 and rerun snakemake"
        )
    whole = [tile_fluxes(tile, image) for tile, image in tiles.values()]
    catalogue = catalogue_of(config, whole)
    if catalogue is None:
        raise InputError("a cube is measured with the fluxes of a catalogue: name one in sky.catalogue")
    found = fit_beam(whole, catalogue, config.beam)
    beam = config.beam.with_axis((found.east_deg, found.north_deg), found.fwhm_scale)
    seen = [_seen(tile, image, catalogue) for tile, image in tiles.values()]
    bands = [fit_band([_band_fluxes(one, number) for one in seen], catalogue, beam) for number in range(fewest)]
    write_beam_cube(output, bands, config.beam)
    return MeasuredCube(tuple(bands), (found.east_deg, found.north_deg), len(tiles), tuple(mosaics))


def _tiles(config: Config, mosaic_id: str) -> list[tuple[GroupTile, TileImage]]:
    """Return the usable tiles of a group."""
    group = read_group(config.layout.group(naming.iso(mosaic_id)))
    twins = [config.layout.twin("image", tile["id"]) for tile in group["tiles"]]
    found = read_tiles([twin for twin in twins if twin.exists()], config.image.pb_limit, options_of(config))
    return used(found)


@dataclass(frozen=True)
class _Seen:
    """The catalogued sources of a tile: places by the whole band (deg, and pixels), and the tile's facts."""

    base: TileFluxes
    folder: Path
    image: TileImage
    x: NDArray[np.float64]
    y: NDArray[np.float64]


def _seen(tile: GroupTile, image: TileImage, catalogue: Catalogue) -> _Seen:
    """Return the catalogued sources that stand out of a tile, with the places at which they stand in it."""
    plane, pb = read_image(image.image), read_image(image.pb).data
    ra0, dec0 = np.radians(image.facts.centre_deg)
    near = catalogue.within(ra0, dec0, _REACH_RAD)
    x, y = plane.wcs.all_world2pix(near.ra_deg, near.dec_deg, 0)
    cell_rad = math.radians(float(plane.wcs.wcs.cdelt[1]))
    margin = math.ceil(3 * image.beam.bmaj_rad / cell_rad)
    response = np.array([_at(pb, place, margin) for place in zip(x, y, strict=True)])
    apparent = near.flux_at(image.facts.freq_hz)[:, 0] * response
    use = (response > _MIN_RESPONSE) & (apparent > MIN_SNR * image.rms_jy)
    found = [fit_peak(plane.data, place, image.beam, cell_rad)[1:] for place in zip(x[use], y[use], strict=True)]
    x, y = np.array(found).reshape(-1, 2).T
    ra, dec = plane.wcs.all_pix2world(x, y, 0) if len(x) else (np.empty(0), np.empty(0))
    base = replace(tile_fluxes(tile, image), ra_deg=np.asarray(ra), dec_deg=np.asarray(dec))
    return _Seen(base, product_of(tile.path, "image"), image, x, y)


def _band_fluxes(seen: _Seen, number: int) -> TileFluxes:
    """Return the apparent fluxes of a tile's sources in one of its channel groups."""
    plane = read_image(seen.folder / seen.image.facts.files[f"group{number}.image"])
    grid = TileGrid.of(plane.wcs, len(plane.data))
    shapes = [grid.beam_at(seen.image.beam, *place) for place in np.stack(grid.cosines(seen.x, seen.y), axis=1)]
    places = zip(zip(seen.x, seen.y, strict=True), shapes, strict=True)
    peaks = np.array([_amplitude(plane.data, place, shape, grid.cell_rad) for place, shape in places])
    noise = image_sigma(plane.data)
    use = np.isfinite(peaks) & (peaks > _MIN_SNR * noise)
    group = seen.image.facts.groups[number]
    return replace(
        seen.base, freq_hz=group.freq_hz, bandwidth_hz=group.bandwidth_hz, ra_deg=seen.base.ra_deg[use],
        dec_deg=seen.base.dec_deg[use], flux_jy=peaks[use], e_flux_jy=np.full(int(use.sum()), noise),
    )  # fmt: skip


def _amplitude(image: NDArray[np.floating], place: tuple[float, float], beam: RestoringBeam, cell_rad: float) -> float:
    """Return the amplitude (Jy/beam) of a source of the beam's shape at a position (pixels); NaN at the edge.

    Of least squares within half a beam: the position is that of the whole band, where the source is brightest.
    """
    reach = max(2, math.ceil(beam.bmin_rad / cell_rad / 2))
    x0, y0 = round(place[0]), round(place[1])
    spot = image[max(0, y0 - reach) : y0 + reach + 1, max(0, x0 - reach) : x0 + reach + 1]
    if spot.shape != (2 * reach + 1, 2 * reach + 1) or not np.isfinite(spot).all():
        return math.nan
    dy, dx = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    a, b, c = (value * cell_rad**2 for value in beam.exponents())
    ex, ey = dx - (place[0] - x0), dy - (place[1] - y0)
    shape = np.exp(-(a * ex**2 - 2 * b * ex * ey + c * ey**2))  # east is -x
    return float((shape * spot).sum() / (shape**2).sum())


def _at(pb: NDArray[np.floating], place: tuple[float, float], margin: int) -> float:
    """Return the value of a map at the nearest pixel; 0 outside, and nearer to the edge than a margin."""
    if not np.isfinite(place).all():
        return 0.0
    x, y = round(place[0]), round(place[1])
    inside = margin <= y < pb.shape[0] - margin and margin <= x < pb.shape[1] - margin and math.isfinite(pb[y, x])
    return float(pb[y, x]) if inside else 0.0
