"""Subband files with deliberate faults."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from contimg.simulate import constants as c
from contimg.simulate.hdf5 import FileHeader, write_subband
from contimg.simulate.options import NightOptions
from contimg.simulate.schedule import SimulatedTile

_FALLBACK_RAW_CHANNEL = 3400
_FALLBACK_MJD = 55_000.0
_SUFFIX = "_incomplete"


@dataclass(frozen=True)
class SimulatedFile:
    """Place and fault of one subband file.

    Attributes
    ----------
    path : Path or None
        Its final path; None = never written.
    tile, subband : int
    fault : str or None
        ``missing``, ``late`` or one of `options.CORRUPT_KINDS`.
    """

    path: Path | None
    tile: int
    subband: int
    fault: str | None


def place_file(out: Path, options: NightOptions, tile: SimulatedTile, subband: int) -> SimulatedFile:
    """Return path and fault of a subband file, as the options ask."""
    place = (tile.index, subband)
    if place in options.missing:
        return SimulatedFile(None, *place, "missing")
    late = place in options.late
    fault = {(t, s): kind for t, s, kind in options.corrupt}.get(place, "late" if late else None)
    folder = out / ("late" if late else "incoming")
    return SimulatedFile(folder / tile.file_name(subband, _SUFFIX if fault == "incomplete" else ""), *place, fault)


def write_file(
    file: SimulatedFile, header: FileHeader, times_jd: np.ndarray, frequencies_hz: np.ndarray, visibilities: np.ndarray
) -> None:
    """Write one subband file with the fault asked for; a missing one is not written.

    Written under ``<name>_incomplete.hdf5`` and then renamed, as the correlator does. Kinds of fault:
    ``truncated`` (half of the bytes), ``zero_byte``, ``zeros`` (all-zero visibilities, all flagged: the
    placeholders of an older pipeline), ``nan``, ``incomplete`` (never renamed), ``leftover`` (a good file
    beside a truncated ``_incomplete`` one of an earlier start), ``wrong_band`` (frequencies of a host that
    fell back to raw channel 3400), ``wrong_time`` (clock fallen back to MJD 55000).

    Parameters
    ----------
    file : SimulatedFile
    header : FileHeader
    times_jd, frequencies_hz, visibilities : ndarray
        As for `hdf5.write_subband`.
    """
    fault, final = file.fault, file.path
    if final is None:
        return
    partial = final if fault == "incomplete" else final.with_name(f"{final.stem}{_SUFFIX}.hdf5")
    if fault == "wrong_band":
        expected = c.FIRST_RAW_CHANNEL + c.RAW_CHANNELS_PER_SUBBAND * file.subband
        frequencies_hz = frequencies_hz - (_FALLBACK_RAW_CHANNEL - expected) * c.RAW_CHANNEL_MHZ * 1e6
    elif fault == "wrong_time":
        times_jd = times_jd - np.floor(times_jd[0] - 2_400_000.5 - _FALLBACK_MJD)
    elif fault == "zeros":
        visibilities = np.zeros_like(visibilities)
    elif fault == "nan":
        visibilities = np.full_like(visibilities, np.nan + 1j * np.nan)
    write_subband(partial, header, times_jd, frequencies_hz, visibilities, flagged=fault == "zeros")
    if fault == "incomplete":
        return
    if fault in ("truncated", "zero_byte"):
        with partial.open("r+b") as stream:
            stream.truncate(0 if fault == "zero_byte" else partial.stat().st_size // 2)
    partial.rename(final)
    if fault == "leftover":
        content = final.read_bytes()
        partial.write_bytes(content[: len(content) // 3])
