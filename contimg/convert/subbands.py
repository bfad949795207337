"""Which subband files of a tile belong together, and why the others are left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from contimg import naming
from contimg.config import IngestOptions
from contimg.correlator import hdf5
from contimg.errors import InputError
from contimg.times import mjd_from_datetime

_SAME_TIME_S = 1e-3


@dataclass
class Tile:
    """The subband files of a tile that agree, and what became of the others."""

    headers: dict[int, hdf5.Header]
    rejected: dict[int | str, str] = field(default_factory=dict)

    @property
    def header(self) -> hdf5.Header:
        return self.headers[min(self.headers)]


class UnreadableSubband(Exception):
    """A subband whose header was fine turned out to have no readable data."""

    def __init__(self, subband: int, message: str) -> None:
        super().__init__(message)
        self.subband = subband


def choose(files: Sequence[Path], tile_id: str, ingest: IngestOptions) -> Tile:
    """Read the headers and keep the files that agree with most of the others."""
    headers: dict[int, hdf5.Header] = {}
    rejected: dict[int | str, str] = {}
    for path in files:
        name = naming.SubbandName.parse(path.name)
        key = name.subband if name else path.name
        try:
            header = hdf5.read_header(path)
        except InputError as error:
            rejected[key] = str(error)
            continue
        subband = header.subband
        problem = _against_name(header, subband, name, ingest)
        if subband in headers:
            problem = f"{path.name} is a second sb{subband:02d} beside {headers[subband].path.name}"
        if problem:
            rejected[key] = problem
        else:
            headers[subband] = header
    agreeing = {
        subband: [other for other, their in headers.items() if _difference(header, their) is None]
        for subband, header in headers.items()
    }
    if agreeing:
        lead = max(sorted(agreeing), key=lambda subband: len(agreeing[subband]))
        for subband in sorted(set(headers) - set(agreeing[lead])):
            header = headers.pop(subband)
            rejected[subband] = (
                f"{header.path.name} has another {_difference(header, headers[lead])} than the other files"
            )
        found = naming.id_from_mjd(headers[lead].start_mjd)
        if found != naming.iso(tile_id):
            raise InputError(f"the files of tile {naming.iso(tile_id)} belong to tile {found}: plan again")
    return Tile(dict(sorted(headers.items())), rejected)


def _against_name(
    header: hdf5.Header, subband: int, name: naming.SubbandName | None, ingest: IngestOptions
) -> str | None:
    if subband >= ingest.subbands:
        return f"{header.path.name} holds sb{subband:02d}, beyond ingest.subbands = {ingest.subbands}"
    if name is None:
        return None
    if name.subband != subband:
        return f"the frequencies of {header.path.name} are those of sb{subband:02d}"
    clock_error_s = (header.start_mjd - mjd_from_datetime(name.time)) * 86400
    if abs(clock_error_s) > ingest.max_clock_error_s:
        return f"the header of {header.path.name} is {clock_error_s:.0f} s away from its name"
    return None


def _difference(one: hdf5.Header, other: hdf5.Header) -> str | None:
    """Return in what two files of a tile contradict each other, or None."""
    if one.n_times != other.n_times:
        return "number of integrations"
    if np.abs(one.times_mjd - other.times_mjd).max() * 86400 > _SAME_TIME_S:
        return "time"
    for what, name in (
        ("declination", "dec_app_rad"),
        ("antenna order", "antenna_order_sha256"),
        ("set of applied delays", "applied_delays_sha256"),
        ("number of polarisations", "polarisations"),
        ("integration time", "integration_s"),
        ("latitude", "latitude_deg"),
        ("longitude", "longitude_deg"),
        ("altitude", "altitude_m"),
    ):
        if getattr(one, name) != getattr(other, name):
            return what
    if len(one.freq_hz) != len(other.freq_hz):
        return "number of channels"
    same = np.array_equal(one.antenna_positions_m, other.antenna_positions_m, equal_nan=True)
    return None if same else "set of antenna positions"
