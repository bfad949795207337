"""A night on a real Slurm of one node: jobs that are cancelled, too large or orphaned, and a node that is drained."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from contimg.operations.orphans import cancel_slurm_jobs
from tests.workflow.conftest import ROOT, simulate

pytestmark = pytest.mark.slurm

# The plugin looks after the first interval, and each time that nothing has ended waits 10 s longer.
CLUSTER = (
    "--profile",
    str(ROOT / "profiles/slurm"),
    "--slurm-init-seconds-before-status-checks",
    "6",
    "--latency-wait",
    "10",
)
# Below what imaging takes at the first attempt (0.29 GB of Snakemake, 0.31 GB of its own), above it at the second.
TOO_LITTLE = ("--set-resources", "image_tile:mem_mb=attempt * attempt * 250")


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    place = tmp_path_factory.mktemp("slurm") / "night"
    return simulate(
        place, "--tiles", "2", "--antennas", "12", "--channels", "2", "--sources", "6", "--max-baseline", "500"
    )


def slurm(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def jobs(night, rule="", state=""):
    """Return id -> state of the Slurm jobs of a night and rule."""
    rows = [line.split("|") for line in slurm("squeue", "--noheader", "--format=%i|%T|%k|%Z").splitlines()]
    mine = str(night.place / "work")
    return {one: now for one, now, what, where in rows if where == mine and rule in what and state in now}


def wait_for(look, what, seconds=600):
    end = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.2)
    return seen


@contextlib.contextmanager
def controller(night, log, *words):
    """Start the workflow on the cluster; at the end its controller is gone, however the test went."""
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "-s",
        str(ROOT / "Snakefile"),
        "--directory",
        str(night.place / "work"),
    ]
    command += ["--configfile", str(night.config_file), *CLUSTER, *words]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with open(log, "w") as file:
        process = subprocess.Popen(command, env=environment, start_new_session=True, stdout=file, stderr=file)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def memory_asked(night, rule):
    """Return what the first run's submissions of a rule asked for (MB): Snakemake's own log has all of each job."""
    logs = sorted((night.place / "work/.snakemake/log").glob("*.snakemake.log"), key=lambda one: one.stat().st_mtime_ns)
    jobs_of_rule = logs[0].read_text().split(f"\nrule {rule}:\n")[1:]
    return sorted({int(job.split("\n\n")[0].split("mem_mb=")[1].split(",")[0]) for job in jobs_of_rule})


def test_a_night_survives_what_a_cluster_does_to_it(night, tmp_path):
    """Cancelled, drained, out of memory, controller killed; the same command then publishes the mosaic once."""
    first, second = tmp_path / "first.log", tmp_path / "second.log"
    with controller(night, first, *TOO_LITTLE) as process:
        cancelled = sorted(wait_for(lambda: jobs(night, "convert_tile", "RUNNING"), "a conversion"))[0]
        slurm("scancel", cancelled)
        node = slurm("sinfo", "--noheader", "--format=%n").split()[0]
        slurm("scontrol", "update", f"nodename={node}", "state=drain", "reason=test")
        try:
            wait_for(lambda: jobs(night, "", "PENDING"), "a job that waits for the drained node")
        finally:
            slurm("scontrol", "update", f"nodename={node}", "state=resume")
        # The second attempt of an image, with four times the memory: then the controller dies.
        wait_for(lambda: 1000 in memory_asked(night, "image_tile"), "imaging with more memory")
        orphans = wait_for(lambda: jobs(night, "image_tile", "RUNNING"), "a running job")
        process.kill()
    assert process.returncode == -signal.SIGKILL

    with controller(night, second) as process:
        assert process.wait(600) == 0, second.read_text()[-6000:]

    said = first.read_text()
    assert f"'{cancelled}' failed, SLURM status is: 'CANCELLED'" in said
    assert memory_asked(night, "image_tile")[0] == 250
    published = json.loads(night.contimg("status", "--json").stdout)["groups"]
    assert [(one["state"], one["version"], one["imaged"]) for one in published] == [("published", 1, 2)]
    assert not set(orphans) & set(jobs(night))
    assert not [path for path in night.stage.rglob(".*part-*")]
    night.contimg("verify", "--all")
    assert night.planned() == {}


def test_what_jobs_took_is_within_what_they_asked_for(night):
    """Peaks that Snakemake measured, of the rule's process, against the rule's own request (without Snakemake's)."""
    if not (night.place / "work" / "benchmarks").exists():
        pytest.skip("the night of the test before was not finished")
    from contimg.monitoring.resource_use import resource_use

    rows = {row.rule: row for row in resource_use(night.place / "work")}
    assert {"convert_tile", "solve_calibration", "apply_calibration", "image_tile", "mosaic_group"} <= set(rows)
    for row in rows.values():
        assert row.used_mb <= row.asked_mb, row
        assert row.used_min <= row.asked_min, row


def test_jobs_of_an_earlier_run_are_cancelled_and_others_are_not(tmp_path):
    """Jobs as another node's would be: their run is gone, and nothing but Slurm knows of them."""
    (tmp_path / "work" / ".snakemake" / "slurm_logs").mkdir(parents=True)
    other = tmp_path / "elsewhere"
    other.mkdir()

    def submit(name, folder):
        options = ("--parsable", "--output=/dev/null", f"--job-name={name}", "-D", str(folder), "--mem=20")
        return slurm("sbatch", *options, "--wrap", "sleep 300").strip()

    lost = submit("contimg_1234", tmp_path / "work")
    kept = [submit("contimg_5678", other), submit("mine", tmp_path / "work")]
    try:
        assert cancel_slurm_jobs(tmp_path / "work") == [lost]
        assert cancel_slurm_jobs(tmp_path / "work") == []
        listed = slurm("squeue", "--noheader", "--format=%i", "--states=PENDING,RUNNING").split()
        assert lost not in listed and set(kept) <= set(listed)
    finally:
        slurm("scancel", *kept)


def test_names_of_jobs_begin_as_the_profile_says():
    import yaml

    from contimg.operations.orphans import SLURM_JOBNAME_PREFIX

    profile = yaml.safe_load(Path(ROOT / "profiles/slurm/profile.yaml").read_text())
    assert profile["slurm-jobname-prefix"] == SLURM_JOBNAME_PREFIX
