"""Matplotlib, set up so that it writes nothing outside its own temporary folder."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from contimg.errors import ContimgError


def matplotlib_cache() -> Path:
    """Keep matplotlib's font cache out of the home, unless the user chose its place himself.

    Call it before matplotlib is imported. The folder is private to the user (mode 0700) and stays
    from one process to the next: rebuilding the cache takes seconds.

    Raises
    ------
    ContimgError
        If the folder belongs to somebody else.
    """
    chosen = os.environ.get("MPLCONFIGDIR")
    if chosen:
        return Path(chosen)
    place = Path(tempfile.gettempdir()) / f"contimg-matplotlib-{os.getuid()}"
    place.mkdir(mode=0o700, exist_ok=True)
    if place.is_symlink() or place.stat().st_uid != os.getuid():
        raise ContimgError(f"{place} belongs to another user: set MPLCONFIGDIR to a folder of your own")
    os.environ["MPLCONFIGDIR"] = str(place)
    return place
