"""What the sampler sees of a process that takes a known amount of memory and disk."""

import subprocess
import sys

import psutil
import pytest

from benchmarks.run_sampler import RunSampler, busy_s, memory_of, size_of

HOLD = """
import subprocess, sys, time
held = bytearray(60_000_000)
if len(sys.argv) > 2:
    subprocess.Popen([sys.executable, *sys.argv[:2]]).wait()
open(sys.argv[1], 'ab').write(b'x')
time.sleep(1.5)
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "hold.py"
    path.write_text(HOLD)
    return path


@pytest.mark.parametrize(("words", "least", "most"), [((), 60e6, 110e6), (("twice",), 120e6, 200e6)], ids=["1", "2"])
def test_memory_is_that_of_a_process_and_what_it_started(script, tmp_path, words, least, most):
    process = subprocess.Popen([sys.executable, str(script), str(tmp_path / "done"), *words])
    with RunSampler(process.pid, {}, every_s=0.05) as sampler:
        process.wait()
    assert least < sampler.seen.memory_bytes < most


def test_the_largest_size_of_each_folder_is_told_and_that_of_all_at_one_moment(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    write = (
        "import sys, time; from pathlib import Path; a, b = map(Path, sys.argv[1:]); b.mkdir();"
        "(a / 'x').write_bytes(bytes(400_000)); time.sleep(1); (a / 'x').unlink();"
        "(b / 'y').write_bytes(bytes(800_000)); time.sleep(1)"
    )
    process = subprocess.Popen([sys.executable, "-c", write, str(one), str(other)])
    with RunSampler(process.pid, {"one": one, "other": other}, every_s=0.05) as sampler:
        process.wait()
    sizes = sampler.seen.disk_bytes
    assert {name: round(size, -5) for name, size in sizes.items()} == {"one": 400_000, "other": 800_000, "all": 800_000}


def test_a_process_that_has_ended_takes_nothing():
    process = subprocess.Popen([sys.executable, "-c", ""])
    known = psutil.Process(process.pid)
    process.wait()
    assert memory_of(known) == 0.0


def test_a_folder_that_is_missing_has_no_size(tmp_path):
    assert size_of(tmp_path / "nowhere") == 0


def test_the_time_of_all_cores_grows():
    before = busy_s()
    sum(range(20_000_000))
    assert busy_s() - before > 0.2
