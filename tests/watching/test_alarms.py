"""Alarms of a plan: what is held, what lacks a calibrator, and an inbox in which nothing comes any more."""

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
