"""What an SQLite registry keeps when the power is cut: what was committed durably, and a beginning of the rest."""

from random import Random

import pytest
from sqlalchemy import text

from contimg.trials import calls
from contimg.trials.database import Database
from contimg.trials.machine import Machine
from contimg.trials.world import config_below, open_shared


@pytest.fixture
def registry(root):
    config = config_below(root, None)
    opened = open_shared(config)
    yield opened
    opened.close()


def numbers(registry):
    with registry.read() as connection:
        return [
            int(one) for one in connection.execute(text("SELECT uuid FROM registry_identity ORDER BY uuid")).scalars()
        ]


def after_cut(registry, durable):
    """Write numbers, each in a transaction, then cut; return what is left for each of some seeds."""
    file, found = config_file(registry), set()
    for seed in range(20):
        with registry.transaction() as connection:
            connection.execute(text("DELETE FROM registry_identity"))
        database, machine = Database(file), Machine(seed)

        def write():
            for number, sure in enumerate(durable):
                with registry.transaction(durable=sure) as connection:
                    connection.execute(text("INSERT INTO registry_identity (uuid) VALUES (:n)"), {"n": str(number)})

        with calls.installed(machine, None, database):
            process = machine.start(write)
            machine.resume(process)
            assert process.ended == "clean", process.ended
        registry.engine.dispose()
        database.cut(Random(seed))
        found.add(tuple(numbers(registry)))
    return found


def config_file(registry):
    from pathlib import Path

    return Path(registry.where)


def test_durable_commits_are_sure(registry):
    assert after_cut(registry, [True, True, True]) == {(0, 1, 2)}


def test_others_are_lost_from_the_end(registry):
    assert after_cut(registry, [True, False, False]) == {(0,), (0, 1), (0, 1, 2)}


def test_a_durable_one_takes_those_before_it_along(registry):
    assert after_cut(registry, [False, False, True]) == {(0, 1, 2)}


def test_connections_that_are_used_again_are_durable_again(registry):
    """A transaction that need not be durable sets its connection to NORMAL; the next one gets it back as FULL."""
    with registry.transaction(durable=False) as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 1
    with registry.transaction() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
