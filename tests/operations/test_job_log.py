"""Adapters run as Snakemake runs them: the log gets everything, the terminal one sentence."""

import re
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from contimg.operations import job_log

JOB = """
import os, subprocess
from contimg import errors
from contimg.operations import job_log
with job_log.to_file({place!r}):
    print('said by python')
    subprocess.run(['echo', 'said by a program'], check=True)
    {action}
"""


def run_job(tmp_path, action):
    place = tmp_path / "logs" / "job.log"
    done = subprocess.run(
        [sys.executable, "-c", JOB.format(place=str(place), action=action)], capture_output=True, text=True, check=False
    )
    return done, place.read_text()


def test_all_output_goes_to_the_log(tmp_path):
    done, log = run_job(tmp_path, "pass")
    assert done.returncode == 0 and done.stdout == done.stderr == ""
    assert "said by python" in log and "said by a program" in log


def test_each_line_has_its_time_and_the_first_one_the_date(tmp_path):
    """One clock: the first line had the time twice, a second apart where one was rounded."""
    before = datetime.now(UTC).replace(microsecond=0)
    _, log = run_job(tmp_path, "pass")
    first, *_, last = (line for line in log.splitlines() if line[:2].isdigit())
    clock, date, rest = re.fullmatch(r"(\d\d:\d\d:\d\d)Z (\d{4}-\d\d-\d\d) on (\S+, contimg .*)", first).groups()
    assert before <= datetime.fromisoformat(f"{date}T{clock}+00:00") <= datetime.now(UTC)
    assert re.fullmatch(r"\d\d:\d\d:\d\dZ done: .*", last) and not re.search(r"\d\d:\d\d", rest)


@pytest.mark.parametrize(
    ("action", "sentence"),
    [
        (
            "raise errors.InputError('x.hdf5 is no HDF5: set it aside')",
            "contimg: x.hdf5 is no HDF5: set it aside (log:",
        ),
        (
            "raise OSError(28, 'No space left on device', '/stage/x.ms')",
            "contimg: /stage/x.ms: No space left on device: make",
        ),
        ("raise RuntimeError('table.f0: No space left on device')", "contimg: No space left on device: make room"),
        ("raise MemoryError", "contimg: the machine ran out of memory"),
        ("1 / 0", "contimg: contimg itself is at fault (ZeroDivisionError: division by zero)"),
    ],
)
def test_an_error_is_one_sentence_and_its_traceback_is_in_the_log(tmp_path, action, sentence):
    done, log = run_job(tmp_path, action)
    assert done.returncode == 1
    assert done.stderr.startswith(sentence) and done.stderr.count("\n") == 1
    assert "Traceback" in log


def test_a_job_that_is_stopped_says_nothing_on_the_terminal(tmp_path):
    done, log = run_job(tmp_path, "raise KeyboardInterrupt")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
    assert "stopped by the keyboard" in log and "Traceback" not in log


def test_what_libraries_print_goes_to_a_file_and_the_answer_to_the_terminal(tmp_path):
    program = (
        "import os, sys; from pathlib import Path; from contimg.operations import job_log\n"
        "with job_log.stdout_to_file(Path(sys.argv[1])):\n"
        "    print('a print'); os.system('echo a library; echo a warning >&2')\n"
        "print('the answer')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "x.log"], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("the answer\n", "a warning\n")
    assert sorted((tmp_path / "x.log").read_text().splitlines()) == ["a library", "a print"]


def test_a_rules_input_is_one_path_or_none():
    assert job_log.path([]) is None
    assert str(job_log.path("a.json")) == str(job_log.path(["a.json"])) == "a.json"


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (FileNotFoundError(2, "No such file or directory", "a.ms"), "put it there or correct the name"),
        (PermissionError(13, "Permission denied", "a.ms"), "give access, then"),
        (OSError(28, "No space left on device", "a.ms"), "make room, then"),
        (OSError(30, "Read-only file system", "a.ms"), "mount the filesystem for writing, then"),
        (OSError(5, "Input/output error", "a.ms"), "check the disk"),
        (OSError(24, "Too many open files", "a.ms"), "raise the limit on open files"),
        (OSError(107, "Transport endpoint is not connected", "a.ms"), "repair that, then"),
    ],
)
def test_the_remedy_is_that_of_the_fault(error, remedy):
    said = job_log.sentence(error)
    assert said.startswith(f"a.ms: {error.strerror}: {remedy}")


def test_what_casacore_says_of_a_disk_that_is_full():
    """A short write leaves the error number of some call before; the number is not to be believed."""
    error = RuntimeError("FiledesIO::write - write error in /stage/ms/.x.ms.part-1/table.f1: No such file or directory")
    said = job_log.sentence(error)
    assert said == (
        "/stage/ms/.x.ms.part-1/table.f1: the disk did not take all that was written: make room, then type the same "
        "command again"
    )
    assert job_log.sentence(RuntimeError("table.f0: Read-only file system")).startswith("Read-only file system: mount")
