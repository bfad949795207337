"""Lists of calibrators: the built-in one, users' tables and the VLA calibrator list."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from contimg.errors import UnknownIdError
from contimg.sky.blazars import SAME_PLACE_ARCSEC, VARIABILITY, blazar_at
from contimg.sky.calibrators import Calibrator, builtin
from contimg.sky.spherical import separation


def load(source: str | Path) -> tuple[Calibrator, ...]:
    """Read a list of calibrators.

    Parameters
    ----------
    source : str or Path
        ``builtin`` for Perley & Butler 2017; a CSV, VOTable or FITS file with the columns
        ``name, ra_deg, dec_deg, flux_jy`` and optional ``ref_freq_hz``, ``spectral_index``, which stands alone; or
        the VLA calibrator list in its text form (.txt), which is merged with Perley & Butler's sources
        (`with_standards`). A source without a flux is kept: asked for its flux, it raises.

    Raises
    ------
    InputError
        If the file is missing or a column is missing or wrong.
    """
    if str(source) == "builtin":
        return builtin()
    path = Path(source)
    return _load_file(str(path), path.stat().st_mtime_ns if path.exists() else 0)


@functools.lru_cache(maxsize=8)
def _load_file(path: str, _modified_ns: int) -> tuple[Calibrator, ...]:
    """Read a list from a file; the modification time is part of the cache's key."""
    from contimg.sky.catalogue import read_catalogue
    from contimg.sky.vla_calibrators import is_vla_list, read_vla_list

    if is_vla_list(Path(path)):
        return tuple(_told_of_blazars(with_standards(read_vla_list(Path(path)))))
    table = read_catalogue(Path(path), allow_missing_flux=True)
    assumed = " (spectral index assumed)" if "spectral_index" in table.assumed else ""
    listed = []
    for i, name in enumerate(table.name):
        flux, index, reference = table.flux_jy[i], table.spectral_index[i], table.ref_freq_hz[i]
        known = bool(np.isfinite(flux))
        anchor = f"{Path(path).name}: {flux:g} Jy at {reference / 1e9:g} GHz, index {index:g}{assumed}"
        listed.append(
            Calibrator(
                name=str(name),  # a numpy string would look like a changed parameter to the workflow
                ra_deg=float(table.ra_deg[i]),
                dec_deg=float(table.dec_deg[i]),
                coefficients=(
                    (float(np.log10(flux) - index * np.log10(reference / 1e9)), float(index)) if known else None
                ),
                range_hz=None,
                anchor=anchor if known else f"{Path(path).name}: no flux",
            )
        )
    return tuple(_told_of_blazars(listed))


def with_standards(listed: Sequence[Calibrator]) -> list[Calibrator]:
    """Return the sources of a list merged with Perley & Butler 2017, whose sources replace entries at their positions.

    The list's flux densities are decades old and off by some per cent; a standard is found by the list's name, too.
    """
    standards = builtin()
    apart = separation(
        *np.radians([[one.ra_deg for one in listed], [one.dec_deg for one in listed]])[:, :, None],
        *np.radians([[one.ra_deg for one in standards], [one.dec_deg for one in standards]])[:, None, :],
    )
    same = np.degrees(apart) * 3600 <= np.maximum(SAME_PLACE_ARCSEC, [one.extent_arcsec / 2 for one in standards])
    merged = [
        replace(
            standard,
            aliases=(
                *standard.aliases,
                *(one.name for one, here in zip(listed, same[:, k].tolist(), strict=True) if here),
            ),
        )
        for k, standard in enumerate(standards)
    ]
    return [*merged, *(one for i, one in enumerate(listed) if not same[i].any())]


def _told_of_blazars(listed: Iterable[Calibrator]) -> Iterator[Calibrator]:
    """Return calibrators, known blazars with a note and the flux error of their variability."""
    for one in listed:
        name = blazar_at(one.ra_deg, one.dec_deg)
        if name is None:
            yield one
            continue
        note = f"blazar {name}, varies by tens of per cent"
        yield replace(
            one, notes=", ".join(filter(None, (note, one.notes))), flux_error=max(one.flux_error, VARIABILITY)
        )


def find(calibrators: Sequence[Calibrator], name: str) -> Calibrator:
    """Return the calibrator with a name, or else with an alias, ignoring spaces and case.

    Raises
    ------
    UnknownIdError
        If there is none.
    """
    wanted = _plain(name)
    for names in (lambda one: (one.name,), lambda one: one.aliases):
        for calibrator in calibrators:
            if wanted in map(_plain, names(calibrator)):
                return calibrator
    raise UnknownIdError(f"calibrator '{name}' is not in the list of calibrators: see calibration.calibrators")


def _plain(name: str) -> str:
    """Return a name without spaces in lower case."""
    return "".join(name.split()).casefold()
