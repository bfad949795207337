import os
import subprocess
import sys

import pytest

from contimg.errors import BusyError, ContimgError
from contimg.naming import Layout
from contimg.operations import run_lock

HOLD = """
import pathlib, sys, time
from contimg.naming import Layout
from contimg.operations import run_lock
run_lock.hold_run_locks(Layout(*map(pathlib.Path, sys.argv[1:])))
print('held', flush=True)
time.sleep(60)
"""


def layout(tmp_path, **other):
    roots = {name: tmp_path / name for name in ("incoming", "stage", "products", "state")} | other
    return Layout(**roots)


def holder(one):
    """Start a run that holds the locks of some roots."""
    roots = [str(root) for root in (one.incoming, one.stage, one.products, one.state)]
    process = subprocess.Popen([sys.executable, "-c", HOLD, *roots], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


def free(path):
    """Tell whether nobody holds a lock file."""
    code = f"import fcntl; fcntl.flock(open({str(path)!r}), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


@pytest.fixture
def released(monkeypatch):
    """Give back the locks that a test took."""
    monkeypatch.setattr(run_lock, "_held", [])
    yield
    for lock in run_lock._held:
        lock.release()


@pytest.mark.parametrize("shared", ["state", "stage", "products"])
def test_one_run_at_a_time_on_each_root_that_is_written(tmp_path, shared, released):
    first = layout(tmp_path / "first")
    second = layout(tmp_path / "second", **{shared: getattr(first, shared)})
    first.products.mkdir(parents=True)
    with holder(first) as process:
        with pytest.raises(
            BusyError, match=rf"another run \(process {process.pid} on .*\) is working on .*paths.{shared}"
        ):
            run_lock.hold_run_locks(second)
        # All or none: the roots of its own are free for others.
        assert all(
            free(path)
            for key, path in run_lock.lock_files(second).items()
            if key != f"paths.{shared}" and path.exists()
        )
        process.kill()
    run_lock.hold_run_locks(second)  # a killed run leaves no lock


def test_runs_on_roots_of_their_own_do_not_meet(tmp_path, released):
    with holder(layout(tmp_path / "first")) as process:
        run_lock.hold_run_locks(layout(tmp_path / "second"))
        process.kill()


def test_a_root_that_leads_through_a_file_is_a_sentence(tmp_path, released):
    (tmp_path / "file").write_text("")
    with pytest.raises(ContimgError, match=r"correct paths\.stage, which leads through a file"):
        run_lock.hold_run_locks(layout(tmp_path, stage=tmp_path / "file" / "stage"))
    assert free(tmp_path / "state" / "run.lock")


@pytest.mark.parametrize("by_hand", [True, False])
def test_an_archive_that_is_not_mounted_is_not_made_for_its_lock(tmp_path, released, by_hand):
    """A file below a mount point lets it look like a folder that is in use."""
    one = layout(tmp_path)
    if by_hand:
        with run_lock.run_locks(one):  # contimg prune, contimg retain
            pass
    else:
        run_lock.hold_run_locks(one)
    assert not one.products.exists() and one.state.exists() and one.stage.exists() is not by_hand


def test_jobs_find_the_library(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    run_lock.share_library("/checkout")
    assert os.environ["PYTHONPATH"] == "/checkout:/elsewhere"
