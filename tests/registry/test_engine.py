"""Opening, upgrading, refusing, and transactions that keep all or nothing."""

import contextlib
import errno
import fcntl
import os
import sqlite3
import subprocess
import sys
import threading
import time

import pytest
from sqlalchemy import insert, inspect, select, text

from contimg.errors import ConfigError, RegistryError
from contimg.registry import engine, migrations, schema
from contimg.registry.engine import RegistryUnavailable, open_registry, open_sqlite, open_url
from contimg.storage.locks import LocksUnsupported
from tests.support.databases import postgres_server

TILE = {"tile_id": "2026-02-11T00:26:49", "date": "2026-02-11", "synthetic": True}


def count(registry, table) -> int:
    with registry.read() as connection:
        return len(connection.execute(select(table)).all())


@pytest.mark.postgres
def test_postgresql_is_tested_too():
    """Skipped, with the commands, where no server is named: then these tests ran on SQLite only."""
    with contextlib.closing(open_url(postgres_server())) as opened:
        assert opened.engine.dialect.name == "postgresql"


def test_tables_are_those_of_the_design(registry):
    promised = {
        "subband_files", "tiles", "ms_index", "caltables", "images", "mosaic_groups", "mosaic_tiles", "data_registry",
        "publish_events",
    }  # fmt: skip
    assert promised | {"schema_version", "registry_identity", "lineage"} == set(schema.metadata.tables)
    with registry.read() as connection:
        assert migrations.version_of(connection) == schema.VERSION


def test_a_failing_block_leaves_nothing(registry):
    with pytest.raises(KeyError), registry.transaction() as connection:
        connection.execute(insert(schema.tiles), TILE)
        raise KeyError
    assert count(registry, schema.tiles) == 0
    with registry.transaction() as connection:
        connection.execute(insert(schema.tiles), TILE)
    assert count(registry, schema.tiles) == 1


def test_readers_do_not_wait_for_a_writer(registry):
    with registry.transaction() as connection:
        connection.execute(insert(schema.tiles), TILE)
        assert count(registry, schema.tiles) == 0
    assert count(registry, schema.tiles) == 1


def test_writers_of_one_product_take_turns(registry):
    order = []
    inside = threading.Event()

    def second():
        inside.wait()
        with registry.transaction(lock="mosaic") as connection:
            order.append(len(connection.execute(select(schema.tiles)).all()))

    thread = threading.Thread(target=second)
    thread.start()
    with registry.transaction(lock="mosaic") as connection:
        inside.set()
        thread.join(0.3)
        assert thread.is_alive()
        connection.execute(insert(schema.tiles), TILE)
    thread.join()
    assert order == [1]


def test_a_newer_database_is_refused(config):
    with contextlib.closing(open_registry(config)) as opened, opened.transaction() as connection:
        row = {"version": schema.VERSION + 1, "applied_at": "2030", "code_version": "9"}
        connection.execute(insert(schema.schema_version), row)
    with pytest.raises(RegistryError, match=f"has schema {schema.VERSION + 1}, but .* update contimg"):
        open_registry(config)


def test_an_older_database_is_upgraded_and_keeps_its_rows(config, monkeypatch):
    with contextlib.closing(open_registry(config)) as opened, opened.transaction() as connection:
        connection.execute(insert(schema.tiles), TILE)

    def add_column(connection):
        connection.execute(text("ALTER TABLE tiles ADD COLUMN weather TEXT"))

    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
    monkeypatch.setitem(migrations.STEPS, schema.VERSION, add_column)
    for _ in range(2):
        with contextlib.closing(open_registry(config)) as opened, opened.read() as connection:
            assert connection.execute(text("SELECT tile_id, weather FROM tiles")).all() == [(TILE["tile_id"], None)]
            assert migrations.version_of(connection) == schema.VERSION


def test_a_registry_of_schema_1_is_upgraded(config):
    """The tables as contimg made them before schema 2: an index over the states alone."""

    def indexes(opened):
        with opened.read() as connection:
            found = inspect(connection).get_indexes("data_registry")
            return {(one["name"], *one["column_names"]) for one in found}, migrations.version_of(connection)

    with contextlib.closing(open_registry(config)) as opened:
        fresh = indexes(opened)
        with opened.transaction() as connection:
            connection.execute(insert(schema.tiles), TILE)
            for statement in (
                "DROP INDEX data_registry_by_status",
                "CREATE INDEX ix_data_registry_status ON data_registry (status)",
                "UPDATE schema_version SET version = 1",
            ):
                connection.execute(text(statement))
        assert indexes(opened) != fresh
    with contextlib.closing(open_registry(config)) as opened:
        assert indexes(opened) == fresh and fresh[1] == schema.VERSION
        with opened.read() as connection:
            assert connection.execute(text("SELECT tile_id FROM tiles")).all() == [(TILE["tile_id"],)]


def test_a_failed_upgrade_changes_nothing(config, monkeypatch):
    open_registry(config).close()

    def half(connection):
        connection.execute(text("ALTER TABLE tiles ADD COLUMN weather TEXT"))
        connection.execute(text("ALTER TABLE nowhere ADD COLUMN weather TEXT"))

    with monkeypatch.context() as patch:
        patch.setattr(schema, "VERSION", schema.VERSION + 1)
        patch.setitem(migrations.STEPS, schema.VERSION, half)
        with pytest.raises(RegistryError, match="nowhere"):
            open_registry(config)
    with (
        contextlib.closing(open_registry(config)) as opened,
        pytest.raises(RegistryError, match="weather"),
        opened.read() as c,
    ):
        c.execute(text("SELECT weather FROM tiles"))


def test_tables_of_another_program_are_left_alone(tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "other.sqlite3")) as other:
        other.execute("CREATE TABLE images (name TEXT)")
        other.commit()
    with pytest.raises(RegistryError, match="tables of another program"):
        open_sqlite(tmp_path / "other.sqlite3")


def test_what_is_no_database_gives_one_sentence(tmp_path):
    (tmp_path / "registry.sqlite3").write_text("this is a text file, and long enough to be looked at as a header " * 20)
    with pytest.raises(RegistryError, match=r"registry\.sqlite3 refused an operation \(file is not a database\)"):
        open_sqlite(tmp_path / "registry.sqlite3")


def test_sqlite_is_opened_safely(tmp_path):
    with contextlib.closing(open_sqlite(tmp_path / "r.sqlite3")) as opened, opened.read() as connection:
        found = [
            connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert found == ["wal", 2, 1]


def test_a_locked_database_gives_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_S", 0.2)
    with contextlib.closing(open_sqlite(tmp_path / "r.sqlite3")) as opened:
        with contextlib.closing(sqlite3.connect(tmp_path / "r.sqlite3", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(RegistryUnavailable, match="database is locked"), opened.transaction():
                raise AssertionError("the lock was not respected")
        with opened.transaction() as connection:
            connection.execute(insert(schema.tiles), TILE)


def test_many_processes_may_open_a_new_registry_at_once(tmp_path):
    code = (
        "import sys; from pathlib import Path; from contimg.registry.engine import open_sqlite;"
        "sys.stdin.readline(); open_sqlite(Path(sys.argv[1])).close()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "state" / "r.sqlite3")]
    started = [subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(6)]
    assert [process.communicate("go\n")[1] for process in started] == [""] * 6
    assert [process.returncode for process in started] == [0] * 6


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("not a url", "not a database URL"),
        ("mysql://host/x", "names a mysql database"),
        ("sqlite://", "names no SQLite file"),
        ("postgresql+nodriver://host/x", "registry.url"),
    ],
)
def test_a_wrong_url_gives_one_sentence(url, sentence):
    with pytest.raises(ConfigError, match=sentence):
        open_url(url)


def test_an_unreachable_server_is_named_without_its_password():
    with pytest.raises(RegistryUnavailable) as caught:
        open_url("postgresql+psycopg://ada:secret@127.0.0.1:1/contimg")
    assert "ada:***@127.0.0.1" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_one_process_at_a_time_makes_the_gallery(registry):
    """The lock of a name is no lock on the tables: others write meanwhile."""
    order, inside = [], threading.Event()

    def second():
        inside.wait()
        with registry.exclusive("gallery"):
            order.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    with registry.exclusive("gallery"):
        inside.set()
        with registry.exclusive("another"), registry.transaction() as connection:
            connection.execute(insert(schema.tiles), TILE)
        thread.join(0.3)
        order.append("first")
    thread.join()
    assert order == ["first", "second"] and count(registry, schema.tiles) == 1


@pytest.mark.parametrize(
    ("url", "module", "remedy"),
    [
        ("postgresql+psycopg://ada@host/db", "psycopg", "'psycopg[binary]'"),
        ("postgresql+asyncpg://ada@host/db", "asyncpg", "write postgresql+psycopg://user@host/database"),
    ],
)
def test_a_missing_driver_gives_a_remedy_that_works(monkeypatch, url, module, remedy):
    monkeypatch.setitem(sys.modules, module, None)  # an import of it raises ModuleNotFoundError, as when it is missing
    with pytest.raises(ConfigError) as caught:
        open_url(url)
    assert module in str(caught.value) and remedy in str(caught.value)


WITHOUT_RIGHTS = """
import contextlib, sys
from pathlib import Path
from sqlalchemy import select
from contimg.errors import RegistryError
from contimg.registry import schema
from contimg.registry.engine import open_sqlite
with contextlib.closing(open_sqlite(Path(sys.argv[1]))) as registry:
    with registry.read() as connection:
        print(len(connection.execute(select(schema.tiles)).all()))
    try:
        with registry.transaction():
            print("wrote")
    except RegistryError as error:
        print(error)
"""


def as_reader(file):
    """Run in a process that may read a registry and not write it: one of root's without its capabilities."""
    command = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", sys.executable, "-c", WITHOUT_RIGHTS, str(file)]
    return subprocess.run(command if os.getuid() == 0 else command[3:], capture_output=True, text=True)


@pytest.fixture
def read_only_registry(root):
    file = root / "state" / "r.sqlite3"
    with contextlib.closing(open_sqlite(file)) as opened, opened.transaction() as connection:
        connection.execute(insert(schema.tiles), TILE)
    yield file
    file.parent.chmod(0o755)


@pytest.mark.parametrize("writer", [False, True])
def test_a_reader_without_write_access_can_read(read_only_registry, writer):
    """Also while another process has the database open, whose -wal file then holds the newest rows."""
    file = read_only_registry
    with contextlib.ExitStack() as stack:
        if writer:
            opened = stack.enter_context(contextlib.closing(sqlite3.connect(file)))
            opened.execute("PRAGMA journal_mode = WAL")
            opened.execute("INSERT INTO tiles (tile_id, date, synthetic) VALUES ('t', 'd', 1)")
            opened.commit()
        for path in (*file.parent.iterdir(), file.parent):
            if os.getuid() == 0:
                os.chown(path, 65534, 65534)
            path.chmod(0o555 if path.is_dir() else 0o444)
        done = as_reader(file)
    assert done.returncode == 0, done.stderr
    count_of_rows, said = done.stdout.splitlines()
    assert count_of_rows == ("2" if writer else "1")
    assert "can only be read from here: give yourself write access to the file and its folder" in said


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("attempt to write a readonly database", "write access"),
        ("unable to open database file", "write access"),
        ("database or disk is full", "make room"),
        ("disk I/O error", "room, quota and health"),
        ("database is locked", "wait until"),
        ("connection refused", "start the server"),
        ("file is not a database", "repair that"),
    ],
)
def test_each_error_of_a_database_has_its_remedy(said, remedy):
    assert remedy in engine._remedy(said)


def test_a_refused_write_is_named_with_the_remedy(root):
    """A real limit, which SQLite calls an I/O error: the database's files may not grow any more."""
    code = (
        "import contextlib, resource, signal, sys; from pathlib import Path; from sqlalchemy import text;"
        "from contimg.errors import RegistryError; from contimg.registry.engine import open_sqlite;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "opened = open_sqlite(Path(sys.argv[1])); size = Path(sys.argv[1]).stat().st_size;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))\n"
        "try:\n"
        "    with opened.transaction() as c:\n"
        "        for i in range(20000): c.execute(text(f\"INSERT INTO tiles VALUES ('{i}', 'd', 1, 1, 1, 't', 1)\"))\n"
        "except RegistryError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(root / "r.sqlite3")], capture_output=True, text=True)
    assert "nothing was written by it; look at the disk's room, quota and health" in done.stdout, done
    with contextlib.closing(open_sqlite(root / "r.sqlite3")) as opened:
        assert count(opened, schema.tiles) == 0


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_state_folder_without_locks_gives_one_sentence_at_once(root, monkeypatch, number):
    """SQLite itself would say 'disk I/O error', or wait for 30 s and say 'database is locked'."""

    def refuse(*_args):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "lockf", refuse)
    started = time.monotonic()
    with pytest.raises(LocksUnsupported, match=r"state stands on a filesystem without file locks.*set paths\.state"):
        open_sqlite(root / "state" / "r.sqlite3")
    assert time.monotonic() - started < 5 and list((root / "state").iterdir()) == []


def test_a_url_of_an_sqlite_file_is_that_file(root):
    file = root / "state" / "r.sqlite3"
    with contextlib.closing(open_url(f"sqlite:///{file}")) as opened, opened.transaction() as connection:
        connection.execute(insert(schema.tiles), TILE)
    assert opened.where == str(file)
    with contextlib.closing(open_sqlite(file)) as opened:
        assert count(opened, schema.tiles) == 1


def test_a_file_where_the_state_folder_belongs_gives_one_sentence(root):
    (root / "state").write_text("a file")
    with pytest.raises(RegistryError) as refused:
        open_sqlite(root / "state" / "deeper" / "r.sqlite3")
    assert str(refused.value) == f"{root}/state/deeper cannot be made (Not a directory): correct paths.state"


@pytest.fixture
def locked_file(root):
    """A database that still has a rollback journal, and a connection that writes to it."""
    file = root / "r.sqlite3"
    with contextlib.closing(sqlite3.connect(file, check_same_thread=False, isolation_level=None)) as other:
        other.execute("CREATE TABLE of_somebody (a)")
        other.execute("BEGIN EXCLUSIVE")
        yield file, other


def test_opening_waits_for_who_writes_before_the_journal_can_be_changed(locked_file):
    file, other = locked_file
    thread = threading.Timer(0.15, other.execute, ("COMMIT",))
    thread.start()
    with contextlib.closing(open_sqlite(file)) as opened:
        assert not thread.is_alive() or thread.join(1) is None
        assert count(opened, schema.tiles) == 0
    with contextlib.closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_opening_gives_up_after_the_busy_timeout(locked_file, monkeypatch):
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_S", 0.1)
    with pytest.raises(RegistryUnavailable, match=r"database is locked.*wait until the other command has ended"):
        open_sqlite(locked_file[0])


def test_a_transaction_that_need_not_last_is_undone_by_an_error_like_any_other(registry):
    with pytest.raises(KeyError), registry.transaction(durable=False) as connection:
        connection.execute(insert(schema.tiles), TILE)
        raise KeyError
    assert count(registry, schema.tiles) == 0
    with registry.transaction(durable=False) as connection:
        connection.execute(insert(schema.tiles), TILE)
        if connection.dialect.name == "sqlite":  # NORMAL: the disk is not waited for
            assert connection.execute(text("PRAGMA synchronous")).scalar() == 1
    with registry.transaction() as connection:
        if connection.dialect.name == "sqlite":  # FULL again, on the next connection
            assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
    assert count(registry, schema.tiles) == 1
