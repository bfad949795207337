"""A simulated night whose files come into an inbox, and the `contimg watch` that follows it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import yaml

from benchmarks.clock import other_clock
from benchmarks.contest import ROOT

WATCH = {
    "poll_s": 2.0, "quiet_s": 1.0, "max_wait_s": 10.0, "rerun_s": 20.0, "retry_s": 5.0, "stop_s": 30.0,
    "min_free_gb": 0.05,
}  # fmt: skip
"""The section ``watch`` of a configuration whose waits are short."""


class WatchedNight:
    """A simulated night whose files come into an inbox, and the `contimg watch` that follows it.

    Parameters
    ----------
    place : Path
    options : sequence of str
        Of `contimg simulate`.
    watch : mapping
        The section ``watch`` of the configuration.
    sections : mapping
        Other sections.
    """

    def __init__(
        self, place: Path, options: Sequence[str], watch: dict[str, Any], sections: dict[str, Any] | None = None
    ) -> None:
        self.place, self.source = place, place / "to_come"
        self.contimg("simulate", str(place), *options)
        (place / "incoming").rename(self.source)
        (place / "incoming").mkdir()
        (place / "stage").mkdir(exist_ok=True)
        hook = place / "hook.sh"
        hook.write_text(f"#!/bin/sh\necho \"$1\" >> '{place}/called'\n")
        hook.chmod(0o755)
        overlay = yaml.safe_load((place / "config.yaml").read_text())
        overlay |= {"watch": watch | {"hook": str(hook)}, "nights": []} | (sections or {})
        (place / "config.yaml").write_text(yaml.safe_dump(overlay))
        self._process: subprocess.Popen[bytes] | None = None
        self.set_clock("+0")

    def contimg(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run one of our commands."""
        code = "from contimg.cli import run; run()"
        return subprocess.run(
            [sys.executable, "-c", code, *words], check=check, capture_output=True, text=True,
            env=_environment(None), cwd=self.place.parent,
        )  # fmt: skip

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run one of our commands on this night."""
        return self.contimg("-c", str(self.place / "config.yaml"), "-d", str(self.place / "work"), *words)

    def set_clock(self, offset: str) -> None:
        """Set the clock of the watch and its jobs, as an offset such as ``+2d``, where libfaketime is there."""
        (self.place / "clock").write_text(offset + "\n")

    def start(self) -> None:
        """Start the watch."""
        code = "from contimg.cli import run; run()"
        words = ["-c", str(self.place / "config.yaml"), "-d", str(self.place / "work"), "watch", "--cores", "2"]
        with open(self.place / "watch.log", "ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", code, *words], env=_environment(self.place / "clock"), stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        """The watch's process id."""
        if self._process is None:
            raise RuntimeError("the watch was not started")
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the watch runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def resident_mb(self) -> float:
        """Memory of the watch itself [MB]."""
        return psutil.Process(self.pid).memory_info().rss / 1e6

    def kill(self) -> None:
        """End the watch and all that it started, at once."""
        if self._process is not None:
            for one in _family(self.pid):
                with contextlib.suppress(psutil.Error):
                    one.kill()
            self._process.wait()

    def stop(self, seconds: float = 90.0) -> float:
        """End the watch by SIGTERM; return how long that took [s]."""
        if self._process is None:
            return 0.0
        began = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(seconds)
        return time.monotonic() - began

    @property
    def state(self) -> dict[str, Any]:
        """What the watch says that it does."""
        try:
            found: dict[str, Any] = json.loads((self.place / "state" / "watch.json").read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return {}
        return found

    @property
    def said(self) -> str:
        """What the watch printed."""
        return (self.place / "watch.log").read_text(errors="replace")

    def tiles(self) -> list[list[Path]]:
        """Return the files of each tile that is to come, by time and subband; their names differ by a second."""
        found: list[list[Path]] = []
        before = None
        for path in sorted(self.source.glob("*.hdf5")):
            opened = datetime.fromisoformat(path.name.partition("_sb")[0])
            if before is None or opened - before > timedelta(minutes=1):
                found.append([])
            found[-1].append(path)
            before = opened
        return [sorted(files, key=lambda path: path.name.partition("_sb")[2]) for files in found]

    def bring(self, files: Sequence[Path]) -> None:
        """Move files into the inbox, as the telescope does when they are whole."""
        for path in files:
            shutil.move(path, self.place / "incoming" / path.name)

    def settled(self) -> dict[str, str]:
        """Return the state of each mosaic that has a final marker, by its id."""
        found = {}
        for path in (self.place / "stage" / "published").glob("*/*.json"):
            found[path.stem] = json.loads(path.read_text())["status"]
        return found

    def wait(self, until: Callable[[], bool], seconds: float, what: str) -> None:
        """Wait until something is so.

        Raises
        ------
        TimeoutError
            If it is not so in time, or the watch has ended.
        """
        end = time.monotonic() + seconds
        while not until():
            if time.monotonic() > end or not self.alive:
                raise TimeoutError(f"{what} did not come in {seconds:g} s; the watch said:\n{self.said[-3000:]}")
            time.sleep(0.2)


def _environment(clock: Path | None) -> dict[str, str]:
    found = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    if clock is not None:
        found |= other_clock(clock.with_name("sleep"), clock)
    return found


def _family(pid: int) -> list[psutil.Process]:
    try:
        one = psutil.Process(pid)
        return [one, *one.children(recursive=True)]
    except psutil.Error:
        return []
