"""The primary beam of the array: its axis on the sky, and its power response as the configuration describes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from contimg.config import BeamOptions
from contimg.sky.airy_beam import airy_power
from contimg.sky.spherical import unit_vectors


def beam_axes(pointing_rad: NDArray[np.float64], beam: BeamOptions) -> NDArray[np.float64]:
    """Return the unit vectors (..., 3) of the beam's axis for pointings (..., 2) in rad: offset by ``beam.offset_deg``.

    The offset is an angle in the direction of east and north at the pointing, the same at every declination and time.
    """
    pointing = unit_vectors(pointing_rad)
    east_rad, north_rad = np.radians(beam.offset)
    angle = float(np.hypot(east_rad, north_rad))
    if angle == 0:
        return pointing
    ra, dec = pointing_rad[..., 0], pointing_rad[..., 1]
    east = np.stack([-np.sin(ra), np.cos(ra), np.zeros_like(ra)], axis=-1)
    north = np.stack([-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)], axis=-1)
    across = (east_rad * east + north_rad * north) / angle
    return np.asarray(np.cos(angle) * pointing + np.sin(angle) * across)


def airy_response(angle_rad: ArrayLike, freq_hz: ArrayLike, beam: BeamOptions) -> NDArray[np.float64]:
    """Return the power response at angles from the beam's axis, without a cube: the Airy pattern of the dish, widened.

    Parameters
    ----------
    angle_rad, freq_hz : array_like
        Angle from the axis (rad) and frequency (Hz); broadcast against each other.
    beam : BeamOptions
        ``fwhm_scale`` times as wide as the pattern of the dish.
    """
    scaled = np.asarray(angle_rad) / beam.width
    return airy_power(scaled, freq_hz, beam.dish_diameter_m, beam.blockage_diameter_m)


def measured_beam(beam: BeamOptions, facts: Mapping[str, Any]) -> BeamOptions:
    """Return the beam with what a calibration measured of it in place of ``auto``, by the facts of its twin.

    Without a measurement it is the nominal one.
    """
    found = facts.get("primary_beam") or {}
    offset = found.get("offset_deg", beam.offset) if beam.measures[0] else beam.offset
    width = found.get("fwhm_scale", beam.width) if beam.measures[1] else beam.width
    return beam.with_axis(offset, width)
