"""Verifying again: the longest unread first, resumable, at a pace; what is found right is noted."""

import errno
import shutil

import pytest
from sqlalchemy import update

from contimg import naming
from contimg.operations.status import unverified
from contimg.publishing import scrub
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.reconcile import reconcile
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry import queries, verifications
from contimg.registry.schema import data_registry
from contimg.storage.pace import Pace
from contimg.times import ago
from tests.support import mosaics

IDS = [f"mosaic_202602{day}T002649" for day in (11, 12, 13)]


@pytest.fixture
def archive(registry, config):
    """Three published mosaics, which were verified on other days: the second one never."""
    for mosaic_id, verified in zip(IDS, ("2026-03-01T00:00:00.000Z", None, "2026-02-20T00:00:00.000Z"), strict=True):
        mosaics.make_mosaic(config, tiles=(naming.iso(mosaic_id.removeprefix("mosaic_")),))
        register_mosaic(mosaic_id, config)
        publish_mosaic(mosaic_id, config, waits_s=())
        assert queries.get(registry, mosaic_id)["verified_at"] >= queries.get(registry, mosaic_id)["published_at"]
        with registry.transaction() as connection:
            here = data_registry.c.data_id == mosaic_id
            connection.execute(update(data_registry).where(here).values(verified_at=verified))


def ids(results):
    return [one["data_id"] for one in results]


def test_the_longest_unread_comes_first_and_an_interrupted_scrub_goes_on(registry, config, archive):
    started = scrub.scrub(registry)
    assert next(started)["data_id"] == IDS[1]
    started.close()  # interrupted
    assert ids(scrub.scrub(registry, pace=Pace(seconds=0.0))) == []
    assert ids(scrub.scrub(registry)) == [IDS[2], IDS[0], IDS[1]]
    assert all(row["verified_at"] > "2026-03-02" for row in queries.listing(registry))


def test_only_what_was_not_read_for_long_is_read(registry, config, archive):
    assert unverified(config) == (3, 3)
    assert ids(scrub.scrub(registry, unread_since="2026-02-25T00:00:00.000Z")) == [IDS[1], IDS[2]]
    assert unverified(config) == (1, 3)
    assert ids(scrub.scrub(registry, unread_since=ago(30))) == [IDS[0]]
    assert unverified(config) == (0, 3) and ids(scrub.scrub(registry, unread_since=ago(30))) == []


def test_a_bundle_with_a_problem_is_not_noted_as_verified(registry, config, archive):
    path = config.layout.bundle(IDS[1], 1) / "data" / f"{IDS[1]}.png"
    path.write_bytes(path.read_bytes()[:-1])
    (bad,) = [one for one in scrub.scrub(registry) if not one["ok"]]
    assert bad["data_id"] == IDS[1] and str(path) in bad["problems"][0]
    assert queries.get(registry, IDS[1])["verified_at"] is None and unverified(config) == (1, 3)


def test_damaged_bundles_do_not_keep_the_others_from_being_read(registry, config, archive):
    """Two of three are damaged, and a night's time is enough for two: those of the night before come last."""

    def night():
        found = scrub.scrub(registry, unread_since=ago(30))
        read = [next(found), next(found)]
        found.close()
        return {one["data_id"]: one["ok"] for one in read}

    for one in (IDS[1], IDS[2]):  # read before the third
        (config.layout.bundle(one, 1) / "data" / f"{one}.png").write_bytes(b"rot")
    assert night() == {IDS[1]: False, IDS[2]: False}
    assert verifications.found_wrong(registry) == [IDS[1], IDS[2]]
    assert night() == {IDS[0]: True, IDS[1]: False}
    assert unverified(config) == (2, 3)
    reconcile(registry, config.layout, max_share=1.0)  # given back to the stage, to be published again
    assert verifications.found_wrong(registry) == []
    for one in (IDS[1], IDS[2]):
        publish_mosaic(one, config, waits_s=())
    assert verifications.found_wrong(registry) == [] and unverified(config) == (0, 3)


def test_what_a_clock_set_ahead_found_right_is_wrong_when_it_is_found_so(registry, config, archive):
    with registry.transaction() as connection:
        connection.execute(update(data_registry).values(verified_at="2099-01-01T00:00:00.000Z"))
    verifications.note(registry, queries.get(registry, IDS[0]), right=False)
    assert verifications.found_wrong(registry) == [IDS[0]]
    assert [row["data_id"] for row in verifications.longest_unread(registry)] == [IDS[1], IDS[2], IDS[0]]


def test_a_verdict_in_the_row_that_its_bundle_contradicts_is_a_problem(registry, config, archive):
    mosaics.make_mosaic(config, seed=5, reasons=[mosaics.WARNING])
    register_mosaic(mosaics.MOSAIC, config)
    row, sight = queries.get(registry, mosaics.MOSAIC), config.layout.bundle(mosaics.MOSAIC, 2)
    shutil.copytree(row["stage_path"], sight)
    values = {"status": "published", "published_path": str(sight), "published_at": row["staged_at"]}
    with registry.transaction() as connection:
        statement = update(data_registry).where(data_registry.c.sha256 == row["sha256"])
        connection.execute(statement.values(qa_status="passed", **values))
    row = queries.get(registry, mosaics.MOSAIC)
    assert "passed, and its bundle" in scrub.verify_row(registry, row)["problems"][0]


def test_nothing_is_noted_for_who_may_only_read(registry, config, archive):
    assert len(list(scrub.scrub(registry, note=False))) == 3 and unverified(config) == (3, 3)


def test_progress_is_told_for_every_byte_that_was_read(registry, config, archive):
    told = []
    results = list(scrub.scrub(registry, progress=told.append))
    assert sum(told) == sum(one["bytes"] for one in results) > 0


@pytest.mark.parametrize(("name", "said"), [("a.fits", "Permission denied (a.fits)"), (None, "Permission denied")])
def test_what_a_disk_refuses_is_said_with_its_file_if_named(registry, config, archive, monkeypatch, name, said):
    def refuse(*_args, **_options):
        raise PermissionError(errno.EACCES, "Permission denied", name)

    monkeypatch.setattr(scrub.bundle, "verify", refuse)
    row = queries.get(registry, IDS[0])
    assert scrub.verify_row(registry, row)["problems"] == [f"{row['published_path']}: {said}"]
