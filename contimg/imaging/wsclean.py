"""The alternative imager: WSClean (Offringa et al. 2014, MNRAS 444, 606), with the same weights and products.

It has no moving beam in its model, so fields with bright sources stop above the radiometer's noise.
"""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contimg.config import ImageOptions
from contimg.errors import ConfigError, ContimgError
from contimg.imaging.clean.clean import MAJOR_GAIN
from contimg.imaging.grid import Grid
from contimg.imaging.imager import Imaged
from contimg.imaging.restoring_beam import RestoringBeam

_TIMEOUT_S = 7200


def check(options: ImageOptions) -> None:
    """Refuse what WSClean cannot do.

    Raises
    ------
    ConfigError
        If it is not installed, or the image size is odd, or something is asked for that only ours does.
    """
    if shutil.which("wsclean") is None:
        raise ConfigError("image.backend is 'wsclean', which is not installed: install it or write contimg")
    for key, off in (("channel_groups", 1), ("catalogue_mask", False)):
        if getattr(options, key) != off:
            raise ConfigError(f"image.{key} needs image.backend contimg: set it to {str(off).lower()} for wsclean")
    if options.size_px is not None and options.size_px % 2:
        raise ConfigError(f"image.size_px is {options.size_px}, but WSClean wants even sizes: add one pixel")


def make_image(ms: Path, scratch: Path, grid: Grid, options: ImageOptions, threads: int) -> Imaged:
    """Image a Measurement Set; it is only read.

    Parameters
    ----------
    ms : Path
    scratch : Path
        Empty folder for WSClean's files; the caller removes it.
    grid : Grid
    options : ImageOptions
    threads : int

    Raises
    ------
    ContimgError
        If WSClean fails or takes longer than two hours.
    """
    from astropy.io import fits

    size = str(grid.size_px)
    command = [
        "wsclean", "-name", str(scratch / "tile"), "-temp-dir", str(scratch), "-j", str(threads),
        "-size", size, size, "-scale", f"{options.cell_arcsec!r}asec", "-pol", "I", "-data-column", "DATA",
        "-weight", "briggs", repr(options.robust), "-use-wgridder", "-no-update-model-required",
        "-niter", str(options.max_iterations), "-mgain", str(MAJOR_GAIN), "-make-psf",
        "-auto-mask", repr(options.auto_mask_sigma), "-auto-threshold", repr(options.threshold_sigma), str(ms),
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise ContimgError(f"wsclean did not finish {ms} in {_TIMEOUT_S} s: image it with backend contimg") from None
    print(done.stdout)
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise ContimgError(f"wsclean failed on {ms} ({' '.join(last)}): see the log, or use image.backend contimg")

    def plane(name: str) -> NDArray[np.float32]:
        return fits.getdata(scratch / f"tile-{name}.fits")[0, 0].astype(np.float32)

    psf = plane("psf")
    head = fits.getheader(scratch / "tile-image.fits")
    facts = {"wsclean": re.search(r"WSClean version (\S+)", done.stdout)[1]}
    if not head.get("BMIN", 0) > 0:
        return Imaged(None, None, None, psf, None, facts=facts)
    beam = RestoringBeam(*(math.radians(head[key]) for key in ("BMAJ", "BMIN", "BPA")))
    image, residual = plane("image"), plane("residual")
    # The dirty image is only written on request; a residual above the restored image is as telling.
    diverged = not float(np.abs(residual).max()) <= 1.5 * float(np.abs(image).max())
    return Imaged(image, residual, plane("model"), psf, beam, diverged, facts)
