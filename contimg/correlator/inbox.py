"""The inbox: file names, one tile each cluster of them, and what is set aside with its reason.

The correlator's 16 hosts each name a file by their own clock, so a tile is a *cluster* of names. Nothing is opened
here; `contimg.correlator.facts` opens the files of clusters that have open work.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from contimg import naming
from contimg.config import IngestOptions
from contimg.errors import InputError


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
        If the folder is missing, unreadable or cannot be listed.
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
    except OSError as error:
        raise InputError(
            f"paths.incoming {incoming} cannot be listed ({error.strerror}): look at its disk or network filesystem"
        ) from None


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
        elif name.endswith("_spl.hdf5"):
            continue  # the spectral-line twin of a subband file: not ours, and no fault
        elif name.endswith("_incomplete.hdf5"):
            listing.open_files.append(path)
        elif name.endswith(".hdf5"):
            message = f"{shown(name)} is not named YYYY-MM-DDTHH:MM:SS_sbNN.hdf5 with NN below {options.subbands}"
            listing.quarantined.append(Quarantined(shown(path), "name", message, ""))
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


def shown(name: str) -> str:
    """Return a file name as a terminal and JSON can show it: bytes that are no UTF-8, and line ends, as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def subbands_text(subbands: Iterable[int]) -> str:
    """Return 'sb03, sb07' for a list of subband numbers."""
    return ", ".join(f"sb{number:02d}" for number in subbands)


def count_by_code(items: Iterable[Quarantined]) -> Mapping[str, int]:
    """Return how many items were set aside for each reason code."""
    counts: dict[str, int] = {}
    for item in items:
        counts[item.code] = counts.get(item.code, 0) + 1
    return dict(sorted(counts.items()))
