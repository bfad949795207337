"""The NRAO's VLA calibrator list in its text form.

A source is a block: two lines of name, equinox, position code and place (J2000, then B1950), a table of bands, a blank
line. The column identifies a band's numbers, as flux density, UVMIN and UVMAX may each be absent ::

    1200+300   J2000  A 12h00m00.000000s  30d00'00.000000"  Jan01  NAME
    1157+302   B1950  A 11h57m26.100000s  30d16'42.200000"
    -----------------------------------------------------
    BAND        A B C D    FLUX(Jy)    UVMIN(kL)  UVMAX(kL)
    =====================================================
     20cm    L  X P P P       4.50                    40

Source of the format: VLA Calibrator Manual, section 4.1 (key to the list). Letters by configuration: P, S and W are
amplitude errors below 3, up to 10 and above 10 per cent, C is confused, X not to be used, ? not known.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from contimg.errors import InputError
from contimg.sky.catalogue import DEFAULT_SPECTRAL_INDEX

if TYPE_CHECKING:
    from contimg.sky.calibrators import Calibrator

# Centres of the two 50-MHz windows with which the list was observed, 1385 and 1465, 4835 and 4885 MHz.
BAND_GHZ = {"L": 1.425, "C": 4.86}
L_RANGE_HZ = (1e9, 2e9)  # the VLA's L band: the list has no flux densities elsewhere
CONFIGURATIONS = "ABCD"
NEAREST = "C"  # the configuration of 3.4 km: this array has 2.6 km
LONGEST_KLAMBDA = 13.0  # 2.6 km at 1.5 GHz
# Fraction by which the list's fluxes may be off. Compact sources vary, and the list is decades old: a tenth at least;
# to it the error of the amplitude that the letter stands for is added in quadrature.
FLUX_ERROR = {"P": 0.1, "S": 0.15, "W": 0.25, "C": 0.25, "X": 0.25, "?": 0.2}

_PLACE = re.compile(
    r"(?P<name>\S+)\s+(?P<equinox>J2000|B1950)\s+(?P<code>[A-Z?])\s+"
    r"(?P<h>\d+)h(?P<m>\d+)m(?P<s>[\d.]+)s\s+(?P<sign>[-+]?)(?P<d>\d+)d(?P<dm>\d+)'(?P<ds>[\d.]+)(?:\"|'')?(?P<rest>.*)"
)
_BAND = re.compile(r"\s*[\d.]+\s*cm\s+(?P<band>[A-Z])(?=\s|$)(?P<codes>(?:\s+[A-Za-z?](?=\s|$)){0,4})(?P<numbers>.*)")
_POSITION_REFERENCE = re.compile(r"[A-Z][a-z]{2}\d\d")  # month and year
_WORD = re.compile(r"\S+")


@dataclass
class _Source:
    """One block of the list: position (J2000); by band flux density (Jy), quality letters and limits of baselines.

    `skipped` names bands whose flux cannot be used.
    """

    name: str
    ra_deg: float
    dec_deg: float
    position_code: str
    alias: str
    flux_jy: dict[str, float] = field(default_factory=dict)
    quality: dict[str, str] = field(default_factory=dict)
    klambda: dict[str, tuple[float, float]] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)


def is_vla_list(path: Path) -> bool:
    """Return True if a file is to be read as a VLA calibrator list, by its suffix ``.txt``."""
    return path.suffix.lower() == ".txt"


def read_vla_list(path: Path) -> tuple[Calibrator, ...]:
    """Read the list as calibrators at 20 cm.

    The flux density is that of the L band, at 1.425 GHz, known from 1 to 2 GHz; the spectral index is that to the C
    band where the list has both, else -0.7, recorded as assumed. A source without a flux at L, marked X there for the
    C configuration, or to be used on longer baselines only (UVMIN) has none: its anchor says why. A band whose flux
    is zero or no number is skipped with a note.

    Raises
    ------
    InputError
        If the file is missing, holds no source, a position is wrong, or a band has no heading above it.
    """
    sources: list[_Source] = []
    columns = (0, 0)
    try:
        lines = Path(path).read_text(encoding="utf-8").expandtabs().splitlines()
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: correct calibration.calibrators") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is no text: give the VLA calibrator list in its text form") from None
    for number, line in enumerate(lines, start=1):
        place = _PLACE.match(line.strip())
        if place is not None:
            if place["equinox"] == "J2000":
                sources.append(_source(path, number, place))
        elif " J2000 " in line:
            raise InputError(f"{path}: line {number} has no place like 12h00m00.0s 30d00'00.0\": correct it")
        elif line.strip().startswith("BAND"):
            columns = (line.find("UVMIN"), line.find("UVMAX"))
        elif (band := _BAND.match(line)) is not None:
            if not sources or min(columns) <= 0:
                raise InputError(f"{path}: line {number} is a band without source and heading before it: correct it")
            _add_band(sources[-1], band, columns)
    if not sources:
        raise InputError(f"{path} holds no source with a J2000 place: give the VLA calibrator list in its text form")
    return tuple(_calibrator(source, Path(path).name) for source in sources)


def _source(path: Path, number: int, place: re.Match[str]) -> _Source:
    """Return the source of a line with name and position; raise InputError if the position is impossible."""
    hours, dec = (
        float(place[one]) + float(place[two]) / 60 + float(place[three]) / 3600
        for one, two, three in (("h", "m", "s"), ("d", "dm", "ds"))
    )
    if hours >= 24 or dec > 90 or max(float(place[key]) for key in ("m", "s", "dm", "ds")) >= 60:
        raise InputError(f"{path}: line {number} is no place on the sky: correct it")
    words = [word for word in place["rest"].split() if not _POSITION_REFERENCE.fullmatch(word)]
    return _Source(
        place["name"], 15 * hours, -dec if place["sign"] == "-" else dec, place["code"], words[0] if words else ""
    )


def _add_band(source: _Source, band: re.Match[str], columns: tuple[int, int]) -> None:
    """Add the quality letters, flux density and limits of a band; the column of a number tells which one it is.

    Letters that are missing count as not known. A band without a usable flux density is left out, with a note.
    """
    name = band["band"]
    source.quality[name] = "".join(band["codes"].split()).upper().ljust(len(CONFIGURATIONS), "?")
    cells: dict[str, str] = {}
    for word in _WORD.finditer(band["numbers"]):
        end = band.start("numbers") + word.end()
        what = "flux" if end <= columns[0] else "min" if end <= columns[1] else "max"
        if what == "flux" or _number(word[0]) is not None:  # further to the right words are remarks
            cells.setdefault(what, word[0])
    flux = _number(cells.get("flux", ""))
    if flux is None or not 0 < flux < np.inf:
        if "flux" in cells:
            source.skipped.append(f"band {name} skipped, as its flux is {cells['flux']}")
    else:
        source.flux_jy[name] = flux
    shortest, longest = _number(cells.get("min", "")), _number(cells.get("max", ""))
    source.klambda[name] = (shortest or 0.0, longest or np.inf)


def _number(text: str) -> float | None:
    """Return a text as a number; None if it is none."""
    try:
        return float(text)
    except ValueError:
        return None


def _calibrator(source: _Source, file_name: str) -> Calibrator:
    """Return a source as a calibrator at 20 cm, without coefficients where it must not be used."""
    from contimg.sky.calibrators import Calibrator

    quality = source.quality.get("L")
    letter = quality[CONFIGURATIONS.index(NEAREST)] if quality else None
    flux = source.flux_jy.get("L")
    shortest, longest = source.klambda.get("L", (0.0, np.inf))
    notes = [source.alias, f"position code {source.position_code}"]
    notes += [f"{quality} in configurations A to D"] if quality else []
    notes += source.skipped
    coefficients, reason = None, ""
    if flux is None:
        reason = "no flux at 20 cm (L)"
    elif letter == "X":
        reason = f"marked X, not to be used, at 20 cm in the {NEAREST} configuration"
    elif shortest >= LONGEST_KLAMBDA:
        reason = f"to be used beyond {shortest:g} thousand wavelengths only, longer than this array's baselines"
    else:
        assumed = "C" not in source.flux_jy
        index = DEFAULT_SPECTRAL_INDEX
        if not assumed:
            index = float(np.log(source.flux_jy["C"] / flux) / np.log(BAND_GHZ["C"] / BAND_GHZ["L"]))
        coefficients = (float(np.log10(flux) - index * np.log10(BAND_GHZ["L"])), index)
        reason = f"{flux:g} Jy at {BAND_GHZ['L']:g} GHz, index {index:.3g} " + (
            "(spectral index assumed)" if assumed else "to 6 cm"
        )
    return Calibrator(
        name=source.name,
        ra_deg=source.ra_deg,
        dec_deg=source.dec_deg,
        coefficients=coefficients,
        range_hz=L_RANGE_HZ if coefficients else None,
        anchor=f"{file_name}: {reason}",
        notes=", ".join(filter(None, notes)),
        flux_error=FLUX_ERROR.get(letter or "?", FLUX_ERROR["?"]),
        min_klambda=shortest,
        max_klambda=longest if longest < LONGEST_KLAMBDA else np.inf,  # no baseline is that long
    )
