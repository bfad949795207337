"""Stripes left in a mosaic: what a bad baseline, one visibility or a drifting gain draws across the sky."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from contimg.imaging.checks.image_quality import stripe
from contimg.mosaic.tile_samples import Sampling

FAINT = 5.0
"""Pixels above so many sigma, and their neighbours, are sources and not looked at."""
WINDOW = 2048
"""Samples along each side of the windows, which overlap by half: about a tile, over which a stripe goes on."""


def strongest_stripe(image: NDArray[np.float32], local: NDArray[np.float32], sampling: Sampling) -> float | None:
    """Return the amplitude of the strongest stripe in a mosaic, over the noise; None where nothing is known.

    Parameters
    ----------
    image, local : (ny, nx) float32
        Mosaic and its local rms (Jy/beam); NaN outside the footprint.
    sampling : Sampling
        Two samples in a beam hold all stripes of the interferometer.
    """
    from scipy.ndimage import maximum_filter

    samples = (slice(None, None, sampling.step),) * 2
    with np.errstate(invalid="ignore", divide="ignore"):
        unit = image[samples] / local[samples]
        known = np.isfinite(unit)
        known &= ~maximum_filter(np.abs(unit) > FAINT, size=5)
    unit[~known] = 0
    found = [
        stripe(unit[window], known[window])[0]
        for window in _windows(unit.shape)
        if np.count_nonzero(known[window]) > known[window].size / 4
    ]
    return max(found, default=None)


def _windows(shape: tuple[int, ...]) -> list[tuple[slice, slice]]:
    """Return windows that cover an image, each overlapping the next by half or more."""
    axes = []
    for length in shape:
        size = min(length, WINDOW)
        count = 1 if size == length else -(-2 * (length - size) // size) + 1
        starts = np.linspace(0, length - size, count).astype(int)
        axes.append([slice(int(start), int(start) + size) for start in starts])
    return [(rows, columns) for rows in axes[0] for columns in axes[1]]
