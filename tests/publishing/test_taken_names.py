"""A final name that is taken while the copy is made; and what a failed publication leaves."""

import shutil

import pytest

from contimg.bundle import bundle
from contimg.publishing import checkpoints
from contimg.publishing.publish import PublishFailed
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry import queries
from tests.faults import injection
from tests.support import mosaics

ID = mosaics.MOSAIC


@pytest.fixture
def taken(config):
    """Return a function that lets somebody put a folder under the final name just before the rename."""
    mosaics.make_mosaic(config)
    staged, final = register_mosaic(ID, config).path, config.layout.bundle(ID, 1)

    def by(change):
        def put():
            shutil.copytree(staged, final)
            change(final)

        injection.at_checkpoint("publish:renaming", put)

    yield by
    checkpoints.hook = None


def test_another_content_is_neither_overwritten_nor_taken_for_the_bundle(registry, config, taken):
    final = config.layout.bundle(ID, 1)
    taken(lambda path: (path / "data" / f"{ID}.png").write_bytes(b"another"))
    with pytest.raises(PublishFailed, match=r"exists with other content .*: move it out of the archive"):
        publish_mosaic(ID, config, waits_s=())
    assert (final / "data" / f"{ID}.png").read_bytes() == b"another"
    row = queries.get(registry, ID)
    assert (row["status"], row["attempts"], row["published_path"]) == ("staging", 1, None)
    assert list((config.paths.products / ".incoming").iterdir()) == []


def test_the_same_content_is_the_bundle(registry, config, taken):
    taken(lambda _path: None)
    assert publish_mosaic(ID, config, waits_s=()).status == "published"
    assert bundle.verify(config.layout.bundle(ID, 1), expected=queries.get(registry, ID)["sha256"]).ok
    assert list((config.paths.products / ".incoming").iterdir()) == []


def test_a_failed_copy_leaves_nothing(registry, config, monkeypatch):
    mosaics.make_mosaic(config)
    staged = register_mosaic(ID, config).path
    injection.at_checkpoint("publish:incoming", lambda: (staged / "data" / f"{ID}.png").write_bytes(b"altered"))
    try:
        with pytest.raises(PublishFailed, match="does not have the SHA-256 of its manifest"):
            publish_mosaic(ID, config, waits_s=())
    finally:
        checkpoints.hook = None
    assert list((config.paths.products / ".incoming").iterdir()) == []
