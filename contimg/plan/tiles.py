"""Tiles from clusters of subband files: which are ready, which wait, and which files are set aside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from contimg import naming, times
from contimg.config import IngestOptions
from contimg.correlator import integrations
from contimg.correlator.facts import FactsCache, FileFacts
from contimg.correlator.inbox import Cluster, Quarantined, SubbandFile, subbands_text
from contimg.correlator.integrations import Lattice
from contimg.correlator.setup import (
    NAMES,
    SAME_DECLINATION_DEG,
    CorrelatorSetup,
    comparable,
    most_frequent,
    setup_differences,
)
from contimg.plan.model import FileSignature, Plan, PlannedTile, Waiting
from contimg.storage.atomic import file_sha256

FileAndFacts = tuple[SubbandFile, FileFacts]


@dataclass(frozen=True)
class SoundFiles:
    """The files that a tile can use, one for each subband in order; ``growing`` if others are being written."""

    files: tuple[FileAndFacts, ...]
    growing: bool

    @property
    def subbands(self) -> frozenset[int]:
        return frozenset(file.subband for file, _ in self.files)

    def only(self, subbands: Iterable[int]) -> SoundFiles:
        """Return the files of some subbands."""
        return replace(self, files=tuple(one for one in self.files if one[0].subband in subbands))


def sound_files(
    cluster: Cluster, facts: Mapping[str, FileFacts], plan: Plan, *, settled: frozenset[int] = frozenset()
) -> SoundFiles:
    """Return the files that a tile can use; the others go into ``plan.quarantined`` with the reason.

    Parameters
    ----------
    cluster : Cluster
    facts : mapping of path to FileFacts
    plan : Plan
    settled : frozenset of int
        The subbands that a settled group has of this tile: it does not wait for others that may still grow.
    """
    good: list[FileAndFacts] = []
    growing = False
    for file in (*cluster.files, *cluster.spares):
        fact = facts.get(file.path)
        if fact is None:  # taken away since it was listed
            continue
        if fact.fault_code == "growing":
            growing = growing or not settled or file.subband in settled
        elif fact.fault_code is not None:
            plan.quarantined.append(Quarantined(file.path, fact.fault_code, fact.fault or "", cluster.key))
        else:
            good.append((file, fact))
    return SoundFiles(tuple(one_a_subband(_majority(good, cluster.key, plan), cluster.key, plan)), growing)


def ready_tile(
    cluster: Cluster,
    sound: SoundFiles,
    facts: Mapping[str, FileFacts],
    options: IngestOptions,
    now: datetime,
    plan: Plan,
) -> PlannedTile | None:
    """Return the tile of a cluster if it is ready; else None, and the plan gets what it waits for or lacks.

    A tile is ready when all subbands are there, closed, openable and agreeing with their header; or, once
    the deadline has passed, when at least ``options.min_subbands`` are.
    """
    key = cluster.key
    missing = tuple(number for number in range(options.subbands) if number not in sound.subbands)
    ahead_s = (cluster.name_time - now).total_seconds()
    if ahead_s > options.max_clock_error_s:
        if sound.files or sound.growing:  # a cluster of unusable files does not wait
            message = (
                f"its name lies {times.span_text(ahead_s)} ahead of this computer's clock: correct the clock that is"
                " wrong, or remove the files"
            )
            plan.waiting.append(Waiting(key, "tile", "future", message, key))
        return None
    overdue = now - cluster.name_time > timedelta(seconds=options.deadline_s)
    count = f"{len(sound.files)} of {options.subbands} subbands"
    if sound.growing or (missing and not overdue):
        message = f"{count} are ready, waiting for {subbands_text(missing)}"
        message += _stamped_ahead(cluster, facts)
        code = "growing" if sound.growing else "subbands"
        ready = _ready(cluster, sound, facts, options, now)
        plan.waiting.append(Waiting(key, "tile", code, message, key, ready))
        return None
    if len(sound.files) < options.min_subbands:
        message = (
            f"only {count} are usable (without {subbands_text(missing)}); ingest.min_subbands is {options.min_subbands}"
        )
        plan.quarantined.extend(Quarantined(file.path, "too_few_subbands", message, key) for file, _ in sound.files)
        return None
    return _tile(key, sound.files, missing, options)


def _ready(
    cluster: Cluster, sound: SoundFiles, facts: Mapping[str, FileFacts], options: IngestOptions, now: datetime
) -> str | None:
    """Return when a tile that waits is ready although no file comes (UTC); None where a file's time is in the future.

    That is when no file may grow any more and, where a subband has no sound or growing file, the deadline has passed.
    """
    known = [(f.subband, facts[f.path]) for f in (*cluster.files, *cluster.spares) if f.path in facts]
    growing = {subband: fact.mtime_ns / 1e9 for subband, fact in known if fact.fault_code == "growing"}
    if max(growing.values(), default=0.0) > now.timestamp():  # what counts then: `contimg.correlator.facts`
        return None
    moments = [datetime.fromtimestamp(last, UTC) + timedelta(seconds=options.settle_s) for last in growing.values()]
    if not sound.subbands.union(growing).issuperset(range(options.subbands)):
        moments.append(cluster.name_time + timedelta(seconds=options.deadline_s))
    return times.utc_not_before(max(moments))


def _stamped_ahead(cluster: Cluster, facts: Mapping[str, FileFacts]) -> str:
    """Return the fault of a file whose modification time is ahead of the clock, to be appended, or ''."""
    faults = (facts[f.path].fault or "" for f in cluster.files if f.path in facts)
    ahead = next((fault for fault in faults if "ahead of this computer's clock" in fault), None)
    return f"; {ahead}" if ahead else ""


def _tile(key: str, files: Sequence[FileAndFacts], missing: tuple[int, ...], options: IngestOptions) -> PlannedTile:
    _, first = files[0]
    start_mjd = _start_mjd([fact for _, fact in files])
    channels = None if first.shape is None else first.shape.n_channels * options.subbands
    return PlannedTile(
        id=naming.id_from_mjd(start_mjd),
        name_time=key,
        files=tuple(file.path for file, _ in files),
        subbands=tuple(file.subband for file, _ in files),
        missing=missing,
        signature=tuple(FileSignature(file.name, fact.size, fact.mtime_ns) for file, fact in files),
        start_mjd=start_mjd,
        end_mjd=max(fact.end_mjd for _, fact in files),
        integration_s=first.integration_s,
        dec_app_deg=most_frequent([fact.dec_app_deg for _, fact in files]),
        longitude_rad=first.longitude_rad,
        latitude_rad=first.latitude_rad,
        setup=CorrelatorSetup.of_header(_common_setup([fact.setup for _, fact in files]), channels),
        products="" if first.shape is None else first.shape.products,
        synthetic=any(fact.synthetic for _, fact in files),
    )


def _common_setup(setups: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the setup of a tile: each item as most of its files have it."""
    return tuple(most_frequent(items) for items in zip(*setups, strict=True))


def _lattice(fact: FileFacts) -> Lattice:
    """Return the lattice of a file's integrations."""
    return Lattice.between(fact.start_mjd, fact.end_mjd, fact.integration_s)


def _start_mjd(facts: Sequence[FileFacts]) -> float:
    """Return the first integration that at least half of the files of a tile have, as the conversion takes it."""
    lattices = [_lattice(fact) for fact in facts]
    first, _ = integrations.common(lattices)
    return next(one.start_mjd for one in lattices if lattices[0].steps_to(one) == first)


def _starts(good: list[FileAndFacts]) -> list[str]:
    """Return the start that each file counts for: the most frequent one where its integrations are on that lattice.

    Hosts start and stop some integrations apart; their integrations still stand on one lattice.
    """
    own = [naming.id_from_mjd(fact.start_mjd) for _, fact in good]
    most = max(sorted(set(own)), key=own.count, default="")
    main = next((_lattice(fact) for (_, fact), start in zip(good, own, strict=True) if start == most), None)
    return [
        most if main is not None and main.agrees_with(_lattice(fact)) else times.utc_from_mjd(fact.start_mjd)
        for _, fact in good
    ]


def _majority(good: list[FileAndFacts], key: str, plan: Plan) -> list[FileAndFacts]:
    """Return the files that agree with most in time, declination, shape and setup; the others are set aside."""
    headers = {(fact.start_mjd, fact.dec_app_deg, fact.shape, fact.setup) for _, fact in good}
    if len(headers) <= 1:  # as nearly always, and a night has thousands of files
        return good
    votes: dict[tuple[str, float, str, tuple[Any, ...]], list[FileAndFacts]] = {}
    for (file, fact), start in zip(good, _starts(good), strict=True):
        # A host that failed to read some delays has another list of them for good: its data are the same.
        setup = tuple(comparable(name, item) for name, item in zip(NAMES, fact.setup, strict=False))
        identity = (start, _declination(fact, good), str(fact.shape), setup[1:])
        votes.setdefault(identity, []).append((file, fact))
    if len(votes) <= 1:
        return good
    chosen = max(votes, key=lambda identity: (len(votes[identity]), str(identity)))
    for identity in sorted(set(votes) - {chosen}, key=str):
        if identity[:2] != chosen[:2]:
            code = "header_differs"
            here, most = (f"{one[0]} at declination {round(one[1], 4)}" for one in (identity, chosen))
            message = f"starts {here}, but most of its tile {most}"
        elif identity[2] != chosen[2]:
            code, message = "shape_differs", f"has {identity[2]}, but most of its tile {chosen[2]}"
        else:
            setups = (CorrelatorSetup.of_header(votes[one][0][1].setup) for one in (identity, chosen))
            differing = {k: v for k, v in setup_differences(*setups).items() if k != "applied_delays_sha256"}
            code, message = "setup_differs", f"has another {' and '.join(differing.values())} than most of its tile"
        plan.quarantined.extend(Quarantined(f.path, code, f"{f.name} {message}", key) for f, _ in votes[identity])
    return votes[chosen]


def _declination(fact: FileFacts, good: Sequence[FileAndFacts]) -> float:
    """Return the declination (deg) that a file counts for: the most frequent one where it agrees to an arcsecond."""
    every = [one.dec_app_deg for _, one in good]
    most = max(sorted(set(every)), key=every.count)
    return most if abs(fact.dec_app_deg - most) <= SAME_DECLINATION_DEG else fact.dec_app_deg


def compare_spares(clusters: Iterable[Cluster], facts: dict[str, FileFacts], cache: FactsCache) -> None:
    """Add the SHA-256 of files of one subband and tile with the same size; those of other sizes are not copies."""
    for cluster in clusters:
        for spare in cluster.spares:
            rivals = [file for file in (*cluster.files, *cluster.spares) if file.subband == spare.subband]
            sound = [file for file in rivals if file.path in facts and facts[file.path].fault_code is None]
            sizes = [facts[file.path].size for file in sound]
            for file in sound:
                fact = facts[file.path]
                if sizes.count(fact.size) > 1 and not fact.sha256:
                    try:
                        digest = file_sha256(Path(file.path))
                    except OSError:  # it went, or its disk fails: not known to be the same
                        continue
                    facts[file.path] = replace(fact, sha256=digest)
                    cache.put(file, facts[file.path])


def one_a_subband(good: Sequence[FileAndFacts], key: str, plan: Plan) -> list[FileAndFacts]:
    """Return the first sound file of each subband; the others are set aside, as copies or as different files."""
    chosen: dict[int, FileAndFacts] = {}
    for file, fact in good:
        kept, known = chosen.setdefault(file.subband, (file, fact))
        if kept is file:
            continue
        if fact.sha256 and fact.sha256 == known.sha256:
            code, message = "duplicate_same", f"is a copy of {kept.name}, byte for byte"
        else:
            code, message = "duplicate_differs", f"differs from {kept.name}, whose name fits the tile better"
        plan.quarantined.append(Quarantined(file.path, code, f"{file.name} {message}", key))
    return [chosen[subband] for subband in sorted(chosen)]
