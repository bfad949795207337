"""The sources of a survey in a declination strip, from the file in which the survey is distributed."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.errors import InputError
from contimg.sky.catalogue_files import numbers
from contimg.sky.survey_tables import SurveyTable, open_table
from contimg.sky.surveys import SURVEYS, Survey, find_column

_JY = {"jy": 1.0, "mjy": 1e-3, "ujy": 1e-6, "microjy": 1e-6}
_SEXAGESIMAL = re.compile(
    r"\s*(?P<sign>[-+−]?)\s*(?P<d>\d+)\s*[:hd°\s]\s*(?P<m>\d+(?:\.\d+)?)\s*(?:[:m'′\s]\s*(?P<s>\d+(?:\.\d+)?)?\s*[s\"″]?)?\s*"
)
_EXAMPLES = 3


@dataclass(frozen=True)
class SurveySources:
    """Sources of one survey; arrays (n,), fluxes at the survey's frequency.

    Attributes
    ----------
    survey : Survey
    name : str
    ra_deg, dec_deg : float64
    flux_jy, flux_err_jy : float64
        Errors are NaN where the file has none.
    notes : tuple of str
        How many rows were skipped, and why.
    """

    survey: Survey
    name: NDArray[np.str_]
    ra_deg: NDArray[np.float64]
    dec_deg: NDArray[np.float64]
    flux_jy: NDArray[np.float64]
    flux_err_jy: NDArray[np.float64]
    notes: tuple[str, ...] = ()


@dataclass
class _Faults:
    """Rows that cannot be used: how many, and what is wrong with the first of them."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, rows: NDArray[np.bool_], why: str, cells: Sequence[Any]) -> None:
        """Count rows of a block, naming what the first of them hold."""
        for row in np.flatnonzero(rows)[: max(0, _EXAMPLES - len(self.examples))]:
            self.examples.append(f"'{_text(cells[row])}' {why}")
        self.count += int(np.count_nonzero(rows))


def read_survey(path: Path, key: str, strip_deg: tuple[float, float]) -> SurveySources:
    """Read the sources of a survey in a strip.

    Parameters
    ----------
    path : Path
        As it was downloaded: CSV, TSV, VizieR's text, tdat, FITS or VOTable; also compressed with gzip.
    key : str
        Of `SURVEYS`.
    strip_deg : (float, float)
        Lowest and highest declination [deg, ICRS].

    Raises
    ------
    InputError
        If the file cannot be read, lacks a column, or a unit is unknown.
    """
    with contextlib.closing(open_table(path)) as table:
        return _read(path, key, table, strip_deg)


def _read(path: Path, key: str, table: SurveyTable, strip_deg: tuple[float, float]) -> SurveySources:
    """Read the sources of an open table; see `read_survey`."""
    survey = SURVEYS[key]
    found = _columns(path, key, table.columns)
    scale: dict[str, float] = {what: _scale(path, found[what], table) for what in ("flux", "flux_err") if what in found}
    keep = {c: values for names, values in survey.keep.items() if (c := find_column(names, table.columns)) is not None}
    faults, parts, unwanted = _Faults(), [], 0
    for block in table.blocks:
        dec = _degrees(block[found["dec"]], table.units.get(found["dec"], ""), hours=False)
        wrong = ~(np.abs(dec) <= 90)
        faults.add(wrong, f"in column '{found['dec']}' is no declination", block[found["dec"]])
        rows = np.flatnonzero((dec >= strip_deg[0]) & (dec <= strip_deg[1]))
        if not len(rows):
            continue
        cut = {column: _take(block[column], rows) for column in {*found.values(), *keep}}
        wanted = np.ones(len(rows), bool)
        for column, values in keep.items():
            wanted &= np.isin(numbers(cut[column])[0], values)
        part, good = _convert(cut, found, table.units, scale, faults, wanted)
        unwanted += int(np.count_nonzero(~wanted))
        parts.append(tuple(column[good & wanted] for column in (part[0], part[1], dec[rows], part[2], part[3])))
    if table.misshapen:
        faults.count += len(table.misshapen)
        faults.examples.append(f"line {table.misshapen[0]} has another number of cells than there are columns")
    nothing = (np.empty(0, np.str_), *(np.empty(0),) * 4)
    name, ra, dec, flux, error = (np.concatenate(one) for one in zip(nothing, *parts, strict=True))
    return SurveySources(survey, name, ra, dec, flux, error, tuple(_notes(path, survey, faults, unwanted)))


def _columns(path: Path, key: str, columns: Sequence[str]) -> dict[str, str]:
    """Return the columns of a file by what they hold; name and errors may be absent."""
    survey = SURVEYS[key]
    found: dict[str, str] = {}
    for what, label in (("ra", "right ascension"), ("dec", "declination"), ("flux", "flux density"), ("flux_err", ""),
                       ("name", "")):  # fmt: skip
        accepted: tuple[str, ...] = getattr(survey, what)
        column = find_column(accepted, columns)
        if column is not None:
            found[what] = column
        elif label:
            shown = ", ".join(columns[:12]) + (", ..." if len(columns) > 12 else "")
            others = " (other releases: --from racs-mid or racs-high)" if key == "racs" and what == "flux" else ""
            raise InputError(
                f"{path} has no column of {survey.title}'s {label} ({' or '.join(accepted)}), only {shown}: "
                f"download it with that column, or name its survey with --from{others}"
            )
    return found


def _scale(path: Path, column: str, table: SurveyTable) -> float:
    """Return the factor from a column's unit to Jy; the surveys' files without units are in mJy."""
    unit = table.units.get(column, "mJy")
    plain = re.sub(r"[\s.]*(/|\.)?\s*beam(\s*[*^]*\s*-1)?", "", unit.lower().replace("\u00b5", "u")).strip("() ")
    if plain not in _JY:
        raise InputError(f"{path}: column '{column}' is in {unit}, which is no unit of flux density: convert it to mJy")
    return _JY[plain]


def _convert(
    cut: dict[str, Sequence[Any]], found: dict[str, str], units: dict[str, str], scale: dict[str, float],
    faults: _Faults, wanted: NDArray[np.bool_],
) -> tuple[tuple[NDArray[Any], ...], NDArray[np.bool_]]:  # fmt: skip
    """Return names, right ascensions [deg], fluxes and errors [Jy] of rows, and a mask of valid rows."""
    good = np.ones(len(wanted), bool)

    def check(wrong: NDArray[np.bool_], why: str, column: str) -> None:
        faults.add(wrong & good & wanted, f"in column '{column}' {why}", cut[column])
        good[wrong] = False

    ra = _degrees(cut[found["ra"]], units.get(found["ra"], ""), hours=True)
    check(~((ra >= -360) & (ra <= 720)), "is no right ascension", found["ra"])
    flux, _ = numbers(cut[found["flux"]])
    check(~((flux > 0) & np.isfinite(flux)), "is no positive flux density", found["flux"])
    error = np.full(len(good), np.nan)
    if "flux_err" in found:
        error, no_number = numbers(cut[found["flux_err"]])
        check(no_number | (error < 0), "is no error", found["flux_err"])
        error = error * scale["flux_err"]
    ra = np.mod(ra, 360.0)
    names = np.array([_text(cell).strip() for cell in cut[found["name"]]] if "name" in found else [""] * len(good))
    return (names, ra, flux * scale["flux"], error), good


def _degrees(cells: Sequence[Any], unit: str, *, hours: bool) -> NDArray[np.float64]:
    """Return angles (n,) in degrees from decimal or sexagesimal cells, NaN where a cell is neither.

    A sexagesimal right ascension (`hours`) is in hours; a decimal one is in degrees unless the unit says otherwise.
    """
    values, wrong = numbers(cells)
    decimal = {"h": 15.0, "hourangle": 15.0, "hr": 15.0, "hour": 15.0, "rad": np.degrees(1.0)}.get(unit.strip(), 1.0)
    values = values * decimal
    for row in map(int, np.flatnonzero(wrong)):
        values[row] = _sexagesimal(_text(cells[row])) * (15.0 if hours else 1.0)
    return values


def _sexagesimal(text: str) -> float:
    """Return a sexagesimal number such as ``-34:07:27.0``, ``00 00 00.12`` or ``13h31m08s``; NaN for other text."""
    found = _SEXAGESIMAL.fullmatch(text)
    if found is None or float(found["m"]) >= 60 or float(found["s"] or 0) > 60:
        return float("nan")
    value = float(found["d"]) + float(found["m"]) / 60 + float(found["s"] or 0) / 3600
    return -value if found["sign"] in ("-", "−") else value


def _take(cells: Any, rows: NDArray[np.int64]) -> Any:
    """Return the cells of some rows."""
    return cells[rows] if isinstance(cells, np.ndarray) else [cells[row] for row in rows]


def _text(cell: Any) -> str:
    """Return a cell as text."""
    return cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell)


def _notes(path: Path, survey: Survey, faults: _Faults, unwanted: int) -> list[str]:
    """Return notes on a file's rows that were left out."""
    notes = []
    if faults.count:
        rows = f"{faults.count} rows of {path.name} were" if faults.count > 1 else f"1 row of {path.name} was"
        more = "; ..." if faults.count > len(faults.examples) else ""
        notes.append(f"{rows} skipped: {'; '.join(faults.examples)}{more}")
    if unwanted:
        flags = ", ".join(names[0] for names in survey.keep)
        notes.append(f"{unwanted} rows of {path.name} were left out by {survey.title}'s own flags ({flags})")
    return notes
