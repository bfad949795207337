"""A quick look into a subband file: what planning needs, and whether the file can be what its name says."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from contimg.correlator import files, header
from contimg.correlator.files import PASSING, FileFault
from contimg.correlator.header_reader import HeaderReader
from contimg.correlator.known_headers import KnownHeaders

__all__ = ["PASSING", "VERSION", "DataShape", "FileFault", "Probe", "look"]

VERSION = 5
"""Raised whenever a file can get another answer than before, so that no remembered answer outlives its checks."""


class DataShape(NamedTuple):
    """What all files of a tile have in common: numbers of baselines and channels, and the products (``XX YY``).

    The number of integrations is not: at a stop of the correlator some hosts write one more than others.
    """

    n_baselines: int
    n_channels: int
    products: str

    def __str__(self) -> str:
        return f"{self.n_baselines} baselines, {self.n_channels} channels, {self.products}"


@dataclass(frozen=True)
class Probe:
    """What a subband file says of itself, as far as planning asks.

    Attributes
    ----------
    start_mjd, end_mjd : float
        Centres of the first and the last integration, UTC.
    integration_s : float
    dec_app_deg, longitude_deg, latitude_deg : float
    subband : int
        The number that the frequencies belong to.
    shape : DataShape
    setup : tuple of str
        What a tile and its calibration must have in common; see `contimg.correlator.header.Header.setup`.
    synthetic : bool
    """

    start_mjd: float
    end_mjd: float
    integration_s: float
    dec_app_deg: float
    longitude_deg: float
    latitude_deg: float
    subband: int
    shape: DataShape
    setup: tuple[str, str, str]
    synthetic: bool


_KNOWN = KnownHeaders()


def look(path: Path) -> Probe:
    """Look into a file: the header is read and checked as for the conversion, the data only in shape and type.

    Raises
    ------
    FileFault
        ``unreadable`` (no whole HDF5 file), ``missing_key``, ``dtype``, ``antennas``, ``times``, ``polarisations``,
        ``contradiction`` (shapes, values out of range), ``frequency``, ``elsewhere`` (values in another file),
        ``filter`` (data compressed by what HDF5 does not have here); or
        what the operating system said: ``permission``, ``vanished``, ``stale``, ``unreachable``, ``locked``,
        ``read_error``, ``not_a_file``.
    OSError
        If the machine lacks memory or file descriptors.
    """
    path = Path(path)
    try:
        head = _KNOWN.header_of(path) or _read(path)
    except OSError as error:
        raise files.fault_of_error(path, error) from None
    return Probe(
        start_mjd=head.start_mjd,
        end_mjd=head.end_mjd,
        integration_s=head.integration_s,
        dec_app_deg=math.degrees(head.dec_app_rad),
        longitude_deg=head.longitude_deg,
        latitude_deg=head.latitude_deg,
        subband=head.subband,
        shape=DataShape(head.n_baselines, len(head.freq_hz), " ".join(sorted(head.products))),
        setup=head.setup,
        synthetic=head.synthetic,
    )


def _read(path: Path) -> header.Header:
    """Read and check a header by HDF5, and compare the next files with it."""
    with files.opened(path) as file, files.content_faults(path):
        reader = HeaderReader(file, path)
        head = header.parse(reader)
        reader.check_data(head.data_shape)
    _KNOWN.learn(path)
    return head
