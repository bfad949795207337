"""Runs that meet, and runs that are killed: the same command always finishes the work."""

import contextlib
import os
import signal
import subprocess
import sys
import time

from contimg import naming
from tests.workflow.conftest import ROOT


@contextlib.contextmanager
def running(night):
    """Start the workflow in a session of its own; at the end kill -9 it with all its jobs."""
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--directory", "work"]
    command += ["--configfile", str(night.config_file), "--cores", "2", "--quiet", "all"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, cwd=night.place, env=environment, start_new_session=True, **silent)
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(path, seconds=60):
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"{path} did not appear"
        time.sleep(0.05)


def test_two_runs_at_once_the_second_refuses(night):
    with running(night) as first:
        wait_for(night.place / "state" / "plan.json")
        second = night.snakemake("--quiet", "rules", check=False)
    assert second.returncode != 0
    assert f"another run (process {first.pid} on " in second.stdout + second.stderr


def test_a_killed_run_is_finished_by_the_same_command(night):
    """Killed in the middle of a conversion: the plan is whole again, with no unlock and no clean-up."""
    with running(night):
        wait_for(night.place / "work" / "logs" / "convert_tile")
        time.sleep(1.0)
    twins = [str(night.stage / "ms" / tile[:10] / f"{naming.stem(tile)}.json") for tile in night.plan()["tiles"]]
    night.snakemake(*twins, "--quiet", "rules")
    assert len(twins) == 3 and all(os.path.exists(twin) for twin in twins)
    assert not list(night.stage.rglob(".*part-*"))
