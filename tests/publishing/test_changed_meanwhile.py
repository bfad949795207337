"""What others do to a mosaic while reconciling looks at it is neither an error nor a finding.

Seed 4002083 of `contimg replay`: a rule that began when somebody withdrew its mosaic failed with 'name the folder of a
bundle'.
"""

import contextlib
import shutil

import pytest

from contimg.bundle import bundle
from contimg.errors import ContimgError
from contimg.publishing import decisions, reconcile_bytes
from contimg.publishing.reconcile import reconcile
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry import queries
from tests.support import mosaics

ID = mosaics.MOSAIC


@pytest.fixture
def meanwhile(registry, config, monkeypatch):
    """A function that lets something be done once, between reading the rows and reading the bundle of a step."""

    def arrange(step, action):
        left = [action]
        real = getattr(reconcile_bytes, step)

        def look(*words):
            if left:
                left.pop()()
            return real(*words)

        monkeypatch.setattr(reconcile_bytes, step, look)

    return arrange


@pytest.mark.parametrize("data_id", [ID, None])
@pytest.mark.parametrize("step", ["_published", "_problem", "contradiction"])
def test_withdrawn(registry, config, meanwhile, step, data_id):
    published = mosaics.run(config).path
    meanwhile(step, lambda: decisions.withdraw(registry, config.layout, ID, "a satellite"))
    assert reconcile(registry, config.layout, data_id) == []
    assert queries.get(registry, ID)["status"] == "withdrawn" and not published.exists()
    assert reconcile(registry, config.layout) == []


@pytest.mark.parametrize("data_id", [ID, None])
def test_withdrawn_without_a_copy_on_the_stage(registry, config, meanwhile, data_id):
    """Else it would be said to be lost, and a person be asked to bring it back."""
    mosaics.run(config)
    row = queries.get(registry, ID)

    def withdraw():
        decisions.withdraw(registry, config.layout, ID, "a satellite")
        shutil.rmtree(row["stage_path"])
        shutil.rmtree(config.layout.product("mosaic", ID))

    meanwhile("_published", withdraw)
    assert reconcile(registry, config.layout, data_id) == []


@pytest.mark.parametrize("data_id", [ID, None])
def test_restored(registry, config, meanwhile, data_id):
    mosaics.run(config)
    decisions.withdraw(registry, config.layout, ID, "a satellite")
    meanwhile("_closed", lambda: decisions.restore(registry, config.layout, ID, "it was none"))
    assert reconcile(registry, config.layout, data_id) == []
    assert queries.get(registry, ID)["status"] == "published"


@pytest.mark.parametrize("data_id", [ID, None])
def test_what_nobody_has_changed_is_said(registry, config, meanwhile, data_id):
    """A folder that goes without a decision is lost."""
    published = mosaics.run(config).path
    meanwhile("contradiction", lambda: shutil.rmtree(published))
    with contextlib.nullcontext() if data_id is None else pytest.raises(ContimgError, match="does not exist"):
        (found,) = reconcile(registry, config.layout, data_id)
        assert (found.code, found.needs_person) == ("unreadable", True)


def test_a_repair_that_fails_is_said_although_it_has_changed_the_row(registry, config, monkeypatch):
    """The decision of a record reaches the registry, and then not the other record."""
    mosaics.make_mosaic(config)
    register_mosaic(ID, config)
    mosaics.run(config)
    decisions.withdraw(registry, config.layout, ID, "a satellite")
    hidden = queries.get(registry, ID)["published_path"]
    assert bundle.verify(hidden).ok
    with registry.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM publish_events WHERE event = 'withdrawn'")
        connection.exec_driver_sql("UPDATE data_registry SET status = 'published'")
    from contimg.publishing import reconcile_decisions

    def refuse(*_):
        raise OSError(5, "Input/output error", "publication.json")

    monkeypatch.setattr(reconcile_decisions, "_spread", refuse)
    found = [one for one in reconcile(registry, config.layout) if one.code == "decision_lost"]
    assert [(one.needs_person, "that failed" in one.message) for one in found] == [(True, True)]


@pytest.mark.parametrize("data_id", [ID, None])
def test_a_strange_file_that_another_takes_away(registry, config, monkeypatch, data_id):
    """Seed 2228284: it was looked for a second time, and the whole bundle taken out of sight, as it was not found."""
    published = mosaics.run(config).path
    stray = published / ".DS_Store"
    stray.write_bytes(b"x")
    read, first = bundle.verify, [published]

    def then_another_takes_it_away(path, **options):
        found = read(path, **options)
        if path in first:
            first.remove(path)
            assert [one.code for one in reconcile(registry, config.layout)] == ["stray"]
        return found

    monkeypatch.setattr(bundle, "verify", then_another_takes_it_away)
    assert {one.code for one in reconcile(registry, config.layout, data_id)} <= {"stray"}
    assert queries.get(registry, ID)["status"] == "published"
    assert bundle.problem(published, None) is None
    assert reconcile(registry, config.layout) == []
