"""Mosaics made by the rule's function from the twins of tiles, and their planes."""

from pathlib import Path

import numpy as np
from astropy.io import fits

from contimg.config import MosaicOptions, QaOptions
from contimg.mosaic.mosaic_group import mosaic_group
from contimg.products.twin import read_twin

MOSAIC_ID = "mosaic_20260211T000000"


def mosaic(root: Path, twins, name: str = "m", threads: int = 1, **options):
    folder, twin = root / name / MOSAIC_ID, root / name / f"{MOSAIC_ID}.json"
    made = mosaic_group(
        twins,
        folder,
        twin,
        mosaic_id=MOSAIC_ID,
        options=MosaicOptions(**{"cell_arcsec": 60.0, **options}),
        pb_limit=0.2,
        qa=QaOptions(),
        threads=threads,
    )
    assert made == read_twin(twin)
    return made, folder


def plane(folder: Path, suffix: str = ""):
    with fits.open(folder / f"{MOSAIC_ID}{suffix}.fits") as hdus:
        return np.squeeze(hdus[0].data).astype(float), hdus[0].header
