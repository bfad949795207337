"""Catalogues of a strip in binary form: a FITS table in the order of its square degrees, and an index of these.

The table SOURCES has the columns of every catalogue (name, ra_deg, dec_deg, flux_jy, ...); SKYINDEX tells the first row
and the number of rows of each square degree that has sources, so that a field is read without the rest; NOTES counts
the rows of the surveys' files that were skipped or merged. The primary header tells the range of declinations.
"""

from __future__ import annotations

import contextlib
import functools
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.errors import InputError
from contimg.sky.catalogue import Catalogue
from contimg.sky.square_degrees import cells_near, cells_of
from contimg.storage.atomic import atomic_path

FORM = "contimg strip 1"
_CARD, _BLOCK = 80, 2880
_COLUMNS = {
    "name": "", "ra_deg": "deg", "dec_deg": "deg", "flux_jy": "Jy", "flux_err_jy": "Jy", "ref_freq_hz": "Hz",
    "spectral_index": "",
}  # fmt: skip


@dataclass(frozen=True)
class Strip:
    """A catalogue in binary form, by its header: declinations from `min_deg` to `max_deg`."""

    path: Path
    min_deg: float
    max_deg: float


def write_strip(path: Path, catalogue: Catalogue, strip_deg: tuple[float, float], surveys: str) -> None:
    """Write a catalogue in binary form, atomically; an existing file is replaced.

    Parameters
    ----------
    path : Path
    catalogue : Catalogue
        Without duplicate rows; a spectral index that is not known is NaN.
    strip_deg : (float, float)
        Range of declinations that it covers [deg].
    surveys : str
        Where it is from, for the header.
    """
    from astropy.io import fits

    cell = cells_of(catalogue.ra_deg, catalogue.dec_deg)
    order = np.lexsort((catalogue.ra_deg, cell))
    sources = catalogue.select(order)
    number, first, count = np.unique(cell[order], return_index=True, return_counts=True)
    longest = max([len(name) for name in sources.name.tolist()], default=1)
    columns = [
        fits.Column(
            name=name, unit=unit or None, array=getattr(sources, name), format=f"{longest}A" if name == "name" else "D"
        )
        for name, unit in _COLUMNS.items()
    ]
    index = [
        fits.Column(name=name, format="J", array=array)
        for name, array in (("cell", number), ("first", first), ("count", count))
    ]
    primary = fits.PrimaryHDU()
    primary.header["CATFORM"] = FORM
    primary.header["DEC_MIN"], primary.header["DEC_MAX"] = strip_deg
    primary.header["SURVEYS"] = surveys
    notes = [note.encode("ascii", "replace").decode() for note in catalogue.notes]
    width = max(map(len, notes), default=1)
    tables = [
        fits.BinTableHDU.from_columns(columns, name="SOURCES"),
        fits.BinTableHDU.from_columns(index, name="SKYINDEX"),
        fits.BinTableHDU.from_columns([fits.Column(name="note", format=f"{width}A", array=notes)], name="NOTES"),
    ]
    with atomic_path(path) as part:
        fits.HDUList([primary, *tables]).writeto(part, checksum=True)


def read_header(path: Path) -> Strip | None:
    """Return the header of a catalogue in binary form; None if the file is not one.

    The cards are read as plain text: the plan looks at every file of a folder, without loading astropy.
    """
    return _read_header(path, path.stat().st_mtime_ns) if path.suffix == ".fits" and path.is_file() else None


@functools.lru_cache(maxsize=256)
def _read_header(path: Path, _modified_ns: int) -> Strip | None:
    with open(path, "rb") as file:
        block = file.read(_BLOCK).decode("ascii", "replace")
    cards = {}
    for start in range(0, len(block), _CARD):
        keyword, _, value = block[start : start + _CARD].partition("= ")
        cards[keyword.strip()] = value.partition(" / ")[0].strip().strip("' ")
    if cards.get("CATFORM") != FORM:
        return None
    try:
        return Strip(path, float(cards["DEC_MIN"]), float(cards["DEC_MAX"]))
    except (KeyError, ValueError):
        raise InputError(f"{path} is damaged: make it again with contimg catalogue make") from None


def strip_cells(path: Path) -> NDArray[np.int64]:
    """Return the numbers of the square degrees in which a catalogue in binary form has sources."""
    with _opened(path) as tables:
        return np.asarray(tables["SKYINDEX"].data["cell"], np.int64)


def read_strip(path: Path, near: tuple[float, float, float] | None = None) -> Catalogue:
    """Read a catalogue in binary form, whole or near a direction.

    Parameters
    ----------
    path : Path
    near : (float, float, float), optional
        Right ascension, declination and radius [deg]: the square degrees that this circle touches are read.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    with _opened(path) as tables:
        rows = tables["SOURCES"].data
        parts = [rows] if near is None else [rows[span] for span in _spans(tables["SKYINDEX"].data, near)]
        columns: dict[str, Any] = {
            name: np.concatenate([_native(part[name]) for part in parts] or [_native(rows[:0][name])])
            for name in _COLUMNS
        }
        notes = tuple(str(note) for note in tables["NOTES"].data["note"])
    return Catalogue(**columns, notes=notes)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open the tables of the file; raise InputError if it is cut off or damaged."""
    from astropy.io import fits

    with contextlib.ExitStack() as at_end:
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("error", ".*may have been truncated|.*not multiple of 2880")
                tables = at_end.enter_context(fits.open(path, memmap=True))
                _ = [len(tables[name].data) for name in ("SOURCES", "SKYINDEX", "NOTES")]
        except (OSError, KeyError, ValueError, TypeError, UserWarning) as error:
            if isinstance(error, OSError) and error.errno is not None:  # the machine's fault, not the file's
                raise
            raise InputError(f"{path} is damaged: make it again with contimg catalogue make") from None
        yield tables


def _native(column: Any) -> NDArray[Any]:
    """Return a column of a FITS table as an array of this machine's byte order, text as text."""
    return np.array(column, np.str_ if column.dtype.kind in "SU" else np.float64)


def _spans(index: Any, near: tuple[float, float, float]) -> list[slice]:
    """Return the rows of the square degrees that a circle touches, neighbours in the file joined."""
    wanted = np.isin(np.asarray(index["cell"]), cells_near(*near))
    first, count = np.asarray(index["first"])[wanted], np.asarray(index["count"])[wanted]
    spans: list[slice] = []
    for start, stop in zip(first.tolist(), (first + count).tolist(), strict=True):
        if spans and spans[-1].stop == start:
            spans[-1] = slice(spans[-1].start, stop)
        else:
            spans.append(slice(start, stop))
    return spans
