"""Simulated processes: they pause and go on, die without tidying up, and know one another as real ones do."""

import os
import secrets
import time
import uuid

import pytest

from contimg import times
from contimg.errors import InputError
from contimg.storage import process as process_module
from contimg.storage.atomic import write_json
from contimg.trials import calls
from contimg.trials.machine import START_UNIX_S, Machine


@pytest.fixture
def machine():
    made = Machine(7)
    with calls.installed(made):
        yield made


def test_a_process_runs_to_its_end(machine):
    process = machine.start(lambda: 42)
    assert machine.resume(process)
    assert (process.ended, process.result) == ("clean", 42)


def test_what_it_raises_is_its_end(machine):
    def refused():
        raise InputError("a file is missing: bring it back")

    for action, end in ((refused, "InputError: a file is missing: bring it back"), (lambda: 1 / 0, "leaked ZeroDiv")):
        process = machine.start(action)
        machine.resume(process)
        assert process.ended.startswith(end)


def test_two_take_turns(machine):
    said = []

    def speak(name):
        for number in range(2):
            said.append(f"{name}{number}")
            machine.pause()

    one, other = (machine.start(lambda name=name: speak(name)) for name in "ab")
    while not all([one.ended, other.ended]):
        for process in (one, other):
            if process.ended is None:
                machine.resume(process)
    assert said == ["a0", "b0", "a1", "b1"]


def test_a_killed_process_tidies_nothing_up(machine, tmp_path):
    """`write_json` removes its temporary file on any error; SIGKILL leaves it."""
    machine.hook = lambda process, call: machine.kill(process) if call == "replace" else None
    process = machine.start(lambda: write_json(tmp_path / "a.json", {}))
    machine.resume(process)
    assert process.ended == "killed"
    assert [path.name[:13] for path in tmp_path.iterdir()] == [".a.json.part-"]


def test_every_gate_is_passed_by_name(machine, tmp_path):
    process = machine.start(lambda: write_json(tmp_path / "a.json", {}))
    machine.resume(process)
    passed = [line.split()[1] for line in machine.trace]
    # Its folder is made if need be, and what is left of an earlier attempt is removed; so it is at the end.
    assert passed == ["mkdir", "unlink", "open", "open", "fsync", "replace", "open", "fsync", "unlink"]
    assert process.calls == len(passed)


def test_outside_of_processes_nothing_is_simulated(machine, tmp_path):
    write_json(tmp_path / "a.json", {})
    assert machine.trace == []


def test_clock_names_and_numbers_follow_the_seed(machine):
    first = time.time(), times.now(), secrets.token_hex(8), str(uuid.uuid4())
    assert first[0] == pytest.approx(START_UNIX_S, abs=1)
    assert first[1].startswith("2026-02-11T00:00:00.00")
    again = Machine(7)
    with calls.installed(again):
        assert (time.time(), times.now(), secrets.token_hex(8), str(uuid.uuid4())) == first
    assert abs(time.time() - first[0]) < 1, "the block ended, and its own machine's clock is installed again"


def test_sleep_is_time_that_passes(machine):
    before = machine.now_s
    process = machine.start(lambda: time.sleep(60))
    assert not machine.resume(process)
    assert process.wake_s == before + 60
    machine.resume(process)
    assert process.ended == "clean"
    time.sleep(5)
    assert machine.now_s == before + 5


def test_who_has_ended_is_known(machine):
    process = machine.start(machine.pause)
    machine.resume(process)
    owner = process.owner
    assert not process_module.is_dead(owner)
    machine.kill(process)
    assert (process.ended, process_module.is_dead(owner)) == ("killed", True)
    machine.reboot()
    assert process_module.is_dead(owner), "of an earlier boot of this machine"
    assert process_module.me() != owner


def test_a_reboot_ends_everything(machine):
    process = machine.start(machine.pause)
    machine.resume(process)
    machine.reboot()
    assert process.ended == "cut off"


def test_a_process_that_is_killed_before_it_began(machine):
    process = machine.start(lambda: os.mkdir("/nowhere/at/all"))
    machine.kill(process)
    assert process.ended == "killed"
