"""Deadlines are counted with the time that has passed: a step of this computer's clock makes nothing overdue."""

import os
from datetime import UTC, datetime, timedelta

import pytest

from contimg import config as configuration
from contimg.config import IngestOptions
from contimg.correlator.facts import FileFacts
from contimg.plan import clock
from contimg.plan.clock import Clocks, believed, time_of_plan
from contimg.plan.model import Waiting
from contimg.plan.observe import current_plan, with_step
from contimg.simulate import GainErrors, NightOptions, simulate_night
from contimg.storage import notes, process
from contimg.times import mjd_from_datetime

T = datetime(2026, 2, 11, 12, 0, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
OPTIONS = IngestOptions()
BEFORE = Clocks("boot", 1000.0, T)


def after(passed_s, shown_s, boot="boot"):
    """Return the clocks when one time has passed since `BEFORE` and the clock shows that another has."""
    return Clocks(boot, 1000.0 + passed_s, T + timedelta(seconds=shown_s))


CASES = {
    "the first plan": (after(0, 7200), None, None, 7200),
    "after a restart": (after(-900, 7200, "another"), BEFORE, None, 7200),
    "it goes on": (after(7200, 7200), BEFORE, None, 7200),
    "it is slewed": (after(7200, 7259), BEFORE, None, 7259),
    "set ahead": (after(60, 7200), BEFORE, None, 60),
    "set ahead by a year": (after(60, 365 * 86400), BEFORE, None, 60),
    "set ahead, an old file": (after(60, 7200), BEFORE, T - HOUR, 60),
    "set ahead, files of times between": (after(60, 7200), BEFORE, T + HOUR, 3600),
    "set right: files are of the new time": (after(60, 7200), BEFORE, T + 2 * HOUR - timedelta(seconds=600), 7200),
    "set right: files were ahead of it": (after(60, 7200), BEFORE, T + 2 * HOUR + timedelta(seconds=300), 7200),
    "set back": (after(60, -7200), BEFORE, None, -7200),
    "set back, a file of before": (after(60, -7200), BEFORE, T, -7200),
}


@pytest.mark.parametrize("shown, before, newest, expected_s", CASES.values(), ids=CASES)
def test_which_time_is_believed(shown, before, newest, expected_s):
    assert believed(shown, before, newest, OPTIONS) == T + timedelta(seconds=expected_s)


@pytest.fixture
def clocks(monkeypatch):
    """A function that sets this computer's clock, and lets time pass."""
    state = {"since_boot_s": 1000.0, "clock": T}

    def step(passed_s=0.0, set_by=timedelta(0)):
        state["since_boot_s"] += passed_s
        state["clock"] += timedelta(seconds=passed_s) + set_by

    class Now(datetime):
        @classmethod
        def now(cls, tz=None):
            return state["clock"]

    monkeypatch.setattr(clock, "datetime", Now)
    monkeypatch.setattr(clock.time, "clock_gettime", lambda which: state["since_boot_s"])
    return step


def read(cache, newest=None):
    """Return how long after T deadlines say it is, and how far the clock is ahead [s]."""
    facts = {"f": FileFacts(1, 1, end_mjd=mjd_from_datetime(newest))} if newest else {}
    now, ahead_s = time_of_plan(cache, facts, OPTIONS)
    return round((now - T).total_seconds(), 3), round(ahead_s, 3)


def test_a_step_ahead_is_not_believed_until_that_time_has_passed(tmp_path, clocks):
    assert read(tmp_path) == (0, 0)
    clocks(60, set_by=2 * HOUR)
    assert read(tmp_path) == (60, 7200)
    clocks(600)
    assert read(tmp_path) == (660, 7200)
    clocks(3600, set_by=HOUR)
    assert read(tmp_path) == (4260, 10800)


def test_a_step_ahead_is_believed_with_the_first_file_of_its_time_and_ever_after(tmp_path, clocks):
    read(tmp_path)
    clocks(60, set_by=2 * HOUR)
    assert read(tmp_path)[1] == 7200
    clocks(600)
    assert read(tmp_path, T + 2 * HOUR + timedelta(seconds=300)) == (7860, 0)
    clocks(86400)
    assert read(tmp_path) == (7860 + 86400, 0)


def test_a_step_ahead_that_is_taken_back_leaves_nothing(tmp_path, clocks):
    read(tmp_path)
    clocks(60, set_by=2 * HOUR)
    read(tmp_path)
    clocks(60, set_by=-2 * HOUR)
    assert read(tmp_path) == (120, 0)
    clocks(86400)
    assert read(tmp_path) == (86520, 0)


def test_a_step_back_that_is_taken_back_waits_for_files(tmp_path, clocks):
    read(tmp_path)
    clocks(60, set_by=-2 * HOUR)
    assert read(tmp_path) == (60 - 7200, 0)
    clocks(60, set_by=2 * HOUR)
    assert read(tmp_path) == (120 - 7200, 7200)
    assert read(tmp_path, T - timedelta(seconds=2000)) == (-2000, 2120)  # not before the newest file
    assert read(tmp_path, T) == (120, 0)


def test_the_note_is_written_at_steps_only(tmp_path, clocks):
    read(tmp_path)
    first = (tmp_path / "clock.json").stat().st_ino
    clocks(100_000)
    read(tmp_path)
    assert (tmp_path / "clock.json").stat().st_ino == first
    clocks(60, set_by=-HOUR)
    read(tmp_path)
    assert (tmp_path / "clock.json").stat().st_ino != first


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"boot": 1}', '{"boot": "%s", "since_boot_s": 1e300, "clock": "2026-02-11T12:00:00+00:00"}',
     '{"boot": "%s", "since_boot_s": NaN, "clock": "2026-02-11T12:00:00+00:00"}',
     '{"boot": "%s", "since_boot_s": 5, "clock": "2026-02-11T12:00:00"}'],
    ids=["empty", "list", "nothing", "a key", "too long", "nan", "no zone"],
)  # fmt: skip
def test_a_damaged_note_is_replaced(tmp_path, clocks, content):
    (tmp_path / "clock.json").write_bytes(notes._framed(content.replace("%s", process.me().boot).encode()))
    clocks(60, set_by=HOUR)
    assert read(tmp_path) == (3660, 0)
    assert Clocks.of_note(notes.read_note(tmp_path / "clock.json")).clock == T + HOUR + timedelta(seconds=60)


def test_who_may_not_write_plans_with_the_note_that_stands(tmp_path, clocks, monkeypatch):
    read(tmp_path)
    clocks(60, set_by=HOUR)

    def refused(path, content):
        raise PermissionError(13, os.strerror(13), str(path))

    monkeypatch.setattr(notes, "write_note", refused)
    assert read(tmp_path) == (60, 3600)


def test_other_failures_to_write_are_said(tmp_path, monkeypatch):
    def full(path, content):
        raise OSError(28, os.strerror(28), str(path))

    monkeypatch.setattr(notes, "write_note", full)
    with pytest.raises(OSError, match="No space left"):
        read(tmp_path)


def test_faulty_files_are_no_witnesses(tmp_path, clocks):
    time_of_plan(tmp_path, {}, OPTIONS)
    clocks(60, set_by=2 * HOUR)
    later = mjd_from_datetime(T + 2 * HOUR)
    facts = {"a": FileFacts(1, 1, "x", "clock", end_mjd=later), "b": FileFacts(1, 1)}
    assert time_of_plan(tmp_path, facts, OPTIONS) == (T + timedelta(seconds=60), 7200)


def test_only_what_waits_for_a_deadline_is_told_of_the_step():
    waiting = Waiting("t", "tile", "subbands", "15 of 16 subbands are ready, waiting for sb03", "t")
    assert with_step(waiting, 0.0) is waiting
    assert with_step(waiting, 7200.0).message == (
        "15 of 16 subbands are ready, waiting for sb03; this computer's clock was set ahead by 120 min and no file is"
        " of its time yet: until then the deadline is counted without that step"
    )
    gone = Waiting("t", "tile", "inputs_gone", "gone", "t")
    assert with_step(gone, 7200.0) is gone


def test_a_tile_that_lacks_a_subband_goes_on_waiting_when_the_clock_steps(tmp_path, clocks):
    options = NightOptions(tiles=1, antennas=3, channels=1, integrations=24, sources=1, gains=GainErrors.none())
    out = simulate_night(tmp_path / "night", options).out
    files = sorted((out / "incoming").iterdir())
    files[5].unlink()
    patient = tmp_path / "patient.yaml"
    patient.write_text("ingest: {deadline_s: 3600, settle_s: 0}\n")
    config = configuration.load_files([configuration.default_file(), out / "config.yaml", patient])
    start = datetime.fromisoformat(files[0].name[:19] + "+00:00")
    clocks(set_by=start + timedelta(seconds=400) - T)

    def waiting():
        plan = current_plan(config)
        return [(w.code, "set ahead" in w.message) for w in plan.waiting if w.what == "tile"]

    assert waiting() == [("subbands", False)]
    clocks(60, set_by=5 * HOUR)
    assert waiting() == [("subbands", True)]
    clocks(3000)
    assert waiting() == [("subbands", True)]
    clocks(300)  # the deadline of an hour has passed in truth
    assert waiting() == []
