"""Solutions read from CASA's calibration tables into arrays."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.errors import InputError

FILES = {"K": "K.cal", "B": "B.cal", "G": "G.cal"}
_SUBTYPES = {"K Jones": "K", "B Jones": "B", "G Jones": "G"}


@dataclass(frozen=True)
class Solutions:
    """The solutions of one table.

    Attributes
    ----------
    kind : str
        ``K``, ``B`` or ``G``.
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


def read_solutions(path: Path) -> Solutions:
    """Read a table of type K, B or G with one spectral window.

    Raises
    ------
    InputError
        If it is no such table.
    """
    if not (Path(path) / "table.dat").exists():
        raise InputError(f"{path} is not a calibration table: solve the calibration again")
    try:
        kind, columns, names, freqs = _read_columns(Path(path))
    except RuntimeError as error:  # casacore's, for whatever ails a file
        text = str(error).splitlines()[0]
        raise InputError(f"{path} is damaged ({text}): solve the calibration again") from None
    values, flag, snr, time, antenna, window = columns
    if len(freqs) != 1 or len(np.unique(window)) != 1:
        raise InputError(f"{path} has {len(freqs)} spectral windows, not one: solve the calibration again")
    freq = freqs[0]
    if values.ndim != 3 or not values.shape == flag.shape == snr.shape:
        raise InputError(f"{path} has solutions, flags and errors of different shapes: solve the calibration again")
    channels = len(freq) if kind == "B" else 1
    if values.shape[1] != channels:
        raise InputError(f"{path} has {values.shape[1]} channels instead of {channels}: solve the calibration again")
    if antenna.min() < 0 or antenna.max() >= len(names):
        raise InputError(
            f"{path} has solutions for antenna {antenna.max()} of {len(names)}: solve the calibration again"
        )
    times, when = np.unique(time, return_inverse=True)
    shape = (len(times), len(names), *values.shape[1:])
    cube = np.zeros(shape, np.float64 if kind == "K" else np.complex128)
    missing = np.ones(shape, bool)
    ratio = np.zeros(shape)
    cube[when, antenna], missing[when, antenna], ratio[when, antenna] = values, flag, snr
    return Solutions(kind, times, cube, missing, ratio, freq, names)


def _read_columns(path: Path) -> tuple[str, list[NDArray[Any]], list[str], NDArray[np.float64]]:
    """Return the kind, columns, antenna names and channel frequencies of a table."""
    from casacore import tables

    with tables.table(str(path), ack=False) as table:
        kind = _SUBTYPES.get(table.info()["subType"])
        if kind is None or table.nrows() == 0:
            raise InputError(f"{path} is no table of delays, bandpasses or gains: solve the calibration again")
        names = ("FPARAM" if kind == "K" else "CPARAM", "FLAG", "SNR", "TIME", "ANTENNA1", "SPECTRAL_WINDOW_ID")
        columns = [table.getcol(name) for name in names]
        with tables.table(table.getkeyword("ANTENNA"), ack=False) as sub:
            antennas = list(sub.getcol("NAME"))
        with tables.table(table.getkeyword("SPECTRAL_WINDOW"), ack=False) as sub:
            freq = sub.getcol("CHAN_FREQ")
    return kind, columns, antennas, freq


def subtract_mean_phase(path: Path) -> None:
    """Turn a table of phases into one of changes of phase: every receptor's mean over time becomes 0.

    Used on the pre-bandpass phases, so that the bandpass carries the mean phase and stands on its own.
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


def make_reproducible(path: Path) -> None:
    """Rewrite a table of CASA's so that equal content means equal bytes.

    CASA keeps arrays in a file with uninitialised gaps; here they go into tiled columns, in the
    subtables too. CASA reads the result like its own.
    """
    from casacore import tables

    old = path.with_name(f"{path.name}.casa")
    path.rename(old)
    with tables.table(str(old), ack=False) as table:
        _rewrite(table, path)
    shutil.rmtree(old)


def _rewrite(table: Any, path: Path) -> None:
    from casacore import tables

    description = table.getdesc()
    description["_keywords_"] = {}
    columns = table.colnames()
    arrays = [name for name in columns if not table.isscalarcol(name) and table.coldatatype(name) != "string"]
    managers = {"*1": {"TYPE": "StandardStMan", "NAME": "Standard", "COLUMNS": [c for c in columns if c not in arrays]}}
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
