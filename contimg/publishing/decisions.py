"""Decisions of persons about a mosaic: approve, reject, withdraw, restore, retry; each with who, when and why.

A decision is written into the bundle's own record first, then into the registry, then carried out. When the process
dies in between, `reconcile` does the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, update

from contimg import naming
from contimg.bundle import bundle
from contimg.bundle.record import Decision
from contimg.errors import RegistryError
from contimg.publishing import archive_root, claims, copying, markers, places
from contimg.publishing.carrying_out import finish_restoration, finish_withdrawal
from contimg.publishing.checkpoints import checkpoint
from contimg.publishing.commands import MANIFEST_DIGITS
from contimg.publishing.places import Places
from contimg.publishing.recording import is_earned, publication, recorded, unknown_to
from contimg.registry import queries
from contimg.registry.engine import Registry
from contimg.registry.schema import data_registry
from contimg.storage.process import me, one_line, operator
from contimg.times import now, utc_from_datetime

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Named:
    """The mosaic that a person names.

    Attributes
    ----------
    data_id : str
    version : int, optional
        Needed when there are several, as the person may have looked at another one.
    manifest : str, optional
        The first digits that the manifest's SHA-256 must have.
    """

    data_id: str
    version: int | None = None
    manifest: str | None = None


def _chosen(connection: Connection, named: Named, command: str) -> Row:
    """Return the row that a person means; raise when the name leaves it open, or the manifest is another one."""
    data_id = named.data_id
    row = queries.require(connection, data_id, named.version)
    if named.version is None and row["version"] > 1:
        known = queries.states(connection, data_id)
        if len(known) > 1:
            listed = ", ".join(f"{version} ({status})" for version, status in known)
            digits = row["sha256"][:MANIFEST_DIGITS]
            raise RegistryError(
                f"{data_id} has versions {listed}: say which, for the latest 'contimg publish {command} {data_id} "
                f"--version {row['version']} --manifest {digits} --reason ...'"
            )
    if named.manifest is not None and not row["sha256"].startswith(named.manifest.lower()):
        raise RegistryError(
            f"{data_id} version {row['version']} has the manifest {row['sha256'][:MANIFEST_DIGITS]}, not "
            f"{named.manifest}: it is another making than you looked at, so look at 'contimg report {data_id}' again"
        )
    return row


@dataclass(frozen=True)
class _Rule:
    """How a kind of decision is taken.

    Attributes
    ----------
    command, decision : str
        The subcommand of ``contimg publish``, and the word in the record.
    allowed : tuple of str
        The states of a row in which it may be taken.
    hint : str
        The end of the message in any other state.
    values : callable
        Returns the columns that it sets.
    before : callable
        Raises where the bundle cannot be moved as the decision asks.
    """

    command: str
    decision: str
    allowed: tuple[str, ...]
    hint: str
    values: Callable[[Decision], dict[str, Any]]
    before: Callable[[Places], None] = lambda _where: None


def _approval(made: Decision) -> dict[str, Any]:
    return {
        "status": "staging", "attempts": 0, "error": None,
        "approved_by": made.by, "approved_at": made.time, "approved_reason": made.reason,
    }  # fmt: skip


def _closing(status: str) -> Callable[[Decision], dict[str, Any]]:
    return lambda made: {
        "status": status, "closed_at": made.time, "closed_by": made.by, "closed_reason": made.reason,
    }  # fmt: skip


_APPROVE = _Rule("approve", "approved", ("held",), "only what is held needs an approval", _approval)
_REJECT = _Rule(
    "reject", "rejected", ("held", "staging"), "only what is held or in staging can be rejected", _closing("rejected")
)
_WITHDRAW = _Rule(
    "withdraw", "withdrawn", ("published",), "only what is published can be withdrawn", _closing("withdrawn"),
    Places.require_movable,
)  # fmt: skip
_RESTORE = _Rule(
    "restore", "restored", ("withdrawn",), "only what is withdrawn can be restored", lambda _made: {"status": "staging"}
)


def _decide(
    registry: Registry,
    layout: naming.Layout,
    mosaic: Named | str,
    reason: str,
    rule: _Rule,
    check: Callable[[Row], None] = lambda _row: None,
) -> Row:
    """Record a decision in every copy of the bundle and in the registry; return the row after it.

    Parameters
    ----------
    registry : Registry
    layout : Layout
    mosaic : Named or str
        The mosaic, or its id alone.
    reason : str
        Why; it must not be blank.
    rule : _Rule
    check : callable, optional
        Raises where something else of the row speaks against it.
    """
    named = mosaic if isinstance(mosaic, Named) else Named(mosaic)
    if not reason.strip():
        raise RegistryError(f"{named.data_id}: no reason given: say why with --reason '...'")
    _require_one_line(named.data_id, reason)
    archive_root.require(registry, layout)
    with registry.transaction(lock=named.data_id) as connection:
        row = _chosen(connection, named, rule.command)
        if row["status"] not in rule.allowed:
            raise RegistryError(f"{named.data_id} version {row['version']} is {row['status']}: {rule.hint}")
        check(row)
        known, where = recorded(connection, row), Places.of(layout, row)
        if unknown_to(known, where.decisions()):
            raise RegistryError(
                f"the record of {named.data_id} version {row['version']} holds decisions that the registry does not "
                f"know: 'contimg reconcile {named.data_id}' first"
            )
        rule.before(where)
        made = Decision(_later(known), rule.decision, reason, operator(), me().host)
        try:
            where.record(publication(row), [*known, made])
        except OSError as error:
            raise _unrecorded(row, made, where, error) from error
        checkpoint("decision:recorded")
        _set(connection, row, rule.values(made))
        queries.add_event(connection, row["data_id"], row["version"], rule.decision, reason, _stamp(made))
    return queries.get(registry, row["data_id"], row["version"])


def _unrecorded(row: Row, made: Decision, where: Places, error: OSError) -> RegistryError:
    """Return the error that a decision could not be written into every record; one that has it makes it hold."""
    name = f"{row['data_id']} version {row['version']}"
    said = f"({error.strerror}): make room, or give yourself write access, at {error.filename or where.layout.products}"
    if made in where.decisions():
        return RegistryError(
            f"{name} is {made.decision} in one of its records, and the others could not be written {said}, then "
            f"'contimg reconcile {row['data_id']}' does the rest"
        )
    return RegistryError(
        f"{name} was not {made.decision}: its record could not be written {said}, then type the same command again"
    )


def _require_one_line(data_id: str, reason: str) -> None:
    """Raise where a reason holds a line break or another control character, with which it could forge a line."""
    if one_line(reason) != reason:
        raise RegistryError(
            f"{data_id}: the reason holds a line break or control character ({one_line(reason)}): write it in one line"
        )


def _later(known: list[Decision]) -> str:
    """Return the present time, or one later than all decisions before: clocks of two hosts may differ."""
    time, last = now(), max((one.time for one in known), default="")
    if time > last:
        return time
    return utc_from_datetime(datetime.fromisoformat(last) + timedelta(milliseconds=1)) + "Z"


def _stamp(made: Decision) -> queries.Stamp:
    return queries.Stamp(made.time, made.by, made.host)


def _set(connection: Connection, row: Row, values: Mapping[str, Any]) -> None:
    connection.execute(
        update(data_registry)
        .where(data_registry.c.data_id == row["data_id"], data_registry.c.version == row["version"])
        .values(**values)
    )


def approve(registry: Registry, layout: naming.Layout, mosaic: Named | str, reason: str) -> Row:
    """Approve a held product, so that it may be published although it did not pass; the caller then publishes it.

    Raises
    ------
    RegistryError
        If it is not held, is another making than the person named, has no image, or no reason is given.
    """

    def has_image(row: Row) -> None:
        if not (bundle.payload(Path(row["stage_path"])) / f"{row['data_id']}.fits").is_file():
            raise RegistryError(f"{row['data_id']} has no image (see {row['stage_path']}): there is nothing to publish")

    return _decide(registry, layout, mosaic, reason, _APPROVE, has_image)


def reject(registry: Registry, layout: naming.Layout, mosaic: Named | str, reason: str) -> Row:
    """Reject a product that is held or in staging, for good: only a new version can be published.

    Raises
    ------
    RegistryError
        If it is in another state, is another making than the person named, or no reason is given.
    """
    row = _decide(registry, layout, mosaic, reason, _REJECT)
    _fence(registry, layout, row["data_id"])
    places.hide(Places.of(layout, row))  # a copy that a publisher renamed before it died
    markers.write_published(registry, layout, row["data_id"])
    return row


def _fence(registry: Registry, layout: naming.Layout, data_id: str) -> None:
    """Remove what a publisher without a claim has copied: it may be stopped just before giving it the final name."""
    copying.fence_all(layout, data_id, claims.tokens(registry, data_id))


def retry(
    registry: Registry, data_id: str, version: int | None = None, *, reason: str = "asked for by an operator"
) -> Row:
    """Set the number of failed attempts of a product in staging to 0; the caller then publishes it.

    Raises
    ------
    UnknownIdError
        If it is not registered.
    RegistryError
        If it is neither in staging nor being published.
    """
    _require_one_line(data_id, reason)
    with registry.transaction(lock=data_id) as connection:
        row = queries.latest(connection, data_id, version)
        if row is not None and row["status"] in ("staging", "publishing"):
            _set(connection, row, {"attempts": 0})
            queries.add_event(connection, data_id, row["version"], "retry", reason)
    row = queries.get(registry, data_id, version)
    if row["status"] not in ("staging", "publishing"):
        raise RegistryError(
            f"{data_id} version {row['version']} is {row['status']}: only what is in staging can be retried"
        )
    return row


def withdraw(registry: Registry, layout: naming.Layout, mosaic: Named | str, reason: str) -> Row:
    """Withdraw a published product: its bundle moves to ``<products>/.withdrawn``, nothing is deleted.

    The decision is recorded first; `reconcile` moves the bundle if this process dies in between.

    Raises
    ------
    RegistryError
        If it is not published, is another making than the person named, or no reason is given.
    """
    row = _decide(registry, layout, mosaic, reason, _WITHDRAW)
    checkpoint("withdraw:recorded")
    finish_withdrawal(registry, layout, row)
    checkpoint("withdraw:hidden")
    return _marked(registry, layout, row)


def restore(registry: Registry, layout: naming.Layout, mosaic: Named | str, reason: str) -> Row:
    """Move a withdrawn product back to its published place, after comparing every file with the manifest.

    Raises
    ------
    RegistryError
        If it is not withdrawn, or its bundle is not whole.
    """
    whole: list[tuple[str, int, str]] = []

    def key(row: Row) -> tuple[str, int, str]:
        return row["data_id"], row["version"], row["sha256"]

    def is_whole(row: Row) -> None:
        if not is_earned(row):
            raise RegistryError(
                f"{row['data_id']} version {row['version']} did not pass and was never approved: make a new one"
            )
        if key(row) not in whole:
            problem = bundle.problem(Places.of(layout, row).hidden, row["sha256"])
            if problem is not None:
                raise RegistryError(f"{row['data_id']} cannot be restored: {problem}: restore that from a backup first")

    # Read before the transaction, which would hold up others meanwhile.
    with registry.read() as connection:
        chosen = _chosen(connection, mosaic if isinstance(mosaic, Named) else Named(mosaic), _RESTORE.command)
    if chosen["status"] == "withdrawn" and reason.strip():
        is_whole(chosen)
        whole.append(key(chosen))
    row = _decide(registry, layout, mosaic, reason, _RESTORE, is_whole)
    checkpoint("restore:recorded")
    finish_restoration(registry, layout, row)
    return _marked(registry, layout, row)


def _marked(registry: Registry, layout: naming.Layout, row: Row) -> Row:
    """Write the marker of a product, and return the row as it is now."""
    markers.write_published(registry, layout, row["data_id"])
    return queries.get(registry, row["data_id"], row["version"])
