"""The alternative imager: WSClean (Offringa et al. 2014, MNRAS 444, 606), with the same weights and products.

Its model has no moving primary beam, so the noise of fields with bright sources stays above the thermal noise.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contimg.config import ImageOptions
from contimg.errors import ConfigError, ContimgError
from contimg.imaging.clean.clean import MAJOR_GAIN
from contimg.imaging.grid import TileGrid
from contimg.imaging.imager_result import ImagerResult, NoRestoringBeam
from contimg.sky.restoring_beam import RestoringBeam

_TIMEOUT_S = 7200
# A residual this much above the image has diverged.
_DIVERGED = 1.5


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


def make_image(
    ms: Path, scratch: Path, grid: TileGrid, options: ImageOptions, threads: int
) -> ImagerResult | NoRestoringBeam:
    """Image a Measurement Set, which is only read, with WSClean.

    Parameters
    ----------
    ms : Path
    scratch : Path
        Empty folder for WSClean's files; the caller removes it.
    grid : TileGrid
    options : ImageOptions
    threads : int

    Raises
    ------
    ContimgError
        If WSClean fails or takes longer than two hours.
    """
    from astropy.io import fits

    printed = _run(ms, _command(ms, scratch, grid, options, threads))

    def plane(name: str) -> NDArray[np.float32]:
        return np.asarray(fits.getdata(scratch / f"tile-{name}.fits")[0, 0], np.float32)

    version = re.search(r"WSClean version (\S+)", printed)
    facts = {"wsclean": version[1] if version else None}
    head = fits.getheader(scratch / "tile-image.fits")
    if not head.get("BMIN", 0) > 0:
        return NoRestoringBeam(facts)
    beam = RestoringBeam.from_degrees(head["BMAJ"], head["BMIN"], head["BPA"])
    image, residual = plane("image"), plane("residual")
    # WSClean writes the dirty image only on request; a residual above the restored image tells as much.
    diverged = not float(np.abs(residual).max()) <= _DIVERGED * float(np.abs(image).max())
    return ImagerResult(image, residual, plane("model"), plane("psf"), beam, diverged, facts)


def _command(ms: Path, scratch: Path, grid: TileGrid, options: ImageOptions, threads: int) -> list[str]:
    """Return WSClean's command line."""
    size = str(grid.size_px)
    return [
        "wsclean", "-name", str(scratch / "tile"), "-temp-dir", str(scratch), "-j", str(threads),
        "-size", size, size, "-scale", f"{options.cell_arcsec!r}asec", "-pol", "I", "-data-column", "DATA",
        "-weight", "briggs", repr(options.robust), "-use-wgridder", "-no-update-model-required",
        "-niter", str(options.max_iterations), "-mgain", str(MAJOR_GAIN), "-make-psf",
        "-auto-mask", repr(options.auto_mask_sigma), "-auto-threshold", repr(options.threshold_sigma), str(ms),
    ]  # fmt: skip


def _run(ms: Path, command: list[str]) -> str:
    """Run WSClean, and return what it printed."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise ContimgError(f"wsclean did not finish {ms} in {_TIMEOUT_S} s: image it with backend contimg") from None
    print(done.stdout)
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise ContimgError(f"wsclean failed on {ms} ({' '.join(last)}): see the log, or use image.backend contimg")
    return done.stdout
