"""Mosaics: tiles brought to a common beam, regridded and co-added with weights PB^2 / s^2.

`mosaic_group` is the whole step; its parts are one module each: `tiles` (which are used), `resolution` (common
beam), `noise`, `grid`, `coadd`, `products` and `picture`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.config import MosaicOptions, QaOptions
from contimg.errors import InputError
from contimg.mosaic import coadd, noise, picture, products
from contimg.mosaic import grid as grids
from contimg.mosaic import tiles as tile_images
from contimg.mosaic.common_beam import Beam, common_beam, convolve_to
from contimg.mosaic.tiles import Tile
from contimg.products import fits_images, gates
from contimg.products.draft import TwinDraft
from contimg.products.lineage import collect
from contimg.products.twin import Twin

LIBRARIES = ("numpy", "scipy", "astropy", "radio-beam", "matplotlib")
WELL_COVERED = 0.5
"""The noise is quoted where the weight is at least this fraction of its 95th percentile."""


def mosaic_group(
    image_twins: Sequence[Path],
    output: Path,
    twin: Path,
    *,
    mosaic_id: str,
    options: MosaicOptions,
    pb_limit: float,
    qa: QaOptions,
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

    Returns
    -------
    Twin
        Of kind ``mosaic``. Without one usable tile its verdict is failed and `output` an empty folder.

    Raises
    ------
    ConfigError
        If the mosaic would be larger than ``mosaic.max_size_px``.
    InputError
        If a file that a twin promises is missing or unreadable.
    RegistryError
        If a tile's input was made again after the tile: rerun snakemake.
    """
    draft = TwinDraft("mosaic", mosaic_id)
    tiles = tile_images.select(tile_images.read_tiles(image_twins), options)
    draft.inputs = [tile.input for tile in tiles]
    draft.synthetic = any(tile.twin.synthetic for tile in tiles)
    with draft.product(output) as folder:
        folder.mkdir()
        used = [tile for tile in tiles if tile.left_out is None]
        if used:
            tiles, draft.facts, draft.qa = _make(folder, tiles, mosaic_id, options, pb_limit, draft.synthetic)
            draft.reasons = gates.judge("mosaic", draft.qa, {"qa": qa})
        else:
            draft.facts, draft.qa = _group_facts(tiles), {"n_images": 0, "tile_fraction": 0.0}
            message = f"none of the {len(tiles)} tiles of the group is usable"
            draft.fail("no_usable_tile", message, 0, 1)
    draft.notes = _notes(tiles)
    return draft.write(
        twin,
        parameters={
            "mosaic": options.model_dump(mode="json"),
            "qa": qa.model_dump(mode="json"),
            "pb_limit": pb_limit,
        },
        libraries=LIBRARIES,
    )


def _make(
    folder: Path, tiles: list[Tile], mosaic_id: str, options: MosaicOptions, pb_limit: float, synthetic: bool
) -> tuple[list[Tile], dict[str, Any], dict[str, Any]]:
    """Make the files of a mosaic; return the tiles with what was measured on them, facts and qa."""
    used = [tile for tile in tiles if tile.left_out is None]
    beam = common_beam([tile.beam for tile in used])
    footprints = [_footprint(tile, pb_limit) for tile in used]
    grid = grids.make_grid(footprints, options.cell_arcsec, options.max_size_px)
    sums = coadd.Sums.empty(grid.shape)
    weights = []
    for i, (tile, footprint) in enumerate(zip(used, footprints, strict=True)):
        used[i], weight = _add(sums, grid, footprint, tile, beam, pb_limit)
        weights.append(weight)
    used = [
        replace(tile, measured={**tile.measured, "weight_fraction": round(weight / sum(weights), 6)})
        for tile, weight in zip(used, weights, strict=True)
    ]
    done = {tile.id: tile for tile in used}
    tiles = [done.get(tile.id, tile) for tile in tiles]
    image, weight_map, rms_map = sums.mosaic()

    # Per-tile 1/s^2 rather than the sum of its weights: the pixels seen by many tiles decide the frequency.
    shares = np.array([tile.measured["rms_common_mjy"] for tile in used]) ** -2.0
    facts = _group_facts(tiles) | {
        "files": {
            "image": f"{mosaic_id}.fits",
            "weights": f"{mosaic_id}.weights.fits",
            "rms": f"{mosaic_id}.rms.fits",
            "picture": f"{mosaic_id}.png",
            "tiles": f"{mosaic_id}.tiles.csv",
        },
        "beam": beam.facts(),
        "freq_hz": _mean(used, "freq_hz", shares),
        "bandwidth_hz": _mean(used, "bandwidth_hz", shares),
        "centre_deg": list(grid.centre_deg),
        "size_px": [grid.shape[1], grid.shape[0]],
        "cell_arcsec": options.cell_arcsec,
    }
    measured = _measure(image, weight_map, rms_map, sums, grid, beam, tiles)
    facts["area_deg2"] = measured["area_deg2"]

    head = products.header(grid, facts, mosaic_id, used, synthetic)
    for name, data, unit, kind in (
        ("image", image, "Jy/beam", "intensity, beam-corrected"),
        ("weights", weight_map, "1/Jy^2", "weight, unnormalised: 1/(Jy/beam)^2"),
        ("rms", rms_map, "Jy/beam", "noise, 1/sqrt(weight)"),
    ):
        products.write_fits(folder / facts["files"][name], data, head, unit, kind)
    products.write_tiles_table(folder / facts["files"]["tiles"], tiles)
    shown = measured["rms_mjy"] or float(np.nanmedian(rms_map)) * 1e3
    picture.draw(
        folder / facts["files"]["picture"], image, grid, facts, shown, mosaic_id=mosaic_id, synthetic=synthetic
    )
    return tiles, facts, measured


def _footprint(tile: Tile, pb_limit: float) -> grids.Footprint:
    pb, wcs = fits_images.read_plane(tile.pb)
    above = pb >= pb_limit  # False where NaN
    if not above.any():
        raise InputError(f"{tile.pb} is nowhere above image.pb_limit ({pb_limit:g}): make the tile's image again")
    return grids.footprint_of(wcs, above)


def _add(
    sums: coadd.Sums, grid: grids.Grid, footprint: grids.Footprint, tile: Tile, beam: Beam, pb_limit: float
) -> tuple[Tile, float]:
    """Convolve one tile to the common beam, measure its noise there and add it."""
    apparent, wcs = fits_images.read_plane(tile.image)
    pb, _ = fits_images.read_plane(tile.pb)
    if apparent.shape != pb.shape:
        raise InputError(f"{tile.image} and {tile.pb} differ in shape: make the tile's image again")
    cdelt = tuple(wcs.pixel_scale_matrix.diagonal())
    above = pb >= pb_limit
    before = noise.rms_off_sources(apparent, above, tile.beam.bmaj_deg / abs(cdelt[0]))
    smooth = convolve_to(apparent, tile.beam, beam, cdelt)
    rms_jy = noise.rms_off_sources(smooth, above, beam.bmaj_deg / abs(cdelt[0]))
    if before is None or rms_jy is None:
        raise InputError(f"{tile.image} has no noise within its beam, though its twin says so: make it again")
    expected_mjy = tile.twin.qa.get("expected_rms_mjy")
    # Convolution changes the radiometer's noise by the same factor as that of the image.
    expected_jy = None if expected_mjy is None else expected_mjy / 1e3 * rms_jy / before
    weight = coadd.add_tile(
        sums, grid, footprint, smooth, pb, wcs, rms_jy=rms_jy, expected_jy=expected_jy, pb_limit=pb_limit
    )
    return replace(tile, measured={"rms_common_mjy": round(rms_jy * 1e3, 6)}), weight


def _measure(
    image: NDArray[np.float32],
    weights: NDArray[np.float32],
    rms: NDArray[np.float32],
    sums: coadd.Sums,
    grid: grids.Grid,
    beam: Beam,
    tiles: Sequence[Tile],
) -> dict[str, Any]:
    """Measure a mosaic's quality numbers."""
    used = [tile for tile in tiles if tile.left_out is None]
    inside = weights > 0
    well = weights >= WELL_COVERED * np.percentile(weights[inside], 95)
    beam_px = beam.bmaj_deg / grid.cell_deg
    local, factors = noise.local_rms(image, rms, beam_px)
    # Too small for one box of 20 beams: then nothing is said about its noise.
    rms_jy = float(np.median(local[well])) if factors.size else None
    expected = sums.expected_rms()[well]
    expected_jy = float(np.median(expected)) if np.isfinite(expected).all() else None
    axes = np.median([(tile.beam.bmaj_deg, tile.beam.bmin_deg) for tile in used], axis=0)
    flagged = [tile.twin.qa.get("flagged_fraction") for tile in used]
    area = sum(
        float((grid.pixel_area_deg2(rows) * inside[rows]).sum())
        for rows in (slice(start, start + 512) for start in range(0, grid.shape[0], 512))
    )
    peak = float(np.nanmax(image))
    noisy = rms_jy is not None
    return {
        "rms_mjy": round(rms_jy * 1e3, 6) if noisy else None,
        "rms_min_mjy": round(float(local[well].min()) * 1e3, 6) if noisy else None,
        "rms_from_weights_mjy": round(float(np.median(rms[well])) * 1e3, 6),
        "rms_over_weights": round(float(np.median(factors)), 4) if noisy else None,
        "expected_rms_mjy": None if expected_jy is None else round(expected_jy * 1e3, 6),
        "noise_ratio": round(rms_jy / expected_jy, 4) if noisy and expected_jy else None,
        "peak_mjy": round(peak * 1e3, 6),
        "dynamic_range": round(peak / rms_jy, 2) if noisy else None,
        "area_deg2": round(area, 6),
        "coverage": round(float(inside.mean()), 6),
        "tiles_per_pixel": round(float(sums.tiles[inside].mean()), 4),
        "beam_spread": round(max(tile_images.beam_deviation(tile.beam, axes) for tile in used), 6),
        "flagged_fraction": None if None in flagged else round(float(np.mean(flagged)), 6),
        "n_images": len(used),
        "tile_fraction": round(len(used) / len(tiles), 4),
    }


def _group_facts(tiles: Sequence[Tile]) -> dict[str, Any]:
    """Return the facts that a mosaic has even when no tile of it is usable."""
    used = [tile for tile in tiles if tile.left_out is None]

    def values(key: str) -> list[Any]:
        return [tile.twin.facts[key] for tile in used if tile.twin.facts.get(key) is not None]

    def names(key: str) -> list[str]:
        return sorted({str(value) for value in values(key)})

    calibrations = collect([Path(tile.input.path) for tile in used]).of_kind("calibration")
    return {
        "group": tiles[0].id if tiles else None,
        "tiles": [tile.id for tile in tiles],
        "tiles_used": [tile.id for tile in used],
        "left_out": {tile.id: tile.left_out for tile in tiles if tile.left_out},
        "n_images": len(used),
        "start_mjd": min(values("start_mjd"), default=None),
        "end_mjd": max(values("end_mjd"), default=None),
        "telescope": "; ".join(names("telescope")) or None,
        "bandpass": names("bandpass"),
        "gains": names("gains"),
        "calibrators": sorted({name for node in calibrations if (name := node.twin.facts.get("calibrator"))}),
        "flux_anchor": "; ".join(names("flux_anchor")) or None,
    }


def _mean(tiles: Sequence[Tile], key: str, shares: NDArray[np.float64]) -> float:
    """Return the weighted mean of a fact of the tiles."""
    values = []
    for tile in tiles:
        if tile.twin.facts.get(key) is None:
            raise InputError(f"{tile.input.path} does not say its {key}: delete it and rerun snakemake")
        values.append(tile.twin.facts[key])
    return round(float(np.average(values, weights=shares)), 3)


def _notes(tiles: Sequence[Tile]) -> list[str]:
    notes = [f"tile {tile.id} left out: {tile.left_out}" for tile in tiles if tile.left_out]
    for tile in tiles:
        if tile.left_out is None and tile.twin.verdict == "warning":
            codes = ", ".join(reason.code for reason in tile.twin.reasons)
            notes.append(f"tile {tile.id} used with a warning ({codes})")
    return notes
