"""Rows of the correlator's chunked datasets, read past HDF5."""

from __future__ import annotations

import os
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
        plain = dataset.chunks is not None and dataset.id.get_create_plist().get_nfilters() == 0
        if plain and dataset.dtype.isnative:
            self._find_chunks(dataset)

    def _find_chunks(self, dataset: Any) -> None:
        chunk, found = np.array(dataset.chunks), []
        dataset.id.chunk_iter(lambda stored: found.append((*stored.chunk_offset, stored.byte_offset)))
        places = np.full(-(-np.array(dataset.shape) // chunk), -1, np.int64)
        if found:
            stored = np.array(found, np.int64)
            places[tuple((stored[:, :-1] // chunk).T)] = stored[:, -1]
        if (places >= 0).all():
            rows, _, channels, pols = dataset.chunks
            self._places = places.reshape(len(places), -1)
            self._stripe = np.empty((places.shape[2], places.shape[3], rows, channels, pols), dataset.dtype)
            steps = np.arange(self._places.shape[1]) * int(chunk.prod()) * dataset.dtype.itemsize
            self._together = (self._places == self._places[:, :1] + steps).all(1)

    def read(self, start: int, out: NDArray[Any]) -> None:
        """Fill ``out`` (nrow, nchan, npol) from row `start`."""
        if self._places is None:
            out[...] = self._dataset[start : start + len(out), 0]
            return
        _, _, channels, pols = self._dataset.chunks
        for top, first, last in self._steps(start, len(out)):
            for channel, parts in enumerate(self._stripe):
                for pol, part in enumerate(parts):
                    place = out[first - start : last - start, channel * channels :, pol * pols :][:, :channels, :pols]
                    place[...] = part[first - top : last - top, : place.shape[1], : place.shape[2]]

    def common_value(self, start: int, count: int) -> Any:
        """Return the one value that `count` rows from row `start` hold everywhere, or None if they differ."""
        if self._places is None:
            parts = iter([self._dataset[start : start + count]])
        else:
            parts = (self._stripe[:, :, first - top : last - top] for top, first, last in self._steps(start, count))
        found = {value for part in parts for value in (part.min(), part.max())}  # NaN differs from itself
        return found.pop() if len(found) == 1 else None

    def _steps(self, start: int, count: int) -> Iterator[tuple[int, int, int]]:
        """Load chunk after chunk of rows; yield the first row of each, and which of its rows are wanted."""
        rows = self._dataset.chunks[0]
        for top in range(start // rows * rows, start + count, rows):
            self._load(top // rows)
            yield top, max(start, top), min(start + count, top + rows)

    def _load(self, index: int) -> None:
        """Read all chunks of the same rows."""
        whole = self._stripe.reshape(-1).view(np.uint8)
        pieces = [whole] if self._together[index] else np.split(whole, self._places.shape[1])
        for piece, offset in zip(pieces, self._places[index].tolist(), strict=False):
            got = os.preadv(self._descriptor, [piece], offset)
            if got != len(piece):
                raise OSError(f"data end at byte {offset + got}")
