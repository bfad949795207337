"""The coordinates of a tile's visibilities: phase centre, uvw, times and frequencies, from the files' headers."""

from __future__ import annotations

import numpy as np

from contimg import measurement_set
from contimg.config import IngestOptions
from contimg.convert.subbands import TileFiles
from contimg.correlator import band
from contimg.sky import geometry


def tile_coordinates(tile: TileFiles, ingest: IngestOptions) -> measurement_set.Coordinates:
    """Return the coordinates of a tile: all of its Measurement Set but the bulk columns.

    The phase centre is the direction on the meridian at the header's declination at the middle of the tile. A station
    without a position, which is in no baseline, gets that of the array's reference point, and its row of ANTENNA is
    flagged: readers compute with every row of that table.
    """
    head = tile.header
    location = head.location
    cross = head.antenna1 != head.antenna2
    low = np.minimum(head.antenna1, head.antenna2)[cross]
    high = np.maximum(head.antenna1, head.antenna2)[cross]
    centre = geometry.meridian_icrs((head.start_mjd + head.end_mjd) / 2, head.dec_app_rad, location)
    uvw = geometry.uvw(head.antenna_positions_m, centre, head.times_mjd, location)
    n_channels = len(head.freq_hz)
    # Frequencies come from the headers; those of missing subbands from the band's definition.
    bands = [
        tile.headers[subband].freq_hz if subband in tile.headers else band.subband_frequencies(subband, n_channels)
        for subband in range(ingest.subbands)
    ]
    times_s = head.times_mjd * 86400
    unknown = np.isnan(head.antenna_positions_m).any(axis=1, keepdims=True)
    return measurement_set.Coordinates(
        uvw_m=(uvw[:, low] - uvw[:, high]).reshape(-1, 3),
        time_mjd_s=np.repeat(times_s, len(low)),
        antenna1=np.tile(low, head.n_times).astype(np.int32),
        antenna2=np.tile(high, head.n_times).astype(np.int32),
        freq_hz=np.concatenate(bands)[::-1].copy(),  # ascending
        channel_width_hz=band.SUBBAND_WIDTH_HZ / n_channels,
        polarisations=head.polarisations,
        phase_centre_rad=centre,
        times_mjd_s=times_s,
        pointing_rad=geometry.meridian_icrs(head.times_mjd, head.dec_app_rad, location),
        antenna_names=list(head.antenna_names),
        antenna_positions_m=np.where(unknown, 0.0, head.antenna_positions_m) + location.itrf(),
        unknown_positions=tuple(np.flatnonzero(unknown).tolist()),
        dish_diameter_m=head.dish_diameter_m,
        telescope=head.telescope,
        integration_s=head.integration_s,
        synthetic=any(header.synthetic for header in tile.headers.values()),
        history=sorted({header.history for header in tile.headers.values()}),
        array_position_m=location.itrf(),
    )
