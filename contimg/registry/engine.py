"""Opening the registry's database, and its transactions."""

from __future__ import annotations

import contextlib
import functools
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError
from sqlalchemy.pool import NullPool

from contimg.errors import ConfigError, RegistryError
from contimg.registry import migrations, postgres, schema
from contimg.registry.refusals import RegistryStalled, RegistryUnavailable, refusal
from contimg.registry.relative_paths import Roots, set_roots
from contimg.registry.remedies import driver_missing
from contimg.registry.sqlite_urls import alone_uri, is_alone, is_read_only, read_only_uri, url_of
from contimg.registry.stalls import stopped_writer
from contimg.storage.filesystem import refuse_network
from contimg.storage.locks import exclusive, require_locks

if TYPE_CHECKING:
    from contimg.config import Config

BUSY_TIMEOUT_S = 30.0
_TRY_S = 1.0  # after so long without the lock it is looked who holds it
EXCLUSIVE_S = 600.0  # the gallery of 100 000 mosaics, made anew, takes a minute and a half


class Registry:
    """The database of products.

    Attributes
    ----------
    engine : sqlalchemy.Engine
    where : str
        The database as messages name it, without a password.
    """

    def __init__(self, engine: Engine, where: str) -> None:
        self.engine = engine
        self.where = where
        self.server_place: str | None = None  # of a server, once asked for (contimg.registry.identity)

    @functools.cached_property
    def read_only(self) -> bool:
        """True where this user may only read the database; a server is asked once."""
        if self.engine.dialect.name == "sqlite":
            return is_read_only(self.engine.url)
        refused = (
            "current_setting('transaction_read_only') = 'on' OR NOT has_table_privilege('data_registry', 'UPDATE')"
        )
        with self.read() as connection:
            return bool(connection.execute(text(f"SELECT {refused}")).scalar_one())

    @contextlib.contextmanager
    def transaction(self, lock: str | None = None, *, durable: bool = True) -> Iterator[Connection]:
        """Run a block within one write transaction and give its connection: all of it is committed, or nothing.

        SQLite takes its write lock at the start (BEGIN IMMEDIATE), so that reading and then writing
        cannot fail half-way; PostgreSQL takes an advisory lock on `lock` (a data_id), which
        serialises the writers of one product and no others. What is not `durable` may be undone by a
        power cut, until a durable transaction follows; it does not wait for the disk.

        Raises
        ------
        RegistryError
            If the database is locked, full or unreachable. Nothing was written, unless it is `RegistryUncertain`.
        """
        if is_read_only(self.engine.url):
            raise RegistryError(
                f"registry {self.where} can only be read from here: give yourself write access to the file and its "
                "folder, then type the same command again"
            )
        at_commit: list[bool] = []
        with self.report(at_commit), self.engine.connect() as connection:
            connection = connection.execution_options(contimg_write=True, contimg_durable=durable)
            with connection.begin():
                if connection.dialect.name == "postgresql":
                    _begin_postgres(connection, lock, durable=durable)
                yield connection
                at_commit.append(True)

    @contextlib.contextmanager
    def read(self, *, of_one_moment: bool = False) -> Iterator[Connection]:
        """Give a connection to read with, which does not hinder writers.

        On PostgreSQL each statement sees what was committed before it, as in a transaction of READ COMMITTED, without
        the two further exchanges with the server that one takes; with `of_one_moment` all see the same.
        """
        with self.report(), self.engine.connect() as connection:
            if connection.dialect.name == "postgresql" and not of_one_moment:
                yield connection.execution_options(isolation_level="AUTOCOMMIT")
                return
            with connection.begin():
                if connection.dialect.name == "postgresql":
                    connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
                yield connection

    @contextlib.contextmanager
    def exclusive(self, name: str) -> Iterator[None]:
        """Let one process at a time of those that share this registry run a block; the others wait.

        On SQLite this is a lock file beside the database, on PostgreSQL an advisory lock: both end with
        their process, and neither asks the archive's filesystem for locks, nor stops other writers.

        Raises
        ------
        ContimgError
            If the lock file cannot be written, or the database not be reached.
        """
        if self.engine.dialect.name == "sqlite":
            with exclusive(Path(f"{self.where}.{name}.lock"), key="paths.state"):
                yield
            return
        with self.report(), self.engine.connect() as connection, connection.begin():
            limit_ms = round(EXCLUSIVE_S * 1000)  # this transaction is idle while the block works
            connection.execute(text(f"SET LOCAL idle_in_transaction_session_timeout = {limit_ms}"))
            query = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0))")
            deadline_s = time.monotonic() + EXCLUSIVE_S
            while not connection.execute(query, {"name": f"contimg {name}"}).scalar_one():
                if time.monotonic() > deadline_s:
                    raise RegistryUnavailable(
                        f"registry {self.where}: another process has worked on '{name}' for {EXCLUSIVE_S:.0f} s: rerun "
                        "the same command when it has ended"
                    )
                time.sleep(0.1)
            yield

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    @contextlib.contextmanager
    def report(self, at_commit: Sequence[bool] = ()) -> Iterator[None]:
        """Let an error of the database within a block be one sentence that names this registry.

        Raises
        ------
        RegistryError
            If the database refuses; `RegistryUncertain` where its answer was lost and `at_commit` is not empty.
        """
        try:
            yield
        except DBAPIError as error:
            raise refusal(self.where, error, at_commit=bool(at_commit)) from error


def open_registry(config: Config) -> Registry:
    """Open the configured registry; create its tables, or upgrade older ones.

    Raises
    ------
    ConfigError
        If ``registry.url`` is wrong or needs a package that is not installed.
    RegistryError
        If the database cannot be opened, or is not a registry.
    """
    layout = config.layout
    roots = Roots(layout.incoming, layout.stage, layout.products)
    if config.registry.url is not None:
        return open_url(config.registry.url, roots)
    return open_sqlite(layout.registry_file, roots)


def open_sqlite(file: Path, roots: Roots | None = None) -> Registry:
    """Open the registry in an SQLite file on a local disk, made when it does not exist.

    Without `roots` the paths in its rows are those that are stored, relative to the roots that it was filled with.

    Raises
    ------
    RegistryError
        If the file stands on a network filesystem, cannot be opened, or is not a registry.
    LocksUnsupported
        If its filesystem has no locks.
    """
    file = Path(file)
    refuse_network(file)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RegistryError(f"{file.parent} cannot be made ({error.strerror}): correct paths.state") from error
    if file.exists() and not file.is_file():
        what = "a folder" if file.is_dir() else "no plain file"
        raise RegistryError(f"{file} is {what}, and not a registry: move it away, or correct paths.state")
    if file.exists() and (names := file.stat().st_nlink) > 1:
        raise RegistryError(
            f"{file} has {names} names (hard links), and SQLite keeps a log of its own by each, so that commits get "
            f"lost: remove the others, which 'find DIR -samefile {file}' names"
        )
    if file.exists() and not (os.access(file, os.W_OK) and os.access(file.parent, os.W_OK)):
        return _open(url_of(read_only_uri(file)), str(file), roots)
    require_locks(file.parent, key="paths.state")  # SQLite would wait, and then speak of an I/O error or a busy file
    with contextlib.suppress(OSError):  # SQLite would make it with 0644, whatever the umask lets the group do
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666))
    return _open(URL.create("sqlite", database=str(file)), str(file), roots)


def open_at_rest(file: Path, roots: Roots | None = None) -> Registry:
    """Open a backup for reading, on any filesystem: nothing is written there, and no lock is needed.

    Raises
    ------
    RegistryError
        If its tables are of another version, or it is no registry.
    """
    return _open(url_of(read_only_uri(Path(file))), str(file), roots)


def open_alone(file: Path, where: str, roots: Roots | None = None) -> Registry:
    """Open a backup that this process alone knows, while it is made or upgraded, on any filesystem.

    It has no locks and no journal on the disk, of which network filesystems are not sure: when this process dies the
    file is lost.

    Parameters
    ----------
    file : Path
    where : str
        Its name for messages.
    roots : Roots, optional
        As for `open_sqlite`.
    """
    return _open(url_of(alone_uri(file)), where, roots)


def open_url(url: str, roots: Roots | None = None) -> Registry:
    """Open the registry at an SQLAlchemy URL of a PostgreSQL (or an SQLite file); `roots` as for `open_sqlite`.

    Raises
    ------
    ConfigError
        If the URL is none, or names another kind of database.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # of a port that is no number
        raise ConfigError(
            "config key 'registry.url' is not a database URL: write postgresql+psycopg://user@host/database"
        ) from None
    if parsed.get_backend_name() == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise ConfigError("config key 'registry.url' names no SQLite file: name one, or leave it null")
        return open_sqlite(Path(parsed.database), roots)
    if parsed.get_backend_name() != "postgresql":
        raise ConfigError(
            f"config key 'registry.url' names a {parsed.get_backend_name()} database: use PostgreSQL "
            "(postgresql+psycopg://user@host/database) or null for SQLite"
        )
    if "@" in (parsed.host or ""):  # the rest of a password: it would be printed as the host
        raise ConfigError(
            "config key 'registry.url' holds more than one @: write those of its password as %40 (and / as %2F), or "
            "keep the password in ~/.pgpass"
        )
    # Without its query: a password may stand there too.
    return _open(parsed, parsed.set(query={}).render_as_string(hide_password=True), roots)


def _open(url: URL, where: str, roots: Roots | None) -> Registry:
    try:
        if url.get_backend_name() == "sqlite":
            engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": BUSY_TIMEOUT_S})
            prepare = _prepare_alone if is_alone(url) else _prepare_sqlite
            event.listen(engine, "connect", _prepare_reader if is_read_only(url) else prepare)
            event.listen(engine, "begin", _begin_sqlite)
        else:
            engine = postgres.make_engine(url)
    except NoSuchModuleError as error:
        raise ConfigError(f"config key 'registry.url': {error}: write postgresql+psycopg://…") from None
    except ModuleNotFoundError as error:
        raise ConfigError(driver_missing(url, error)) from None
    set_roots(engine, roots)
    registry = Registry(engine, where)
    try:
        if not _is_current(registry):
            if is_read_only(url):
                with registry.read() as connection:
                    migrations.refuse_older(connection, where)
            with registry.transaction(lock="schema") as connection:
                migrations.upgrade(connection, where)
    except BaseException:
        registry.close()
        raise
    return registry


def _is_current(registry: Registry) -> bool:
    """Tell whether the tables are there in this version; the usual case, which takes no lock."""
    with registry.read() as connection:
        if connection.dialect.name == "postgresql":
            dropped = postgres.dropped_settings(connection)
            if dropped:
                raise ConfigError(
                    f"registry {registry.where}: what stands before the server drops settings of a connection "
                    f"({', '.join(dropped)}), and with them all limits on waiting: name the server itself in "
                    "registry.url, not a connection pooler"
                )
            found = connection.execute(text("SELECT to_regclass('schema_version') IS NOT NULL")).scalar_one()
        else:
            found = inspect(connection).has_table("schema_version")
        return bool(found) and migrations.version_of(connection) == schema.VERSION


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # the driver begins no transaction by itself: _begin_sqlite does
    connection.execute(f"PRAGMA busy_timeout = {round(BUSY_TIMEOUT_S * 1000)}")
    # WAL: readers never wait for a publisher nor hinder it. FULL: a commit is on the disk when it returns.
    _use_wal(connection)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _prepare_alone(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")  # before the journal: without shared memory beside the file
    connection.execute("PRAGMA journal_mode = MEMORY").fetchone()
    connection.execute("PRAGMA foreign_keys = ON")


def _prepare_reader(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {round(BUSY_TIMEOUT_S * 1000)}")


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL; SQLite does not honour the busy timeout for this one statement."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def unix_time_s(connection: Connection) -> float:
    """Return the time of the database [Unix s]: the same clock for all hosts that share it."""
    if connection.dialect.name == "sqlite":
        return time.time()
    return float(connection.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())


def _begin_postgres(connection: Connection, lock: str | None, *, durable: bool) -> None:
    """Take the lock, and give up waiting for the disk, in one exchange with the server."""
    wanted = ["set_config('synchronous_commit', 'off', true)"] if not durable else []
    wanted += ["pg_advisory_xact_lock(hashtextextended(:lock, 0))"] if lock is not None else []
    if wanted:
        connection.execute(text(f"SELECT {', '.join(wanted)}"), {"lock": lock} if lock is not None else {})


def _begin_immediate(connection: Connection) -> None:
    """Take SQLite's write lock; a holder that is stopped is named at once."""
    file = Path(str(connection.engine.url.database))
    deadline_s = time.monotonic() + BUSY_TIMEOUT_S
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {round(min(_TRY_S, BUSY_TIMEOUT_S) * 1000)}")
    before = None
    while True:
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            return
        except OperationalError as error:
            if "locked" not in str(error.orig) or time.monotonic() > deadline_s:
                raise
        holder = stopped_writer(file)
        if holder is not None and holder == before:
            raise RegistryStalled(
                f"registry {file} is locked by process {holder}, which is stopped: 'kill -CONT {holder}' lets it go "
                f"on, 'kill -KILL {holder}' ends it, and then the same command works"
            )
        before = holder


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    write = options.get("contimg_write", False)
    if not options.get("contimg_durable", True):  # for this connection only, which serves one transaction
        connection.exec_driver_sql("PRAGMA synchronous = NORMAL")
    if write:
        _begin_immediate(connection)
    else:
        connection.exec_driver_sql("BEGIN")
