"""Publishers that are stopped (Ctrl-Z, a debugger, a frozen node) in the wrong moment, and what the others do."""

import contextlib
import os
import signal
import time

import pytest
from sqlalchemy import update

from contimg.bundle import bundle
from contimg.errors import ContimgError
from contimg.publishing import checkpoints, claims, decisions
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.reconcile import reconcile
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry import postgres, queries
from contimg.registry.engine import open_registry
from contimg.registry.refusals import RegistryStalled
from contimg.registry.schema import data_registry
from tests.support import mosaics

ID = mosaics.MOSAIC


class Child:
    """A forked process that works until it stops itself by SIGSTOP, and later says how it ended."""

    def __init__(self, work):
        self._read, write = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                said = str(work())
            except ContimgError as error:
                said = f"{type(error).__name__}: {error}"
            except BaseException as error:  # noqa: BLE001  a finding, reported
                said = f"LEAKED {error!r}"
            os.write(write, said.encode()[:4000])
            os._exit(0)
        os.close(write)
        _, status = os.waitpid(self.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), os.read(self._read, 4000)

    def go_on(self) -> str:
        """Let it run to its end; return what it says."""
        os.kill(self.pid, signal.SIGCONT)
        with os.fdopen(self._read) as pipe:
            said = pipe.read()
        os.waitpid(self.pid, 0)
        self.pid = 0
        return said

    def end(self) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)


def stop_here():
    os.kill(os.getpid(), signal.SIGSTOP)


@pytest.fixture
def stopped_at(config):
    """Return a function that starts a publisher which stops at a checkpoint, with a claim of half a second."""
    children = []
    short = config.model_copy(update={"publish": config.publish.model_copy(update={"claim_s": 0.5})})

    def start(name):
        def work():
            checkpoints.hook = lambda passed: stop_here() if passed == name else None
            outcome = publish_mosaic(ID, short, waits_s=())
            return f"{outcome.status} {outcome.created}"

        children.append(Child(work))
        time.sleep(0.6)
        return children[-1]

    yield start
    for child in children:
        child.end()


@pytest.fixture
def registered(registry, config):
    mosaics.make_mosaic(config)
    return register_mosaic(ID, config)


def whole_or_absent(config):
    final = config.layout.bundle(ID, 1)
    return not final.exists() or bundle.verify(final).ok


@pytest.mark.parametrize("name", ["publish:file", "publish:copied", "publish:renaming"])
def test_one_whose_copy_was_removed_meanwhile_leaves_nothing_half_removed(
    registry, config, registered, stopped_at, name
):
    child = stopped_at(name)
    codes = [one.code for one in reconcile(registry, config.layout, ID)]
    assert "claim_left" in codes and "incoming_left" in codes
    said = child.go_on()
    assert said.startswith(("ClaimLost", "PublishFailed")), said
    assert not config.layout.bundle(ID, 1).exists() and queries.get(registry, ID)["status"] == "staging"
    assert publish_mosaic(ID, config, waits_s=()).created


@pytest.mark.parametrize("name", ["publish:claimed", "publish:file", "publish:renaming", "publish:renamed"])
def test_one_that_was_overtaken_says_what_the_other_made(registry, config, registered, stopped_at, name):
    child = stopped_at(name)
    assert publish_mosaic(ID, config, waits_s=()).status == "published"
    assert child.go_on() == "published False"
    assert bundle.verify(config.layout.bundle(ID, 1)).ok and reconcile(registry, config.layout) == []
    assert [e["event"] for e in queries.events(registry, ID)].count("published") == 1


@pytest.mark.parametrize("name", ["publish:file", "publish:renaming", "publish:renamed"])
def test_what_was_rejected_meanwhile_does_not_come_into_sight(registry, config, registered, stopped_at, name):
    child = stopped_at(name)
    with registry.transaction(lock=ID) as connection:  # as reconciling does; then a person rejects it at once
        assert claims.free_abandoned(connection, queries.latest(connection, ID))
    decisions.reject(registry, config.layout, ID, "wrong field")
    assert not config.layout.bundle(ID, 1).exists()
    assert "published" not in child.go_on()
    assert not config.layout.bundle(ID, 1).exists() and queries.get(registry, ID)["status"] == "rejected"


@pytest.fixture
def holder(config, registered):
    """A process that is stopped inside a transaction about the mosaic."""

    def work():
        with contextlib.closing(open_registry(config)) as own, own.transaction(lock=ID) as connection:
            connection.execute(update(data_registry).values(attempts=1))
            stop_here()
            connection.execute(update(data_registry).values(attempts=2))
        return "committed"

    child = Child(work)
    yield child
    child.end()


def test_one_stopped_inside_a_transaction_is_named_at_once(registry, config, holder):
    if config.registry.url is not None:
        pytest.skip("a server ends the transaction by itself")
    started = time.monotonic()
    with pytest.raises(RegistryStalled, match=rf"process {holder.pid}, which is stopped: 'kill -CONT {holder.pid}'"):
        publish_mosaic(ID, config)
    assert time.monotonic() - started < 10
    assert queries.get(registry, ID)["attempts"] == 0  # readers are not hindered
    assert holder.go_on() == "committed"
    assert publish_mosaic(ID, config, waits_s=()).created


def test_one_that_only_takes_long_inside_a_transaction_is_waited_for(registry, config, holder):
    os.kill(holder.pid, signal.SIGCONT)
    assert publish_mosaic(ID, config, waits_s=()).created
    assert holder.go_on() == "committed"


def test_a_server_ends_the_transaction_of_one_that_is_stopped(registry, config, registered, monkeypatch):
    if config.registry.url is None:
        pytest.skip("SQLite has no server")
    monkeypatch.setattr(postgres, "IDLE_IN_TRANSACTION_S", 1.0)

    def work():
        with contextlib.closing(open_registry(config)) as own, own.transaction(lock=ID):
            stop_here()
        return "committed"

    child = Child(work)
    try:
        started = time.monotonic()
        assert publish_mosaic(ID, config, waits_s=()).created
        assert time.monotonic() - started < 20
        assert child.go_on().startswith("RegistryUnavailable")
    finally:
        child.end()


@pytest.mark.parametrize("at", ["publish:claimed", "publish:copied"])
def test_that_somebody_else_publishes_it_is_a_success(registry, config, registered, at):
    """The first publisher is at work for a second; the second one waits for it, and did not create it."""

    def work():
        def hook(passed):
            if passed == at:
                stop_here()
                time.sleep(1)

        checkpoints.hook = hook
        return publish_mosaic(ID, config, waits_s=()).created

    child = Child(work)
    try:
        os.kill(child.pid, signal.SIGCONT)
        outcome = publish_mosaic(ID, config)
        assert (outcome.status, outcome.created) == ("published", False)
        assert child.go_on() == "True"
    finally:
        child.end()
