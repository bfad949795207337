"""FITS keywords that tile images and mosaics have in common: axes, beam, frequency, time, and who made them.

Keywords of FITS 4.0 (Pence et al. 2010, A&A 524, A42, and the standard of 2016), frequencies after Greisen et al. 2006
(A&A 446, 747), times after Rots et al. 2015 (A&A 574, A36), and BMAJ, BMIN and BPA as AIPS and CASA write them. Images
have four axes, right ascension, declination, frequency and Stokes I, as CASA, CARTA and spectral-cube expect them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from contimg import __version__
from contimg.times import utc_from_mjd

TELESCOPE = "DSA-110"
"""TELESCOP of this telescope's images: the name that its papers and archives use."""
CORRELATOR_NAMES = ("OVRO_MMA", "DSA_110", "DSA-110")
"""What its correlator's files call it."""
# Half axis (m) and flattening of the ellipsoid of OBSGEO-L, -B and -H, that of the IAU of 1976.
_ELLIPSOID = (6378140.0, 1 / 298.2577)
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
    position_m : (float, float, float), optional
        Place of the array (ITRF), without which frequencies cannot be turned into another frame.
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
    position_m: tuple[float, float, float] | None = None
    extra: Mapping[str, tuple[Any, str]] = field(default_factory=dict)
    history: Sequence[str] = ()

    def cards(self) -> dict[str, tuple[Any, str]]:
        """Return keyword -> (value, comment)."""
        comments = _COMMENTS[self.kind]
        middle_mjd = (self.start_mjd + self.end_mjd) / 2
        start, middle, end = (utc_from_mjd(mjd) for mjd in (self.start_mjd, middle_mjd, self.end_mjd))
        cards: dict[str, tuple[Any, str]] = {
            **{key: (value, comments[key]) for key, value in zip(("BMAJ", "BMIN", "BPA"), self.beam_deg, strict=True)},
            "FREQ": (self.freq_hz, comments["FREQ"]),
            "BANDWID": (self.bandwidth_hz, comments["BANDWID"]),
            "RESTFRQ": (self.freq_hz, "[Hz] same as FREQ"),
            "SPECSYS": ("TOPOCENT", "frame of the frequencies"),
            "TIMESYS": ("UTC", "time scale"),
            "DATE-OBS": (start, f"start of the first {comments['first']}"),
            "DATE-BEG": (start, "same as DATE-OBS"),
            "DATE-AVG": (middle, "middle of start and end"),
            "DATE-END": (end, f"end of the last {comments['first']}"),
            "MJD-OBS": (self.start_mjd, "[d] same as DATE-OBS"),
            "MJD-BEG": (self.start_mjd, "[d] same as DATE-BEG"),
            "MJD-AVG": (middle_mjd, "[d] same as DATE-AVG"),
            "MJD-END": (self.end_mjd, "[d] same as DATE-END"),
        }
        if self.telescope:
            known = all(name in CORRELATOR_NAMES for name in self.telescope.split("; "))
            cards["TELESCOP"] = (TELESCOPE if known else self.telescope, f"{self.telescope} in the correlator's files")
        cards["INSTRUME"] = ("DSA-110", "instrument")
        if self.position_m is not None:
            cards |= place_cards(self.position_m)
        cards["OBJECT"] = (self.name, self.kind)
        cards |= self.extra
        cards["SYNTHET"] = (self.synthetic, "T: simulated data, not the sky")
        cards["ORIGIN"] = (f"contimg {__version__}", "software")
        return cards


def spectral_cards(freq_hz: float, bandwidth_hz: float) -> dict[str, tuple[Any, str]]:
    """Return the cards of the axes of frequency (one channel, the band) and Stokes parameter (I)."""
    return {
        "CTYPE3": ("FREQ", "frequency"),
        "CRPIX3": (1.0, "the only channel"),
        "CRVAL3": (freq_hz, "[Hz] same as FREQ"),
        "CDELT3": (bandwidth_hz, "[Hz] same as BANDWID"),
        "CUNIT3": ("Hz", ""),
        "CTYPE4": ("STOKES", "Stokes parameter"),
        "CRPIX4": (1.0, "the only one"),
        "CRVAL4": (1.0, "I"),
        "CDELT4": (1.0, ""),
    }


def place_cards(position_m: tuple[float, float, float]) -> dict[str, tuple[Any, str]]:
    """Return the cards of a place on the Earth (ITRF, m), geocentric and on FITS' ellipsoid (Rots et al. 2015)."""
    import erfa

    longitude, latitude, height = erfa.gc2gde(*_ELLIPSOID, [float(metres) for metres in position_m])
    return {
        **{
            f"OBSGEO-{axis}": (float(metres), "[m] place of the array, ITRF")
            for axis, metres in zip("XYZ", position_m, strict=True)
        },
        "OBSGEO-L": (math.degrees(longitude), "[deg] its longitude, IAU 1976"),
        "OBSGEO-B": (math.degrees(latitude), "[deg] its latitude, IAU 1976"),
        "OBSGEO-H": (float(height), "[m] its height, IAU 1976"),
    }


def place_of(header: Any) -> tuple[float, float, float] | None:
    """Return the place of the array (ITRF, m) in a header; None in those of earlier versions, which do not have it."""
    found = [header.get(f"OBSGEO-{axis}") for axis in "XYZ"]
    x, y, z = (value if isinstance(value, float) else math.nan for value in found)
    return (x, y, z) if math.isfinite(x + y + z) else None


def add_keywords(header: Any, keywords: ImageKeywords) -> None:
    """Add an image's frequency and Stokes axes, keywords and history to a FITS header that has its celestial axes.

    FITS headers are ASCII: names of a person's files and calibrators, which the history has, may hold other letters.
    """
    if "WCSAXES" in header:
        header["WCSAXES"] = 4
    else:
        header.insert(0, ("WCSAXES", 4, "number of axes of coordinates"))
    for key, card in (spectral_cards(keywords.freq_hz, keywords.bandwidth_hz) | keywords.cards()).items():
        header[key] = card
    for line in keywords.history:
        header["HISTORY"] = line.encode("ascii", "replace").decode("ascii")
