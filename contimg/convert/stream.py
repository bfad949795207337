"""The pass over the data: read a block of baselines, turn it to the phase centre, flag, write."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg import measurement_set
from contimg.config import FlagOptions, IngestOptions
from contimg.convert.subbands import Tile, UnreadableSubband
from contimg.convert.summary import Outcome, finish
from contimg.correlator import band, hdf5
from contimg.errors import InputError
from contimg.flagging.block_flagger import BlockFlagger
from contimg.flagging.findings import TileAxes
from contimg.flagging.flag_codes import FlagCode, count, nothing_measured
from contimg.sky import geometry
from contimg.storage.atomic import syncing

_BLOCK_BYTES = 48 << 20


def fill(part: Path, tile: Tile, ingest: IngestOptions, flag: FlagOptions) -> Outcome:
    """Write the Measurement Set block by block, then its flags."""
    head, n_channels = tile.header, len(tile.header.freq_hz)
    coordinates = _coordinates(tile, ingest)
    places = {
        subband: slice((ingest.subbands - 1 - subband) * n_channels, (ingest.subbands - subband) * n_channels)
        for subband in range(ingest.subbands)
    }
    received = np.zeros(ingest.subbands * n_channels, bool)
    for subband in tile.headers:
        received[places[subband]] = True
    subbands = [places[s] for s in range(ingest.subbands)]
    axes = TileAxes(received, head.n_times, len(head.antenna_names), head.n_pols, subbands)
    flagger = BlockFlagger(flag, axes)
    path_m = geometry.rotation_m(
        head.antenna_positions_m, coordinates.phase_centre_rad, head.dec_app_rad, head.times_mjd, location_of(head)
    )
    phasors = {  # as the files have their channels: descending
        subband: geometry.phasors(path_m, coordinates.freq_hz[places[subband]][::-1]) for subband in tile.headers
    }
    row_bytes = 8 * head.n_times * len(received) * head.n_pols
    cross = head.antenna1 != head.antenna2
    written = np.concatenate([[0], np.cumsum(cross)])
    n_cross = int(written[-1])
    most, whole = max(1, _BLOCK_BYTES // row_bytes), measurement_set.rows_of_tile(coordinates)
    starts = np.arange(0, n_cross, most // whole * whole or most)
    firsts = np.searchsorted(written[:-1], starts[1:], "right") - 1
    bounds = list(itertools.pairwise([0, *firsts.tolist(), len(cross)]))
    weights = np.zeros((2, len(received)))
    flags = np.zeros((head.n_times, n_cross, -(-len(received) * head.n_pols // 8)), np.uint8)
    with contextlib.ExitStack() as stack:
        open_files = {}
        for subband, header in tile.headers.items():
            with _naming_subband(subband):
                open_files[subband] = stack.enter_context(hdf5.open_data(header))
        reader = stack.enter_context(ThreadPoolExecutor(1))  # reads on while the block before is flagged and written
        buffers = itertools.cycle([_Buffers(), _Buffers()])

        def read(bound: tuple[int, int]) -> Future[Any]:
            return reader.submit(_read_block, open_files, places, head, *bound, received, phasors, next(buffers))

        coming = read(bounds[0])
        writer = stack.enter_context(measurement_set.create(part, coordinates))
        stack.enter_context(syncing(part))
        for (first, last), following in zip(bounds, [*bounds[1:], None], strict=True):
            autos, data, code, samples = coming.result()
            if following:
                coming = read(following)
            flagger.add_autocorrelations(head.antenna1[first:last][~cross[first:last]], autos)
            low, high = (side[written[first] : written[last]] for side in (coordinates.antenna1, coordinates.antenna2))
            flagger.flag_block(data, code, low, high)
            if code.max(initial=0):
                flags[:, written[first] : written[last]] = np.packbits(
                    (code != 0).reshape(*code.shape[:2], -1), axis=-1
                )
                without = nothing_measured(code)
                if without.any():
                    samples = np.where(without, 0, samples)
            weights += _sums(samples, data.shape)
            for time in range(head.n_times):
                start = time * n_cross + int(written[first])
                writer.put(start, data[time], samples if samples.ndim == 2 else samples[time])
        return finish(writer, tile, coordinates, flagger.findings(), places, weights, flags, flag)


def _coordinates(tile: Tile, ingest: IngestOptions) -> measurement_set.Coordinates:
    head = tile.header
    location = location_of(head)
    cross = head.antenna1 != head.antenna2
    low = np.minimum(head.antenna1, head.antenna2)[cross]
    high = np.maximum(head.antenna1, head.antenna2)[cross]
    middle_mjd = (head.start_mjd + head.end_mjd) / 2
    centre = geometry.meridian_icrs(middle_mjd, head.dec_app_rad, location)
    uvw = geometry.uvw(head.antenna_positions_m, centre, head.times_mjd, location)
    n_channels = len(head.freq_hz)
    # Ascending; the files' own numbers where there are files.
    bands = [
        tile.headers[subband].freq_hz if subband in tile.headers else band.subband_frequencies(subband, n_channels)
        for subband in range(ingest.subbands)
    ]
    array_position = location.itrf()
    times_s = head.times_mjd * 86400
    histories = sorted({header.history for header in tile.headers.values()})
    return measurement_set.Coordinates(
        uvw_m=(uvw[:, low] - uvw[:, high]).reshape(-1, 3),
        time_mjd_s=np.repeat(times_s, len(low)),
        antenna1=np.tile(low, head.n_times).astype(np.int32),
        antenna2=np.tile(high, head.n_times).astype(np.int32),
        freq_hz=np.concatenate(bands)[::-1].copy(),
        channel_width_hz=band.SUBBAND_WIDTH_HZ / n_channels,
        polarisations=head.polarisations,
        phase_centre_rad=centre,
        times_mjd_s=times_s,
        pointing_rad=geometry.meridian_icrs(head.times_mjd, head.dec_app_rad, location),
        antenna_names=list(head.antenna_names),
        antenna_positions_m=np.nan_to_num(head.antenna_positions_m, nan=0.0) + array_position,
        dish_diameter_m=head.dish_diameter_m,
        telescope=head.telescope,
        integration_s=head.integration_s,
        synthetic=any(header.synthetic for header in tile.headers.values()),
        history=histories,
        array_position_m=array_position,
    )


def location_of(header: hdf5.Header) -> geometry.Location:
    """Return the array's location as the header has it (never a constant of ours)."""
    return geometry.Location(np.radians(header.latitude_deg), np.radians(header.longitude_deg), header.altitude_m)


def _sums(samples: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the sum and the number of the weights that are not zero, (2, nchan)."""
    if samples.ndim == 2:  # the same for all rows
        return np.stack([samples.sum(-1, dtype=np.float64), (samples > 0).sum(-1)]) * (shape[0] * shape[1])
    total = sum(one.sum(0).sum(-1) for one in samples)
    return np.stack([total, count(samples > 0, 1).sum((0, 2))])


def _read_block(
    files: dict[int, hdf5.Data],
    places: dict[int, slice],
    head: hdf5.Header,
    first: int,
    last: int,
    received: NDArray[np.bool_],
    phasors: dict[int, NDArray[np.complex64]],
    buffers: _Buffers,
) -> tuple[NDArray[np.complex64], NDArray[np.complex64], NDArray[np.uint8], NDArray[np.float32]]:
    """Read baselines ``first .. last - 1`` of all subbands.

    Each integration of each subband passes through small arrays, which stay in the processor's cache.

    Returns
    -------
    autos : (n_times, nautos, nchan, n_pols) complex64
    data, code : (n_times, ncross, nchan, n_pols)
        Cross-correlations turned to the phase centre and conjugated for the MS, and codes.
    samples : (n_times, ncross, nchan, n_pols), or (nchan, n_pols) where they are the same for all
    """
    pairs = np.stack([head.antenna1[first:last], head.antenna2[first:last]])
    cross = pairs[0] != pairs[1]
    which = np.flatnonzero(cross)
    one, two = pairs[:, cross]
    descends = (one > two)[:, None]  # the MS holds the conjugate of the others, lower antenna first
    shape = (head.n_times, len(one), len(received), head.n_pols)
    autos = np.zeros((head.n_times, int((~cross).sum()), len(received), head.n_pols), np.complex64)
    data, code = buffers.of(shape)
    samples = np.zeros(shape[2:], np.float32)
    if not received.all():
        data[:, :, ~received] = 0
        code[:, :, ~received] = FlagCode.NOT_RECEIVED.value
    with np.errstate(invalid="ignore"):  # infinite values
        for subband, file in files.items():
            place = places[subband]
            for time in range(head.n_times):
                with _naming_subband(subband):
                    vis, flags, counted = file.at(time, first, last)
                if len(which) < len(cross):
                    autos[time, :, place] = vis[:, ~cross, ::-1].transpose(1, 2, 0)
                    vis = vis.take(which, axis=1)
                # Turned by conj(p1) p2, in the file's order of antennas.
                turn = phasors[subband][time].take(one, axis=0)
                np.conjugate(turn, out=turn)
                turn *= phasors[subband][time].take(two, axis=0)
                vis *= turn
                np.conjugate(vis, out=vis, where=descends)
                # Of all that copies, conjugating fills places that lie apart fastest.
                np.conjugate(vis, out=data[time, :, place].transpose(2, 0, 1)[:, :, ::-1])
                samples = _note_samples(samples, counted, (time, place), which, shape)
                if flags is None and isinstance(counted, float) and counted > 0:
                    continue
                bad = np.logical_not(np.greater(counted, 0))
                bad = bad if flags is None else bad | flags
                if bad.any():
                    bad = np.broadcast_to(bad, (head.n_pols, len(cross), vis.shape[2]))[:, which, ::-1]
                    code[time, :, place][bad.transpose(1, 2, 0)] = FlagCode.CORRELATOR.value
    return autos, data, code, samples


class _Buffers:
    """Memory of a block that is used again by the next but one: new memory is slow, as the system clears it."""

    def __init__(self) -> None:
        self._data, self._code = np.empty(0, np.complex64), np.empty(0, np.uint8)

    def of(self, shape: tuple[int, ...]) -> tuple[NDArray[np.complex64], NDArray[np.uint8]]:
        """Return arrays for data, of any content, and for codes, all 0."""
        size = math.prod(shape)
        if size > self._data.size:
            self._data, self._code = np.empty(size, np.complex64), np.empty(size, np.uint8)
        code = self._code[:size].reshape(shape)
        code[...] = 0
        return self._data[:size].reshape(shape), code


def _note_samples(
    samples: NDArray[np.float32],
    counted: NDArray[np.float32] | float,
    at: tuple[int, slice],
    which: NDArray[np.int64],
    shape: tuple[int, ...],
) -> NDArray[np.float32]:
    """Take over the samples of one integration of one subband; they get a place for each row once they differ."""
    time, place = at
    if isinstance(counted, float) and samples.ndim == 2 and (time == 0 or samples[place][0, 0] == counted):
        samples[place] = counted
        return samples
    if samples.ndim == 2:
        samples = np.broadcast_to(samples, shape).copy()
    values = counted if isinstance(counted, float) else counted[:, which, ::-1].transpose(1, 2, 0)
    samples[time, :, place] = values
    return samples


@contextlib.contextmanager
def _naming_subband(subband: int) -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise UnreadableSubband(subband, str(error)) from error
