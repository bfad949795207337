"""The tile images of a group: reading, comparison with their twins, and selection for the mosaic."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contimg.config import MosaicOptions
from contimg.errors import InputError
from contimg.mosaic import noise, tile_checks
from contimg.mosaic.bright_sources import BrightSources, find_bright_sources
from contimg.mosaic.grid import Footprint, footprint_of
from contimg.products.facts import ImageFacts, image_facts
from contimg.products.fits_header import place_of
from contimg.products.fits_images import DamagedFileError
from contimg.products.gates import Options
from contimg.products.judged import judged
from contimg.products.manifest import product_of, verify_product
from contimg.products.numbers import ImageQa, image_qa
from contimg.products.twin import Input, Twin, input_from_twin
from contimg.sky.restoring_beam import RestoringBeam


@dataclass(frozen=True)
class TileImage:
    """A tile's apparent image and effective beam on disk, which agree with their twin.

    Attributes
    ----------
    image, pb : Path
        Apparent image (flat noise, Jy/beam) and effective beam.
    facts : ImageFacts
    qa : ImageQa
    beam : RestoringBeam
        Restoring beam, from the image's header.
    footprint : Footprint
        Where the effective beam is above ``image.pb_limit``.
    rms_jy : float
        Noise of the image there, away from sources (Jy/beam).
    sources : BrightSources
        Bright sources, which are compared with those of neighbouring tiles.
    position_m : (float, float, float) or None
        Place of the array (ITRF), from the image's header; None in tiles of earlier versions.
    """

    image: Path
    pb: Path
    facts: ImageFacts
    qa: ImageQa
    beam: RestoringBeam
    footprint: Footprint
    rms_jy: float
    sources: BrightSources
    position_m: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class GroupTile:
    """A tile of the group, in the mosaic or not.

    Attributes
    ----------
    id, twin, input
        Its id, the twin of its image and the record of that twin.
    path : Path
        Where the twin stands.
    image : TileImage or None
        None where the tile failed or its files are damaged.
    left_out : str or None
        Why the tile is not in the mosaic.
    damaged : bool
        It is left out because its files differ from the description in its twin.
    disagreement : str or None
        How it differs from its neighbours: then it is left out or rescaled.
    rescaled_by : float or None
        Factor that its image is multiplied by in the mosaic, so that its fluxes are its neighbours'.
    rms_common_jy, weight_fraction : float or None
        Noise at the common beam, and share of the mosaic's weight: measured when the tile is added.
    """

    id: str
    twin: Twin
    input: Input
    path: Path
    image: TileImage | None = None
    left_out: str | None = None
    damaged: bool = False
    disagreement: str | None = None
    rescaled_by: float | None = None
    rms_common_jy: float | None = None
    weight_fraction: float | None = None

    def damage(self, fault: str) -> GroupTile:
        """Return the tile as left out because its files are damaged."""
        return replace(self, image=None, left_out=fault, damaged=True)

    @property
    def rms_common_mjy(self) -> float | None:
        """Noise at the common beam (mJy/beam), rounded as the table of tiles holds it."""
        return None if self.rms_common_jy is None else round(self.rms_common_jy * 1e3, 6)

    @property
    def remedy(self) -> str:
        """The shell command that removes the tile's image, so that the next run makes it again."""
        return f"rm -r {product_of(self.path, 'image')} {self.path}"


def used(tiles: Sequence[GroupTile]) -> list[tuple[GroupTile, TileImage]]:
    """Return the tiles that are in the mosaic, with their images."""
    return [(tile, tile.image) for tile in tiles if tile.left_out is None and tile.image is not None]


def read_tiles(twins: Sequence[Path], pb_limit: float, judged_by: Options, threads: int = 1) -> list[GroupTile]:
    """Read the images of tiles and return them in order of their ids.

    Tiles whose verdict is failed, and those whose files are missing, unreadable or not what their twin says, are left
    out.

    Parameters
    ----------
    twins : sequence of Path
    pb_limit : float
        A tile counts only where its effective beam is above (``image.pb_limit``).
    judged_by : mapping of str to Section
        The sections of the configuration that hold the thresholds of tiles.
    threads : int
        Number of tiles that are read at a time.

    Raises
    ------
    InputError
        If a twin cannot be read or is not an image's, or a tile is named twice.
    OSError
        If the machine cannot read a file.
    """
    with ThreadPoolExecutor(threads) as pool:
        read = pool.map(lambda path: _read_tile(Path(path), pb_limit, judged_by), twins)
        tiles = sorted(read, key=lambda tile: tile.id)
    for one, next_one in itertools.pairwise(tiles):
        if one.id == next_one.id:
            raise InputError(f"tile {one.id} is named twice for one mosaic: name each tile once")
    return tiles


def _read_tile(path: Path, pb_limit: float, judged_by: Options) -> GroupTile:
    """Read one tile; it is left out, with the reason, if it failed or its files are damaged."""
    twin, record = input_from_twin(path)
    if twin.kind != "image":
        raise InputError(f"{path} is the twin of a {twin.kind}, not of a tile image: name image twins")
    twin = judged(twin, judged_by)
    tile = GroupTile(twin.id, twin, record, path)
    if twin.verdict == "failed":
        codes = ", ".join(reason.code for reason in twin.reasons) or "no reason given"
        return replace(tile, left_out=f"its image failed ({codes})")
    try:
        verify_product(path, twin)
        return replace(tile, image=_open_image(tile, pb_limit))
    except DamagedFileError as error:
        return tile.damage(f"{error.path.name} {error.fault}")
    except InputError as error:
        return tile.damage(str(error).partition(": ")[0].replace(f"{product_of(path, 'image')}/", ""))


def _open_image(tile: GroupTile, pb_limit: float) -> TileImage:
    """Read a tile's files and compare them with its twin."""
    facts, qa = image_facts(tile.twin, tile.path.name), image_qa(tile.twin, tile.path.name)
    folder = product_of(tile.path, "image")
    pb = tile_checks.read_checked(folder, "pb", tile.twin, facts)
    tile_checks.check_pb(pb, facts, pb_limit)
    above = pb.data >= pb_limit  # False where NaN
    footprint = footprint_of(pb.wcs, above)
    image = tile_checks.read_checked(folder, "image", tile.twin, facts)
    tile_checks.check_pixels(image, qa)
    tile_checks.check_coverage(image, above)
    beam = RestoringBeam.from_degrees(*(float(image.header[key]) for key in ("BMAJ", "BMIN", "BPA")))
    rms_jy = noise.rms_off_sources(image.data, above, beam.bmaj_deg * 3600 / facts.cell_arcsec)
    if rms_jy is None:
        raise DamagedFileError(image.path, "has no noise where the effective beam is above image.pb_limit")
    sources = find_bright_sources(image, pb.data, beam, rms_jy)
    return TileImage(image.path, pb.path, facts, qa, beam, footprint, rms_jy, sources, place_of(image.header))


def select(tiles: Sequence[GroupTile], options: MosaicOptions) -> list[GroupTile]:
    """Return the tiles with ``left_out`` set on those whose noise or beam differs too much from the medians.

    Noise: ``qa.rms_mjy`` of the twin above ``max_rms_ratio`` medians, or not measured. Beam: major or minor axis
    off its median by more than ``max_beam_deviation``. Medians are over the tiles that can be used.
    """
    candidates = [image for _, image in used(tiles)]
    noises = [image.qa.rms_mjy for image in candidates if image.qa.rms_mjy is not None]
    if not noises:
        return [tile if tile.left_out else replace(tile, left_out="its noise was not measured") for tile in tiles]
    median_mjy, axes_deg = float(np.median(noises)), median_axes_deg(candidates)
    return [
        tile if tile.image is None else replace(tile, left_out=_outlier(tile.image, median_mjy, axes_deg, options))
        for tile in tiles
    ]


def _outlier(image: TileImage, median_mjy: float, axes_deg: NDArray[np.float64], options: MosaicOptions) -> str | None:
    """Return what makes a tile differ too much from the others, or None."""
    rms = image.qa.rms_mjy
    if rms is None:
        return "its noise was not measured"
    if rms > options.max_rms_ratio * median_mjy:
        return (
            f"its rms of {rms:.3g} mJy/beam is {rms / median_mjy:.1f} times the median of the tiles"
            f" (mosaic.max_rms_ratio {options.max_rms_ratio:g})"
        )
    deviation = beam_deviation(image.beam, axes_deg)
    if deviation > options.max_beam_deviation:
        return (
            f"its beam of {image.beam.bmaj_deg * 3600:.1f} x {image.beam.bmin_deg * 3600:.1f} arcsec is off the"
            f" median by {deviation:.0%} (mosaic.max_beam_deviation {options.max_beam_deviation:.0%})"
        )
    return None


def median_axes_deg(images: Sequence[TileImage]) -> NDArray[np.float64]:
    """Return the medians of the beams' major and of their minor axes (deg)."""
    return np.median([(image.beam.bmaj_deg, image.beam.bmin_deg) for image in images], axis=0)


def beam_deviation(beam: RestoringBeam, axes_deg: NDArray[np.float64]) -> float:
    """Return by how much a beam's worse axis differs from reference axes (major, minor; deg), as a fraction."""
    return float(np.max(np.abs(np.array([beam.bmaj_deg, beam.bmin_deg]) / axes_deg - 1)))
