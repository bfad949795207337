"""The correlator's HDF5 files: their header, and their data a range of baselines at a time.

The layout is that of ``dsamfs/io.py`` (dsa110-meridian-fs): near to UVH5, with two-dimensional descending
frequencies, a scalar declination, float32 uvw that are not used, and antenna pairs in the correlator's order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.correlator import files
from contimg.correlator.chunks import Rows
from contimg.correlator.header import Header, parse
from contimg.correlator.header_reader import HeaderReader
from contimg.errors import InputError
from contimg.times import MJD_ZERO_JD

__all__ = ["Data", "Header", "open_data", "read_header", "read_setup"]

_DATA_TYPES = (np.complex64, np.bool_, np.float32)  # of visdata, flags and nsamples


def read_header(path: Path, *, any_frame: bool = False) -> Header:
    """Read a subband file's header without its data.

    Parameters
    ----------
    path : Path
    any_frame : bool
        Accept antenna positions in any frame.

    Raises
    ------
    InputError
        If the file is no HDF5, is truncated, lacks a key, or contradicts itself.
    OSError
        In the operating system's words: missing, not permitted, input-output error.
    """
    with _with_path(), files.opened(path) as file, files.content_faults(path):
        return parse(HeaderReader(file, Path(path)), any_frame=any_frame)


def read_setup(path: Path) -> tuple[str, str, str]:
    """Return what a tile and its calibration must have in common (`Header.setup`), from one of the tile's files.

    Raises
    ------
    InputError
        As `read_header`.
    """
    return read_header(path).setup


@contextmanager
def open_data(header: Header) -> Iterator[Data]:
    """Open a file for its data; see `Data`."""
    import h5py

    path = header.path
    with _with_path(), files.opened(path) as file:
        with files.content_faults(path):
            reader = HeaderReader(file, path)
            sets = reader.check_data(header.data_shape)
            _check_rows(header, reader)
            rows = [Rows(h5py.Dataset(one)) for one in sets.values()]
        yield Data(header, rows)


@contextmanager
def _with_path() -> Iterator[None]:
    """Add the path and the remedy to what is wrong with a file."""
    try:
        yield
    except files.FileFault as fault:
        raise InputError(fault.with_path()) from None


class Data:
    """The data of an open file, read a range of baselines at a time."""

    def __init__(self, header: Header, sets: Sequence[Rows]) -> None:
        self.header, self._sets = header, sets
        self._planes: list[NDArray[Any]] = [np.empty((len(header.products), 0, 0), dtype) for dtype in _DATA_TYPES]
        self._used = [header.products.index(name) for name in header.polarisations]
        self._all_used = header.products == header.polarisations

    def at(
        self, time: int, first: int, last: int
    ) -> tuple[NDArray[np.complex64], NDArray[np.bool_] | None, NDArray[np.float32] | float]:
        """Return visibilities, flags and samples of baselines ``first .. last - 1`` of one integration.

        Returns
        -------
        three arrays (npol, last - first, nchan)
            XX and YY, channels **descending**, as stored; the next call overwrites them. Where no flag is set, None
            instead of flags; where all samples are equal, one number instead of them.

        Raises
        ------
        InputError
            If the file ends before its data.
        OSError
            If they cannot be read.
        """
        start, count = time * self.header.n_baselines + first, last - first
        with _with_path(), files.content_faults(self.header.path):
            flagged, counted = (stored.common_value(start, count) for stored in self._sets[1:])
            vis = self._plane(0, start, count)
            flags = None if flagged is not None and not flagged else self._plane(1, start, count)
            return vis, flags, self._plane(2, start, count) if counted is None else float(counted)

    def _plane(self, which: int, start: int, count: int) -> NDArray[Any]:
        """Read rows of one dataset, product by product."""
        if self._planes[which].shape[1] != count:
            shape = (len(self.header.products), count, len(self.header.freq_hz))
            self._planes[which] = np.empty(shape, _DATA_TYPES[which])
        plane = self._planes[which]
        self._sets[which].read(start, plane.transpose(1, 2, 0))
        if plane.dtype == bool:  # a damaged byte may be neither 0 nor 1
            np.not_equal(plane.view(np.uint8), 0, out=plane)
        return plane if self._all_used else plane[self._used]

    def read(self, first: int, last: int) -> tuple[NDArray[np.complex64], NDArray[np.bool_], NDArray[np.float32]]:
        """Return visibilities, flags and samples of baselines ``first .. last - 1`` of every integration.

        Returns
        -------
        three arrays (n_times, last - first, nchan, npol)
            XX and YY, channels **ascending**, everything else as stored.

        Raises
        ------
        InputError, OSError
            As `at`.
        """
        head = self.header
        shape = (head.n_times, last - first, len(head.freq_hz), head.n_pols)
        vis, flags, samples = np.empty(shape, np.complex64), np.empty(shape, np.bool_), np.empty(shape, np.float32)
        arrays: tuple[NDArray[Any], ...] = (vis, flags, samples)
        with _with_path(), files.content_faults(head.path):
            for time in range(head.n_times):
                for which, array in enumerate(arrays):
                    plane = self._plane(which, time * head.n_baselines + first, last - first)
                    array[time] = plane.transpose(1, 2, 0)[:, ::-1]
        return vis, flags, samples


def _check_rows(header: Header, reader: HeaderReader) -> None:
    """Look whether every integration has one time and length and the same baselines as the first.

    Raises
    ------
    FileFault
        ``times``, ``contradiction`` or ``dtype``.
    """
    import h5py

    shape = (header.n_times, header.n_baselines)
    columns = {}
    for key in ("time_array", "integration_time", "ant_1_array", "ant_2_array"):
        dataset = h5py.Dataset(reader.open("Header", key))
        if dataset.shape != (header.data_shape[0],):
            raise reader.fault("contradiction", f"{key} has the shape {dataset.shape}, not {header.data_shape[:1]}")
        columns[key] = dataset[()].reshape(shape)
    if np.any(columns["time_array"] != header.times_mjd[:, None] + MJD_ZERO_JD):
        raise reader.fault("times", "time_array is not in time order with one time an integration")
    if np.any(columns["integration_time"] != header.integration_s):
        raise reader.fault("times", "integration_time differs from one row to the next")
    for key in ("ant_1_array", "ant_2_array"):
        if np.any(columns[key] != columns[key][:1]):
            raise reader.fault("contradiction", f"{key}: the baselines differ from one integration to the next")
