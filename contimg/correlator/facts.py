"""What the headers of subband files say, as far as planning needs it: read once, remembered by path, size and mtime.

Whatever is wrong with a file becomes a fault of that file, with a reason code and a sentence: no single file stops the
plan. No input file is ever changed.
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from contimg import naming
from contimg.config import IngestOptions
from contimg.correlator import file_name, probe
from contimg.correlator.files import fault_of_error
from contimg.correlator.inbox import Cluster, SubbandFile, shown
from contimg.correlator.probe import DataShape
from contimg.storage.notes import read_note, write_note


@dataclass(frozen=True)
class FileFacts:
    """What the header of a subband file says, as far as planning needs it; or why it cannot be used.

    Attributes
    ----------
    size, mtime_ns : int
        Bytes, and ns since 1970: the facts hold as long as both stay.
    fault, fault_code : str or None
        The sentence and the reason code, if something is wrong.
    start_mjd, end_mjd : float
        Centres of the first and the last integration, UTC (days).
    integration_s, dec_app_deg, longitude_rad, latitude_rad : float
    shape : DataShape or None
    subband : int
        Which the frequencies belong to.
    setup : tuple of str
        Applied delays, antenna order and fringe-stopping table (`contimg.correlator.header.Header.setup`).
    synthetic : bool
    sha256 : str
        Of the file; computed only where two files claim to be the same subband.
    checks : int
        The version of the checks that said so.
    """

    size: int
    mtime_ns: int
    fault: str | None = None
    fault_code: str | None = None
    start_mjd: float = math.nan
    end_mjd: float = math.nan
    integration_s: float = math.nan
    dec_app_deg: float = math.nan
    longitude_rad: float = math.nan
    latitude_rad: float = math.nan
    shape: DataShape | None = None
    subband: int = -1
    setup: tuple[str, ...] = ()
    synthetic: bool = False
    sha256: str = ""
    checks: int = probe.VERSION


class FactsCache:
    """What files said when they were last opened, one small JSON a UTC date; may be deleted any time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._days: dict[str, dict[str, dict[str, Any]]] = {}
        self._changed: set[str] = set()

    def get(self, file: SubbandFile, size: int, mtime_ns: int) -> FileFacts | None:
        """Return the remembered facts of a file unless it has changed since."""
        entry = self._entry(file, size, mtime_ns)
        if entry is None or entry.get("checks") != probe.VERSION:  # other checks might say something else
            return None
        shape = entry.get("shape")
        return FileFacts(
            **{**entry, "setup": tuple(entry.get("setup", ())), "shape": None if shape is None else DataShape(*shape)}
        )

    def put(self, file: SubbandFile, facts: FileFacts) -> None:
        """Remember the facts of a file."""
        # JSON knows no NaN: what the header did not say is left out.
        self._put(file, {key: value for key, value in vars(facts).items() if value == value and value is not None})

    def seen_for_s(self, file: SubbandFile, size: int, mtime_ns: int, now: datetime) -> float:
        """Return for how long a file has been known with this size and mtime [s], by this computer's clock."""
        entry, moment = self._entry(file, size, mtime_ns), now.timestamp()
        if entry is None or not entry.get("first_seen", math.inf) <= moment:
            self._put(file, {"size": size, "mtime_ns": mtime_ns, "first_seen": moment})
            return 0.0
        return moment - float(entry["first_seen"])

    def save(self) -> None:
        """Write the days that changed."""
        for day in sorted(self._changed):
            write_note(self._folder / f"{day}.json", self._days[day])
        self._changed.clear()

    def _entry(self, file: SubbandFile, size: int, mtime_ns: int) -> dict[str, Any] | None:
        entry = self._day(file).get(file.path)
        return None if entry is None or (entry["size"], entry["mtime_ns"]) != (size, mtime_ns) else entry

    def _put(self, file: SubbandFile, entry: dict[str, Any]) -> None:
        self._day(file)[file.path] = entry
        self._changed.add(_day_of(file))

    def _day(self, file: SubbandFile) -> dict[str, dict[str, Any]]:
        day = _day_of(file)
        if day not in self._days:
            content = read_note(self._folder / f"{day}.json")
            # Damaged? It is a cache, so that its loss costs time and nothing else.
            self._days[day] = content if isinstance(content, dict) else {}
        return self._days[day]


def _day_of(file: SubbandFile) -> str:
    return naming.id_from_datetime(file.name_time)[:10]


def inspect(
    clusters: Iterable[Cluster], cache: FactsCache, options: IngestOptions, now: datetime
) -> dict[str, FileFacts]:
    """Open the files of clusters, as far as the cache does not know them.

    Returns
    -------
    dict
        Facts by path. Files that vanished meanwhile are left out.
    """
    facts: dict[str, FileFacts] = {}
    for cluster in clusters:
        for file in (*cluster.files, *cluster.spares):
            known = _facts(file, cache, options, now)
            if known is not None:
                facts[file.path] = known
    return facts


def _facts(file: SubbandFile, cache: FactsCache, options: IngestOptions, now: datetime) -> FileFacts | None:
    """Return what is known of a file, opening it where need be; None when it has vanished."""
    try:
        status = os.stat(file.path)
    except (FileNotFoundError, NotADirectoryError):
        if os.path.islink(file.path):
            target = shown(os.readlink(file.path))
            return FileFacts(0, 0, f"{file.name} is a link to {target}, which is missing", "dangling")
        return None
    except PermissionError:
        return FileFacts(0, 0, f"{file.name} is a link into a folder that this user may not read", "permission")
    except OSError as error:
        fault = fault_of_error(Path(file.path), error)
        return FileFacts(0, 0, str(fault), fault.code)
    size, mtime_ns = status.st_size, status.st_mtime_ns
    if not stat.S_ISREG(status.st_mode):
        return FileFacts(size, mtime_ns, f"{file.name} is not a regular file", "not_a_file")
    known = cache.get(file, size, mtime_ns)
    growing = _growing(file, size, mtime_ns, cache, options, now)
    if growing is not None:
        return FileFacts(size, mtime_ns, growing, "growing")
    if known is None:
        known = _open(file, size, mtime_ns)
        if known.fault_code == "vanished":
            return None
        if known.fault_code not in probe.PASSING:
            cache.put(file, known)
    return known if known.fault_code else _against_name(file, known, options)


def _growing(
    file: SubbandFile, size: int, mtime_ns: int, cache: FactsCache, options: IngestOptions, now: datetime
) -> str | None:
    """Return why a file may still grow, or None.

    A modification time ahead of this computer's clock was given by another clock. What counts then is for how long the
    file has been seen as it is.
    """
    age_s = now.timestamp() - mtime_ns / 1e9
    if age_s >= options.settle_s:
        return None
    if age_s >= 0:
        return f"{file.name} may still grow"
    known = cache.get(file, size, mtime_ns)
    if known is not None or cache.seen_for_s(file, size, mtime_ns, now) >= options.settle_s:
        return None
    return (
        f"{file.name} may still grow: its modification time lies {-age_s:.0f} s ahead of this computer's clock, so it"
        f" is used once it has stayed the same for ingest.settle_s; correct the clock that is wrong"
    )


def _against_name(file: SubbandFile, facts: FileFacts, options: IngestOptions) -> FileFacts:
    """Return the facts of a file, with a fault where they are not those of a file of its name."""
    name = naming.SubbandName(file.name_time, file.subband)
    found = file_name.contradiction(name, facts.start_mjd, facts.subband, options.max_clock_error_s)
    return replace(facts, fault=found[1], fault_code=found[0]) if found else facts


def _open(file: SubbandFile, size: int, mtime_ns: int) -> FileFacts:
    if size == 0:
        return FileFacts(size, mtime_ns, f"{file.name} has no content", "empty")
    try:
        header = probe.look(Path(file.path))
    except probe.FileFault as error:
        return FileFacts(size, mtime_ns, str(error), error.code)
    return FileFacts(
        size,
        mtime_ns,
        start_mjd=header.start_mjd,
        end_mjd=header.end_mjd,
        integration_s=header.integration_s,
        dec_app_deg=header.dec_app_deg,
        longitude_rad=math.radians(header.longitude_deg),
        latitude_rad=math.radians(header.latitude_deg),
        shape=header.shape,
        subband=header.subband,
        setup=header.setup,
        synthetic=header.synthetic,
    )
