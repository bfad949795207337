"""A fingerprint: headers, autocorrelations and thirty baselines of one tile in a file that a site can share.

It is a ZIP archive of one HDF5 file a subband, in the layout of the correlator's files but with fewer baselines, fewer
and wider channels, and rounded values; `contimg check` reads it. Of the header only what the table of
`contimg.correlator.header_checks` names is written, each text made anew from what it means, so that no path, host, user
or free text of the site can be in it.
"""

from __future__ import annotations

import contextlib
import io
import re
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg import naming
from contimg.commissioning.fingerprint_baselines import BASELINES, choose_baselines
from contimg.commissioning.progress import Progress
from contimg.correlator import hdf5
from contimg.correlator.band import SUBBAND_WIDTH_HZ, subband_frequencies
from contimg.correlator.hdf5 import Header
from contimg.correlator.header_checks import POLARISATIONS
from contimg.correlator.setup import table_of
from contimg.errors import InputError
from contimg.storage.atomic import atomic_path
from contimg.times import MJD_ZERO_JD

LARGEST_BYTES = 2_000_000
MOST_CHANNELS = 12
"""Channels of a subband, at most: 1 MHz wide, in which a delay of 100 ns loses 1.6 %."""
VERSION = 1
_MEMBER = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d_sb\d\d\.hdf5")
_LARGEST_MEMBER_BYTES = 50_000_000
_EPOCH = (1980, 1, 1, 0, 0, 0)
_CODES = {name: code for code, name in POLARISATIONS.items()}
_CROSS_BITS, _AUTO_BITS = 7, 11
"""Bits of the mantissa that are kept: noise is far above 1/256 of a visibility; 1/4096 of an autocorrelation is below
the 3 per mille at which lost packets and interference are detected."""


@dataclass(frozen=True)
class Fingerprint:
    """What was written.

    Attributes
    ----------
    path : Path
    bytes : int
    channels : int
        Of a subband.
    antennas : tuple of str
        Those with baselines, in the order of the table.
    baselines : int
    """

    path: Path
    bytes: int
    channels: int
    antennas: tuple[str, ...]
    baselines: int


def write_fingerprint(
    headers: Sequence[Header], out: Path, antennas: Sequence[str] = (), progress: Progress | None = None
) -> Fingerprint:
    """Write the fingerprint of a tile's files.

    Parameters
    ----------
    headers : sequence of Header
        As `contimg.commissioning.tile.read_tile` returns them.
    out : Path
    antennas : sequence of str
        Names of antennas that must have baselines in it.
    progress : callable, optional
        Called with (files done, files in all, what is being done).

    Raises
    ------
    InputError
        If the file exists, an antenna is not in the data, or a file cannot be read.
    """
    out = Path(out)
    if out.exists():
        raise InputError(f"{out} exists: remove it, or give the fingerprint another name")
    chosen = choose_baselines(headers[0], antennas)
    parts = []
    for number, header in enumerate(headers):
        if progress is not None:
            progress(number, len(headers), f"sb{header.subband:02d}")
        parts.append(_reduced(header, chosen))
    for channels in _fewer(parts[0].vis.shape[2]):
        content = _archive(headers, [part.averaged(channels) for part in parts], chosen)
        if len(content) <= LARGEST_BYTES or channels == 1:
            break
    with atomic_path(out) as part:
        part.write_bytes(content)
    first = headers[0]
    cross = chosen[first.antenna1[chosen] != first.antenna2[chosen]]
    with_baselines = np.unique(np.concatenate([first.antenna1[cross], first.antenna2[cross]]))
    names = tuple(first.antenna_names[row] for row in with_baselines)
    return Fingerprint(out, len(content), channels, names, len(cross))


def is_fingerprint(path: Path) -> bool:
    """Return whether a path is a file that looks like a fingerprint; an HDF5 file does not."""
    return path.is_file() and zipfile.is_zipfile(path)


@contextlib.contextmanager
def unpacked(places: Sequence[str]) -> Iterator[list[str]]:
    """Give the places of a check with fingerprints replaced by folders of their files, as long as the block runs.

    Raises
    ------
    InputError
        If an archive holds anything but subband files.
    """
    with contextlib.ExitStack() as stack:
        yield [_unpack(Path(place), stack) if is_fingerprint(Path(place)) else place for place in places]


def _unpack(path: Path, stack: contextlib.ExitStack) -> str:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="contimg-fingerprint-")))
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            odd = [one.filename for one in members
                   if not _MEMBER.fullmatch(one.filename) or one.file_size > _LARGEST_MEMBER_BYTES]  # fmt: skip
            if odd or not members:
                raise InputError(f"{path} is no fingerprint (it holds {odd[0] if odd else 'nothing'!r}): make one with "
                                 "contimg fingerprint")  # fmt: skip
            for member in members:
                (folder / member.filename).write_bytes(archive.read(member))
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise InputError(f"{path} is damaged ({error}): copy it again") from None
    return str(folder)


def _fewer(channels: int) -> list[int]:
    """Return the numbers of channels that divide a number, the largest below the limit first."""
    return [count for count in range(min(channels, MOST_CHANNELS), 0, -1) if channels % count == 0]


@dataclass(frozen=True)
class _Reduced:
    """Chosen baselines of one file: sums over good samples, and their numbers, (ntime, nbl, nchan, npol)."""

    vis: NDArray[np.complex128]
    good: NDArray[np.int64]
    samples: float

    def averaged(self, channels: int) -> _Reduced:
        """Return the sums in fewer channels."""
        shape = (*self.vis.shape[:2], channels, -1, self.vis.shape[3])
        return _Reduced(self.vis.reshape(shape).sum(axis=3), self.good.reshape(shape).sum(axis=3), self.samples)


def _reduced(header: Header, chosen: NDArray[np.intp]) -> _Reduced:
    """Read the chosen baselines of a file; products in the order in which the file has them."""
    order = [header.polarisations.index(name) for name in _stored_products(header)]
    shape = (header.n_times, len(chosen), len(header.freq_hz), len(order))
    vis, good, counted = np.empty(shape, np.complex128), np.empty(shape, np.int64), []
    with hdf5.open_data(header) as data:
        for time in range(header.n_times):
            plane, flags, samples = data.at(time, 0, header.n_baselines)
            part = plane[:, chosen].transpose(1, 2, 0)[..., order].astype(np.complex128)
            usable = np.isfinite(part)
            if flags is not None:
                usable &= ~flags[:, chosen].transpose(1, 2, 0)[..., order]
            vis[time], good[time] = np.where(usable, part, 0), usable
            counted.append(float(np.median(samples)))
    return _Reduced(vis, good, float(np.median(counted)))


def _stored_products(header: Header) -> tuple[str, ...]:
    return tuple(name for name in header.products if name in header.polarisations)


def _archive(headers: Sequence[Header], parts: Sequence[_Reduced], chosen: NDArray[np.intp]) -> bytes:
    """Return the ZIP archive; its members bear no time, owner or path."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for header, part in zip(headers, parts, strict=True):
            member = zipfile.ZipInfo(_member_name(header), _EPOCH)
            archive.writestr(member, _file(header, part, chosen), zipfile.ZIP_DEFLATED, 9)
    return stream.getvalue()


def _member_name(header: Header) -> str:
    """Return the file's own name where it is one of the correlator's, else one made of its header."""
    name = header.path.name
    return name if _MEMBER.fullmatch(name) else (
        f"{naming.id_from_mjd(header.start_mjd)}_sb{header.subband:02d}.hdf5"
    )  # fmt: skip


def _file(header: Header, part: _Reduced, chosen: NDArray[np.intp]) -> bytes:
    """Return one reduced subband file."""
    import h5py

    autos = header.antenna1[chosen] == header.antenna2[chosen]
    vis = np.where(part.good > 0, part.vis / np.maximum(part.good, 1), 0).astype(np.complex64)
    vis[:, autos].imag = 0
    shown = np.empty_like(vis)
    shown[:, autos], shown[:, ~autos] = _rounded(vis[:, autos], _AUTO_BITS), _rounded(vis[:, ~autos], _CROSS_BITS)
    rows = (len(vis) * len(chosen), 1, *vis.shape[2:])
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        for key, value in _header_values(header, chosen, vis.shape[2]).items():
            _put(file, f"Header/{key}", value)
        # Baseline by baseline neighbours in time are alike: real and imaginary parts go into the same places.
        _put(file, "Data/visdata", shown.reshape(rows))
        _put(file, "Data/flags", (part.good == 0).reshape(rows))
        _put(file, "Data/nsamples", np.full(rows, part.samples, np.float32))
    return stream.getvalue()


def _put(file: Any, key: str, value: Any) -> None:
    if isinstance(value, np.ndarray) and value.size > 64:
        file.create_dataset(key, data=value, compression="gzip", compression_opts=9, shuffle=True, chunks=value.shape)
    else:
        file[key] = value


def _rounded(values: NDArray[np.complex64], bits: int) -> NDArray[np.complex64]:
    """Return values with mantissas rounded to some bits: the zeros that follow take no space."""
    parts = np.ascontiguousarray(values).view(np.float32)
    lost = np.uint32(23 - bits)
    whole = parts.view(np.uint32) + (np.uint32(1) << (lost - np.uint32(1)))
    return ((whole >> lost) << lost).view(np.float32).view(np.complex64).reshape(values.shape)


def _header_values(header: Header, chosen: NDArray[np.intp], channels: int) -> dict[str, Any]:
    """Return the header, of which every text is made anew."""
    times = header.n_times
    one, two = header.antenna1[chosen], header.antenna2[chosen]
    width_hz = SUBBAND_WIDTH_HZ / channels
    names = [_name(name, row) for row, name in enumerate(header.antenna_names)]
    return {
        "Nbls": len(chosen), "Nblts": times * len(chosen), "Ntimes": times, "Nfreqs": channels, "Nspws": 1,
        "Npols": len(_stored_products(header)),
        "Nants_data": len(np.unique(np.concatenate([one, two]))), "Nants_telescope": len(names),
        "latitude": header.latitude_deg, "longitude": header.longitude_deg, "altitude": header.altitude_m,
        "telescope_name": np.bytes_(header.telescope if header.telescope in _TELESCOPES else "unknown"),
        "history": np.bytes_("contimg fingerprint" + (" of simulated data" if header.synthetic else "")),
        "phase_center_app_dec": header.dec_app_rad,
        "extra_keywords/phase_center_dec": header.dec_app_rad,
        "extra_keywords/ha_phase_center": 0.0,
        "extra_keywords/fingerprint": VERSION,
        "extra_keywords/fs_table": np.bytes_(_table(header.fs_table)),
        "extra_keywords/applied_delays_ns": np.bytes_(header.applied_delays_sha256),
        "antenna_names": np.array(names, "S"),
        "antenna_numbers": np.arange(len(names)),
        "antenna_positions": header.antenna_positions_m,
        "antenna_diameters": np.full(len(names), header.dish_diameter_m),
        "ant_1_array": np.tile(one, times), "ant_2_array": np.tile(two, times),
        "time_array": np.repeat(header.times_mjd + MJD_ZERO_JD, len(chosen)),
        "integration_time": np.full(times * len(chosen), header.integration_s),
        "freq_array": subband_frequencies(header.subband, channels)[None], "channel_width": width_hz,
        "polarization_array": np.array([_CODES[name] for name in _stored_products(header)]),
    }  # fmt: skip


_TELESCOPES = ("OVRO_MMA", "DSA_110", "DSA-110", "DSA110")


def _name(name: str, row: int) -> str:
    """Return an antenna's name where it is a number, alone or behind DSA-, else its row."""
    return name if re.fullmatch(r"(DSA-)?\d{1,4}", name) else f"row{row}"


def _table(fs_table: str) -> str:
    """Return what a fringe-stopping table is for, without its path."""
    known = table_of(fs_table)
    return "" if known is None else f"dec{known[0]:g}deg_{known[1]}ant"


__all__ = ["BASELINES", "Fingerprint", "is_fingerprint", "unpacked", "write_fingerprint"]
