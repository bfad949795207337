"""Registries that may only be read, are locked, or stand where a filesystem refuses: one sentence, with its remedy."""

import contextlib
import errno
import fcntl
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time

import pytest
from sqlalchemy import insert, text

from contimg.errors import RegistryError
from contimg.publishing.reconcile import reconcile
from contimg.registry import engine, queries, remedies, schema
from contimg.registry.engine import open_at_rest, open_sqlite
from contimg.registry.refusals import RegistryUnavailable
from contimg.storage.locks import LocksUnsupported
from tests.registry.rows import TILE, count
from tests.support import mosaics

WITHOUT_RIGHTS = """
import contextlib, sys
from pathlib import Path
from sqlalchemy import select
from contimg.errors import RegistryError
from contimg.registry import schema
from contimg.registry.engine import open_at_rest, open_sqlite
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


def test_who_may_only_read_tables_of_an_earlier_schema_hears_who_upgrades_them(read_only_registry):
    file = read_only_registry
    with contextlib.closing(sqlite3.connect(file)) as opened:
        opened.execute("UPDATE schema_version SET version = 10")
        opened.commit()
        opened.execute("PRAGMA journal_mode = DELETE")
    for path in (*file.parent.iterdir(), file.parent):
        if os.getuid() == 0:
            os.chown(path, 65534, 65534)
        path.chmod(0o555 if path.is_dir() else 0o444)
    said = as_reader(file).stderr
    assert f"has tables of schema 10, and this contimg reads those of schema {schema.VERSION}: let somebody who" in said
    assert "type 'contimg status', which upgrades them" in said


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("attempt to write a readonly database", "write access"),
        ("unable to open database file", "write access"),
        ("database or disk is full", "make room"),
        ("disk I/O error", "room, quota and health"),
        ("database is locked", "wait until"),
        ("connection refused", "start the server"),
        ("file is not a database", "contimg registry restore FILE"),
        ("database disk image is malformed", "contimg registry restore FILE"),
        ("something else", "repair that"),
        ("no such table: publish_events", "restore it from a backup"),
        ("no such column: data_registry.doi", "restore it from a backup"),
        ('relation "publish_events" does not exist LINE 3', "restore it from a backup"),
        ("column data_registry.doi does not exist LINE 1", "restore it from a backup"),
        ("NOT NULL constraint failed: publish_events.site", "restore it from a backup"),
        ('null value in column "site" of relation "publish_events" violates not-null constraint', "from a backup"),
        ("permission denied for function pg_control_system", "let this user execute that function"),
        ('query would be affected by row-level security policy for table "tiles"', "BYPASSRLS"),
        ('new row violates row-level security policy for table "tiles"', "BYPASSRLS"),
        ("FATAL: unsupported startup parameter: options", "not a connection pooler"),
        ("transaction blocks not allowed in statement pooling mode", "not a connection pooler"),
        (
            'character with byte sequence 0xe2 in encoding "UTF8" has no equivalent in encoding "LATIN1"',
            "encoding UTF8",
        ),
        ("UNIQUE constraint failed: data_registry.published_path", "correct that row, or restore a backup"),
        ('duplicate key value violates unique constraint "data_registry_pkey"', "correct that row"),
        ("cannot execute UPDATE in a read-only transaction", "let this user write to the database"),
        ("permission denied for table data_registry", "let this user write to the database"),
        ("must be owner of table registry_identity", "let the owner of its tables type 'contimg status'"),
        ('connection failed: FATAL: password authentication failed for user "contimg"', "correct the password"),
        ("no schema has been selected to create in", "correct the search_path"),
        ('permission denied to create "pg_catalog.schema_version"', "correct the search_path"),
        ("FATAL: remaining connection slots are reserved for superusers", "its limit of connections"),
        ("FATAL: sorry, too many clients already", "its limit of connections"),
        ("FATAL: the database system is shutting down", "wait until the server is there again"),
        ("terminating connection due to administrator command", "wait until the server is there again"),
        ('FATAL: database "nights" does not exist', "correct registry.url"),
        ("failed to resolve host 'nowhere': Name or service not known", "correct registry.url"),
        ("canceling statement due to lock timeout", "wait until the other command"),
        ("canceling statement due to statement timeout", "the statement_timeout"),
        ("server closed the connection unexpectedly", "start the server"),
        ("the connection's server did not answer within 75 s", "the standby that it waits for"),
    ],
)
def test_each_error_of_a_database_has_its_remedy(said, remedy):
    assert remedy in remedies.remedy(said)


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


@pytest.mark.parametrize("kind", ["folder", "fifo"])
def test_what_is_no_file_is_said_to_be_no_registry(root, kind):
    """SQLite would say that it is unable to open it, and wait for who writes to a FIFO."""
    file = root / "registry.sqlite3"
    file.mkdir() if kind == "folder" else os.mkfifo(file)
    with pytest.raises(RegistryError, match=f"{file} is .*, and not a registry: move it away, or correct paths.state"):
        open_sqlite(file)


def test_a_row_that_was_renumbered_with_sql_is_named_with_the_remedy(registry, config):
    """The bundle in the archive is then version 1, and its row version 9 with the same path."""
    mosaics.run(config)
    with registry.transaction() as connection:
        row = dict(connection.execute(schema.data_registry.select()).mappings().one())
        for table in (schema.mosaic_groups, schema.mosaic_tiles, schema.publish_events):
            connection.execute(table.delete())
        connection.execute(schema.data_registry.delete())
        connection.execute(schema.data_registry.insert(), row | {"version": 9})
    (found,) = (one for one in reconcile(registry, config.layout) if one.code == "foreign")
    assert "version 9 says that it stands there, as after a change with SQL: correct that row" in found.message
    assert "\n" not in found.message


def test_what_a_killed_writer_left_half_done_is_not_read(root):
    """Somebody's sqlite3 in another journal mode: its changes stand in the file, and what they replaced beside it."""
    file, copy = root / "registry.sqlite3", root / "copy.sqlite3"
    open_sqlite(file).close()
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as writer:
        for statement in (
            "PRAGMA journal_mode = DELETE",
            "INSERT INTO tiles (tile_id, date, synthetic) VALUES ('before', 'd', 1)",
            "PRAGMA cache_size = 1",
            "BEGIN",
            "UPDATE tiles SET tile_id = 'half done'",
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) "
            "INSERT INTO tiles (tile_id, date, synthetic) SELECT i, 'd', 1 FROM n",
        ):
            writer.execute(statement)
        for end in ("", "-journal"):
            shutil.copy(f"{file}{end}", f"{copy}{end}")
    with pytest.raises(RegistryError, match="give yourself write access to the file and its folder"):
        open_at_rest(copy).close()
    with contextlib.closing(open_sqlite(copy)) as registry, registry.read() as connection:
        assert connection.execute(text("SELECT tile_id FROM tiles")).scalars().all() == ["before"]


def test_a_file_with_two_names_is_refused(root):
    """Each name has a log of its own, so that the commits of one are unknown to the other, or lost."""
    file, other = root / "registry.sqlite3", root / "other.sqlite3"
    open_sqlite(file).close()
    os.link(file, other)
    for name in (file, other):
        with pytest.raises(RegistryError, match=f"{name} has 2 names .*find .* -samefile"):
            open_sqlite(name)
    other.unlink()
    open_sqlite(file).close()


def test_a_table_that_is_gone_is_not_waited_for(sqlite_config):
    """SQLite has one class of errors for what passes by itself and for what does not."""
    mosaics.run(sqlite_config)
    with contextlib.closing(sqlite3.connect(sqlite_config.layout.registry_file)) as connection:
        connection.execute("DROP TABLE publish_events")
    with (
        contextlib.closing(open_sqlite(sqlite_config.layout.registry_file)) as registry,
        pytest.raises(RegistryError, match=r"no such table.*restore it from a backup") as refused,
    ):
        queries.events(registry, mosaics.MOSAIC)
    assert not isinstance(refused.value, RegistryUnavailable)
