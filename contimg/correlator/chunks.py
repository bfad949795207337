"""Rows of the correlator's chunked datasets, read from the file itself where that is proved to give the same values.

The correlator's chunks hold one product of 12 or 24 channels; HDF5 puts them together sample by sample, at a tenth
of the disk's speed. Chunks that lie in the file as they are in memory are read with plain reads, all of the same rows
at once. Everything else (filters, another type or byte order, another layout, a link or driver by which the values lie
elsewhere, chunks never written) goes through HDF5.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Rows:
    """Rows of one dataset (row, 1, channel, product)."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self._chunks = PlainChunks.of(dataset)

    @property
    def read_directly(self) -> bool:
        """Whether chunks are read from the file, not through HDF5."""
        return self._chunks is not None

    def read(self, start: int, out: NDArray[Any]) -> None:
        """Fill ``out`` (nrow, nchan, nproduct) from row `start`."""
        if self._chunks is None:
            out[...] = self._dataset[start : start + len(out), 0]
        else:
            self._chunks.read(start, out)

    def common_value(self, start: int, count: int) -> Any:
        """Return the one value that `count` rows from row `start` hold everywhere, or None if they differ."""
        if self._chunks is None:
            return _one_value(self._dataset[start : start + count])
        return self._chunks.common_value(start, count)


class PlainChunks:
    """The chunks of a dataset that lie in its file as they are in memory.

    Chunks of the same rows form a stripe, which is what is read at once; the last one read is kept.
    """

    def __init__(self, dataset: Any, descriptor: int, offsets: NDArray[np.int64]) -> None:
        self._descriptor = descriptor
        self._rows, _, self._channels, self._products = dataset.chunks
        n_stripes, _, n_channels, n_products = offsets.shape
        self._offsets = offsets.reshape(n_stripes, -1)
        shape = (n_channels, n_products, self._rows, self._channels, self._products)
        self._stripe = np.empty(shape, dataset.dtype)
        stripe_bytes = self._stripe.reshape(-1).view(np.uint8)
        self._whole = [stripe_bytes]
        self._pieces = np.split(stripe_bytes, self._offsets.shape[1])
        steps = np.arange(self._offsets.shape[1]) * len(self._pieces[0])
        self._together: list[bool] = (self._offsets == self._offsets[:, :1] + steps).all(1).tolist()
        self._loaded: int | None = None
        self._values: dict[int, Any] = {}

    @classmethod
    def of(cls, dataset: Any) -> PlainChunks | None:
        """Return the chunks of a dataset, or None where plain reads would not give its values."""
        descriptor = _descriptor(dataset)
        offsets = _chunk_offsets(dataset) if descriptor is not None and _is_plain(dataset) else None
        if offsets is None or descriptor is None or not _same_bytes(dataset, descriptor, int(offsets[0, 0, 0, 0])):
            return None
        return cls(dataset, descriptor, offsets)

    def read(self, start: int, out: NDArray[Any]) -> None:
        """Fill ``out`` (nrow, nchan, nproduct) from row `start`."""
        parts = self._stripe.shape[:2]
        whole = out.shape[1:] == (parts[0] * self._channels, parts[1] * self._products)
        for top, first, last in self._steps(start, len(out)):
            rows, wanted = out[first - start : last - start], slice(first - top, last - top)
            if whole:
                places = rows.reshape(len(rows), parts[0], self._channels, parts[1], self._products, copy=False)
                places.transpose(1, 3, 0, 2, 4)[...] = self._stripe[:, :, wanted]
                continue
            for channel, product in np.ndindex(parts):
                place = rows[:, channel * self._channels :, product * self._products :]
                place = place[:, : self._channels, : self._products]
                place[...] = self._stripe[channel, product, wanted, : place.shape[1], : place.shape[2]]

    def common_value(self, start: int, count: int) -> Any:
        """Return the one value that `count` rows from row `start` hold everywhere, or None if they differ."""
        found = set()
        for index in range(start // self._rows, -(-(start + count) // self._rows)):
            if index not in self._values:  # stripes at the edge of a range are asked for twice
                self._load(index)
                self._values[index] = _one_value(self._stripe)
            value = self._values[index]
            if value is None:
                self._load(index)
                top = index * self._rows
                value = _one_value(self._stripe[:, :, max(start - top, 0) : start + count - top])
            found.add(value)
            if value is None or len(found) > 1:
                return None
        return found.pop()

    def _steps(self, start: int, count: int) -> Iterator[tuple[int, int, int]]:
        """Load stripe after stripe; yield the first row of each, and the first and last row wanted of it."""
        for top in range(start // self._rows * self._rows, start + count, self._rows):
            self._load(top // self._rows)
            yield top, max(start, top), min(start + count, top + self._rows)

    def _load(self, index: int) -> None:
        """Read a stripe."""
        if index == self._loaded:
            return
        self._loaded = None
        pieces = self._whole if self._together[index] else self._pieces
        for piece, offset in zip(pieces, self._offsets[index].tolist(), strict=False):
            got = os.preadv(self._descriptor, [piece.data], offset)
            if got != len(piece):
                raise OSError(f"data end at byte {offset + got}")
        self._loaded = index


def _descriptor(dataset: Any) -> int | None:
    """Return the file descriptor by which HDF5 reads the file that holds a dataset, or None if it uses no plain file.

    It is HDF5's own, of the dataset's own file: a link into another file, or a file that has been replaced under
    its name, cannot bring another file's bytes.
    """
    import h5py

    file = h5py.h5i.get_file_id(dataset.id)
    return int(file.get_vfd_handle()) if file.get_access_plist().get_driver() == h5py.h5fd.SEC2 else None


def _is_plain(dataset: Any) -> bool:
    """Tell whether a dataset is stored as it is in memory: chunks (rows, 1, channels, products) without filters."""
    import h5py

    made = dataset.id.get_create_plist()
    return bool(
        made.get_layout() == h5py.h5d.CHUNKED
        and made.get_nfilters() == 0
        and len(dataset.chunks) == 4
        and dataset.chunks[1] == dataset.shape[1] == 1
        and dataset.dtype.isnative
        and dataset.id.get_type() == h5py.h5t.py_create(dataset.dtype, logical=True)
    )


def _chunk_offsets(dataset: Any) -> NDArray[np.int64] | None:
    """Return where each chunk starts in the file, by its place in the dataset; None if one was never written."""
    chunk, found = np.array(dataset.chunks), array("q")  # no objects that the garbage collector would look through

    def note(stored: Any) -> None:
        found.extend((*stored.chunk_offset, stored.byte_offset, stored.size, stored.filter_mask))

    dataset.id.chunk_iter(note)
    stored = np.frombuffer(found, np.int64).reshape(-1, len(chunk) + 3)
    offsets = np.full(-(-np.array(dataset.shape) // chunk), -1, np.int64)
    offsets[tuple((stored[:, :4] // chunk).T)] = stored[:, 4]
    as_in_memory = (stored[:, 5] == chunk.prod() * dataset.dtype.itemsize).all() and not stored[:, 6].any()
    return offsets if offsets.size and as_in_memory and (offsets >= 0).all() else None


def _same_bytes(dataset: Any, descriptor: int, offset: int) -> bool:
    """Tell whether the first chunk's bytes are those that HDF5 reads: a user block would shift all of them."""
    _, content = dataset.id.read_direct_chunk((0, 0, 0, 0))
    return os.pread(descriptor, len(content), offset) == content


def _one_value(part: NDArray[Any]) -> Any:
    """Return the value that fills an array, or None; NaN differs from itself."""
    low, high = part.min(), part.max()
    return low if low == high else None
