"""Frequencies of the correlator's sixteen subbands."""

from __future__ import annotations

import numpy as np

from contimg.simulate import constants as c


def channel_width_hz(channels: int) -> float:
    """Return the width of one channel when a subband has ``channels`` channels, Hz."""
    return c.SUBBAND_WIDTH_MHZ * 1e6 / channels


def subband_frequencies(subband: int, channels: int = c.REAL_CHANNELS_PER_SUBBAND) -> np.ndarray:
    """Return the channel centres of one subband.

    The correlator averages ``384 / channels`` raw channels of 30.5 kHz; with the real 48 channels this is
    ``1530 - (1024 + 384 sb + 8 i + 3.5) * 250 / 8192`` MHz.

    Parameters
    ----------
    subband : int
        0 (highest frequency) to 15 (lowest).
    channels : int
        Channels per subband, a divisor of 384.

    Returns
    -------
    ndarray
        Descending frequencies in Hz, shape (channels,), float64.
    """
    averaged = c.RAW_CHANNELS_PER_SUBBAND // channels
    first = c.FIRST_RAW_CHANNEL + c.RAW_CHANNELS_PER_SUBBAND * subband
    raw = first + averaged * np.arange(channels) + (averaged - 1) / 2
    return (c.F0_MHZ - raw * c.RAW_CHANNEL_MHZ) * 1e6


def band_frequencies(channels: int = c.REAL_CHANNELS_PER_SUBBAND) -> np.ndarray:
    """Return the channel centres of all subbands, shape (16, channels), Hz, descending throughout."""
    return np.stack([subband_frequencies(subband, channels) for subband in range(c.SUBBANDS)])
