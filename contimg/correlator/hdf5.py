"""The correlator's HDF5 files: their header, and their data a range of baselines at a time.

The layout is that of ``dsamfs/io.py`` (dsa110-meridian-fs): near to UVH5, with two-dimensional descending
frequencies, a scalar declination, float32 uvw that are not used, and antenna pairs in the correlator's order.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.correlator.band import subband_of_frequencies, wrong_frequencies
from contimg.correlator.chunks import Rows
from contimg.errors import InputError
from contimg.times import MJD_ZERO_JD

POLARISATIONS = {-5: "XX", -6: "YY", -7: "XY", -8: "YX"}
_DATA_TYPES = (np.complex64, np.bool_, np.float32)  # of visdata, flags and nsamples
_PAIRS = ("ant_1_array", "ant_2_array")


@dataclass(frozen=True)
class Header:
    """What a subband file says about itself.

    Attributes
    ----------
    path : Path
    times_mjd : (n_times,) float64
        Centres of the integrations, UTC; exact differences of the stored Julian dates.
    integration_s : float
    dec_app_rad : float
        Apparent declination of the pointing; the phase centre is (HA 0, this).
    freq_hz : (nchan,) float64
        As stored: descending.
    channel_width_hz : float
        Positive, whatever sign the file has.
    latitude_deg, longitude_deg, altitude_m : float
    telescope : str
    antenna_names : tuple of str
        All antennas of the telescope; `antenna1` and `antenna2` count in it.
    antenna_positions_m : (nant, 3) float64
        ITRF, relative to the location.
    dish_diameter_m : float
    antenna1, antenna2 : (n_baselines,) int64
        The pairs of one integration in the file's order, autocorrelations included.
    polarisations : tuple of str
    applied_delays_sha256, antenna_order_sha256 : str
        Digests of the F-engine delays, and of the names and pairs of antennas.
    fs_table : str
        The fringe-stopping table.
    history : str
    """

    path: Path
    times_mjd: NDArray[np.float64]
    integration_s: float
    dec_app_rad: float
    freq_hz: NDArray[np.float64]
    channel_width_hz: float
    latitude_deg: float
    longitude_deg: float
    altitude_m: float
    telescope: str
    antenna_names: tuple[str, ...]
    antenna_positions_m: NDArray[np.float64]
    dish_diameter_m: float
    antenna1: NDArray[np.int64]
    antenna2: NDArray[np.int64]
    polarisations: tuple[str, ...]
    applied_delays_sha256: str
    antenna_order_sha256: str
    fs_table: str
    history: str

    @property
    def start_mjd(self) -> float:
        """Centre of the first integration: the tile's id comes from it."""
        return float(self.times_mjd[0])

    @property
    def end_mjd(self) -> float:
        return float(self.times_mjd[-1])

    @property
    def n_times(self) -> int:
        return len(self.times_mjd)

    @property
    def n_pols(self) -> int:
        return len(self.polarisations)

    @property
    def synthetic(self) -> bool:
        """Whether the file says that it was simulated."""
        return "simulat" in self.history.lower()


def subband_of(header: Header) -> int:
    """Return the number of the subband that a file's frequencies belong to, 0 the highest."""
    return subband_of_frequencies(header.freq_hz)


def read_header(path: Path) -> Header:
    """Read a subband file's header without its data.

    Raises
    ------
    InputError
        If the file is no HDF5, is truncated, lacks a key, or contradicts itself.
    OSError
        If the machine failed, not the file: missing, not permitted, input-output error.
    """
    with _opened(path) as file:
        try:
            return _header(Path(path), file["Header"])
        except KeyError as error:
            raise InputError(f"{path} is not a correlator file ({_first(error)}): set it aside") from None


def read_setup(path: Path) -> tuple[str, str, str]:
    """Return what a tile and its calibration must have in common, from the header of one of its files.

    Digests of the applied delays and of the antenna order, and the fringe-stopping table, as in `Header`.

    Raises
    ------
    InputError
        If the file is no HDF5 or lacks a key.
    """
    with _opened(path) as file:
        try:
            head = file["Header"]
            baselines = int(head["Nbls"][()])
            names = [_text(name) for name in head["antenna_names"][()]]
            pairs = (np.asarray(head[key][:baselines], np.int64) for key in _PAIRS)
            delays, table = (head[f"extra_keywords/{key}"][()] for key in ("applied_delays_ns", "fs_table"))
        except KeyError as error:
            raise InputError(f"{path} is not a correlator file ({_first(error)}): set it aside") from None
        return _sha256(_text(delays)), antenna_order_sha256(names, pairs), _text(table)


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@contextmanager
def open_data(header: Header) -> Iterator[Data]:
    """Open a file for its data; see `Data`."""
    with _opened(header.path) as file:
        try:
            sets = [file["Data"][name] for name in ("visdata", "flags", "nsamples")]
        except KeyError as error:
            raise InputError(f"{header.path} has no data ({_first(error)}): set it aside") from None
        expected = (len(header.antenna1) * header.n_times, 1, len(header.freq_hz), header.n_pols)
        for one in sets:
            if one.shape != expected:
                raise InputError(
                    f"{header.path}: {one.name} has the shape {one.shape}, its header says {expected}: set it aside"
                )
        _check_rows(header, file["Header"])
        with open(header.path, "rb", buffering=0) as raw:
            yield Data(header, [Rows(one, raw.fileno()) for one in sets])


class Data:
    """The data of an open file, read a range of baselines at a time."""

    def __init__(self, header: Header, sets: Sequence[Rows]) -> None:
        self._header, self._sets = header, sets
        self._planes: list[NDArray[Any]] = [np.empty((header.n_pols, 0, 0), dtype) for dtype in _DATA_TYPES]

    def at(
        self, time: int, first: int, last: int
    ) -> tuple[NDArray[np.complex64], NDArray[np.bool_] | None, NDArray[np.float32] | float]:
        """Return visibilities, flags and samples of baselines ``first .. last - 1`` of one integration.

        Returns
        -------
        three arrays (npol, last - first, nchan)
            Channels **descending**, as stored; the next call overwrites them. Where no flag is set, None instead of
            flags; where all samples are equal, one number instead of them.

        Raises
        ------
        InputError
            If the file ends before its data.
        """
        start, count = time * len(self._header.antenna1) + first, last - first
        with file_faults(self._header.path):
            flagged, counted = (stored.common_value(start, count) for stored in self._sets[1:])
            vis = self._plane(0, start, count)
            flags = None if flagged is not None and not flagged else self._plane(1, start, count)
            return vis, flags, self._plane(2, start, count) if counted is None else float(counted)

    def _plane(self, which: int, start: int, count: int) -> NDArray[Any]:
        """Read rows of one dataset, polarisation by polarisation."""
        if self._planes[which].shape[1] != count:
            shape = (self._header.n_pols, count, len(self._header.freq_hz))
            self._planes[which] = np.empty(shape, _DATA_TYPES[which])
        self._sets[which].read(start, self._planes[which].transpose(1, 2, 0))
        return self._planes[which]

    def read(self, first: int, last: int) -> tuple[NDArray[np.complex64], NDArray[np.bool_], NDArray[np.float32]]:
        """Return visibilities, flags and samples of baselines ``first .. last - 1`` of every integration.

        Returns
        -------
        three arrays (n_times, last - first, nchan, npol)
            Channels **ascending**, everything else as stored.

        Raises
        ------
        InputError
            If the file ends before its data.
        """
        baselines = len(self._header.antenna1)
        shape = (self._header.n_times, last - first, len(self._header.freq_hz), self._header.n_pols)
        arrays = tuple(np.empty(shape, dtype) for dtype in _DATA_TYPES)
        with file_faults(self._header.path):
            for stored, array in zip(self._sets, arrays, strict=True):
                for time in range(shape[0]):
                    stored.read(time * baselines + first, array[time])
        vis, flags, samples = (array[:, :, ::-1] for array in arrays)
        return vis, flags, samples


def _header(path: Path, head: Any) -> Header:
    def text(key: str) -> str:
        return _text(head[key][()])

    def number(key: str) -> float:
        return float(np.asarray(head[key][()]).ravel()[0])

    baselines, times = int(number("Nbls")), int(number("Ntimes"))
    rows = head["time_array"].shape[0]
    if rows != baselines * times:
        raise InputError(f"{path}: time_array has {rows} rows, not {baselines} x {times}: set it aside")
    stamps = head["time_array"][::baselines]  # the rest is looked at when the data are
    freq = np.ravel(head["freq_array"][()]).astype(np.float64)
    names = tuple(name.decode() for name in head["antenna_names"][()])
    codes = [int(code) for code in head["polarization_array"][()]]
    diameters = np.unique(head["antenna_diameters"][()])
    first = [np.asarray(head[key][:baselines], np.int64) for key in _PAIRS]
    problem = _contradiction(freq, stamps, first, codes, diameters, len(names))
    if problem:
        raise InputError(f"{path}: {problem}: set it aside")
    return Header(
        path=path,
        times_mjd=stamps - MJD_ZERO_JD,
        integration_s=float(head["integration_time"][0]),
        dec_app_rad=number("phase_center_app_dec"),
        freq_hz=freq,
        channel_width_hz=abs(number("channel_width")),
        latitude_deg=number("latitude"),
        longitude_deg=number("longitude"),
        altitude_m=number("altitude"),
        telescope=text("telescope_name"),
        antenna_names=names,
        antenna_positions_m=np.asarray(head["antenna_positions"][()], np.float64),
        dish_diameter_m=float(diameters[0]),
        antenna1=first[0],
        antenna2=first[1],
        polarisations=tuple(POLARISATIONS[code] for code in codes),
        applied_delays_sha256=_sha256(text("extra_keywords/applied_delays_ns")),
        antenna_order_sha256=antenna_order_sha256(names, first),
        fs_table=text("extra_keywords/fs_table"),
        history=text("history"),
    )


def _check_rows(header: Header, head: Any) -> None:
    """Look whether every integration has one time and the same baselines as the first."""
    with file_faults(header.path):
        stamps = head["time_array"][()].reshape(header.n_times, -1)
        pairs = [head[key][()].reshape(header.n_times, -1) for key in _PAIRS]
    if np.any(stamps != header.times_mjd[:, None] + MJD_ZERO_JD):
        raise InputError(f"{header.path}: time_array is not in time order with one time an integration: set it aside")
    if any(np.any(one != one[:1]) for one in pairs):
        raise InputError(f"{header.path}: the baselines differ from one integration to the next: set it aside")


def _contradiction(
    freq: NDArray[np.float64],
    stamps: NDArray[np.float64],
    first: list[NDArray[np.int64]],
    codes: list[int],
    diameters: NDArray[np.float64],
    antennas: int,
) -> str | None:
    """Return what in a header cannot be, or None."""
    if not np.isfinite(stamps).all() or np.any(np.diff(stamps) <= 0):
        return "time_array does not ascend"
    if max(one.max() for one in first) >= antennas:
        return "ant_1_array or ant_2_array count beyond antenna_names"
    if len(diameters) != 1:
        return "antenna_diameters differ"
    unknown = set(codes) - set(POLARISATIONS)
    if unknown:
        return f"polarization_array holds {min(unknown)}, not linear polarisations"
    return wrong_frequencies(freq)


def antenna_order_sha256(names: Iterable[str], pairs: Iterable[NDArray[np.int64]]) -> str:
    """Return the digest of a file's antenna names and of the antennas of its baselines, in their order."""
    order = hashlib.sha256("\n".join(names).encode())
    for one in pairs:
        order.update(one.astype("<i8").tobytes())
    return order.hexdigest()


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    import h5py

    with open(path, "rb"):  # missing, not permitted: said by the operating system, in its words
        pass
    with file_faults(path):
        file = h5py.File(path, "r")
    with file:
        yield file


@contextmanager
def file_faults(path: Path) -> Iterator[None]:
    """Turn HDF5's complaint about a file's content into an `InputError`; leave the machine's errors alone."""
    try:
        yield
    except OSError as error:
        number = error.errno or int((re.search(r"errno = (\d+)", str(error)) or [0, 0])[1])
        if number:
            raise OSError(number, os.strerror(number), str(path)) from error
        raise InputError(f"{path} is not a whole HDF5 file ({_first(error)}): set it aside") from None


def _first(error: Exception) -> str:
    return str(error.args[0]).splitlines()[0].strip("'\"")
