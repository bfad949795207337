"""Several files of one subband: which of them a tile uses, and whether the others hold the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from contimg.correlator.inbox import Cluster, FactsCache, FileFacts, Quarantined, SubbandFile
from contimg.plan.model import Plan
from contimg.storage.atomic import file_sha256


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
