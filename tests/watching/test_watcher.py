"""What `contimg watch` does next: runs when there is work, and not when it must not."""

import json
import os
import signal
import sys
import time

import pytest

from contimg.config import load
from contimg.errors import InputError
from contimg.operations import run_lock
from contimg.plan.model import Group, Plan, Waiting
from contimg.watching import pause, room, watcher
from contimg.watching.watcher import Command, Watcher, fingerprint

GROUP = "2026-02-11T00:26:49"
OPTIONS = {"poll_s": 0.2, "quiet_s": 0.0, "max_wait_s": 0.2, "rerun_s": 3600.0, "retry_s": 600.0, "min_free_gb": 0.0}
WORK = Plan(groups={GROUP: Group(GROUP, (GROUP,))})


@pytest.fixture(autouse=True)
def interrupts_are_handled():
    """SIGINT has a handler, as in `watch`: runs would inherit that a shell's ``&`` has made it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Stand:
    """A watcher with its roots, a program in the place of snakemake, and what the plan says."""

    def __init__(self, place, monkeypatch, script):
        self.place, self.said, self.plan = place, [], WORK
        (place / "incoming").mkdir()
        self.options = dict(OPTIONS, hook=f"{sys.executable} {self._hook()}")
        monkeypatch.setattr(watcher, "plan_within_room", lambda config: self._plan())
        words = (sys.executable, "-c", script, str(place / "ran"))
        self.watcher = Watcher(self.config, Command(words, place, place / "logs", "-c /n.yaml"), self.said.append)

    def _hook(self):
        path = self.place / "hook.py"
        path.write_text(f"import sys; open({str(self.place / 'called')!r}, 'a').write(' '.join(sys.argv[1:]) + '\\n')")
        return path

    def _plan(self):
        if isinstance(self.plan, Exception):
            raise self.plan
        return self.plan

    def config(self):
        paths = {name: str(self.place / name) for name in ("incoming", "stage", "products", "state")}
        return load({"paths": paths, "watch": self.options, "crossmatch": {"enabled": False}})

    def steps(self, until, seconds=20):
        """Step until something is true."""
        end = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < end, self.said
            self.watcher.step()
            time.sleep(0.02)

    def idle_steps(self, seconds=0.6):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.watcher.step()
            time.sleep(0.02)

    @property
    def runs(self):
        ran = self.place / "ran"
        return len(ran.read_text().splitlines()) if ran.exists() else 0

    @property
    def state(self):
        return json.loads((self.place / "state" / "watch.json").read_text())

    @property
    def called(self):
        path = self.place / "called"
        return [line.split(" ", 1)[0] for line in path.read_text().splitlines()] if path.exists() else []


RUN = "import sys; open(sys.argv[1], 'a').write('run\\n'); "


@pytest.fixture
def stand(tmp_path, monkeypatch):
    made = []

    def make(script=RUN):
        made.append(Stand(tmp_path, monkeypatch, script))
        return made[0]

    yield make
    for one in made:
        one.watcher.close()


def test_work_is_done_once_and_again_when_there_is_more(stand):
    here = stand()
    here.steps(lambda: here.runs == 1 and not here.watcher.running)
    here.idle_steps()
    assert here.runs == 1 and here.state["state"] == "idle"
    other = "2026-02-11T01:18:21"
    here.plan = Plan(groups={**WORK.groups, other: Group(other, (other,))})
    here.steps(lambda: here.runs == 2)


def test_without_work_nothing_runs_and_it_says_what_waits(stand):
    here = stand()
    here.plan = Plan(waiting=[Waiting(GROUP, "group", "scan_open", "the scan may go on", GROUP)])
    here.idle_steps()
    assert here.runs == 0
    assert here.state["message"] == f"1 wait; group {GROUP}: the scan may go on"


def test_an_empty_inbox_is_waited_for(stand):
    here = stand()
    here.plan = InputError("paths.incoming holds no subband files: wait for some or correct the key")
    here.idle_steps()
    assert (here.runs, here.state["state"]) == (0, "waiting")
    here.plan = WORK
    here.steps(lambda: here.runs == 1)


def test_an_inbox_that_is_gone_is_an_alarm_and_ends_with_it(stand):
    here = stand()
    here.plan = Plan()
    here.idle_steps(0.3)
    (here.place / "incoming").rmdir()
    here.steps(lambda: "no_data" in here.called)
    assert "cannot be listed (No such file or directory): mount it" in here.state["message"]
    (here.place / "incoming").mkdir()
    here.steps(lambda: here.state["state"] == "idle")


def test_a_failure_is_told_once_and_repeated_later_and_later(stand):
    here = stand(RUN + "print('contimg: no room'); sys.exit(1)")
    here.options["retry_s"] = 0.3
    here.steps(lambda: here.runs == 3 and not here.watcher.running)
    waits = [line.rpartition("again in ")[2] for line in here.said if "; again in " in line]
    assert waits == ["0 s", "1 s", "1 s"]  # 0.3, 0.6 and 1.2 s
    assert here.called == ["failed"]
    assert here.state["failures"] == 3 and "failed" in here.state["alarms"]
    assert any("contimg: no room" in line for line in here.said)


def test_after_a_failure_a_good_run_ends_the_alarm(stand):
    here = stand(RUN + "sys.exit(len(open(sys.argv[1]).readlines()) == 1)")
    here.options["retry_s"] = 0.1
    here.steps(lambda: here.runs == 2 and not here.watcher.running)
    assert here.state["alarms"] == {} and here.state["failures"] == 0


def test_a_pause_holds_back_and_resume_goes_on(stand):
    here = stand()
    pause.pause(here.watcher.config.layout, "new correlator setup")
    here.idle_steps()
    assert (here.runs, here.state["state"]) == (0, "paused")
    assert here.state["message"].endswith("new correlator setup")
    pause.resume(here.watcher.config.layout)
    here.steps(lambda: here.runs == 1)


def test_a_pause_lets_the_run_finish_its_jobs_and_the_work_is_taken_up_again(stand):
    """The program ends at SIGTERM as Snakemake does: its own way, with a code that is no failure then."""
    wait = "import signal, time; signal.signal(15, lambda *a: sys.exit(1)); time.sleep(30 * (not sys.argv[2:]))"
    here = stand(RUN + wait)
    here.steps(lambda: here.runs == 1)
    pause.pause(here.watcher.config.layout, "look at it")
    here.steps(lambda: here.state["state"] == "paused")
    assert here.called == [] and any(line.startswith("stopping: run ") for line in here.said)
    pause.resume(here.watcher.config.layout)
    here.steps(lambda: here.runs == 2)


def test_too_little_room_stops_before_anything_breaks(stand, monkeypatch):
    here = stand(RUN + "import time; time.sleep(30)")
    here.steps(lambda: here.runs == 1)
    free = {"gb": 1.0}
    monkeypatch.setattr(room, "free_gb", lambda root: free["gb"])
    here.options["min_free_gb"] = 2.0
    here.steps(lambda: here.state["state"] == "low_disk")
    assert here.called == ["low_disk"]
    assert "has 1.0 GB of room, and watch.min_free_gb is" in here.state["message"]
    free["gb"] = 2.1  # above the limit, but not by a quarter: it would stop again at once
    here.idle_steps()
    assert here.runs == 1
    free["gb"] = 2.6
    here.steps(lambda: here.runs == 2)
    assert here.state["alarms"] == {}


def test_an_alarm_names_commands_that_work_when_pasted(stand, monkeypatch):
    """To the hook, in the journal, and in the file that status reads; the words of a command stay as they are."""
    here = stand()
    held = "1 waits for a person, first m: contimg publish approve m --reason '...'"
    monkeypatch.setattr(watcher, "alarms", lambda config, plan, silent_s: {"held": held})
    here.steps(lambda: (here.place / "called").exists())
    pasted = "1 waits for a person, first m: contimg -c /n.yaml publish approve m --reason '...'"
    assert here.state["alarms"] == {"held": pasted} and f"held: {pasted}" in here.said
    assert f"held {pasted}" in (here.place / "called").read_text().splitlines()


def test_a_registry_out_of_reach_is_an_alarm_that_the_watch_outlives(stand):
    here = stand()
    file = here.place / "state" / "registry.sqlite3"
    file.mkdir(parents=True)
    here.steps(lambda: "no_registry" in here.called)
    here.idle_steps()
    assert "is a folder, and not a registry" in here.state["alarms"]["no_registry"]
    file.rmdir()
    here.steps(lambda: here.state["alarms"] == {})
    assert here.called == ["no_registry"]


def test_groups_without_room_wait_and_what_has_passed_its_limits_is_removed(stand, monkeypatch):
    """A backlog larger than the disk: no run, an alarm and a look at what may go, until there is room."""
    here = stand()
    full = Plan(waiting=[Waiting("mosaic_20260211T002649", "group", "no_room", "the stage has 1 GB", GROUP)])
    tidied = []
    monkeypatch.setattr(here.watcher, "_tidy", lambda quiet=False: tidied.append(quiet))
    lacking = "1 wait for room, first mosaic_20260211T002649: the stage has 1 GB"
    monkeypatch.setattr(watcher, "wants_room", lambda config, plan: None if plan.groups else lacking)
    here.plan = full
    here.steps(lambda: "low_disk" in here.called)
    here.idle_steps()
    assert here.runs == 0 and len(tidied) >= 2 and here.state["state"] == "low_disk"
    assert here.state["alarms"] == {"low_disk": lacking}
    here.plan = Plan(groups=WORK.groups, waiting=full.waiting)  # some fit: these are made, and nobody is called
    here.steps(lambda: here.runs == 1 and not here.watcher.running)
    here.idle_steps()
    assert here.state["alarms"] == {} and here.called == ["low_disk"]


def test_another_run_is_waited_for(stand):
    here = stand()
    with run_lock.run_locks(here.watcher.config.layout):
        here.idle_steps()
        assert (here.runs, here.state["state"]) == (0, "waiting")
    here.steps(lambda: here.runs == 1)


def test_files_that_keep_coming_are_followed_after_a_while(stand):
    here = stand()
    here.options |= {"quiet_s": 100.0, "max_wait_s": 1.5}
    here.steps(lambda: here.runs == 1 and not here.watcher.running)
    here.plan = Plan(groups={"b": Group("b", (GROUP,))})
    began = time.monotonic()
    while here.runs == 1:
        assert time.monotonic() - began < 20
        (here.place / "incoming" / f"{time.monotonic_ns()}.hdf5").touch()
        here.watcher.step()
        time.sleep(0.05)


def test_a_configuration_that_cannot_be_read_stops_nothing_for_good(stand):
    here = stand()
    here.options["poll_s"] = -1.0
    here.idle_steps()
    assert here.runs == 0 and "watch.poll_s" in here.state["message"]
    here.options["poll_s"] = 0.2
    here.steps(lambda: here.runs == 1)


def test_a_full_disk_does_not_end_the_watch(stand, monkeypatch):
    here = stand()

    def full(path, content):
        raise OSError(28, os.strerror(28), str(path))

    monkeypatch.setattr(watcher, "write_json", full)
    here.steps(lambda: here.runs == 1)


def test_closing_ends_the_run_within_its_time(stand):
    here = stand(RUN + "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)")
    here.options["stop_s"] = 0.3
    here.steps(lambda: here.runs == 1)
    began = time.monotonic()
    here.watcher.close()
    assert time.monotonic() - began < 15
    assert here.state["state"] == "stopped" and not here.watcher.running


def test_the_fingerprint_is_that_of_the_work():
    assert fingerprint(Plan()) == ""
    assert fingerprint(WORK) == fingerprint(Plan(groups=dict(WORK.groups), waiting=[Waiting("a", "b", "c", "d", "e")]))
    assert fingerprint(WORK) != fingerprint(Plan(groups={GROUP: Group(GROUP, (GROUP, "2026-02-11T00:31:58"))}))
