"""The rule publish_mosaic: tries again what may pass, updates the archive's tables, and tidies the stage by policy."""

import os
import time
from pathlib import Path

import pytest

from contimg.archive.update import knows
from contimg.publishing import publish_mosaic as rule
from contimg.publishing import register_mosaic as register_rule
from contimg.publishing.publish import PublishFailed
from contimg.publishing.publish_mosaic import publish_mosaic, remove_staged
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry import queries
from contimg.registry.refusals import RegistryUnavailable
from tests.support import mosaics

ID = mosaics.MOSAIC


@pytest.fixture
def registered(registry, config):
    mosaics.make_mosaic(config)
    return register_mosaic(ID, config)


def failing(times, error):
    """Return a publisher whose first attempts fail, and the list of when each was made."""
    real, made = rule._publish_once, []

    def once(data_id, config, **_options):
        made.append(time.monotonic())
        if len(made) <= times:
            raise error
        return real(data_id, config)

    return once, made


def transient(flag):
    failure = PublishFailed("the file server did not answer")
    failure.transient = flag
    return failure


@pytest.mark.parametrize("error", [transient(True), RegistryUnavailable("database is locked")])
def test_a_fault_that_may_pass_is_tried_again_after_each_wait(registered, config, monkeypatch, error):
    once, made = failing(2, error)
    monkeypatch.setattr(rule, "_publish_once", once)
    assert publish_mosaic(ID, config, waits_s=(0.02, 0.05, 9.0)).created
    first, second = made[1] - made[0], made[2] - made[1]
    assert len(made) == 3 and 0.02 <= first < 5 and 0.05 <= second < 5


@pytest.mark.parametrize("failures", [2, 3])
def test_registering_waits_for_a_database_too(config, monkeypatch, failures):
    mosaics.make_mosaic(config)
    real, left = register_rule.open_registry, [RegistryUnavailable("the database system is starting up")] * failures

    def opened(config):
        if left:
            raise left.pop()
        return real(config)

    monkeypatch.setattr(register_rule, "open_registry", opened)
    if failures == 3:
        with pytest.raises(RegistryUnavailable, match="starting up"):
            register_mosaic(ID, config, waits_s=(0.01, 0.02))
    else:
        assert register_mosaic(ID, config, waits_s=(0.01, 0.02)).created


def test_after_the_last_wait_the_fault_is_raised(registered, config, monkeypatch):
    once, made = failing(9, transient(True))
    monkeypatch.setattr(rule, "_publish_once", once)
    with pytest.raises(PublishFailed, match="did not answer"):
        publish_mosaic(ID, config, waits_s=(0.01, 0.01))
    assert len(made) == 3


def test_a_fault_that_stays_is_raised_at_once(registered, config, monkeypatch):
    once, made = failing(9, transient(False))
    monkeypatch.setattr(rule, "_publish_once", once)
    with pytest.raises(PublishFailed):
        publish_mosaic(ID, config)  # with the waits of the rule: half a minute
    assert len(made) == 1


def test_the_logs_tell_each_step_of_registering_and_publishing(registry, config, caplog):
    mosaics.make_mosaic(config)
    config = config.model_copy(update={"publish": config.publish.model_copy(update={"update_archive": True})})
    with caplog.at_level("INFO"):
        made = register_mosaic(ID, config)
        register_mosaic(ID, config)
        published = publish_mosaic(ID, config, waits_s=())
    said = [one for one in caplog.messages if one.startswith(("registered", "was reg", "copied", "tables", "version"))]
    about = f"version 1 of {ID}: verdict passed, manifest {made.manifest_sha256[:12]}, bundle {made.path}"
    assert [said[0], said[1], said[3]] == [
        f"registered {about}", f"was registered before: {about}", "tables, sky map and gallery of the archive have it",
    ]  # fmt: skip
    assert said[2].startswith("copied ") and said[4].endswith(f"published as version 1 ({published.path})")


def test_the_archives_tables_are_brought_up_to_date_once(registered, config):
    options = config.publish.model_copy(update={"update_archive": True})
    config = config.model_copy(update={"publish": options})
    path = publish_mosaic(ID, config, waits_s=()).path
    index = config.paths.products / "index.html"
    assert knows(config.layout, path) and ID in (config.paths.products / "gallery/2026-02/mosaics.js").read_text()
    os.utime(index, ns=(5 * 10**18, 5 * 10**18))
    publish_mosaic(ID, config, waits_s=())
    assert index.stat().st_mtime_ns == 5 * 10**18  # known already: not written again
    index.unlink()
    publish_mosaic(ID, config, waits_s=())
    assert index.exists()


def test_a_held_mosaic_changes_no_table(registry, config):
    options = config.publish.model_copy(update={"update_archive": True, "remove_stage": True})
    config = config.model_copy(update={"publish": options})
    mosaics.make_mosaic(config, reasons=[mosaics.WARNING])
    staged = register_mosaic(ID, config).path
    assert publish_mosaic(ID, config, waits_s=()).status == "held"
    assert staged.is_dir() and not (config.paths.products / "index.html").exists()


def test_only_the_stage_of_what_is_published_is_removed(registry, registered, config):
    assert remove_staged(registry, config.layout, ID, 1) is False and registered.path.is_dir()
    publish_mosaic(ID, config, waits_s=())
    assert remove_staged(registry, config.layout, ID, 1) is True and not registered.path.exists()
    assert remove_staged(registry, config.layout, ID, 1) is True  # it is gone already
    assert Path(queries.get(registry, ID)["published_path"]).is_dir()
