"""The thumbnail of a mosaic: its pixels alone, in the colours of its picture, without axes or text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contimg.bundle.pixel_rows import pixel_rows
from contimg.products.fits_images import reported
from contimg.products.fits_planes import image_hdu
from contimg.storage.atomic import atomic_path

WIDTH_PX = 420
# Colours as in contimg/mosaic/picture.py: asinh from -3 to 120 times the noise, linear within 4.
_LOW, _HIGH, _LINEAR = -3.0, 120.0, 4.0
_BLANK = (0xE9, 0xE9, 0xEE)
# matplotlib's "inferno" at nine equal steps: importing matplotlib would take a publisher more memory than it asks for.
_INFERNO = ((0, 0, 4), (31, 12, 72), (85, 15, 109), (136, 34, 106), (186, 54, 85), (227, 89, 51), (249, 142, 9),
            (249, 203, 53), (252, 255, 164))  # fmt: skip


def write_thumbnail(image: Path, place: Path, rms_mjy: float | None) -> str | None:
    """Write a small picture of an image's pixels and return its name; None where no pixel has a value.

    Parameters
    ----------
    image : Path
        FITS, Jy/beam.
    place : Path
        PNG to write.
    rms_mjy : float or None
        Noise, which sets the scale of the colours; None takes the scatter of the picture's pixels.
    """
    from astropy.io import fits

    with reported(image), fits.open(image, memmap=False) as opened:
        hdu = image_hdu(opened)
        small = _block_means(pixel_rows(hdu), *hdu.shape[-2:])
    finite = np.isfinite(small)
    if not finite.any():
        return None
    values = small[finite]
    scatter = 1.4826 * float(np.median(np.abs(values - np.median(values))))
    noise = rms_mjy / 1e3 if rms_mjy else scatter or 1.0
    with atomic_path(place) as part:
        _save(small, noise, part)
    return place.name


def _block_means(blocks: Iterator[tuple[int, NDArray[np.float32]]], n_rows: int, n_columns: int) -> NDArray[np.float64]:
    """Return means over square blocks of finite pixels, at most `WIDTH_PX` wide and high; NaN where there is none."""
    step = max(1, -(-max(n_rows, n_columns) // WIDTH_PX))
    shape = (-(-n_rows // step), -(-n_columns // step))
    total, number = np.zeros(shape), np.zeros(shape)
    columns = np.arange(n_columns) // step
    for first, block in blocks:
        rows = (first + np.arange(len(block))) // step
        finite = np.isfinite(block)
        for row in np.unique(rows[rows < shape[0]]):
            inside = rows == row
            total[row] += np.bincount(columns, np.where(finite, block, 0)[inside].sum(axis=0), shape[1])
            number[row] += np.bincount(columns, finite[inside].sum(axis=0), shape[1])
    with np.errstate(invalid="ignore"):
        return total / np.where(number > 0, number, np.nan)


def _save(small: NDArray[np.float64], noise: float, place: Path) -> None:
    """Save pixels as PNG, north up, blank ones in the light grey of the pictures."""
    from PIL import Image

    low, high = (np.arcsinh(level / _LINEAR) for level in (_LOW, _HIGH))
    scaled = (np.arcsinh(small / (_LINEAR * noise)) - low) / (high - low)
    level, steps = np.nan_to_num(np.clip(scaled, 0, 1)), np.linspace(0, 1, len(_INFERNO))
    colours = np.stack([np.interp(level, steps, channel) for channel in np.transpose(_INFERNO)], axis=-1).astype(
        np.uint8
    )
    colours[~np.isfinite(small)] = _BLANK
    Image.fromarray(colours[::-1]).save(place, format="PNG", optimize=True)
