"""The identity of a registry: a UUID of its own, and on a server the place where its database stands.

The UUID goes with a backup or a copy; the place does not. Together they tell a registry that was lost and made again
in its place from a second one, and a restored backup from a copy that somebody works with elsewhere.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, text, update

from contimg.registry.engine import Registry
from contimg.registry.schema import registry_identity
from contimg.times import now

_SELECT = select(registry_identity)


@dataclass(frozen=True)
class Identity:
    """The identity of a registry.

    Attributes
    ----------
    uuid : str
    archive_since : str or None
        When it took possession of its archive (UTC); None before.
    archive_root : str or None
        Where that archive stands: machine and folder; None where that was not recorded yet.
    archive_inode : str or None
        The inode number of that folder, which is the one that every host of a cluster sees; None where it is not known,
        or differs from host to host.
    """

    uuid: str
    archive_since: str | None
    archive_root: str | None = None
    archive_inode: str | None = None


def identity(registry: Registry) -> Identity | None:
    """Return the identity of a registry; None before it has one (its tables were made by hand, or emptied)."""
    with registry.read() as connection:
        return _read(connection)


def _read(connection: Connection) -> Identity | None:
    row = connection.execute(_SELECT).first()
    return None if row is None else Identity(row.uuid, row.archive_since, row.archive_root, row.archive_inode)


def ensured_identity(registry: Registry) -> Identity:
    """Return the identity of a registry, which gets one, without an archive, if it has none."""
    with registry.transaction(lock="identity") as connection:
        found = _read(connection)
        if found is None:
            found = Identity(str(uuid.uuid4()), None)
            connection.execute(insert(registry_identity), {"uuid": found.uuid})
    return found


def take_archive(
    registry: Registry,
    root: str,
    inode: str | None,
    known: str | None = None,
    since: str | None = None,
    *,
    first: bool = False,
) -> Identity:
    """Record that the registry has an archive from now on, and where; return its identity.

    Parameters
    ----------
    registry : Registry
    root : str
        Machine and folder of the archive.
    inode : str or None
        The inode number of that folder, where it is the same for every host.
    known : str, optional
        The UUID to take: that of the lost registry whose place this one has taken.
    since : str, optional
        When the archive got its marker; now by default.
    first : bool
        Leave it as it is where the registry has an archive already: another process was quicker.
    """
    place = {"archive_root": root, "archive_inode": inode}
    with registry.transaction(lock="identity") as connection:
        before = _read(connection)
        if before is None or (known is not None and before.uuid != known):
            connection.execute(delete(registry_identity))
            values = {"uuid": known or str(uuid.uuid4()), "archive_since": since or now(), **place}
            connection.execute(insert(registry_identity), values)
        elif not (first and before.archive_since is not None):
            values = {"archive_since": before.archive_since or since or now(), **place}
            connection.execute(update(registry_identity).values(values))
        after = _read(connection)
    assert after is not None, "it has just been written"
    return after


def server_place(registry: Registry) -> str:
    """Return where a PostgreSQL registry stands: the cluster's system identifier, the database and the schema.

    The schema is that of its tables: one that was made later may stand before it in the search path.
    """
    if registry.server_place is not None:
        return registry.server_place
    query = text(
        "SELECT system_identifier, current_database(), nspname FROM pg_control_system(), pg_namespace, pg_class "
        "WHERE pg_class.oid = 'data_registry'::regclass AND pg_namespace.oid = relnamespace"
    )
    with registry.read() as connection:
        cluster, database, schema = connection.execute(query).one()
    registry.server_place = f"postgresql {cluster}/{database}/{schema}"
    return registry.server_place
