"""Quality of an image by itself: artefacts round bright sources, stripes, negative bowls, fit of the restoring beam."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.imaging.restoring_beam import gaussian
from contimg.sky.restoring_beam import RestoringBeam
from contimg.statistics import interpolated_peak, robust_sigma

# Radii and widths in beams (geometric mean of the axes): region round the brightest source, blocks in which bowls are
# measured, region of the PSF's sidelobes.
_ROUND_BEAMS, _BLOCK_BEAMS, _SIDELOBE_BEAMS = 20.0, 12.0, 15.0
_CORE_LEVEL = 0.35
# Offsets, in cells of the Fourier plane, at which the strongest stripe is refined.
_ZOOM = np.linspace(-0.75, 0.75, 13)


def measure(
    image: NDArray[np.floating],
    residual: NDArray[np.floating],
    psf: NDArray[np.floating],
    beam: RestoringBeam,
    cell_rad: float,
) -> dict[str, Any]:
    """Return the quality numbers of a tile image, for the twin's ``qa``.

    Parameters
    ----------
    image, residual : (size, size)
        Apparent brightness, Jy/beam.
    psf : (size, size)
        Peak 1 at pixel ``size // 2``.
    beam : RestoringBeam
    cell_rad : float

    Returns
    -------
    dict
        ``artefact_ratio``: rms of the residual round the brightest pixel over that of all;
        ``local_dynamic_range``: the peak there over the former; ``negative_bowl``: see `negative_bowl`, over the rms;
        ``striping``, ``streak``: see `stripe` and `streak`, over the rms;
        ``psf_misfit``, ``psf_sidelobe``: see `psf_fit`. None where there is nothing to measure.
    """
    rms, width_px = robust_sigma(residual), math.sqrt(beam.bmaj_rad * beam.bmin_rad) / cell_rad
    y, x = np.unravel_index(int(image.argmax()), image.shape)
    reach = math.ceil(_ROUND_BEAMS * width_px)
    near = residual[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1]
    local = float(near.std())
    misfit, sidelobe = psf_fit(psf, beam, cell_rad)
    return {
        "artefact_ratio": round(local / rms, 4) if rms > 0 else None,
        "local_dynamic_range": round(interpolated_peak(image, int(y), int(x)) / local, 2) if local > 0 else None,
        "negative_bowl": round(negative_bowl(residual, width_px) / rms, 4) if rms > 0 else None,
        "striping": round(stripe(residual)[0] / rms, 5) if rms > 0 else None,
        "streak": round(streak(residual) / rms, 4) if rms > 0 else None,
        "psf_misfit": round(misfit, 5),
        "psf_sidelobe": round(sidelobe, 5),
    }


def negative_bowl(residual: NDArray[np.floating], width_px: float) -> float:
    """Return the depth (Jy/beam, positive) of the deepest bowl: minus the least median over blocks of 12 beams.

    Without short spacings, extended emission is surrounded by broad negative bowls; noise averages out in a block. 0
    if no block's median is negative.
    """
    step = min(max(2, round(_BLOCK_BEAMS * width_px)), min(residual.shape))
    rows, columns = residual.shape[0] // step, residual.shape[1] // step
    first = ((residual.shape[0] - rows * step) // 2, (residual.shape[1] - columns * step) // 2)
    inner = residual[first[0] : first[0] + rows * step, first[1] : first[1] + columns * step]
    blocks = inner.reshape(rows, step, columns, step).swapaxes(1, 2).reshape(rows, columns, -1)
    return max(0.0, -float(np.median(blocks, axis=-1).min()))


def stripe(residual: NDArray[np.floating], known: NDArray[np.bool_] | None = None) -> tuple[float, tuple[float, float]]:
    """Return amplitude (Jy/beam) and frequency (cycles over the image, along x and y) of the strongest stripe.

    A bad baseline or visibility adds a sinusoid to the whole image: a peak of its Fourier transform, computed with a
    Hann window and refined between the cells.

    Parameters
    ----------
    residual : (ny, nx)
        0 where it is not known.
    known : (ny, nx) bool, optional
        Where it is; by default everywhere.
    """
    from scipy import fft

    ny, nx = residual.shape
    down, across = (np.hanning(n + 2)[1:-1].astype(np.float32) for n in (ny, nx))
    tapered = residual.astype(np.float32) * across * down[:, None]
    power = np.abs(fft.rfft2(tapered))
    power[:2, :2] = power[-1:, :2] = 0  # the mean is no stripe
    v, u = np.unravel_index(int(power.argmax()), power.shape)
    v = v - ny if v > ny // 2 else v
    along_y = np.exp(-2j * np.pi * np.outer(v + _ZOOM, np.arange(ny) / ny)).astype(np.complex64)
    along_x = np.exp(-2j * np.pi * np.outer(np.arange(nx) / nx, u + _ZOOM)).astype(np.complex64)
    zoomed = np.abs(along_y @ tapered @ along_x)
    i, j = np.unravel_index(int(zoomed.argmax()), zoomed.shape)
    total = float(down.sum(dtype=np.float64)) * float(across.sum(dtype=np.float64))
    if known is not None:
        total = float(down.astype(np.float64) @ known @ across)
    amplitude = 2 * float(zoomed[i, j]) / total
    return amplitude, (float(u + _ZOOM[j]), float(v + _ZOOM[i]))


def streak(residual: NDArray[np.floating]) -> float:
    """Return the amplitude (Jy/beam) of the strongest sinusoid, or constant, along one row or column of an image.

    What an arm of the array leaves of a source runs along a few columns or rows, and is lost in the mean over the
    image that `stripe` takes. Noise alone has 0.7 to 1.1 rms.
    """
    from scipy import fft

    strongest = 0.0
    for lines in (residual, residual.T):
        taper = np.hanning(len(lines) + 2)[1:-1].astype(np.float32)
        amplitude = np.abs(fft.rfft(lines.astype(np.float32) * taper[:, None], axis=0))
        amplitude[1:] *= 2
        strongest = max(strongest, float(amplitude.max()) / float(taper.sum(dtype=np.float64)))
    return strongest


def psf_fit(psf: NDArray[np.floating], beam: RestoringBeam, cell_rad: float) -> tuple[float, float]:
    """Return how the PSF differs from the restoring beam, for a peak of 1.

    Returns
    -------
    misfit : float
        Largest difference in the core, where the beam is above 0.35.
    sidelobe : float
        Largest absolute value outside the core's first minimum, taken as 1.5 major axes, within 15 beams.
    """
    middle, width_px = psf.shape[0] // 2, math.sqrt(beam.bmaj_rad * beam.bmin_rad) / cell_rad
    reach = min(middle, math.ceil(_SIDELOBE_BEAMS * width_px))
    offset = np.arange(-reach, min(reach, psf.shape[0] - middle - 1) + 1)
    near = psf[middle + offset[0] : middle + offset[-1] + 1, middle + offset[0] : middle + offset[-1] + 1]
    ideal = gaussian(beam, -offset[None, :] * cell_rad, offset[:, None] * cell_rad)
    core = ideal > _CORE_LEVEL
    beyond = np.hypot(offset[None, :], offset[:, None]) * cell_rad > 1.5 * beam.bmaj_rad
    return float(np.abs(near - ideal)[core].max()), float(np.abs(near[beyond]).max(initial=0.0))
