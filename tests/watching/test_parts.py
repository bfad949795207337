"""The parts of the watch: changes of the inbox, pause, hook, logs, and one watch at a time."""

import json
import os
import subprocess
import sys
import time

import pytest

from contimg.errors import BusyError, ContimgError, InputError
from contimg.watching import pause
from contimg.watching.hook import call_hook
from contimg.watching.inbox_changes import InboxChanges
from contimg.watching.run_process import RunProcess, keep_newest
from contimg.watching.watch import hold_watch_lock, snakemake_command
from tests.support import mosaics


@pytest.fixture
def layout(tmp_path):
    return mosaics.config_below(tmp_path).layout


def wait_for_change(inbox, seconds=20):
    end = time.monotonic() + seconds
    while not inbox.changed():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_new_file_is_told_by_the_kernel_without_a_look(tmp_path):
    inbox = InboxChanges(tmp_path, poll_s=3600)
    try:
        assert inbox.changed()  # the first look
        time.sleep(1.0)  # the thread listens
        assert not inbox.changed()
        (tmp_path / "2026-02-11T00:26:49_sb00.hdf5").touch()
        wait_for_change(inbox)
        assert not inbox.changed()
    finally:
        inbox.close()


@pytest.mark.parametrize("what", ["grows", "is replaced", "is removed"])
def test_looks_find_what_the_kernel_does_not_tell(tmp_path, monkeypatch, what):
    monkeypatch.setattr(InboxChanges, "_listen", lambda self: None)  # as on a network filesystem
    file = tmp_path / "2026-02-11T00:26:49_sb00.hdf5"
    file.write_bytes(b"1")
    inbox = InboxChanges(tmp_path, poll_s=0.05)
    wait_for_change(inbox)
    time.sleep(0.1)
    assert not inbox.changed()
    if what == "grows":
        file.write_bytes(b"12")
    elif what == "is replaced":
        os.utime(file, (1, 1))
    else:
        file.unlink()
    wait_for_change(inbox)


def test_a_folder_that_comes_later_is_found(tmp_path):
    inbox = InboxChanges(tmp_path / "later", poll_s=0.05)
    try:
        assert not inbox.changed() and "cannot be listed" in inbox.error
        (tmp_path / "later").mkdir()
        wait_for_change(inbox)
        assert inbox.error is None
    finally:
        inbox.close()


@pytest.mark.parametrize(("reason", "said"), [
    (" ", "contimg pause: no reason given"), ("x" * 1001, "has 1001 characters"), ("a\nb", "write it in one line"),
])  # fmt: skip
def test_a_pause_has_a_reason_in_one_line(layout, reason, said):
    with pytest.raises(InputError, match=said):
        pause.pause(layout, reason)
    assert pause.paused(layout) is None


def test_a_pause_names_who_and_why_and_a_damaged_note_is_a_pause(layout):
    assert pause.paused(layout) is None
    with pytest.raises(ContimgError, match="is not paused"):
        pause.resume(layout)
    made = pause.pause(layout, "cable swap")
    assert pause.paused(layout) == made and made.reason == "cable swap"
    pause.note_of(layout).write_text("{torn")
    assert pause.paused(layout).reason == "unknown"
    pause.resume(layout)
    assert pause.paused(layout) is None


def test_the_hook_gets_the_event_and_the_sentence(tmp_path):
    script = tmp_path / "tell me.py"
    script.write_text("import json, sys; json.dump(sys.argv[1:], open(sys.argv[1], 'w'))")
    said = tmp_path / "said"
    hook = f"{sys.executable} '{script}' {said}"
    assert call_hook(hook, "held", "2 wait; look [at] 'them'") is None
    assert json.loads(said.read_text()) == [str(said), "held", "2 wait; look [at] 'them'"]
    assert call_hook(None, "held", "nothing") is None


@pytest.mark.parametrize(
    ("hook", "said"),
    [
        ("/nowhere/at/all", "could not be called for 'failed'"),
        ("false", "ended with 1 for 'failed' (without a word)"),
        ("'unclosed", "could not be called for 'failed'"),
        (f"{sys.executable} -c 'import sys; sys.exit(\"no route\")'", "ended with 1 for 'failed' (no route)"),
    ],
)
def test_a_hook_that_does_not_work_is_a_sentence(hook, said):
    assert said in call_hook(hook, "failed", "a job failed")


def test_logs_of_runs_are_bounded(tmp_path):
    for number in range(10):
        (tmp_path / f"2026021{number}T000000.log").touch()
    keep_newest(tmp_path, 3)
    assert sorted(path.name[7] for path in tmp_path.iterdir()) == ["7", "8", "9"]


def test_the_last_words_of_a_run_are_its_end(tmp_path):
    script = "for n in range(100_000): print(n)"
    run = RunProcess([sys.executable, "-c", script], tmp_path, tmp_path / "logs", os.environ)
    assert run.wait(60) and run.poll() == 0
    assert run.last_words(lines=2) == "99998\n99999"


def test_one_watch_at_a_time_and_the_next_after_a_kill(layout):
    code = (
        "import sys, time; from pathlib import Path; from contimg.naming import Layout;"
        "from contimg.watching.watch import hold_watch_lock;"
        "lock = hold_watch_lock(Layout(*map(Path, sys.argv[1:]))); print('held', flush=True); time.sleep(60)"
    )
    places = [str(getattr(layout, name)) for name in ("incoming", "stage", "products", "state")]
    other = subprocess.Popen([sys.executable, "-c", code, *places], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(BusyError, match=rf"contimg watch is running already \(process {other.pid} on "):
            hold_watch_lock(layout)
    finally:
        other.kill()
        other.wait()
        other.stdout.close()
    hold_watch_lock(layout).release()


def test_the_command_is_what_an_operator_types(tmp_path):
    command = snakemake_command([tmp_path / "night.yaml"], tmp_path / "work", ["--cores", "2"])
    assert command.words[1:4] == ("-m", "snakemake", "-s")
    assert command.words[4].endswith("/Snakefile") and os.path.exists(command.words[4])
    assert command.words[5:] == (
        "--directory", str(tmp_path / "work"), "--configfile", str(tmp_path / "night.yaml"), "--cores", "2",
    )  # fmt: skip
