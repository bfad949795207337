"""Jobs whose run was killed end by themselves; those of Slurm are found by name and folder."""

import os
import subprocess
import sys
import time

import pytest

from contimg.errors import ContimgError
from contimg.operations import orphans
from contimg.storage.process import Owner, me

JOB = """
import sys, time
from contimg.operations import job_log
with job_log.to_file(sys.argv[1]):
    print("at work", flush=True)
    time.sleep(60)
"""


def start(tmp_path, controller):
    environment = os.environ | {orphans.CONTROLLER: controller.to_json()}
    log = tmp_path / "logs" / "job.log"
    return subprocess.Popen([sys.executable, "-c", JOB, str(log)], env=environment), log


def test_a_job_ends_soon_after_its_run(tmp_path):
    run = subprocess.Popen(["sleep", "60"])
    _, started = orphans_process(run.pid)
    controller = Owner("here", me().machine, run.pid, started)
    job, log = start(tmp_path, controller)
    try:
        end = time.monotonic() + 30
        while not (log.exists() and "at work" in log.read_text()) and time.monotonic() < end:
            time.sleep(0.05)
        assert job.poll() is None
        run.kill()
        run.wait()
        assert job.wait(20) == 1
    finally:
        job.kill()
        run.kill()
    assert f"the run of this job (process {run.pid} on here) has ended" in log.read_text()


def orphans_process(pid):
    from contimg.storage.process import _process

    return _process(pid)


def test_a_job_of_a_run_on_another_machine_goes_on(tmp_path):
    """Whether that has ended cannot be seen from here."""
    elsewhere = Owner("elsewhere", "0" * 32 + "-1", 1, 1)
    job, log = start(tmp_path, elsewhere)
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            job.wait(4)
    finally:
        job.kill()
        job.wait()
    assert log.read_text().splitlines()[1:] == ["at work"]  # after the line of versions


def test_without_a_run_nothing_is_watched(monkeypatch):
    monkeypatch.delenv(orphans.CONTROLLER, raising=False)
    assert orphans.end_with_controller() is None


def test_the_run_is_named_in_the_environment(monkeypatch):
    monkeypatch.setenv(orphans.CONTROLLER, "")
    orphans.announce_controller()
    assert Owner.from_json(os.environ[orphans.CONTROLLER]) == me()


def program(folder, name, text):
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A working directory of the Slurm plugin, and a folder for programs that come before those of the system."""
    place = tmp_path / "work"
    (place / ".snakemake" / "slurm_logs").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return place


def test_slurm_is_not_asked_where_it_never_ran(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert orphans.cancel_slurm_jobs(tmp_path) == []


def test_only_our_jobs_in_this_folder_are_cancelled(work, tmp_path):
    """A program in the place of squeue prints what squeue prints; the real one is in test_slurm.py."""
    rows = [f"11|contimg_a|{work}", f"12|other|{work}", f"13|contimg_b|{tmp_path}", "14|contimg|c|"]
    listing = tmp_path / "listing"
    listing.write_text("\n".join(rows) + "\n")
    program(tmp_path / "bin", "squeue", f"cat {listing}")
    program(tmp_path / "bin", "scancel", f'echo "$@" >> {tmp_path}/cancelled; : > {listing}')
    assert orphans.cancel_slurm_jobs(work) == ["11"]
    assert (tmp_path / "cancelled").read_text() == "11\n"
    assert orphans.cancel_slurm_jobs(work) == []


def test_jobs_that_do_not_end_stop_the_run_with_the_command_that_ends_them(work, tmp_path, monkeypatch):
    monkeypatch.setattr(orphans, "_END_S", 0.3)
    program(tmp_path / "bin", "squeue", f"echo '11|contimg_a|{work}'")
    program(tmp_path / "bin", "scancel", "true")
    with pytest.raises(ContimgError, match=r"jobs 11 of an earlier run in .* do not end: type .scancel 11."):
        orphans.cancel_slurm_jobs(work)


@pytest.mark.parametrize("text", ["echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1", None])
def test_a_slurm_that_does_not_answer_is_a_sentence(work, tmp_path, monkeypatch, text):
    if text is None:
        monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    else:
        program(tmp_path / "bin", "squeue", text)
    with pytest.raises(ContimgError, match=r"squeue does not tell .*: repair Slurm, .* remove \.snakemake/slurm_logs"):
        orphans.cancel_slurm_jobs(work)
