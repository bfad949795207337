"""From clusters of files to tiles: who is ready, who waits, who is set aside and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from contimg import naming
from contimg.config import IngestOptions
from contimg.correlator.inbox import Cluster, FactsCache, FileFacts, Quarantined, SubbandFile, subbands_text
from contimg.plan.model import FileSignature, Plan, Tile, Waiting
from contimg.storage.atomic import file_sha256

Seen = list[tuple[SubbandFile, FileFacts]]


def add_tile(
    cluster: Cluster, facts: Mapping[str, FileFacts], options: IngestOptions, now: datetime, plan: Plan
) -> None:
    """Add the tile of a cluster to the plan if it is ready; else say what it waits for or why it is not used.

    A tile is ready when all subbands are there, closed, openable and agreeing with their header; or, once
    the deadline has passed, when at least ``options.min_subbands`` are.
    """
    key = cluster.key
    good: Seen = []
    growing = False
    for file in (*cluster.files, *cluster.spares):
        fact = facts.get(file.path)
        if fact is None:  # taken away since it was listed
            continue
        if fact.fault_code == "growing":
            growing = True
        elif fact.fault_code is not None:
            plan.quarantined.append(Quarantined(file.path, fact.fault_code, fact.fault or "", key))
        else:
            good.append((file, fact))
    good = one_a_subband(_majority(good, key, plan), key, plan)
    have = {file.subband for file, _ in good}
    missing = tuple(number for number in range(options.subbands) if number not in have)
    overdue = now - cluster.name_time > timedelta(seconds=options.deadline_s)
    if growing or (missing and not overdue):
        message = f"{len(have)} of {options.subbands} subbands are ready, waiting for {subbands_text(missing)}"
        plan.waiting.append(Waiting(key, "tile", "growing" if growing else "subbands", message, key))
    elif len(have) < options.min_subbands:
        message = (
            f"only {len(have)} of {options.subbands} subbands are usable (without {subbands_text(missing)});"
            f" ingest.min_subbands is {options.min_subbands}"
        )
        plan.quarantined.extend(Quarantined(file.path, "too_few_subbands", message, key) for file, _ in good)
    else:
        tile = _tile(key, good, missing)
        if tile.id in plan.tiles:
            message = f"its header time {tile.id} is that of the tile named {plan.tiles[tile.id].name_time}"
            plan.quarantined.extend(Quarantined(file.path, "same_time", message, key) for file, _ in good)
        else:
            plan.tiles[tile.id] = tile


def _tile(key: str, good: Seen, missing: tuple[int, ...]) -> Tile:
    _, first = good[0]
    return Tile(
        id=naming.id_from_mjd(first.start_mjd),
        name_time=key,
        files=tuple(file.path for file, _ in good),
        subbands=tuple(file.subband for file, _ in good),
        missing=missing,
        signature=tuple(FileSignature(file.name, fact.size, fact.mtime_ns) for file, fact in good),
        start_mjd=first.start_mjd,
        end_mjd=max(fact.end_mjd for _, fact in good),
        integration_s=first.integration_s,
        dec_app_deg=first.dec_app_deg,
        longitude_rad=first.longitude_rad,
        latitude_rad=first.latitude_rad,
        setup=next((fact.setup for _, fact in good if fact.setup), ()),
        synthetic=any(fact.synthetic for _, fact in good),
    )


def _majority(good: Seen, key: str, plan: Plan) -> Seen:
    """Keep the files that most of the tile agree with in time, declination and shape; set the others aside."""
    votes: dict[tuple[str, float, str], Seen] = {}
    for file, fact in good:
        said = (naming.id_from_mjd(fact.start_mjd), round(fact.dec_app_deg, 3), fact.shape)
        votes.setdefault(said, []).append((file, fact))
    if len(votes) <= 1:
        return good
    chosen = max(votes, key=lambda said: (len(votes[said]), said))
    for said in sorted(set(votes) - {chosen}):
        if said[:2] == chosen[:2]:
            code, message = "shape_differs", f"has {said[2]}, but most of its tile {chosen[2]}"
        else:
            code = "header_differs"
            message = f"starts {said[0]} at declination {said[1]}, but most of its tile {chosen[0]} at {chosen[1]}"
        plan.quarantined.extend(Quarantined(f.path, code, f"{f.name} {message}", key) for f, _ in votes[said])
    return votes[chosen]


def compare_spares(clusters: Iterable[Cluster], facts: dict[str, FileFacts], cache: FactsCache) -> None:
    """Add the digests of files of which a tile has several of one subband and one size; the rest differ anyway."""
    for cluster in clusters:
        for spare in cluster.spares:
            rivals = [file for file in (*cluster.files, *cluster.spares) if file.subband == spare.subband]
            sound = [file for file in rivals if file.path in facts and facts[file.path].fault_code is None]
            sizes = [facts[file.path].size for file in sound]
            for file in sound:
                fact = facts[file.path]
                if sizes.count(fact.size) > 1 and not fact.sha256:
                    facts[file.path] = replace(fact, sha256=file_sha256(Path(file.path)))
                    cache.put(file, facts[file.path])


def one_a_subband(
    good: Sequence[tuple[SubbandFile, FileFacts]], key: str, plan: Plan
) -> list[tuple[SubbandFile, FileFacts]]:
    """Keep the first sound file of each subband; set the others aside, saying whether they hold the same."""
    chosen: dict[int, tuple[SubbandFile, FileFacts]] = {}
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
