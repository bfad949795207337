"""Validation of a bundle: whether it is complete, and its image, weights and rms can be used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from contimg.bundle import bundle
from contimg.bundle.metadata import REQUIRED_FACTS, REQUIRED_QA
from contimg.bundle.pixel_rows import pixel_rows
from contimg.errors import RegistryError
from contimg.products.fits_planes import image_hdu
from contimg.products.twin import Reason

if TYPE_CHECKING:
    from astropy.io.fits import Header

REQUIRED_SUFFIXES = (".fits", ".weights.fits", ".rms.fits", ".png", ".json")
# World coordinates that image, weights and rms must share.
_GRID = ("CTYPE1", "CTYPE2", "CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2", "CDELT1", "CDELT2")


def validate(path: Path, data_id: str, manifest_sha256: str, *, just_read: bool = False) -> list[Reason]:
    """Return the faults of a bundle's content; an empty list when it can be published.

    Checked: the required files and metadata; that the image has finite pixels, a restoring beam and a
    unit; that weights and rms lie on its grid and are positive wherever the image is finite. With `just_read` the files
    are not compared with the manifest.

    Raises
    ------
    RegistryError
        If a file differs from the manifest, or the manifest from the registry: a fault of the machine, which is
        no verdict on the data.
    """
    problem = None if just_read else bundle.problem(path, manifest_sha256)
    if problem is not None:
        raise RegistryError(f"{problem}: rerun the same command, which makes the bundle again from the mosaic")
    metadata, path = bundle.read_metadata(path), bundle.payload(path)
    reasons = []
    for key in (*REQUIRED_FACTS, *REQUIRED_QA):
        if metadata.get(key) is None:
            reasons.append(_reason("metadata_missing", f"the mosaic's twin states no '{key}'"))
    missing = [suffix for suffix in REQUIRED_SUFFIXES if not (path / f"{data_id}{suffix}").is_file()]
    reasons += [_reason("file_missing", f"the bundle holds no {data_id}{suffix}") for suffix in missing]
    if not {".fits", ".weights.fits", ".rms.fits"} & set(missing):
        reasons += _validate_images(path, data_id, synthetic=metadata["synthetic"])
    return reasons


def _validate_images(path: Path, data_id: str, *, synthetic: bool) -> list[Reason]:
    from astropy.io import fits

    reasons = []
    try:
        with (
            fits.open(path / f"{data_id}.fits", memmap=False) as opened,
            fits.open(path / f"{data_id}.weights.fits", memmap=False) as opened_weights,
            fits.open(path / f"{data_id}.rms.fits", memmap=False) as opened_rms,
        ):
            image, weights, rms = map(image_hdu, (opened, opened_weights, opened_rms))
            header = image.header
            for key, what in (("BMAJ", "restoring beam"), ("BMIN", "restoring beam"), ("BUNIT", "unit")):
                if key not in header:
                    reasons.append(_reason("header_missing", f"{data_id}.fits has no {key} ({what})"))
            if bool(header.get("SYNTHET")) != synthetic:
                claim = "does not say" if synthetic else "says"
                reasons.append(_reason("synthetic_differs", f"{data_id}.fits {claim} that it is simulated"))
            for name, other in (("weights", weights), ("rms", rms)):
                reasons += _compare_grids(data_id, name, header, image.shape, other.header, other.shape)
            if not reasons and not image.size:
                reasons.append(_reason("fits_invalid", f"the first HDU of {data_id}.fits holds no data"))
            if not reasons:
                reasons = _validate_pixels(data_id, image, weights, rms)
    except (OSError, ValueError, TypeError, IndexError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the machine, not the file
        reasons.append(_reason("fits_invalid", f"an image of {data_id} is not a valid FITS ({error})"))
    return reasons


def _compare_grids(
    data_id: str, name: str, header: Header, shape: tuple[int, ...], other: Header, other_shape: tuple[int, ...]
) -> list[Reason]:
    if shape != other_shape:
        return [_reason("grid_differs", f"{data_id}.{name}.fits has shape {other_shape}, the image {shape}")]
    different = [key for key in _GRID if header.get(key) != other.get(key)]
    if different:
        return [_reason("grid_differs", f"{data_id}.{name}.fits differs from the image in {', '.join(different)}")]
    return []


def _validate_pixels(data_id: str, image: Any, weights: Any, rms: Any) -> list[Reason]:
    """Return what is wrong with the pixels of three images (HDUs) of one shape."""
    n_finite = n_infinite = n_unweighted = 0
    for (_, values), (_, weight), (_, noise) in zip(*map(pixel_rows, (image, weights, rms)), strict=True):
        finite = np.isfinite(values)
        n_finite += int(finite.sum())
        n_infinite += int(np.isinf(values).sum())
        n_unweighted += int((finite & ~((weight > 0) & np.isfinite(weight) & (noise > 0) & np.isfinite(noise))).sum())
    reasons = []
    if n_finite == 0:
        reasons.append(_reason("no_pixels", f"{data_id}.fits has no finite pixel", measured=0, threshold=1))
    if n_infinite:
        reasons.append(
            _reason("infinite_pixels", f"{data_id}.fits has infinite pixels", measured=n_infinite, threshold=0)
        )
    if n_unweighted:
        reasons.append(
            _reason(
                "weights_differ",
                f"{data_id} has pixels without a positive weight and rms",
                measured=n_unweighted,
                threshold=0,
            )
        )
    return reasons


def _reason(code: str, message: str, measured: int | None = None, threshold: int | None = None) -> Reason:
    return Reason(code=code, severity="failed", message=message, measured=measured, threshold=threshold)
