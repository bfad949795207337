"""Robust noise measurements: of a whole image with flat noise, and locally over a tile or mosaic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contimg.statistics import CLIP_SIGMA, MAD_TO_SIGMA, clipped_sigma

BOX_BEAMS = 20
"""Width of the boxes of `local_rms`: their 350 independent beams give a box's rms to about 6 %."""
REAL_RISE = 1.25
"""A box whose noise exceeds the median of its neighbours by this factor keeps its own value; smaller differences are
measurement errors, and the median is used: noise that is measured too low would let noise peaks pass as sources."""
MIN_BEAMS = 60
"""A box with fewer independent beams (at the mosaic's edge) takes the value of the nearest box with enough."""
_SAMPLES = 2_000_000
"""Largest number of pixels from which the noise of a whole image is measured; evenly spaced in a larger image."""
_ROWS = 512


@dataclass(frozen=True)
class NoiseMap:
    """Noise measured in boxes, and interpolated linearly between their centres.

    Attributes
    ----------
    boxes : (m, n) float64
        Smoothed noise at the boxes' centres.
    step : int
        Pixels between centres; the first is at pixel (0, 0).
    measured : (k,) float64
        The noise of the boxes with enough pixels.
    """

    boxes: NDArray[np.float64]
    step: int
    measured: NDArray[np.float64]

    def at(self, y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return the noise at places given by row and column (0-based; any shape)."""
        from scipy.ndimage import map_coordinates

        places = [y / self.step, x / self.step]
        return map_coordinates(self.boxes, places, order=1, mode="nearest", output=np.float32)


def rms_off_sources(image: NDArray[np.floating], used: NDArray[np.bool_], beam_px: float) -> float | None:
    """Return the rms of a flat-noise image away from its sources.

    Of a large image, rows and columns up to a beam apart are used: nearer ones would say little more.

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

    thin = max(1, min(int(beam_px), int(np.sqrt(image.size / _SAMPLES))))
    image, used = image[::thin, ::thin], used[::thin, ::thin]
    used = used & np.isfinite(image)
    first = clipped_sigma(image[used])
    if first is None:
        return None
    bright = np.abs(np.where(used, image, 0)) > CLIP_SIGMA * first
    near = maximum_filter(bright, size=2 * max(1, round(beam_px / thin)) + 1)
    return clipped_sigma(image[used & ~near]) or first


def noise_map(image: NDArray[np.floating], beam_px: float) -> NoiseMap | None:
    """Measure the noise of an image in boxes 20 beams wide, half overlapping.

    Parameters
    ----------
    image : (ny, nx) array
        NaN outside the footprint.
    beam_px : float
        Beam (FWHM) in pixels.

    Returns
    -------
    NoiseMap or None
        None where the image is too small for one box.
    """
    from scipy.ndimage import distance_transform_edt, median_filter

    step = max(4, round(BOX_BEAMS * beam_px / 2))
    thin = max(1, int(beam_px / 2))  # more than 2 pixels a beam add little information on the noise
    beam_area_px = np.pi / (4 * np.log(2)) * beam_px**2
    centres = [np.arange(0, n + step, step) for n in image.shape]
    factors = np.full([len(c) for c in centres], np.nan)
    for i, y in enumerate(centres[0]):
        strip = image[max(0, y - step) : y + step : thin]
        boxes = [strip[:, max(0, x - step) : x + step : thin] for x in centres[1]]
        finite = np.array([np.count_nonzero(np.isfinite(box)) for box in boxes])
        enough = finite * thin**2 >= MIN_BEAMS * beam_area_px
        whole = enough & (finite == strip.shape[0] * len(range(0, 2 * step, thin)))
        factors[i, whole] = _sigmas([boxes[j] for j in np.nonzero(whole)[0]])
        for j in np.nonzero(enough & ~whole)[0]:
            measured = clipped_sigma(boxes[j])
            factors[i, j] = np.nan if measured is None else measured
    known = np.isfinite(factors)
    if not known.any():
        return None
    nearest = distance_transform_edt(~known, return_distances=False, return_indices=True)
    raw = factors[tuple(nearest)]
    smooth = median_filter(raw, size=5, mode="nearest")
    return NoiseMap(np.where(raw > REAL_RISE * smooth, raw, smooth), step, factors[known])


def _sigmas(boxes: list[NDArray[np.floating]]) -> NDArray[np.float64]:
    """Return `clipped_sigma` of boxes of one shape without NaN, together where nothing has to be clipped."""
    if not boxes:
        return np.empty(0)
    values = np.stack([box.ravel() for box in boxes])
    distance = np.abs(values - np.median(values, axis=1, keepdims=True))
    sigma = MAD_TO_SIGMA * np.median(distance, axis=1)
    result = np.where(sigma > 0, sigma, np.nan)
    for i in np.nonzero(distance.max(axis=1) > CLIP_SIGMA * sigma)[0]:
        measured = clipped_sigma(boxes[i])
        result[i] = np.nan if measured is None else measured
    return result


def local_rms(
    image: NDArray[np.floating], rms: NDArray[np.floating], beam_px: float
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Measure the local rms of a mosaic.

    The image is divided by the rms that follows from its weights. The scatter of the quotient, measured by `noise_map`,
    scales that rms. The steep rise of the noise towards the mosaic's edge thus comes from the weights, and the noise of
    sidelobes and calibration errors from the image.

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
    measured = noise_map(image / rms, beam_px)
    if measured is None:
        return np.full(image.shape, np.nan, np.float32), np.array([])
    result = np.empty(image.shape, np.float32)
    columns = np.arange(image.shape[1], dtype=np.float64)[None, :]
    for start in range(0, image.shape[0], _ROWS):  # by strips: the coordinates take 16 bytes a pixel
        rows = slice(start, min(start + _ROWS, image.shape[0]))
        places = np.broadcast_arrays(np.arange(rows.start, rows.stop, dtype=np.float64)[:, None], columns)
        result[rows] = measured.at(*places) * rms[rows]
    return result, measured.measured
