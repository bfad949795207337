"""A registry on each database: SQLite always, PostgreSQL where CONTIMG_TEST_POSTGRES names a server."""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from contimg.config import Config
from contimg.registry.engine import Registry, open_registry, open_sqlite
from tests.support import mosaics

POSTGRES = "CONTIMG_TEST_POSTGRES"
HOW = (
    f"no PostgreSQL: apt-get install postgresql, make a database, and export {POSTGRES}="
    "postgresql+psycopg://user:password@127.0.0.1:5432/database"
)


def postgres_server() -> str:
    """Return the URL of the test server; skip without one, but fail in CI."""
    server = os.environ.get(POSTGRES)
    if server is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must run the PostgreSQL tests: {HOW}")
        pytest.skip(HOW)
    return server


def backends() -> list:
    """Return the databases that tests run on; `test_engine` says how to get PostgreSQL where it is missing."""
    wanted = POSTGRES in os.environ or os.environ.get("CI") == "true"
    return ["sqlite"] + ([pytest.param("postgresql", marks=pytest.mark.postgres)] if wanted else [])


@contextlib.contextmanager
def empty_schema(server: str) -> Iterator[str]:
    """Give the URL of an empty schema of the server's database, removed afterwards."""
    from sqlalchemy import create_engine, make_url, text

    name = f"test_{secrets.token_hex(6)}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE SCHEMA {name}"))
    try:
        url = make_url(server).update_query_dict({"options": f"-csearch_path={name}"})
        yield url.render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.execute(text(f"DROP SCHEMA {name} CASCADE"))
        engine.dispose()


@pytest.fixture(params=backends())
def url(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """The configured registry.url."""
    if request.param == "sqlite":
        yield None
    else:
        with empty_schema(postgres_server()) as url:
            yield url


@contextlib.contextmanager
def memory_folder() -> Iterator[Path]:
    """Give a folder in memory where there is one: these tests fsync a lot, and none of them cuts the power."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture
def root() -> Iterator[Path]:
    """A folder of `memory_folder`."""
    with memory_folder() as folder:
        yield folder


@pytest.fixture
def config(root: Path, url: str | None) -> Config:
    return mosaics.config_below(root, registry={"url": url}, publish={"claim_s": 60.0, "max_attempts": 3})


@functools.cache
def _empty_registry() -> bytes:
    """Return the SQLite file of a registry without rows: making its tables takes as long as a test."""
    with memory_folder() as folder:
        file = folder / "registry.sqlite3"
        open_sqlite(file).close()
        return file.read_bytes()


@pytest.fixture
def registry(config: Config) -> Iterator[Registry]:
    if config.registry.url is None:
        file = config.layout.registry_file
        file.parent.mkdir(parents=True)
        file.write_bytes(_empty_registry())
    with contextlib.closing(open_registry(config)) as opened:
        yield opened


@pytest.fixture
def sqlite_config(root: Path) -> Config:
    """For what has nothing to do with the kind of database."""
    return mosaics.config_below(root, publish={"claim_s": 60.0, "max_attempts": 3})
