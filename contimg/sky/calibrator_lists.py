"""Lists of calibrators: the built-in one, users' tables and the VLA calibrator list."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from contimg.errors import UnknownIdError
from contimg.sky.calibrators import Calibrator, builtin


def load(source: str | Path) -> tuple[Calibrator, ...]:
    """Read a list of calibrators.

    Parameters
    ----------
    source : str or Path
        ``builtin`` for Perley & Butler 2017; a CSV, VOTable or FITS file with the columns
        ``name, ra_deg, dec_deg, flux_jy`` and optional ``ref_freq_hz``, ``spectral_index``; or the VLA
        calibrator list in its text form (.txt). A source without a flux is kept: asked for its flux, it raises.

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
        return read_vla_list(Path(path))
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
    return tuple(listed)


def find(calibrators: Sequence[Calibrator], name: str) -> Calibrator:
    """Return the calibrator with a name, ignoring spaces and case.

    Raises
    ------
    UnknownIdError
        If there is none.
    """
    wanted = _plain(name)
    for calibrator in calibrators:
        if _plain(calibrator.name) == wanted:
            return calibrator
    raise UnknownIdError(f"calibrator '{name}' is not in the list of calibrators: see calibration.calibrators")


def _plain(name: str) -> str:
    """Return a name without spaces in lower case."""
    return "".join(name.split()).casefold()
