"""Safeguards that are taken away on purpose: then trials break a promise; otherwise they would prove nothing."""

import contextlib

import pytest

from contimg.publishing import claims, copying, decisions, publish, reconcile_decisions, recording, register
from contimg.publishing.reconcile import reconcile
from contimg.registry import queries
from contimg.registry.engine import Registry
from contimg.storage import trees
from contimg.trials import promises
from contimg.trials.bench import Bench
from tests.support.databases import memory_folder
from tests.trials.test_power_cuts import GROUPS, Cut


@pytest.fixture(scope="module")
def bench():
    with memory_folder() as folder:
        made = Bench(folder / "world")
        yield made
        made.registry.close()


def stopped(bench, call, number=1):
    """Return the promises that break where a publisher is stopped at its n-th call of a kind, for long."""
    cut = Cut(bench, 1)
    seen = []

    def stop(process, passed):
        seen.append(passed)
        if passed == call and seen.count(call) == number and process.owner.pid == 100:
            cut.history.stopped.append(process)
            cut.world.machine.pause()

    with cut.world.installed(cut.history.disk, cut.history.database):
        mosaic_id = cut.make(GROUPS[0], "passed")
        first = cut.world.machine.start(lambda: cut.world.work(mosaic_id))
        cut.world.machine.hook = stop
        cut.world.machine.resume(first)
        assert first.ended is None, "it was stopped"
        cut.history._settle()
    return cut.history.outcome.problems


def killed(bench, call, number, verdict="passed"):
    """Return the promises that are broken just after a publisher was killed at its n-th call of a kind."""
    cut, seen = Cut(bench, 1), []

    def kill(process, passed):
        seen.append(passed)
        if passed == call and seen.count(call) == number:
            cut.world.machine.kill(process)

    with cut.world.installed(cut.history.disk, cut.history.database):
        mosaic_id = cut.make(GROUPS[0], verdict)
        process = cut.world.machine.start(lambda: cut.world.work(mosaic_id))
        cut.world.machine.hook = kill
        cut.world.machine.resume(process)
        assert process.ended in ("killed", "clean"), process.ended
        cut.world.machine.hook = lambda *_: None
        found = promises.at_any_time(cut.world) + promises.sure(cut.world) + promises.synced(cut.world)
        cut.history.finish("in the end")
    return found + cut.history.outcome.problems


RENAMES = 2  # of a publication: of its copy to the final name; the first is that of the staged bundle


def test_a_publisher_that_is_stopped_is_overtaken(bench):
    assert stopped(bench, "renameat2", RENAMES) == []


def test_claims_that_never_expire_are_noticed(bench, monkeypatch):
    original = claims._left_s

    def never(connection, row):
        return 900.0 if original(connection, {**row, "claim_expires_unix_s": 1e12}) > 0 else 0.0

    monkeypatch.setattr(claims, "_left_s", never)
    monkeypatch.setattr(claims, "is_abandoned", lambda registry, row: False)
    assert any(
        "does not finish" in text and "is being published" in text for text in stopped(bench, "renameat2", RENAMES)
    )


def test_copies_that_are_not_fenced_are_noticed(bench, monkeypatch):
    """Removing the copy of a stopped publisher in place, without renaming it away first, lets it show half of it."""

    def discard(parent, name):
        with contextlib.suppress(FileNotFoundError):
            trees.remove_tree(parent, f"{name}/{GROUPS}")

    monkeypatch.setattr(copying, "fence", lambda *_: None)
    monkeypatch.setattr(trees, "discard", discard)
    assert stopped(bench, "renameat2", RENAMES)


COMMITS = 30  # those of read transactions count


@pytest.mark.parametrize("number", range(1, COMMITS, 4))
def test_killed_at_any_commit(bench, number):
    assert killed(bench, "committed", number) == []


def test_a_rename_outside_its_transaction_is_noticed(bench, monkeypatch):
    place, transaction, waiting = register._place, Registry.transaction, []

    @contextlib.contextmanager
    def then_rename(self, *args, **options):
        with transaction(self, *args, **options) as connection:
            yield connection
        while waiting:
            place(*waiting.pop())

    monkeypatch.setattr(register, "_place", lambda *args: waiting.append(args))
    monkeypatch.setattr(Registry, "transaction", then_rename)
    assert any("a row without its bundle" in text for n in range(1, COMMITS) for text in killed(bench, "committed", n))


def test_a_row_that_is_committed_before_its_rename_is_noticed(bench, monkeypatch):
    """Publishing that records first and renames afterwards."""
    original = publish._transfer

    def recorded_first(registry, layout, row, claim, *, read_only):
        claims.record_published(registry, claim, str(layout.bundle(row["data_id"], row["version"])))
        return original(registry, layout, row, claim, read_only=read_only)

    monkeypatch.setattr(publish, "_transfer", recorded_first)
    assert killed(bench, "renameat2", RENAMES) != [] or stopped(bench, "renameat2", RENAMES) != []


def decided(bench, command, verdict="passed"):
    """Return the promises that break when a decision is taken, and an older backup is restored after it."""
    cut = Cut(bench, 1)
    with cut.world.installed(cut.history.disk, cut.history.database):
        mosaic_id = cut.make(GROUPS[0], verdict)
        cut.world.work(mosaic_id)
        before = cut.world.back_up()
        cut.world.decision(command, queries.get(cut.world.registry, mosaic_id))()
        found = promises.sure(cut.world) + promises.synced(cut.world)
        with cut.world.disaster():
            cut.world.restore_backup(before)
        cut.history.database.adopt()
        reconcile(cut.world.registry, cut.world.layout)
        left = reconcile(cut.world.registry, cut.world.layout)
        return found + promises.settled(cut.world, left)


@pytest.mark.parametrize(
    ("command", "verdict"), [("withdraw", "passed"), ("reject", "warning"), ("approve", "warning")]
)
def test_decisions_survive_an_older_backup(bench, command, verdict):
    assert decided(bench, command, verdict) == []


@pytest.mark.parametrize("module", [reconcile_decisions, decisions])
def test_decisions_that_are_not_read_from_the_disk_are_noticed(bench, monkeypatch, module):
    if module is reconcile_decisions:
        monkeypatch.setattr(reconcile_decisions, "unknown_to", lambda _known, _found: [])
        assert any("lost the decision" in text for text in decided(bench, "withdraw"))
    else:
        monkeypatch.setattr(decisions.Places, "record", lambda *_, **__: None)
        assert decided(bench, "withdraw") != []


def test_an_unapproved_mosaic_in_sight_is_noticed(bench, monkeypatch):
    from contimg.publishing import finalize

    monkeypatch.setattr(finalize.metadata, "verdict", lambda _twins: "passed")
    monkeypatch.setattr(publish, "_check_row", lambda *_: None)
    monkeypatch.setattr(recording, "contradiction", lambda *_: None)
    cut = Cut(bench, 1)
    with cut.world.installed(cut.history.disk, cut.history.database):
        cut.world.work(cut.make(GROUPS[0], "failed"))
        assert any("nobody approved" in text for text in promises.at_any_time(cut.world))
