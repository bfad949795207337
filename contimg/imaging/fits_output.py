"""The files of a tile image: FITS of one celestial plane each, bit for bit the same each time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg import __version__
from contimg.imaging.grid import Grid
from contimg.imaging.restoring_beam import RestoringBeam
from contimg.times import utc_from_mjd

# name of the product -> (BTYPE, BUNIT); no unit for ratios.
KINDS = {
    "image": ("Apparent brightness, flat noise", "Jy/beam"),
    "pb": ("Effective primary beam (power)", ""),
    "pbcor": ("Brightness, primary beam corrected", "Jy/beam"),
    "residual": ("Apparent residual, flat noise", "Jy/beam"),
    "model": ("Apparent CLEAN components", "Jy/pixel"),
    "psf": ("Point spread function", ""),
    "alpha": ("Spectral index, S proportional to f^alpha", ""),
}


@dataclass(frozen=True)
class Described:
    """What the headers of a tile's files say besides the coordinates.

    Attributes
    ----------
    tile_id, telescope : str
    beam : RestoringBeam
    freq_hz, bandwidth_hz : float
        Effective frequency (weighted as the image is) and bandwidth that went into it.
    start_mjd, end_mjd : float
        UTC (days).
    robust, pb_limit : float
    synthetic : bool
    history : sequence of str
    """

    tile_id: str
    telescope: str
    beam: RestoringBeam
    freq_hz: float
    bandwidth_hz: float
    start_mjd: float
    end_mjd: float
    robust: float
    pb_limit: float
    synthetic: bool
    history: Sequence[str]


def file_names(stem: str, groups: int = 0) -> dict[str, str]:
    """Return the names of a tile's files, of so many channel groups."""
    names = [*KINDS, *(f"group{number}.{name}" for number in range(groups) for name in ("image", "pb"))]
    if not groups:
        names.remove("alpha")
    return {name: f"{stem}.{name}.fits" for name in names} | {
        "thumbnail": f"{stem}.png",
        "quality": f"{stem}.quality.png",
    }


def wcs_cards(grid: Grid) -> dict[str, tuple[Any, str]]:
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
    cards["LONPOLE"] = (180.0, "[deg]")
    cards["LATPOLE"] = (dec, "[deg]")
    cards["RADESYS"] = ("ICRS", "celestial reference system")
    return cards


def header(grid: Grid, described: Described) -> Any:
    """Return the header that a tile's FITS files share."""
    from astropy.io import fits

    head = fits.Header()
    for key, card in wcs_cards(grid).items():
        head[key] = card
    beam = described.beam
    head["BMAJ"] = (math.degrees(beam.bmaj_rad), "[deg] restoring beam, fitted to the PSF")
    head["BMIN"] = (math.degrees(beam.bmin_rad), "[deg]")
    head["BPA"] = (math.degrees(beam.bpa_rad), "[deg] from north to east")
    head["FREQ"] = (described.freq_hz, "[Hz] effective frequency, imaging weights")
    head["BANDWID"] = (described.bandwidth_hz, "[Hz] bandwidth used")
    head["RESTFRQ"] = (described.freq_hz, "[Hz] same as FREQ")
    head["SPECSYS"] = ("TOPOCENT", "frame of the frequencies")
    head["TIMESYS"] = ("UTC", "time scale")
    head["DATE-OBS"] = (utc_from_mjd(described.start_mjd), "start of the first integration used")
    head["DATE-BEG"] = (utc_from_mjd(described.start_mjd), "same as DATE-OBS")
    head["DATE-END"] = (utc_from_mjd(described.end_mjd), "end of the last integration used")
    head["MJD-OBS"] = (described.start_mjd, "[d] same as DATE-OBS")
    head["MJD-BEG"] = (described.start_mjd, "[d] same as DATE-BEG")
    head["MJD-END"] = (described.end_mjd, "[d] same as DATE-END")
    head["TELESCOP"] = (described.telescope, "as in the correlator's files")
    head["INSTRUME"] = ("DSA-110", "instrument")
    head["OBJECT"] = (described.tile_id, "tile")
    head["ROBUST"] = (described.robust, "Briggs robustness")
    head["PBLIMIT"] = (described.pb_limit, "pbcor is blank where the beam is lower")
    head["SYNTHET"] = (described.synthetic, "T: simulated data, not the sky")
    head["ORIGIN"] = (f"contimg {__version__}", "software")
    for line in described.history:
        head["HISTORY"] = line
    return head


def of_group(shared: Any, freq_hz: float, bandwidth_hz: float) -> Any:
    """Return the header for the images of a part of the band."""
    own = shared.copy()
    for key, value in (("FREQ", freq_hz), ("RESTFRQ", freq_hz), ("BANDWID", bandwidth_hz)):
        own[key] = value
    return own


def write_fits(path: Path, name: str, data: NDArray[np.floating], shared: Any) -> None:
    """Write one of `KINDS` as float32, with checksums whose comments hold no wall clock."""
    from astropy.io import fits

    kind, unit = KINDS[name]
    hdu = fits.PrimaryHDU(np.ascontiguousarray(data, dtype=np.float32), header=shared)
    hdu.header.set("BTYPE", kind, "what the pixels are", before="BMAJ")
    if unit:
        hdu.header.set("BUNIT", unit, "unit of the pixels", before="BTYPE")
    hdu.add_datasum(when="of the data")
    hdu.add_checksum(when="of the HDU", override_datasum=False)
    hdu.writeto(path, output_verify="exception")
