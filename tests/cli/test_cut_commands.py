"""A database that is lost before any one statement of a command: what the message says to type leads to the end."""

import itertools
import re
import shlex
from datetime import datetime, timedelta

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError

from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry import queries
from contimg.registry.engine import open_registry
from tests.support import mosaics


@pytest.fixture
def cut():
    """Before how many statements the connection is lost, as the one element of a list."""
    left = [None]

    def before(*_arguments):
        if left[0] is not None:
            left[0] -= 1
            if left[0] == 0:
                left[0] = None
                raise OperationalError("SELECT 1", {}, Exception("server closed the connection unexpectedly"))

    event.listen(Engine, "before_cursor_execute", before)
    yield left
    event.remove(Engine, "before_cursor_execute", before)


@pytest.mark.parametrize("word", ["approve", "withdraw"])
def test_what_the_message_says_to_type_does_the_rest(program, sqlite_config, cut, word):
    for tried in itertools.count(1):
        time = datetime(2026, 2, 11) + timedelta(days=tried)
        reasons = [mosaics.WARNING] if word == "approve" else ()
        mosaic = mosaics.make_mosaic(sqlite_config, tiles=[time.isoformat()], reasons=reasons)
        register_mosaic(mosaic, sqlite_config)
        publish_mosaic(mosaic, sqlite_config, waits_s=())
        command = ("publish", word, mosaic, "--reason", "seen")
        cut[0] = tried
        done = program(*command)
        cut[0], passed = None, cut[0] is not None
        if done.code:
            typed = re.search(r"'contimg ([^']+)'", done.sentence)
            again = shlex.split(typed[1]) if typed else command
            assert typed or done.sentence.endswith("rerun the same command"), done
            assert program(*again).code in (0, 3), (tried, done, again)
        with open_registry(sqlite_config).read() as connection:
            row = queries.require(connection, mosaic)
        assert row["status"] == ("published" if word == "approve" else "withdrawn"), (tried, done)
        assert sqlite_config.layout.bundle(mosaic, 1).is_dir() is (word == "approve"), (tried, done)
        assert program("reconcile", mosaic).code == 0, (tried, done)
        if passed:
            break
    assert tried > 20
