"""Gain solutions read from CASA's calibration tables into arrays, and the tables' own clean-ups."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from contimg.errors import InputError

FILES = {"K": "K.cal", "B": "B.cal", "G": "G.cal"}
"""Names of the tables in the folder of a calibration: delays, bandpass, gains."""
_SUBTYPES = {"K Jones": "K", "B Jones": "B", "G Jones": "G"}


@dataclass(frozen=True)
class Solutions:
    """The solutions of one table.

    Attributes
    ----------
    kind : str
        ``K`` (delays), ``B`` (bandpass) or ``G`` (gains).
    time_mjd_s : (ntime,) float64
        UTC seconds since MJD 0, ascending.
    values : (ntime, nant, nchan, npol) complex128 or, for K, float64
        Gains as CASA defines them, ``V_observed = g_p conj(g_q) V_true``; delays in ns. One channel in
        K and G.
    flag : (ntime, nant, nchan, npol) bool
        True where there is no solution.
    snr : (ntime, nant, nchan, npol) float64
    freq_hz : (nchan,) float64
        Channels of B; for K and G the one frequency that the solution refers to.
    antenna_names : list of str
    """

    kind: str
    time_mjd_s: NDArray[np.float64]
    values: NDArray[np.complex128]
    flag: NDArray[np.bool_]
    snr: NDArray[np.float64]
    freq_hz: NDArray[np.float64]
    antenna_names: list[str]

    @property
    def sha256(self) -> str:
        """Digest of the content: equal for equal solutions, however casacore stores them."""
        digest = hashlib.sha256("\n".join([self.kind, *self.antenna_names]).encode())
        for array in (self.time_mjd_s, self.values, self.flag, self.snr, self.freq_hz):
            digest.update(f"{array.dtype.str}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def read_solutions(path: Path) -> Solutions:
    """Read a table of delays, a bandpass or gains with one spectral window.

    Raises
    ------
    InputError
        If it is missing, damaged or no such table.
    """
    path = Path(path)
    if not path.is_dir():
        _unusable(path, "is missing")
    if not (path / "table.dat").is_file():
        _unusable(path, "is not a calibration table")
    try:
        kind, columns, names, freqs = _read_columns(path)
    except RuntimeError as error:  # casacore's, for any fault of a table
        _unusable(path, f"is damaged ({str(error).splitlines()[0]})")
    values, flag, snr, _, antenna, window = columns
    if len(freqs) != 1 or len(np.unique(window)) != 1:
        _unusable(path, f"has {len(freqs)} spectral windows, not one")
    freq = freqs[0]
    if values.ndim != 3 or not values.shape == flag.shape == snr.shape:
        _unusable(path, "has solutions, flags and errors of different shapes")
    channels = len(freq) if kind == "B" else 1
    if values.shape[1] != channels:
        _unusable(path, f"has {values.shape[1]} channels instead of {channels}")
    if antenna.min() < 0 or antenna.max() >= len(names):
        _unusable(path, f"has solutions for antenna {antenna.max()} of {len(names)}")
    if not np.isfinite(values[~flag]).all():
        _unusable(path, "has solutions that are not finite")
    return _on_a_grid(kind, columns, names, freq)


def _on_a_grid(kind: str, columns: list[NDArray[Any]], names: list[str], freq: NDArray[np.float64]) -> Solutions:
    """Return the rows of a table as arrays over time and antenna, flagged where there is no row."""
    values, flag, snr, time, antenna, _ = columns
    times, when = np.unique(time, return_inverse=True)
    shape = (len(times), len(names), *values.shape[1:])
    cube = np.zeros(shape, np.float64 if kind == "K" else np.complex128)
    missing = np.ones(shape, bool)
    ratio = np.zeros(shape)
    cube[when, antenna], missing[when, antenna], ratio[when, antenna] = values, flag, snr
    return Solutions(kind, times, cube, missing, ratio, freq, names)


def _unusable(path: Path, fault: str) -> NoReturn:
    raise InputError(f"{path} {fault}: {solve_again(path.parent)}")


def solve_again(folder: Path) -> str:
    """Return the remedy for a calibration whose tables cannot be used, to end an error message with."""
    return f"solve the calibration again with: rm -r {folder} {folder}.json; then rerun snakemake"


def _read_columns(path: Path) -> tuple[str, list[NDArray[Any]], list[str], NDArray[np.float64]]:
    """Return the kind, columns, antenna names and channel frequencies of a table."""
    from casacore import tables

    with tables.table(str(path), ack=False) as table:
        kind = _SUBTYPES.get(table.info()["subType"])
        if kind is None:
            _unusable(path, "is no table of delays, bandpasses or gains")
        if table.nrows() == 0:
            _unusable(path, "is empty")
        names = ("FPARAM" if kind == "K" else "CPARAM", "FLAG", "SNR", "TIME", "ANTENNA1", "SPECTRAL_WINDOW_ID")
        columns = [table.getcol(name) for name in names]
        with tables.table(table.getkeyword("ANTENNA"), ack=False) as sub:
            antennas = list(sub.getcol("NAME"))
        with tables.table(table.getkeyword("SPECTRAL_WINDOW"), ack=False) as sub:
            freq = sub.getcol("CHAN_FREQ")
    return kind, columns, antennas, freq


def subtract_mean_phase(path: Path) -> None:
    """Subtract from each receptor's phases their mean over time, in place.

    Done to the phase solutions that precede the bandpass, so that the bandpass contains the mean phase and can be
    applied without them.
    """
    from casacore import tables

    with tables.table(str(path), readonly=False, ack=False) as table:
        values, flag, antenna = table.getcol("CPARAM"), table.getcol("FLAG"), table.getcol("ANTENNA1")
        for one in np.unique(antenna):
            rows = antenna == one
            total = np.where(flag[rows], 0, values[rows]).sum(0, keepdims=True)
            size = np.abs(total)
            turn = np.where(size > 0, total / np.where(size > 0, size, 1), 1)
            values[rows] *= turn.conj()
        table.putcol("CPARAM", values)


def normalise_amplitudes(path: Path) -> float:
    """Divide a table of gains by the mean amplitude of its solutions, and return that mean."""
    from casacore import tables

    with tables.table(str(path), readonly=False, ack=False) as table:
        values, flag = table.getcol("CPARAM"), table.getcol("FLAG")
        mean = float(np.abs(values[~flag], dtype=np.float64).mean())
        table.putcol("CPARAM", np.where(flag, values, values / np.complex64(mean)))
    return mean


def scale_amplitudes(path: Path, factor: float) -> None:
    """Multiply the solutions of a table by a factor, in place."""
    from casacore import tables

    with tables.table(str(path), readonly=False, ack=False) as table:
        values, flag = table.getcol("CPARAM"), table.getcol("FLAG")
        table.putcol("CPARAM", np.where(flag, values, values * np.complex64(factor)))


def make_reproducible(path: Path) -> None:
    """Rewrite a table of CASA's so that equal content gives equal bytes.

    CASA stores arrays in a file with uninitialised gaps; here they are stored in tiled columns, in the subtables
    too. CASA reads the result like its own tables.
    """
    from casacore import tables

    old = path.with_name(f"{path.name}.casa")
    path.rename(old)
    with tables.table(str(old), ack=False) as table:
        _rewrite(table, path)
    shutil.rmtree(old)


def _rewrite(table: Any, path: Path) -> None:
    """Copy a table and its subtables into new ones with tiled columns."""
    from casacore import tables

    description = table.getdesc()
    description["_keywords_"] = {}
    columns = table.colnames()
    arrays = [name for name in columns if not table.isscalarcol(name) and table.coldatatype(name) != "string"]
    scalars = [name for name in columns if name not in arrays]
    managers: dict[str, dict[str, Any]] = {}
    if scalars:
        managers["*1"] = {"TYPE": "StandardStMan", "NAME": "Standard", "COLUMNS": scalars}
    for number, name in enumerate(arrays, start=2):
        filled = table.nrows() > 0 and table.iscelldefined(name, 0)
        shape = table.getcell(name, 0).shape[::-1] if filled else (1, 1)
        description[name] |= {
            "ndim": len(shape), "option": 0, "dataManagerType": "TiledShapeStMan", "dataManagerGroup": f"Tiled{name}",
        }  # fmt: skip
        description[name].pop("shape", None)
        managers[f"*{number}"] = {
            "TYPE": "TiledShapeStMan",
            "NAME": f"Tiled{name}",
            "COLUMNS": [name],
            "SPEC": {"DEFAULTTILESHAPE": np.array([*shape, 128], np.int32)},
        }
    with tables.table(str(path), description, nrow=table.nrows(), dminfo=managers, ack=False) as new:
        new.putinfo(table.info())
        for name in columns:
            for row in range(table.nrows()):
                if table.iscelldefined(name, row):
                    new.putcell(name, row, table.getcell(name, row))
        for name, value in table.getkeywords().items():
            if isinstance(value, str) and value.startswith("Table: "):
                with tables.table(value, ack=False) as sub:
                    _rewrite(sub, path / name)
                with tables.table(str(path / name), ack=False) as sub:
                    new.putkeyword(name, sub)
            else:
                new.putkeyword(name, value)
