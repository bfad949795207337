"""One run of the workflow as a process of its own: started, stopped gently, and its output kept within bounds."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from contimg.storage.text_files import end_of

KEPT_LOGS = 50
"""Logs of runs that are kept in the folder of logs: some hundred kilobytes each at most."""


class RunProcess:
    """A run of ``snakemake`` in a process group of its own: Ctrl-C at the terminal does not reach it directly."""

    def __init__(self, command: Sequence[str], folder: Path, logs: Path, environment: Mapping[str, str]) -> None:
        self.started = datetime.now(UTC)
        self.stopping = False
        logs.mkdir(parents=True, exist_ok=True)
        self.log = logs / f"{self.started:%Y%m%dT%H%M%S}.log"
        with open(self.log, "ab") as output:
            self._process = subprocess.Popen(
                list(command),
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        keep_newest(logs, KEPT_LOGS)

    @property
    def pid(self) -> int:
        return self._process.pid

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""
        return self._process.poll()

    def stop_gently(self) -> None:
        """Ask the run to finish its running jobs and to start no more (SIGTERM to Snakemake)."""
        self.stopping = True
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def stop_now(self, wait_s: float = 20.0) -> int:
        """End the run and its jobs, by Ctrl-C and then by kill, and return the exit code."""
        for number in (signal.SIGINT, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self._process.wait(wait_s)
        return self._process.wait()

    def wait(self, seconds: float) -> bool:
        """Wait for the end for some seconds, and return whether it came."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def last_words(self, lines: int = 20) -> str:
        """Return the end of what the run printed."""
        try:
            return "\n".join(end_of(self.log).splitlines()[-lines:])
        except OSError:
            return ""


def keep_newest(logs: Path, number: int) -> None:
    """Remove the oldest logs of a folder, by name, until so many are left."""
    for path in sorted(logs.glob("*.log"))[:-number]:
        path.unlink(missing_ok=True)
