"""Choosing the catalogue of a declination: one file, or the best of a folder of strips."""

from __future__ import annotations

from pathlib import Path

from contimg.errors import InputError
from contimg.sky.strip_files import Strip, read_header


def strips_of(folder: Path) -> list[Strip]:
    """Return the strips in a folder, that is the files that ``contimg catalogue make`` wrote there, by name."""
    return [strip for path in sorted(folder.glob("*.fits")) if (strip := read_header(path)) is not None]


def catalogue_at(place: Path, dec_deg: float) -> Path:
    """Return the catalogue of a declination: of a folder the strip whose nearer edge is furthest away.

    Parameters
    ----------
    place : Path
        ``sky.catalogue``: a file, which serves any declination, or a folder.
    dec_deg : float
        Of the pointing.

    Raises
    ------
    InputError
        If no strip of the folder holds the declination.
    """
    if not place.is_dir():
        return place
    strips = strips_of(place)
    make = f"contimg catalogue make --from nvss FILE --dec {dec_deg:.1f} --width 10 {place}"
    if not strips:
        raise InputError(f"sky.catalogue {place} is a folder without a strip: type {make}")
    best = max(strips, key=lambda strip: (_margin(strip, dec_deg), strip.path.name))
    if _margin(best, dec_deg) < 0:
        have = ", ".join(f"{strip.min_deg:+.1f} to {strip.max_deg:+.1f}" for strip in strips[:6])
        raise InputError(
            f"sky.catalogue {place} has no strip for declination {dec_deg:+.2f} deg, only {have}: type {make}"
        )
    return best.path


def _margin(strip: Strip, dec_deg: float) -> float:
    """Return the distance (deg) of a declination from the nearer edge of a strip, negative outside of it.

    An edge at a pole is no edge.
    """
    low = float("-inf") if strip.min_deg <= -90 else strip.min_deg
    high = float("inf") if strip.max_deg >= 90 else strip.max_deg
    return min(dec_deg - low, high - dec_deg)
