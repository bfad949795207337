r"""Surveys distributed as text: CSV and TSV, VizieR's text with units below the names, and HEASARC's tdat.

VizieR writes ::

    #comments
    NVSS;RAJ2000;DEJ2000;S1.4
    ;"h:m:s";"d:m:s";mJy
    --------------;-----------;-----------;--------
    133108+303032;13 31 08.29;+30 30 32.9; 15024.2

and HEASARC (its format "tdat") ::

    <HEADER>
    field[name] = char14 [meta.id;meta.main] (index) // Source Designation
    field[flux_20_cm] = float8:8.1f_mJy [phot.flux.density] (index) // Integrated Flux Density
    line[1] = name flux_20_cm
    <DATA>
    133108+303032|15024.2|
    <END>
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import itertools
import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from contimg.errors import InputError
from contimg.sky.survey_tables import BLOCK_ROWS, DAMAGED, SurveyTable, open_votable

_SEPARATORS = "\t;|,"
_NUMBER = re.compile(r"\s*[-+]?\d*\.?\d+([eE][-+]?\d+)?\s*")
_UNDERLINE = re.compile(r"[-\s|;,]*-[-\s|;,]*")
_NAME_AND_UNIT = re.compile(
    r"(?P<name>.+?)\s*[\[(]\s*(?P<unit>deg|h|rad|[mu\u00b5]?Jy(?:\s*/?\s*beam(?:-1)?)?)\s*[\])]"
)
_FIELD = re.compile(r"field\[(?P<name>[^]]+)\]\s*=\s*[a-zA-Z0-9]+(?::[^_\s]*)?(?:_(?P<unit>\S+))?")

Lines = Iterator[tuple[int, str]]


def open_text(path: Path) -> SurveyTable:
    """Open a survey's file of text.

    Raises
    ------
    InputError
        If it is empty or holds no table.
    """
    with contextlib.ExitStack() as at_failure:
        file = at_failure.enter_context(_open(path))
        with _unpacking(path):
            start = file.read(4096)
            if "\0" in start or "\ufffd" * 3 in start:
                raise InputError(
                    f"{path} is no table of text, FITS or VOTable: give the catalogue as it was downloaded"
                )
            if re.match(r"\s*<\?xml|\s*<VOTABLE", start, re.IGNORECASE):
                return open_votable(path)
            file.seek(0)
            lines: Lines = enumerate(file, start=1)
            tdat = start.lstrip().upper().startswith("<HEADER>")
            names, units, separator, rows = _tdat(path, lines) if tdat else _separated(path, lines)
        at_failure.pop_all()
    misshapen: list[int] = []
    return SurveyTable(names, units, _blocks(path, (names, separator), rows, misshapen), misshapen, file)


@contextlib.contextmanager
def _unpacking(path: Path) -> Iterator[None]:
    """Turn the error of a damaged compressed file into one sentence."""
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path} cannot be unpacked ({error}): {DAMAGED}") from None


def _open(path: Path) -> TextIO:
    """Open a file of text, compressed or not; bytes that are no UTF-8 become question marks."""
    if path.name.lower().endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8-sig", errors="replace")
    return open(path, encoding="utf-8-sig", errors="replace")


def _separated(path: Path, lines: Lines) -> tuple[list[str], dict[str, str], str, Lines]:
    """Return names and units of the columns, the separator, and the lines of rows of a table with separators."""
    comment = ""
    number, header = next(lines, (0, ""))
    while header and (header.startswith("#") or not header.strip()):
        comment = header[1:].strip() or comment
        number, header = next(lines, (0, ""))
    if not header:
        raise InputError(f"{path} is empty: give the catalogue as it was downloaded")
    separator = next((mark for mark in _SEPARATORS if mark in header), ",")
    cells = _cells(header, separator)
    named_in_comment = _cells(comment, separator)
    if any(_NUMBER.fullmatch(cell) for cell in cells) and len(named_in_comment) == len(cells):
        return _stripped(named_in_comment), {}, separator, itertools.chain([(number, header)], lines)
    names, units_by_name = _units_in_names(_stripped(cells))
    below = list(itertools.islice(((n, line) for n, line in lines if line.strip()), 2))
    for position, (_, line) in enumerate(below):
        if _UNDERLINE.fullmatch(line.strip()):
            units = _stripped(_cells(below[0][1], separator)) if position else []
            units_by_name |= {name: unit for name, unit in zip(names, units, strict=False) if unit}
            return names, units_by_name, separator, itertools.chain(below[position + 1 :], lines)
    return names, units_by_name, separator, itertools.chain(below, lines)


def _units_in_names(cells: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return the names of columns, and the units that stand behind them, as in ``Total_flux (mJy)`` or ``RA[deg]``."""
    names, units = [], {}
    for cell in cells:
        found = _NAME_AND_UNIT.fullmatch(cell)
        names.append(found["name"] if found else cell)
        if found:
            units[names[-1]] = found["unit"]
    return names, units


def _tdat(path: Path, lines: Lines) -> tuple[list[str], dict[str, str], str, Lines]:
    """Return names and units of the columns, the separator, and the lines of rows of a tdat file."""
    fields: dict[str, str] = {}
    order: list[str] = []
    separator = "|"
    for _, line in lines:
        text = line.strip()
        if text.upper() == "<DATA>":
            break
        if (found := _FIELD.match(text)) is not None:
            fields[found["name"].strip()] = found["unit"] or ""
        elif text.startswith("line[1]"):
            order = text.partition("=")[2].split()
        elif text.startswith("field_delimiter"):
            separator = text.partition("=")[2].strip().strip("\"'")[:1] or "|"
    else:
        raise InputError(f"{path} has no line <DATA>: {DAMAGED}")
    ends = ("<END>", "</DATA>")
    rows = itertools.takewhile(lambda line: line[1].strip().upper() not in ends, lines)
    return order or list(fields), {name: unit for name, unit in fields.items() if unit}, separator, rows


def _blocks(
    path: Path, form: tuple[list[str], str], lines: Lines, misshapen: list[int]
) -> Iterator[dict[str, Sequence[Any]]]:
    """Yield blocks of rows; those with a wrong number of cells are left out and noted."""
    names, separator = form
    with _unpacking(path):
        while block := list(itertools.islice(lines, BLOCK_ROWS)):
            rows = []
            for number, line in block:
                if line.startswith("#") or not line.strip():
                    continue
                cells = _cells(line, separator)
                if len(cells) == len(names) + 1 and not cells[-1].strip():
                    cells.pop()  # a separator ends the line
                if len(cells) == len(names):
                    rows.append(cells)
                else:
                    misshapen.append(number)
            if rows:
                yield dict(zip(names, zip(*rows, strict=True), strict=True))


def _cells(line: str, separator: str) -> list[str]:
    """Split a line into cells; quotes count within the line only, so that an open one spoils one row."""
    line = line.rstrip("\r\n")
    return next(csv.reader([line], delimiter=separator), []) if '"' in line else line.split(separator)


def _stripped(cells: Sequence[str]) -> list[str]:
    """Return cells without spaces and quotes around them."""
    return [cell.strip().strip("\"'").strip() for cell in cells]
