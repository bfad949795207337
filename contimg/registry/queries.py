"""Reading the registry, and recording events.

The statements of what is asked at each step are made once: SQLAlchemy takes longer to make one than to run it.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, exists, func, insert, select
from sqlalchemy.engine import MappingResult

from contimg.errors import RegistryError, UnknownIdError
from contimg.registry import schema
from contimg.registry.engine import Registry
from contimg.registry.schema import data_registry, publish_events
from contimg.storage.process import me, operator
from contimg.times import now

Row = Mapping[str, Any]


def _rows(result: MappingResult) -> list[Row]:
    return [dict(row) for row in result]


def latest(connection: Connection, data_id: str, version: int | None = None) -> Row | None:
    """Return a product's row, the latest version's unless one is named; None when there is none."""
    asked = {"asked_id": data_id} if version is None else {"asked_id": data_id, "asked_version": version}
    row = connection.execute(_select_latest(named=version is not None), asked).mappings().first()
    return None if row is None else dict(row)


@functools.cache
def _select_latest(*, named: bool) -> Select[Any]:
    column = data_registry.c
    query = select(data_registry).where(column.data_id == bindparam("asked_id"))
    if named:
        query = query.where(column.version == bindparam("asked_version"))
    return query.order_by(column.version.desc()).limit(1)


def get(registry: Registry, data_id: str, version: int | None = None) -> Row:
    """Return a product's row, the latest version's unless one is named; see `require`."""
    with registry.read() as connection:
        return require(connection, data_id, version)


def require(connection: Connection, data_id: str, version: int | None = None) -> Row:
    """Return a product's row, the latest version's unless one is named.

    Raises
    ------
    UnknownIdError
        If it is not registered.
    """
    row = latest(connection, data_id, version)
    if row is None:
        which = data_id if version is None else f"{data_id} version {version}"
        raise UnknownIdError(f"{which} is not in the registry: 'contimg registry list' shows what is")
    return row


def versions(registry: Registry, data_id: str) -> list[Row]:
    """Return all versions of a product, the oldest first."""
    with registry.read() as connection:
        return _rows(connection.execute(_select_versions(), {"asked_id": data_id}).mappings())


@functools.cache
def _select_versions() -> Select[Any]:
    column = data_registry.c
    return select(data_registry).where(column.data_id == bindparam("asked_id")).order_by(column.version)


def waiting(registry: Registry, data_id: str) -> list[int]:
    """Return the versions of a product that are to be published, the oldest first.

    One before the latest is among them after its published bundle was lost or altered.
    """
    return [row["version"] for row in versions(registry, data_id) if row["status"] in ("staging", "publishing")]


def listing(
    registry: Registry,
    *,
    statuses: Sequence[str] = (),
    latest_only: bool = True,
    with_metadata: bool = True,
    limit: int | None = None,
) -> list[Row]:
    """Return products in order of id and version.

    Parameters
    ----------
    registry : Registry
    statuses : sequence of str
        Only these; all when empty.
    latest_only : bool
        Leave out versions that have a later one.
    with_metadata : bool
        False leaves out the column ``metadata_json``, which is most of a large registry.
    limit : int, optional
        No more than this, the last ones by id.
    """
    query = _select_listing(tuple(statuses), latest_only=latest_only, with_metadata=with_metadata)
    with registry.read() as connection:
        return _rows(connection.execute(query if limit is None else query.limit(limit)).mappings())[::-1]


@functools.cache
def _select_listing(statuses: tuple[str, ...], *, latest_only: bool, with_metadata: bool) -> Select[Any]:
    table = data_registry
    query = select(*(column for column in table.c if with_metadata or column.name != "metadata_json"))
    if statuses:
        query = query.where(table.c.status.in_(statuses))
    if latest_only:
        later = table.alias("later")
        query = query.where(~exists().where(later.c.data_id == table.c.data_id, later.c.version > table.c.version))
    return query.order_by(table.c.data_id.desc(), table.c.version.desc())


def with_last_events(registry: Registry, data_id: str | None, statuses: Sequence[str] = ()) -> list[Row]:
    """Return rows in order of id and version, each with the number of the last event about it.

    The number tells whether anything happened to a version since its row was read: both are of one moment.

    Parameters
    ----------
    registry : Registry
    data_id : str or None
        Only this product; all where None.
    statuses : sequence of str
        Only these; all when empty.

    Returns
    -------
    list of mapping
        The columns of the registry, and ``last_event``, which is None where nothing was recorded.
    """
    asked = {} if data_id is None else {"asked_id": data_id}
    with registry.read() as connection:
        query = _select_with_last_events(tuple(statuses), one=data_id is not None)
        return _rows(connection.execute(query, asked).mappings())


@functools.cache
def _select_with_last_events(statuses: tuple[str, ...], *, one: bool) -> Select[Any]:
    column, event = data_registry.c, publish_events.c
    last = select(event.data_id, event.version, func.max(event.event_id).label("last_event"))
    if one:
        last = last.where(event.data_id == bindparam("asked_id"))
    last_of = last.group_by(event.data_id, event.version).subquery()
    same = (last_of.c.data_id == column.data_id) & (last_of.c.version == column.version)
    query = select(*column, last_of.c.last_event).select_from(data_registry.outerjoin(last_of, same))
    if one:
        query = query.where(column.data_id == bindparam("asked_id"))
    if statuses:
        query = query.where(column.status.in_(statuses))
    return query.order_by(column.data_id, column.version)


def published(registry: Registry, month: str | None = None) -> list[Row]:
    """Return what the archive's tables need of current published rows, all or of a month ``YYYY-MM``, in order.

    Of several published versions of a product the latest is current; the others stay where they are.
    """
    asked = {}
    if month is not None:
        first = f"mosaic_{month.replace('-', '')}"
        asked = {"asked_first": f"{first}01T000000", "asked_last": f"{first}31T235959"}
    with registry.read() as connection:
        rows = connection.execute(_select_published(of_a_month=month is not None), asked).mappings()
        return [row for row in _rows(rows) if row["status"] == "published"]


@functools.cache
def _select_published(*, of_a_month: bool) -> Select[Any]:
    table = data_registry
    names = (
        "status", "data_id", "version", "sha256", "published_path", "published_at", "approved_by", "approved_reason",
        "doi",
    )  # fmt: skip
    query = select(*(table.c[name] for name in names)).where(_is_current())
    if of_a_month:  # by id alone: with the state named as well, SQLite would take the index of that and read every row
        query = query.where(table.c.data_id.between(bindparam("asked_first"), bindparam("asked_last")))
    else:
        query = query.where(table.c.status == "published")
    return query.order_by(table.c.data_id, table.c.version)


def _is_current() -> ColumnElement[bool]:
    """Return the condition that a row is the current version of its product: the latest that is published."""
    later = data_registry.alias("later")
    beside = (later.c.data_id == data_registry.c.data_id, later.c.version > data_registry.c.version)
    return ~exists().where(*beside, later.c.status == "published")


def current_version(registry: Registry, data_id: str) -> int | None:
    """Return the current version of a product, the latest that is published; None when none is."""
    with registry.read() as connection:
        published_ones = [version for version, status in states(connection, data_id) if status == "published"]
    return max(published_ones, default=None)


def count_current(registry: Registry) -> int:
    """Return how many products have a published version."""
    query = select(func.count(data_registry.c.data_id.distinct())).where(data_registry.c.status == "published")
    with registry.read() as connection:
        return int(connection.execute(query).scalar_one())


def has_rows(registry: Registry, statuses: Sequence[str] = ()) -> bool:
    """Return whether there is a row, of some states or at all, without counting them."""
    with registry.read() as connection:
        return connection.execute(_select_any(tuple(statuses))).first() is not None


@functools.cache
def _select_any(statuses: tuple[str, ...]) -> Select[tuple[int]]:
    query = select(data_registry.c.version).limit(1)
    return query.where(data_registry.c.status.in_(statuses)) if statuses else query


def count(registry: Registry, statuses: Sequence[str] = ()) -> int:
    """Return how many rows there are, of some states or of all."""
    query = select(func.count()).select_from(data_registry)
    if statuses:
        query = query.where(data_registry.c.status.in_(statuses))
    with registry.read() as connection:
        return connection.execute(query).scalar_one()


def count_published_since(registry: Registry, since: str) -> int:
    """Return how many products were published at a time (UTC) or later."""
    table = data_registry
    query = select(func.count()).select_from(table).where(table.c.status == "published", table.c.published_at >= since)
    with registry.read() as connection:
        return int(connection.execute(query).scalar_one())


def closed_ids(registry: Registry) -> set[str]:
    """Return the ids of products with a published, rejected or withdrawn version, and none staged, claimed or held."""
    with registry.read() as connection:
        closed = _ids(connection, ("published", "rejected", "withdrawn"))
        return closed.difference(_ids(connection, ("staging", "publishing", "held")))


def _ids(connection: Connection, statuses: Sequence[str]) -> set[str]:
    """Return the ids of products with a version in one of some states; as one text, since rows take longer to fetch."""
    join = func.string_agg if connection.dialect.name == "postgresql" else func.group_concat
    column = data_registry.c
    text = connection.execute(select(join(column.data_id, ",")).where(column.status.in_(statuses))).scalar_one()
    return set((text or "").split(",")) - {""}


def stuck(registry: Registry, max_attempts: int) -> dict[str, str]:
    """Return the products in staging that failed to be published too often, with the last error, by id."""
    column = data_registry.c
    query = select(column.data_id, column.error).where(column.status == "staging", column.attempts >= max_attempts)
    with registry.read() as connection:
        return {data_id: error or "no error recorded" for data_id, error in connection.execute(query)}


def events(registry: Registry, data_id: str) -> list[Row]:
    """Return what happened to a product, the oldest first."""
    query = select(publish_events).where(publish_events.c.data_id == data_id).order_by(publish_events.c.event_id)
    with registry.read() as connection:
        return _rows(connection.execute(query).mappings())


def states(connection: Connection, data_id: str) -> list[tuple[int, str]]:
    """Return the versions of a product and their states, the oldest first."""
    return [(version, status) for version, status in connection.execute(_select_states(), {"asked_id": data_id})]


@functools.cache
def _select_states() -> Select[tuple[int, str]]:
    column = data_registry.c
    return select(column.version, column.status).where(column.data_id == bindparam("asked_id")).order_by(column.version)


@dataclass(frozen=True)
class Stamp:
    """When [UTC], by whom and on which host something was done."""

    time: str
    actor: str
    host: str


def add_event(
    connection: Connection,
    data_id: str,
    version: int,
    event: str,
    message: str,
    stamp: Stamp | None = None,
) -> None:
    """Record who did what to a product, within the transaction that does it; `stamp` is now and here by default."""
    process = me()
    stamp = Stamp(now(), operator(), process.host) if stamp is None else stamp
    done = connection.execute(
        insert(publish_events),
        {
            "data_id": data_id,
            "version": version,
            "event": event,
            "time": stamp.time,
            "actor": stamp.actor,
            "host": stamp.host,
            "pid": process.pid,
            "message": message,
        },
        execution_options={"preserve_rowcount": True},
    )
    if done.rowcount != 1:
        raise not_kept(data_id, version, "the history")


def not_kept(data_id: str, version: int, what: str) -> RegistryError:
    """Return the error that a statement of a version succeeded, and the database did not keep what it wrote."""
    return RegistryError(
        f"the registry did not keep {what} of {data_id} version {version}, and nothing was recorded: remove the "
        "trigger, rule or policy that somebody added to its tables, then type the same command again"
    )


def lineage_counts(connection: Connection, data_id: str, version: int) -> dict[str, int]:
    """Return how many subband files, MSs, calibrations and images a version was made from, by table."""
    start = select(schema.mosaic_groups.c.sha256).where(
        schema.mosaic_groups.c.data_id == data_id, schema.mosaic_groups.c.version == version
    )
    below = select(start.subquery().c.sha256.label("sha256")).cte("below", recursive=True)
    below = below.union(select(schema.lineage.c.input_sha256).where(schema.lineage.c.product_sha256 == below.c.sha256))
    counts = {}
    for table in ("subband_files", "ms_index", "caltables", "images"):
        column = schema.metadata.tables[table].c.sha256
        counts[table] = len(connection.execute(select(column).where(column.in_(select(below.c.sha256)))).all())
    return counts
