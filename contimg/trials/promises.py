"""What must be true of archive and registry whatever happened: the promises of docs/design.md, as checks."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import select

from contimg.bundle import bundle
from contimg.bundle.find import find_bundles
from contimg.bundle.record import decisions_in, last_placing, read_record
from contimg.errors import RegistryError
from contimg.publishing import markers
from contimg.publishing.archive_marker import MARKER
from contimg.publishing.places import Places, is_folder
from contimg.publishing.recording import recorded
from contimg.publishing.scrub import verify_row
from contimg.registry import queries
from contimg.registry.schema import replica_copies
from contimg.replicas import commits, copies
from contimg.replicas.stores import Store, open_store
from contimg.storage import json_files
from contimg.trials.world import World


def at_any_time(world: World, besides: Collection[tuple[str, int]] = ()) -> list[str]:
    """Return what is wrong with what stands in the archive, also while processes work or after they were killed.

    Every bundle there is whole, is one that was made, and passed or is approved; every marker is whole. Not looked at
    are the ids and versions in `besides`, and those that were damaged and not reconciled yet.
    """
    problems = [f"{path} is torn" for path in _torn(world.config.paths.stage)]
    problems += _copies(world)
    for path, data_id, version, hidden in find_bundles(world.layout):
        if (data_id, version) in world.ledger.rotten.union(besides):
            continue
        found = bundle.verify(path)
        if not found.ok:
            problems.append(f"half visible: {found.problems[0].message}")
            continue
        verdict = world.ledger.verdicts.get((data_id, str(found.manifest_sha256)))
        if verdict is None:
            problems.append(f"{path} is no mosaic that was made")
        elif verdict != "passed" and not hidden and not _approved(world, data_id, version, str(found.manifest_sha256)):
            problems.append(f"{path} is {verdict}, and nobody approved that version and manifest")
    return problems


def _copies(world: World) -> Iterator[str]:
    """Give what is wrong with the copies that replicas have committed: each is whole, and was made."""
    for replica in world.config.publish.replicas:
        store = open_store(replica.url)
        for row in queries.listing(world.registry, latest_only=False):
            if (row["data_id"], row["version"]) in world.ledger.rotten_copies:
                continue
            place = commits.row_place(world.layout, row)
            commit = commits.commit_of(store, place)
            if commit is not None:
                found = copies.problems_of(store, place, commit.manifest_sha256)
                yield from (f"half copied: {problem}" for problem in found)
                if (row["data_id"], commit.manifest_sha256) not in world.ledger.verdicts:
                    yield f"{place} in the replica is no mosaic that was made"


def _torn(stage: Path) -> Iterator[Path]:
    for pattern in ("published/*/*.json", "registered/*/*.json", "groups/*.json"):
        for path in sorted(stage.glob(pattern)):
            if not path.name.startswith(".") and json_files.read_json(path) is None:
                yield path


def _approved(world: World, data_id: str, version: int, sha256: str) -> bool:
    return any(
        (one.data_id, one.version, one.sha256, one.word) == (data_id, version, sha256, "approved")
        for one in world.ledger.asked
    )


def sure(world: World) -> list[str]:
    """Return what is lost of what was reported as done: true at any time, also just after the power was cut."""
    problems = []
    for (data_id, version), sha256 in world.ledger.shown.items():
        found = bundle.problem(world.layout.bundle(data_id, version), sha256)
        if found is not None:
            problems.append(f"{data_id} version {version} was published, and is not in sight: {found}")
    for data_id, version in sorted(world.ledger.hidden):
        if is_folder(world.layout.bundle(data_id, version)):
            problems.append(f"{data_id} version {version} was withdrawn, and is in sight")
    for data_id, version in sorted(world.ledger.held):
        if queries.get(world.registry, data_id, version)["finalization_status"] != "finalized":
            problems.append(f"{data_id} version {version} was held, and is not judged")
    if world.ledger.owed:
        known = world.known_reasons()
        problems += [f"lost: {asked}" for reason, asked in world.ledger.owed.items() if reason not in known]
    return problems


def synced(world: World) -> list[str]:
    """Return what is lost of what was on the disk before its row or its message: true where nothing was removed.

    A row is committed after its bundle stands on the stage with its record; a decision is said to be taken after it
    stands in every record.
    """
    problems: list[str] = []
    for replica in world.config.publish.replicas:
        if replica.days is None:  # else what the policy does not keep is removed before that is noted
            problems += _lost_copies(world, open_store(replica.url), replica.url)
    for row in queries.listing(world.registry, latest_only=False):
        where = Places.of(world.layout, row)
        if row["status"] in ("staging", "held"):
            found = bundle.problem(where.stage, row["sha256"])
            problems += [f"a row without its bundle: {found}"] if found is not None else []
        key = (row["data_id"], row["version"], row["sha256"])
        owed = {one.reason for one in world.ledger.owed.values() if (one.data_id, one.version, one.sha256) == key}
        for place in where.standing():
            try:
                record = read_record(place)
            except RegistryError as error:
                problems.append(str(error))
                continue
            if record.get("sha256") != row["sha256"]:
                problems.append(f"{place} has no record, from which its row could be made again")
            written = {one.reason for one in decisions_in(record, place)}
            problems += [f"{place} lost the decision '{reason}'" for reason in sorted(owed - written)]
    return problems


def _lost_copies(world: World, store: Store, url: str) -> Iterator[str]:
    """Give the copies that the registry has noted, and that a replica does not have."""
    copy = replica_copies.c
    with world.registry.read() as connection:
        noted = connection.execute(select(copy.data_id, copy.version).where(copy.url == url)).all()
    for data_id, version in noted:
        if commits.commit_of(store, commits.place_of(world.layout, data_id, version)) is None:
            yield f"{data_id} version {version} was copied into {url}, and is not there"


def replicated(world: World, besides: Collection[tuple[str, int]] = ()) -> list[str]:
    """Return what is wrong with replicas that were brought up to date: each can take the archive's place."""
    problems = []
    for replica in world.config.publish.replicas:
        for row in queries.published(world.registry):
            if (row["data_id"], row["version"]) not in besides:
                place = Path(replica.url) / commits.row_place(world.layout, row)
                problem = bundle.problem(place, row["sha256"])
                problems += [f"the copy is no bundle: {problem}"] if problem is not None else []
    return problems


def settled(world: World, left: list[Any], *, idle: bool = True) -> list[str]:
    """Return what is wrong when nothing works any more and all has been reconciled.

    Parameters
    ----------
    world : World
    left : list of Difference
        What the last reconciling left to a person; the products it names are not judged.
    idle : bool
        False where a process is stopped in the middle of its work.
    """
    odd = {(one.data_id, one.version) for one in left if one.needs_person}
    problems = at_any_time(world, odd) + sure(world)
    rows = queries.listing(world.registry, latest_only=False)
    known = {(row["data_id"], row["version"]) for row in rows}
    for path, data_id, version, _ in find_bundles(world.layout):
        if (data_id, version) not in known | odd:
            problems.append(f"{path} has no row")
    for row in rows:
        if (row["data_id"], row["version"]) not in odd:
            name = f"{row['data_id']} version {row['version']}"
            problems += [f"{name}: {text}" for text in _row_and_disk(world, row)]
            problems += [f"{name}: {text}" for text in _decisions(world, row)]
    current = queries.published(world.registry)
    if len({row["data_id"] for row in current}) != len(current):
        problems.append(f"two current versions: {[(row['data_id'], row['version']) for row in current]}")
    if not odd:
        problems += _left_behind(world) if idle else ()
        problems += _markers(world, {row["data_id"] for row in rows})
    return problems


def _row_and_disk(world: World, row: Any) -> Iterator[str]:
    where = Places.of(world.layout, row)
    sight, hidden = is_folder(where.sight), is_folder(where.hidden)
    if (row["status"] == "published") != sight:
        yield f"the row says {row['status']}, and a bundle {'is' if sight else 'is not'} in sight"
    if hidden and row["status"] not in ("withdrawn", "rejected", "superseded"):
        yield f"the row says {row['status']}, and a bundle is withdrawn"
    if row["status"] == "publishing":
        yield "a claim is left"
    if row["status"] != "published":
        return
    if row["published_path"] != str(where.sight):
        yield f"the row names {row['published_path']}"
    found = verify_row(world.registry, row, note=False)["problems"]
    yield from found
    verdict = world.ledger.verdicts.get((row["data_id"], row["sha256"]))
    if row["qa_status"] != verdict:
        yield f"its verdict was {verdict}, and the row says {row['qa_status']}"
    if verdict != "passed" and not _approved(world, row["data_id"], row["version"], row["sha256"]):
        yield "it did not pass, and nobody approved that version and manifest"


def _decisions(world: World, row: Any) -> Iterator[str]:
    """Give what is wrong with the decisions about a version: each that was taken survives, and the last one holds."""
    with world.registry.read() as connection:
        known = recorded(connection, row)
    reasons = [one.reason for one in known]
    owed = [
        one
        for one in world.ledger.owed.values()
        if (one.data_id, one.version, one.sha256) == (row["data_id"], row["version"], row["sha256"])
    ]
    yield from (f"the registry lost the decision {one}" for one in owed if one.reason not in reasons)
    for place in Places.of(world.layout, row).standing():
        written = {one.reason for one in decisions_in(read_record(place), place)}
        yield from (f"{place} lost the decision '{reason}'" for reason in reasons if reason not in written)
    cited = [one.reason for one in known if one.decision == "cited"]
    if cited and row["doi"] != cited[-1]:
        yield f"it was cited as {cited[-1]}, and the row says {row['doi']}"
    placing = last_placing(known)
    last = None if placing is None else placing.decision
    if last in ("withdrawn", "rejected") and row["status"] != last:
        yield f"it was {last}, and came back as {row['status']}"


def _left_behind(world: World) -> Iterator[str]:
    """Give what dead processes left in the archive and among staged bundles; beside a marker the next run tidies up."""
    products, stage = world.config.paths.products, world.config.paths.stage
    for top, pattern in ((products, "**/.*.part-*"), (products, ".incoming/*"), (stage, "registered/*/*/.*.part-*")):
        found = sorted(path for path in top.glob(pattern) if MARKER not in path.name)
        yield from (f"left behind: {path}" for path in found)


def _markers(world: World, data_ids: set[str]) -> Iterator[str]:
    for data_id in sorted(data_ids):
        marker: Path = world.layout.twin("published", data_id)
        if marker.exists() and json.loads(marker.read_bytes()) != markers.published(
            markers.newest(world.registry, data_id)
        ):
            yield f"{marker} does not say what the row says"
