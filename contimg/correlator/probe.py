"""A quick look into a subband file: what planning needs, and whether the file can be what its name says.

The plan looks into thousands of files; `uvh5.read_header` reads all that a conversion needs and takes several
times as long. Here HDF5 is spoken to directly, key by key, and neither antenna tables nor data are read.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.correlator import band, hdf5
from contimg.errors import InputError
from contimg.times import MJD_ZERO_JD

# Keys that the conversion will read later: looked for here, so that no tile fails for lack of them.
_NEEDED = (
    "altitude",
    "ant_1_array",
    "ant_2_array",
    "antenna_diameters",
    "antenna_names",
    "antenna_positions",
    "channel_width",
    "extra_keywords",
    "telescope_name",
)
_EXTRA = ("applied_delays_ns", "fs_table")
_LARGEST = 10_000  # values of anything that is read whole


class FileFault(InputError):
    """A file that no tile can use, with a reason code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Probe:
    """What a subband file says of itself, as far as planning asks.

    Attributes
    ----------
    start_mjd, end_mjd : float
        Centres of the first and the last integration, UTC.
    integration_s : float
    dec_app_deg, longitude_deg, latitude_deg : float
    subband : int
        The number that the frequencies belong to.
    shape : str
        Numbers of baselines, integrations and channels, and the polarisations: the same in all files of a tile.
    synthetic : bool
    """

    start_mjd: float
    end_mjd: float
    integration_s: float
    dec_app_deg: float
    longitude_deg: float
    latitude_deg: float
    subband: int
    shape: str
    synthetic: bool


def look(path: Path) -> Probe:
    """Look into a file.

    Raises
    ------
    FileFault
        ``unreadable`` (no whole HDF5 file), ``missing_key``, ``dtype``, ``antennas`` (their number contradicts
        that of the baselines), ``times``, ``polarisations``, ``contradiction`` (shapes) or ``frequency``.
    OSError
        If the machine failed, not the file: missing, not permitted, input-output error.
    """
    import h5py

    try:
        with hdf5.file_faults(path):
            file = h5py.h5f.open(bytes(path), h5py.h5f.ACC_RDONLY)
            try:
                return _look(_Reader(file, path))
            finally:
                file.close()
    except FileFault:
        raise
    except InputError as error:
        raise FileFault("unreadable", str(error)) from None
    except (RuntimeError, TypeError, ValueError) as error:  # what h5py says of damaged bytes inside
        raise FileFault("unreadable", f"{path.name} is damaged ({str(error).splitlines()[0]})") from None


def _look(head: _Reader) -> Probe:
    head.need("", ("Header", "Data"))
    head.need("Header", _NEEDED)
    head.need("Header/extra_keywords", _EXTRA)
    baselines, times, antennas, stations = (
        int(head.number(key)) for key in ("Nbls", "Ntimes", "Nants_data", "Nants_telescope")
    )
    if min(baselines, times) < 1 or baselines != antennas * (antennas + 1) // 2:
        raise head.fault("antennas", f"{antennas} antennas do not make {baselines} baselines with autocorrelations")
    found = head.open("Header", "antenna_names").shape
    if found != (stations,):
        raise head.fault("antennas", f"antenna_names has the shape {found}, Nants_telescope is {stations}")
    codes = head.values("polarization_array").tolist()
    freq_hz = head.values("freq_array")
    rows = baselines * times
    head.check_data((rows, 1, len(freq_hz), len(codes)))
    stamps = head.rows("time_array", rows, every=baselines)
    if not np.isfinite(stamps).all() or (stamps[1:] <= stamps[:-1]).any():
        raise head.fault("times", "time_array does not ascend")
    unknown = set(codes) - set(hdf5.POLARISATIONS)
    if unknown:
        raise head.fault("polarisations", f"polarization_array holds {min(unknown):g}, not linear polarisations")
    problem = band.wrong_frequencies(freq_hz)
    if problem:
        raise head.fault("frequency", problem)
    products = " ".join(hdf5.POLARISATIONS[code] for code in codes)
    return Probe(
        start_mjd=float(stamps[0]) - MJD_ZERO_JD,
        end_mjd=float(stamps[-1]) - MJD_ZERO_JD,
        integration_s=float(head.rows("integration_time", rows, every=rows)[0]),
        dec_app_deg=math.degrees(head.number("phase_center_app_dec")),
        longitude_deg=head.number("longitude"),
        latitude_deg=head.number("latitude"),
        subband=band.subband_of_frequencies(freq_hz),
        shape=f"{baselines} baselines, {times} integrations, {len(freq_hz)} channels, {products}",
        synthetic=b"simulat" in head.text("history").lower(),
    )


@functools.cache
def _data_types() -> dict[str, tuple[Any, np.dtype]]:
    """Return the types of the datasets of the data, as HDF5 and numpy name them."""
    import h5py

    types = {"visdata": np.dtype(np.complex64), "flags": np.dtype(bool), "nsamples": np.dtype(np.float32)}
    return {name: (h5py.h5t.py_create(dtype, logical=True), dtype) for name, dtype in types.items()}


@functools.cache
def _one() -> Any:
    """Return the dataspace of one number."""
    import h5py

    return h5py.h5s.create(h5py.h5s.SCALAR)


class _Reader:
    """The datasets of an open file; what is wrong with one becomes a `FileFault`.

    Every object of h5py costs 5 to 10 us and a night has 64 000 datasets to look at: hence groups that are opened
    once, HDF5's own conversion of numbers, and numpy's names for types only where a fault is described.
    """

    def __init__(self, file: Any, path: Path) -> None:
        self._file, self._path = file, path
        self._groups: dict[str, Any] = {}

    def fault(self, code: str, what: str) -> FileFault:
        return FileFault(code, f"{self._path.name}: {what}")

    def _group(self, name: str) -> Any:
        import h5py

        if name not in self._groups:
            try:
                self._groups[name] = h5py.h5g.open(self._file, name.encode() or b"/")
            except KeyError:
                raise self.fault("missing_key", f"it has no {name}") from None
        return self._groups[name]

    def open(self, group: str, key: str) -> Any:
        import h5py

        try:
            return h5py.h5d.open(self._group(group), key.encode())
        except KeyError:
            raise self.fault("missing_key", f"it has no {group}/{key}") from None

    def need(self, group: str, names: Iterable[str]) -> None:
        """Look whether a group holds some names."""
        links = self._group(group).links
        for name in names:
            if not links.exists(name.encode()):
                raise self.fault("missing_key", f"it has no {group}/{name}")

    def values(self, key: str) -> NDArray[np.float64]:
        """Return a whole small dataset of numbers of the header, flat."""
        import h5py

        dataset = self._numbers(key)
        shape = dataset.shape
        if not 0 < math.prod(shape) <= _LARGEST:
            raise self.fault("contradiction", f"{key} has the shape {shape}")
        values = np.empty(shape)
        dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, values, h5py.h5t.NATIVE_DOUBLE)
        return values.ravel()

    def number(self, key: str) -> float:
        import h5py

        found = np.empty(())
        try:  # neither type nor shape is asked for where HDF5 gives one number
            self.open("Header", key).read(_one(), h5py.h5s.ALL, found, h5py.h5t.NATIVE_DOUBLE)
        except (OSError, TypeError, ValueError):
            found = self.values(key)[0]
        value = float(found)
        if not math.isfinite(value):
            raise self.fault("contradiction", f"{key} is {value}")
        return value

    def text(self, key: str) -> bytes:
        import h5py

        dataset = self.open("Header", key)
        stored = dataset.get_type()
        if stored.get_class() != h5py.h5t.STRING or dataset.shape != ():
            raise self.fault("dtype", f"{key} is of type {dataset.dtype} and shape {dataset.shape}, not one text")
        value = np.empty((), stored.dtype)
        dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, value)
        found = value.item()
        return found if isinstance(found, bytes) else str(found).encode()

    def rows(self, key: str, length: int, every: int) -> NDArray[np.float64]:
        """Return every so manieth value of a long dataset, which must hold `length` double-precision numbers."""
        import h5py

        dataset = self._numbers(key)
        stored = dataset.get_type()
        if stored.get_class() != h5py.h5t.FLOAT or stored.get_size() < 8:
            raise self.fault("dtype", f"{key} is of type {dataset.dtype}, not float64")
        space = dataset.get_space()
        shape = space.get_simple_extent_dims()
        if shape != (length,):
            raise self.fault("contradiction", f"{key} has the shape {shape}, not ({length},)")
        values = np.empty(length // every)
        space.select_hyperslab((0,), values.shape, (every,))
        dataset.read(h5py.h5s.create_simple(values.shape), space, values, h5py.h5t.NATIVE_DOUBLE)
        return values

    def check_data(self, shape: tuple[int, ...]) -> None:
        """Look whether the data have the header's shape and the correlator's types."""
        for name, (stored, expected) in _data_types().items():
            dataset = self.open("Data", name)
            if dataset.get_type() != stored and dataset.dtype != expected:
                raise self.fault("dtype", f"{name} is of type {dataset.dtype}, not {expected}")
            found = dataset.shape
            if found != shape:
                raise self.fault("contradiction", f"{name} has the shape {found}, its header says {shape}")

    def _numbers(self, key: str) -> Any:
        """Open a dataset of the header that must hold numbers."""
        import h5py

        dataset = self.open("Header", key)
        if dataset.get_type().get_class() not in (h5py.h5t.FLOAT, h5py.h5t.INTEGER):
            raise self.fault("dtype", f"{key} is of type {dataset.dtype}, not numbers")
        return dataset
