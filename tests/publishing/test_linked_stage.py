"""A folder of the stage that is a symlink to another disk: refused whole, before anything is published or decided."""

import re
import shutil

import pytest

from contimg.errors import RegistryError
from contimg.publishing import decisions, publish
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.reconcile import reconcile
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry import queries
from contimg.registry.schema import metadata
from tests.support import mosaics

ID = mosaics.MOSAIC
OF_THE_BUNDLE = ("registered", "registered/2026-02-11", f"registered/2026-02-11/{ID}")
OF_MARKERS = ("published", "published/2026-02-11")


@pytest.fixture
def moved(config, tmp_path):
    """Return a function that moves a folder of the stage to another disk and leaves a link; it gives the sentence."""

    def move(folder):
        link = config.paths.stage / folder
        target = tmp_path / "other_disk" / folder
        target.parent.mkdir(parents=True)
        if link.exists():
            shutil.move(link, target)
        else:
            target.mkdir()
            link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)
        return re.escape(f"{link} is a symlink (to {target}), which the stage must not lead through: mount that disk")

    return move


def back(config, folder):
    link = config.paths.stage / folder
    target = link.resolve()
    link.unlink()
    shutil.move(target, link)


@pytest.mark.parametrize("folder", OF_THE_BUNDLE + OF_MARKERS)
def test_nothing_is_published_from_behind_a_link_and_all_of_it_once_it_is_gone(registry, config, moved, folder):
    mosaics.make_mosaic(config)
    register_mosaic(ID, config)
    sentence = moved(folder)
    for _ in range(2):
        with pytest.raises(RegistryError, match=sentence):
            publish_mosaic(ID, config, waits_s=())
    with pytest.raises(publish.PublishFailed, match=sentence):
        publish.publish(registry, config.layout, ID, claim_s=60, max_attempts=9)
    assert queries.get(registry, ID)["status"] == "staging" and not config.layout.bundle(ID, 1).exists()
    back(config, folder)
    assert publish_mosaic(ID, config, waits_s=()).status == "published"
    assert config.layout.twin("published", ID).is_file()


@pytest.mark.parametrize("folder", OF_THE_BUNDLE + OF_MARKERS)
@pytest.mark.parametrize("hidden", [False, True])
def test_no_decision_is_recorded_that_cannot_be_carried_out(registry, config, moved, folder, hidden):
    """The record in sight said 'withdrawn' then, the registry learnt it, and the bundle stayed in sight."""
    mosaics.run(config)
    if hidden:
        decisions.withdraw(registry, config.layout, ID, "wrong")
    before = queries.get(registry, ID), queries.events(registry, ID)
    sentence = moved(folder)
    decide = decisions.restore if hidden else decisions.withdraw
    with pytest.raises(RegistryError, match=sentence):
        decide(registry, config.layout, ID, "after all")
    (found,) = reconcile(registry, config.layout)
    assert found.code == "unreadable" and found.needs_person and re.search(sentence, found.message)
    assert (queries.get(registry, ID), queries.events(registry, ID)) == before
    assert config.layout.bundle(ID, 1).exists() is not hidden
    back(config, folder)
    assert reconcile(registry, config.layout) == []
    decide(registry, config.layout, ID, "after all")
    assert config.layout.bundle(ID, 1).exists() is hidden and reconcile(registry, config.layout) == []


@pytest.mark.parametrize("folder", OF_THE_BUNDLE)
@pytest.mark.parametrize("decide", [decisions.approve, decisions.reject])
def test_a_held_mosaic_behind_a_link_is_not_decided_about(registry, config, moved, folder, decide):
    mosaics.make_mosaic(config, reasons=[mosaics.WARNING])
    register_mosaic(ID, config)
    sentence = moved(folder)
    with pytest.raises(RegistryError, match=sentence):
        decide(registry, config.layout, ID, "seen")
    assert queries.get(registry, ID)["status"] == "held"


def lost(registry):
    with registry.transaction() as connection:
        for table in reversed(metadata.sorted_tables):
            if table.name != "schema_version":
                connection.execute(table.delete())


@pytest.mark.parametrize("folder", [*OF_THE_BUNDLE, f"registered/2026-02-11/{ID}/v1"])
@pytest.mark.parametrize("mounted", [True, False])
def test_a_bundle_behind_a_link_of_which_the_registry_knows_nothing_is_said(registry, config, moved, folder, mounted):
    mosaics.make_mosaic(config, reasons=[mosaics.WARNING])
    register_mosaic(ID, config)
    moved(folder)
    link = config.paths.stage / folder
    if not mounted:
        link.resolve().rename(link.resolve().with_name("unmounted"))
    lost(registry)
    for _ in range(2):
        (found,) = reconcile(registry, config.layout)
        assert (
            found.needs_person and not found.repaired and f"{link.name}" in found.message and "symlink" in found.message
        )
    assert not queries.has_rows(registry)
    if not mounted:
        link.resolve().with_name("unmounted").rename(link.resolve())
    back(config, folder)
    assert [one.code for one in reconcile(registry, config.layout)] == ["row_lost"]
    assert queries.get(registry, ID)["status"] == "held"


@pytest.mark.parametrize("folder", ["mosaics", "mosaics/2026-02-11", f"mosaics/2026-02-11/{ID}", ".withdrawn"])
def test_a_part_of_the_archive_on_a_disk_that_is_not_mounted_is_said(registry, config, folder):
    mosaics.run(config)
    if folder == ".withdrawn":
        decisions.withdraw(registry, config.layout, ID, "wrong")
    shutil.rmtree(config.paths.stage)
    link = config.paths.products / folder
    link.rename(config.paths.products / "unmounted")
    link.symlink_to("/nowhere")
    lost(registry)
    (found,) = reconcile(registry, config.layout)
    assert (found.code, found.path) == ("unreadable", str(link)) and found.needs_person
    link.unlink()
    (config.paths.products / "unmounted").rename(link)
    assert [one.code for one in reconcile(registry, config.layout)] == ["row_lost"]
