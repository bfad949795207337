"""Clocks that were set ahead: decisions by them reach a copy once, and what they read is read again."""

from contimg.publishing import deciding, decisions
from contimg.replicas import copy_rows
from tests.replicas.test_sync import ID, decisions_in_copy, synced, verified
from tests.support import mosaics


def test_a_decision_by_a_clock_that_is_ahead_is_copied_once(sqlite_registry, replicated, replica, store, monkeypatch):
    mosaics.run(replicated)
    with monkeypatch.context() as patched:
        patched.setattr(deciding, "now", lambda: "2099-02-12T00:00:00.000Z")
        decisions.withdraw(sqlite_registry, replicated.layout, ID, "wrong")
    assert synced(sqlite_registry, replicated, replica) == [(1, "recorded")]
    assert decisions_in_copy(store) == ["withdrawn"] and synced(sqlite_registry, replicated, replica) == []
    decisions.restore(sqlite_registry, replicated.layout, ID, "right")
    assert synced(sqlite_registry, replicated, replica) == [(1, "recorded")]
    assert decisions_in_copy(store) == ["withdrawn", "restored"]


def test_a_copy_read_by_a_clock_set_ahead_counts_as_unread(sqlite_registry, replicated, replica, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(copy_rows, "now", lambda: "2099-02-12T00:00:00.000Z")
        mosaics.run(replicated)
    asked = {"unread_since": "2026-01-01T00:00:00.000Z"}
    assert verified(sqlite_registry, replicated, replica, **asked) == [("whole", "")]
    assert verified(sqlite_registry, replicated, replica, **asked) == []
