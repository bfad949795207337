"""Alarms of a plan: what is held, lacks a calibrator, does not come any more; a registry or archive that is lost."""

import shutil

import pytest

from contimg.plan.model import Plan, Waiting
from contimg.watching.alarms import EVENTS, alarms
from tests.support import mosaics

GROUP = "2026-02-11T00:26:49"


@pytest.fixture
def config(tmp_path):
    return mosaics.config_below(tmp_path, watch={"no_data_h": 2.0})


def test_a_quiet_night_has_none(config):
    assert alarms(config, Plan(waiting=[Waiting(GROUP, "group", "scan_open", "goes on", GROUP)]), 7199) == {}


def test_what_lacks_a_calibrator_is_one_alarm_with_the_first(config):
    waits = [Waiting(f"mosaic_{number}", "group", "no_bandpass", "none within 24 h", GROUP) for number in (1, 2)]
    assert alarms(config, Plan(waiting=waits), 0.0) == {
        "no_calibrator": "2 wait for a calibrator, first mosaic_1: none within 24 h"
    }


@pytest.mark.parametrize(("silent_s", "told"), [(7199, False), (7200, True), (86400, True)])
def test_an_inbox_that_is_silent(config, silent_s, told):
    found = alarms(config, Plan(), silent_s)
    assert ("no_data" in found) is told
    if told:
        assert f"for {silent_s / 3600:.1f} h (watch.no_data_h is 2)" in found["no_data"]


def test_every_alarm_is_an_event(config):
    waits = [Waiting("m", "group", "no_bandpass", "none", GROUP)]
    assert set(alarms(config, Plan(waiting=waits), 1e6)) <= set(EVENTS)


def test_a_registry_that_was_lost_is_an_alarm_with_the_remedy(sqlite_config):
    mosaics.run(sqlite_config)
    assert alarms(sqlite_config, Plan(), 0.0) == {}
    shutil.rmtree(sqlite_config.paths.state)
    found = alarms(sqlite_config, Plan(), 0.0)
    assert set(found) == {"no_registry"}
    assert "holds nothing, but" in found["no_registry"] and "'contimg registry restore FILE'" in found["no_registry"]


def test_an_archive_that_is_not_there_is_an_alarm_with_the_remedy(sqlite_config):
    mosaics.run(sqlite_config)
    sqlite_config.paths.products.rename(sqlite_config.paths.products.with_name("unplugged"))
    found = alarms(sqlite_config, Plan(), 0.0)
    assert set(found) == {"wrong_archive"} and "mount the archive" in found["wrong_archive"]


def test_a_registry_that_cannot_be_opened_is_an_alarm(config):
    config.layout.registry_file.mkdir(parents=True)
    found = alarms(config, Plan(), 0.0)
    assert set(found) == {"no_registry"} and "is a folder, and not a registry" in found["no_registry"]
