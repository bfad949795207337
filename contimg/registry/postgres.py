"""Connections to a PostgreSQL server: none waits without a limit, whatever server, network and other clients do.

Four limits, each for a different fault:

* connecting, and TCP keepalives, for a machine or network that is gone;
* ``lock_timeout`` and ``statement_timeout``, which the server keeps, for other clients and for slow statements;
* ``idle_in_transaction_session_timeout``, by which the server ends the transaction of a client that was stopped, so
  that others waiting for its lock go on;
* a limit in this process on waiting for an answer, for a server process that is frozen and keeps no limit itself.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

CONNECT_S = 10
IDLE_S = 0.5  # a connection that was not used for so long is asked whether it is still there
IDLE_IN_TRANSACTION_S = 20.0
# Longer than the limit before, so that who waits for a stopped client is served.
LOCK_S = 45.0
STATEMENT_S = 60.0
# Longer than all of the server's, so that it is the server that says what happened while it can.
ANSWER_S = 75.0
_KEEPALIVE = {
    "keepalives": 1, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 30_000,
}  # fmt: skip
# What server, role and URL do not set otherwise: rows that a policy hides are an error, else they would count as lost;
# floating-point numbers arrive with all their digits.
_ALWAYS = {"row_security": "off", "extra_float_digits": "3"}


def make_engine(url: URL) -> Engine:
    """Return an engine for a PostgreSQL server; the limits that the URL's query sets itself are kept.

    Transactions are READ COMMITTED, whatever the server's default: a writer waits for its product's lock in its first
    statement, and must then see what the one before it wrote.
    """
    given = dict(url.query)
    limits = {
        "lock_timeout": LOCK_S,
        "statement_timeout": STATEMENT_S,
        "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_S,
    }
    options = " ".join(f"-c {name}={round(limit_s * 1000)}" for name, limit_s in limits.items())
    own = given.get("options", "")  # the later setting counts
    arguments: dict[str, Any] = {"connect_timeout": CONNECT_S, **_KEEPALIVE}
    arguments = {name: value for name, value in arguments.items() if name not in given}
    always = " ".join(f"-c {name}={value}" for name, value in _ALWAYS.items())
    arguments["options"] = f"{options} {own if isinstance(own, str) else ' '.join(own)} {always}"
    arguments["client_encoding"] = "utf8"
    engine = create_engine(url, connect_args=arguments, isolation_level="READ COMMITTED")
    event.listen(engine, "connect", _wait_for_disk)
    event.listen(engine, "checkin", _note_use)
    event.listen(engine, "checkout", _ping_if_idle)
    if url.get_driver_name() == "psycopg":
        event.listen(engine, "do_connect", _connect)
    return engine


def dropped_settings(connection: Connection) -> list[str]:
    """Return the settings of `_ALWAYS` that a connection does not have, as a connection pooler may drop them all."""
    columns = ", ".join(f"current_setting('{name}')" for name in _ALWAYS)
    found = connection.execute(text(f"SELECT {columns}")).one()
    return [name for name, value in zip(_ALWAYS, found, strict=True) if value != _ALWAYS[name]]


def _wait_for_disk(connection: Any, _record: object) -> None:
    """Let commits wait for the server's disk where role, database or URL say that they need not.

    What is said to be recorded must outlive a crash of the server. Those that wait in another way (``local``,
    ``remote_apply``) go on doing so.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
        )
    connection.commit()


def _note_use(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info["used_s"] = time.monotonic()


def _ping_if_idle(connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:
    """Look whether a connection that was idle is still there; one that was used just now need not be asked.

    Raises
    ------
    DisconnectionError
        For SQLAlchemy, which makes a new one.
    """
    if time.monotonic() - record.info.get("used_s", time.monotonic()) < IDLE_S:
        return
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        connection.rollback()
    except connection.Error as error:
        raise DisconnectionError(str(error)) from error


def _connect(_dialect: object, _record: object, arguments: list[Any], keywords: dict[str, Any]) -> Any:
    """Connect with a class of connections whose waiting for the server is limited."""
    import psycopg

    class LimitedConnection(psycopg.Connection[Any]):
        def wait(self, gen: Generator[Any, Any, Any], *args: Any, **kwargs: Any) -> Any:
            return super().wait(_limited(self, gen), *args, **kwargs)

    return LimitedConnection.connect(*arguments, **keywords)


def _limited(connection: Any, exchange: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """Pass an exchange with the server on, and end it, with the connection, when it takes longer than `ANSWER_S`.

    psycopg resumes it at each answer, and ten times a second without one.
    """
    import psycopg

    deadline_s = time.monotonic() + ANSWER_S
    try:
        wanted = next(exchange)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() > deadline_s:
                connection.pgconn.finish()  # a late answer must not be taken for another question's
                raise psycopg.OperationalError(f"the connection's server did not answer within {ANSWER_S:.0f} s")
            wanted = exchange.send(ready)
    except StopIteration as done:
        return done.value
