"""Reading the columns of catalogues from CSV, VOTable and FITS files."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.errors import InputError

NAME = "name"
REQUIRED = {"ra_deg": "deg", "dec_deg": "deg", "flux_jy": "Jy"}
OPTIONAL = {"ref_freq_hz": "Hz", "spectral_index": "", "flux_err_jy": "Jy"}
NEEDED = (NAME, *REQUIRED)
KNOWN = (*NEEDED, *OPTIONAL)
_TABLES = {".xml": "votable", ".vot": "votable", ".votable": "votable", ".fits": "fits", ".fit": "fits"}
_BLANK = {"", "nan", "null", "none", "--"}

Columns = dict[str, Sequence[Any] | NDArray[np.float64]]


def read_columns(path: Path) -> tuple[Columns, list[str]]:
    """Read the known columns of a catalogue; others are ignored.

    Returns
    -------
    columns : dict
        Column -> cells; text that is yet to be converted, or float64 with NaN where a cell is blank.
    faults : list of str
        What is wrong with rows that could not be split into cells; they are left out.

    Raises
    ------
    InputError
        If the file is missing or no table, or a column is missing, occurs twice or has another unit.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist: correct sky.catalogue or calibration.calibrators")
    kind = path.suffix.lower()
    faults: list[str] = []
    if kind == ".csv":
        columns = _read_csv(path, faults)
    elif kind in _TABLES:
        columns = _read_table(path, _TABLES[kind])
    else:
        raise InputError(f"{path} is no catalogue: give it the suffix .csv, .xml, .vot or .fits")
    missing = [name for name in NEEDED if name not in columns]
    if missing:
        raise InputError(f"{path} has no column '{missing[0]}': name its columns name, ra_deg, dec_deg, flux_jy")
    return columns, faults


def numbers(cells: Sequence[Any] | NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the numbers (n,) of cells, NaN where a cell is blank or no number, and which are no numbers."""
    if isinstance(cells, np.ndarray) and cells.dtype.kind in "iufb":
        return np.asarray(cells, np.float64), np.zeros(len(cells), bool)
    values, wrong = np.full(len(cells), np.nan), np.zeros(len(cells), bool)
    try:
        return np.array(cells, np.str_).astype(np.float64), wrong
    except ValueError:  # a cell that is blank or no number: look at each
        pass
    for i, cell in enumerate(cells):
        if isinstance(cell, str) and cell.strip().lower() in _BLANK:
            continue
        try:
            values[i] = float(cell)
        except (TypeError, ValueError):
            wrong[i] = True
    return values, wrong


def _read_csv(path: Path, faults: list[str]) -> Columns:
    """Read the columns of a CSV file; rows with another number of cells than the header are added to the faults."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            lines = [row for row in csv.reader(file) if any(cell.strip() for cell in row)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as CSV ({error}): give a valid catalogue") from None
    header, rows = _split_header(path, lines)
    whole = [row for row in rows if len(row) == len(header)]
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            faults.append(f"source {number} has {len(row)} cells, not {len(header)}")
    return {name: [row[i].strip() for row in whole] for i, name in enumerate(header) if name in KNOWN}


def _split_header(path: Path, lines: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """Return the names of the columns and the rows below them; lines that start with # are comments.

    The line with the names may start with # too, as TOPCAT and astropy write it.
    """
    for number, line in enumerate(lines):
        header = [line[0].lstrip().lstrip("#").strip(), *(cell.strip() for cell in line[1:])]
        commented = line[0].lstrip().startswith("#")
        if commented and not set(REQUIRED) <= set(header):
            continue
        for name in KNOWN:
            if header.count(name) > 1:
                raise InputError(f"{path} has {header.count(name)} columns '{name}': keep one of them")
        return header, [row for row in lines[number + 1 :] if not row[0].lstrip().startswith("#")]
    raise InputError(f"{path} is empty: give a catalogue with a header line")


def _read_table(path: Path, form: str) -> Columns:
    """Read the columns of a VOTable or FITS table; raise InputError if it is damaged or truncated."""
    from astropy.io.registry import IORegistryError
    from astropy.table import Table

    try:
        with warnings.catch_warnings():  # half a file is no catalogue
            warnings.filterwarnings("error", ".*may have been truncated|.*not multiple of 2880")
            warnings.filterwarnings("error", "(?s)Error validating header")
            table = Table.read(path, format=form)
    except (OSError, ValueError, IORegistryError, UserWarning) as error:
        if isinstance(error, OSError) and error.errno is not None:  # the machine's fault, not the file's
            raise
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path} cannot be read as {form} ({why}): give a valid catalogue") from None
    _check_units(path, {name: table[name].unit for name in table.colnames if name in REQUIRED | OPTIONAL})
    return {name: _cells(table[name]) for name in table.colnames if name in KNOWN}


def _check_units(path: Path, units: Mapping[str, Any]) -> None:
    """Refuse units that contradict the names of the columns; a column without a unit is taken by its name."""
    from astropy import units as u

    for name, unit in units.items():
        expected = (REQUIRED | OPTIONAL)[name]
        if unit is None or str(unit) in {expected, ""}:
            continue
        try:
            same = u.Unit(str(unit)) == u.Unit(expected)
        except ValueError:
            same = False
        if not same:
            raise InputError(f"{path}: column '{name}' is in {unit}, not in {expected or '1'}: convert it")


def _cells(column: Any) -> Sequence[Any] | NDArray[np.float64]:
    """Return the cells of a table's column: float64, NaN where masked, or text, empty where masked."""
    if column.dtype.kind in "iuf" and column.ndim == 1:
        return np.ma.filled(np.ma.asarray(column).astype(np.float64), np.nan)
    return ["" if cell is np.ma.masked else _text(cell) for cell in column]


def _text(cell: Any) -> Any:
    """Return a cell with bytes decoded to text."""
    return cell.decode("utf-8", "replace") if isinstance(cell, bytes) else cell
