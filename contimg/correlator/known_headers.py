"""Headers that equal one read before, found by their bytes, so that only the values that differ are read and checked.

Files of a tile differ in their frequencies, and tiles in their times. HDF5 takes 1 ms to find that out, object by
object; a comparison of bytes takes a tenth of that. Why it is as safe: what HDF5 answers depends on the bytes that it
reads and on the file's size, and on nothing else. So the reads that it makes for one header are recorded. Another file
of that size with the same bytes in the same places has the same structure (groups, types, layouts, no link into
another file) and the same values. Only values of the keys in `header.VARYING` are left out of the comparison, where
their places follow from the structure and no other read touches them; they are read and checked for each file.
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.correlator import files, header, recorded_reads
from contimg.correlator.files import FileFault
from contimg.correlator.header import VARYING, Header
from contimg.correlator.header_reader import HeaderReader, place_of
from contimg.correlator.header_values import HeaderValues
from contimg.correlator.recorded_reads import RecordedReads

_VALUE_BYTES = 8
_NEAR_BYTES = 8192  # a read of so many more bytes takes no longer than another read
_KEPT = 4  # of files of one size
_LEAST_MADE, _USES_EACH = 2, 8  # as many are made in any case, and one more each time that they served so often
_LONGEST_IDLE = 64  # comparisons without success, after which one is dropped

Values = Mapping[str, NDArray[np.float64] | None]


@dataclass(frozen=True)
class _Stored:
    """The values of a key, where they lie in the file, and the reads (offset, bytes) by which HDF5 gets them."""

    values: NDArray[np.float64]
    offsets: tuple[int, ...]
    reads: frozenset[tuple[int, int]]


class KnownHeader:
    """A header that was read, the bytes that it was read from, and the places of the values that may differ.

    Parameters
    ----------
    head : Header
    same : mapping of int to bytes
        What must be the same, by its offset in the file.
    stored : mapping of str to _Stored
        The keys that may differ.
    values : mapping of str to (...) float64
        All keys of `header.VARYING`; None where the file does not have one.
    """

    def __init__(self, head: Header, same: Mapping[int, bytes], stored: Mapping[str, _Stored], values: Values) -> None:
        self.idle = 0
        self._head, self._values = head, values
        offsets = [offset for one in stored.values() for offset in one.offsets]
        wanted = [(first, first + len(content)) for first, content in same.items()]
        spans = _merged([*wanted, *((offset, offset + _VALUE_BYTES) for offset in offsets)])
        self._buffer = bytearray(sum(last - first for first, last in spans))
        self._pieces: list[tuple[int, memoryview]] = []
        places, used = {}, 0
        for first, last in spans:
            self._pieces.append((first, memoryview(self._buffer)[used : used + last - first]))
            places[first] = used - first
            used += last - first
        starts = np.array(sorted(places))

        def place(offset: int) -> int:
            """Return where a byte of the file lies in the buffer."""
            return offset + places[int(starts[np.searchsorted(starts, offset, side="right") - 1])]

        self._same = [(place(first), place(first) + len(content), content) for first, content in sorted(same.items())]
        self._slots = {key: [place(offset) for offset in one.offsets] for key, one in stored.items()}
        self._shapes = {key: one.values.shape for key, one in stored.items()}

    def header_of(self, path: Path, descriptor: int) -> Header | None:
        """Return the header of another file of the same size, or None if it must be read by HDF5.

        Raises
        ------
        FileFault
            If a value that may differ is wrong.
        OSError
            If the file cannot be read.
        """
        for first, piece in self._pieces:
            if os.preadv(descriptor, [piece], first) != len(piece):
                return None
        if any(self._buffer[start:end] != content for start, end, content in self._same):
            return None
        return header.with_values(self._head, _KnownValues(path, {**self._values, **self._found()}))

    def _found(self) -> dict[str, NDArray[np.float64]]:
        """Return the values that may differ, from the bytes that were read last."""
        found = {}
        for key, slots in self._slots.items():
            stored = b"".join([self._buffer[slot : slot + _VALUE_BYTES] for slot in slots])
            found[key] = np.frombuffer(stored, "<f8").reshape(self._shapes[key])
        return found


class _KnownValues(HeaderValues):
    """Values that `header.with_values` asks for, of a file whose bytes have been read."""

    def __init__(self, path: Path, values: Values) -> None:
        super().__init__(path)
        self._values = values

    def _value(self, key: str) -> NDArray[np.float64]:
        found = self._values[key]
        if found is None:
            raise self.fault("missing_key", f"it has no Header/{key}")
        return found

    def number(self, key: str) -> float:
        return self.in_range(key, float(self._value(key)))

    def optional_number(self, key: str) -> float | None:
        return None if self._values[key] is None else self.number(key)

    def numbers(self, key: str, *, first: int | None = None, every: int = 1) -> NDArray[np.float64]:
        return self.all_in_range(key, self._value(key))  # the rows are those that were asked for when it was made


@dataclass
class KnownHeaders:
    """The headers that files are compared with: the few that served last, by the files' size.

    One is made of the second file of a size that has to be read by HDF5, and fewer are made the less they serve.
    """

    _by_size: dict[int, list[KnownHeader]] = field(default_factory=dict)
    _read: set[int] = field(default_factory=set)
    _made: int = 0
    _uses: int = 0

    def header_of(self, path: Path) -> Header | None:
        """Return the header of a file that equals a known one but for what may differ; None for any other.

        Raises
        ------
        FileFault
            If a value that may differ is wrong.
        """
        try:
            with _descriptor(path) as (descriptor, size):
                known = self._by_size.get(size, [])
                for one in known:
                    found = one.header_of(path, descriptor)
                    if found is not None:
                        self._has_served(one, known)
                        return found
                    one.idle += 1
                if known:
                    self._by_size[size] = [one for one in known if one.idle < _LONGEST_IDLE]
        except OSError:  # HDF5 meets the same error, and it is said then
            pass
        return None

    def learn(self, path: Path) -> None:
        """Take note of a file that HDF5 has read and found right."""
        try:
            with _descriptor(path) as (descriptor, size):
                if size not in self._read:
                    self._read.add(size)
                elif self._made < _LEAST_MADE + self._uses // _USES_EACH:
                    self._made += 1
                    made = known_header(path, descriptor)
                    if made is not None:
                        self._by_size[size] = [made, *self._by_size.get(size, [])][:_KEPT]
        except (FileFault, OSError):  # it has changed since
            pass

    def _has_served(self, one: KnownHeader, known: list[KnownHeader]) -> None:
        self._uses += 1
        one.idle = 0
        if known[0] is not one:
            known.remove(one)
            known.insert(0, one)


def known_header(path: Path, descriptor: int) -> KnownHeader | None:
    """Return what other files can be compared with, of an open file; None if none can.

    Raises
    ------
    FileFault
        If something is wrong with the file.
    OSError
        If it cannot be read.
    """
    recorded = RecordedReads(descriptor)
    with recorded_reads.opened(path, recorded) as file, files.content_faults(path):
        if file.get_create_plist().get_userblock():
            return None
        reader = _NotingReader(file, path)
        head = header.parse(reader)
        reader.check_data(head.data_shape)
        stored = {key: found for key in VARYING if (found := reader.stored(key)) is not None}
    same, stored = _separated(recorded.reads, stored)
    values = {key: reader.values.get(key) for key in VARYING}
    made = KnownHeader(head, same, stored, values)
    again = made.header_of(path, descriptor)  # a file that changes, or values that lie elsewhere, show here
    return made if again is not None and _equal(again, head) else None


def _equal(one: Header, other: Header) -> bool:
    return all(np.array_equal(getattr(one, name), value) for name, value in vars(other).items())


def _separated(
    reads: Iterable[tuple[int, bytes]], stored: Mapping[str, _Stored]
) -> tuple[dict[int, bytes], dict[str, _Stored]]:
    """Return the reads that must be the same, by their offset, and the keys whose values are in none of them."""
    apart = dict(stored)
    while True:
        of_values = {place for one in apart.values() for place in one.reads}
        same: dict[int, bytes] = {}
        for offset, content in reads:
            place = (offset, len(content))
            if place in of_values:
                of_values.discard(place)  # once: a second such read would be of something else
            elif len(content) > len(same.get(offset, b"")):
                same[offset] = content
        touched = [key for key, one in apart.items() if any(_touches(same, offset) for offset in one.offsets)]
        if not touched:
            return same, apart
        for key in touched:
            del apart[key]


def _touches(same: Mapping[int, bytes], offset: int) -> bool:
    """Return whether a value that lies at an offset is part of what must be the same."""
    return any(first < offset + _VALUE_BYTES and offset < first + len(content) for first, content in same.items())


def _merged(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return ranges (first byte, one after the last) in order, those that are near to each other as one."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + _NEAR_BYTES:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged


@contextmanager
def _descriptor(path: Path) -> Iterator[tuple[int, int]]:
    """Open a file; give its descriptor and size.

    Raises
    ------
    OSError
        If it cannot be opened, or is no regular file.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe is not waited for
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{path} is not a regular file")
        yield descriptor, status.st_size
    finally:
        os.close(descriptor)


class _NotingReader(HeaderReader):
    """A reader that keeps what it has read of the keys in `header.VARYING`, and knows where that lies.

    Attributes
    ----------
    values : dict of str to (...) float64
    """

    def __init__(self, file: Any, path: Path) -> None:
        super().__init__(file, path)
        self.values: dict[str, NDArray[np.float64]] = {}
        self._datasets: dict[str, Any] = {}
        self._steps: dict[str, int] = {}

    def open(self, group: str, key: str) -> Any:
        dataset = super().open(group, key)
        self._datasets[f"{group}/{key}"] = dataset
        return dataset

    def in_range(self, key: str, value: float) -> float:
        self.values[key] = np.array(super().in_range(key, value))
        return value

    def numbers(self, key: str, *, first: int | None = None, every: int = 1) -> NDArray[np.float64]:
        self.values[key] = super().numbers(key, first=first, every=every)
        self._steps[key] = every
        return self.values[key]

    def stored(self, key: str) -> _Stored | None:
        """Return where the values of a key lie; None if it has none, or bytes in the file are not its values."""
        dataset = self._datasets.get("/".join(place_of(key)))
        if dataset is None or key not in self.values or dataset.get_type() != self._h5.h5t.IEEE_F64LE:
            return None
        made, values = dataset.get_create_plist(), self.values[key]
        rows = np.arange(len(values)) * self._steps[key] if values.ndim else np.zeros(1, int)
        if made.get_layout() == self._h5.h5d.CONTIGUOUS:
            inner = math.prod(values.shape[1:])
            places = dataset.get_offset() + _VALUE_BYTES * (rows[:, None] * inner + np.arange(inner))
            whole = (dataset.get_offset(), _VALUE_BYTES * math.prod(dataset.shape))
            return _Stored(values, tuple(places.ravel().tolist()), frozenset([whole]))
        if made.get_layout() != self._h5.h5d.CHUNKED or made.get_nfilters() or len(dataset.shape) != 1:
            return None
        (length,) = made.get_chunk()
        chunks = [dataset.get_chunk_info_by_coord((row,)) for row in rows.tolist()]
        if any(chunk.byte_offset is None or chunk.size != _VALUE_BYTES * length for chunk in chunks):
            return None
        places = np.array([chunk.byte_offset for chunk in chunks]) + _VALUE_BYTES * (rows % length)
        return _Stored(values, tuple(places.tolist()), frozenset((chunk.byte_offset, chunk.size) for chunk in chunks))
