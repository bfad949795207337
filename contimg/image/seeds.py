"""Where the catalogue says that there are sources: places that CLEAN's mask is seeded with."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from contimg.image.patches import square
from contimg.image.restore import RestoringBeam
from contimg.image.tile import Tile


def mask(tile: Tile, beam: RestoringBeam, level_jy: float) -> NDArray[np.bool_]:
    """Return the pixels (size, size) within a beam's half width of the catalogue's sources.

    Parameters
    ----------
    tile : Tile
        With a catalogue.
    beam : RestoringBeam
    level_jy : float
        Sources of a lower apparent flux (Jy) are left out: CLEAN would not go down to them.
    """
    grid = tile.gridder.grid
    known = tile.catalogue.within(*grid.centre_rad, math.pi / 4)
    east, north = grid.radec_cosines(np.radians(known.ra_deg), np.radians(known.dec_deg))
    x, y = (np.rint(axis).astype(int) for axis in grid.pixels(east, north))
    inside = (np.minimum(x, y) >= 0) & (np.maximum(x, y) < grid.size_px)
    apparent = known.flux_at(tile.freq_hz)[inside, 0] * tile.response.at(east[inside], north[inside])
    there = np.zeros((grid.size_px, grid.size_px), bool)
    half = math.ceil(beam.bmaj_rad / 2 / grid.cell_rad)
    for column, row in zip(x[inside][apparent >= level_jy], y[inside][apparent >= level_jy], strict=True):
        square(there, column, row, half)[:] = True
    return there
