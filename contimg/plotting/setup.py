"""Matplotlib: where it caches its fonts, and the stamp on pictures of simulated data."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from contimg.errors import ContimgError


def matplotlib_cache() -> Path:
    """Set matplotlib's cache folder, unless MPLCONFIGDIR is set, so that nothing is written into the home; return it.

    To be called before matplotlib is imported. The folder is private to the user (mode 0700) and stays
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


def stamp_synthetic(figure: Any, x: float, y: float) -> None:
    """Write SYNTHETIC on a figure, right-aligned at x and y in units of its size."""
    figure.text(
        x, y, "SYNTHETIC", fontsize=12, weight="bold", color="#b00020", ha="right",
        bbox={"boxstyle": "round,pad=0.3", "fc": "white", "ec": "#b00020", "lw": 1.4},
    )  # fmt: skip
