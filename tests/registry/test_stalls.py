"""Who holds SQLite's write lock, read from the kernel's table."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from contimg.registry import stalls

HOLD = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA journal_mode = WAL")
database.execute("BEGIN IMMEDIATE" if sys.argv[2] == "write" else "BEGIN")
database.execute("SELECT count(*) FROM sqlite_master").fetchone()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def hold(tmp_path):
    """Return a function that starts a process with a transaction on a file, and gives it and the file."""
    file, started = tmp_path / "r.sqlite3", []

    def start(kind):
        command = [sys.executable, "-c", HOLD, str(file), kind]
        started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        assert started[-1].stdout.readline() == b"held\n"
        return file, started[-1].pid

    yield start
    for process in started:
        process.send_signal(signal.SIGCONT)
        process.communicate()


def test_a_stopped_writer_is_found_and_a_running_one_is_not(hold):
    file, pid = hold("write")
    assert stalls._holders(Path(f"{file}-shm")) == [pid] and stalls.stopped_writer(file) is None
    os.kill(pid, signal.SIGSTOP)
    os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOWAIT)
    assert stalls.stopped_writer(file) == pid


def test_a_stopped_reader_holds_nobody_up(hold):
    file, pid = hold("read")
    os.kill(pid, signal.SIGSTOP)
    os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOWAIT)
    assert stalls.stopped_writer(file) is None
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE t (a)")


def test_without_a_file_there_is_no_writer(tmp_path):
    assert stalls.stopped_writer(tmp_path / "none") is None
    assert not stalls._is_stopped(999_999_999)
