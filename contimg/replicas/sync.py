"""Bringing replicas up to date: missing copies are made, records follow decisions, old ones go by policy."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from contimg.bundle import bundle
from contimg.bundle.record import decisions_in, read_record
from contimg.errors import ContimgError, RegistryError
from contimg.naming import ARCHIVE_MARKER, Layout
from contimg.registry.engine import Registry
from contimg.registry.identity import ensured_identity, identity
from contimg.replicas import commits, copies, copy_rows, unknown
from contimg.replicas.stores import ReplicaError, Store, open_store, read_all
from contimg.storage.pace import Pace
from contimg.storage.process import me, operator
from contimg.times import now

if TYPE_CHECKING:
    from contimg.config.sections import ReplicaOptions

MARKER = ".contimg-replica.json"
ADOPT = "contimg replicas adopt"


@dataclass(frozen=True)
class Done:
    """What was done, or found, about one copy.

    Attributes
    ----------
    replica : str
        Its URL.
    data_id, version
        The bundle.
    what : str
        ``copied``, ``found`` (there already, and not known), ``recorded`` (the bundle's own record), ``repaired``,
        ``removed``, ``whole`` or ``problem``.
    message : str
        One sentence; empty where all is well.
    """

    replica: str
    data_id: str
    version: int
    what: str
    message: str = ""


def adopt(registry: Registry, replica: ReplicaOptions) -> None:
    """Make a replica that of this registry.

    A folder that is not mounted, or a bucket of somebody else, would be filled otherwise. Of one that gets its marker
    now no copies are known: it may be an empty disk in the place of a lost one. `sync` finds those that stand there.

    Raises
    ------
    RegistryError
        If it is the replica of another registry, or cannot be written.
    """
    store, mine = open_store(replica.url), ensured_identity(registry).uuid
    _refuse_archive(store)
    content = {"registry": mine, "written": {"time": now(), "by": operator(), "host": me().host}}
    try:
        store.put_new(MARKER, bundle.json_bytes(content))
    except FileExistsError:
        _require(store, mine)
    except FileNotFoundError:
        raise ReplicaError(f"replica {store.where} does not exist: make it, or mount it") from None
    else:
        copy_rows.forget_all(registry, replica.url)


def opened(registry: Registry, replica: ReplicaOptions) -> Store:
    """Return the store of a replica of this registry.

    Raises
    ------
    RegistryError
        If it is not there, or that of another registry.
    """
    store, mine = open_store(replica.url), identity(registry)
    _require(store, "" if mine is None else mine.uuid)
    _refuse_archive(store)
    return store


def _refuse_archive(store: Store) -> None:
    """Raise where a replica is an archive, as by another mount: its bundles would be taken for copies, and removed."""
    try:
        read_all(store, ARCHIVE_MARKER)
    except FileNotFoundError:
        return
    raise ReplicaError(
        f"replica {store.where} is an archive ({ARCHIVE_MARKER} stands there): name another place in "
        "publish.replicas, or remove that file if it is one no more"
    )


def _require(store: Store, mine: str) -> None:
    try:
        found = json.loads(read_all(store, MARKER))["registry"]
    except FileNotFoundError:
        raise ReplicaError(
            f"replica {store.where} has no {MARKER}: mount it; if it is a new one, type {ADOPT}"
        ) from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ReplicaError(f"replica {store.where}: {MARKER} is damaged: remove it, then type {ADOPT}") from None
    if found != mine:
        raise ReplicaError(
            f"replica {store.where} is that of another registry ({found}): correct publish.replicas; if that "
            f"registry was lost for good, remove {MARKER} there, then type {ADOPT}"
        )


def replicate(registry: Registry, layout: Layout, replicas: list[ReplicaOptions], data_id: str) -> list[Done]:
    """Copy the published versions of a mosaic into every replica that lacks them; what fails is only reported."""
    found: list[Done] = []
    for replica in replicas:
        try:
            store = opened(registry, replica)
            for row in copy_rows.missing(registry, replica.url, replica.keep, data_id):
                found.append(_attempt(replica, row, functools.partial(_copy, registry, layout, store, replica, row)))
        except ContimgError as error:
            found.append(Done(replica.url, data_id, 0, "problem", str(error)))
    return found


def sync(registry: Registry, layout: Layout, replica: ReplicaOptions) -> Iterator[Done]:
    """Bring one replica up to date, and give what was done to each copy.

    Raises
    ------
    RegistryError
        If the replica is not there, or not any more: then each further copy would be waited for in vain.
    """
    store, mine = opened(registry, replica), identity(registry)
    look = functools.cache(functools.partial(unknown.look, registry, layout, store, replica.url))
    steps: tuple[tuple[Callable[[], list[Mapping[str, Any]]], Callable[..., Done]], ...] = (
        (lambda: copy_rows.damaged(registry, replica.url), _repair),
        (lambda: copy_rows.missing(registry, replica.url, replica.keep), _copy),
        (lambda: look().rows, _find),
        (lambda: copy_rows.decided_since(registry, replica.url), _record),
        (lambda: copy_rows.outlived(registry, replica.url, replica.keep, replica.days), _remove),
    )
    for rows, action in steps:
        for row in rows():
            done = _attempt(replica, row, functools.partial(action, registry, layout, store, replica, row))
            yield done
            if done.what == "problem":
                _require(store, "" if mine is None else mine.uuid)
    yield from _nobodys(layout, store, replica, look())


def _nobodys(layout: Layout, store: Store, replica: ReplicaOptions, found: unknown.Unknown) -> Iterator[Done]:
    """Give the copies of versions that the registry does not know."""
    for place in found.places:
        yield Done(replica.url, PurePosixPath(place).name, 0, "problem", unknown.message(layout, store, place))


def _unnoted(registry: Registry, layout: Layout, store: Store, replica: ReplicaOptions) -> Iterator[Done]:
    """Give the copies that the registry did not know of, apart from those that are to be copied and have been said."""
    found = unknown.look(registry, layout, store, replica.url)
    wanted = {(row["data_id"], row["version"]) for row in copy_rows.missing(registry, replica.url, replica.keep)}
    for row in found.rows:
        if (row["data_id"], row["version"]) not in wanted:
            message = (
                f"replica {replica.url} has a copy of {commits.row_place(layout, row)} that the registry did not know "
                "of: contimg replicas sync notes it"
            )
            yield Done(replica.url, row["data_id"], row["version"], "problem", message)
    yield from _nobodys(layout, store, replica, found)


def _attempt(replica: ReplicaOptions, row: Mapping[str, Any], action: Callable[[], Done]) -> Done:
    try:
        return action()
    except (ContimgError, OSError) as error:
        return Done(replica.url, row["data_id"], row["version"], "problem", _sentence(error))


def _sentence(error: Exception) -> str:
    """Return what an error says; of one of the disk with the file."""
    return f"{error.strerror or error} ({error.filename})" if isinstance(error, OSError) else str(error)


def _copy(registry: Registry, layout: Layout, store: Store, replica: ReplicaOptions, row: Mapping[str, Any]) -> Done:
    place, begun = commits.row_place(layout, row), _begun(Path(row["published_path"]))
    was_there = commits.commit_of(store, place) is not None
    commit = copies.put_copy(
        store, Path(row["published_path"]), place, row["sha256"], lambda _count: None, row["tags_sha256"]
    )
    if was_there:  # the registry had lost it: its record may be older than the last decision
        copies.put_record(store, Path(row["published_path"]), place, row["sha256"])
    copy_rows.note_copied(registry, replica.url, row, commit.write_id, begun, read=not was_there)
    return Done(replica.url, row["data_id"], row["version"], "copied")


def _repair(registry: Registry, layout: Layout, store: Store, replica: ReplicaOptions, row: Mapping[str, Any]) -> Done:
    place = commits.row_place(layout, row)
    if commits.commit_of(store, place) is None:
        if row["status"] == "published":
            return _copy(registry, layout, store, replica, row)
        copy_rows.forget(registry, replica.url, row)
        return Done(replica.url, row["data_id"], row["version"], "removed", "it is gone, and not published any more")
    folder = _source(row, store, place)
    names = copies.repair_copy(store, folder, place, row["sha256"], row["tags_sha256"])
    copy_rows.note_verified(registry, replica.url, row, None)
    message = f"written again: {', '.join(names)}" if names else "it is whole again"
    return Done(replica.url, row["data_id"], row["version"], "repaired", message)


def _source(row: Mapping[str, Any], store: Store, place: str) -> Path:
    """Return the folder of the bundle that a copy follows: in the archive (also hidden), or else on the stage."""
    places = [Path(path) for path in (row["published_path"], row["stage_path"]) if path]
    found = next((one for one in places if one.is_dir()), None)
    if found is None:
        raise RegistryError(
            f"{places[0]} is gone, and no copy of it is on the stage: bring it back from a backup, or from "
            f"{store.where}/{place} where that is whole, then type contimg replicas sync"
        )
    return found


def _find(registry: Registry, layout: Layout, store: Store, replica: ReplicaOptions, row: Mapping[str, Any]) -> Done:
    """Note a copy that stands there, and is not known, of what is not to be copied any more: a later decision follows.

    Without that its record would go on saying that it is published.
    """
    place = commits.row_place(layout, row)
    folder = _source(row, store, place)
    begun = _begun(folder)
    copies.put_record(store, folder, place, row["sha256"])
    commit = commits.commit_of(store, place)
    if commit is None:
        raise ReplicaError(f"replica {store.where} has no copy of {place} any more: type contimg replicas sync")
    copy_rows.note_copied(registry, replica.url, row, commit.write_id, begun, read=False)
    return Done(replica.url, row["data_id"], row["version"], "found")


def _begun(folder: Path) -> str:
    """Return the time from which on decisions are not in a copy that is begun now: those of a clock set ahead are."""
    return max([now(), *(one.time for one in decisions_in(read_record(folder), folder))])


def _record(registry: Registry, layout: Layout, store: Store, replica: ReplicaOptions, row: Mapping[str, Any]) -> Done:
    place = commits.row_place(layout, row)
    folder = _source(row, store, place)
    begun = _begun(folder)
    copies.put_record(store, folder, place, row["sha256"])
    copy_rows.note_recorded(registry, replica.url, row, begun)
    return Done(replica.url, row["data_id"], row["version"], "recorded")


def _remove(registry: Registry, layout: Layout, store: Store, replica: ReplicaOptions, row: Mapping[str, Any]) -> Done:
    place = commits.row_place(layout, row)
    if commits.commit_of(store, place) is not None:  # else it was removed, or the process died at it
        commits.require_own(store, place, row["sha256"])
    _require_another(store, place, row)
    copies.remove_copy(store, place)
    copy_rows.forget(registry, replica.url, row)
    return Done(replica.url, row["data_id"], row["version"], "removed")


def _require_another(store: Store, place: str, row: Mapping[str, Any]) -> None:
    """Raise unless archive or stage has a whole copy of a bundle: that of a replica may be the only one."""
    problems = []
    for folder in (Path(path) for path in (row["published_path"], row["stage_path"]) if path):
        problem, strays = bundle.problem_and_strays(folder, row["sha256"], row["tags_sha256"])
        if problem is None or strays:
            return
        problems.append(problem)
    raise RegistryError(
        f"replica {store.where} keeps its copy of {place}, though its days are over, as it may be the only whole one "
        f"({problems[0]}): copy the folder {place} of the replica there, then type contimg replicas sync"
    )


def verify(
    registry: Registry,
    layout: Layout,
    replica: ReplicaOptions,
    *,
    unread_since: str | None = None,
    data_id: str | None = None,
    pace: Pace | None = None,
    note: bool = True,
) -> Iterator[Done]:
    """Read copies again, the longest unread first, and note what is wrong; also those that should be there.

    A copy that cannot be read is a problem of that copy, and the others are read.

    Parameters
    ----------
    registry : Registry
    layout : Layout
    replica : ReplicaOptions
    unread_since : str, optional
        Only those that were not read since this time (UTC).
    data_id : str, optional
        Of one mosaic only.
    pace : Pace, optional
        How fast, and until when.
    note : bool
        False: nothing is written, for somebody who may only read the registry.

    Raises
    ------
    RegistryError
        If the replica is not there.
    """
    store, pace = opened(registry, replica), Pace() if pace is None else pace
    for row in copy_rows.missing(registry, replica.url, replica.keep, data_id):
        message = (
            f"replica {replica.url} has no copy of {commits.row_place(layout, row)}: contimg replicas sync makes it"
        )
        yield Done(replica.url, row["data_id"], row["version"], "problem", message)
    if data_id is None:
        yield from _unnoted(registry, layout, store, replica)
    for row in copy_rows.longest_unread(registry, replica.url, unread_since, data_id):
        if pace.is_over:
            return
        problem = _problem(registry, layout, store, row, pace)
        if note:
            store.tidy(commits.row_place(layout, row))
            copy_rows.note_verified(registry, replica.url, row, problem)
        what = "whole" if problem is None else "problem"
        yield Done(replica.url, row["data_id"], row["version"], what, problem or "")


def _problem(registry: Registry, layout: Layout, store: Store, row: Mapping[str, Any], pace: Pace) -> str | None:
    """Return what is wrong with one copy; None where it is whole.

    Raises
    ------
    ReplicaError
        If the replica itself is gone.
    """
    try:
        place, archived = commits.row_place(layout, row), Path(row["published_path"] or row["stage_path"])
        found = copies.problems_of(
            store, place, row["sha256"], pace.spend, archived, row["tags_sha256"], row["copied_at"]
        )
    except (ContimgError, OSError) as error:
        mine = identity(registry)
        _require(store, "" if mine is None else mine.uuid)  # a replica that is there: then it is this copy's fault
        return _sentence(error)
    return found[0] if found else None
