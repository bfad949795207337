"""The fringe of a source far outside the main beam, with what finite channels, integrations and its disc leave."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contimg.imaging.visibilities.averaging import Averaged
from contimg.measurement_set import Coordinates
from contimg.sky import geometry
from contimg.sky.constants import C_M_S, EARTH_RAD_S
from contimg.sky.far_sources import FarSource, above_horizon
from contimg.sky.predict import array_location


@dataclass(frozen=True)
class FarFringe:
    """Where a source stands against the phase centre, and its fringes.

    Attributes
    ----------
    towards, offset, motion : (ntime, 3) float64
        In the Earth frame of the site: its direction, this less that of the phase centre, and the change of the
        offset (1/s).
    up : (ntime,) bool
    antennas_m : (nant, 3) float64
        In the same frame.
    diameter_rad : float
    """

    towards: NDArray[np.float64]
    offset: NDArray[np.float64]
    motion: NDArray[np.float64]
    up: NDArray[np.bool_]
    antennas_m: NDArray[np.float64]
    diameter_rad: float

    @classmethod
    def of(cls, source: FarSource, coordinates: Coordinates) -> FarFringe:
        """Return the fringes of a source in a tile."""
        times, location = coordinates.times_mjd_s / 86400, array_location(coordinates)
        place = source.apparent(times, location)
        centre = geometry.direction(*geometry.apparent_from_icrs(coordinates.phase_centre_rad, times, location))
        towards = geometry.direction(*place)
        offset = towards - centre
        # The sky turns westward: d(x, y, z)/dt = rate (y, -x, 0) for every direction.
        motion = EARTH_RAD_S * np.stack([offset[:, 1], -offset[:, 0], np.zeros(len(offset))], axis=1)
        antennas = geometry.site_frame(coordinates.antenna_positions_m, location.longitude_rad)
        up = above_horizon(*place, location)
        return cls(towards, offset, motion, up, antennas, float(np.radians(source.diameter_arcmin / 60)))

    @property
    def separation_rad(self) -> float:
        """Smallest distance from the phase centre."""
        return float(2 * np.arcsin(np.linalg.norm(self.offset, axis=1).min() / 2))

    def of_rows(self, vis: Averaged, rows: NDArray[np.int64], freq_hz: NDArray[np.float64]) -> NDArray[np.complex64]:
        """Return the visibilities (n, width) of 1 Jy on some rows.

        Parameters
        ----------
        vis : Averaged
        rows : (n,) int
        freq_hz : (n, width) float64
            Mean frequencies of the samples.
        """
        time, vector = self._geometry(vis, rows)
        delay = np.einsum("ij,ij->i", vector, self.offset[time]) / C_M_S
        turns = freq_hz * delay[:, None]
        size = self._amplitude(vis, rows, freq_hz)
        angle = (2 * np.pi * (turns - np.rint(turns))).astype(np.float32)
        fringe = np.empty(angle.shape, np.complex64)
        fringe.real, fringe.imag = size * np.cos(angle), size * np.sin(angle)
        return fringe

    def left(self, vis: Averaged, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return about the fraction (n,) of the amplitude that is left on some rows, in the middle of the band."""
        middle = np.full((len(rows), 1), float(vis.freq_hz.mean()))
        return np.abs(self._amplitude(vis, rows, middle)[:, 0])

    def _geometry(self, vis: Averaged, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the integration (n,) and the baseline (n, 3) of some rows."""
        time = np.searchsorted(vis.times_mjd_s, vis.time_mjd_s[rows] - vis.integration_s / 2)
        return time, self.antennas_m[vis.antenna1[rows]] - self.antennas_m[vis.antenna2[rows]]

    def _amplitude(self, vis: Averaged, rows: NDArray[np.int64], freq_hz: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what smearing and the disc leave (n, width), with its sign; 0 below the horizon.

        The mean of N channels, each smeared itself, is smeared as one N times as wide.
        """
        time, vector = self._geometry(vis, rows)
        delay = np.einsum("ij,ij->i", vector, self.offset[time]) / C_M_S
        rate = np.einsum("ij,ij->i", vector, self.motion[time]) / C_M_S
        factor = vis.averaging.factor[vis.averaging.layout_of_row[rows]]
        channels = np.sinc(vis.channel_width_hz * factor * delay) * self.up[time]
        integrations = np.sinc(freq_hz * rate[:, None] * vis.integration_s)
        left = channels[:, None] * integrations
        if self.diameter_rad:
            along = np.einsum("ij,ij->i", vector, self.towards[time])
            across = np.sqrt(np.maximum((vector**2).sum(1) - along**2, 0.0))
            left *= _disc(np.pi * self.diameter_rad / C_M_S * across[:, None] * freq_hz)
        return np.asarray(left)


def _disc(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 2 J1(x) / x: the visibility of a uniform disc for x = pi diameter |uv| (Bracewell 2000, table 12.2)."""
    from scipy.special import j1

    safe = np.maximum(x, 1e-6)
    return np.asarray(2 * j1(safe) / safe)
