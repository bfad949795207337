"""Steps of reconciling on states that changed since they were read, and the table of answers."""

import pytest

from contimg.bundle.record import Decision
from contimg.publishing import claims, copying, decisions, reconcile_decisions, reconcile_places, reconcile_remains
from contimg.publishing.differences import Scope
from contimg.publishing.places import Places
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry import queries
from tests.publishing.test_reconcile import ID, change, disk, mends, needs_a_person, state
from tests.support import mosaics


@pytest.fixture
def published(registry, config):
    mosaics.make_mosaic(config)
    register_mosaic(ID, config)
    return publish_mosaic(ID, config, waits_s=()).path


def stale(scope, registry, **changed):
    """Return the row as it was read before another process changed it."""
    (row,) = scope.rows()
    change(registry, **changed)
    return row


def test_a_row_that_changed_since_it_was_read_is_not_repaired(registry, config, published):
    scope = Scope(registry, config.layout, ID, dry_run=False)
    row = stale(scope, registry, published_at="2099-01-01T00:00:00.000Z")
    before = state(registry)
    called = []
    assert scope.change(row, {"status": "staging"}, "reconciled", "x", called.append) is False
    assert state(registry) == before and called == []


def test_a_decision_is_not_applied_to_a_row_that_changed_meanwhile(registry, config, published):
    """Nor written into the record: the next run looks again."""
    scope, where = (
        Scope(registry, config.layout, ID, dry_run=False),
        Places.of(config.layout, queries.get(registry, ID)),
    )
    row = stale(scope, registry, published_at="2099-01-01T00:00:00.000Z")
    lost = [Decision("2099-01-02T00:00:00.000Z", "withdrawn", "wrong", "ada", "h")]
    before = disk(config), state(registry)
    assert reconcile_decisions._apply(scope, row, [], lost, where) is False
    assert (disk(config), state(registry)) == before


def test_a_bundle_in_sight_that_was_never_approved_needs_a_person(registry, config, published):
    """A row that says staging although its mosaic did not pass: it must not be recorded as published."""
    config.layout.twin("published", ID).unlink()
    change(registry, status="staging", published_path=None, published_at=None, qa_status="failed")
    found = needs_a_person(registry, config, "unapproved")
    assert found.message == (
        f"version 1 of {ID} did not pass, or is held, and nobody approved it: restore the registry from a backup"
    )
    assert published.is_dir() and queries.get(registry, ID)["status"] == "staging"


def test_a_withdrawn_bundle_whose_row_names_another_place_is_corrected(registry, config, published):
    row = decisions.withdraw(registry, config.layout, ID, "wrong")
    change(registry, published_path="/old/archive/place")
    config.layout.twin("published", ID).unlink()
    (found,) = mends(registry, config, "not_hidden")
    assert "the registry named another place: corrected" in found.message
    assert queries.get(registry, ID)["published_path"] == row["published_path"]


def test_a_marker_that_became_right_meanwhile_is_left_alone(registry, config, published):
    place = config.layout.twin("published", ID)
    before = place.stat().st_mtime_ns
    reconcile_remains._mark(Scope(registry, config.layout, ID, dry_run=False), "published", ID)
    assert place.stat().st_mtime_ns == before
    place.unlink()
    reconcile_remains._mark(Scope(registry, config.layout, ID, dry_run=False), "published", ID)
    assert not place.exists()  # the workflow makes those that are missing


@pytest.mark.parametrize(
    ("standing", "code", "action"),
    [
        (("staging", True, True, None), "in_two_places", "person"),
        (("published", True, True, "withdrawn"), "not_hidden", "hide"),
        (("rejected", True, True, None), "not_hidden", "hide"),
        (("published", False, True, "restored"), "not_in_sight", "bring back"),
        (("held", False, True, "restored"), "decision_lost", "withdraw"),
        (("staging", False, True, None), "decision_lost", "withdraw"),
        (("withdrawn", True, False, None), "not_hidden", "hide"),
        (("held", True, False, None), "unapproved", "aside"),
        (("superseded", True, False, None), "unapproved", "aside"),
        (("withdrawn", False, True, None), None, None),
        (("superseded", False, True, None), None, None),
        (("published", True, False, None), None, None),
        (("staging", True, False, None), None, None),
        (("held", False, False, None), None, None),
    ],
)
def test_the_answer_follows_from_state_places_and_last_decision_alone(standing, code, action):
    found = reconcile_places.answer(reconcile_places.Standing(*standing))
    assert (found and found.code, found and found.action) == (code, action)


def test_the_copy_of_a_publisher_that_began_since_the_rows_were_read_is_left_alone(registry, config):
    mosaics.make_mosaic(config)
    register_mosaic(ID, config)
    scope = Scope(registry, config.layout, ID, dry_run=False)
    assert [row["status"] for row in scope.rows()] == ["staging"]
    claim = claims.take(registry, ID, 1, 60.0)
    copy = config.paths.products / ".incoming" / copying.incoming_name(ID, claim.token)
    copy.mkdir(parents=True)
    try:
        assert list(reconcile_remains.remains(scope)) == [] and copy.is_dir()
    finally:
        claims.forget(claim)
