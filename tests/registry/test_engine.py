"""Opening, upgrading, refusing, and transactions that keep all or nothing."""

import contextlib
import sqlite3
import subprocess
import sys
import threading

import pytest
from sqlalchemy import insert, select, text

from contimg.errors import ConfigError, RegistryError
from contimg.registry import engine, migrations, schema
from contimg.registry.engine import open_sqlite, open_url
from contimg.registry.refusals import RegistryUnavailable
from tests.registry.rows import TILE, count
from tests.support.databases import postgres_server


@pytest.mark.postgres
def test_postgresql_is_tested_too():
    """Skipped, with the commands, where no server is named: then these tests ran on SQLite only."""
    with contextlib.closing(open_url(postgres_server())) as opened:
        assert opened.engine.dialect.name == "postgresql"


def test_tables_are_those_of_the_design(registry):
    promised = {
        "subband_files", "tiles", "ms_index", "caltables", "images", "mosaic_groups", "mosaic_tiles", "data_registry",
        "publish_events", "replica_copies",
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


def test_what_is_read_of_one_moment_stays_so_while_others_write(registry):
    with registry.read(of_one_moment=True) as connection:
        assert connection.execute(select(schema.tiles)).all() == []
        with registry.transaction() as other:
            other.execute(insert(schema.tiles), TILE)
        assert connection.execute(select(schema.tiles)).all() == []
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


@pytest.mark.parametrize("left", [3, 10**9])
def test_the_switch_to_wal_waits_for_a_lock_but_not_without_end(monkeypatch, left):
    """SQLite refuses that statement at once while another process switches."""
    refusals = iter(range(left))
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_S", 0.2)

    class Connection:
        def execute(self, statement):
            if next(refusals, None) is not None:
                raise sqlite3.OperationalError("database is locked")
            return sqlite3.connect(":memory:").execute("SELECT 1")

    with contextlib.nullcontext() if left == 3 else pytest.raises(sqlite3.OperationalError, match="locked"):
        engine._use_wal(Connection())


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


def test_a_transaction_waits_for_the_disk_unless_it_need_not(registry):
    """Each connection is new or given back: what one transaction was allowed, the next one is not."""
    query = "PRAGMA synchronous" if registry.engine.dialect.name == "sqlite" else "SHOW synchronous_commit"
    found = []
    for options in ({}, {"lock": "a"}, {"lock": "a", "durable": False}, {"durable": False}, {"lock": "a"}, {}):
        with registry.transaction(**options) as connection:
            found.append(connection.exec_driver_sql(query).scalar_one())
    waits, does_not = (2, 1) if registry.engine.dialect.name == "sqlite" else ("on", "off")
    assert found == [waits, waits, does_not, does_not, waits, waits]
