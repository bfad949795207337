"""How a decision of a person is taken: written into the bundle's own record, then committed in the registry.

When the process dies in between, `reconcile` does the rest.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, update

from contimg import naming
from contimg.bundle.record import Decision, is_time, unknown_to
from contimg.errors import RegistryError
from contimg.publishing import archive_root
from contimg.publishing.checkpoints import checkpoint
from contimg.publishing.commands import MANIFEST_DIGITS
from contimg.publishing.places import Places
from contimg.publishing.recording import publication, recorded
from contimg.registry import queries
from contimg.registry.engine import Registry
from contimg.registry.refusals import RegistryUncertain, refused
from contimg.registry.schema import data_registry
from contimg.replicas import copy_rows
from contimg.storage.process import me, one_line
from contimg.storage.reasons import deciding_operator, require_reason
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


@dataclass(frozen=True)
class Rule:
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
    recorded : callable
        Returns what else of the record it changes.
    option : str
        The option of the subcommand that every decision of this kind has.
    """

    command: str
    decision: str
    allowed: tuple[str, ...]
    hint: str
    values: Callable[[Decision], dict[str, Any]]
    before: Callable[[Places], None] = lambda _where: None
    recorded: Callable[[Decision], dict[str, Any]] = lambda _made: {}
    option: str = "--reason"


def chosen(connection: Connection, named: Named, rule: Rule) -> Row:
    """Return the row that a person means; raise when the name leaves it open, or the manifest is another one."""
    data_id = named.data_id
    row = queries.require(connection, data_id, named.version)
    if named.version is None and row["version"] > 1:
        known = queries.states(connection, data_id)
        if len(known) > 1:
            listed = ", ".join(f"{version} ({status})" for version, status in known)
            digits = row["sha256"][:MANIFEST_DIGITS]
            raise RegistryError(
                f"{data_id} has versions {listed}: say which, for the latest 'contimg publish {rule.command} {data_id} "
                f"--version {row['version']} --manifest {digits} {rule.option} ...'"
            )
    if named.manifest is not None and re.fullmatch(r"[0-9a-fA-F]{1,64}", named.manifest) is None:
        raise RegistryError(
            f"{data_id}: --manifest '{one_line(named.manifest)[:64]}' is no beginning of a SHA-256: give the digits "
            f"that 'contimg report {data_id}' shows, or leave it out"
        )
    if named.manifest is not None and not row["sha256"].startswith(named.manifest.lower()):
        raise RegistryError(
            f"{data_id} version {row['version']} has the manifest {row['sha256'][:MANIFEST_DIGITS]}, not "
            f"{named.manifest}: it is another making than you looked at, so look at 'contimg report {data_id}' again"
        )
    return row


def decide(
    registry: Registry,
    layout: naming.Layout,
    mosaic: Named | str,
    reason: str,
    rule: Rule,
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
    rule : Rule
    check : callable, optional
        Raises where something else of the row speaks against it.

    Raises
    ------
    InputError
        If the reason is blank, too long or not in one line, or the name of the person too long.
    RegistryError
        If the row, the record or the place of the bundle speak against it.
    """
    named = mosaic if isinstance(mosaic, Named) else Named(mosaic)
    require_reason(named.data_id, reason)
    by = deciding_operator(named.data_id)
    archive_root.require(registry, layout)
    if not layout.stage.is_dir():  # the marker says there what was decided
        raise RegistryError(
            f"{layout.stage} (paths.stage) does not exist: mount it, or make it if it was lost, then type the same "
            "command again"
        )
    written: list[tuple[Row, Decision]] = []
    with _let_errors_say(written), registry.transaction(lock=named.data_id) as connection:
        row = chosen(connection, named, rule)
        if row["status"] not in rule.allowed:
            raise RegistryError(f"{named.data_id} version {row['version']} is {row['status']}: {rule.hint}")
        check(row)
        known, where = recorded(connection, row), Places.of(layout, row)
        if unknown_to(known, where.decisions()):
            raise RegistryError(
                f"the record of {named.data_id} version {row['version']} holds decisions that the registry does not "
                f"know: 'contimg reconcile {named.data_id}' first"
            )
        where.require_no_link()
        rule.before(where)
        made = Decision(_time(connection, row, known), rule.decision, reason, by, me().host)
        # Before the record: a database that refuses (a role or a server that may only read) lets nobody decide.
        set_columns(connection, row, rule.values(made))
        queries.add_event(connection, row["data_id"], row["version"], rule.decision, reason, _stamp(made))
        after = queries.require(connection, row["data_id"], row["version"])
        _require_kept(after, rule.values(made))
        try:
            where.record(publication(row), [*known, made], changed=rule.recorded(made))
        except OSError as error:
            raise _unrecorded(row, made, where, error) from error
        written.append((row, made))
        checkpoint("decision:recorded")
    return after


@contextlib.contextmanager
def _let_errors_say(written: list[tuple[Row, Decision]]) -> Iterator[None]:
    """Let an error of the database say that a decision stands in the bundle's record, which makes it hold."""
    try:
        yield
    except RegistryError as error:
        if not written:
            raise
        ((row, made),) = written
        known = "perhaps not yet" if isinstance(error, RegistryUncertain) else "not yet"
        raise type(error)(
            f"{row['data_id']} version {row['version']} is {made.decision} in its record, and {known} in the registry "
            f"({refused(error)}): correct that, then 'contimg reconcile {row['data_id']}' does the rest"
        ) from error


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


def _time(connection: Connection, row: Row, known: list[Decision]) -> str:
    """Return the present time, or one later than all decisions and copies before: clocks of two hosts may differ.

    A decision that seems older than a copy would not be written into the copy's record.

    Raises
    ------
    RegistryError
        If that is no time of these two centuries: no reader would accept the record.
    """
    time, name = now(), f"{row['data_id']} version {row['version']}"
    if not is_time(time):
        raise RegistryError(f"{row['data_id']}: the clock says {time}: set it, then type the same command again")
    copied = copy_rows.last_copied(connection, row)
    if copied is not None and not is_time(copied):
        raise RegistryError(f"the registry says that a copy of {name} was begun at {copied}: restore it from a backup")
    last = max([*(one.time for one in known), copied or ""])
    if time > last:
        return time
    time = utc_from_datetime(datetime.fromisoformat(last) + timedelta(milliseconds=1)) + "Z"
    if not is_time(time):
        raise RegistryError(
            f"{name} was decided about, or copied, at {last} as the registry says, and nothing can be recorded after "
            "that: restore the registry and the bundle's publication.json from a backup"
        )
    return time


def _stamp(made: Decision) -> queries.Stamp:
    return queries.Stamp(made.time, made.by, made.host)


def set_columns(connection: Connection, row: Row, values: Mapping[str, Any]) -> None:
    """Set columns of a version's row; raise `RegistryError` where the database leaves them as they were."""
    done = connection.execute(
        update(data_registry)
        .where(data_registry.c.data_id == row["data_id"], data_registry.c.version == row["version"])
        .values(**values)
    )
    if done.rowcount != 1:
        raise queries.not_kept(row["data_id"], row["version"], "the state")


def _require_kept(row: Row, values: Mapping[str, Any]) -> None:
    """Raise `RegistryError` where a row, read after it was changed, says otherwise: somebody's trigger alters it."""
    altered = [name for name, value in values.items() if row[name] != value]
    if altered:
        raise queries.not_kept(row["data_id"], row["version"], ", ".join(altered))
