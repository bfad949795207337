"""The field of view of a tile: where its effective primary beam is above a limit, and the image that covers it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from contimg.config import BeamOptions
from contimg.imaging.effective_beam import effective_beam
from contimg.imaging.grid import TileGrid
from contimg.measurement_set import Coordinates

_NODES = 81
# The raster extends beyond the first null (3.2 degrees) plus the drift: outside it there are only sidelobes.
_WIDEST_RAD = math.radians(6.0)


def field_radius(coordinates: Coordinates, grid: TileGrid, beam: BeamOptions, pb_limit: float) -> float:
    """Return the angle (rad) from the phase centre to the farthest pixel at which the beam is above a limit."""
    east, north = _covered(coordinates, grid, beam, pb_limit)
    return math.asin(float(np.hypot(east, north).max(initial=0)))


def fitting_size(coordinates: Coordinates, cell_rad: float, beam: BeamOptions, pb_limit: float) -> int:
    """Return the width (pixels) of the smallest image that covers the beam above a limit.

    A multiple of 4 without prime factors above 11: FFTs of such sizes are fast, and every second pixel is a grid too.
    """
    from scipy.fft import next_fast_len

    whole = TileGrid(2, _WIDEST_RAD, tuple(coordinates.phase_centre_rad))
    for _ in range(2):  # the second raster is finer
        east, north = _covered(coordinates, whole, beam, pb_limit)
        step = 2 * whole.cell_rad / (_NODES - 1)
        reach = float(np.abs([east, north]).max(initial=0)) + step
        whole = TileGrid(2, reach, whole.centre_rad)
    return 4 * next_fast_len(math.ceil(2 * reach / cell_rad / 4))


def _covered(
    coordinates: Coordinates, grid: TileGrid, beam: BeamOptions, pb_limit: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return direction cosines, on a raster, at which the beam is above a limit, for equal weights of all samples."""
    shape = (len(coordinates.times_mjd_s), len(coordinates.freq_hz))
    response = effective_beam(coordinates.pointing_rad, np.ones(shape), coordinates.freq_hz, grid, beam)
    edge = grid.edge_rad
    east, north = (axis.ravel() for axis in np.meshgrid(*[np.linspace(-edge, edge, _NODES)] * 2))
    above = response.at(east, north) >= pb_limit
    return east[above], north[above]
