"""The version of the registry's tables, and the steps that upgrade older ones."""

from __future__ import annotations

import re
from collections.abc import Callable

from sqlalchemy import Connection, func, insert, inspect, select, text

from contimg import __version__
from contimg.errors import RegistryError
from contimg.registry import schema
from contimg.registry.relative_paths import roots_of
from contimg.times import now


def _index_states_with_ids(connection: Connection) -> None:
    connection.execute(text("DROP INDEX IF EXISTS ix_data_registry_status"))
    connection.execute(text("CREATE INDEX data_registry_by_status ON data_registry (status, data_id)"))


def _know_archive_and_verifications(connection: Connection) -> None:
    columns = "uuid VARCHAR PRIMARY KEY, archive_since VARCHAR"
    connection.execute(text(f"CREATE TABLE IF NOT EXISTS registry_identity ({columns})"))
    if "verified_at" not in {one["name"] for one in inspect(connection).get_columns("data_registry")}:
        connection.execute(text("ALTER TABLE data_registry ADD COLUMN verified_at VARCHAR"))


def _index_verifications(connection: Connection) -> None:
    connection.execute(
        text(
            "CREATE INDEX IF NOT EXISTS data_registry_by_verified ON data_registry (verified_at) "
            "WHERE status = 'published'"
        )
    )


# The end of a bundle's path, which is the same below any root.
_BUNDLE = re.compile(r"(?:^|/)((?:\.withdrawn/)?mosaics/[^/]+/[^/]+|registered/[^/]+/[^/]+/[^/]+)$")


def _without_root(path: str | None) -> str | None:
    found = None if path is None else _BUNDLE.search(path)
    return path if found is None else found[1]


def _store_relative_paths(connection: Connection) -> None:
    """Make absolute paths relative to the roots; those of bundles by their form, as the roots may have moved since."""
    rows = connection.execute(text("SELECT data_id, version, stage_path, published_path FROM data_registry")).all()
    change = "UPDATE data_registry SET stage_path = :s, published_path = :p WHERE data_id = :i AND version = :v"
    values = [{"i": i, "v": v, "s": _without_root(stage), "p": _without_root(final)} for i, v, stage, final in rows]
    if values:
        connection.execute(text(change), values)
    roots = roots_of(connection.engine)
    if roots is None:  # a backup, or a registry of tests: what its files are named after is not known
        return
    stage, incoming = f"{roots.stage}/", f"{roots.incoming}/"
    for table, root in {"subband_files": incoming, "ms_index": stage, "caltables": stage, "images": stage}.items():
        change = f"UPDATE {table} SET path = substr(path, :n + 1) WHERE substr(path, 1, :n) = :root"
        connection.execute(text(change), {"n": len(root), "root": root})


def _know_dois(connection: Connection) -> None:
    if "doi" not in {one["name"] for one in inspect(connection).get_columns("data_registry")}:
        connection.execute(text("ALTER TABLE data_registry ADD COLUMN doi VARCHAR"))


def _know_replicas(connection: Connection) -> None:
    columns = (
        "url VARCHAR NOT NULL, data_id VARCHAR NOT NULL, version INTEGER NOT NULL, write_id VARCHAR NOT NULL, "
        "copied_at VARCHAR NOT NULL, verified_at VARCHAR NOT NULL, problem TEXT, PRIMARY KEY (url, data_id, version), "
        "FOREIGN KEY (data_id, version) REFERENCES data_registry (data_id, version)"
    )
    connection.execute(text(f"CREATE TABLE IF NOT EXISTS replica_copies ({columns})"))


def _index_publications(connection: Connection) -> None:
    connection.execute(
        text(
            "CREATE INDEX IF NOT EXISTS data_registry_by_published ON data_registry (published_at) "
            "WHERE status = 'published'"
        )
    )


def _know_archive_root(connection: Connection) -> None:
    if "archive_root" not in {one["name"] for one in inspect(connection).get_columns("registry_identity")}:
        connection.execute(text("ALTER TABLE registry_identity ADD COLUMN archive_root VARCHAR"))


def _know_tag_manifests(connection: Connection) -> None:
    if "tags_sha256" not in {one["name"] for one in inspect(connection).get_columns("data_registry")}:
        connection.execute(text("ALTER TABLE data_registry ADD COLUMN tags_sha256 VARCHAR"))


def _know_archive_inode(connection: Connection) -> None:
    if "archive_inode" not in {one["name"] for one in inspect(connection).get_columns("registry_identity")}:
        connection.execute(text("ALTER TABLE registry_identity ADD COLUMN archive_inode VARCHAR"))


def _know_problems(connection: Connection) -> None:
    if "problem_at" not in {one["name"] for one in inspect(connection).get_columns("data_registry")}:
        connection.execute(text("ALTER TABLE data_registry ADD COLUMN problem_at VARCHAR"))
    connection.execute(
        text(
            "CREATE INDEX IF NOT EXISTS data_registry_by_problem ON data_registry (problem_at) "
            "WHERE problem_at IS NOT NULL"
        )
    )


# version -> the step that makes it from the version before. A step is plain SQL text: it must go on
# meaning the same when the tables in `schema` have moved on.
STEPS: dict[int, Callable[[Connection], None]] = {
    2: _index_states_with_ids,
    3: _know_archive_and_verifications,
    4: _index_verifications,
    5: _store_relative_paths,
    6: _know_dois,
    7: _know_replicas,
    8: _index_publications,
    9: _know_archive_root,
    10: _know_tag_manifests,
    11: _know_archive_inode,
    12: _know_problems,
}


def upgrade(connection: Connection, where: str) -> None:
    """Create the tables, or upgrade older ones, within the caller's transaction.

    Raises
    ------
    RegistryError
        If a newer contimg made the database, or another program.
    """
    tables = set(inspect(connection).get_table_names())
    if "schema_version" not in tables:
        if tables & set(schema.metadata.tables):
            raise RegistryError(
                f"{where} holds tables of another program: name an empty database in registry.url or paths.state"
            )
        schema.metadata.create_all(connection)
        _record(connection, schema.VERSION)
        return
    found = version_of(connection)
    if found < 1:
        raise RegistryError(
            f"{where} has tables of a registry, and their version (table schema_version) is gone: restore it from a "
            "backup, or name an empty database in registry.url or paths.state and type 'contimg registry restore FILE'"
        )
    if found > schema.VERSION:
        raise RegistryError(
            f"{where} has schema {found}, but this contimg {__version__} knows only up to {schema.VERSION}: "
            "update contimg"
        )
    for version in range(found + 1, schema.VERSION + 1):
        STEPS[version](connection)
        _record(connection, version)


def refuse_older(connection: Connection, where: str) -> None:
    """Raise `RegistryError` where tables need no more than an upgrade, for somebody who may only read them."""
    found = version_of(connection) if inspect(connection).has_table("schema_version") else 0
    if 0 < found < schema.VERSION:
        raise RegistryError(
            f"registry {where} has tables of schema {found}, and this contimg reads those of schema {schema.VERSION}: "
            "let somebody who may write to it type 'contimg status', which upgrades them"
        )


def version_of(connection: Connection) -> int:
    """Return the schema version of an opened database; 0 when it has none."""
    newest = func.coalesce(func.max(schema.schema_version.c.version), 0)
    return int(connection.execute(select(newest)).scalar_one())


def _record(connection: Connection, version: int) -> None:
    row = {"version": version, "applied_at": now(), "code_version": __version__}
    connection.execute(insert(schema.schema_version), row)
