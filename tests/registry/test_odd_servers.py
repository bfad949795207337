"""Servers, roles and connection poolers that are set up in odd but legal ways: the same answers, or one sentence."""

import contextlib
import struct

import pytest
from sqlalchemy import create_engine, make_url, text

from contimg.errors import ConfigError, RegistryError
from contimg.publishing import decisions
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.reconcile import reconcile
from contimg.registry import queries
from contimg.registry.engine import open_registry, open_url
from contimg.registry.identity import server_place
from tests.registry.test_postgres import Proxy, through
from tests.support import mosaics
from tests.support.databases import empty_schema, postgres_server

pytestmark = pytest.mark.postgres
ID = mosaics.MOSAIC
REASON = "zu großer Fehler → siehe Ω"


@pytest.fixture
def server_url():
    with empty_schema(postgres_server()) as url:
        yield make_url(url)


def with_option(url, option):
    return url.update_query_dict({"options": f"{url.query['options']} {option}"})


def typed(url):
    return url.render_as_string(hide_password=False)


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII", "EUC_JP"])
@pytest.mark.parametrize("way", ["option", "query", "environment"])
def test_texts_travel_as_utf8_whatever_encoding_is_set(server_url, root, monkeypatch, encoding, way):
    url = server_url
    if way == "option":
        url = with_option(url, f"-cclient_encoding={encoding}")
    elif way == "query":
        url = url.update_query_dict({"client_encoding": encoding})
    else:
        monkeypatch.setenv("PGCLIENTENCODING", encoding)
    config = mosaics.config_below(root, registry={"url": typed(url)})
    mosaics.run(config)
    with contextlib.closing(open_registry(config)) as registry:
        decisions.withdraw(registry, config.layout, ID, REASON)
        assert queries.get(registry, ID)["closed_reason"] == REASON
        assert reconcile(registry, config.layout, ID) == []


@pytest.mark.parametrize("digits", [-15, 0])
def test_numbers_arrive_with_all_their_digits(server_url, digits):
    """The end of a claim is read so: 1 764 283 229 s with one digit is eight years later."""
    with contextlib.closing(open_url(typed(with_option(server_url, f"-cextra_float_digits={digits}")))) as registry:
        with registry.read() as connection:
            found = connection.execute(text("SELECT 1764283229.1234567::float8")).scalar_one()
        assert found == 1764283229.1234567


@pytest.mark.parametrize(("given", "kept"), [("off", "on"), ("local", "local"), ("remote_apply", "remote_apply")])
def test_commits_wait_for_the_disk_whatever_is_set(server_url, given, kept):
    """A decision that was said to be recorded would be lost in a crash of the server otherwise."""
    url = typed(with_option(server_url, f"-csynchronous_commit={given}"))
    found = []
    with contextlib.closing(open_url(url)) as registry:
        for durable in (True, False, True):
            with registry.transaction(durable=durable) as connection:
                found.append(connection.exec_driver_sql("SHOW synchronous_commit").scalar_one())
    assert found == [kept, "off", kept]


def test_options_that_are_given_twice_hold_both(server_url):
    given = [server_url.query["options"], "-cDateStyle=SQL", "-cstatement_timeout=7000"]
    url, names = typed(server_url.set(query={"options": given})), ("DateStyle", "statement_timeout")
    with contextlib.closing(open_url(url)) as registry, registry.read() as connection:
        found = [connection.exec_driver_sql(f"SHOW {name}").scalar_one() for name in names]
    assert found == ["SQL, MDY", "7s"]


def test_rows_that_a_policy_hides_are_not_taken_for_lost(server_url, root):
    """The table's owner sees them all, unless policies are forced on the owner as well."""
    config = mosaics.config_below(root, registry={"url": typed(server_url)})
    mosaics.run(config)
    role = make_url(typed(server_url)).username
    engine = create_engine(typed(server_url), isolation_level="AUTOCOMMIT")
    with contextlib.closing(open_registry(config)) as registry, engine.connect() as connection:
        (bypasses,) = connection.execute(
            text("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = :role"), {"role": role}
        ).one()
        if bypasses:
            pytest.skip("the tests' role sees all rows, whatever the policies")
        for statement in (
            "ALTER TABLE data_registry ENABLE ROW LEVEL SECURITY",
            "ALTER TABLE data_registry FORCE ROW LEVEL SECURITY",
            "CREATE POLICY staged ON data_registry USING (status <> 'published')",
        ):
            connection.execute(text(statement))
        for ask in (
            lambda: queries.get(registry, ID),
            lambda: reconcile(registry, config.layout),
            lambda: decisions.withdraw(registry, config.layout, ID, REASON),
        ):
            with pytest.raises(RegistryError, match=r"row-level security policy.*let this user see all rows"):
                ask()
        connection.execute(text("ALTER TABLE data_registry DISABLE ROW LEVEL SECURITY"))
        assert reconcile(registry, config.layout) == []
    engine.dispose()


class Pooler(Proxy):
    """Passes a connection on without its ``options``, as PgBouncer does with ``ignore_startup_parameters``."""

    def _pass(self, one, other):
        sent = self._sockets.index(one) % 2 == 0  # the client's side
        if sent:
            head = one.recv(65536)
            if struct.unpack("!I", head[4:8])[0] == 196608:
                words = head[8:].rstrip(b"\0").split(b"\0")
                pairs = [pair for pair in zip(words[::2], words[1::2], strict=True) if pair[0] != b"options"]
                body = b"".join(key + b"\0" + value + b"\0" for key, value in pairs) + b"\0"
                head = struct.pack("!II", len(body) + 8, 196608) + body
            other.sendall(head)
        super()._pass(one, other)


def test_a_pooler_that_drops_the_limits_on_waiting_is_refused(server_url):
    pooler = Pooler(server_url.host, server_url.port or 5432)
    url = make_url(through(server_url, pooler)).update_query_dict({"sslmode": "disable", "gssencmode": "disable"})
    with contextlib.closing(pooler), pytest.raises(ConfigError, match=r"row_security.*not a connection pooler"):
        open_url(typed(url))


def test_a_schema_that_was_made_later_does_not_move_the_registry(server_url, root):
    """As where a role gets a schema of its own name, which stands first in the search path."""
    (name,) = server_url.query["options"].removeprefix("-csearch_path=").split()
    url = server_url.set(query={"options": f"-csearch_path={name}_later,{name}"})
    config = mosaics.config_below(root, registry={"url": typed(url)})
    mosaics.run(config)
    engine = create_engine(typed(server_url), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE SCHEMA {name}_later"))
        try:
            with contextlib.closing(open_registry(config)) as registry:
                assert server_place(registry).endswith(f"/{name}")
                decisions.withdraw(registry, config.layout, ID, REASON)
                assert reconcile(registry, config.layout) == []
            assert publish_mosaic(ID, config, waits_s=()).status == "withdrawn"
        finally:
            connection.execute(text(f"DROP SCHEMA {name}_later CASCADE"))
    engine.dispose()
