"""The header that the files of a night share, and how the sixteen hosts' headers differ from it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from contimg.simulate import array, band, frames
from contimg.simulate import constants as c
from contimg.simulate.hdf5 import FileHeader
from contimg.simulate.instrument import Instrument, enu_from_local
from contimg.simulate.options import NightOptions
from contimg.simulate.randomness import generator
from contimg.simulate.telescope import POLARIZATION_CODES

HOST_DECLINATION_ERROR_RAD = 1e-10
_INPUTS_OF_A_BOARD = 6
"""Receptors whose delays a host reads from one board: those of three antennas."""


def file_header(options: NightOptions, instrument: Instrument, stations: tuple[int, ...]) -> FileHeader:
    """Return the header that all files share, the (u, v, w) turned as the correlator stores them.

    Parameters
    ----------
    options : NightOptions
    instrument : Instrument
    stations : tuple of int
        In correlator order.
    """
    positions = array.antenna_positions()
    if options.telescope.array.local_positions:
        positions = enu_from_local(array.local_positions(positions))
    declination_rad = instrument.stopped_declination_rad
    first, second = array.baseline_pairs(len(stations))
    uvw = array.meridian_uvw(instrument.stopped_m[second] - instrument.stopped_m[first], declination_rad)
    stored = array.rotate_uv(uvw, frames.stored_uv_angle(declination_rad))
    delays = 2 * generator(options.seed, "applied-delays").integers(0, 8189, (c.TELESCOPE_STATIONS, 2))
    active = np.isin(np.arange(c.TELESCOPE_STATIONS) + 1, array.active_stations())
    return FileHeader(
        stations=stations,
        antenna_positions_m=positions,
        declination_rad=declination_rad,
        uvw_m=stored,
        first=first,
        second=second,
        applied_delays_ns=np.where(active[:, None], delays, 0),
        channel_width_hz=band.channel_width_hz(options.channels),
        polarizations=tuple(POLARIZATION_CODES[name] for name in options.telescope.correlator.products),
    )


def header_of_host(header: FileHeader, options: NightOptions, subband: int) -> FileHeader:
    """Return the header as the host of one subband writes it."""
    errors = options.telescope.header
    if subband in errors.host_declination:
        header = replace(header, declination_rad=header.declination_rad + HOST_DECLINATION_ERROR_RAD)
    if subband in errors.host_delays:
        delays = header.applied_delays_ns.copy()
        board = np.array(sorted(header.stations)[: _INPUTS_OF_A_BOARD // 2]) - 1
        delays[board] = 0  # value that a host writes for a board that did not answer
        header = replace(header, applied_delays_ns=delays)
    return header
