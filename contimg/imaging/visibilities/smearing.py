"""Bandwidth smearing and time smearing: the amplitude that sources far from the phase centre lose."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from contimg.imaging.effective_beam import EffectiveBeam
from contimg.imaging.grid import TileGrid
from contimg.imaging.visibilities.averaging import averaging_loss, delay_s
from contimg.imaging.visibilities.baselines import Baselines
from contimg.imaging.visibilities.samples import Samples
from contimg.measurement_set import Coordinates
from contimg.sky.constants import C_M_S, EARTH_RAD_S

if TYPE_CHECKING:
    from scipy.interpolate import RectBivariateSpline

# Quadrature over the unit square of (time within the integration, frequency within the channel), each from -1/2
# to 1/2: the corners of an equilateral triangle have the square's mean, variances (1/12) and covariance.
TRIANGLE = np.array([[1.0, 0.0], [-0.5, 0.75**0.5], [-0.5, -(0.75**0.5)]]) / 6**0.5
# Nodes per axis of the spline through the smearing map, and integrations that it is the mean of.
_NODES = 25
_TIMES = 8


def sinc_loss(turns: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Return the loss of amplitude ``1 - sin(pi x) / (pi x)`` of a phasor averaged over x turns of phase."""
    return np.asarray(1 - np.sinc(turns))


def facts(coordinates: Coordinates, radius_rad: float, factor: NDArray[np.int64]) -> dict[str, Any]:
    """Return the losses of amplitude of a source at the edge of the field, at the worst position angle, for the twin.

    Parameters
    ----------
    coordinates : Coordinates
    radius_rad : float
        Angle of the edge from the phase centre.
    factor : (nrow,) int
        Channels averaged on each row.

    Returns
    -------
    dict
        ``channel_loss`` and ``integration_loss``: bandwidth and time smearing by the correlator's channels and
        integrations on the longest baseline; ``averaging_loss``: what the imager's averaging adds, on the baseline
        where that is largest; ``averaging_ratio``: visibilities before over samples after averaging.

    Notes
    -----
    The phase of a source at an angle r from the phase centre changes by ``width |uv| sin(r) / c`` turns across a
    channel, and by ``f |d(uv)/dt| sin(r) T / c`` across an integration of T (Bridle & Schwab 1999, ASP 180, 371).
    """
    delay, width_hz = delay_s(coordinates.uvw_m, radius_rad), coordinates.channel_width_hz
    across = np.hypot(*coordinates.uvw_m.T[:2])
    added = max(float(averaging_loss(delay[factor == one], width_hz, int(one)).max()) for one in np.unique(factor))
    turns = _fastest_baseline(coordinates) * coordinates.integration_s * math.sin(radius_rad)
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


def _fastest_baseline(coordinates: Coordinates) -> float:
    """Return the largest ``|d(uv)/dt|`` (m/s) of any baseline; NaN for a single integration."""
    times = np.unique(coordinates.time_mjd_s)
    if len(times) < 2:
        return math.nan
    pair = coordinates.antenna1.astype(np.int64) << 32 | coordinates.antenna2
    order = np.lexsort((coordinates.time_mjd_s, pair))
    same = np.diff(pair[order]) == 0
    moved = np.hypot(*np.diff(coordinates.uvw_m[order, :2], axis=0)[same].T)
    return float((moved / np.diff(coordinates.time_mjd_s[order])[same]).max(initial=0))


class SmearingPhases:
    """Phase changes of sources within an integration and within a channel.

    The correlator stops the fringes of the meridian at the pointing declination, so a source's phase changes with
    its direction from there, while directions of sources are relative to the tile's phase centre.
    """

    def __init__(self, coordinates: Coordinates) -> None:
        ra, dec = (float(angle) for angle in coordinates.phase_centre_rad)
        east, north = TileGrid(2, 1.0, (ra, dec)).radec_cosines(*coordinates.pointing_rad.T)
        self._meridian = np.stack([east, north, np.sqrt(1 - east**2 - north**2)])
        self._sin, self._cos = np.sin(dec), np.cos(dec)
        self._width_hz, self._integration_s = coordinates.channel_width_hz, coordinates.integration_s

    def turns(
        self, uvw_m: NDArray[np.float64], lmn: NDArray[np.float64], time: int, freq_hz: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the phase changes (n, nsrc), in turns, across an integration and across a channel.

        Parameters
        ----------
        uvw_m : (n, 3)
            Coordinates of antennas or baselines at that time (m).
        lmn : (3, nsrc)
            Direction cosines of the sources about the phase centre.
        time : int
            Index of the integration among the tile's times.
        freq_hz : float
        """
        offset = lmn - self._meridian[:, time, None]
        u, v, w = uvw_m.T
        rate = np.stack([w * self._cos - v * self._sin, u * self._sin, -u * self._cos], 1) * EARTH_RAD_S
        across_integration = freq_hz * self._integration_s / C_M_S * (rate @ offset)
        return across_integration, self._width_hz / C_M_S * (uvw_m @ offset)

    def quadrature(
        self, uvw_m: NDArray[np.float64], lmn: NDArray[np.float64], time: int, freq_hz: float
    ) -> list[NDArray[np.complex64]]:
        """Return phase factors (nant, nsrc) at the three nodes of `TRIANGLE` within integration and channel.

        The mean of a source over them is that over the whole to third order in the phase changes; the error of that
        order changes its sign from one integration to the next, as the triangle is mirrored. Parameters as of `turns`.
        """
        in_time, in_frequency = self.turns(uvw_m, lmn, time, freq_hz)
        nodes = TRIANGLE * [(-1) ** time, 1]
        return [np.exp(2j * np.pi * (a * in_time + b * in_frequency)).astype(np.complex64) for a, b in nodes]


@dataclass(frozen=True)
class SmearingMap:
    """The fraction of a point source's amplitude that smearing leaves in the image.

    Attributes
    ----------
    phases : SmearingPhases
    spline : RectBivariateSpline
        Over north and east.
    edge : float
        Direction cosine up to which it is known.
    """

    phases: SmearingPhases
    spline: RectBivariateSpline
    edge: float

    def at(self, east: ArrayLike, north: ArrayLike) -> NDArray[np.float64]:
        """Return the fraction at direction cosines; outside the image the one at its edge."""
        fraction = self.spline.ev(np.clip(north, -self.edge, self.edge), np.clip(east, -self.edge, self.edge))
        return np.asarray(fraction)

    def attenuate(self, response: EffectiveBeam) -> EffectiveBeam:
        """Return the effective beam times the fraction that smearing leaves."""
        from scipy.interpolate import RectBivariateSpline

        node = np.linspace(-self.edge, self.edge, 8 * _NODES)
        values = response.spline(node, node) * self.spline(node, node)
        return replace(response, spline=RectBivariateSpline(node, node, values, kx=5, ky=5))


def measure_smearing(
    coordinates: Coordinates, samples: Samples, weight: NDArray[np.float32], grid: TileGrid
) -> SmearingMap:
    """Return the smearing over an image: the mean over the samples with their imaging weights.

    Notes
    -----
    ``sinc(turns across an integration) sinc(turns across a channel)`` (Bridle & Schwab 1999, ASP 180, 371), for eight
    of the integrations, at the middle of the band.
    """
    from scipy.interpolate import RectBivariateSpline

    baselines, phases = Baselines(coordinates, samples), SmearingPhases(coordinates)
    edge = grid.reach_rad
    node = np.linspace(-edge, edge, _NODES)
    east, north = (axis.ravel() for axis in np.meshgrid(node, node))
    lmn = np.stack([east, north, np.sqrt(1 - east**2 - north**2)])
    total, left = 0.0, np.zeros(len(east))
    for rows in baselines.rows_by_time[:: max(1, len(baselines.rows_by_time) // _TIMES)]:
        # The rows of one baseline, each a part of the band, count together.
        pair, first, number = np.unique(
            baselines.antenna1[rows] * baselines.n_antennas + baselines.antenna2[rows],
            return_index=True,
            return_inverse=True,
        )
        share = np.bincount(number, weight[rows].sum(1, dtype=np.float64), len(pair))
        time = int(samples.time_index[rows[0]])
        turns = phases.turns(samples.uvw_m[rows[first]], lmn, time, float(samples.freq_hz.mean()))
        left += share @ (np.sinc(turns[0]) * np.sinc(turns[1]))
        total += float(share.sum())
    values = (left / total).reshape(_NODES, _NODES)
    return SmearingMap(phases, RectBivariateSpline(node, node, values, kx=3, ky=3), edge)
