"""Files and folders in a published bundle that are not of it: moved away, and the bundle stays in sight."""

import pytest

from contimg.bundle import bundle
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.reconcile import reconcile
from contimg.registry import queries
from tests.publishing.test_reconcile import damage, mends, published
from tests.support import mosaics

ID = mosaics.MOSAIC

__all__ = ["published"]


@pytest.mark.parametrize("names", [(".DS_Store",), ("data/crossmatch/.nfs0001", "notes.txt", "Thumbs.db")])
def test_stray_files_are_moved_away_and_the_bundle_stays_in_sight(registry, config, published, names):
    for name in names:
        (published / name).write_text(f"not of the bundle: {name}")
    (found,) = mends(registry, config, "stray")
    assert ("(and 2 more)" in found.message) == (len(names) > 1)
    assert bundle.verify(published).ok and queries.get(registry, ID)["status"] == "published"
    kept = {path.read_text() for path in (config.paths.products / ".altered").iterdir()}
    assert kept == {f"not of the bundle: {name}" for name in names}


def test_a_stray_folder_is_moved_away_as_it_is(registry, config, published):
    """Each of 20 000 files alone took minutes, and lost its folder."""
    strays = [published / "data" / "old" / name for name in ("1", "2", "more/1")]
    for one in strays:
        one.parent.mkdir(parents=True, exist_ok=True)
        one.write_text(str(one))
    (found,) = mends(registry, config, "stray")
    assert f"{published / 'data' / 'old'} is not of the bundle: moved" in found.message
    moved = config.paths.products / ".altered" / "old.1"
    assert {path.read_text() for path in moved.rglob("*") if path.is_file()} == {str(one) for one in strays}
    assert bundle.verify(published).ok and not (published / "data" / "old").exists()


def test_a_stray_file_does_not_hide_that_another_one_is_altered(registry, config, published):
    (published / ".DS_Store").write_text("x")
    damage(published / "data" / f"{ID}.fits")
    found = reconcile(registry, config.layout)
    assert [one.code for one in found] == ["altered", "marker_differs"]
    assert publish_mosaic(ID, config, waits_s=()).created and bundle.verify(published).ok
