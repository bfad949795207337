"""Connections to a server that freezes, has other defaults, or is limited by the URL: nothing waits for ever."""

import contextlib
import socket
import threading
import time

import pytest
from sqlalchemy import make_url, text

from contimg.errors import ConfigError, RegistryError
from contimg.publishing import scrub
from contimg.registry import engine, postgres, queries, verifications
from contimg.registry.engine import open_url
from contimg.registry.refusals import RegistryUnavailable, RegistryUncertain
from contimg.registry.relative_paths import Roots
from tests.support import mosaics
from tests.support.databases import empty_schema, postgres_server

pytestmark = pytest.mark.postgres


@pytest.fixture
def server_url():
    with empty_schema(postgres_server()) as url:
        yield make_url(url)


class Proxy:
    """A server in between that passes bytes on until it is frozen: connections stay open and nobody answers."""

    def __init__(self, host, port):
        self._target, self._open = (host, port), threading.Event()
        self._open.set()
        self._sockets = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                self._sockets += [client, server]
                for one, other in ((client, server), (server, client)):
                    threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, one, other):
        with contextlib.suppress(OSError):
            while content := one.recv(65536):
                self._open.wait()
                other.sendall(content)
            other.shutdown(socket.SHUT_WR)

    def freeze(self):
        self._open.clear()

    def thaw(self):
        self._open.set()

    def close(self):
        self._open.set()
        for one in (self._listener, *self._sockets):
            one.close()


@pytest.fixture
def proxy(server_url):
    made = Proxy(server_url.host, server_url.port or 5432)
    yield made
    made.close()


def through(url, proxy):
    return url.set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False)


def test_a_frozen_server_is_given_up(server_url, proxy, monkeypatch):
    with contextlib.closing(open_url(through(server_url, proxy))) as registry:
        monkeypatch.setattr(postgres, "ANSWER_S", 1.0)
        with registry.read() as connection:
            assert connection.execute(text("SELECT 1")).scalar_one() == 1
        proxy.freeze()
        started = time.monotonic()
        with (
            pytest.raises(RegistryUnavailable, match=r"(did not answer within 1 s|timeout expired).*start the server"),
            registry.transaction() as connection,
        ):
            connection.execute(text("SELECT 1"))
        assert 1 <= time.monotonic() - started < 25
        proxy.thaw()
        with registry.read() as connection:  # a connection of its own: the late answer is nobody's
            assert connection.execute(text("SELECT 2")).scalar_one() == 2


def test_a_server_that_freezes_at_the_commit_is_given_up(server_url, proxy, monkeypatch):
    with contextlib.closing(open_url(through(server_url, proxy))) as registry:
        monkeypatch.setattr(postgres, "ANSWER_S", 1.0)
        with pytest.raises(RegistryUnavailable), registry.transaction() as connection:
            connection.execute(text("SELECT 1"))
            proxy.freeze()


def test_of_what_was_lost_at_the_commit_it_is_not_said_that_nothing_was_written(server_url, proxy, monkeypatch):
    """The server commits what it was asked to, and its answer is lost."""
    with contextlib.closing(open_url(through(server_url, proxy))) as registry:
        monkeypatch.setattr(postgres, "ANSWER_S", 1.0)
        with (
            pytest.raises(RegistryUncertain, match=r"whether it was recorded is not known"),
            registry.transaction() as connection,
        ):
            connection.execute(text("INSERT INTO tiles (tile_id, date, synthetic) VALUES ('t', 'd', true)"))
            proxy.freeze()
        proxy.thaw()
        with registry.read() as connection:
            assert connection.execute(text("SELECT count(*) FROM tiles")).scalar_one() in (0, 1)


def test_what_the_server_itself_refuses_at_the_commit_was_not_written(server_url):
    with contextlib.closing(open_url(server_url.render_as_string(hide_password=False))) as registry:
        with registry.transaction() as connection:
            connection.execute(text("CREATE TABLE once (a int UNIQUE DEFERRABLE INITIALLY DEFERRED)"))
        with (
            pytest.raises(RegistryError, match=r"duplicate key.*: nothing was written by it"),
            registry.transaction() as connection,
        ):
            connection.execute(text("INSERT INTO once VALUES (1), (1)"))


def test_a_server_that_never_answers_is_given_up_when_connecting(server_url, proxy, monkeypatch):
    monkeypatch.setattr(postgres, "CONNECT_S", 2)
    proxy.freeze()
    started = time.monotonic()
    with pytest.raises(RegistryUnavailable):
        open_url(through(server_url, proxy))
    assert time.monotonic() - started < 12


def shown(registry, *names):
    with registry.read() as connection:
        return [connection.execute(text(f"SHOW {name}")).scalar_one() for name in names]


def test_limits_are_set_and_those_of_the_url_are_kept(server_url):
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    with contextlib.closing(open_url(server_url.render_as_string(hide_password=False))) as registry:
        assert shown(registry, *names) == ["1min", "45s", "20s"]
    own = server_url.update_query_dict({"options": f"{server_url.query['options']} -clock_timeout=3s"})
    with contextlib.closing(open_url(own.render_as_string(hide_password=False))) as registry:
        assert shown(registry, *names) == ["1min", "3s", "20s"]


def test_a_statement_that_takes_too_long_is_ended_by_the_server(server_url, monkeypatch):
    monkeypatch.setattr(postgres, "STATEMENT_S", 0.2)
    with (
        contextlib.closing(open_url(server_url.render_as_string(hide_password=False))) as registry,
        pytest.raises(RegistryUnavailable, match="statement timeout"),
        registry.read() as connection,
    ):
        connection.execute(text("SELECT pg_sleep(5)"))


def test_a_lock_that_another_client_holds_is_given_up(server_url, monkeypatch):
    monkeypatch.setattr(postgres, "LOCK_S", 0.2)
    url = server_url.render_as_string(hide_password=False)
    with contextlib.closing(open_url(url)) as one, contextlib.closing(open_url(url)) as other, one.transaction("a"):
        with pytest.raises(RegistryUnavailable, match="lock timeout"), other.transaction("a"):
            pass
        with other.transaction("b"):  # of another product
            pass


def test_an_idle_connection_that_the_server_ended_is_made_anew(server_url, monkeypatch):
    """As after a restart of the server: what was idle is asked first whether it is still there."""
    monkeypatch.setattr(postgres, "IDLE_S", 0.0)
    url = server_url.render_as_string(hide_password=False)
    with contextlib.closing(open_url(url)) as one, contextlib.closing(open_url(url)) as other:
        with one.read() as connection:
            process = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with other.read() as connection:
            assert connection.execute(text("SELECT pg_terminate_backend(:p, 5000)"), {"p": process}).scalar_one()
        with one.read() as connection:
            assert connection.execute(text("SELECT pg_backend_pid()")).scalar_one() != process


def test_work_that_one_process_does_at_a_time_is_not_waited_for_without_a_limit(server_url, monkeypatch):
    url = server_url.render_as_string(hide_password=False)
    with contextlib.closing(open_url(url)) as one, contextlib.closing(open_url(url)) as other, one.exclusive("gallery"):
        monkeypatch.setattr(engine, "EXCLUSIVE_S", 0.2)
        message = "another process has worked on 'gallery' for 0 s: rerun the same command when it has ended"
        with pytest.raises(RegistryUnavailable, match=message), other.exclusive("gallery"):
            pass
        with other.exclusive("tables"):
            pass


@pytest.mark.parametrize("level", ["repeatable\\ read", "serializable"])
def test_writers_see_what_the_one_before_wrote_whatever_the_servers_default(server_url, level):
    """A reader of a stale snapshot would count 1 twice, or be refused by the server."""
    default = f"{server_url.query['options']} -cdefault_transaction_isolation={level}"
    url = server_url.update_query_dict({"options": default}).render_as_string(hide_password=False)
    with contextlib.closing(open_url(url)) as registry:
        with registry.transaction() as connection:
            connection.execute(text("CREATE TABLE counted (n integer)"))
            connection.execute(text("INSERT INTO counted VALUES (0)"))

        def add():
            for _ in range(5):
                with registry.transaction("counted") as connection:
                    n = connection.execute(text("SELECT n FROM counted")).scalar_one()
                    time.sleep(0.01)
                    connection.execute(text("UPDATE counted SET n = :n"), {"n": n + 1})

        threads = [threading.Thread(target=add) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with registry.read() as connection:
            assert connection.execute(text("SELECT n FROM counted")).scalar_one() == 15


def test_a_password_in_the_query_of_the_url_is_not_named(server_url):
    url = server_url.set(password=None, port=1).update_query_dict({"password": "secret"})
    with pytest.raises(RegistryUnavailable) as raised:
        open_url(url.render_as_string(hide_password=False))
    assert "secret" not in str(raised.value) and str(server_url.host) in str(raised.value)


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg://u:a@secret@127.0.0.1:1/x", "postgresql+psycopg://u:secret@h:54x/x"]
)
def test_a_password_that_was_not_encoded_is_not_named(url):
    """Of one with an @ the rest was printed as the host; a port that is no number was a traceback."""
    with pytest.raises(ConfigError, match=r"'registry.url' (holds more than one @|is not a database URL)") as raised:
        open_url(url)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("option", ["-cdefault_transaction_read_only=on", ""])
def test_who_may_only_read_verifies_without_noting_it(server_url, root, option):
    """As on a standby, or after ALTER DATABASE ... SET default_transaction_read_only."""
    config = mosaics.config_below(root, registry={"url": server_url.render_as_string(hide_password=False)})
    mosaics.run(config)
    url = server_url.update_query_dict({"options": f"{server_url.query['options']} {option}".strip()})
    with contextlib.closing(open_url(url.render_as_string(hide_password=False), _roots(config))) as reader:
        assert reader.read_only is bool(option)
        (found,) = scrub.scrub(reader, note=not reader.read_only)
        assert found["ok"]
        if option:
            with pytest.raises(RegistryError, match=r"read-only transaction.*let this user write to the database"):
                verifications.note(reader, queries.get(reader, mosaics.MOSAIC), right=True)


def _roots(config):
    layout = config.layout
    return Roots(layout.incoming, layout.stage, layout.products)
