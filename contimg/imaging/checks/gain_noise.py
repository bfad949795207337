"""The noise that errors of the gains leave in an image beside bright sources."""

from __future__ import annotations

import math
from collections.abc import Iterable

DRIFT = 0.01
"""Largest scatter of the antennas' amplitudes that is expected between a tile and its calibrator: more is a fault."""


def gain_noise_jy(
    gain_error: float, bright_jy: Iterable[float], n_antennas: int, amplitude_scatter: float = 0.0
) -> float:
    """Return the noise (Jy/beam) that errors of the antennas' gains leave away from the bright sources.

    A source of S leaves ``2 e S / N`` where each of N antennas has errors of amplitude and phase of e: the sum of
    ``S (d_p + d_q*)`` over the N (N - 1) / 2 baselines with random phases (Perley 1999, ASP Conf. 180, 275); errors of
    the amplitude alone leave ``sqrt(2) e S / N``. Those of several sources add in quadrature.

    Parameters
    ----------
    gain_error : float
        Of amplitude (fraction) and phase (rad), averaged over the band.
    bright_jy : iterable of float
        Flux densities of the bright sources through the beam (Jy).
    n_antennas : int
    amplitude_scatter : float
        Scatter of the antennas' amplitudes in the tile, which have drifted since the calibrator; of it, `DRIFT` at most
        counts.
    """
    error = math.hypot(2 * gain_error, math.sqrt(2) * min(amplitude_scatter, DRIFT))
    return error * math.sqrt(sum(flux**2 for flux in bright_jy)) / max(1, n_antennas)
