"""When a version was published stands in its record: it survives the registry, a backup and a repair."""

import json

import pytest
from sqlalchemy import text

from contimg.bundle.record import read_record
from contimg.publishing import checkpoints, decisions
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.reconcile import reconcile
from contimg.publishing.register_mosaic import register_mosaic
from contimg.publishing.scrub import verify_row
from contimg.registry import queries
from contimg.registry.backup import backup
from tests.publishing.test_earlier_versions import restored
from tests.support import mosaics

ID = mosaics.MOSAIC
FIRST = "2026-02-12T09:00:00.000Z"


class Stopped(BaseException):
    """The process is killed: nothing is tidied up in the database."""


@pytest.fixture
def first(registry, config):
    """A mosaic that was published months ago; the folder of its bundle."""
    final = mosaics.run(config).path
    with registry.transaction() as connection:
        connection.execute(text("UPDATE data_registry SET published_at = :t"), {"t": FIRST})
    reconcile(registry, config.layout)
    assert read_record(final)["published_at"] == FIRST
    return final


def published_at(registry):
    return queries.get(registry, ID)["published_at"]


def test_the_record_says_when(registry, config):
    final = mosaics.run(config).path
    assert read_record(final)["published_at"] == published_at(registry) is not None
    assert verify_row(registry, queries.get(registry, ID))["ok"]


@pytest.mark.parametrize("withdrawn", [False, True])
@pytest.mark.parametrize("known", ["nothing", "registered"])
def test_a_registry_of_before_gets_the_time_of_then(registry, config, root, known, withdrawn):
    mosaics.make_mosaic(config)
    if known == "registered":
        register_mosaic(ID, config)
    backup(registry, root / "old")
    register_mosaic(ID, config)
    publish_mosaic(ID, config, waits_s=())
    time = published_at(registry)
    if withdrawn:
        decisions.withdraw(registry, config.layout, ID, "a mistake")
        decisions.restore(registry, config.layout, ID, "it was none")
    restored(registry, config, root / "old")
    reconcile(registry, config.layout)
    row = queries.get(registry, ID)
    assert (row["status"], row["published_at"]) == ("published", time)
    assert reconcile(registry, config.layout) == []


def test_a_process_that_died_after_the_rename_published_it_then(registry, config, monkeypatch):
    mosaics.make_mosaic(config)
    register_mosaic(ID, config)

    def stop(name):
        if name == "publish:recording":
            raise Stopped

    monkeypatch.setattr(checkpoints, "hook", stop)
    with pytest.raises(Stopped):
        publish_mosaic(ID, config, waits_s=())
    monkeypatch.setattr(checkpoints, "hook", None)
    written = read_record(config.layout.bundle(ID, 1))["published_at"]
    publish_mosaic(ID, config, waits_s=())
    assert published_at(registry) == written is not None


def test_a_repair_is_no_new_publication(registry, config, first):
    (first / "data" / f"{ID}.png").write_bytes(b"rot")
    reconcile(registry, config.layout)
    publish_mosaic(ID, config, waits_s=())
    assert published_at(registry) == read_record(first)["published_at"] == FIRST


def test_a_record_of_before_that_does_not_say_it_is_left_as_it_is(registry, config):
    final = mosaics.run(config).path
    content = {key: value for key, value in read_record(final).items() if key != "published_at"}
    (final / "publication.json").write_text(json.dumps(content))
    assert verify_row(registry, queries.get(registry, ID))["ok"]
    assert reconcile(registry, config.layout) == []


def test_a_time_that_was_edited_is_noticed(registry, config, first):
    content = read_record(first) | {"published_at": "2020-01-01T00:00:00.000Z"}
    (first / "publication.json").write_text(json.dumps(content))
    assert "(published_at)" in verify_row(registry, queries.get(registry, ID))["problems"][0]
    assert [one.code for one in reconcile(registry, config.layout)] == ["record_differs"]
    assert read_record(first)["published_at"] == FIRST
