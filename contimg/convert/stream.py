"""The pass over the data: read a block of baselines, rotate it to the phase centre, flag it, write it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contimg import measurement_set
from contimg.config import FlagOptions, IngestOptions
from contimg.convert.blocks import Block, BlockMemory, BlockReader, open_files
from contimg.convert.coordinates import tile_coordinates
from contimg.convert.subbands import TileFiles
from contimg.convert.summary import ConversionReport, Pass, finish
from contimg.correlator import hdf5
from contimg.flagging.block_flagger import BlockFlagger
from contimg.flagging.findings import TileAxes
from contimg.flagging.flag_codes import FlagCode, count, nothing_measured
from contimg.sky import geometry
from contimg.storage.atomic import syncing

_BLOCK_BYTES = 48 << 20


def fill(part: Path, tile: TileFiles, ingest: IngestOptions, flag: FlagOptions) -> ConversionReport:
    """Write the Measurement Set block by block, then its flags.

    Raises
    ------
    UnreadableSubband
        If a file's data cannot be read; the Measurement Set is then incomplete.
    OSError
        If the machine failed.
    """
    head, coordinates = tile.header, tile_coordinates(tile, ingest)
    axes = _axes(tile, head, ingest.subbands)
    ranges = _BlockRanges.of(head, coordinates, axes)
    flagger = BlockFlagger(flag, axes)
    written = _Written.nothing(axes, ranges.n_cross)
    phasors = _phasors(head, coordinates, axes, list(tile.headers))
    starts = {subband: tile.first_integration(subband) for subband in tile.headers}
    with open_files(tile) as files, ThreadPoolExecutor(1) as pool:
        blocks = _read_ahead(BlockReader(head, axes, files, starts, phasors), ranges.bounds, pool)
        with measurement_set.create(part, coordinates) as writer, syncing(part):
            for (first, last), block in zip(ranges.bounds, blocks, strict=True):
                autos = head.antenna1[first:last][head.antenna1[first:last] == head.antenna2[first:last]]
                flagger.add_autocorrelations(autos, block.autos)
                rows = ranges.rows(first, last)
                flagger.flag_block(block.data, block.code, coordinates.antenna1[rows], coordinates.antenna2[rows])
                written.write(writer, block, rows)
            result = Pass(coordinates, flagger.findings(), written.weights, written.flags)
            return finish(writer, tile, result, flag)


def _axes(tile: TileFiles, head: hdf5.Header, n_subbands: int) -> TileAxes:
    """Return the axes of the tile: channels ascend, so that subband 0 comes last."""
    width = len(head.freq_hz)
    subbands = [slice((n_subbands - 1 - one) * width, (n_subbands - one) * width) for one in range(n_subbands)]
    received = np.zeros(n_subbands * width, bool)
    for subband in tile.headers:
        received[subbands[subband]] = True
    return TileAxes(received, head.n_times, len(head.antenna_names), head.n_pols, subbands)


def _phasors(
    head: hdf5.Header, coordinates: measurement_set.Coordinates, axes: TileAxes, subbands: list[int]
) -> dict[int, NDArray[np.complex64]]:
    """Return the phase factors (n_times, nant, nchan) by subband from the meridian to the phase centre.

    Channels descend, as in the files.
    """
    path_m = geometry.rotation_m(
        head.antenna_positions_m, coordinates.phase_centre_rad, head.dec_app_rad, head.times_mjd, head.location
    )
    with np.errstate(invalid="ignore"):  # stations without a position, in no baseline
        return {one: geometry.phasors(path_m, coordinates.freq_hz[axes.subbands[one]][::-1]) for one in subbands}


@dataclass(frozen=True)
class _BlockRanges:
    """The division of an integration's baselines into blocks.

    Attributes
    ----------
    bounds : list of (int, int)
        First baseline of each block, and the one after its last, in the files' order.
    cross_before : (n_baselines + 1,) int64
        Cross-correlations before each baseline: their row in the Measurement Set.
    """

    bounds: list[tuple[int, int]]
    cross_before: NDArray[np.int64]

    @property
    def n_cross(self) -> int:
        """Cross-correlations of an integration."""
        return int(self.cross_before[-1])

    @classmethod
    def of(cls, head: hdf5.Header, coordinates: measurement_set.Coordinates, axes: TileAxes) -> _BlockRanges:
        """Return blocks of whole tiles of the Measurement Set's storage where they are small enough."""
        cross_before = np.concatenate([[0], np.cumsum(head.antenna1 != head.antenna2)])
        most = max(1, _BLOCK_BYTES // (8 * axes.n_times * axes.n_channels * axes.n_pols))
        whole = measurement_set.rows_of_tile(coordinates)
        starts = np.arange(0, int(cross_before[-1]), most // whole * whole or most)
        firsts = np.searchsorted(cross_before[:-1], starts[1:], "right") - 1
        return cls(list(itertools.pairwise([0, *firsts.tolist(), head.n_baselines])), cross_before)

    def rows(self, first: int, last: int) -> slice:
        """Return the rows of an integration that a block's cross-correlations have."""
        return slice(int(self.cross_before[first]), int(self.cross_before[last]))


def _read_ahead(reader: BlockReader, bounds: list[tuple[int, int]], pool: ThreadPoolExecutor) -> Iterator[Block]:
    """Yield the blocks in order; the next one is read in a thread while the caller works on the one before."""
    memories = itertools.cycle([BlockMemory(), BlockMemory()])
    coming = pool.submit(reader.read, *bounds[0], next(memories))
    for following in bounds[1:]:
        block = coming.result()
        coming = pool.submit(reader.read, *following, next(memories))
        yield block
    yield coming.result()


@dataclass(frozen=True)
class _Written:
    """Sums of the weights, and the flags, of what has been written.

    Attributes
    ----------
    weights : (2, nchan) float64
        The sum and the number of the weights that are not 0.
    flags : (n_times, ncross, nbytes) uint8
        Flags of (nchan, npol), packed into bits.
    """

    weights: NDArray[np.float64]
    flags: NDArray[np.uint8]

    @classmethod
    def nothing(cls, axes: TileAxes, n_cross: int) -> _Written:
        """Return the state before the first block."""
        n_bytes = -(-axes.n_channels * axes.n_pols // 8)
        return cls(np.zeros((2, axes.n_channels)), np.zeros((axes.n_times, n_cross, n_bytes), np.uint8))

    def write(self, writer: measurement_set.Writer, block: Block, rows: slice) -> None:
        """Write the data and weights of a block, and keep its flags for the second phase."""
        samples = block.samples
        if block.code.max(initial=FlagCode.GOOD.value):
            flagged = block.code != FlagCode.GOOD.value
            self.flags[:, rows] = np.packbits(flagged.reshape(*flagged.shape[:2], -1), axis=-1)
            without = nothing_measured(block.code)
            if without.any():
                samples = np.where(without, 0, samples)
        self.weights[...] += _sum_and_number(samples, block.data.shape)
        n_times, n_cross, _ = self.flags.shape
        for time in range(n_times):
            here = samples if samples.ndim == 2 else samples[time]
            writer.put(time * n_cross + rows.start, block.data[time], here)


def _sum_and_number(samples: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the sum and the number of the weights that are not zero, (2, nchan)."""
    if samples.ndim == 2:  # the same for all rows
        return np.stack([samples.sum(-1, dtype=np.float64), (samples > 0).sum(-1)]) * (shape[0] * shape[1])
    total = sum(one.sum(0).sum(-1) for one in samples)
    return np.stack([total, count(samples > 0, 1).sum((0, 2))])
