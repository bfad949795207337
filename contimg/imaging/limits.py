"""Limits of what can be imaged, checked before anything is read: size on the sky, memory, telescope."""

from __future__ import annotations

import math
import os
from pathlib import Path

from contimg.config import ImageOptions
from contimg.errors import ConfigError
from contimg.measurement_set import Coordinates
from contimg.products.fits_header import CORRELATOR_NAMES

# Measured peak of the imager: fourteen double-precision planes.
_BYTES_PER_PIXEL = 14 * 8
# Image and beam of a channel group, and, on coarser pixels, its planes in CLEAN.
_BYTES_PER_PIXEL_OF_GROUP = 16
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def check_size(options: ImageOptions, size_px: int | None = None, memory_bytes: int | None = None) -> None:
    """Refuse an image that the sky or this machine's memory cannot hold.

    Parameters
    ----------
    options : ImageOptions
    size_px : int, optional
        Instead of ``options.size_px``. Without either there is nothing to check yet.
    memory_bytes : int, optional
        Instead of the memory of this machine, or of the job's control group.

    Raises
    ------
    ConfigError
        With the memory that the image needs, or the angle that it spans.
    """
    size_px = size_px or options.size_px
    if size_px is None:
        return
    # Direction cosines of the corners: sqrt(2) half the width, and 1 at the horizon.
    half = size_px / 2 * math.radians(options.cell_arcsec / 3600)
    if math.sqrt(2) * half >= 1:
        raise ConfigError(
            f"image.size_px {size_px} of {options.cell_arcsec:g} arcsec are "
            f"{math.degrees(2 * half):.0f} degrees, more than the sky above a tile: choose a smaller image"
        )
    there = machine_memory() if memory_bytes is None else memory_bytes
    groups = options.channel_groups if options.channel_groups > 1 else 0
    needed = size_px**2 * (_BYTES_PER_PIXEL + groups * _BYTES_PER_PIXEL_OF_GROUP)
    if needed > there:
        raise ConfigError(
            f"image.size_px {size_px} needs {needed / 1e9:.1f} GB of memory, and there are "
            f"{there / 1e9:.1f} GB: choose a smaller image"
        )


def machine_memory() -> int:
    """Return the memory (bytes) of this machine, or of the control group that the process is in, if that is less."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for place in map(Path, _CGROUP_LIMITS):
        if place.is_file() and (text := place.read_text().strip()).isdecimal():
            limits.append(int(text))
    return min(limits)


def wrong_telescope(coordinates: Coordinates) -> str | None:
    """Return why a tile cannot be imaged with this telescope's beam and geometry; None if it can."""
    if coordinates.telescope in CORRELATOR_NAMES:
        return None
    return f"the tile is of telescope {coordinates.telescope!r}, not of {' or '.join(CORRELATOR_NAMES)}"
