"""FITS images of products, read with one sentence for each fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.errors import InputError


def read_plane(path: Path) -> tuple[NDArray[np.float64], Any]:
    """Read a FITS image of one plane.

    Returns
    -------
    data : (ny, nx) float64
    wcs : astropy.wcs.WCS
        Its celestial axes.

    Raises
    ------
    InputError
        If it is missing, not FITS, or not one plane with celestial coordinates.
    """
    import warnings

    from astropy.io import fits
    from astropy.wcs import WCS, FITSFixedWarning

    try:
        with fits.open(path, memmap=False) as hdus:
            data, header = hdus[0].data, hdus[0].header
    except FileNotFoundError:
        raise InputError(f"{path} does not exist, but its twin does: delete the twin and rerun snakemake") from None
    except OSError as error:
        if error.errno is not None:  # the machine's fault, not the file's
            raise
        raise InputError(f"{path} is not a FITS file ({error}): delete it and its twin and rerun") from None
    if data is None or data.size != np.prod(data.shape[-2:]):
        raise InputError(f"{path} is not an image of one plane: delete it and its twin and rerun snakemake")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)  # only tells that MJD-OBS was derived
        wcs = WCS(header).celestial
    if wcs.naxis != 2:
        raise InputError(f"{path} has no celestial coordinates: delete it and its twin and rerun snakemake")
    return data.reshape(data.shape[-2:]).astype(np.float64), wcs
