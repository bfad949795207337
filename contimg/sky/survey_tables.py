"""Blocks of rows of the tables in which surveys are distributed: FITS and VOTable here, text in `survey_text`."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from contimg.errors import InputError

BLOCK_ROWS = 50_000
DAMAGED = "download it again"
_FITS, _VOTABLE = {".fits", ".fit"}, {".xml", ".vot", ".votable"}


@dataclass(frozen=True)
class SurveyTable:
    """A table that is open for reading.

    Attributes
    ----------
    columns : list of str
    units : dict
        Column -> unit, for the columns whose unit the file tells.
    blocks : iterator
        Over blocks of rows: column -> cells, text or numbers.
    misshapen : list of int
        Grows while the blocks are read: numbers of the lines with more or fewer cells than there are columns.
    file
        What is to be closed.
    """

    columns: list[str]
    units: dict[str, str]
    blocks: Iterator[dict[str, Sequence[Any]]]
    misshapen: list[int]
    file: Any = None

    def close(self) -> None:
        """Close the file that the blocks are read from."""
        if self.file is not None:
            self.file.close()


def open_table(path: Path) -> SurveyTable:
    """Open the table of a survey, compressed (.gz) or not; the suffix tells its form, else its first lines.

    Raises
    ------
    InputError
        If the file is missing, empty, damaged, or no table.
    """
    from contimg.sky.survey_text import open_text

    if not path.is_file():
        raise InputError(f"{path} does not exist: give the catalogue as it was downloaded")
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    if suffix in _FITS:
        return _open_fits(path)
    return open_votable(path) if suffix in _VOTABLE else open_text(path)


def _open_fits(path: Path) -> SurveyTable:
    """Open the first binary table of a FITS file; the rows of a block are read when it is used."""
    from astropy.io import fits

    with contextlib.ExitStack() as at_failure:
        try:
            with warnings.catch_warnings():  # half a file is no catalogue
                warnings.simplefilter("ignore")
                warnings.filterwarnings("error", ".*may have been truncated|.*not multiple of 2880")
                content = at_failure.enter_context(fits.open(path, memmap=not path.name.endswith(".gz")))
                table = next((hdu for hdu in content if isinstance(hdu, fits.BinTableHDU)), None)
                rows = 0 if table is None else len(table.data)
        except (OSError, ValueError, TypeError, UserWarning) as error:
            raise _damaged(path, "FITS", error) from None
        if table is None:
            raise InputError(f"{path} holds no binary table: give the catalogue as it was downloaded")
        at_failure.pop_all()
    names = [column.name for column in table.columns if not column.format.lstrip("0123456789").startswith(("P", "Q"))]

    def blocks() -> Iterator[dict[str, Sequence[Any]]]:
        for first in range(0, rows, BLOCK_ROWS):
            part = table.data[first : first + BLOCK_ROWS]
            yield {name: part[name] for name in names}

    return SurveyTable(names, {c.name: c.unit for c in table.columns if c.unit}, blocks(), [], content)


def open_votable(path: Path) -> SurveyTable:
    """Read the first table of a VOTable file as one block.

    Raises
    ------
    InputError
        If it is damaged or truncated.
    """
    from astropy.io.votable import parse

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # units and types beyond the standard
            found = next(iter(parse(path).iter_tables()), None)
            table = None if found is None else found.to_table(use_names_over_ids=True)
    except (OSError, ValueError, IndexError, TypeError) as error:
        raise _damaged(path, "a VOTable", error) from None
    if table is None:
        raise InputError(f"{path} holds no table: give the catalogue as it was downloaded")
    units = {name: str(table[name].unit) for name in table.colnames if table[name].unit is not None}
    cells = {name: _filled(table[name]) for name in table.colnames if table[name].ndim == 1}
    return SurveyTable(list(cells), units, iter([cells] if len(table) else []), [])


def _filled(column: Any) -> Any:
    """Return the cells of a column, NaN or empty where they are masked."""
    if column.dtype.kind in "iuf":
        return np.ma.filled(np.ma.asarray(column).astype(np.float64), np.nan)
    return ["" if cell is np.ma.masked else cell for cell in column]


def _damaged(path: Path, form: str, error: Exception) -> Exception:
    """Return the error of a file that cannot be read: itself where the machine is at fault, not the file."""
    if isinstance(error, OSError) and error.errno is not None:
        return error
    why = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return InputError(f"{path} cannot be read as {form} ({why}): {DAMAGED}")
