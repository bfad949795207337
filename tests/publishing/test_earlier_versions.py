"""Earlier versions: one that was lost from sight comes back, and one that was never published is superseded."""

import pytest

from contimg.errors import RegistryError
from contimg.publishing import decisions
from contimg.publishing.deciding import Named
from contimg.publishing.differences import Scope
from contimg.publishing.publish import publish
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.reconcile import reconcile
from contimg.publishing.reconcile_remains import overtaken
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry import queries
from contimg.registry.backup import backup, restore
from contimg.registry.schema import metadata
from tests.support import mosaics

ID = mosaics.MOSAIC


def states(registry):
    return [row["status"] for row in queries.versions(registry, ID)]


def restored(registry, config, file):
    """Empty the registry, and restore a backup into it."""
    with registry.transaction() as connection:
        for table in reversed(metadata.sorted_tables):
            if table.name != "schema_version":
                connection.execute(table.delete())
    restore(registry, file)


@pytest.fixture
def two(registry, config):
    """Two published versions; the first one's bundle in sight is altered, and given back to be published again."""
    first = mosaics.run(config).path
    mosaics.run(config, seed=2, rms_mjy=3.9)
    (first / "data" / f"{ID}.png").write_bytes(b"rot")
    reconcile(registry, config.layout)
    assert states(registry) == ["staging", "published"] and not first.exists()
    return first


def test_an_earlier_version_that_was_altered_is_published_again(registry, config, two):
    assert publish_mosaic(ID, config, waits_s=()).version == 2
    assert states(registry) == ["published", "published"] and two.is_dir()
    assert ID in queries.closed_ids(registry)
    assert reconcile(registry, config.layout) == []


def test_the_later_version_may_be_held_meanwhile(registry, config, two):
    mosaics.make_mosaic(config, seed=3, reasons=[mosaics.WARNING])
    register_mosaic(ID, config)
    assert publish_mosaic(ID, config, waits_s=()).status == "held"
    assert states(registry) == ["published", "published", "held"] and two.is_dir()


@pytest.mark.parametrize("reasons", [[], [mosaics.WARNING]])
def test_what_a_later_version_superseded_is_so_after_an_older_backup(registry, config, tmp_path, reasons):
    mosaics.make_mosaic(config, reasons=reasons)
    register_mosaic(ID, config)
    backup(registry, tmp_path / "backup")
    assert mosaics.run(config, seed=2, rms_mjy=3.9).version == 2
    assert states(registry) == ["superseded", "published"]
    restored(registry, config, tmp_path / "backup")
    found = [(one.code, one.version) for one in reconcile(registry, config.layout) if one.code != "marker_differs"]
    assert found == [("row_lost", 2), ("row_differs", 1)]
    assert states(registry) == ["superseded", "published"]
    assert reconcile(registry, config.layout) == []


def test_what_was_published_since_the_backup_stays_in_sight(registry, config, tmp_path):
    """The first version is held in the backup; it was approved, published, and then replaced by a second one."""
    mosaics.make_mosaic(config, reasons=[mosaics.WARNING])
    register_mosaic(ID, config)
    backup(registry, tmp_path / "backup")
    decisions.approve(registry, config.layout, ID, "good enough")
    first = publish_mosaic(ID, config, waits_s=()).path
    mosaics.run(config, seed=2, rms_mjy=3.9)
    restored(registry, config, tmp_path / "backup")
    reconcile(registry, config.layout)
    assert states(registry) == ["published", "published"] and first.is_dir()
    assert reconcile(registry, config.layout) == []


def test_what_was_rejected_since_the_backup_is_not_published(registry, config, tmp_path):
    """Also by who does not reconcile before."""
    mosaics.make_mosaic(config)
    register_mosaic(ID, config)
    backup(registry, tmp_path / "backup")
    decisions.reject(registry, config.layout, Named(ID, 1), "no")
    restored(registry, config, tmp_path / "backup")
    with pytest.raises(RegistryError, match=f"has rejected it on .*type 'contimg reconcile {ID}'"):
        publish(registry, config.layout, ID, claim_s=60, max_attempts=3)
    assert not config.layout.bundle(ID, 1).exists()
    reconcile(registry, config.layout, ID)
    assert states(registry) == ["rejected"]


def test_a_mosaic_that_is_registered_while_rows_are_read_is_overtaken_by_none(registry, config, monkeypatch):
    """Seed 2043681 of `contimg replay`: reconciling ended in a KeyError."""
    mosaics.make_mosaic(config)
    read, registered = Scope.rows, []

    def rows(scope, *statuses, **options):
        found = read(scope, *statuses, **options)
        if not registered:
            registered.append(ID)
            register_mosaic(ID, config)
        return found

    monkeypatch.setattr(Scope, "rows", rows)
    assert list(overtaken(Scope(registry, config.layout, None, dry_run=False))) == []
    assert registered == [ID] and states(registry) == ["staging"]
