"""Runs that meet, and runs that are killed: the same command always finishes the work."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest

from contimg import naming
from tests.workflow.conftest import ROOT

pytestmark = pytest.mark.long


@contextlib.contextmanager
def running(night, *words, log=os.devnull):
    """Start the workflow in a session of its own; at the end kill -9 it with all its jobs."""
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--directory", "work"]
    command += ["--configfile", str(night.config_file), "--cores", "2", "--quiet", "rules", *words]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with open(log, "w") as file:
        process = subprocess.Popen(
            command, cwd=night.place, env=environment, start_new_session=True, stdout=file, stderr=subprocess.STDOUT
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(path, seconds=60):
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"{path} did not appear"
        time.sleep(0.05)


def wait_for_logs(folder, count, seconds=60):
    """Wait until so many jobs write their logs: an interpreter that is still starting answers Ctrl-C for itself."""
    end = time.monotonic() + seconds
    while len(list(folder.glob("*/*.log"))) < count:
        assert time.monotonic() < end, f"{count} logs did not appear in {folder}"
        time.sleep(0.05)


def test_two_runs_at_once_the_second_refuses(night):
    with running(night) as first:
        wait_for(night.place / "state" / "plan.json")
        second = night.snakemake("--quiet", "rules", check=False)
    assert second.returncode != 0
    assert f"another run (process {first.pid} on " in second.stdout + second.stderr


def test_two_runs_with_states_of_their_own_do_not_share_a_stage(night):
    with running(night):
        wait_for(night.place / "state" / "plan.json")
        night.change_config(paths={"state": str(night.place / "other"), "products": str(night.place / "others")})
        second = night.snakemake("--quiet", "rules", check=False)
    assert second.returncode != 0
    assert f"is working on {night.stage} (paths.stage)" in second.stdout + second.stderr


def test_a_run_that_is_interrupted_says_so(night):
    log = night.place / "said"
    with running(night, log=log) as process:
        wait_for_logs(night.place / "work" / "logs" / "convert_tile", 2)
        os.killpg(process.pid, signal.SIGINT)
        process.wait(60)
    said = log.read_text()
    assert "Stopped by the keyboard. Nothing half-made was left behind" in said
    assert "its reason stands above" not in said and "Traceback" not in said


def test_a_killed_run_is_finished_by_the_same_command(night):
    """Killed in the middle of a conversion: the plan is whole again, with no unlock and no clean-up."""
    with running(night):
        wait_for(night.place / "work" / "logs" / "convert_tile")
        time.sleep(1.0)
    twins = [str(night.stage / "ms" / tile[:10] / f"{naming.stem(tile)}.json") for tile in night.plan()["tiles"]]
    night.snakemake(*twins, "--quiet", "rules")
    assert len(twins) == 3 and all(os.path.exists(twin) for twin in twins)
    assert not list(night.stage.rglob(".*part-*"))
