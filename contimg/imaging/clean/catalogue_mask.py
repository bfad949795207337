"""A CLEAN mask at the sources of the catalogue."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from contimg.imaging.clean.psf import window
from contimg.imaging.tile_data import TileData
from contimg.sky.restoring_beam import RestoringBeam

# Sources are searched within this angle of the centre: more than any image.
_SEARCH_RAD = math.pi / 4


def catalogue_mask(tile: TileData, beam: RestoringBeam, level_jy: float) -> NDArray[np.bool_] | None:
    """Return the pixels (size, size) within half a beam of the catalogue's sources; None if no mask is to be used.

    Parameters
    ----------
    tile : TileData
    beam : RestoringBeam
    level_jy : float
        Sources of a lower apparent flux (Jy) are left out: CLEAN would not go down to them.
    """
    if tile.catalogue is None or not tile.options.catalogue_mask:
        return None
    grid = tile.gridder.grid
    known = tile.catalogue.within(*grid.centre_rad, _SEARCH_RAD)
    east, north = grid.radec_cosines(np.radians(known.ra_deg), np.radians(known.dec_deg))
    x, y = (np.rint(axis).astype(int) for axis in grid.pixels(east, north))
    inside = (np.minimum(x, y) >= 0) & (np.maximum(x, y) < grid.size_px)
    apparent = known.flux_at(tile.freq_hz)[inside, 0] * tile.response.at(east[inside], north[inside])
    mask = np.zeros((grid.size_px, grid.size_px), bool)
    half = math.ceil(beam.bmaj_rad / 2 / grid.cell_rad)
    for column, row in zip(x[inside][apparent >= level_jy], y[inside][apparent >= level_jy], strict=True):
        window(mask, column, row, half)[:] = True
    return mask
