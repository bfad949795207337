"""The pass over the data: read a block of baselines, turn it to the phase centre, flag, write."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contimg import geometry, measurement_set, uvh5
from contimg.config import FlagOptions, IngestOptions
from contimg.convert.files import Tile, UnreadableSubband
from contimg.convert.summary import Outcome, finish
from contimg.errors import InputError
from contimg.flag import NOT_RECEIVED, Flagger

_BLOCK_BYTES = 32 << 20
_CORRELATOR = 2  # a code of contimg.flag.REASONS


def fill(part: Path, tile: Tile, ingest: IngestOptions, flag: FlagOptions) -> Outcome:
    """Write the Measurement Set block by block, then once more over its flags."""
    head, n_channels = tile.header, len(tile.header.freq_hz)
    coordinates = _coordinates(tile, ingest)
    places = {
        subband: slice((ingest.subbands - 1 - subband) * n_channels, (ingest.subbands - subband) * n_channels)
        for subband in range(ingest.subbands)
    }
    received = np.zeros(ingest.subbands * n_channels, bool)
    for subband in tile.headers:
        received[places[subband]] = True
    flagger = Flagger(
        flag, received, head.n_times, len(head.antenna_names), head.n_pols, [places[s] for s in range(ingest.subbands)]
    )
    path_m = geometry.rotation_m(
        head.antenna_positions_m, coordinates.phase_centre_rad, head.dec_app_rad, head.times_mjd, location_of(head)
    )
    phasors = geometry.phasors(path_m, coordinates.freq_hz)
    weights = np.zeros((2, len(received)))
    row_bytes = 8 * head.n_times * len(received) * head.n_pols
    step = max(1, _BLOCK_BYTES // row_bytes)
    cross = head.antenna1 != head.antenna2
    written = np.concatenate([[0], np.cumsum(cross)])
    n_cross = int(written[-1])
    with contextlib.ExitStack() as stack:
        writer = stack.enter_context(measurement_set.create(part, coordinates))
        open_files = {}
        for subband, header in tile.headers.items():
            with _naming_subband(subband):
                open_files[subband] = stack.enter_context(uvh5.open_data(header))
        for first in range(0, len(cross), step):
            last = min(first + step, len(cross))
            block = _read_block(open_files, places, head, first, last, received, phasors)
            data, code, samples = block
            keep = cross[first:last]
            flagger.add_autos(head.antenna1[first:last][~keep], data[:, ~keep])
            data, code, samples = data[:, keep], code[:, keep], samples[:, keep]
            flagger.block(data, code)
            weight = np.where((code == 0) | (code > 5), samples, np.float32(0))
            weights += weight.sum((0, 1, 3)), (weight > 0).sum((0, 1, 3))
            for time in range(head.n_times):
                start = time * n_cross + int(written[first])
                writer.put(start, data[time], code[time] != 0, weight[time])
        return finish(writer, tile, coordinates, flagger, places, weights, flag)


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
        tile.headers[subband].freq_hz if subband in tile.headers else uvh5.subband_frequencies(subband, n_channels)
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
        channel_width_hz=uvh5.SUBBAND_WIDTH_HZ / n_channels,
        polarisations=head.polarisations,
        phase_centre_rad=centre,
        times_mjd_s=times_s,
        pointing_rad=geometry.meridian_icrs(head.times_mjd, head.dec_app_rad, location),
        antenna_names=list(head.antenna_names),
        antenna_positions_m=head.antenna_positions_m + array_position,
        dish_diameter_m=head.dish_diameter_m,
        telescope=head.telescope,
        integration_s=head.integration_s,
        synthetic=any(header.synthetic for header in tile.headers.values()),
        history=histories,
        array_position_m=array_position,
    )


def location_of(header: uvh5.Header) -> geometry.Location:
    """Return the array's location as the header has it (never a constant of ours)."""
    return geometry.Location(np.radians(header.latitude_deg), np.radians(header.longitude_deg), header.altitude_m)


def _read_block(
    files: dict[int, uvh5.Data],
    places: dict[int, slice],
    head: uvh5.Header,
    first: int,
    last: int,
    received: NDArray[np.bool_],
    phasors: NDArray[np.complex64],
) -> tuple[NDArray[np.complex64], NDArray[np.uint8], NDArray[np.float32]]:
    """Read baselines ``first .. last - 1`` of all subbands, turned to the phase centre and conjugated for the MS."""
    shape = (head.n_times, last - first, len(received), head.n_pols)
    data, samples = np.zeros(shape, np.complex64), np.zeros(shape, np.float32)
    code = np.full(shape, NOT_RECEIVED, np.uint8)
    one, two = head.antenna1[first:last], head.antenna2[first:last]
    low, high = np.minimum(one, two), np.maximum(one, two)
    forward = one <= two
    for subband, file in files.items():
        place = places[subband]
        with _naming_subband(subband):
            vis, flags, counted = file.read(first, last)
        samples[:, :, place] = counted
        code[:, :, place] = np.where(flags | ~(counted > 0), np.uint8(_CORRELATOR), np.uint8(0))
        # The file's V of (1, 2) is turned by conj(p1) p2; the MS holds its conjugate, lower antenna first.
        turn = phasors[:, low, place] * phasors[:, high, place].conj()
        for pol in range(head.n_pols):
            plane = vis[..., pol]
            data[:, :, place, pol] = np.where(forward[:, None], plane.conj(), plane) * turn
    return data, code, samples


@contextlib.contextmanager
def _naming_subband(subband: int) -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise UnreadableSubband(subband, str(error)) from error
