"""Rows of the correlator's chunked datasets, read past HDF5."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Rows:
    """Rows of one dataset (row, 1, channel, polarisation).

    The correlator's chunks hold one polarisation of 12 or 24 channels; HDF5 puts them together sample by sample, at a
    tenth of the disk's speed. Chunks without filters are read from the file here, all of the same rows at once.
    """

    def __init__(self, dataset: Any, descriptor: int) -> None:
        self._dataset, self._descriptor, self._places = dataset, descriptor, None
        self._chunks, self._loaded = dataset.chunks, None
        plain = self._chunks is not None and dataset.id.get_create_plist().get_nfilters() == 0
        if plain and dataset.dtype.isnative:
            self._find_chunks(dataset)

    def _find_chunks(self, dataset: Any) -> None:
        chunk, found = np.array(self._chunks), array("q")  # no objects that the garbage collector would look through

        def note(stored: Any) -> None:
            found.extend((*stored.chunk_offset, stored.byte_offset))

        dataset.id.chunk_iter(note)
        stored = np.frombuffer(found, np.int64).reshape(-1, len(chunk) + 1)
        places = np.full(-(-np.array(dataset.shape) // chunk), -1, np.int64)
        places[tuple((stored[:, :-1] // chunk).T)] = stored[:, -1]
        if (places >= 0).all():
            rows, _, channels, pols = self._chunks
            self._places = places.reshape(len(places), -1)
            self._stripe = np.empty((places.shape[2], places.shape[3], rows, channels, pols), dataset.dtype)
            self._whole = [self._stripe.reshape(-1).view(np.uint8)]
            self._pieces = np.split(self._whole[0], self._places.shape[1])
            steps = np.arange(self._places.shape[1]) * int(chunk.prod()) * dataset.dtype.itemsize
            self._together = (self._places == self._places[:, :1] + steps).all(1).tolist()
            self._values: dict[int, Any] = {}

    def read(self, start: int, out: NDArray[Any]) -> None:
        """Fill ``out`` (nrow, nchan, npol) from row `start`."""
        if self._places is None:
            out[...] = self._dataset[start : start + len(out), 0]
            return
        _, _, channels, pols = self._chunks
        parts = self._stripe.shape[:2]
        whole = out.shape[1:] == (parts[0] * channels, parts[1] * pols)
        for top, first, last in self._steps(start, len(out)):
            rows, wanted = out[first - start : last - start], slice(first - top, last - top)
            if whole:
                places = rows.reshape(len(rows), parts[0], channels, parts[1], pols, copy=False)
                places.transpose(1, 3, 0, 2, 4)[...] = self._stripe[:, :, wanted]
                continue
            for channel, pol in np.ndindex(parts):
                place = rows[:, channel * channels :, pol * pols :][:, :channels, :pols]
                place[...] = self._stripe[channel, pol, wanted, : place.shape[1], : place.shape[2]]

    def common_value(self, start: int, count: int) -> Any:
        """Return the one value that `count` rows from row `start` hold everywhere, or None if they differ."""
        if self._places is None:
            part = self._dataset[start : start + count]
            return _one_value(part)
        rows, found = self._chunks[0], set()
        for index in range(start // rows, -(-(start + count) // rows)):
            if index not in self._values:  # chunks at the edge of a range are asked for twice
                self._load(index)
                self._values[index] = _one_value(self._stripe)
            value = self._values[index]
            if value is None:
                self._load(index)
                top = index * rows
                value = _one_value(self._stripe[:, :, max(start - top, 0) : start + count - top])
            found.add(value)
            if value is None or len(found) > 1:
                return None
        return found.pop()

    def _steps(self, start: int, count: int) -> Iterator[tuple[int, int, int]]:
        """Load chunk after chunk of rows; yield the first row of each, and which of its rows are wanted."""
        rows = self._chunks[0]
        for top in range(start // rows * rows, start + count, rows):
            self._load(top // rows)
            yield top, max(start, top), min(start + count, top + rows)

    def _load(self, index: int) -> None:
        """Read all chunks of the same rows."""
        if index == self._loaded:
            return
        self._loaded = None
        pieces = self._whole if self._together[index] else self._pieces
        for piece, offset in zip(pieces, self._places[index].tolist(), strict=False):
            got = os.preadv(self._descriptor, [piece], offset)
            if got != len(piece):
                raise OSError(f"data end at byte {offset + got}")
        self._loaded = index


def _one_value(part: NDArray[Any]) -> Any:
    """Return the value that fills an array, or None; NaN differs from itself."""
    low, high = part.min(), part.max()
    return low if low == high else None
