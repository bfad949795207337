import subprocess
import sys

import pytest

from contimg.errors import BusyError
from contimg.operations import run_lock

HOLD = """
import pathlib, sys, time
from contimg import run
run.hold_run_lock(pathlib.Path(sys.argv[1]))
print('held', flush=True)
time.sleep(60)
"""


def test_one_run_at_a_time_and_a_killed_one_leaves_no_lock(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    with holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BusyError, match=rf"another run \(process {holder.pid}\) is working on"):
            run_lock.hold_run_lock(tmp_path)
        holder.kill()
    run_lock.hold_run_lock(tmp_path)


def test_jobs_find_the_library(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    run_lock.share_library("/checkout")
    import os

    assert os.environ["PYTHONPATH"] == "/checkout:/elsewhere"
