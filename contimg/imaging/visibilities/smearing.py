"""What finite channels and integrations, and averaging, take from sources far from the phase centre."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from contimg.imaging.effective_beam import EffectiveBeam
from contimg.imaging.grid import Grid
from contimg.imaging.visibilities.averaging import delay_s, loss
from contimg.imaging.visibilities.baselines import Baselines
from contimg.imaging.visibilities.samples import Samples
from contimg.measurement_set import Coordinates
from contimg.sky.airy_beam import C_M_S

if TYPE_CHECKING:
    from scipy.interpolate import RectBivariateSpline


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


# Rotation of the Earth (rad/s), IERS Conventions 2010, table 1.1.
EARTH_RAD_S = 7.292115e-5
# Three places in the square of integration and channel (each from -1/2 to 1/2), a triangle about its middle:
# their mean, variances (1/12) and covariance are the square's.
TRIANGLE = np.array([[1.0, 0.0], [-0.5, 0.75**0.5], [-0.5, -(0.75**0.5)]]) / 6**0.5
_NODES = 25
_TIMES = 8


class Fringes:
    """How antennas' delays towards sources differ from those of the meridian, and how fast that changes."""

    def __init__(self, coordinates: Coordinates) -> None:
        ra, dec = (float(angle) for angle in coordinates.phase_centre_rad)
        east, north = Grid(2, 1.0, (ra, dec)).radec_cosines(*coordinates.pointing_rad.T)
        self._meridian = np.stack([east, north, np.sqrt(1 - east**2 - north**2)])
        self._sin, self._cos = np.sin(dec), np.cos(dec)
        self._width_hz, self._integration_s = coordinates.channel_width_hz, coordinates.integration_s

    def turns(
        self, place_m: NDArray[np.float64], lmn: NDArray[np.float64], time: int, freq_hz: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the turns (n, nsrc) that antennas or baselines see within an integration, and along a channel.

        Parameters
        ----------
        place_m : (n, 3)
            uvw of antennas or baselines at that time (m).
        lmn : (3, nsrc)
            Direction cosines of the sources, the last one towards the phase centre.
        time : int
            Index of the integration among the tile's times.
        freq_hz : float
        """
        beside = lmn - self._meridian[:, time, None]
        u, v, w = place_m.T
        moving = np.stack([w * self._cos - v * self._sin, u * self._sin, -u * self._cos], 1) * EARTH_RAD_S
        within = freq_hz * self._integration_s / C_M_S * (moving @ beside)
        return within, self._width_hz / C_M_S * (place_m @ beside)

    def nodes(
        self, place_m: NDArray[np.float64], lmn: NDArray[np.float64], time: int, freq_hz: float
    ) -> list[NDArray[np.complex64]]:
        """Return the factors (nant, nsrc) of the phasors at three places within integration and channel.

        The mean of a source over them is that over the whole to third order in the turns; that order
        changes its sign from one integration to the next.
        """
        within, along = self.turns(place_m, lmn, time, freq_hz)
        sides = TRIANGLE * [(-1) ** time, 1]
        return [np.exp(2j * np.pi * (a * within + b * along)).astype(np.complex64) for a, b in sides]


@dataclass(frozen=True)
class Coherence:
    """What the image holds of a point source, of 1, for want of coherence.

    Attributes
    ----------
    fringes : Fringes
    spline : RectBivariateSpline
        Over north and east.
    edge : float
        Direction cosine up to which it is known.
    """

    fringes: Fringes
    spline: RectBivariateSpline
    edge: float

    def at(self, east: ArrayLike, north: ArrayLike) -> NDArray[np.float64]:
        """Return it towards direction cosines; beside the image it is that of the rim."""
        return self.spline.ev(np.clip(north, -self.edge, self.edge), np.clip(east, -self.edge, self.edge))

    def dim(self, response: EffectiveBeam) -> EffectiveBeam:
        """Return the effective beam times this."""
        from scipy.interpolate import RectBivariateSpline

        node = np.linspace(-self.edge, self.edge, 8 * _NODES)
        values = response.spline(node, node) * self.spline(node, node)
        return replace(response, spline=RectBivariateSpline(node, node, values, kx=5, ky=5))


def measure_coherence(coordinates: Coordinates, samples: Samples, weight: NDArray[np.float32], grid: Grid) -> Coherence:
    """Return the coherence over an image: the mean of its samples' with their imaging weights.

    Notes
    -----
    ``sinc(turns in an integration) sinc(turns along a channel)`` (Bridle & Schwab 1999, ASP 180, 371), for eight
    of the integrations, at the middle of the band.
    """
    from scipy.interpolate import RectBivariateSpline

    baselines, fringes = Baselines(coordinates, samples), Fringes(coordinates)
    edge = grid.middle * grid.cell_rad
    node = np.linspace(-edge, edge, _NODES)
    east, north = (axis.ravel() for axis in np.meshgrid(node, node))
    lmn = np.stack([east, north, np.sqrt(1 - east**2 - north**2)])
    total, left = 0.0, np.zeros(len(east))
    for rows in baselines.times[:: max(1, len(baselines.times) // _TIMES)]:
        # Rows of one baseline, parts of the band, count together.
        pair, first, number = np.unique(
            baselines.one[rows] * baselines.count + baselines.two[rows], return_index=True, return_inverse=True
        )
        share = np.bincount(number, weight[rows].sum(1, dtype=np.float64), len(pair))
        time = int(samples.time_index[rows[0]])
        turns = fringes.turns(samples.uvw_m[rows[first]], lmn, time, float(samples.freq_hz.mean()))
        left += share @ (np.sinc(turns[0]) * np.sinc(turns[1]))
        total += float(share.sum())
    values = (left / total).reshape(_NODES, _NODES)
    return Coherence(fringes, RectBivariateSpline(node, node, values, kx=3, ky=3), edge)
