"""Catalogues of point sources and lists of calibrators: CSV, VOTable and FITS."""

from __future__ import annotations

import csv
import warnings
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from contimg.errors import InputError
from contimg.sky.spherical import separation

REQUIRED = {"ra_deg": "deg", "dec_deg": "deg", "flux_jy": "Jy"}
OPTIONAL = {"ref_freq_hz": "Hz", "spectral_index": "", "flux_err_jy": "Jy"}
DEFAULT_REF_FREQ_HZ = 1.4e9
DEFAULT_SPECTRAL_INDEX = -0.7


@dataclass(frozen=True)
class Catalogue:
    """Point sources, in the order of the file.

    Attributes
    ----------
    name : (n,) str
    ra_deg, dec_deg : (n,) float64
        ICRS.
    flux_jy : (n,) float64
        At `ref_freq_hz`.
    flux_err_jy : (n,) float64
        NaN where the file gives none.
    ref_freq_hz, spectral_index : (n,) float64
        ``S(f) = flux_jy (f / ref_freq_hz) ** spectral_index``.
    assumed : tuple of str
        Columns in which a default stands for at least one source.
    """

    name: NDArray[np.str_]
    ra_deg: NDArray[np.float64]
    dec_deg: NDArray[np.float64]
    flux_jy: NDArray[np.float64]
    flux_err_jy: NDArray[np.float64]
    ref_freq_hz: NDArray[np.float64]
    spectral_index: NDArray[np.float64]
    assumed: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ra_deg)

    def flux_at(self, freq_hz: ArrayLike) -> NDArray[np.float64]:
        """Return the flux densities (n, nchan) in Jy at frequencies (nchan,) in Hz."""
        ratio = np.atleast_1d(freq_hz)[None, :] / self.ref_freq_hz[:, None]
        return self.flux_jy[:, None] * ratio ** self.spectral_index[:, None]

    def select(self, which: ArrayLike) -> Catalogue:
        """Return the sources of a mask or of a list of indices."""
        index = np.asarray(which)
        arrays = {f.name: getattr(self, f.name)[index] for f in fields(self) if f.name != "assumed"}
        return replace(self, **arrays)

    def within(self, ra_rad: float, dec_rad: float, radius_rad: float) -> Catalogue:
        """Return the sources within an angle of a direction."""
        distance = separation(np.radians(self.ra_deg), np.radians(self.dec_deg), ra_rad, dec_rad)
        return self.select(distance <= radius_rad)


def read_catalogue(path: Path, *, allow_missing_flux: bool = False) -> Catalogue:
    """Read a catalogue from CSV, VOTable (.xml, .vot, .votable) or FITS (.fits, .fit).

    Columns ``name, ra_deg, dec_deg, flux_jy``, optional ``ref_freq_hz`` (1.4e9), ``spectral_index``
    (-0.7, recorded as assumed) and ``flux_err_jy``; other columns are ignored.

    Parameters
    ----------
    path : Path
    allow_missing_flux : bool
        Keep sources without a flux (NaN), for lists of calibrators; otherwise they are an error.

    Raises
    ------
    InputError
        If the file is missing, or a column or value is missing or wrong.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist: correct sky.catalogue or calibration.calibrators")
    kind = path.suffix.lower()
    if kind == ".csv":
        columns = _read_csv(path)
    elif kind in {".xml", ".vot", ".votable", ".fits", ".fit"}:
        columns = _read_table(path, "fits" if kind.startswith(".fit") else "votable")
    else:
        raise InputError(f"{path} is no catalogue: give it the suffix .csv, .xml, .vot or .fits")
    missing = [name for name in ("name", *REQUIRED) if name not in columns]
    if missing:
        raise InputError(f"{path} has no column '{missing[0]}': name its columns name, ra_deg, dec_deg, flux_jy")
    return _checked(path, columns, allow_missing_flux)


def _read_csv(path: Path) -> dict[str, list[Any]]:
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            lines = [row for row in csv.reader(file) if row and not row[0].lstrip().startswith("#")]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as CSV ({error}): give a valid catalogue") from None
    if not lines:
        raise InputError(f"{path} is empty: give a catalogue with a header line")
    header, *rows = [[cell.strip() for cell in line] for line in lines]
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise InputError(f"{path}: source {number} has {len(row)} cells, not {len(header)}: correct the line")
    return {name: [row[i] for row in rows] for i, name in enumerate(header)}


def _read_table(path: Path, form: str) -> dict[str, list[Any]]:
    from astropy.io.registry import IORegistryError
    from astropy.table import Table

    try:
        with warnings.catch_warnings():  # half a file is no catalogue
            warnings.filterwarnings("error", ".*may have been truncated|.*not multiple of 2880")
            warnings.filterwarnings("error", "(?s)Error validating header")
            table = Table.read(path, format=form)
    except (OSError, ValueError, IORegistryError, UserWarning) as error:
        why = str(error).splitlines()[0]
        raise InputError(f"{path} cannot be read as {form} ({why}): give a valid catalogue") from None
    for name, unit in (REQUIRED | OPTIONAL).items():
        found = table[name].unit if name in table.colnames else None
        if found is not None and str(found) not in {unit, ""}:
            raise InputError(f"{path}: column '{name}' is in {found}, not in {unit or '1'}: convert it")
    return {
        name: ["" if cell is np.ma.masked else _text(cell) for cell in table[name]]
        for name in table.colnames
        if name == "name" or name in REQUIRED or name in OPTIONAL
    }


def _text(cell: Any) -> Any:
    return cell.decode() if isinstance(cell, bytes) else cell


def _checked(path: Path, columns: dict[str, list[Any]], allow_missing_flux: bool) -> Catalogue:
    count = len(columns["name"])
    names = np.array([str(name).strip() for name in columns["name"]], dtype=np.str_)
    values = {name: _numbers(path, name, columns.get(name, [""] * count)) for name in (REQUIRED | OPTIONAL)}
    for name, low, high in (("ra_deg", -360.0, 360.0), ("dec_deg", -90.0, 90.0)):
        wrong = ~((values[name] >= low) & (values[name] <= high))
        if wrong.any():
            i = int(np.argmax(wrong))
            raise InputError(f"{path}: source '{names[i]}' has no {name} from {low:g} to {high:g}: correct it")
    flux = values["flux_jy"]
    wrong = (flux <= 0) | ~np.isfinite(flux) & (not allow_missing_flux)
    if wrong.any():
        raise InputError(f"{path}: source '{names[np.argmax(wrong)]}' has no positive flux_jy: give one or remove it")
    assumed = []
    defaults = {"ref_freq_hz": DEFAULT_REF_FREQ_HZ, "spectral_index": DEFAULT_SPECTRAL_INDEX}
    for name, default in defaults.items():
        blank = ~np.isfinite(values[name])
        if blank.any():
            assumed.append(name)
        values[name] = np.where(blank, default, values[name])
    if np.any(values["ref_freq_hz"] < 1e6):
        raise InputError(f"{path}: ref_freq_hz below 1e6: give it in Hz")
    return Catalogue(
        name=names,
        ra_deg=np.mod(values["ra_deg"], 360.0),
        dec_deg=values["dec_deg"],
        flux_jy=flux,
        flux_err_jy=values["flux_err_jy"],
        ref_freq_hz=values["ref_freq_hz"],
        spectral_index=values["spectral_index"],
        assumed=tuple(assumed),
    )


def _numbers(path: Path, name: str, cells: list[Any]) -> NDArray[np.float64]:
    numbers = np.full(len(cells), np.nan)
    for i, cell in enumerate(cells):
        if isinstance(cell, str) and cell.strip().lower() in {"", "nan", "null", "none"}:
            continue
        try:
            numbers[i] = float(cell)
        except (TypeError, ValueError):
            raise InputError(f"{path}: '{cell}' in column '{name}' is no number: correct it") from None
    return numbers
