"""The subband files of a tile: which of them agree with each other, and why the others are left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contimg import naming
from contimg.config import IngestOptions
from contimg.correlator import file_name, files, hdf5, integrations
from contimg.correlator.integrations import Lattice
from contimg.correlator.setup import SAME_DECLINATION_DEG, most_frequent
from contimg.errors import InputError

_SAME_PLACE = 1e-9
"""Degrees and metres: the rounding of a longitude that is counted eastwards."""


@dataclass
class TileFiles:
    """The headers of a tile's subband files that agree, and the reasons against the others.

    Attributes
    ----------
    headers : dict
        By number of the subband.
    rejected : dict
        Why a file was left out, by number of the subband, or by name.
    """

    headers: dict[int, hdf5.Header]
    rejected: dict[int | str, str] = field(default_factory=dict)

    @property
    def header(self) -> hdf5.Header:
        """The common header of the files, with the integrations that at least half of the files have."""
        headers = self.headers.values()
        return replace(
            self._first,
            times_mjd=self._times_mjd(),
            dec_app_rad=most_frequent([header.dec_app_rad for header in headers]),
            applied_delays_sha256=most_frequent([header.applied_delays_sha256 for header in headers]),
        )

    def other_delays(self) -> list[int]:
        """Return the subbands whose header has other applied delays than most: their host did not read some of them."""
        if not self.headers:
            return []
        usual = most_frequent([header.applied_delays_sha256 for header in self.headers.values()])
        return [number for number, header in self.headers.items() if header.applied_delays_sha256 != usual]

    def first_integration(self, subband: int) -> int:
        """Return the place of a file's first integration among those of the tile; negative if it begins earlier."""
        start, _ = self._common()
        steps = _lattice(self._first).steps_to(_lattice(self.headers[subband]))
        assert steps is not None  # `choose` left the others out
        return steps - start

    def reject(self, subband: int, why: str) -> None:
        """Leave out a file that was accepted before."""
        del self.headers[subband]
        self.rejected[subband] = why

    @property
    def _first(self) -> hdf5.Header:
        """The header of the lowest subband."""
        return self.headers[min(self.headers)]

    def _common(self) -> tuple[int, int]:
        """Return first and last (exclusive) integration of the tile, counted from the first of the lowest subband."""
        return integrations.common([_lattice(header) for header in self.headers.values()])

    def _times_mjd(self) -> NDArray[np.float64]:
        """Return the centres of the tile's integrations, as the first file that has each of them stores it."""
        start, end = self._common()
        found: dict[int, float] = {}
        for header in self.headers.values():
            steps = _lattice(self._first).steps_to(_lattice(header)) or 0
            for place, time in enumerate(header.times_mjd.tolist(), steps):
                found.setdefault(place, time)
        return np.array([found[place] for place in range(start, end)])


class UnreadableSubband(Exception):
    """The data of a subband file with a sound header cannot be read."""

    def __init__(self, subband: int, message: str) -> None:
        super().__init__(message)
        self.subband = subband


def choose(paths: Sequence[Path], tile_id: str, ingest: IngestOptions) -> TileFiles:
    """Read the headers and return the files that agree with most of the others.

    Raises
    ------
    InputError
        If they are the files of another tile.
    OSError
        If a file is missing or cannot be opened; a bad disk is a fault of the file.
    """
    headers: dict[int, hdf5.Header] = {}
    rejected: dict[int | str, str] = {}
    for path in paths:
        name = naming.SubbandName.parse(path.name)
        key = name.subband if name else path.name
        try:
            header = hdf5.read_header(path)
        except InputError as error:
            rejected[key] = str(error)
            continue
        except OSError as error:
            rejected[key] = fault_of_the_disk(path, error)
            continue
        problem = _against_name(header, name, ingest)
        if header.subband in headers:
            problem = f"{path.name} is a second sb{header.subband:02d} beside {headers[header.subband].path.name}"
        if problem:
            rejected[key] = problem
        else:
            headers[header.subband] = header
    tile = TileFiles(dict(sorted(headers.items())), rejected)
    if headers:
        _leave_out_those_that_differ(tile)
        found = naming.id_from_mjd(tile.header.start_mjd)
        if found != naming.iso(tile_id):
            raise InputError(f"the files of tile {naming.iso(tile_id)} belong to tile {found}: plan again")
    return tile


def fault_of_the_disk(path: Path, error: OSError) -> str:
    """Return the sentence on a file that cannot be read from its disk.

    Raises
    ------
    OSError
        For any other error: the file is gone, or the machine failed, and the same command may succeed later.
    """
    fault = files.fault_of_error(path, error)
    if fault.code != "read_error":
        raise error
    return str(fault)


def _lattice(header: hdf5.Header) -> Lattice:
    """Return the lattice of a file's integrations."""
    return Lattice(header.start_mjd, header.integration_s, header.n_times)


def _leave_out_those_that_differ(tile: TileFiles) -> None:
    """Reject the files that disagree with the file that most others agree with."""
    headers = dict(tile.headers)
    agreeing = {
        subband: [other for other, their in headers.items() if other == subband or _difference(header, their) is None]
        for subband, header in headers.items()
    }
    lead = max(headers, key=lambda subband: len(agreeing[subband]))  # the lowest of several
    for subband in headers.keys() - set(agreeing[lead]):
        what = _difference(headers[subband], headers[lead])
        tile.reject(subband, f"{headers[subband].path.name} has another {what} than the other files")


def _against_name(header: hdf5.Header, name: naming.SubbandName | None, ingest: IngestOptions) -> str | None:
    """Return in what a file contradicts its name, or None."""
    if header.subband >= ingest.subbands:
        return f"{header.path.name} holds sb{header.subband:02d}, beyond ingest.subbands = {ingest.subbands}"
    if name is None:
        return None
    found = file_name.contradiction(name, header.start_mjd, header.subband, ingest.max_clock_error_s)
    return found[1] if found else None


def _difference(one: hdf5.Header, other: hdf5.Header) -> str | None:
    """Return in what two files of a tile contradict each other, or None."""
    if not _lattice(one).agrees_with(_lattice(other)):
        return "time"
    if abs(one.dec_app_rad - other.dec_app_rad) > np.radians(SAME_DECLINATION_DEG):
        return "declination"
    for what, name in (
        ("antenna order", "antenna_order_sha256"),
        ("number of polarisations", "polarisations"),
        ("integration time", "integration_s"),
    ):
        if getattr(one, name) != getattr(other, name):
            return what
    for what, name in (("latitude", "latitude_deg"), ("longitude", "longitude_deg"), ("altitude", "altitude_m")):
        if abs(getattr(one, name) - getattr(other, name)) > _SAME_PLACE:
            return what
    if len(one.freq_hz) != len(other.freq_hz):
        return "number of channels"
    same = np.array_equal(one.antenna_positions_m, other.antenna_positions_m, equal_nan=True)
    return None if same else "set of antenna positions"
