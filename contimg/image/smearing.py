"""What finite channels and integrations, and averaging, take from sources far from the phase centre."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.image.averaging import delay_s, loss
from contimg.measurement_set import Coordinates
from contimg.sky.airy_beam import C_M_S


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
