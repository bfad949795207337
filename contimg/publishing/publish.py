"""Publishing: a registered mosaic's bundle into the archive, exactly once, whatever crashes on the way.

Each step is safe to die after:

1. check the paths: source inside the stage, target inside the archive, no symlink on the way;
2. claim the row;
3. copy to ``<products>/.incoming/<data_id>.<token>/`` (to ``.incoming`` in the date's folder where that is on
   another disk), fsync, read back and compare;
4. rename to the final name, never over an existing one;
5. set ``published`` and write the event, in one transaction;
6. write the marker.

`contimg.publishing.reconcile` finishes or undoes what a dead publisher left.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contimg import naming
from contimg.bundle import bundle
from contimg.bundle.record import Decision, read_record, said, unknown_to, with_decisions
from contimg.errors import BusyError, RegistryError
from contimg.publishing import archive_root, claims, copying, markers, places
from contimg.publishing.checkpoints import checkpoint
from contimg.publishing.differences import sentence
from contimg.publishing.finalize import finalize
from contimg.publishing.places import Places
from contimg.publishing.recording import (
    contradiction,
    edited,
    first_published,
    publication,
    recorded,
    unearned,
)
from contimg.registry import queries
from contimg.registry.engine import Registry
from contimg.registry.refusals import RegistryUnavailable
from contimg.storage import moving, safe_files, trees
from contimg.times import now

# Faults of a machine that may pass by themselves; a full disk or a refused permission does not.
_TRANSIENT = frozenset(
    {errno.EIO, errno.EAGAIN, errno.EINTR, errno.EBUSY, errno.ESTALE, errno.ETIMEDOUT, errno.ENETDOWN,
     errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ECONNRESET, errno.EREMOTEIO}
)  # fmt: skip


_POLL_S = 0.25  # between looks at what another publisher has come to


class PublishFailed(RegistryError):
    """An attempt to publish failed; the product is in staging again and the attempt can be repeated.

    ``transient`` is True for faults that may pass by themselves, such as an unreachable file server.
    """

    transient = False


@dataclass(frozen=True)
class Outcome:
    """How a call of `publish` ended.

    ``status`` is ``published``, ``held``, ``rejected``, ``superseded`` or ``withdrawn``; ``created`` tells whether
    this very call published it.
    """

    data_id: str
    version: int
    status: str
    path: Path
    created: bool
    message: str


def publish(
    registry: Registry,
    layout: naming.Layout,
    data_id: str,
    version: int | None = None,
    *,
    claim_s: float,
    max_attempts: int,
    wait_s: float = 0.0,
    read_only: bool = True,
) -> Outcome:
    """Publish a registered product, unless it is held or closed; a second call changes nothing.

    Parameters
    ----------
    registry : Registry
    layout : Layout
    data_id : str
    version : int, optional
        The latest when not given.
    claim_s : float
        The claim expires after this unless renewed [s].
    max_attempts : int
        After so many failed attempts the product waits for a person. Faults that may pass by themselves do not count.
    wait_s : float
        How long to wait for another process that is publishing it: that it succeeds is a success of this call too [s].
    read_only : bool
        Files of the published bundle get no permission to be written to.

    Raises
    ------
    UnknownIdError
        If it is not registered.
    BusyError
        If another process is publishing it, and has not ended after `wait_s`.
    PublishFailed
        If the machine failed or the target is taken; the row is back in staging with the error.
    WrongArchive
        If ``paths.products`` is not the archive of this registry.
    """
    deadline_s = time.monotonic() + wait_s
    while True:
        try:
            return _publish_now(registry, layout, data_id, version, _Terms(claim_s, max_attempts, read_only))
        except BusyError:
            if time.monotonic() >= deadline_s:
                raise
            time.sleep(min(_POLL_S, wait_s))


@dataclass(frozen=True)
class _Terms:
    """Arguments of `publish`."""

    claim_s: float
    max_attempts: int
    read_only: bool


def _publish_now(
    registry: Registry, layout: naming.Layout, data_id: str, version: int | None, terms: _Terms
) -> Outcome:
    row = queries.get(registry, data_id, version)
    version = row["version"]
    if row["status"] == "staging" and row["finalization_status"] == "pending":
        finalize(registry, layout, data_id, version)
        row = queries.get(registry, data_id, version)
    created = False
    if row["status"] in ("staging", "publishing"):
        archive_root.require(registry, layout, make=True)
        if row["attempts"] >= terms.max_attempts:
            raise RegistryError(
                f"{data_id} failed to be published {row['attempts']} times (the last time: {row['error']}): repair "
                f"that, then 'contimg publish retry {data_id}'"
            )
        claim = claims.take(registry, data_id, version, terms.claim_s)
        if claim is not None:
            try:
                checkpoint("publish:claimed")
                created = _publish_claimed(registry, layout, row, claim, read_only=terms.read_only)
            finally:
                claims.forget(claim)
        row = queries.get(registry, data_id, version)
    return _conclude(registry, layout, row, created)


def _conclude(registry: Registry, layout: naming.Layout, row: Mapping[str, Any], created: bool) -> Outcome:
    data_id = row["data_id"]
    newest = markers.newest(registry, data_id)
    content = markers.published(newest)
    if content is not None:
        with machine_faults(f"{data_id} is {newest['status']}, but its marker could not be written"):
            markers.write(layout, "published", content)
        checkpoint("publish:marked")
    about = markers.published(row)
    message = f"{data_id} version {row['version']} is {row['status']}" if about is None else about["message"]
    path = Path(row["published_path"] or row["stage_path"])
    return Outcome(data_id, row["version"], row["status"], path, created, message)


@contextlib.contextmanager
def machine_faults(what: str) -> Iterator[None]:
    """Raise `PublishFailed` with one sentence for an OSError of the block; `what` says what was not done.

    The OSError stays the cause of the exception, so that the log has its traceback.
    """
    try:
        yield
    except OSError as error:
        failure = PublishFailed(f"{what}: {sentence(error)}: repair that and rerun the same command")
        failure.transient = error.errno in _TRANSIENT
        raise failure from error


def _publish_claimed(
    registry: Registry, layout: naming.Layout, row: Mapping[str, Any], claim: claims.Claim, *, read_only: bool
) -> bool:
    """Publish a claimed product; False when another publisher took over meanwhile and has published it."""
    data_id = row["data_id"]
    try:
        with safe_files.permissions(layout.archive_mode):
            final = _transfer(registry, layout, row, claim, read_only=read_only)
        checkpoint("publish:recording")
        claims.record_published(registry, claim, str(final), first_published(row, final))
        checkpoint("publish:recorded")
        return True
    except claims.ClaimLost:
        _leave_to_winner(registry, row)
        return False
    except (OSError, RegistryError) as error:
        what = sentence(error)
        transient = error.errno in _TRANSIENT if isinstance(error, OSError) else isinstance(error, RegistryUnavailable)
        mine = True
        with contextlib.suppress(RegistryError):  # the database may be what failed: the claim is then left to expire
            mine = claims.record_failure(registry, claim, what, counts=not transient)
        if not mine:
            _leave_to_winner(registry, row)
            return False
        failure = PublishFailed(
            f"{data_id} was not published: {what}: repair that, then 'contimg publish retry {data_id}'"
        )
        failure.transient = transient
        raise failure from error


def _leave_to_winner(registry: Registry, row: Mapping[str, Any]) -> None:
    """Raise `ClaimLost` after another publisher took over, unless that one has published the product already."""
    after = queries.get(registry, row["data_id"], row["version"])
    if after["status"] != "published":
        raise claims.ClaimLost(f"{row['data_id']} was taken over by another publisher: rerun to see what it made")


def _transfer(
    registry: Registry, layout: naming.Layout, row: Mapping[str, Any], claim: claims.Claim, *, read_only: bool
) -> Path:
    """Copy the bundle into the archive and give it its final name (steps 1, 3 and 4); return its path."""
    data_id, version = row["data_id"], row["version"]
    decisions = _decisions(registry, row, Places.of(layout, row))
    stage_path = Path(row["stage_path"])
    final = layout.bundle(data_id, version)
    target = safe_files.relative_to_root(final, layout.products, "paths.products")
    safe_files.relative_to_root(stage_path, layout.stage, "paths.stage")
    Places.of(layout, row).require_no_link_on_stage()  # the marker's folder too: it is written when all is done
    checkpoint("publish:checked")
    name = copying.incoming_name(data_id, claim.token)
    with (
        safe_files.open_folder(layout.products, target.parent, create=True) as parent,
        moving.open_beside(layout.products, target.parent, copying.INCOMING) as incoming,
    ):
        copying.fence(incoming, data_id, claims.tokens(registry, data_id))
        # What is withdrawn cannot be claimed: a bundle that is still hidden was restored, and not moved back yet.
        if safe_files.exists(parent, target.name) or places.bring_back(Places.of(layout, row)):
            _accept_existing(registry, layout, row, decisions)
            return final
        try:
            first = {"published_at": row["published_at"] or now()}
            record = with_decisions(publication(row) | first, decisions)
            alive = functools.partial(claims.renew, registry, claim)
            job = copying.CopyJob(layout, stage_path, row["sha256"], record, alive, read_only)
            copying.copy_bundle(job, incoming, name)
            _check_row(row, stage_path)
            claims.renew(registry, claim, at_once=True)
            checkpoint("publish:renaming")
            try:
                safe_files.rename_new(incoming, name, parent, target.name)
            except FileExistsError:
                _accept_existing(registry, layout, row, decisions)
                return final
            safe_files.sync_way(layout.products, target.parent)
            safe_files.fsync(incoming)
            checkpoint("publish:renamed")
        finally:
            with contextlib.suppress(OSError):  # what cannot be removed now, reconcile removes
                trees.remove_tree(incoming, name)
    return final


def _decisions(registry: Registry, row: Mapping[str, Any], where: Places) -> list[Decision]:
    """Return the decisions about a version; raise `RegistryError` where they, or its verdict, forbid to publish it.

    Those of its bundle's record count too, as the registry may be a restored backup.
    """
    with registry.read() as connection:
        found = recorded(connection, row)
    unknown = unknown_to(found, where.decisions_at(where.stage)) if places.is_folder(where.stage) else []
    why = f"its record says that {said(unknown)}" if unknown else unearned(row, found)
    if why is not None:
        raise RegistryError(f"{why}: type 'contimg reconcile {row['data_id']}', which says what is to be done")
    return found


def _check_row(row: Mapping[str, Any], staged: Path) -> None:
    """Raise `RegistryError` where the row says otherwise than its bundle, whose bytes have been verified."""
    with safe_files.open_folder(staged) as folder:
        if row["tags_sha256"] not in (None, bundle.tag_digest(folder)):
            raise RegistryError(f"{staged}: its tag files are not those that were registered: type contimg reconcile")
    problem = contradiction(row, staged)
    if problem is not None:
        raise RegistryError(
            f"{problem}: restore the registry from a backup, or move it away and type contimg reconcile"
        )


def _accept_existing(
    registry: Registry, layout: naming.Layout, row: Mapping[str, Any], decisions: list[Decision]
) -> None:
    """Make sure of the bundle under the final name, or raise `RegistryError`.

    It must have the registered manifest and be whole. Its record may have been lost since it was moved there.
    """
    where = Places.of(layout, row)
    problem = bundle.archived_problem(where.sight, row["sha256"], row["tags_sha256"])
    if problem is not None:
        raise RegistryError(
            f"{where.sight} exists with other content ({problem}) and is never overwritten: move it "
            "out of the archive if it does not belong there"
        )
    _settle_record(registry, row, where, decisions)
    places.settle(layout, where.sight)


def _settle_record(registry: Registry, row: Mapping[str, Any], where: Places, decisions: list[Decision]) -> None:
    """Let the record of a bundle in sight say what the registry is about to; raise where it says that more was decided.

    Nobody can decide meanwhile: a record that is written from decisions of before would lose a person's.
    """
    with registry.transaction(lock=row["data_id"]) as connection:
        if recorded(connection, row) != decisions or unknown_to(decisions, where.decisions_at(where.sight)):
            raise RegistryError(
                f"{where.sight} was decided about meanwhile, or its record says so: type contimg reconcile "
                f"{row['data_id']}"
            )
        first = {"published_at": first_published(row, where.sight) or now()}
        if edited(read_record(where.sight), {**row, **first}, decisions, archived=True):
            where.record_anew(where.sight, publication(row) | first, decisions)
