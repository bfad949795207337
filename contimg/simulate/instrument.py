"""The simulated instrument: where antennas and beams really are, and what the fringe stopping assumes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from contimg.simulate import array, frames
from contimg.simulate import constants as c
from contimg.simulate.beam import power_beam, tapered_voltage, voltage_beam
from contimg.simulate.options import NightOptions
from contimg.simulate.randomness import generator

DECLINATION_GRID_DEG = 0.25


@dataclass(frozen=True)
class AntennaBeams:
    """Beams that differ between antennas.

    Attributes
    ----------
    axes : ndarray
        (antennas, 3), unit vectors in the frame of `array.local_positions`.
    widths : ndarray
        (antennas,), relative to the nominal beam.
    """

    axes: np.ndarray
    widths: np.ndarray


@dataclass(frozen=True)
class Instrument:
    """Geometry of a night's observations, antennas in correlator order.

    Attributes
    ----------
    local_m : ndarray
        (antennas, 3), true positions in the frame of `array.local_positions`, m.
    stopped_m : ndarray
        The positions for which the correlator stops the fringes, same shape and frame.
    stopped_declination_rad : float
        Apparent declination of the phase centre, which is at hour angle 0.
    axis : ndarray
        (3,), unit vector of the common beam axis.
    beam_width : float
        Relative to the nominal beam.
    tapered : bool
        The dishes' illumination falls to the edge.
    antenna_beams : AntennaBeams or None
        None where all antennas have the common beam.
    """

    local_m: np.ndarray
    stopped_m: np.ndarray
    stopped_declination_rad: float
    axis: np.ndarray
    beam_width: float = 1.0
    antenna_beams: AntennaBeams | None = None
    tapered: bool = False

    def offsets_rad(self, towards: np.ndarray) -> np.ndarray:
        """Return the angles between directions (..., 3) and the common beam axis, rad."""
        return _angle(towards - self.axis)

    def power(self, offsets_rad: np.ndarray, frequency_hz: float) -> np.ndarray:
        """Return the common power beam at angles from its axis."""
        scaled, frequency = offsets_rad / self.beam_width, np.asarray(frequency_hz)
        return tapered_voltage(scaled, frequency) ** 2 if self.tapered else power_beam(scaled, frequency)

    def voltages(self, towards: np.ndarray, frequency_hz: float) -> np.ndarray:
        """Return the voltage beam of every antenna, (times, antennas, sources), towards (times, sources, 3)."""
        if self.antenna_beams is None:
            raise ValueError("all antennas have the common beam")
        beams = self.antenna_beams
        offsets = _angle(towards[:, None] - beams.axes[None, :, None])
        scaled, frequency = offsets / beams.widths[None, :, None], np.asarray(frequency_hz)
        return tapered_voltage(scaled, frequency) if self.tapered else voltage_beam(scaled, frequency)


def make_instrument(options: NightOptions, stations: tuple[int, ...], declination_rad: float) -> Instrument:
    """Return the instrument of a night.

    Parameters
    ----------
    options : NightOptions
    stations : tuple of int
        In correlator order.
    declination_rad : float
        True apparent declination of the pointing, rad.
    """
    stopped = array.local_positions(array.antenna_positions()[np.array(stations) - 1])
    beam = options.telescope.beam
    east, north = np.radians(beam.offset_deg)
    return Instrument(
        local_m=_true_positions(options, stations, stopped),
        stopped_m=stopped,
        stopped_declination_rad=header_declination_rad(options, declination_rad),
        axis=_offset_axis(declination_rad, np.asarray(east), np.asarray(north)),
        beam_width=beam.width,
        antenna_beams=_antenna_beams(options, len(stations), declination_rad),
        tapered=beam.pattern == "tapered",
    )


def header_declination_rad(options: NightOptions, declination_rad: float) -> float:
    """Return the declination of header and fringe stopping: that of the dishes, or the nearest of the 0.25-deg grid."""
    if not options.telescope.header.declination_grid:
        return declination_rad
    step = DECLINATION_GRID_DEG
    return float(np.radians(np.round(np.degrees(declination_rad) / step) * step))


def local_from_enu(east_m: float, north_m: float, up_m: float = 0.0) -> np.ndarray:
    """Return east, north, up of the site as a vector in the frame of `array.local_positions`, (3,) m."""
    sine, cosine = np.sin(c.SITE_LATITUDE_RAD), np.cos(c.SITE_LATITUDE_RAD)
    return np.array([cosine * up_m - sine * north_m, east_m, sine * up_m + cosine * north_m])


def enu_from_local(local_m: np.ndarray) -> np.ndarray:
    """Return vectors (..., 3) of the frame of `array.local_positions` as east, north, up of the site, m."""
    sine, cosine = np.sin(c.SITE_LATITUDE_RAD), np.cos(c.SITE_LATITUDE_RAD)
    x, y, z = np.moveaxis(np.asarray(local_m), -1, 0)
    return np.stack([y, cosine * z - sine * x, cosine * x + sine * z], axis=-1)


def _true_positions(options: NightOptions, stations: tuple[int, ...], header_m: np.ndarray) -> np.ndarray:
    errors = options.telescope.array
    true = header_m.copy()
    for station, east_m, north_m in errors.moved_antennas:
        true[stations.index(station)] += local_from_enu(east_m, north_m)
    for one, other in errors.swapped_antennas:
        pair = [stations.index(one), stations.index(other)]
        true[pair] = true[pair[::-1]]
    return true


def _antenna_beams(options: NightOptions, count: int, declination_rad: float) -> AntennaBeams | None:
    beam = options.telescope.beam
    if not beam.differ_between_antennas:
        return None
    rng = generator(options.seed, "antenna-beams")
    offsets = np.array(beam.offset_deg) + beam.antenna_offset_deg * rng.standard_normal((count, 2))
    widths = beam.width * (1 + beam.antenna_width * np.clip(rng.standard_normal(count), -3, 3))
    east, north = np.radians(offsets).T
    return AntennaBeams(_offset_axis(declination_rad, east, north), widths)


def _offset_axis(declination_rad: float, east_rad: np.ndarray, north_rad: np.ndarray) -> np.ndarray:
    """Return directions offset from (hour angle 0, declination) on the sky, (..., 3): tangent plane, normalised."""
    centre = frames.direction_vectors(np.zeros(()), np.asarray(declination_rad))
    if not np.any(east_rad) and not np.any(north_rad):
        return np.broadcast_to(centre, (*np.shape(east_rad), 3))
    east = np.array([0.0, 1.0, 0.0])
    north = np.array([-np.sin(declination_rad), 0.0, np.cos(declination_rad)])
    angle = np.hypot(east_rad, north_rad)
    tangent = np.tan(angle) / np.where(angle > 0, angle, 1.0)
    vector = centre + (tangent * east_rad)[..., None] * east + (tangent * north_rad)[..., None] * north
    return vector / np.linalg.norm(vector, axis=-1, keepdims=True)


def _angle(difference: np.ndarray) -> np.ndarray:
    """Return the angle between unit vectors from their difference (..., 3), rad."""
    return 2 * np.arcsin(np.clip(np.linalg.norm(difference, axis=-1) / 2, 0, 1))
