"""Mosaics: tiles brought to a common beam, regridded and co-added with weights PB^2 / s^2.

`mosaic_group` is the rule. Its parts: `tile_images` and `tile_checks` (which tiles are usable), `common_beam`, `noise`,
`grid`, `fourier_image`, `pixel_map`, `coadd`, `rejection` and `spectrum` (arithmetic), `group_image` (the co-added
image), `mosaic_numbers` and `mosaic_facts` (for the twin), `fits_output` and `picture` (files).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from contimg.config import MosaicOptions, QaOptions
from contimg.config.used_keys import used_options
from contimg.mosaic import fits_output, noise, picture
from contimg.mosaic.group_image import GroupImage, coadd_tiles
from contimg.mosaic.mosaic_facts import group_facts, mosaic_facts, notes_on, notes_on_image
from contimg.mosaic.mosaic_numbers import confusion_jy, measure
from contimg.mosaic.tile_agreement import compare_with_neighbours
from contimg.mosaic.tile_fluxes import tile_fluxes, write_tile_fluxes
from contimg.mosaic.tile_images import GroupTile, read_tiles, select, used
from contimg.mosaic.unchecked import unchecked
from contimg.plotting.features import APART_BEAMS, Features, find_features
from contimg.plotting.sky_picture import NARROW_IN, SkyPicture, draw
from contimg.products import gates
from contimg.products.draft import TwinDraft
from contimg.products.facts import MosaicImageFacts
from contimg.products.fits_planes import Compression, write_plane
from contimg.products.numbers import MosaicQa
from contimg.products.twin import Twin

LIBRARIES = ("numpy", "scipy", "astropy", "radio-beam", "matplotlib")


def mosaic_group(  # one parameter for each input, output and parameter of the rule
    image_twins: Sequence[Path],
    output: Path,
    twin: Path,
    *,
    mosaic_id: str,
    options: MosaicOptions,
    pb_limit: float,
    qa: QaOptions,
    threads: int = 1,
) -> Twin:
    """Make the mosaic of a group of tile images.

    Parameters
    ----------
    image_twins : sequence of Path
        Twins of the group's tile images, in any order: the result is the same to the bit.
    output, twin : Path
        Folder of the mosaic's files, and its twin.
    mosaic_id : str
        ``mosaic_YYYYMMDDTHHMMSS``.
    options : MosaicOptions
    pb_limit : float
        A tile has no weight where its effective beam is lower (``image.pb_limit``).
    qa : QaOptions
        Thresholds of the verdict.
    threads : int
        Tiles that are read at a time; with more than one, tiles are compared while the next one is added. The result
        is the same to the bit.

    Returns
    -------
    Twin
        Of kind ``mosaic``. A tile whose files are damaged or disagree with its twin is left out and a warning, and so
        is one whose fluxes or positions disagree with those of its neighbours.
        Without one usable tile the verdict is failed and `output` an empty folder.

    Raises
    ------
    ConfigError
        If the mosaic would be larger than ``mosaic.max_size_px``.
    InputError
        If a twin is missing or unreadable.
    RegistryError
        If a tile's input was made again after the tile: rerun snakemake.
    """
    draft = TwinDraft("mosaic", mosaic_id)
    tiles = select(read_tiles(image_twins, pb_limit, {"qa": qa}, threads), options)
    agreement = compare_with_neighbours(tiles, options)
    tiles, numbers, unresolved = agreement.tiles, agreement.numbers, list(agreement.unresolved)
    draft.inputs, draft.synthetic = [tile.input for tile in tiles], any(tile.twin.synthetic for tile in tiles)
    with draft.product(output) as folder:
        folder.mkdir()
        tiles, mosaic = coadd_tiles(tiles, options, pb_limit, threads)
        if mosaic is None:
            _describe_without_image(draft, tiles)
        else:
            numbers = _with_pixels(numbers, mosaic)
            unresolved += [one for one in mosaic.unresolved if not _said(one, agreement.unresolved)]
            confusion = confusion_jy(mosaic, options, synthetic=draft.synthetic)
            _describe(draft, folder, mosaic, confusion, numbers, qa, options.compression)
    _warn_of_tiles(draft, tiles, unresolved)
    _warn_of_unchecked_fluxes(draft, unchecked(tiles, numbers))
    parameters = {"mosaic": used_options("mosaic_group", "mosaic", options), "pb_limit": pb_limit}
    return draft.write(twin, parameters=parameters, libraries=LIBRARIES, judged_by={"qa": qa})


def _with_pixels(numbers: Mapping[str, Any], mosaic: GroupImage) -> dict[str, Any]:
    """Return the numbers of the tiles' agreement, from their sources and from their pixels."""
    chosen = [tile.id for tile, _ in used(mosaic.tiles)]
    by_pixels = sum(name in mosaic.overlap.compared for name in chosen) / len(chosen)
    compared = max(numbers.get("compared_tiles") or 0.0, round(by_pixels, 4))
    return {**numbers, **mosaic.overlap.numbers, "compared_tiles": compared}


def _said(sentence: str, others: Sequence[str]) -> bool:
    """Return whether one of other sentences is of the same two tiles: its first four words are the same."""
    return any(sentence.split()[:4] == other.split()[:4] for other in others)


def _describe(  # what stands in a twin comes from all of them
    draft: TwinDraft,
    folder: Path,
    mosaic: GroupImage,
    confusion: float,
    numbers: Mapping[str, Any],
    qa: QaOptions,
    compression: Compression,
) -> None:
    """Measure a mosaic, write its files, and put facts, measured numbers and verdict into the draft of its twin."""
    beam_px = mosaic.beam.bmaj_deg / mosaic.grid.cell_deg
    local, factors = noise.local_rms(mosaic.image, mosaic.rms, beam_px)
    # A mosaic too small for a box of 20 beams shows its pixels over the noise that follows from the weights.
    shown_noise = local if factors.size else mosaic.rms
    found = find_features(mosaic.image, shown_noise, max(1, round(beam_px)), APART_BEAMS)
    measured = measure(mosaic, local, factors, found, confusion).model_copy(update=numbers)
    facts = mosaic_facts(mosaic, draft.id, measured.area_deg2 or 0.0)
    shown_mjy = measured.rms_mjy or float(np.nanmedian(mosaic.rms)) * 1e3
    shown = picture.sky_picture(mosaic, shown_noise, facts, shown_mjy, draft.id, synthetic=draft.synthetic)
    _write(folder, mosaic, facts, shown, found, compression)
    draft.facts, draft.qa = facts.model_dump(mode="json"), measured.model_dump()
    draft.reasons = gates.judge("mosaic", draft.qa, {"qa": qa})
    draft.notes += notes_on_image(mosaic)


def _describe_without_image(draft: TwinDraft, tiles: Sequence[GroupTile]) -> None:
    """Put the facts of a group without a usable tile into the draft of its twin, whose verdict becomes failed."""
    draft.facts = group_facts(tiles).model_dump(mode="json")
    draft.qa = MosaicQa(n_images=0, tile_fraction=0.0).model_dump(exclude_unset=True)
    draft.fail("no_usable_tile", f"none of the {len(tiles)} tiles of the group is usable", 0, 1)


def _warn_of_tiles(draft: TwinDraft, tiles: Sequence[GroupTile], unresolved: Sequence[str]) -> None:
    """Add a note on each tile that is left out, and a warning where it is damaged or disagrees with its neighbours."""
    draft.notes += notes_on(tiles)
    for sentence in unresolved:
        draft.warn("tiles_disagree", sentence)
    for tile in tiles:
        if tile.rescaled_by is not None:
            message = f"tile {tile.id} multiplied by {tile.rescaled_by:.3f}: {tile.disagreement}"
            draft.warn("tile_rescaled", message, tile.id)
        elif tile.disagreement:
            draft.warn("tile_disagrees", f"tile {tile.id} left out: {tile.left_out}", tile.id)
        if tile.damaged:
            message = (
                f"tile {tile.id} left out: {tile.left_out}: make it again with: {tile.remedy}; then rerun snakemake"
            )
            draft.warn("tile_damaged", message, tile.id)


def _warn_of_unchecked_fluxes(draft: TwinDraft, missing: Sequence[str]) -> None:
    """Add a warning where nothing confirms the fluxes and positions of the mosaic."""
    if missing:
        why = "; ".join(missing)
        draft.warn("fluxes_unchecked", f"no catalogue confirms fluxes and positions (sky.catalogue is null): {why}")


def _write(  # what is written comes from all of them
    folder: Path,
    mosaic: GroupImage,
    facts: MosaicImageFacts,
    shown: SkyPicture,
    found: Features,
    compression: Compression,
) -> None:
    """Write the FITS files, the table of tiles and the pictures."""
    files = facts.files
    head = fits_output.header(
        mosaic.grid, facts, shown.title, [tile for tile, _ in used(mosaic.tiles)], shown.synthetic
    )
    for name, data, unit, kind in (
        (files.image, mosaic.image, "Jy/beam", "intensity, beam-corrected"),
        (files.weights, mosaic.weights, "beam2.Jy-2", "weight, unnormalised: 1/(Jy/beam)^2"),
        (files.rms, mosaic.rms, "Jy/beam", "noise, 1/sqrt(weight)"),
        (files.coverage, mosaic.tile_count, "", "number of tiles"),
        (files.frequency, mosaic.frequency_hz, "Hz", "effective frequency"),
        (files.spectral_index, mosaic.spectral_index, "", "spectral index, S proportional to f^alpha"),
    ):
        if name is not None and data is not None:
            # Only the image may lose bits: weights, counts and frequencies are too smooth to be worth it.
            kept = compression if name == files.image or compression == "none" else "lossless"
            write_plane(folder / name, data, head, kind, unit, kept)
    fits_output.write_tiles_table(folder / files.tiles, mosaic.tiles)
    if files.tile_fluxes is not None:
        write_tile_fluxes(folder / files.tile_fluxes, [tile_fluxes(tile, image) for tile, image in used(mosaic.tiles)])
    draw(folder / files.picture, shown, found=found)
    if files.picture_narrow is not None:
        draw(folder / files.picture_narrow, shown, NARROW_IN, found)
