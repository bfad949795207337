"""Tables of products as VOTable and FITS, with units, UCDs and descriptions: the same bytes for the same rows.

VOTable 1.4 (Ochsenbein et al. 2019, an IVOA recommendation), UCDs of the IVOA's list of 2023. In FITS a column's UCD
stands in TUCDn, as TOPCAT reads and writes it, and its description in TCOMMn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contimg.products.fits_planes import add_checksums

if TYPE_CHECKING:
    from astropy.table import Table

_EMPTY: dict[type, Any] = {str: "", int: 0, float: float("nan"), bool: False}
_DTYPE = {str: "str", int: "int64", float: "float64", bool: "bool"}
_NO_INT = -1  # stands for an integer that is not known


@dataclass(frozen=True)
class Column:
    """A column of a table: type of its values (str, int, float or bool), unit, UCD and description."""

    kind: type
    unit: str | None
    ucd: str
    description: str


@dataclass(frozen=True)
class TableText:
    """What a table says of itself.

    Attributes
    ----------
    name : str
        Of the table, and of the FITS extension.
    description : str
    columns : mapping of str to Column
        Positions in columns ``ra_deg`` and ``dec_deg`` are ICRS.
    facts : mapping of str to (value, description)
        Of all rows; keywords in FITS (names of eight letters), INFO elements in VOTable.
    """

    name: str
    description: str
    columns: Mapping[str, Column]
    facts: Mapping[str, tuple[Any, str]]


def as_table(columns: Mapping[str, Column], rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return rows as a table; what is None is masked."""
    from astropy.table import MaskedColumn, Table

    table = Table()
    for name, column in columns.items():
        values = [row[name] for row in rows]
        made = MaskedColumn(
            [_EMPTY[column.kind] if value is None else value for value in values],
            mask=[value is None for value in values],
            name=name,
            unit=column.unit,
            description=column.description,
            dtype=None if column.kind is str and rows else _DTYPE[column.kind],
        )
        if column.kind is int:
            made.fill_value = _NO_INT
        table.add_column(made)
    return table


def write_votable(path: Path, text: TableText, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as VOTable."""
    from astropy.io.votable import from_table, writeto
    from astropy.io.votable.tree import CooSys, Info

    votable = from_table(as_table(text.columns, rows))
    (resource,) = votable.resources
    (table,) = votable.iter_tables()
    table.name, table.description = text.name, text.description
    resource.coordinate_systems.append(CooSys(ID="icrs", system="ICRS"))
    for field in table.fields:
        column = text.columns[field.name]
        field.ucd = column.ucd
        if field.name in ("ra_deg", "dec_deg"):
            field.ref = "icrs"
        if column.kind is str:
            field.arraysize = "*"
        elif column.kind is int:
            field.values.null = _NO_INT
    for name, (value, description) in text.facts.items():
        info = Info(name=name, value=str(value))
        info.content = description
        table.infos.append(info)
    writeto(votable, str(path))


def write_fits_table(path: Path, text: TableText, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as the binary table of a FITS file; letters that are not ASCII, which FITS has not, become '?'."""
    from astropy.io import fits

    hdu = fits.table_to_hdu(as_table(text.columns, [{key: _ascii(row[key]) for key in text.columns} for row in rows]))
    hdu.name = text.name.upper()
    for number, (_, column) in enumerate(text.columns.items(), start=1):
        hdu.header[f"TUCD{number}"] = column.ucd
        hdu.header[f"TCOMM{number}"] = column.description
    hdu.header["RADESYS"] = ("ICRS", "of the positions")
    for name, (value, description) in text.facts.items():
        hdu.header[name] = (_ascii(value), description)
    add_checksums(hdu)
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path, output_verify="exception")


def _ascii(value: Any) -> Any:
    return value.encode("ascii", "replace").decode("ascii") if isinstance(value, str) else value
