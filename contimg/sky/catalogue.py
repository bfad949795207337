"""Catalogues of point sources: reading, checks, defaults, and merging of duplicate rows."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from contimg.errors import InputError
from contimg.sky.catalogue_files import NAME, OPTIONAL, REQUIRED, Columns, numbers, read_columns
from contimg.sky.spherical import separation, unit_vectors

DEFAULT_REF_FREQ_HZ = 1.4e9
DEFAULT_SPECTRAL_INDEX = -0.7
# Rows closer than this whose fluxes agree to this fraction, at `DEFAULT_REF_FREQ_HZ`, are one source twice. Surveys
# of this sky have positions to about 1 arcsec, and no beam of the array separates two sources this close.
DUPLICATE_ARCSEC = 5.0
DUPLICATE_FLUX = 0.2
# Right ascensions are accepted this far beyond 0 to 360: strips across 0 are often written without a jump.
_RA_RANGE_DEG = (-360.0, 720.0)
_MIN_REF_FREQ_HZ = 1e6


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
    notes : tuple of str
        Which rows of the file were skipped or merged, recorded in twins.
    """

    name: NDArray[np.str_]
    ra_deg: NDArray[np.float64]
    dec_deg: NDArray[np.float64]
    flux_jy: NDArray[np.float64]
    flux_err_jy: NDArray[np.float64]
    ref_freq_hz: NDArray[np.float64]
    spectral_index: NDArray[np.float64]
    assumed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ra_deg)

    def flux_at(self, freq_hz: ArrayLike) -> NDArray[np.float64]:
        """Return the flux densities (n, nchan) in Jy at frequencies (nchan,) in Hz."""
        ratio = np.atleast_1d(freq_hz)[None, :] / self.ref_freq_hz[:, None]
        return np.asarray(self.flux_jy[:, None] * ratio ** self.spectral_index[:, None], np.float64)

    def select(self, which: ArrayLike) -> Catalogue:
        """Return the sources of a mask or of a list of indices."""
        index = np.asarray(which)
        arrays = {f.name: getattr(self, f.name)[index] for f in fields(self) if f.name not in ("assumed", "notes")}
        return replace(self, **arrays)

    def followed_by(self, other: Catalogue) -> Catalogue:
        """Return these sources and then those of another catalogue; what is said of them is that of this one."""
        names = [f.name for f in fields(self) if f.name not in ("assumed", "notes")]
        joined: dict[str, Any] = {one: np.concatenate([getattr(self, one), getattr(other, one)]) for one in names}
        return replace(self, **joined)

    def within(self, ra_rad: float, dec_rad: float, radius_rad: float) -> Catalogue:
        """Return the sources within an angle of a direction."""
        distance = separation(np.radians(self.ra_deg), np.radians(self.dec_deg), ra_rad, dec_rad)
        return self.select(distance <= radius_rad)


def read_catalogue(
    path: Path, *, allow_missing_flux: bool = False, near: tuple[float, float, float] | None = None
) -> Catalogue:
    """Read a catalogue from CSV, VOTable (.xml, .vot, .votable), FITS (.fits, .fit) or the binary form of a strip.

    Columns ``name, ra_deg, dec_deg, flux_jy``, optional ``ref_freq_hz`` (1.4e9), ``spectral_index``
    (-0.7, recorded as assumed) and ``flux_err_jy``; other columns are ignored. Rows that are wrong are skipped, and
    rows that repeat a source are merged into one; `Catalogue.notes` counts both.

    Parameters
    ----------
    path : Path
    allow_missing_flux : bool
        For lists of calibrators: sources without a flux are kept (NaN), and a wrong row is an error.
    near : (float, float, float), optional
        ICRS right ascension, declination and radius [deg]: the sources within this circle. Of a catalogue that
        ``contimg catalogue make`` made, no others are read from the disk.

    Raises
    ------
    InputError
        If the file is missing or no table, a column is missing, occurs twice or has another unit, or no row of it
        can be used.
    """
    from contimg.sky.strip_files import read_header, read_strip

    path = Path(path)
    circle = None if near is None else tuple(np.radians(near))
    if read_header(path) is not None:
        strip = _with_defaults(read_strip(path, near))
        return strip if circle is None else strip.within(*circle)
    whole = _read_table(path, allow_missing_flux=allow_missing_flux)
    return whole if circle is None else whole.within(*circle)


def _read_table(path: Path, *, allow_missing_flux: bool) -> Catalogue:
    """Read a catalogue from CSV, VOTable or FITS, whose rows may be wrong or stand twice; see `read_catalogue`."""
    columns, faults = read_columns(path)
    catalogue, wrong = _convert(columns, allow_missing_flux)
    faults += [fault for fault in wrong if fault]
    if allow_missing_flux:
        if faults:
            raise InputError(f"{path}: {faults[0]}: correct it")
        return catalogue
    good = np.array([not fault for fault in wrong], bool)
    if not good.any():
        why = f"{faults[0]} (1 of {len(faults)} such rows)" if faults else "it has no rows"
        raise InputError(f"{path} holds no source that can be used: {why}: correct it, or set sky.catalogue: null")
    notes = []
    if faults:
        rows = f"{len(faults)} rows of {path.name} were" if len(faults) > 1 else f"1 row of {path.name} was"
        notes.append(f"{rows} skipped: {'; '.join(faults[:3])}{'; ...' if len(faults) > 3 else ''}")
    catalogue, merged = merge_duplicates(_with_defaults(catalogue.select(good)), path.name)
    return replace(catalogue, notes=(*notes, *merged))


def merge_duplicates(catalogue: Catalogue, file_name: str) -> tuple[Catalogue, list[str]]:
    """Remove duplicate rows: those within 5 arcsec of another whose flux density agrees to 20 %.

    Of such rows the one with the smallest flux error stays, or the first where none has an error. Rows that close with
    different fluxes stay: they may be components of one source.

    Returns
    -------
    catalogue : Catalogue
    notes : list of str
        How many rows were merged, and how many close pairs were kept.
    """
    from scipy.spatial import cKDTree

    places = unit_vectors(np.radians(np.stack([catalogue.ra_deg, catalogue.dec_deg], axis=-1)))
    chord = 2 * np.sin(np.radians(DUPLICATE_ARCSEC / 3600) / 2)
    pairs = cKDTree(places).query_pairs(chord, output_type="ndarray")
    flux = catalogue.flux_at(DEFAULT_REF_FREQ_HZ)[:, 0]
    one, two = flux[pairs[:, 0]], flux[pairs[:, 1]]
    agree = np.abs(one - two) <= DUPLICATE_FLUX * np.maximum(one, two)
    error = np.where(np.isfinite(catalogue.flux_err_jy), catalogue.flux_err_jy, np.inf)
    order = np.lexsort((np.arange(len(catalogue)), error))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    kept = np.ones(len(catalogue), bool)
    neighbours: dict[int, list[int]] = {}
    for first, second in pairs[agree].tolist():
        neighbours.setdefault(first, []).append(second)
        neighbours.setdefault(second, []).append(first)
    for row in sorted(neighbours, key=lambda index: int(rank[index])):
        if kept[row]:  # the best of the remaining ones: it replaces the others
            kept[neighbours[row]] = False
    notes = []
    if not kept.all():
        notes.append(
            f"{np.count_nonzero(~kept)} duplicate rows of {file_name} (within {DUPLICATE_ARCSEC:g} arcsec of "
            f"another, fluxes within {DUPLICATE_FLUX:.0%}) were merged into the sources that stand twice"
        )
    close = int(np.count_nonzero(~agree & kept[pairs].all(1)))
    if close:
        notes.append(
            f"{close} pairs of rows of {file_name} are within {DUPLICATE_ARCSEC:g} arcsec of each other and differ in "
            f"flux by more than {DUPLICATE_FLUX:.0%}: both are kept"
        )
    return catalogue.select(kept) if not kept.all() else catalogue, notes


def _convert(columns: Columns, allow_missing_flux: bool) -> tuple[Catalogue, list[str]]:
    """Return the sources of all rows, and for each row its fault, or ''."""
    names = np.array([str(name).strip() for name in columns[NAME]], dtype=np.str_)
    wrong = [""] * len(names)
    values: dict[str, NDArray[np.float64]] = {}

    def mark(rows: NDArray[np.bool_], why: str) -> None:
        for i in np.flatnonzero(rows):
            wrong[i] = wrong[i] or f"source '{names[i]}' {why}"

    for column in REQUIRED | OPTIONAL:
        cells = columns.get(column, np.full(len(names), np.nan))
        values[column], no_number = numbers(cells)
        for i in map(int, np.flatnonzero(no_number)):
            wrong[i] = wrong[i] or f"'{cells[i]}' in column '{column}' is no number"
    for column, (low, high) in {"ra_deg": _RA_RANGE_DEG, "dec_deg": (-90.0, 90.0)}.items():
        inside = (values[column] >= low) & (values[column] <= high)
        mark(~inside, f"has no {column} from {low:g} to {high:g}")
    flux, reference = values["flux_jy"], values["ref_freq_hz"]
    missing = np.isnan(flux) & (not allow_missing_flux)
    mark((flux <= 0) | np.isinf(flux) | missing, "has no positive flux_jy")
    mark(reference < _MIN_REF_FREQ_HZ, f"has a ref_freq_hz below {_MIN_REF_FREQ_HZ:g}: give it in Hz")
    mark(values["flux_err_jy"] < 0, "has a negative flux_err_jy")
    found = Catalogue(
        name=names,
        ra_deg=np.mod(values["ra_deg"], 360.0),
        dec_deg=values["dec_deg"],
        flux_jy=flux,
        flux_err_jy=values["flux_err_jy"],
        ref_freq_hz=reference,
        spectral_index=values["spectral_index"],
    )
    return (_with_defaults(found) if allow_missing_flux else found), wrong


def _with_defaults(catalogue: Catalogue) -> Catalogue:
    """Return a catalogue with default reference frequencies and spectral indices where it has none; see `assumed`."""
    no_freq, no_index = ~np.isfinite(catalogue.ref_freq_hz), ~np.isfinite(catalogue.spectral_index)
    blank = {"ref_freq_hz": no_freq, "spectral_index": no_index}
    return replace(
        catalogue,
        ref_freq_hz=np.where(no_freq, DEFAULT_REF_FREQ_HZ, catalogue.ref_freq_hz),
        spectral_index=np.where(no_index, DEFAULT_SPECTRAL_INDEX, catalogue.spectral_index),
        assumed=tuple(column for column, rows in blank.items() if rows.any()),
    )
