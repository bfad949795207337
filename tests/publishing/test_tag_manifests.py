"""A README that was changed together with the tag manifest: the registry and the record know the latter's digest."""

import hashlib
from pathlib import Path

import pytest
from sqlalchemy import text

from contimg.bundle import bag, bundle
from contimg.bundle.record import read_record
from contimg.errors import RegistryError
from contimg.publishing import decisions
from contimg.publishing.publish import PublishFailed, publish
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.reconcile import reconcile
from contimg.publishing.register_mosaic import register_mosaic
from contimg.publishing.scrub import scrub, verify_row
from contimg.registry import queries
from tests.bundle.test_bag import lose_rows
from tests.support import mosaics

ID = mosaics.MOSAIC
TAGS = "tagmanifest-sha256.txt"


def forge(path: Path, name: str = "README.txt") -> None:
    """Change a tag file, and its digest in the tag manifest: BagIt tools are content."""
    before = (path / name).read_bytes()
    after = before + b"Flux densities are to be doubled.\n"
    listed = (path / TAGS).read_text()
    for file, content in ((name, after), (TAGS, None)):
        (path / file).unlink()
        digests = [hashlib.sha256(one).hexdigest() for one in (before, after)]
        (path / file).write_bytes(content or listed.replace(*digests).encode())
    assert bundle.verify(path).ok


def is_right(path):
    return all(b"doubled" not in (path / name).read_bytes() for name in ("README.txt", "bag-info.txt"))


@pytest.mark.parametrize("name", ["README.txt", "bag-info.txt"])
def test_it_is_noticed_in_the_archive_and_published_again(registry, config, name):
    path = mosaics.run(config).path
    forge(path, name)
    for (found,) in ([verify_row(registry, queries.get(registry, ID))], list(scrub(registry))):
        assert found["problems"] == [f"{path}: {TAGS} is not the one that was registered: restore it from a copy"]
    assert reconcile(registry, config.layout)[0].code == "altered"
    assert publish_mosaic(ID, config, waits_s=()).created and is_right(path)
    assert reconcile(registry, config.layout) == []


@pytest.mark.parametrize("reasons", [[], [mosaics.FAILED]])
def test_it_is_noticed_on_the_stage_and_made_again(registry, config, reasons):
    mosaics.make_mosaic(config, reasons=reasons)
    staged = register_mosaic(ID, config).path
    forge(staged)
    if not reasons:
        with pytest.raises(PublishFailed, match="tag files are not those that were registered"):
            publish(registry, config.layout, ID, claim_s=60, max_attempts=3)
    assert [one.code for one in reconcile(registry, config.layout)][:1] == ["stage_altered"]
    assert is_right(staged) and reconcile(registry, config.layout) == []
    assert queries.get(registry, ID)["tags_sha256"] == hashlib.sha256((staged / TAGS).read_bytes()).hexdigest()
    assert publish_mosaic(ID, config, waits_s=()).status == ("held" if reasons else "published")


def test_it_is_noticed_before_a_withdrawn_bundle_is_restored(registry, config):
    mosaics.run(config)
    decisions.withdraw(registry, config.layout, ID, "wrong")
    forge(Path(queries.get(registry, ID)["published_path"]))
    with pytest.raises(RegistryError, match=f"{TAGS} is not the one that was registered"):
        decisions.restore(registry, config.layout, ID, "right after all")


def test_it_is_noticed_when_the_registry_was_lost(registry, config):
    path = mosaics.run(config).path
    known = queries.get(registry, ID)["tags_sha256"]
    assert known == read_record(path)["tags_sha256"] == hashlib.sha256((path / TAGS).read_bytes()).hexdigest()
    forge(path)
    lose_rows(registry)
    assert [one.code for one in reconcile(registry, config.layout)][:2] == ["row_lost", "altered"]
    assert publish_mosaic(ID, config, waits_s=()).created and is_right(path)
    assert queries.get(registry, ID)["tags_sha256"] == known


def test_a_digest_that_was_edited_in_the_record_is_noticed(registry, config):
    path = mosaics.run(config).path
    record = (path / "publication.json").read_text()
    known = queries.get(registry, ID)["tags_sha256"]
    (path / "publication.json").write_text(record.replace(known, "0" * 64))
    assert "(tags_sha256)" in verify_row(registry, queries.get(registry, ID))["problems"][0]
    assert [one.code for one in reconcile(registry, config.layout)] == ["record_differs"]
    assert (path / "publication.json").read_text() == record


def test_of_what_was_registered_before_nothing_is_compared(registry, config):
    mosaics.run(config)
    with registry.transaction() as connection:
        connection.execute(text("UPDATE data_registry SET tags_sha256 = NULL"))
    assert verify_row(registry, queries.get(registry, ID))["ok"] and reconcile(registry, config.layout) == []


def test_another_contimg_may_write_the_tag_files_otherwise(registry, config, monkeypatch):
    """Its bundle, made again on the stage, is the one that is known from then on."""
    mosaics.make_mosaic(config)
    staged = register_mosaic(ID, config).path
    before = queries.get(registry, ID)["tags_sha256"]
    (staged / "README.txt").unlink()
    written = bag.readme
    monkeypatch.setattr(bag, "readme", lambda *one: written(*one) + "More.\n")
    assert reconcile(registry, config.layout)[0].code == "stage_altered"
    after = queries.get(registry, ID)["tags_sha256"]
    assert before != after == read_record(staged)["tags_sha256"]
    assert publish_mosaic(ID, config, waits_s=()).created and reconcile(registry, config.layout) == []
