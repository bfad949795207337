"""Measured beams of several bands written as the FITS cube that ``beam.cube`` names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contimg.config import BeamOptions
from contimg.sky.beam_cube_fit import BandBeam
from contimg.sky.primary_beam import airy_response
from contimg.storage.atomic import atomic_path

HALF_WIDTH_DEG, STEP_DEG = 8.0, 0.1
"""The cube's half width, as far as catalogued sources are modelled, and its step."""
_EVEN = 1e-6  # of the whole band: 200 Hz


def write_beam_cube(path: Path, bands: Sequence[BandBeam], beam: BeamOptions) -> None:
    """Write measured beams as a cube of the power response.

    Parameters
    ----------
    path : Path
    bands : sequence of BandBeam
        Of different frequencies, evenly spaced or not: FITS has one step, and planes between bands are interpolated.
    beam : BeamOptions
        Where no source was seen, further from the axis, the cube goes on as this beam, in width and height as measured.
    """
    from astropy.io import fits

    count = round(HALF_WIDTH_DEG / STEP_DEG)
    axis = np.sin(np.radians(STEP_DEG * np.arange(-count, count + 1)))
    # Direction cosines are evenly spaced in the cube: its step is that of the axis.
    axis = np.linspace(axis[0], axis[-1], 2 * count + 1)
    east, north = np.meshgrid(axis, axis)
    bands = sorted(bands, key=lambda band: band.freq_hz)
    planes = np.stack([_plane(band, east, north, beam) for band in bands])
    freq_hz, cube = evenly_spaced(np.array([band.freq_hz for band in bands]), planes)
    hdu = fits.PrimaryHDU(cube.astype(np.float32))
    for number, kind in ((1, "EAST"), (2, "NORTH")):
        hdu.header[f"CTYPE{number}"], hdu.header[f"CUNIT{number}"] = kind, "rad"
        hdu.header[f"CRPIX{number}"], hdu.header[f"CRVAL{number}"] = count + 1, 0.0
        hdu.header[f"CDELT{number}"] = float(axis[1] - axis[0])
    hdu.header["CTYPE3"], hdu.header["CUNIT3"], hdu.header["CRPIX3"] = "FREQ", "Hz", 1
    hdu.header["CRVAL3"] = float(freq_hz[0])
    hdu.header["CDELT3"] = float((freq_hz[-1] - freq_hz[0]) / max(1, len(bands) - 1))
    reach = math.degrees(min(band.reach_rad for band in bands))
    hdu.header["COMMENT"] = f"measured by contimg beam measure within {reach:.2f} deg of the axis"
    with atomic_path(path) as part:
        hdu.writeto(part)


def evenly_spaced(
    freq_hz: NDArray[np.float64], planes: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return as many evenly spaced frequencies from the first to the last, and the planes there.

    Bands that lost channels, or a whole subband, have other centres. Between them planes are interpolated by cubic
    splines.

    Parameters
    ----------
    freq_hz : (n,) float64
        Ascending.
    planes : (n, ny, nx) float64
    """
    from scipy.interpolate import CubicSpline

    even = np.linspace(freq_hz[0], freq_hz[-1], len(freq_hz))
    if np.abs(even - freq_hz).max() < _EVEN * (freq_hz[-1] - freq_hz[0]):
        return even, planes
    return even, np.maximum(CubicSpline(freq_hz, planes)(even), 0.0)


def _plane(
    band: BandBeam, east: NDArray[np.float64], north: NDArray[np.float64], beam: BeamOptions
) -> NDArray[np.float64]:
    """Return one plane of the cube: the measured beam, and beyond its reach the nominal one scaled to it."""
    radius = np.hypot(east, north)
    inside = radius <= band.reach_rad
    scale = np.where(inside, 1.0, band.reach_rad / np.maximum(radius, 1e-12))
    edge = band.power(east * scale, north * scale)
    # The nominal pattern is stretched to the measured half-power width.
    half = band.radius_rad(0.5)
    stretch = half / _nominal_half_rad(band.freq_hz, beam)
    plain = beam.with_axis((0.0, 0.0), beam.width * stretch)
    outer = airy_response(np.arcsin(np.minimum(radius, 1.0)), band.freq_hz, plain)
    at_edge = float(airy_response(math.asin(band.reach_rad), band.freq_hz, plain))
    return np.where(inside, edge, np.minimum(edge * outer / at_edge, 1.0))


def _nominal_half_rad(freq_hz: float, beam: BeamOptions) -> float:
    """Return the distance from the axis at which the nominal beam is a half."""
    radii = np.radians(np.linspace(0, 4, 4001))
    return float(radii[np.argmax(airy_response(radii, freq_hz, beam) <= 0.5)])
