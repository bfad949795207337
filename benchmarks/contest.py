"""What the benchmarks of calibration share: a simulated tile of the real size, and work measured in its own process."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CALIBRATOR = "3C286"


@dataclass
class Cost:
    """Time, CPU time and memory of a piece of work; ``extra`` is what it returned."""

    wall_s: float
    cpu_s: float
    peak_gb: float
    extra: dict[str, Any] = field(default_factory=dict)


def in_a_process(script: str, name: str, folder: Path, *, threads: int = 1) -> Cost:
    """Run a job of a benchmark, ``python SCRIPT --run NAME FOLDER``, which prints what `measure` does.

    This process stays small, as a child's peak memory starts from its parent's.
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    environment |= {"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
    command = [sys.executable, script, "--run", name, str(folder)]
    text = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
    return Cost(**json.loads(text.splitlines()[-1]))


def measure(work: Callable[[], dict[str, Any] | None]) -> None:
    """Run some work in this process and print its cost and what it returns, as JSON."""
    started, cpu = time.perf_counter(), _cpu_s()
    extra = work() or {}
    cost = {"wall_s": time.perf_counter() - started, "cpu_s": _cpu_s() - cpu, "extra": extra}
    print(json.dumps(cost | {"peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9}))


def _cpu_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def make_tile(folder: Path, *, small: bool) -> dict[str, Any]:
    """Simulate and convert a tile in which 3C286 transits, as ``folder/0.ms``; nothing if it is there."""
    from contimg.products.twin import read_twin
    from tests.support.calibration_nights import make_night

    antennas, channels = (24, 12) if small else (96, 48)
    if not (folder / "0.json").exists():
        make_night(folder, tiles=1, transit_tile=0, antennas=antennas, channels=channels, sources=60, seed=7)
    flagged = read_twin(folder / "0.json").qa["flagged_fraction"]
    return {"antennas": antennas, "channels": 16 * channels, "flagged": flagged}


def sync(folder: Path) -> None:
    """Bring what was written to the disk, as the pipeline does for every product."""
    for path in folder.rglob("*"):
        if path.is_file():
            with open(path, "rb") as file:
                os.fsync(file.fileno())


def judge(text: str, value: float, sense: str, goal: float) -> None:
    """Print a figure beside its goal; `sense` is ``at least`` or ``at most``."""
    reached = value >= goal if sense == "at least" else value <= goal
    print(f"{text:60}{value:10.4g}   goal: {sense} {goal:g}   {'reached' if reached else 'MISSED'}")
