"""Reading of blocks of baselines from all subband files of a tile, with phase rotation to its phase centre."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contimg.convert.subbands import TileFiles, UnreadableSubband, fault_of_the_disk
from contimg.correlator import hdf5
from contimg.errors import InputError
from contimg.flagging.findings import TileAxes
from contimg.flagging.flag_codes import FlagCode

_MOST_SAMPLES = 1e4
"""Largest credible number of samples: the correlator averages 96; a damaged value would outweigh all other data."""


@dataclass(frozen=True)
class Block:
    """The visibilities of a block of baselines at all times, uncalibrated, phased to the tile's phase centre.

    Attributes
    ----------
    autos : (n_times, nautos, nchan, n_pols) complex64
        Autocorrelations.
    data, code : (n_times, ncross, nchan, n_pols) complex64, uint8
        Cross-correlations, conjugated for the Measurement Set, and the `FlagCode` of each.
    samples : (n_times, ncross, nchan, n_pols), or (nchan, n_pols) where they are the same for all, float32
        Samples averaged into each visibility: its weight.
    """

    autos: NDArray[np.complex64]
    data: NDArray[np.complex64]
    code: NDArray[np.uint8]
    samples: NDArray[np.float32]


class BlockMemory:
    """Buffers of a block that are reused for later blocks: new memory is slow, as the system clears it first."""

    def __init__(self) -> None:
        self._data, self._code = np.empty(0, np.complex64), np.empty(0, np.uint8)

    def of(self, shape: tuple[int, ...]) -> tuple[NDArray[np.complex64], NDArray[np.uint8]]:
        """Return uninitialised data and codes that are all `FlagCode.GOOD`, both of a shape."""
        size = math.prod(shape)
        if size > self._data.size:
            self._data, self._code = np.empty(size, np.complex64), np.empty(size, np.uint8)
        code = self._code[:size].reshape(shape)
        code[...] = FlagCode.GOOD.value
        return self._data[:size].reshape(shape), code


@dataclass(frozen=True)
class BlockReader:
    """Reads blocks of a tile whose files are open.

    Attributes
    ----------
    header : Header
        Of the tile.
    axes : TileAxes
    files : mapping of int to Data
        By subband.
    first_integration : mapping of int to int
        The place of each file's first integration among those of the tile.
    phasors : mapping of int to (n_times, nant, nchan) complex64
        By subband: phase factors from the meridian to the phase centre, channels descending as in the files.
    """

    header: hdf5.Header
    axes: TileAxes
    files: Mapping[int, hdf5.Data]
    first_integration: Mapping[int, int]
    phasors: Mapping[int, NDArray[np.complex64]]

    def read(self, first: int, last: int, memory: BlockMemory) -> Block:
        """Read baselines ``first .. last - 1`` of the files' order.

        Each integration of each subband passes through small arrays, which stay in the processor's cache.

        Raises
        ------
        UnreadableSubband
            If a file's data cannot be read.
        """
        head, axes = self.header, self.axes
        pairs = _Pairs.of(head.antenna1[first:last], head.antenna2[first:last])
        shape = (axes.n_times, len(pairs.one), axes.n_channels, axes.n_pols)
        autos = np.zeros((axes.n_times, last - first - len(pairs.one), *shape[2:]), np.complex64)
        data, code = memory.of(shape)
        samples = np.zeros(shape[2:], np.float32)
        if not axes.received.all():
            data[:, :, ~axes.received] = 0
            code[:, :, ~axes.received] = FlagCode.NOT_RECEIVED.value
        with np.errstate(invalid="ignore"):  # infinite values
            for subband in self.files:
                place = axes.subbands[subband]
                for time in range(axes.n_times):
                    read = self._read_integration(subband, time, first, last)
                    if read is None:
                        data[time, :, place] = 0
                        code[time, :, place] = FlagCode.CORRELATOR.value
                        samples = _note_samples(samples, 0.0, (time, place), pairs.cross, shape)
                        continue
                    vis, flags, counted = read
                    if len(pairs.one) < last - first:
                        autos[time, :, place] = vis[:, pairs.autos, ::-1].transpose(1, 2, 0)
                        vis = vis.take(pairs.cross, axis=1)
                    pairs.turn(vis, self.phasors[subband][time])
                    # Of the ways to write into a strided array, np.conjugate with `out` is the fastest.
                    np.conjugate(vis, out=data[time, :, place].transpose(2, 0, 1)[:, :, ::-1])
                    samples = _note_samples(samples, counted, (time, place), pairs.cross, shape)
                    _note_flags(code[time, :, place], flags, counted, pairs.cross)
        return Block(autos, data, code, samples)

    def _read_integration(
        self, subband: int, time: int, first: int, last: int
    ) -> tuple[NDArray[np.complex64], NDArray[np.bool_] | None, NDArray[np.float32] | float] | None:
        """Return visibilities, flags and samples of one integration (see `Data.at`); None if the file lacks it."""
        file = self.files[subband]
        stored = time - self.first_integration[subband]
        if not 0 <= stored < file.header.n_times:
            return None
        with naming_subband(subband, file.header):
            return file.at(stored, first, last)


@dataclass(frozen=True)
class _Pairs:
    """The antennas of a block's cross-correlations, `one` and `two`, and which of its baselines these are."""

    cross: NDArray[np.int64]
    autos: NDArray[np.int64]
    one: NDArray[np.int64]
    two: NDArray[np.int64]

    @classmethod
    def of(cls, antenna1: NDArray[np.int64], antenna2: NDArray[np.int64]) -> _Pairs:
        """Separate the cross-correlations of some baselines from the autocorrelations."""
        differ = antenna1 != antenna2
        return cls(np.flatnonzero(differ), np.flatnonzero(~differ), antenna1[differ], antenna2[differ])

    def turn(self, vis: NDArray[np.complex64], phasors: NDArray[np.complex64]) -> None:
        """Multiply ``vis`` (npol, ncross, nchan) by conj(p1) p2, in the file's order of antennas, in place.

        The Measurement Set has the lower antenna first: where the first is the higher one the conjugate is left.
        """
        turn = phasors.take(self.one, axis=0)
        np.conjugate(turn, out=turn)
        turn *= phasors.take(self.two, axis=0)
        vis *= turn
        np.conjugate(vis, out=vis, where=(self.one > self.two)[:, None])


def _note_flags(
    code: NDArray[np.uint8],
    flags: NDArray[np.bool_] | None,
    counted: NDArray[np.float32] | float,
    cross: NDArray[np.int64],
) -> None:
    """Mark in ``code`` (ncross, nchan, npol) what is flagged in the file or has no samples."""
    if flags is None and isinstance(counted, float) and 0 < counted <= _MOST_SAMPLES:
        return
    bad = ~(np.greater(counted, 0) & np.less_equal(counted, _MOST_SAMPLES))  # NaN is neither
    bad = bad if flags is None else bad | flags
    if not bad.any():
        return
    if bad.ndim == 0:
        code[...] = FlagCode.CORRELATOR.value
    else:
        code[bad[:, cross, ::-1].transpose(1, 2, 0)] = FlagCode.CORRELATOR.value


def _note_samples(
    samples: NDArray[np.float32],
    counted: NDArray[np.float32] | float,
    at: tuple[int, slice],
    cross: NDArray[np.int64],
    shape: tuple[int, ...],
) -> NDArray[np.float32]:
    """Return the samples with those of one integration of one subband, expanded to all rows once they differ."""
    time, place = at
    if isinstance(counted, float) and samples.ndim == 2 and (time == 0 or samples[place][0, 0] == counted):
        samples[place] = counted
        return samples
    if samples.ndim == 2:
        samples = np.broadcast_to(samples, shape).copy()
    values = counted if isinstance(counted, float) else counted[:, cross, ::-1].transpose(1, 2, 0)
    samples[time, :, place] = values
    return samples


@contextlib.contextmanager
def open_files(tile: TileFiles) -> Iterator[dict[int, hdf5.Data]]:
    """Open the files of a tile for their data.

    Raises
    ------
    UnreadableSubband
        If a file has no readable data.
    """
    with contextlib.ExitStack() as stack:
        opened = {}
        for subband, header in tile.headers.items():
            with naming_subband(subband, header):
                opened[subband] = stack.enter_context(hdf5.open_data(header))
        yield opened


@contextlib.contextmanager
def naming_subband(subband: int, header: hdf5.Header) -> Iterator[None]:
    """Convert errors of a file's data in the block into `UnreadableSubband`."""
    try:
        yield
    except InputError as error:
        raise UnreadableSubband(subband, str(error)) from error
    except OSError as error:
        raise UnreadableSubband(subband, fault_of_the_disk(header.path, error)) from error
