"""Checks that do not depend on the sky: beam map, phase centre and uvw of a tile against direct computation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.config import BeamOptions
from contimg.imaging.effective_beam import EffectiveBeam
from contimg.measurement_set import Coordinates
from contimg.sky.predict import attenuation
from contimg.sky.spherical import separation

# Positions per axis at which the map is compared with the direct mean.
_PLACES = 7
# Close to the maximum, where a paraboloid is accurate to 1e-4 of its height.
_STEP_RAD = math.radians(0.1)
_NEWTON_STEPS = 3
_LEAST_BEAM = 0.3


def measure(
    coordinates: Coordinates, weights: NDArray[np.float64], response: EffectiveBeam, options: BeamOptions
) -> dict[str, Any]:
    """Return the deviations of a tile's beam map, phase centre and uvw from direct computation, for the twin's ``qa``.

    Parameters
    ----------
    coordinates : Coordinates
    weights : (ntime, nchan)
        Sums of the imaging weights.
    response : EffectiveBeam
    options : BeamOptions

    Returns
    -------
    dict
        ``pb_error``: largest difference between the map and the mean of the beam at each time and channel, on
        a raster over the image; ``pb_peak_offset_px``: the map's maximum from that mean's;
        ``pb_asymmetry``: largest relative difference between opposite pixels round the maximum, where the beam is
        above 0.3; ``centre_offset_arcsec``: the phase centre from the middle of the beam's path;
        ``uvw_error_m``: largest difference between the length of a row's uvw and its antennas' distance.
    """
    grid = response.grid
    edge = grid.edge_rad
    places = np.linspace(-0.95 * edge, 0.95 * edge, _PLACES)
    east, north = (axis.ravel() for axis in np.meshgrid(places, places))
    share = weights / weights.sum()

    def direct(east: NDArray[np.float64], north: NDArray[np.float64]) -> NDArray[np.float64]:
        seen = attenuation(coordinates, *grid.radec(east, north), options)
        return np.einsum("stc,tc->s", seen, share, optimize=True)

    peak = np.array(response.peak())
    error = np.abs(response.at(east, north) - direct(east, north)).max()
    return {
        "pb_error": round(float(error), 8),
        "pb_peak_offset_px": round(_peak_offset(direct, peak) / grid.cell_rad, 4),
        "pb_asymmetry": round(_asymmetry(response, peak, places), 6),
        "centre_offset_arcsec": round(_centre_offset(coordinates), 4),
        "uvw_error_m": round(_uvw_error(coordinates), 6),
    }


def _peak_offset(direct: Callable[..., NDArray[np.float64]], peak: NDArray[np.float64]) -> float:
    """Return the distance (rad) of a position from the maximum of the direct mean, found with paraboloids."""
    step = np.array([-1.0, 0.0, 1.0])
    e, n = (axis.ravel() for axis in np.meshgrid(step, step))
    design = np.stack([np.ones(9), e, n, e**2, e * n, n**2], axis=1)
    top = peak.copy()
    for _ in range(_NEWTON_STEPS):
        value = direct(top[0] + e * _STEP_RAD, top[1] + n * _STEP_RAD)
        _, b, c, d, f, g = np.linalg.lstsq(design, value, rcond=None)[0]
        top += np.linalg.solve([[2 * d, f], [f, 2 * g]], [-b, -c]) * _STEP_RAD
    return float(np.hypot(*(top - peak)))


def _asymmetry(response: EffectiveBeam, peak: NDArray[np.float64], places: NDArray[np.float64]) -> float:
    """Return the largest relative difference of the map at opposite sides of its maximum."""
    edge = places[-1]
    east, north = (axis.ravel() for axis in np.meshgrid(places, places))
    opposite = 2 * peak[0] - east, 2 * peak[1] - north
    inside = (np.abs(opposite[0]) <= edge) & (np.abs(opposite[1]) <= edge)
    one = response.at(east[inside], north[inside])
    two = response.at(opposite[0][inside], opposite[1][inside])
    clear = np.minimum(one, two) > _LEAST_BEAM
    return float(np.abs(one / two - 1)[clear].max(initial=0.0))


def _centre_offset(coordinates: Coordinates) -> float:
    """Return the distance (arcsec) of the phase centre from the middle of the path of the beam's axis.

    The path is a part of a circle of declination: its middle lies on it, unlike the mean of its directions (32 arcsec
    off in the 20 min of a file of 96 integrations).
    """
    ra, dec = coordinates.pointing_rad.T
    middle = float(np.unwrap(ra).mean()), float(dec.mean())
    return math.degrees(float(separation(*middle, *coordinates.phase_centre_rad))) * 3600


def _uvw_error(coordinates: Coordinates) -> float:
    """Return the largest difference (m) between the length of a row's uvw and the distance of its antennas."""
    position = coordinates.antenna_positions_m
    distance = np.linalg.norm(position[coordinates.antenna2] - position[coordinates.antenna1], axis=1)
    return float(np.abs(np.linalg.norm(coordinates.uvw_m, axis=1) - distance).max())
