"""The differences that reconciling finds, and the scope (archive, registry, one product or all) that it compares."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, func, select, update

from contimg.errors import BusyError, ContimgError
from contimg.naming import Layout
from contimg.products.gates import Options
from contimg.publishing import claims
from contimg.registry import queries
from contimg.registry.engine import Registry
from contimg.registry.refusals import RegistryStalled, RegistryUnavailable
from contimg.registry.schema import data_registry, publish_events
from contimg.storage.process import one_line

if TYPE_CHECKING:
    from contimg.config.sections import ReplicaOptions

Row = Mapping[str, Any]
MAX_SHARE = 0.1  # of the published mosaics: more are not taken out of sight without a person
ALWAYS_REPAIRED = 3  # so many are, however small the archive


@dataclass(frozen=True)
class Difference:
    """A difference between the disk and the registry.

    Attributes
    ----------
    code : str
        ``claim_left``, ``incoming_left``, ``part_left``, ``not_recorded``, ``missing``, ``altered``,
        ``stage_altered``, ``row_lost``, ``not_judged``, ``decision_lost``, ``decision_differs``, ``record_lost``,
        ``record_unreadable``, ``not_hidden``, ``not_in_sight``, ``unapproved``, ``row_differs``, ``in_two_places``,
        ``marker_differs``, ``foreign``, ``stray``, ``verdict_differs``, ``record_differs``, ``unreadable``,
        ``lineage_lost``.
    data_id, version
        What it is about.
    path : str
        Where.
    message : str
        What was found, and what was (or would be) done.
    repaired : bool
        False on a dry run, and when only a person can repair it.
    needs_person : bool
        True when only a person can repair it.
    """

    code: str
    data_id: str
    version: int
    path: str
    message: str
    repaired: bool = False
    needs_person: bool = False


@dataclass(frozen=True)
class Scope:
    """What is compared: a registry with an archive, one product or all, and whether anything is changed.

    Attributes
    ----------
    registry : Registry
    layout : Layout
    data_id : str or None
        The only product that is looked at; None for all.
    dry_run : bool
        List the differences and change nothing.
    judged_by : mapping of str to Section, optional
        The sections of the configuration that hold the thresholds by which a lost bundle on the stage is judged when
        it is made again; without them its products keep the verdicts of the day on which they were made.
    max_share : float
        Largest share of the published mosaics that `bounded` repairs.
    replicas : sequence of ReplicaOptions
        Where whole copies may stand of bundles that the archive lost.
    every_byte : bool
        Read also what was found right before and seems unchanged.
    aside : set of (str, int)
        Ids and versions that could not be looked at, so that later steps leave them alone.
    """

    registry: Registry
    layout: Layout
    data_id: str | None
    dry_run: bool
    judged_by: Options | None = None
    max_share: float = MAX_SHARE
    replicas: Sequence[ReplicaOptions] = ()
    every_byte: bool = True
    aside: set[tuple[str, int]] = field(default_factory=set)
    _read: list[list[Row]] = field(default_factory=list)
    _begun: set[tuple[str, int]] = field(default_factory=set)  # versions of which a repair was begun

    def rows(self, *statuses: str, anew: bool = False) -> list[Row]:
        """Return the rows of the scope in some states, or in all, the oldest version first.

        Those of one product are read once, and again after each repair; `anew`: now, as others change them too.
        """
        if self.data_id is None:
            return queries.with_last_events(self.registry, None, statuses)
        if anew or not self._read:
            self._read[:] = [queries.with_last_events(self.registry, self.data_id)]
        (rows,) = self._read
        return [row for row in rows if not statuses or row["status"] in statuses]

    def settled_rows(self, *statuses: str) -> list[Row]:
        """Return the rows that no living publisher is working on."""
        return [row for row in self.rows(*statuses) if not self.is_aside(row) and not self.is_worked_on(row)]

    def is_aside(self, row: Row) -> bool:
        """Return whether a version could not be looked at by an earlier step."""
        return (row["data_id"], row["version"]) in self.aside

    def is_worked_on(self, row: Row) -> bool:
        """Tell whether a living publisher holds a product."""
        return row["status"] == "publishing" and not claims.is_abandoned(self.registry, row)

    def each(self, rows: Iterable[Row], look: Callable[[Row], Iterator[Difference]]) -> Iterator[Difference]:
        """Look at one row after the other; what cannot be read concerns that row alone, and the others are looked at.

        Where one product is asked for, its error is raised: whoever asked cannot go on without it.
        """
        for row in rows:
            if not self.is_aside(row):
                name = f"{one_line(str(row['data_id']))} version {row['version']}"
                place = row["published_path"] or row["stage_path"]
                found = functools.partial(self._unless_changed, row, look)
                yield from self.attempt(about("unreadable", row, place, name), found)

    def _unless_changed(self, row: Row, look: Callable[[Row], Iterator[Difference]]) -> Iterator[Difference]:
        """Give what a look finds, unless others have changed the row: then it is no finding, and no error either.

        A bundle that somebody withdraws meanwhile is not where its row said that it stands. A repair that found nothing
        to do is none in any case.
        """
        key = (row["data_id"], row["version"])
        self._begun.discard(key)

        def by_others() -> bool:
            if key in self._begun:  # a repair of ours may have changed it, and then failed
                return False
            with self.registry.read() as connection:
                return not is_as_read(connection, row)

        try:
            for one in look(row):
                if one.repaired or ((one.needs_person or self.dry_run) and not by_others()):
                    yield one
        except (RegistryUnavailable, RegistryStalled, BusyError):
            raise
        except (ContimgError, OSError):
            if not by_others():
                raise

    def attempt(self, what: Difference, look: Callable[[], Iterator[Difference]]) -> Iterator[Difference]:
        """Give the differences that a look finds, or the one that it could not look.

        Parameters
        ----------
        what : Difference
            What is looked at, with its name as the message.
        look : callable
        """
        try:
            yield from look()
        except (ContimgError, OSError) as error:
            self._set_aside(what, error)
            message = f"{what.message} could not be looked at: {sentence(error)}"
            yield replace(what, message=message, needs_person=True)

    def repair(self, difference: Difference, action: Callable[[], object]) -> Difference:
        """Run a repair unless this is a dry run; it returns False when the state has changed since it was read.

        One that fails concerns what it repairs alone, as in `each`.
        """
        if self.dry_run:
            return difference
        self._read.clear()
        key = (difference.data_id, difference.version)
        self._begun.add(key)
        try:
            repaired = action() is not False
            if not repaired:
                self._begun.discard(key)
            return replace(difference, repaired=repaired)
        except (ContimgError, OSError) as error:
            self._set_aside(difference, error)
            message = f"{difference.message}; that failed ({sentence(error)}): correct it, then 'contimg reconcile'"
            return replace(difference, message=message, needs_person=True)

    def _set_aside(self, what: Difference, error: Exception) -> None:
        """Leave alone what an error concerns; raise the error where it concerns all, or the only one asked for."""
        if self.data_id is not None or isinstance(error, RegistryUnavailable | RegistryStalled | BusyError):
            raise error
        self.aside.add((what.data_id, what.version))

    def bounded(self, repairs: Iterable[tuple[Difference, Callable[[], object]]]) -> Iterator[Difference]:
        """Run repairs that take mosaics out of sight, or only report them where they are too many.

        A disk that is lost, or a registry that is not the archive's, shows as many differences at once: to
        repair them would make it worse.
        """
        found = list(repairs)
        if len(found) > ALWAYS_REPAIRED:
            published = queries.count_current(self.registry)
            if len(found) > self.max_share * published:
                why = (
                    f"; nothing was changed, as {len(found)} of {published} published mosaics would leave the sight "
                    f"(more than publish.max_repair_share): look at the archive's disk, then 'contimg reconcile "
                    "--repair-all'"
                )
                yield from (replace(one, message=one.message + why, needs_person=True) for one, _ in found)
                return
        for difference, action in found:
            done = self.repair(difference, action)
            if done.repaired or done.needs_person or self.dry_run:  # else others have changed it since
                yield done

    def change(
        self,
        row: Row,
        values: Mapping[str, Any],
        event: str,
        message: str,
        meanwhile: Callable[[Connection], None] | None = None,
    ) -> bool:
        """Update a row if it is still as it was read, and record an event; return whether it was updated.

        Parameters
        ----------
        row : mapping
            The row as it was read.
        values : mapping
            The columns to set.
        event, message : str
            The event to record.
        meanwhile : callable, optional
            Called within the transaction, after the update.
        """
        with self.registry.transaction(lock=row["data_id"]) as connection:
            statement = update(data_registry).where(*_as_read(row))
            changed = bool(connection.execute(statement.values(**values)).rowcount == 1)
            if changed:
                if meanwhile is not None:
                    meanwhile(connection)
                queries.add_event(connection, row["data_id"], row["version"], event, message)
        return changed


def _as_read(row: Row) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions that nothing has happened to a version since its row was read.

    Its columns alone do not tell: withdrawn and restored meanwhile, they are as before.
    """
    column, event = data_registry.c, publish_events.c
    about_it = (event.data_id == row["data_id"], event.version == row["version"])
    last_event = select(func.max(event.event_id)).where(*about_it).scalar_subquery()
    return (
        last_event.is_not_distinct_from(row["last_event"]),
        column.data_id == row["data_id"],
        column.version == row["version"],
        column.status == row["status"],
        column.sha256 == row["sha256"],
        column.published_at.is_not_distinct_from(row["published_at"]),
    )


def is_as_read(connection: Connection, row: Row) -> bool:
    """Return whether nothing has happened to a version since its row was read."""
    query = select(data_registry.c.version).where(*_as_read(row))
    return connection.execute(query).first() is not None


def sentence(error: Exception) -> str:
    """Return what an error says; of one of the operating system what it refused, and the file."""
    if not isinstance(error, OSError):
        return str(error)
    where = f" ({error.filename})" if isinstance(error.filename, str) else ""  # not the number of a descriptor
    return f"{error.strerror or error}{where}"


def about(code: str, row: Row, path: object, message: str, *, needs_person: bool = False) -> Difference:
    """Return a difference that concerns a row."""
    return Difference(code, row["data_id"], row["version"], str(path), message, needs_person=needs_person)
