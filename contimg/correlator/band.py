"""The correlator's band: sixteen subbands, their channels' frequencies, and which subband frequencies belong to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# The correlator: 8192 channels over 250 MHz below 1530 MHz, of which 384 a subband from channel 1024.
SUBBANDS = 16


RAW_WIDTH_HZ = 250e6 / 8192


SUBBAND_WIDTH_HZ = 384 * RAW_WIDTH_HZ


_BAND_TOP_HZ = 1530e6 - 1023.5 * RAW_WIDTH_HZ


_FREQUENCY_TOLERANCE_HZ = 1.0


def subband_frequencies(subband: int, channels: int) -> NDArray[np.float64]:
    """Return the centres of a subband's channels (Hz), descending as in the files.

    ``f = 1530 MHz - (1024 + 384 NN + 8 i + 3.5) 250/8192 MHz`` for the correlator's 48 channels, and the
    same 11.71875 MHz in fewer, wider channels otherwise.
    """
    return _BAND_TOP_HZ - (subband + (np.arange(channels) + 0.5) / channels) * SUBBAND_WIDTH_HZ


def wrong_frequencies(freq_hz: NDArray[np.float64]) -> str | None:
    """Return what is wrong with the frequencies (Hz) of a file, or None."""
    if not np.isfinite(freq_hz).all():
        return "freq_array is not finite"
    expected = subband_frequencies(subband_of_frequencies(freq_hz), len(freq_hz))
    if np.abs(freq_hz - expected).max() > _FREQUENCY_TOLERANCE_HZ:
        return f"freq_array (from {freq_hz[0] / 1e6:.6f} MHz) is no subband of the correlator"
    return None


def subband_of_frequencies(freq_hz: NDArray[np.float64]) -> int:
    """Return the number of the subband nearest to some frequencies (Hz)."""
    middle = (_BAND_TOP_HZ - float(freq_hz.mean())) / SUBBAND_WIDTH_HZ - 0.5
    return min(max(round(middle), 0), SUBBANDS - 1)
