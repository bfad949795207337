"""The inbox: file names, one tile each cluster of them, and what is set aside with its reason.

The correlator's 16 hosts each name a file by their own clock, so a tile is a *cluster* of names.
Listing opens nothing; `inspect` opens the files of clusters that have open work and remembers what it
saw by (path, size, mtime). No input file is ever changed.
"""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from contimg import naming
from contimg.config import IngestOptions
from contimg.correlator import probe
from contimg.correlator.files import fault_of_error
from contimg.errors import InputError
from contimg.storage.atomic import atomic_path
from contimg.times import mjd_from_datetime


class SubbandFile(NamedTuple):
    """A closed subband file, known by its name alone."""

    name_time: datetime
    subband: int
    path: str

    @property
    def name(self) -> str:
        return os.path.basename(self.path)


@dataclass(frozen=True)
class Quarantined:
    """Something that no plan uses: what, why (a code and a sentence), and the tile it would have joined."""

    path: str
    code: str
    message: str
    name_time: str


@dataclass(frozen=True)
class Cluster:
    """The files of one tile: at most one a subband, in order of subband; ``spares`` are further files of these."""

    name_time: datetime
    files: tuple[SubbandFile, ...]
    spares: tuple[SubbandFile, ...] = ()

    @property
    def key(self) -> str:
        """The time of its first name, in the form of an id."""
        return naming.id_from_datetime(self.name_time)

    @property
    def subbands(self) -> tuple[int, ...]:
        return tuple(file.subband for file in self.files)


@dataclass(frozen=True)
class FileFacts:
    """What the header of a subband file says, as far as planning needs it; or why it cannot be read."""

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
    shape: str = ""
    subband: int = -1
    setup: tuple[str, ...] = ()
    synthetic: bool = False
    sha256: str = ""  # looked at only where two files claim to be the same subband
    checks: int = probe.VERSION


@dataclass
class Listing:
    """All names in the inbox, read once: clusters, and what was set aside by name."""

    clusters: list[Cluster] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    open_files: list[str] = field(default_factory=list)


def list_files(incoming: Path) -> list[str]:
    """Return the paths of everything in the inbox, sorted; opens nothing.

    Raises
    ------
    InputError
        If the folder is missing or unreadable.
    """
    try:
        with os.scandir(incoming) as entries:
            return sorted(entry.path for entry in entries)
    except FileNotFoundError:
        raise InputError(f"paths.incoming {incoming} does not exist: create it or correct the key") from None
    except NotADirectoryError:
        raise InputError(f"paths.incoming {incoming} is not a folder: correct the key") from None
    except PermissionError:
        raise InputError(f"paths.incoming {incoming} is not readable: give this user read permission") from None


def arrange(paths: Iterable[str], options: IngestOptions) -> Listing:
    """Cluster file names into tiles.

    Hosts disagree by up to 82 s, and tiles follow each other after 309 s. Names with gaps of at most
    ``options.cluster_s`` between them are a cluster if that spans no more than ``cluster_s``; where strays make
    it longer, the stretch of ``cluster_s`` with the most subbands is taken out first. Of two files of one
    subband the one nearer to the cluster's median name stays, as far as names can tell (see `contimg.plan.tiles`).
    """
    listing = Listing()
    files = []
    for path in paths:
        name = os.path.basename(path)
        parsed = naming.SubbandName.parse(name)
        if parsed is not None and parsed.subband < options.subbands:
            files.append(SubbandFile(parsed.time, parsed.subband, path))
        elif name.endswith("_incomplete.hdf5"):
            listing.open_files.append(path)
        elif name.endswith(".hdf5"):
            message = f"{name} is not named YYYY-MM-DDTHH:MM:SS_sbNN.hdf5 with NN below {options.subbands}"
            listing.quarantined.append(Quarantined(path, "name", message, ""))
    listing.open_files.sort()
    reach = timedelta(seconds=options.cluster_s)
    members: list[SubbandFile] = []
    for file in sorted(files):
        if members and file.name_time - members[-1].name_time > reach:
            _separate(members, reach, listing)
            members = []
        members.append(file)
    _separate(members, reach, listing)
    return listing


def _separate(members: Sequence[SubbandFile], reach: timedelta, listing: Listing) -> None:
    """Close files without a gap between them as one cluster, or as several where they span more than `reach`."""
    if not members:
        return
    if members[-1].name_time - members[0].name_time <= reach:
        _close(members, listing)
        return
    best, best_size = (0, 0), 0
    for first, file in enumerate(members):
        last = next((i for i in range(first, len(members)) if members[i].name_time - file.name_time > reach), None)
        size = len({other.subband for other in members[first:last]})
        if size > best_size:
            best, best_size = (first, len(members) if last is None else last), size
    _separate(members[: best[0]], reach, listing)
    _close(members[slice(*best)], listing)
    _separate(members[best[1] :], reach, listing)


def _close(members: Sequence[SubbandFile], listing: Listing) -> None:
    chosen = {file.subband: file for file in members}
    spares = []
    if len(chosen) < len(members):
        median = members[len(members) // 2].name_time
        chosen = {}
        for file in sorted(members, key=lambda f: (abs(f.name_time - median), f)):
            kept = chosen.setdefault(file.subband, file)
            if kept is not file:
                spares.append(file)
                message = f"{file.name} is a second sb{file.subband:02d} of the tile of {kept.name}"
                key = naming.id_from_datetime(members[0].name_time)
                listing.quarantined.append(Quarantined(file.path, "duplicate_subband", message, key))
    first = min(file.name_time for file in chosen.values())
    listing.clusters.append(Cluster(first, tuple(chosen[sb] for sb in sorted(chosen)), tuple(spares)))


# What every entry of the cache holds; those of older versions, which hold less, are not used.
_ALWAYS = {"size", "mtime_ns", "shape", "subband", "synthetic", "checks"}


class FactsCache:
    """What files said when they were last opened, one small JSON a UTC date; may be deleted any time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._days: dict[str, dict[str, dict]] = {}
        self._changed: set[str] = set()

    def get(self, file: SubbandFile, size: int, mtime_ns: int) -> FileFacts | None:
        """Return the remembered facts of a file unless it has changed since."""
        entry = self._day(file).get(file.path)
        if entry is None or not entry.keys() >= _ALWAYS or (entry["size"], entry["mtime_ns"]) != (size, mtime_ns):
            return None
        if entry["checks"] != probe.VERSION:  # other checks might say something else
            return None
        return FileFacts(**(entry | {"setup": tuple(entry.get("setup", ()))}))

    def put(self, file: SubbandFile, facts: FileFacts) -> None:
        """Remember the facts of a file."""
        # JSON knows no NaN: what the header did not say is left out.
        entry = {key: value for key, value in vars(facts).items() if value == value and value is not None}
        self._day(file)[file.path] = entry
        self._changed.add(self._key(file))

    def save(self) -> None:
        """Write the days that changed."""
        for day in sorted(self._changed):
            with atomic_path(self._folder / f"{day}.json") as part:
                part.write_text(json.dumps(self._days[day], allow_nan=False))
        self._changed.clear()

    @staticmethod
    def _key(file: SubbandFile) -> str:
        return file.name_time.isoformat()[:10]

    def _day(self, file: SubbandFile) -> dict[str, dict]:
        day = self._key(file)
        if day not in self._days:
            place = self._folder / f"{day}.json"
            try:
                self._days[day] = json.loads(place.read_text())
            except FileNotFoundError:
                self._days[day] = {}
            except json.JSONDecodeError:  # a cache, so its loss costs time and nothing else
                self._days[day] = {}
        return self._days[day]


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
    except FileNotFoundError:
        if os.path.islink(file.path):
            return FileFacts(0, 0, f"{file.name} is a link to {os.readlink(file.path)}, which is missing", "dangling")
        return None
    except PermissionError:
        return FileFacts(0, 0, f"{file.name} is a link into a folder that this user may not read", "permission")
    except OSError as error:
        said = fault_of_error(Path(file.path), error)
        return FileFacts(0, 0, str(said), said.code)
    size, mtime_ns = status.st_size, status.st_mtime_ns
    if not stat.S_ISREG(status.st_mode):
        return FileFacts(size, mtime_ns, f"{file.name} is not a regular file", "not_a_file")
    if now.timestamp() - status.st_mtime < options.settle_s:
        return FileFacts(size, mtime_ns, f"{file.name} may still grow", "growing")
    known = cache.get(file, size, mtime_ns)
    if known is None:
        known = _open(file, size, mtime_ns)
        if known.fault_code == "vanished":
            return None
        if known.fault_code not in probe.PASSING:
            cache.put(file, known)
    return known if known.fault_code else _against_name(file, known, options)


def _against_name(file: SubbandFile, facts: FileFacts, options: IngestOptions) -> FileFacts:
    """Return the facts of a file, with a fault where they are not those of a file of its name."""
    clock_error_s = (facts.start_mjd - mjd_from_datetime(file.name_time)) * 86400
    if abs(clock_error_s) > options.max_clock_error_s:
        message = f"the header of {file.name} is {clock_error_s:.0f} s away from its name"
        return replace(facts, fault=message, fault_code="clock")
    if facts.subband != file.subband:
        message = f"the frequencies of {file.name} are those of sb{facts.subband:02d}"
        return replace(facts, fault=message, fault_code="frequency")
    return facts


def _open(file: SubbandFile, size: int, mtime_ns: int) -> FileFacts:
    def fault(code: str, message: str) -> FileFacts:
        return FileFacts(size, mtime_ns, message, code)

    if size == 0:
        return fault("empty", f"{file.name} has no content")
    try:
        said = probe.look(Path(file.path))
    except probe.FileFault as error:
        return fault(error.code, str(error))
    return FileFacts(
        size,
        mtime_ns,
        start_mjd=said.start_mjd,
        end_mjd=said.end_mjd,
        integration_s=said.integration_s,
        dec_app_deg=said.dec_app_deg,
        longitude_rad=math.radians(said.longitude_deg),
        latitude_rad=math.radians(said.latitude_deg),
        shape=said.shape,
        subband=said.subband,
        setup=said.setup,
        synthetic=said.synthetic,
    )


def subbands_text(subbands: Iterable[int]) -> str:
    """Return 'sb03, sb07' for a list of subband numbers."""
    return ", ".join(f"sb{number:02d}" for number in subbands)


def count_by_code(items: Iterable[Quarantined]) -> Mapping[str, int]:
    """Return how many items were set aside for each reason code."""
    counts: dict[str, int] = {}
    for item in items:
        counts[item.code] = counts.get(item.code, 0) + 1
    return dict(sorted(counts.items()))
