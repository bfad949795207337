"""Counts negative outliers of a mosaic: no source is negative, so that a deep minimum is an artefact."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SIGMA = 6.0
"""Depth (sigma) from which a pixel is an outlier: of 50 000 beams of Gaussian noise 5e-5 are deeper (0.015 below -5
sigma)."""
DYNAMIC_RANGE = 1000.0
"""Dynamic range near bright sources: the brightest pixel within 20 beams divided by it is added to the noise."""
_REACH_BEAMS = 20
_FAR_BEAMS, _FAR_SHARE = 80, 1 / 3
"""Far sidelobes reach half the peak in places, and with them what errors of the gains leave: a source within 80 beams
counts as one of a third of its brightness. Clean simulated nights have spots of 1/2000 of a source 56 beams away."""
_ROWS = 512


def negative_outliers(image: NDArray[np.float32], local: NDArray[np.float32], beam_px: float) -> tuple[int, float]:
    """Return the number of outliers below -6 sigma, those within a beam of each other as one, and the worst.

    Parameters
    ----------
    image, local : (ny, nx) float32
        Mosaic and its local rms (Jy/beam); NaN outside the footprint.
    beam_px : float
        Major axis of the beam (pixels).

    Returns
    -------
    count : int
    worst : float
        Depth of the deepest pixel in sigma, positive; 0 where none is negative.
    """
    step = max(1, round(beam_px))
    bright = brightest_near(image, step)
    places, depths, worst = [], [], 0.0
    for start in range(0, len(image), _ROWS):
        part, noise = image[start : start + _ROWS], local[start : start + _ROWS]
        with np.errstate(invalid="ignore"):  # NaN outside the footprint
            ys, xs = np.nonzero(-part > noise)
        near = bright[(ys + start) // step, xs // step] / DYNAMIC_RANGE
        depth = -part[ys, xs] / np.hypot(noise[ys, xs], near)
        worst = max(worst, float(depth.max(initial=0.0)))
        deep = depth > SIGMA
        places.append(np.column_stack([ys[deep] + start, xs[deep]]))
        depths.append(depth[deep])
    return count_apart(np.concatenate(places), np.concatenate(depths), beam_px), worst


def brightest_near(image: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """Return the largest pixel within 20 beams, or a third of that within 80, for blocks of a beam's width."""
    from scipy.ndimage import maximum_filter

    rows, columns = (-(-size // step) for size in image.shape)
    padded = np.zeros((rows * step, columns * step), np.float32)
    padded[: image.shape[0], : image.shape[1]] = np.nan_to_num(image, nan=0.0)
    blocks = padded.reshape(rows, step, columns, step).max((1, 3))
    near, far = (maximum_filter(blocks, size=2 * reach + 1) for reach in (_REACH_BEAMS, _FAR_BEAMS))
    return np.asarray(np.maximum(near, _FAR_SHARE * far), np.float32)


def count_apart(places: NDArray[np.int64], depths: NDArray[np.float32], apart_px: float) -> int:
    """Return the number of minima at least a distance apart, counted from the deepest."""
    counted: list[NDArray[np.int64]] = []
    for index in np.argsort(-depths, kind="stable")[:10_000]:
        if all(np.hypot(*(places[index] - other)) > apart_px for other in counted[:500]):
            counted.append(places[index])
    return len(counted)
