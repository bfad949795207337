"""What ended a run, as its closing words say."""

import os
import signal

import pytest

from contimg.operations import interruption, status


@pytest.fixture
def watched(monkeypatch):
    """Watch in this process, and give the signals back after."""
    monkeypatch.setattr(interruption, "_received", [])
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_ctrl_c_is_noted_and_handed_on(watched):
    signal.signal(signal.SIGINT, signal.default_int_handler)
    interruption.watch()
    assert interruption.interrupted() is None
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    assert interruption.interrupted() == "SIGINT"
    said = status.failure(interruption.interrupted())
    assert "Stopped by the keyboard" in said and "its reason stands above" not in said


def test_the_handler_of_before_gets_its_signal_once(watched):
    got = []
    signal.signal(signal.SIGTERM, lambda number, frame: got.append(number))
    interruption.watch()
    os.kill(os.getpid(), signal.SIGTERM)
    assert got == [signal.SIGTERM] and interruption.interrupted() == "SIGTERM"
    assert "Stopped by SIGTERM" in status.failure("SIGTERM")


def test_an_ignored_signal_stays_ignored(watched):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    interruption.watch()
    os.kill(os.getpid(), signal.SIGINT)
    assert interruption.interrupted() == "SIGINT"


def test_without_a_signal_a_job_failed():
    assert "A job failed: its reason stands above after 'contimg:'" in status.failure()
