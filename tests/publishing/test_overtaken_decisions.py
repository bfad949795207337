"""Persons who are stopped between recording a decision and carrying it out: what others decided meanwhile stays."""

import errno
import json

import pytest

from contimg.bundle.record import decisions_in, read_record
from contimg.errors import RegistryError
from contimg.publishing import (
    checkpoints,
    decisions,
    differences,
    places,
    reconcile_bytes,
    reconcile_decisions,
    reconcile_places,
)
from contimg.publishing.places import Places
from contimg.publishing.publish import publish
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.reconcile import reconcile
from contimg.publishing.recording import recorded
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry import queries
from tests.faults import injection
from tests.support import mosaics
from tests.support.mosaics import run

ID = mosaics.MOSAIC


@pytest.fixture
def at():
    """Return a function that does something at a checkpoint, once."""
    yield injection.at_checkpoint
    checkpoints.hook = None


@pytest.fixture
def published(registry, config):
    run(config)
    return config.layout


def standing(registry, layout):
    """Return the state of the row, where the bundle stands, and the last decision."""
    row = queries.get(registry, ID)
    where = Places.of(layout, row)
    names = [name for name in ("sight", "hidden") if getattr(where, name).is_dir()]
    with registry.read() as connection:
        known = recorded(connection, row)
    return row["status"], names, known[-1].decision


def test_a_restoration_that_was_stopped_does_not_undo_a_later_withdrawal(registry, published, at):
    decisions.withdraw(registry, published, ID, "wrong flux scale")

    def others():
        reconcile(registry, published)
        assert standing(registry, published) == ("published", ["sight"], "restored")
        decisions.withdraw(registry, published, ID, "wrong all the same")

    at("restore:recorded", others)
    decisions.restore(registry, published, ID, "it was right")
    assert standing(registry, published) == ("withdrawn", ["hidden"], "withdrawn")
    assert reconcile(registry, published) == []


def test_what_is_restored_and_not_moved_yet_is_not_copied_as_well(registry, published, at):
    """A publisher claims it in the moment between; two copies would need a person."""
    decisions.withdraw(registry, published, ID, "wrong flux scale")

    def others():
        publish(registry, published, ID, claim_s=60, max_attempts=3)
        assert standing(registry, published) == ("published", ["sight"], "restored")

    at("restore:recorded", others)
    decisions.restore(registry, published, ID, "it was right")
    assert standing(registry, published) == ("published", ["sight"], "restored")
    assert reconcile(registry, published) == []


@pytest.mark.parametrize("name", ["withdraw:recorded", "withdraw:hidden"])
def test_a_withdrawal_that_was_stopped_does_not_undo_a_later_restoration(registry, published, at, name):
    def others():
        reconcile(registry, published)
        assert standing(registry, published) == ("withdrawn", ["hidden"], "withdrawn")
        decisions.restore(registry, published, ID, "it was right")

    at(name, others)
    decisions.withdraw(registry, published, ID, "wrong flux scale")
    assert standing(registry, published) == ("published", ["sight"], "restored")
    assert reconcile(registry, published) == []


def decide_twice(registry, layout):
    """Withdraw and restore: the columns of the row are then as they were before."""
    before = dict(queries.get(registry, ID))
    decisions.withdraw(registry, layout, ID, "wrong flux scale")
    decisions.restore(registry, layout, ID, "it was right")
    assert dict(queries.get(registry, ID)) == before


def test_what_was_withdrawn_and_restored_while_reconciling_read_it_stays_in_sight(registry, published):
    """It read the record between the two, and would withdraw once more what a person has restored."""
    scope = differences.Scope(registry, published, ID, dry_run=False)
    (row,) = scope.rows()
    decisions.withdraw(registry, published, ID, "wrong flux scale")
    with registry.read() as connection:
        lost = recorded(connection, row)
    decisions.restore(registry, published, ID, "it was right")
    assert reconcile_decisions._apply(scope, row, [], lost, Places.of(published, row)) is False
    assert standing(registry, published) == ("published", ["sight"], "restored")


def test_what_was_withdrawn_and_restored_while_reconciling_looked_for_it_is_not_missing(registry, published):
    """It looked for the bundle between the two, and would give a whole one back to staging."""
    scope = differences.Scope(registry, published, ID, dry_run=False)
    (row,) = scope.rows("published")
    decide_twice(registry, published)
    assert reconcile_bytes._unpublish(scope, row, Places.of(published, row), "it is missing", None) is False
    assert standing(registry, published) == ("published", ["sight"], "restored")


@pytest.mark.parametrize("begun", ["withdraw", "restore"])
def test_reconciling_that_was_stopped_moves_nothing_that_was_decided_otherwise(
    registry, published, at, monkeypatch, begun
):
    """It has seen a decision that was not carried out; before it does that, others carry it out and decide anew."""
    other = {"withdraw": "restore", "restore": "withdraw"}[begun]
    if begun == "restore":
        decisions.withdraw(registry, published, ID, "wrong flux scale")

    class Died(BaseException):
        pass

    def die():
        raise Died

    at(f"{begun}:recorded", die)
    with pytest.raises(Died):
        getattr(decisions, begun)(registry, published, ID, "decided, and not carried out")
    checkpoints.hook = None
    move, after = reconcile_places._move, {}

    def stopped(*args):
        if not after:
            after["begun"] = True
            reconcile(registry, published)
            getattr(decisions, other)(registry, published, ID, "decided anew")
            after["standing"] = standing(registry, published)
        return move(*args)

    monkeypatch.setattr(reconcile_places, "_move", stopped)
    reconcile(registry, published)
    assert standing(registry, published) == after["standing"]
    monkeypatch.undo()
    assert reconcile(registry, published) == []


def test_a_decision_that_is_on_record_in_part_says_how_it_is_finished(registry, published, monkeypatch):
    """One copy of the bundle has the decision, and the disk of the other is full."""
    write = places.write_record

    def full(root, path, *rest):
        if path.is_relative_to(published.stage):
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write(root, path, *rest)

    monkeypatch.setattr(places, "write_record", full)
    with pytest.raises(RegistryError, match=f"No space left on device.*'contimg reconcile {ID}'"):
        decisions.withdraw(registry, published, ID, "wrong flux scale")
    monkeypatch.undo()
    assert {one.code for one in reconcile(registry, published, ID)} >= {"decision_lost", "not_hidden"}
    assert standing(registry, published) == ("withdrawn", ["hidden"], "withdrawn")


def test_a_decision_that_is_nowhere_on_record_can_be_typed_again(registry, published, monkeypatch):
    def full(_root, path, *_rest):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(places, "write_record", full)
    with pytest.raises(RegistryError, match=r"was not withdrawn.*type the same command again"):
        decisions.withdraw(registry, published, ID, "wrong flux scale")
    monkeypatch.undo()
    decisions.withdraw(registry, published, ID, "wrong flux scale")
    assert standing(registry, published) == ("withdrawn", ["hidden"], "withdrawn")


@pytest.mark.parametrize("reasons", [[], [mosaics.WARNING]], ids=["passed", "warning"])
def test_what_was_rejected_before_it_was_judged_stays_rejected(registry, config, at, reasons):
    """Found by the history check over PostgreSQL: judging set the state anew, and what had passed was published."""
    mosaics.make_mosaic(config, reasons=reasons)
    at("register:committed", lambda: decisions.reject(registry, config.layout, ID, "not this one"))
    register_mosaic(ID, config)
    assert queries.get(registry, ID)["status"] == "rejected"
    assert publish_mosaic(ID, config, waits_s=()).status == "rejected"
    assert standing(registry, config.layout) == ("rejected", [], "rejected")
    assert reconcile(registry, config.layout) == []


@pytest.mark.parametrize("record", ["edited", "without_decisions"])
def test_a_decision_that_comes_while_a_record_is_repaired_stays_in_it(registry, config, monkeypatch, record):
    """Found by a simulated history: the repair wrote the decisions of before, and a rejection was off the disk."""
    run(config, reasons=[mosaics.WARNING])
    decisions.approve(registry, config.layout, ID, "looks right to me")
    row = queries.get(registry, ID)
    stage = Places.of(config.layout, row).stage
    path = stage / "publication.json"
    content = json.loads(path.read_text())
    content |= {"created_at": "2020-01-01T00:00:00Z"} if record == "edited" else {"decisions": []}
    path.chmod(0o644)
    path.write_text(json.dumps(content))
    repair = differences.Scope.repair

    def overtaken(scope, difference, action):
        monkeypatch.undo()
        decisions.reject(registry, config.layout, ID, "wrong all the same")
        return repair(scope, difference, action)

    monkeypatch.setattr(differences.Scope, "repair", overtaken)
    reconcile(registry, config.layout, ID)
    with registry.read() as connection:
        known = recorded(connection, row)
    assert [one.decision for one in known] == ["approved", "rejected"]
    assert set(decisions_in(read_record(stage), stage)) == set(known)
    reconcile(registry, config.layout, ID)
    assert reconcile(registry, config.layout, ID) == []
    assert json.loads(path.read_text())["created_at"] == row["created_at"]
