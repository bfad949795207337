"""The datasets of a subband file's header, read through HDF5's low level, each with the checks of its row in the table.

The plan looks into thousands of files, and every object of h5py costs 5 to 10 us: groups are opened once, of the
arrays with a value a row only what describes one integration is read, types are identified by the class that h5py gives
them, and values are checked again only where they differ from those of the files before.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.correlator.files import FileFault
from contimg.correlator.header_checks import CHECKS, Check
from contimg.correlator.header_values import HeaderValues

_LARGEST = 100_000  # values of anything that is read whole
_LONGEST_TEXT = 1 << 20
_LEAST_BITS = {"integer": 0, "number": 32, "double": 64}  # of a floating type; 0 where integers will do


class HeaderReader(HeaderValues):
    """The datasets of an open file; what is wrong with one becomes a `FileFault`.

    Attributes
    ----------
    path : Path
    sizes : dict
        The lengths that `Check.shape` names, once they are known.
    """

    def __init__(self, file: Any, path: Path) -> None:
        import h5py

        super().__init__(path)
        self._file = file
        self._h5 = h5py
        self._name = h5py.h5f.get_name(file)
        self._groups: dict[str, Any] = {}
        self.sizes: dict[str, int] = {}

    def require(self, groups: Iterable[str]) -> None:
        """Look whether the file holds some groups."""
        for group in groups:
            self._group(group)

    def open(self, group: str, key: str) -> Any:
        """Open a dataset whose values must lie in this very file: the file's digest stands for all that is read.

        Raises
        ------
        FileFault
            ``missing_key``; ``elsewhere`` where values lie in other files (external link, external storage, virtual
            dataset).
        """
        try:
            dataset = self._h5.h5d.open(self._group(group), key.encode())
        except KeyError as error:
            if "errno = " in str(error):
                raise
            raise self.fault("missing_key", f"it has no {group}/{key}") from None
        if self._h5.h5f.get_name(dataset) != self._name:
            raise self.fault("elsewhere", f"{group}/{key} is a link into another file: copy it into this one")
        if dataset.get_offset() is None and self._is_elsewhere(dataset):
            raise self.fault("elsewhere", f"the values of {group}/{key} lie in other files: copy them into this one")
        return dataset

    def _is_elsewhere(self, dataset: Any) -> bool:
        """Return whether a dataset that has no place of its own in the file is a virtual or an external one."""
        made = dataset.get_create_plist()
        layout = made.get_layout()
        if layout == self._h5.h5d.VIRTUAL:
            return True
        return bool(layout == self._h5.h5d.CONTIGUOUS and made.get_external_count() > 0)  # no other layout can be

    def number(self, key: str) -> float:
        """Return a single number."""
        return self._number(key, self.open(*place_of(key)))

    def _number(self, key: str, dataset: Any) -> float:
        check, found = CHECKS[key], np.empty(())
        self._check_type(check, dataset)
        try:  # the shape is not asked for where HDF5 gives one number
            dataset.read(_memory(()), self._h5.h5s.ALL, found, self._h5.h5t.NATIVE_DOUBLE)
        except (OSError, TypeError, ValueError) as error:
            if "errno = " in str(error):
                raise
            raise self.fault("contradiction", f"{key} has the shape {dataset.shape}, not one value") from None
        return self.in_range(key, float(found))

    def optional_number(self, key: str) -> float | None:
        """Return a single number, or None if the file does not have it."""
        dataset = self._open_optional(key)
        return None if dataset is None else self._number(key, dataset)

    def has(self, key: str) -> bool:
        """Return whether the file has a key of the header."""
        return self._open_optional(key) is not None

    def numbers(self, key: str, *, first: int | None = None, every: int = 1) -> NDArray[np.float64]:
        """Return an array of numbers: all of it, its first rows, or one row out of `every`.

        Rows of stations come as they are; of all others each value is in its range.
        """
        check = CHECKS[key]
        dataset = self.open(*place_of(key))
        self._check_type(check, dataset)
        space = dataset.get_space()
        shape = self._check_shape(check, space)
        wanted = (shape[0] // every if first is None else first, *shape[1:])
        if not 0 < math.prod(wanted) <= _LARGEST:
            raise self.fault("contradiction", f"{key} has the shape {shape}")
        if wanted != shape:
            space.select_hyperslab((0,) * len(shape), wanted, (every, *(1,) * (len(shape) - 1)))
        values = np.empty(wanted)
        dataset.read(_memory(wanted), space, values, self._h5.h5t.NATIVE_DOUBLE)
        return values if check.of_stations else self.all_in_range(key, values)

    def text(self, key: str) -> str:
        """Return a text; the empty text if the file does not have the key and need not."""
        check = CHECKS[key]
        dataset = self.open(*place_of(key)) if check.needed else self._open_optional(key)
        if dataset is None:
            return ""
        shape = dataset.shape
        if shape != ():
            raise self.fault("contradiction", f"{key} has the shape {shape}, not one text")
        found = as_text(self._texts(key, dataset, ()).item())
        if check.kind == "text" and not (found and found.isascii() and found.isprintable()):
            raise self.fault("dtype", f"{key} is {found!a}, not ASCII text")
        return found

    def names(self, key: str) -> NDArray[Any]:
        """Return an array of names: bytes, text or integers."""
        dataset = self.open(*place_of(key))
        shape = self._check_shape(CHECKS[key], dataset.get_space())
        if not isinstance(dataset.get_type(), self._h5.h5t.TypeIntegerID):
            return self._texts(key, dataset, shape)
        values = np.empty(shape, np.int64)
        dataset.read(self._h5.h5s.ALL, self._h5.h5s.ALL, values, self._h5.h5t.NATIVE_INT64)
        return values

    def check_data(self, shape: tuple[int, ...]) -> dict[str, Any]:
        """Return the datasets of the data, once their shape, type and place are those of the correlator's files."""
        found = {}
        for name, (stored, expected) in _data_types().items():
            dataset = found[name] = self.open("Data", name)
            if dataset.get_type() != stored and dataset.dtype != expected:  # the second costs ten times the first
                raise self.fault("dtype", f"{name} is of type {_type_name(dataset)}, not {expected}")
            if dataset.shape != shape:
                raise self.fault("contradiction", f"{name} has the shape {dataset.shape}, its header says {shape}")
            self._check_filters(name, dataset)
        return found

    def _check_filters(self, name: str, dataset: Any) -> None:
        """Look whether HDF5 has what the data were compressed with."""
        made = dataset.get_create_plist()
        for number in range(made.get_nfilters()):
            code, *_, said = made.get_filter(number)
            if not self._h5.h5z.filter_avail(code):
                what = f"{name} is compressed with HDF5's filter {code}{f' ({as_text(said)})' if said else ''}"
                raise self.fault("filter", f"{what}, which is not installed here: add it to HDF5_PLUGIN_PATH")

    def _open_optional(self, key: str) -> Any:
        """Open a dataset of the header; None if its group has no such name."""
        group, name = place_of(key)
        try:
            return self.open(group, name)
        except FileFault:
            if self._group(group).links.exists(name.encode()):
                raise
            return None

    def _group(self, name: str) -> Any:
        if name not in self._groups:
            try:
                group = self._h5.h5g.open(self._file, name.encode())
            except (KeyError, ValueError):
                if self._file.links.exists(name.encode()):  # damaged, or a link
                    raise
                raise self.fault("missing_key", f"it has no {name}") from None
            self._groups[name] = group
        return self._groups[name]

    def _check_type(self, check: Check, dataset: Any) -> None:
        stored = dataset.get_type()
        floating = isinstance(stored, self._h5.h5t.TypeFloatID)
        if not floating and not isinstance(stored, self._h5.h5t.TypeIntegerID):
            raise self.fault("dtype", f"{check.key} is of type {_type_name(dataset)}, not numbers")
        bits = _LEAST_BITS[check.kind]
        if bits and (not floating or 8 * stored.get_size() < bits):
            raise self.fault("dtype", f"{check.key} is of type {_type_name(dataset)}, not floats of {bits} bits")

    def _check_shape(self, check: Check, space: Any) -> tuple[int, ...]:
        """Return the shape of a dataspace if it is what the table says, or that without an axis of length 1 before."""
        shape: tuple[int, ...] = space.get_simple_extent_dims() or ()  # None where there is no value at all
        expected = tuple(self.sizes.get(size, size) if isinstance(size, str) else size for size in check.shape)
        if shape == expected:
            return shape
        allowed = [expected, expected[1:]] if expected[0] == 1 else [expected]
        for one in allowed:
            if len(shape) == len(one) and all(
                want in ("*", have) for have, want in zip(shape, one, strict=True)
            ):  # fmt: skip
                return shape
        code = "antennas" if check.shape[0] == "stations" else "contradiction"
        raise self.fault(code, f"{check.key} has the shape {shape}, not {expected}".replace("'*'", "n"))

    def _texts(self, key: str, dataset: Any, shape: tuple[int, ...]) -> NDArray[Any]:
        stored = dataset.get_type()
        if not isinstance(stored, self._h5.h5t.TypeStringID):
            raise self.fault("dtype", f"{key} is of type {_type_name(dataset)}, not text")
        if stored.get_size() > _LONGEST_TEXT:
            raise self.fault("contradiction", f"{key} is {stored.get_size()} bytes long")
        values = np.empty(shape, stored.dtype)
        memory = stored if values.dtype.kind == "S" else None  # of a fixed length: in memory as in the file
        dataset.read(self._h5.h5s.ALL, self._h5.h5s.ALL, values, memory)
        return values


def as_text(value: Any) -> str:
    """Return a text of HDF5, bytes or not, or a number as text."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


@functools.lru_cache(maxsize=64)
def _memory(shape: tuple[int, ...]) -> Any:
    """Return the dataspace of an array in memory, or of one number."""
    import h5py

    return h5py.h5s.create_simple(shape) if shape else h5py.h5s.create(h5py.h5s.SCALAR)


@functools.cache
def place_of(key: str) -> tuple[str, str]:
    """Return the group and the name of a key of the header."""
    above, _, name = key.rpartition("/")
    return f"Header/{above}".rstrip("/"), name


@functools.cache
def _data_types() -> dict[str, tuple[Any, np.dtype[Any]]]:
    """Return the types of the datasets of the data, as HDF5 and numpy name them."""
    import h5py

    types = {"visdata": np.dtype(np.complex64), "flags": np.dtype(bool), "nsamples": np.dtype(np.float32)}
    return {name: (h5py.h5t.py_create(dtype, logical=True), dtype) for name, dtype in types.items()}


def _type_name(dataset: Any) -> str:
    """Return a dataset's type as numpy names it; some types of HDF5 have no such name."""
    try:
        return str(dataset.dtype)
    except TypeError:
        return "that numpy does not know"
