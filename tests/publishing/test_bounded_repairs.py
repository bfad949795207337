"""Repairs are bounded: where much of the archive seems lost, reconciling only reports."""

import shutil

import pytest

from contimg import naming
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.reconcile import reconcile
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry import queries
from tests.support import mosaics

DAYS = range(11, 19)  # eight mosaics, one a day


@pytest.fixture
def archive(registry, config):
    """The folders of eight published mosaics."""
    found = []
    for day in DAYS:
        tile = f"2026-02-{day}T00:26:49"
        mosaics.make_mosaic(config, tiles=(tile,))
        register_mosaic(naming.mosaic_id(tile), config)
        found.append(publish_mosaic(naming.mosaic_id(tile), config, waits_s=()).path)
    return found


def statuses(registry):
    return [row["status"] for row in queries.listing(registry)]


@pytest.mark.parametrize("fault", ["missing", "altered"])
def test_more_than_the_share_is_only_reported(registry, config, archive, fault):
    lost = archive[:4]
    for path in lost:
        if fault == "missing":
            shutil.rmtree(path)
        else:
            (path / "data" / "metadata.json").write_text("{}")
    for share in (0.1, 0.49):
        found = reconcile(registry, config.layout, max_share=share)
        assert [(one.code, one.repaired, one.needs_person) for one in found] == [(fault, False, True)] * 4
        assert "4 of 8 published mosaics would leave the sight" in found[0].message
        assert "contimg reconcile --repair-all" in found[0].message
    assert statuses(registry) == ["published"] * 8
    found = reconcile(registry, config.layout, max_share=0.5)
    assert [one.repaired for one in found if one.code == fault] == [True] * 4
    assert statuses(registry) == ["staging"] * 4 + ["published"] * 4


def test_three_are_always_repaired(registry, config, archive):
    for path in archive[:3]:
        shutil.rmtree(path)
    found = reconcile(registry, config.layout, max_share=0.0)
    assert [one.repaired for one in found if one.code == "missing"] == [True] * 3


def test_one_that_is_asked_for_by_its_id_is_repaired(registry, config, archive):
    for path in archive:
        shutil.rmtree(path)
    found = reconcile(registry, config.layout, archive[0].name)
    assert all(one.repaired for one in found) and statuses(registry).count("published") == 7


def test_bundles_are_not_moved_out_of_sight_in_masses(registry, config, archive):
    """As after a restored backup in which everything was held."""
    from sqlalchemy import delete, update

    with registry.transaction() as connection:
        events = queries.publish_events
        connection.execute(delete(events).where(events.c.event == "published"))  # which that backup has not
        values = {"status": "superseded", "published_path": None}
        connection.execute(update(queries.data_registry).values(**values))
    found = reconcile(registry, config.layout)
    assert [one.needs_person for one in found if one.code == "unapproved"] == [True] * 8
    assert all(path.is_dir() for path in archive)


def test_a_registry_that_was_lost_is_rebuilt_whole(registry, config, archive):
    from tests.publishing.test_archive_root import lose_rows

    lose_rows(registry)
    found = reconcile(registry, config.layout)
    assert [one.repaired for one in found if one.code == "row_lost"] == [True] * 8
    assert statuses(registry) == ["published"] * 8
