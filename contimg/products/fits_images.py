"""FITS images of products, read with one sentence for each fault."""

from __future__ import annotations

import contextlib
import os
import stat
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.errors import InputError
from contimg.products.fits_planes import image_hdu


class DamagedFileError(InputError):
    """A file of a product is missing, unreadable, or not what the product's twin says."""

    def __init__(self, path: Path, fault: str) -> None:
        super().__init__(f"{path} {fault}: delete its product's twin and rerun snakemake")
        self.path = path
        self.fault = fault


@dataclass(frozen=True)
class FitsImage:
    """A FITS image of one celestial plane, with or without axes of frequency and Stokes parameter.

    Attributes
    ----------
    path : Path
    data : (ny, nx) float64, or the precision that was asked for
    header : astropy.io.fits.Header
    wcs : astropy.wcs.WCS
        The celestial axes.
    """

    path: Path
    data: NDArray[Any]
    header: Any
    wcs: Any


def read_image(path: Path, *, verify: bool = False, dtype: type[np.floating] = np.float64) -> FitsImage:
    """Read a FITS image of one plane.

    Parameters
    ----------
    path : Path
    verify : bool
        Compare the pixels with the header's ``DATASUM``, which every image of a product has.
    dtype : type
        Precision of the pixels. Images of products are in single precision on disk.

    Raises
    ------
    DamagedFileError
        If it is missing, not FITS, truncated, altered, or not one plane with celestial coordinates.
    OSError
        If the machine cannot read it.
    """
    from astropy.io import fits
    from astropy.wcs import WCS

    with reported(path), fits.open(path, memmap=False) as hdus:
        hdu = image_hdu(hdus)
        if verify and hdu.verify_datasum() != 1:
            raise DamagedFileError(path, "does not have the DATASUM of its header")
        data, header = hdu.data, hdu.header
        wcs = WCS(header).celestial
    if data is None or data.ndim < 2 or data.size != np.prod(data.shape[-2:]):
        raise DamagedFileError(path, "is not an image of one plane")
    if wcs.naxis != 2:
        raise DamagedFileError(path, "has no celestial coordinates")
    return FitsImage(path, data.reshape(data.shape[-2:]).astype(dtype), header, wcs)


@contextlib.contextmanager
def reported(path: Path) -> Iterator[None]:
    """Raise what astropy makes of a damaged FITS file in a block as `DamagedFileError`, a disk's errors as they are.

    astropy says of most faults neither the file nor, by the kind of exception, that it is the file's; and it would read
    a device or a FIFO without end.
    """
    from astropy.io import fits

    try:
        with warnings.catch_warnings():
            # astropy warns of truncation and of cards it cannot read, and goes on.
            warnings.simplefilter("ignore")
            if not stat.S_ISREG(os.stat(path).st_mode):
                raise DamagedFileError(path, "is no plain file")
            yield
    except FileNotFoundError:
        raise DamagedFileError(path, "does not exist") from None
    except (OSError, ValueError, KeyError, TypeError, IndexError, fits.VerifyError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the machine's fault, not the file's
        raise DamagedFileError(path, f"is not a whole FITS file ({_first_line(error)})") from None


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
