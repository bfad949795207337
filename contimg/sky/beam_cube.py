"""A primary beam as a FITS cube of the power response, measured or computed, instead of the Airy pattern.

Axes, in FITS order: offset towards east and towards north of the beam's axis (direction cosines in rad or, times
180/pi, in deg), and frequency (Hz to GHz). The array looks along the meridian, where east and north are the same for
dish and sky. Values are power, 1 on the axis at each frequency.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from contimg.errors import InputError

_ANGLES = {"deg": math.pi / 180, "rad": 1.0}
_FREQUENCIES = {"Hz": 1.0, "kHz": 1e3, "MHz": 1e6, "GHz": 1e9}
# The response on the axis may differ from 1 by this. A cubic spline needs more planes than its order.
_ON_AXIS = 0.02
_ORDER = 3
_PADDING = 6


@dataclass(frozen=True)
class BeamCube:
    """A power beam on a regular grid, interpolated by cubic splines.

    Attributes
    ----------
    coefficients : (nfreq + 12, ny, nx) float64
        B-spline coefficients, of six planes beyond each end of the band too.
    first, step : (3,) float64
        Frequency (Hz), north and east (rad) of the first element, and the steps.
    """

    coefficients: NDArray[np.float64]
    first: NDArray[np.float64]
    step: NDArray[np.float64]

    def power(self, east: ArrayLike, north: ArrayLike, freq_hz: ArrayLike) -> NDArray[np.float64]:
        """Return the power response at direction cosines from the beam's axis; 0 outside the grid.

        Parameters
        ----------
        east, north, freq_hz : array_like
            Broadcast against each other.
        """
        from scipy.ndimage import map_coordinates

        axes = np.broadcast_arrays(freq_hz, north, east)
        index = [(axis - first) / step for axis, first, step in zip(axes, self.first, self.step, strict=True)]
        shape = index[0].shape
        flat = np.stack([one.ravel() for one in index])
        values = map_coordinates(self.coefficients, flat, order=_ORDER, prefilter=False, mode="nearest")
        last = np.array(self.coefficients.shape)[:, None] - 1
        inside = ((flat[1:] >= -1e-9) & (flat[1:] <= last[1:] + 1e-9)).all(0)
        return np.where(inside, values, 0.0).reshape(shape)

    def response(
        self, vectors: NDArray[np.float64], axis: NDArray[np.float64], freq_hz: ArrayLike, width: float = 1.0
    ) -> NDArray[np.float64]:
        """Return the power response (..., nfreq) in some directions; 0 more than 90 degrees from the axis.

        Parameters
        ----------
        vectors : (..., 3)
            ICRS unit vectors of the directions.
        axis : (3,)
            ICRS unit vector of the beam's axis.
        freq_hz : (nfreq,) array_like
        width : float
            How many times as wide as the cube the beam is.
        """
        ra = math.atan2(axis[1], axis[0])
        east = np.array([-math.sin(ra), math.cos(ra), 0.0])
        north = np.cross(axis, east)
        seen = self.power((vectors @ east)[..., None] / width, (vectors @ north)[..., None] / width, freq_hz)
        return np.where((vectors @ axis)[..., None] > 0, seen, 0.0)

    def check_band(self, path: str, freq_hz: NDArray[np.float64]) -> None:
        """Check that frequencies lie within those of the cube, or at most half a step outside.

        Raises
        ------
        InputError
            If one does not; `path` is the cube's file, for the message.
        """
        count = len(self.coefficients)
        low, high = sorted(float(self.first[0] + self.step[0] * one) for one in (_PADDING, count - 1 - _PADDING))
        margin = abs(float(self.step[0])) / 2
        if freq_hz.min() < low - margin or freq_hz.max() > high + margin:
            raise InputError(
                f"{path} covers {low / 1e6:.1f} to {high / 1e6:.1f} MHz, and the tile {freq_hz.min() / 1e6:.1f} "
                f"to {freq_hz.max() / 1e6:.1f}: give a beam.cube of the whole band"
            )


def read_cube(path: str | Path) -> BeamCube:
    """Return the beam cube of a FITS file, from a cache if the file was read before.

    Raises
    ------
    InputError
        If it is missing, not FITS, or its axes, units or values are not those of a power beam.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist: correct beam.cube")
    return _read(str(path), path.stat().st_mtime_ns)


@lru_cache(maxsize=2)
def _read(path: str, _modified_ns: int) -> BeamCube:
    """Read and check a beam cube; the modification time is part of the cache's key."""
    from astropy.io import fits
    from scipy.interpolate import CubicSpline
    from scipy.ndimage import spline_filter

    try:
        with fits.open(path, memmap=False) as hdus:
            data, head = hdus[0].data, hdus[0].header
    except OSError as error:
        if error.errno is not None:
            raise
        raise InputError(f"{path} is not a FITS file ({error}): correct beam.cube") from None
    if data is None or data.ndim != 3 or min(data.shape) <= _ORDER:
        shape = "no data" if data is None else " x ".join(map(str, data.shape[::-1]))
        raise InputError(f"{path} holds {shape}, not east x north x frequency of more than {_ORDER} each: correct it")
    if "FREQ" not in str(head.get("CTYPE3", "")):
        raise InputError(f"{path}: axis 3 is '{head.get('CTYPE3', '')}', not FREQ: put the axes east, north, FREQ")
    first, step = np.zeros(3), np.zeros(3)
    for number, units, place in ((1, _ANGLES, 2), (2, _ANGLES, 1), (3, _FREQUENCIES, 0)):
        unit = str(head.get(f"CUNIT{number}", "")).strip()
        if unit not in units:
            raise InputError(f"{path}: CUNIT{number} is '{unit}', not one of {', '.join(units)}: name the axis' unit")
        first[place], step[place] = _axis(path, head, number, units[unit])
    cube = np.asarray(data, np.float64)
    if not np.isfinite(cube).all() or cube.min() < -1e-6:
        raise InputError(f"{path} has negative values or values that are no numbers: give the power response")
    # The spline filter mirrors planes at the ends of the band, where beams have a slope: a few are extrapolated.
    padded = CubicSpline(np.arange(len(cube)), cube)(np.arange(-_PADDING, len(cube) + _PADDING))
    freq_hz = first[0] + step[0] * np.arange(len(cube))
    first[0] -= _PADDING * step[0]
    found = BeamCube(spline_filter(padded, order=_ORDER, mode="nearest"), first, step)
    on_axis = found.power(0.0, 0.0, freq_hz)
    if np.abs(on_axis - 1).max() > _ON_AXIS:
        worst = float(on_axis[np.abs(on_axis - 1).argmax()])
        raise InputError(f"{path} is {worst:.3g} on the axis, not 1: give the power response, 1 on the axis")
    return found


def _axis(path: str, head: Any, number: int, scale: float) -> tuple[float, float]:
    """Return the first value and the step of a FITS axis in rad or Hz."""
    try:
        value, pixel, step = (float(head[f"{key}{number}"]) for key in ("CRVAL", "CRPIX", "CDELT"))
    except KeyError as error:
        raise InputError(f"{path} has no {error.args[0]}: describe axis {number} in the header") from None
    if step == 0:
        raise InputError(f"{path}: CDELT{number} is 0: give the step of axis {number}")
    return (value + (1 - pixel) * step) * scale, step * scale
