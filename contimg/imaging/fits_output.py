"""The files of a tile image: their names, kinds, units and headers, one celestial plane each."""

from __future__ import annotations

import math
from typing import Any

from contimg.imaging.grid import TileGrid
from contimg.products.fits_header import ImageKeywords, add_keywords

# Name of the plane -> (BTYPE, BUNIT); no unit for ratios.
KINDS = {
    "image": ("Apparent brightness, flat noise", "Jy/beam"),
    "pb": ("Effective primary beam (power)", ""),
    "pbcor": ("Brightness, primary beam corrected", "Jy/beam"),
    "residual": ("Apparent residual, flat noise", "Jy/beam"),
    "model": ("Apparent CLEAN components", "Jy/pixel"),
    "psf": ("Point spread function", ""),
    "alpha": ("Spectral index, S proportional to f^alpha", ""),
}


def file_names(stem: str, groups: int = 0) -> dict[str, str]:
    """Return plane -> file name of a tile with a number of channel groups."""
    names = [*KINDS, *(f"group{number}.{name}" for number in range(groups) for name in ("image", "pb"))]
    if not groups:
        names.remove("alpha")
    return {name: f"{stem}.{name}.fits" for name in names} | {
        "thumbnail": f"{stem}.png",
        "quality": f"{stem}.quality.png",
    }


def wcs_cards(grid: TileGrid) -> dict[str, tuple[Any, str]]:
    """Return the cards of the celestial coordinates (Calabretta & Greisen 2002, A&A 395, 1077)."""
    ra, dec = (math.degrees(angle) for angle in grid.centre_rad)
    cell = math.degrees(grid.cell_rad)
    cards: dict[str, tuple[Any, str]] = {}
    axes = ((1, "RA---SIN", ra % 360, -cell), (2, "DEC--SIN", dec, cell))
    for axis, kind, value, step in axes:
        cards[f"CTYPE{axis}"] = (kind, "orthographic about the phase centre")
        cards[f"CRPIX{axis}"] = (float(grid.middle + 1), "pixel of the phase centre, from 1")
        cards[f"CRVAL{axis}"] = (value, "[deg] phase centre")
        cards[f"CDELT{axis}"] = (step, "[deg] pixel size")
        cards[f"CUNIT{axis}"] = ("deg", "")
    if any(grid.slant):
        cards["PV2_1"] = (grid.slant[0], "xi of the slant orthographic projection")
        cards["PV2_2"] = (grid.slant[1], "eta: pixels are parallel to the array")
    cards["LONPOLE"] = (180.0, "[deg]")
    cards["LATPOLE"] = (dec, "[deg]")
    cards["RADESYS"] = ("ICRS", "celestial reference system")
    return cards


def header(grid: TileGrid, keywords: ImageKeywords) -> Any:
    """Return the header that a tile's FITS files share."""
    from astropy.io import fits

    head = fits.Header()
    for key, card in wcs_cards(grid).items():
        head[key] = card
    add_keywords(head, keywords)
    return head


def of_group(shared: Any, freq_hz: float, bandwidth_hz: float) -> Any:
    """Return the header for the images of a part of the band."""
    own = shared.copy()
    for key in ("FREQ", "RESTFRQ", "CRVAL3"):
        own[key] = freq_hz
    for key in ("BANDWID", "CDELT3"):
        own[key] = bandwidth_hz
    return own
