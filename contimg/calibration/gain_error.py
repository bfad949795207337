"""The expected error of a bandpass: of the noise of the receivers, and of the model of the field of the calibrator."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from contimg.sky.catalogue import Catalogue
from contimg.sky.preference import FIELD_ERROR

PARTS = 2
"""Parts of a subband in which the field's error counts as independent: sources a degree from the calibrator turn
against it by a radian in 5 MHz on baselines of 500 m, and errors of a gain move with them."""


def field_model_error(sources: Catalogue, apparent_jy: NDArray[np.float64], calibrator_jy: float) -> float:
    """Return the expected rms error of the model visibilities of a field over the calibrator's flux density.

    Parameters
    ----------
    sources : Catalogue
        The other sources of the field; where they have no error, a tenth of the flux density is taken.
    apparent_jy : (n,) float64
        Their flux densities through the beam.
    calibrator_jy : float
        That of the calibrator.
    """
    relative = np.nan_to_num(sources.flux_err_jy / sources.flux_jy, nan=FIELD_ERROR)
    return float(np.sqrt(np.sum((relative * apparent_jy) ** 2))) / calibrator_jy


def expected_gain_error(
    snr: float, field_error: float, *, n_antennas: int, n_channels: int, n_subbands: int
) -> float | None:
    """Return the error of an antenna's gain, of each of amplitude and phase (rad), averaged over the band.

    Noise is independent in every channel and both polarisations. The field's error is the same in both, is averaged
    over the baselines of an antenna, and is independent in `PARTS` parts of a subband or in each channel.

    Parameters
    ----------
    snr : float
        Median signal-to-noise ratio of the bandpass, of one channel and polarisation.
    field_error : float
        `field_model_error`.
    n_antennas, n_channels, n_subbands : int
        With data.

    Returns
    -------
    float or None
        None where there are too few antennas, or nothing was solved.
    """
    if n_antennas < 2 or not snr > 0 or n_channels < 1:
        return None
    noise = 1 / (snr * math.sqrt(2 * n_channels))
    parts = min(n_channels, PARTS * n_subbands)
    field = field_error / math.sqrt(2 * (n_antennas - 1) * parts)
    return math.hypot(noise, field)
