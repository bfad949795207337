"""Jobs that run and jobs that failed, from Snakemake's markers, logs and benchmark files."""

import base64
import os
import subprocess

import pytest

from contimg import naming
from contimg.monitoring.benchmark_records import JobRecord
from contimg.monitoring.jobs import FailedJob, RunningJob, failed_jobs, job_of, last_sentence, running_jobs
from contimg.operations import run_lock
from tests.support import mosaics

TILE = "20260211T002649"
ERROR = """Building DAG of jobs...
[Thu Nov 26 03:13:02 2026]
Error in rule {rule}:
    message: None
    jobid: 5
    input: /a, /b
    output: /c
    log: logs/{rule}/2026-02-11/{name}.log (check log file(s) for error details)
[Thu Nov 26 03:13:02 2026]
Shutting down, this might take some time.
"""


@pytest.fixture
def layout(tmp_path):
    return mosaics.config_below(tmp_path).layout


def mark(work, product, started):
    marker = work / ".snakemake" / "incomplete" / base64.b64encode(str(product).encode()).decode()
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.touch()
    os.utime(marker, (started, started))


def record(wall_s):
    return JobRecord("image_tile", "x", "2026-02-11", 0.0, wall_s, 1.0, 1.0, 1.0, 1.0)


def test_running_jobs_are_those_of_a_living_run(layout, tmp_path):
    for path in (layout.product("image", TILE), layout.twin("image", TILE), tmp_path / "elsewhere"):
        mark(tmp_path, path, 1_770_000_000)
    mark(tmp_path, layout.twin("registered", TILE), 1_770_000_060)
    (tmp_path / ".snakemake" / "incomplete" / "not base 64!").touch()
    assert running_jobs(layout, tmp_path, []) == []
    with run_lock.run_locks(layout):
        found = running_jobs(layout, tmp_path, [record(100.0), record(300.0), record(200.0), record(float("nan"))])
    assert found == [
        RunningJob("image_tile", TILE, "2026-02-02T02:40:00", "2026-02-02T02:43:20"),
        RunningJob("register_mosaic", naming.mosaic_id(TILE), "2026-02-02T02:41:00", None),
    ]


def test_jobs_of_a_run_that_was_killed_do_not_run(layout, tmp_path):
    mark(tmp_path, layout.product("ms", TILE), 1_770_000_000)
    from contimg.storage.process import Owner, _process, me

    run = subprocess.Popen(["sleep", "60"])
    owner = Owner("here", me().machine, run.pid, _process(run.pid)[1])
    layout.state.mkdir(parents=True)
    (layout.state / "run.lock").write_text(owner.to_json())
    assert [job.rule for job in running_jobs(layout, tmp_path, [])] == ["convert_tile"]
    run.kill()
    run.wait()
    assert running_jobs(layout, tmp_path, []) == []


@pytest.mark.parametrize("kind", sorted(naming.KINDS))
def test_each_product_names_its_rule_and_id(layout, kind):
    for path in (layout.product(kind, TILE), layout.twin(kind, TILE)):
        rule, name = job_of(path, layout)
        assert naming.stem(name) == TILE and rule
    assert job_of(layout.stage / "groups" / "a.json", layout) is None


def failed(work, rule="image_tile", name=TILE, text=None):
    log = work / ".snakemake" / "log" / "2026-11-26T031300.000000.snakemake.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "a") as file:
        file.write(ERROR.format(rule=rule, name=name))
    job = work / "logs" / rule / "2026-02-11" / f"{name}.log"
    job.parent.mkdir(parents=True, exist_ok=True)
    if text is not None:
        job.write_text(text)
    return job


def test_a_failed_job_has_its_reason_and_log_until_it_ends_well(tmp_path):
    log = failed(tmp_path, text="Traceback ...\n  File x\ncontimg.errors.InputError: a.hdf5 is torn: copy it again\n")
    failed(tmp_path)  # its second attempt
    assert failed_jobs(tmp_path) == [FailedJob("image_tile", TILE, "a.hdf5 is torn: copy it again", str(log))]
    record = tmp_path / "benchmarks" / "image_tile" / "2026-02-11" / f"{TILE}.tsv"
    record.parent.mkdir(parents=True)
    record.touch()
    assert failed_jobs(tmp_path) == []


def test_only_the_last_run_counts(tmp_path):
    failed(tmp_path, text="x")
    (tmp_path / ".snakemake" / "log" / "2026-11-27T000000.000000.snakemake.log").write_text("Nothing to be done\n")
    assert failed_jobs(tmp_path) == [] == failed_jobs(tmp_path / "elsewhere")


def test_logs_that_are_empty_or_gone_are_said(tmp_path):
    assert last_sentence(tmp_path / "none") == "its log is gone"
    (tmp_path / "empty").touch()
    assert last_sentence(tmp_path / "empty").startswith("it ended without a word")
