"""The runbook: the commands of each chapter are typed as they stand in docs/operations.md, in the case it is about."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from contimg import naming
from contimg.bundle import bundle
from contimg.publishing import archive_root
from contimg.publishing.archive_marker import marker_place
from contimg.registry import queries
from contimg.registry.engine import open_registry
from tests.cli.conftest import program, publish  # noqa: F401  fixtures
from tests.support import mosaics

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
CHAPTERS = {
    chapter.split("\n", 1)[0]: re.findall(r"^```console\n(.*?)^```", chapter, re.MULTILINE | re.DOTALL)
    for chapter in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
}
OTHER = "2026-02-13T00:26:49"


@pytest.fixture
def archive(sqlite_config, publish):  # noqa: F811
    """Two published mosaics, and their configuration."""
    publish()
    publish(tiles=(OTHER,))
    return sqlite_config


@pytest.fixture
def typed(archive, program, tmp_path):  # noqa: F811
    """Return a function that types the commands of a chapter and gives what each left."""

    def run(chapter):
        names = {"STATE": archive.paths.state, "PRODUCTS": archive.paths.products, "BACKUP": tmp_path / "backup",
                 "MOSAIC": mosaics.MOSAIC}  # fmt: skip
        (block,) = CHAPTERS[chapter]
        left = []
        for line in block.splitlines():
            words = shlex.split(re.sub("|".join(names), lambda found: str(names[found[0]]), line))
            if words[0] == "contimg":
                left.append(program(*words[1:]))
            else:
                subprocess.run(words, check=True)
        return left

    return run


def statuses(config):
    registry = open_registry(config)
    try:
        return [row["status"] for row in queries.listing(registry, latest_only=False)]
    finally:
        registry.close()


def test_every_chapter_is_tried():
    tried = set(re.findall(r'typed\("([^"]+)"\)', Path(__file__).read_text()))
    assert tried == set(CHAPTERS)


def test_backup_and_restore(typed, archive, program):  # noqa: F811
    (made,) = typed("Back the registry up")
    assert made.code == 0 and "2 versions of mosaics" in made.out
    program("publish", "withdraw", mosaics.MOSAIC, "--reason", "after the backup")
    restored, reconciled, verified = typed("Restore the registry")
    assert (restored.code, reconciled.code, verified.code) == (0, 0, 0), (restored, reconciled, verified)
    assert statuses(archive) == ["withdrawn", "published"]


def test_a_lost_registry(typed, archive):
    reconciled, listed = typed("The registry is lost, and there is no backup")
    assert (reconciled.code, listed.code) == (0, 0) and mosaics.MOSAIC in listed.out
    assert statuses(archive) == ["published", "published"]


def test_an_archive_that_is_not_mounted(typed, archive, program):  # noqa: F811
    away = archive.paths.products.with_name("disk")
    archive.paths.products.rename(away)
    archive.paths.products.mkdir()
    (refused,) = typed("The archive is not mounted")
    assert refused.code == 1 and "mount the archive" in refused.sentence
    for words in (("restore", mosaics.MOSAIC, "--reason", "why"), ("retry", "--all")):
        refused = program("publish", *words)
        assert refused.code == 1 and "mount the archive" in refused.sentence
    archive.paths.products.rmdir()
    away.rename(archive.paths.products)
    (done,) = typed("The archive is not mounted")
    assert (done.code, done.out) == (0, "Archive and registry agree.\n")


def test_a_lost_disk(typed, archive):
    """The backup of the archive has its marker and one mosaic; the stage has the other one."""
    lost = archive.layout.bundle(mosaics.MOSAIC, 1)
    shutil.rmtree(lost)
    listed, repaired, retried, verified = typed("The archive's disk is lost")
    assert (listed.code, repaired.code, retried.code, verified.code) == (3, 0, 0, 0)
    assert bundle.verify(lost).ok and statuses(archive) == ["published", "published"]


def test_a_registry_that_moves(typed, archive, program):  # noqa: F811
    typed("Back the registry up")
    marker = marker_place(archive.layout)
    text = marker.read_text()
    archive.paths.state.rename(archive.paths.state.with_name("old"))
    marker.write_text(text.replace(str(archive.paths.state), "/another/state"))  # as if it had stood there
    refused = program("reconcile")
    assert refused.code == 1 and "contimg archive adopt" in refused.sentence
    restored, adopted, reconciled = typed("Move the registry to another place")
    assert (restored.code, adopted.code, reconciled.code) == (0, 0, 0), (restored, adopted, reconciled)
    registry = open_registry(archive)
    archive_root.require(registry, archive.layout)
    assert statuses(archive) == ["published", "published"]


def test_an_archive_on_a_new_disk(typed, archive, program, tmp_path):  # noqa: F811
    new = archive.paths.products.with_name("new_disk")
    shutil.copytree(archive.paths.products, new, symlinks=True)
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(overlay.read_text().replace(str(archive.paths.products), str(new)))
    assert f"{new} is a copy of {archive.paths.products}" in program("reconcile").sentence
    adopted, reconciled, tables, verified = typed("Move the archive or the stage to another disk")
    assert [one.code for one in (adopted, reconciled, tables, verified)] == [0] * 4, (reconciled, tables, verified)
    assert str(new) in (new / "obscore.vot").read_text() and statuses(archive) == ["published", "published"]
    assert program("reconcile").out == "Archive and registry agree.\n"
    overlay.write_text(overlay.read_text().replace(str(new), str(archive.paths.products)))
    assert f"{archive.paths.products} is a copy of {new}" in program("status").err


def test_an_archive_that_was_moved_needs_no_more_than_a_changed_configuration(archive, program, tmp_path):  # noqa: F811
    new = archive.paths.products.rename(archive.paths.products.with_name("new_disk"))
    assert "mount the archive" in program("reconcile").sentence
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(overlay.read_text().replace(str(archive.paths.products), str(new)))
    for words in (("reconcile",), ("archive",), ("verify", "--all")):
        assert program(*words).code == 0
    assert program("reconcile").out == "Archive and registry agree.\n"


@pytest.fixture
def second(archive, tmp_path):
    """A folder that the configuration names as replica."""
    overlay = tmp_path / "overlay.yaml"
    content = yaml.safe_load(overlay.read_text())
    (tmp_path / "second").mkdir()
    content["publish"]["replicas"] = [{"url": str(tmp_path / "second")}]
    overlay.write_text(yaml.safe_dump(content))
    return tmp_path / "second"


def test_a_second_copy(typed, archive, program, second):  # noqa: F811
    for done in typed("Keep a second copy of the archive"):
        assert done.code == 0, done
    assert len(list(second.glob("mosaics/*/*/manifest-sha256.txt"))) == 2


def test_a_bundle_from_the_second_copy(typed, archive, program, second):  # noqa: F811
    typed("Keep a second copy of the archive")
    shutil.rmtree(archive.paths.stage / "registered")
    shutil.rmtree(archive.paths.stage / "mosaics")
    lost = archive.layout.bundle(mosaics.MOSAIC, 1)
    shutil.rmtree(lost)
    for done in typed("A published mosaic is damaged, and the stage has no copy"):
        assert done.code == 0, done
    assert bundle.verify(lost).ok and statuses(archive) == ["published", "published"]


def test_a_second_operator(typed, archive):
    (done,) = typed("A second operator")
    assert done.code == 0 and archive.layout.registry_file.stat().st_mode & 0o060 == 0o060


def test_a_mistake(typed, archive):
    withdrawn, restored = typed("A mosaic was published or withdrawn by mistake")
    assert (withdrawn.code, restored.code) == (0, 0) and "restored as version 1" in restored.out
    assert statuses(archive) == ["published", "published"]


def test_a_doi(typed, archive):
    cited, verified = typed("A published mosaic gets a DOI")
    assert (cited.code, verified.code) == (0, 0) and "is cited as https://doi.org/10.5555/dsa110.1" in cited.out
    record = archive.layout.bundle(mosaics.MOSAIC, 1) / bundle.PUBLICATION
    assert '"doi": "10.5555/dsa110.1"' in record.read_text()


def test_reading_again(typed, archive, program):  # noqa: F811
    verified, status = typed("Read the archive again, regularly")
    assert verified.code == 0 and status.code == 0
    registry = open_registry(archive)
    with registry.transaction() as connection:
        connection.execute(queries.data_registry.update().values(verified_at="2026-01-01T00:00:00.000Z"))
    path = archive.layout.bundle(naming.mosaic_id(OTHER), 1) / f"{naming.mosaic_id(OTHER)}.png"
    path.write_bytes(b"rot")
    verified, status = typed("Read the archive again, regularly")
    assert verified.code == 3 and path.name in verified.out.replace("\n", "")
    assert "1 of 2 published mosaics were not verified for 30 days: contimg verify --all --older-than 30" in status.out
    wrong = naming.mosaic_id(OTHER)
    remedy = f"contimg reconcile {wrong}, contimg publish retry {wrong}, then contimg verify {wrong}"
    assert f"wrong when last verified: {wrong}: {remedy}" in status.out
    for words in (("reconcile", wrong), ("publish", "retry", wrong), ("verify", wrong)):
        assert program(*words).code == 0
    assert "wrong when last verified" not in program("status").out
