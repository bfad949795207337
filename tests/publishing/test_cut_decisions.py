"""A database that fails in the middle of a decision: it is said what is recorded, and which command does the rest."""

import pytest
from sqlalchemy.exc import OperationalError

from contimg.errors import RegistryError
from contimg.publishing import checkpoints, decisions
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.reconcile import reconcile
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry import queries
from contimg.registry.refusals import RegistryUnavailable, RegistryUncertain
from tests.support import mosaics

ID = mosaics.MOSAIC


def fail_at(monkeypatch, name):
    """Let the database's connection be cut at a named point, once."""
    left = [name]

    def hook(point):
        if point in left:
            left.clear()
            raise OperationalError("SELECT 1", {}, Exception("server closed the connection unexpectedly"))

    monkeypatch.setattr(checkpoints, "hook", hook)


@pytest.fixture
def held(registry, config):
    mosaics.make_mosaic(config, reasons=[mosaics.WARNING])
    register_mosaic(ID, config)


@pytest.mark.parametrize(("decide", "word"), [("approve", "approved"), ("reject", "rejected")])
def test_a_decision_in_the_record_alone_is_said(registry, config, held, monkeypatch, decide, word):
    fail_at(monkeypatch, "decision:recorded")
    with pytest.raises(RegistryUnavailable) as refused:
        getattr(decisions, decide)(registry, config.layout, ID, "said so")
    said = str(refused.value)
    assert said.startswith(f"{ID} version 1 is {word} in its record, and not yet in the registry (")
    assert "connection unexpectedly" in said and "nothing was written" not in said and "rerun" not in said
    assert said.endswith(f"then 'contimg reconcile {ID}' does the rest")
    assert queries.get(registry, ID)["status"] == "held"
    reconcile(registry, config.layout, ID)
    assert queries.get(registry, ID)["status"] == ("staging" if decide == "approve" else "rejected")


def test_of_a_decision_whose_commit_was_not_answered_it_is_said_that_it_may_be_known(
    registry, config, held, monkeypatch
):
    def hook(name):
        if name == "decision:recorded":
            monkeypatch.setattr(checkpoints, "hook", None)
            raise RegistryUncertain(
                "registry x refused an operation (gone): whether it was recorded is not known; wait"
            )

    monkeypatch.setattr(checkpoints, "hook", hook)
    with pytest.raises(
        RegistryUncertain, match=r"approved in its record, and perhaps not yet in the registry \(.*gone\)\)"
    ):
        decisions.approve(registry, config.layout, ID, "said so")


@pytest.mark.parametrize(("decide", "word"), [("withdraw", "withdrawn"), ("cite", "cited")])
def test_of_what_is_published_too(registry, config, monkeypatch, decide, word):
    mosaics.run(config)
    fail_at(monkeypatch, "decision:recorded")
    with pytest.raises(RegistryUnavailable, match=f"is {word} in its record, .*'contimg reconcile {ID}' does the rest"):
        getattr(decisions, decide)(registry, config.layout, ID, "10.5555/a")
    reconcile(registry, config.layout, ID)
    row = queries.get(registry, ID)
    assert (row["status"], row["doi"]) == (("withdrawn", None) if decide == "withdraw" else ("published", "10.5555/a"))
    assert config.layout.bundle(ID, 1).is_dir() is (decide == "cite")


def test_a_restoration_whose_move_was_not_recorded_is_said(registry, config, monkeypatch):
    mosaics.run(config)
    decisions.withdraw(registry, config.layout, ID, "wrong")
    fail_at(monkeypatch, "restore:moved")
    with pytest.raises(RegistryError, match=f"is recorded as restored, .* 'contimg reconcile {ID}' does the rest"):
        decisions.restore(registry, config.layout, ID, "right")
    reconcile(registry, config.layout, ID)
    assert queries.get(registry, ID)["status"] == "published" and config.layout.bundle(ID, 1).is_dir()


def test_what_was_not_recorded_is_said_as_before(registry, config, held, monkeypatch):
    with pytest.raises(RegistryError, match="version 1 is held: only what is published can be withdrawn"):
        decisions.withdraw(registry, config.layout, ID, "wrong")
    assert publish_mosaic(ID, config, waits_s=()).status == "held"
