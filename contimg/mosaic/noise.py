"""Robust noise measurements: of a whole image with flat noise, and locally over a mosaic."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from contimg.statistics import CLIP_SIGMA, clipped_sigma

BOX_BEAMS = 20
"""Width of the boxes of `local_rms`: their 350 independent beams give a box's rms to about 6 %."""
REAL_RISE = 1.25
"""A box whose noise exceeds the median of its neighbours by this factor keeps its own value; smaller differences are
measurement errors, and the median is used: noise that is measured too low would let noise peaks pass as sources."""
MIN_BEAMS = 60
"""A box with fewer independent beams (at the mosaic's edge) takes the value of the nearest box with enough."""


def rms_off_sources(image: NDArray[np.floating], used: NDArray[np.bool_], beam_px: float) -> float | None:
    """Return the rms of a flat-noise image away from its sources.

    Parameters
    ----------
    image : (ny, nx) array
    used : (ny, nx) bool
        Pixels that count.
    beam_px : float
        Major axis (FWHM) of the beam in pixels: what lies closer than this to a pixel above 5 sigma
        belongs to a source, and is left out.
    """
    from scipy.ndimage import maximum_filter

    used = used & np.isfinite(image)
    first = clipped_sigma(image[used])
    if first is None:
        return None
    bright = np.abs(np.where(used, image, 0)) > CLIP_SIGMA * first
    near = maximum_filter(bright, size=2 * max(1, round(beam_px)) + 1)
    return clipped_sigma(image[used & ~near]) or first


def local_rms(
    image: NDArray[np.floating], rms: NDArray[np.floating], beam_px: float
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Measure the local rms of a mosaic.

    The image is divided by the rms that follows from its weights. The scatter of the quotient is measured in boxes 20
    beams wide, half overlapping, and interpolated between them; it scales that rms. The steep rise of the noise towards
    the mosaic's edge thus comes from the weights, and the noise of sidelobes and calibration errors from the image.

    Parameters
    ----------
    image, rms : (ny, nx) array
        The mosaic and the rms from its weights in the same unit; NaN outside the footprint.
    beam_px : float
        Beam (FWHM) in pixels.

    Returns
    -------
    rms : (ny, nx) float32
        Measured local rms, NaN outside the footprint.
    factors : (n,) float64
        Measured rms over that from the weights, for each box; empty, and the map all NaN, where the mosaic is too small
        for one box.
    """
    from scipy.ndimage import distance_transform_edt, map_coordinates, median_filter

    ratio = image / rms
    step = max(4, round(BOX_BEAMS * beam_px / 2))
    thin = max(1, int(beam_px / 4))  # finer pixels than 4 a beam say nothing more about the noise
    beam_area_px = np.pi / (4 * np.log(2)) * beam_px**2
    centres = [np.arange(0, n + step, step) for n in image.shape]
    factors = np.full([len(c) for c in centres], np.nan)
    for i, y in enumerate(centres[0]):
        for j, x in enumerate(centres[1]):
            box = ratio[max(0, y - step) : y + step : thin, max(0, x - step) : x + step : thin]
            if np.count_nonzero(np.isfinite(box)) * thin**2 >= MIN_BEAMS * beam_area_px:
                measured = clipped_sigma(box)
                factors[i, j] = np.nan if measured is None else measured
    known = np.isfinite(factors)
    if not known.any():
        return np.full(image.shape, np.nan, np.float32), np.array([])
    nearest = distance_transform_edt(~known, return_distances=False, return_indices=True)
    raw = factors[tuple(nearest)]
    smooth = median_filter(raw, size=5, mode="nearest")
    full = np.where(raw > REAL_RISE * smooth, raw, smooth)
    result = np.empty(image.shape, np.float32)
    columns = np.arange(image.shape[1]) / step
    for start in range(0, image.shape[0], 512):  # by strips: the coordinates would take 16 bytes a pixel
        rows = np.arange(start, min(start + 512, image.shape[0]))
        places = np.broadcast_arrays(rows[:, None] / step, columns[None, :])
        result[rows] = map_coordinates(full, places, order=1, mode="nearest") * rms[rows]
    return result, factors[known]
