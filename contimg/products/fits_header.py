"""FITS keywords that tile images and mosaics have in common, and the writing of their planes.

Keywords of FITS 4.0 (Pence et al. 2010, A&A 524, A42, and the standard of 2016), times after Rots et al. 2015
(A&A 574, A36), and BMAJ, BMIN and BPA as AIPS and CASA write them. Files are the same, byte for byte, when they are
written again: their comments hold no wall clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from contimg import __version__
from contimg.times import utc_from_mjd

# Comments that differ: of BMAJ, BPA, FREQ and BANDWID, and what starts and ends an observation.
_COMMENTS = {
    "tile": {
        "BMAJ": "[deg] restoring beam, fitted to the PSF",
        "BMIN": "[deg]",
        "BPA": "[deg] from north to east",
        "FREQ": "[Hz] effective frequency, imaging weights",
        "BANDWID": "[Hz] bandwidth used",
        "first": "integration used",
    },
    "mosaic": {
        "BMAJ": "[deg] common restoring beam, major axis",
        "BMIN": "[deg] common restoring beam, minor axis",
        "BPA": "[deg] north to east at the centre",
        "FREQ": "[Hz] effective frequency, weighted over tiles",
        "BANDWID": "[Hz] bandwidth received, weighted over tiles",
        "first": "tile used",
    },
}


@dataclass(frozen=True)
class ImageKeywords:
    """What the headers of a product's planes say besides their coordinates.

    Attributes
    ----------
    kind : str
        ``tile`` or ``mosaic``.
    name : str
        Its id, for OBJECT.
    telescope : str or None
        As in the correlator's files.
    beam_deg : (float, float, float)
        BMAJ, BMIN, BPA of the restoring beam.
    freq_hz, bandwidth_hz : float
        Effective frequency, and bandwidth that went into the image.
    start_mjd, end_mjd : float
        Start of the first and end of the last integration used (UTC, days).
    synthetic : bool
    extra : mapping of str to (value, comment)
        Keywords of this kind of image.
    history : sequence of str
    """

    kind: Literal["tile", "mosaic"]
    name: str
    telescope: str | None
    beam_deg: tuple[float, float, float]
    freq_hz: float
    bandwidth_hz: float
    start_mjd: float
    end_mjd: float
    synthetic: bool
    extra: Mapping[str, tuple[Any, str]] = field(default_factory=dict)
    history: Sequence[str] = ()

    def cards(self) -> dict[str, tuple[Any, str]]:
        """Return keyword -> (value, comment)."""
        comments = _COMMENTS[self.kind]
        start, end = utc_from_mjd(self.start_mjd), utc_from_mjd(self.end_mjd)
        cards: dict[str, tuple[Any, str]] = {
            **{key: (value, comments[key]) for key, value in zip(("BMAJ", "BMIN", "BPA"), self.beam_deg, strict=True)},
            "FREQ": (self.freq_hz, comments["FREQ"]),
            "BANDWID": (self.bandwidth_hz, comments["BANDWID"]),
            "RESTFRQ": (self.freq_hz, "[Hz] same as FREQ"),
            "SPECSYS": ("TOPOCENT", "frame of the frequencies"),
            "TIMESYS": ("UTC", "time scale"),
            "DATE-OBS": (start, f"start of the first {comments['first']}"),
            "DATE-BEG": (start, "same as DATE-OBS"),
            "DATE-END": (end, f"end of the last {comments['first']}"),
            "MJD-OBS": (self.start_mjd, "[d] same as DATE-OBS"),
            "MJD-BEG": (self.start_mjd, "[d] same as DATE-BEG"),
            "MJD-END": (self.end_mjd, "[d] same as DATE-END"),
        }
        if self.telescope:
            cards["TELESCOP"] = (self.telescope, "as in the correlator's files")
        cards["INSTRUME"] = ("DSA-110", "instrument")
        cards["OBJECT"] = (self.name, self.kind)
        cards |= self.extra
        cards["SYNTHET"] = (self.synthetic, "T: simulated data, not the sky")
        cards["ORIGIN"] = (f"contimg {__version__}", "software")
        return cards


def add_keywords(header: Any, keywords: ImageKeywords) -> None:
    """Add an image's keywords and history to a FITS header that has its celestial coordinates.

    FITS headers are ASCII: names of a person's files and calibrators, which the history has, may hold other letters.
    """
    for key, card in keywords.cards().items():
        header[key] = card
    for line in keywords.history:
        header["HISTORY"] = line.encode("ascii", "replace").decode("ascii")


def write_plane(
    path: Path, data: NDArray[np.floating] | NDArray[np.integer], header: Any, kind: str, unit: str
) -> None:
    """Write one plane as a float32 FITS image with checksums.

    Parameters
    ----------
    path : Path
    data : (ny, nx) array
    header : astropy.io.fits.Header
        Of `add_keywords`.
    kind, unit : str
        BTYPE, and BUNIT; no unit for ratios.
    """
    from astropy.io import fits

    hdu = fits.PrimaryHDU(np.ascontiguousarray(data, dtype=np.float32), header=header)
    hdu.header.set("BTYPE", kind, "what the pixels are", before="BMAJ")
    if unit:
        hdu.header.set("BUNIT", unit, "unit of the pixels", before="BTYPE")
    hdu.add_datasum(when="of the data")
    hdu.add_checksum(when="of the HDU", override_datasum=False)
    hdu.writeto(path, output_verify="exception")
