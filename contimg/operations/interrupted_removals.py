"""Temporary Measurement Sets whose removal was interrupted: what is left of them is removed before the graph is built.

Snakemake removes an MS file by file once all jobs that read it are done. A run that is killed meanwhile leaves a part,
which Snakemake takes for the whole MS: a later job would read it and fail, in every run.
"""

from __future__ import annotations

import os
from pathlib import Path

from contimg.errors import InputError
from contimg.naming import Layout
from contimg.operations.run_lock import run_in_progress
from contimg.plan.model import Plan, PlannedTile
from contimg.products.twin import read_twin
from contimg.storage.atomic import remove
from contimg.storage.process import part_name


def finish_interrupted_removals(layout: Layout, plan: Plan) -> None:
    """Remove the MSs of a plan's tiles of which files are missing.

    They are made again where a job needs them. Nothing is removed while a run works on the same roots, nor where the
    MS can still be needed and the tile's files are gone: then a job says what is missing.
    """
    if run_in_progress(layout, "paths.stage"):
        return
    for tile in plan.tiles.values():
        for kind in ("ms", "calibrated"):
            product, twin = layout.product(kind, tile.id), layout.twin(kind, tile.id)
            if product.is_dir() and _lacks_files(product, twin) and _may_go(layout, tile):
                aside = product.with_name(part_name(product.name))  # removed as an orphan, if this is killed too
                os.rename(product, aside)
                remove(aside)


def _lacks_files(product: Path, twin: Path) -> bool:
    """Return whether a file is missing that the twin names; nothing is known without a whole twin."""
    try:
        files = read_twin(twin).files or {}
    except InputError:
        return False
    return not all((product / name).exists() for name in files)


def _may_go(layout: Layout, tile: PlannedTile) -> bool:
    """Return whether a tile's MSs are not needed any more, as its image is there, or can be made again."""
    return layout.twin("image", tile.id).exists() or all(os.path.exists(file) for file in tile.files)
