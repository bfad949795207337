"""Whether the Sun is in a tile's visibilities: its fringe on short baselines, against that of its mirror image.

The Sun is seen through far sidelobes by day. A disc of 32 arcmin has its power on baselines below some hundred
wavelengths; there its fringe turns fast in time and frequency against that of all that is in the beam. The mirror image
of the Sun about the phase centre, whose fringe turns as fast the other way, tells how much of the field and the noise
such a fringe picks up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contimg.imaging.visibilities.samples import Samples
from contimg.measurement_set import Coordinates
from contimg.sky import geometry
from contimg.sky.constants import C_M_S
from contimg.sky.predict import array_location
from contimg.sky.sun import sun_apparent

LONGEST_WAVELENGTHS = 300.0
"""Baselines that are looked at: beyond, less than a tenth of the Sun's power is left."""
_DIAMETER_RAD = np.radians(32 / 60)
_ENOUGH_BASELINES = 10
_DISTINCT = 0.1
"""Largest correlation of the Sun's fringe with that of the phase centre, and with its mirror image's."""
_RATIO, _LEAST_JY = 4.0, 3.0
"""The Sun is in the data where its fringe has this many times the mirror image's power, and this apparent flux."""


@dataclass(frozen=True)
class SunInTile:
    """What the visibilities say of the Sun.

    Attributes
    ----------
    apparent_jy : float
        Stokes I through the far sidelobes, of a uniform disc; 0 where the mirror image has more.
    ratio : float
        Power of the Sun's fringe over that of its mirror image.
    """

    apparent_jy: float
    ratio: float

    @property
    def detected(self) -> bool:
        """Whether it is there beyond doubt."""
        return self.ratio > _RATIO and self.apparent_jy > _LEAST_JY


def measure_sun(coordinates: Coordinates, samples: Samples) -> SunInTile | None:
    """Measure the Sun's apparent flux density in a tile.

    Parameters
    ----------
    coordinates : Coordinates
        Of the rows that ``samples.rows`` count in.
    samples : Samples
        Stokes I, calibrated.

    Returns
    -------
    SunInTile or None
        None where fewer than 10 short baselines tell the Sun's fringe from the field's.
    """
    towards, cosines = _places(coordinates)
    turning = np.gradient(cosines, coordinates.times_mjd_s, axis=0) if len(cosines) > 1 else np.zeros_like(cosines)
    freq_hz, width_hz = samples.averaging.freq_hz(), samples.averaging.factor * coordinates.channel_width_hz
    sums: dict[tuple[int, int], _Sums] = {}
    lengths = np.hypot(samples.uvw_m[:, 0], samples.uvw_m[:, 1]) * coordinates.freq_hz.mean() / C_M_S
    for row in np.flatnonzero(lengths < 3 * LONGEST_WAVELENGTHS):
        time, used = samples.time_index[row], samples.weight[row] > 0
        layout = samples.averaging.layout_of_row[row]
        delay_s, rate = samples.uvw_m[row] @ np.stack([cosines[time], turning[time]], axis=1) / C_M_S
        fringe = np.exp(2j * np.pi * delay_s * freq_hz[layout])[used]
        # What finite channels and integrations leave of it.
        left = np.sinc(width_hz[layout] * delay_s) * np.sinc(freq_hz[layout] * rate * coordinates.integration_s)[used]
        pair = (int(coordinates.antenna1[samples.rows[row]]), int(coordinates.antenna2[samples.rows[row]]))
        sums.setdefault(pair, _Sums()).add(samples.vis[row][used], fringe, left)
    found = [_Baseline.of(coordinates, pair, one, towards) for pair, one in sums.items() if one.count > 1]
    good = [one for one in found if one.distinct and one.wavelengths < LONGEST_WAVELENGTHS]
    if len(good) < _ENOUGH_BASELINES:
        return None
    return _flux(good)


@dataclass
class _Sums:
    """Sums over the samples of a baseline: times the fringe and its conjugate, of these, of what smearing left."""

    sun: complex = 0j
    mirror: complex = 0j
    fringe: complex = 0j
    square: complex = 0j
    left: float = 0.0
    count: int = 0

    def add(self, vis: NDArray[np.complex64], fringe: NDArray[np.complex128], left: NDArray[np.float64]) -> None:
        self.sun += complex(vis @ fringe.conj())
        self.mirror += complex(vis @ fringe)
        self.fringe += complex(fringe.sum())
        self.square += complex((fringe**2).sum())
        self.left += float(left.sum())
        self.count += len(vis)


@dataclass(frozen=True)
class _Baseline:
    """Mean products of a baseline, and the disc's visibility there."""

    sun: float
    mirror: float
    distinct: bool
    wavelengths: float
    disc: float

    @classmethod
    def of(
        cls, coordinates: Coordinates, pair: tuple[int, int], sums: _Sums, towards: NDArray[np.float64]
    ) -> _Baseline:
        from scipy.special import j1

        vector = coordinates.antenna_positions_m[pair[1]] - coordinates.antenna_positions_m[pair[0]]
        across = float(np.sqrt(max(vector @ vector - (vector @ towards) ** 2, 0.0)))
        wavelengths = across * float(coordinates.freq_hz.mean()) / C_M_S
        x = max(np.pi * _DIAMETER_RAD * wavelengths, 1e-9)
        mixed = max(abs(sums.fringe), abs(sums.square)) / sums.count
        return cls(
            abs(sums.sun / sums.count) ** 2,
            abs(sums.mirror / sums.count) ** 2,
            mixed**2 < _DISTINCT,
            wavelengths,
            float(2 * j1(x) / x) * sums.left / sums.count,
        )


def _places(coordinates: Coordinates) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the Sun's mean direction (3,), ITRF, and its l, m, n - 1 (ntime, 3) about the phase centre."""
    times, location = coordinates.times_mjd_s / 86400, array_location(coordinates)
    hour_angle, dec = sun_apparent(times, location)
    direction = geometry.direction(hour_angle, dec)
    axes = geometry.basis(coordinates.phase_centre_rad, times, location)
    cosines = np.einsum("tij,tj->ti", axes, direction) - np.array([0.0, 0.0, 1.0])
    towards = geometry.site_frame(direction.mean(axis=0)[None], -location.longitude_rad)[0]
    return towards / np.linalg.norm(towards), cosines


def _flux(baselines: list[_Baseline]) -> SunInTile:
    sun, mirror, disc = (np.array([getattr(one, name) for one in baselines]) for name in ("sun", "mirror", "disc"))
    weight = disc**2
    ratio = float((weight * sun).sum() / max((weight * mirror).sum(), 1e-300))
    power = float((weight * (sun - mirror)).sum() / (disc**4).sum())
    return SunInTile(float(np.sqrt(max(power, 0.0))), ratio)
