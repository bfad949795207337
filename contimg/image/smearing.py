"""What finite channels and integrations, and averaging, take from sources far from the phase centre."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.beam import C_M_S, effective_beam
from contimg.config import BeamOptions
from contimg.image.averaging import delay_s, loss
from contimg.image.grid import Grid
from contimg.measurement_set import Coordinates

_NODES = 81
# Beyond the first null (3.2 degrees) and the drift the beam is no main beam.
_WIDEST_RAD = math.radians(6.0)


def field_radius(coordinates: Coordinates, grid: Grid, beam: BeamOptions, pb_limit: float) -> float:
    """Return how far (rad) the farthest pixel is at which the tile's beam reaches a limit."""
    east, north = _covered(coordinates, grid, beam, pb_limit)
    return math.asin(float(np.hypot(east, north).max(initial=0)))


def fitting_size(coordinates: Coordinates, cell_rad: float, beam: BeamOptions, pb_limit: float) -> int:
    """Return the width (pixels) of the smallest image that holds all places at which the beam reaches a limit.

    A multiple of 4 without prime factors above 11: transforms of such sizes are fast, and the pixels can be doubled.
    """
    from scipy.fft import next_fast_len

    whole = Grid(2, _WIDEST_RAD, tuple(coordinates.phase_centre_rad))
    for _ in range(2):  # the nodes of the second round lie closer
        east, north = _covered(coordinates, whole, beam, pb_limit)
        step = 2 * whole.cell_rad / (_NODES - 1)
        reach = float(np.abs([east, north]).max(initial=0)) + step
        whole = Grid(2, reach, whole.centre_rad)
    return 4 * next_fast_len(math.ceil(2 * reach / cell_rad / 4))


def _covered(
    coordinates: Coordinates, grid: Grid, beam: BeamOptions, pb_limit: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return direction cosines, over a grid, at which the beam, all samples being equal, reaches a limit."""
    shape = (len(coordinates.times_mjd_s), len(coordinates.freq_hz))
    response = effective_beam(coordinates.pointing_rad, np.ones(shape), coordinates.freq_hz, grid, beam)
    edge = grid.middle * grid.cell_rad
    east, north = (axis.ravel() for axis in np.meshgrid(*[np.linspace(-edge, edge, _NODES)] * 2))
    there = response.at(east, north) >= pb_limit
    return east[there], north[there]


def sinc_loss(turns: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Return what the mean over a range of phases (in turns) takes from a phasor: 1 - sin(pi x) / (pi x)."""
    return 1 - np.sinc(turns)


def facts(coordinates: Coordinates, radius_rad: float, factor: NDArray[np.int64]) -> dict[str, Any]:
    """Return the losses of a source at the edge of the field, in the worst direction, for the twin.

    ``channel`` and ``integration`` are the correlator's and those of the longest baseline; ``averaging`` is
    the highest of any baseline, and what the imager adds.

    Notes
    -----
    A source at an angle r from the phase centre turns by ``width |uv| sin(r) / c`` within a channel, and by
    ``f |d(uv)/dt| sin(r) T / c`` within an integration of T (Bridle & Schwab 1999, ASP 180, 371).
    """
    delay, width_hz = delay_s(coordinates.uvw_m, radius_rad), coordinates.channel_width_hz
    across = np.hypot(*coordinates.uvw_m.T[:2])
    added = max(float(loss(delay[factor == kind], width_hz, int(kind)).max()) for kind in np.unique(factor))
    turns = _turning(coordinates) * coordinates.integration_s * math.sin(radius_rad)
    turns = turns * float(coordinates.freq_hz.mean()) / C_M_S
    used = np.size(factor) * len(coordinates.freq_hz)
    return {
        "radius_deg": round(math.degrees(radius_rad), 4),
        "longest_baseline_m": round(float(across.max()), 3),
        "channel_loss": round(float(sinc_loss(width_hz * delay.max())), 6),
        "integration_loss": None if math.isnan(turns) else round(float(sinc_loss(turns)), 6),
        "averaging_loss": round(added, 6),
        "averaging_ratio": round(used / float((len(coordinates.freq_hz) / factor).sum()), 3),
    }


def _turning(coordinates: Coordinates) -> float:
    """Return the fastest change (m/s) of any baseline across the line of sight; NaN for a single integration."""
    times = np.unique(coordinates.time_mjd_s)
    if len(times) < 2:
        return math.nan
    pair = coordinates.antenna1.astype(np.int64) << 32 | coordinates.antenna2
    order = np.lexsort((coordinates.time_mjd_s, pair))
    same = np.diff(pair[order]) == 0
    moved = np.hypot(*np.diff(coordinates.uvw_m[order, :2], axis=0)[same].T)
    return float((moved / np.diff(coordinates.time_mjd_s[order])[same]).max(initial=0))
