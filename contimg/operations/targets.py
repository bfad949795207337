"""Targets of a run and inputs of its rules: the files that must exist at its end, and what each is made from.

The rules in ``rules/`` hold paths and resources; every decision stands here, where it is tested without Snakemake.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from contimg.config import Config
from contimg.config.used_keys import used_options
from contimg.errors import InputError
from contimg.naming import Layout
from contimg.operations.file_digests import FileDigests, reference_files, strips_of_catalogue
from contimg.plan.model import Plan, PlannedTile
from contimg.products.twin import input_from_twin, read_twin
from contimg.sky.strips import catalogue_at


def wanted_products(config: Config, plan: Plan) -> list[str]:
    """Return the path of every file and folder that must exist when a run has ended.

    Snakemake looks for a deleted product only where something asks for it by name. So the twins of temporary MSs
    are asked for as well: the MSs go when they have been used, their twins are the lineage of what was made from them.
    """
    layout = config.layout
    groups = list(plan.groups)
    tiles = [tile for group in plan.groups.values() for tile in group.tiles]
    kinds = ["mosaic", "crossmatch"] if config.crossmatch.enabled else ["mosaic"]
    wanted = [layout.product("summary", group) for group in groups]
    wanted += [layout.twin(marker, group) for group in groups for marker in ("registered", "published")]
    wanted += [layout.twin(kind, tile) for tile in tiles for kind in ("ms", "calibrated")]
    made = [("calibration", name) for name in plan.calibrations]
    made += [(kind, group) for group in groups for kind in kinds]
    made += [("image", tile) for tile in tiles]
    for kind, name in made:
        wanted += [layout.product(kind, name), layout.twin(kind, name)]
    wanted += [layout.product("ms", tile) for tile in _solved_on_alone(layout, plan)]
    return list(dict.fromkeys(str(path) for path in wanted))  # overlapping groups share tiles


def _solved_on_alone(layout: Layout, plan: Plan) -> list[str]:
    """Return the tiles whose MS a calibration has yet to be solved on, and that do not use this calibration themselves.

    `solve_calibration` does not have the MS for an input (see `borrowed_ms`). Where the tile uses the calibration,
    `apply_calibration` reads the MS afterwards; elsewhere Snakemake would remove it before it is solved on.
    """
    return [
        one.tile
        for name, one in plan.calibrations.items()
        if one.tile in plan.tiles
        and not layout.twin("calibration", name).exists()
        and (one.tile not in plan.choices or name not in plan.choices[one.tile].calibrations)
    ]


def made_from(config: Config, tile: PlannedTile) -> dict[str, Any]:
    """Return what a tile's MS is made from: its files, the options of the conversion, and the epoch.

    Rules that read an MS have this as a parameter. The MS itself is temporary: making it again for one of
    them must not run the others again.
    """
    return {
        "files": [str(file) for file in tile.signature],
        "ingest": used_options("convert_tile", "ingest", config.ingest),
        "flag": used_options("convert_tile", "flag", config.flag),
        "epoch": config.processing_epoch,
    }


def solvable(plan: Plan) -> str:
    """Return a regular expression that matches the calibrations whose tile is in the plan.

    The others are of settled nights and exist already; Snakemake must not look for a way to make them.
    """
    names = [name for name, planned in plan.calibrations.items() if planned.tile in plan.tiles]
    return "|".join(names) or "none"


def solved_on_another_ms(layout: Layout, calibration_id: str, tile_id: str) -> bool:
    """Return True if the MS of a calibration's tile was made again with a different result after the calibration.

    The same files give the same MS, and then the calibration stands. Where they did not, say with other versions
    of the libraries, the calibration is solved again: a product and what it was made from must belong together.
    """
    try:
        calibration = read_twin(layout.twin("calibration", calibration_id))
        _, ms = input_from_twin(layout.twin("ms", tile_id))
    except InputError:  # not made yet
        return False
    return all(item.sha256 != ms.sha256 for item in calibration.inputs if item.kind == "ms")


def reference_digests(config: Config) -> dict[str, str]:
    """Return the SHA-256 of each file of reference data that the configuration names, by its key.

    Where ``sky.catalogue`` is a folder, its strips stand there by their paths instead. The digests are parameters of
    the rules that read these files: an edited catalogue, list of calibrators or beam makes what was judged or solved
    with it out of date, and a copied or touched one does not.

    Raises
    ------
    ConfigError
        If one of them cannot be read.
    """
    digests = FileDigests(config.layout.cache / "digests.json")
    named = reference_files(config)
    if config.sky.catalogue is not None and Path(config.sky.catalogue).is_dir():
        del named["sky.catalogue"]
    strips = {str(path): digests.sha256(path, "sky.catalogue") for path in strips_of_catalogue(config)}
    return {key: digests.sha256(path, key) for key, path in named.items()} | strips


def catalogue_of(config: Config, dec_deg: float) -> str | None:
    """Return the catalogue of a declination [deg]: ``sky.catalogue``, or the strip of that folder; None without one.

    The apparent declination of the tile is compared with strips in ICRS: they differ by 0.2 deg at most until 2030.

    Raises
    ------
    InputError
        If the folder has no strip of the declination.
    """
    return None if config.sky.catalogue is None else str(catalogue_at(Path(config.sky.catalogue), dec_deg))
