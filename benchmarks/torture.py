"""The workflow killed at random instants, again and again: the same command always finishes, with the same products.

    make torture        or        python -m benchmarks.torture [--kills N] [--seed N] [--small] [--record FILE]

The demo night is processed once undisturbed. Then it is processed anew, and killed at random instants: the run itself
(its jobs are left behind), one of its jobs, all of them at once, by Ctrl-C, and all at once with everything that the
stage and the registry remember of running processes changed to another boot of the machine, as after a power cut. The
same command is typed again each time, without any clearing up. When it has finished the night, the products are
compared with the undisturbed ones byte by byte (those that hold times, such as twins and pages, by the files and
numbers that they name), the command is typed once more, which must start no job and take ten seconds of CPU at most,
and the night is processed anew, until there were so many kills.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import re
import secrets
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from benchmarks.contest import ROOT
from contimg.storage.process import me

TARGETS = ("controller", "job", "everything", "keyboard", "reboot")
MADE = ("stage", "products", "state", "work")
COMPARED = ("stage/calibrations", "stage/images", "stage/mosaics", "stage/crossmatch", "products/mosaics")
OF_THE_RUN = {".json", ".html", ".txt", ".log"}
"""Files that hold times of processing, or digests of such files."""

SECOND_RUN_CPU_S = 10.0
MEAN_WAIT_S = 9.0
DEMO = ("--demo",)
SMALL = ("--tiles", "3", "--antennas", "20", "--channels", "3", "--sources", "8", "--max-baseline", "500")


@dataclass
class Kill:
    """One kill: what was killed, how long after the start of the command [s], and the rules that were at work."""

    target: str
    after_s: float
    rules: tuple[str, ...]


@dataclass
class Result:
    """All kills, and what was wrong after them; ``second_run_cpu_s`` and ``_wall_s`` are the largest."""

    kills: list[Kill] = field(default_factory=list)
    nights: int = 0
    files: int = 0
    problems: list[str] = field(default_factory=list)
    second_run_cpu_s: float = 0.0
    second_run_wall_s: float = 0.0


class Night:
    """A simulated night, the operator's command, and what it has made."""

    def __init__(self, place: Path, options: Sequence[str]) -> None:
        self.place = place
        if not (place / "incoming").exists():
            self.contimg("simulate", str(place), *options)
        (place / "work").mkdir(exist_ok=True)

    def contimg(self, *words: str) -> None:
        """Run one of our commands."""
        code = "from contimg.cli import run; run()"
        subprocess.run([sys.executable, "-c", code, *words], check=True, stdout=subprocess.DEVNULL, env=_environment())

    def start(self) -> subprocess.Popen[bytes]:
        """Type the command: a run in a session of its own, whose words go to ``run.log``."""
        command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--directory", "work"]
        command += ["--configfile", "config.yaml", "--cores", "2"]
        (self.place / "work").mkdir(exist_ok=True)
        with open(self.place / "run.log", "wb") as log:
            return subprocess.Popen(
                command, cwd=self.place, env=_environment(), start_new_session=True, stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip

    @property
    def said(self) -> str:
        """What the last run printed."""
        return (self.place / "run.log").read_text(errors="replace")

    def forget(self) -> None:
        """Remove everything but the inputs."""
        for name in MADE:
            shutil.rmtree(self.place / name, ignore_errors=True)

    def digests(self) -> dict[str, str]:
        """Return the SHA-256 of every file of a product that holds no time of its making."""
        found = {}
        for folder in COMPARED:
            for path in sorted((self.place / folder).rglob("*")):
                if path.is_file() and path.suffix not in OF_THE_RUN:
                    found[str(path.relative_to(self.place))] = hashlib.sha256(path.read_bytes()).hexdigest()
        return found

    def leftovers(self) -> list[str]:
        """Return temporary files and folders that were left behind, and MSs that are not kept."""
        roots = [self.place / name for name in ("stage", "products", "state")]
        parts = [path for root in roots for path in root.rglob(".*part-*")]
        parts += list((self.place / "products").glob(".incoming/*")) + list((self.place / "stage").glob("ms/*/*.ms"))
        return sorted(str(path.relative_to(self.place)) for path in parts)


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def jobs_of(process: subprocess.Popen[bytes]) -> list[tuple[psutil.Process, str]]:
    """Return the processes of a run that execute a rule, with its name."""
    found = []
    with contextlib.suppress(psutil.Error):
        for one in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                match = re.search(r"\.snakemake/scripts/tmp\w+\.(\w+)\.py", " ".join(one.cmdline()))
                if match and "python" in one.name():
                    found.append((one, match[1]))
    return found


def kill(process: subprocess.Popen[bytes], target: str, place: Path, random_: random.Random) -> tuple[str, ...]:
    """Kill a part of a run, and return the rules that were at work; an empty tuple where a job was asked and none ran.

    After `job` the run goes on; after all others it has ended when this returns.
    """
    jobs = jobs_of(process)
    rules = tuple(sorted(rule for _, rule in jobs))
    if target == "job":
        if jobs:
            with contextlib.suppress(psutil.Error):
                random_.choice(jobs)[0].kill()
        return rules
    with contextlib.suppress(ProcessLookupError):
        if target == "controller":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGINT if target == "keyboard" else signal.SIGKILL)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        raise AssertionError(f"the run does not end within a minute of {target}") from None
    if target == "reboot":
        pretend_a_reboot(place)
    return rules


def pretend_a_reboot(place: Path) -> None:
    """Change this boot's identity to another one wherever stage, products, state and registry remember a process.

    To be called when no process of the run is left: that is what a machine is like after a power cut.
    """
    ours, other = me().boot, secrets.token_hex(len(me().boot) // 2)
    for root in (place / "stage", place / "products", place / "state"):
        for path in sorted(root.rglob(f"*{ours}*"), key=lambda one: len(one.parts), reverse=True):
            path.rename(path.with_name(path.name.replace(ours, other)))
        for path in root.glob("*.lock"):  # "*" finds hidden names too
            path.write_text(path.read_text().replace(ours, other))
    for database in (place / "state").glob("*.sqlite3"):
        with contextlib.closing(sqlite3.connect(database)) as connection, connection:
            connection.execute(
                "UPDATE data_registry SET claim_owner = replace(claim_owner, ?, ?) WHERE claim_owner IS NOT NULL",
                (ours, other),
            )


class Torture:
    """Nights that are killed, until there were enough kills.

    Parameters
    ----------
    night : Night
    seed : int
    mean_wait_s : float
        Mean time from a start or a kill to the next kill; the times are those of a Poisson process.
    """

    def __init__(self, night: Night, seed: int, mean_wait_s: float = MEAN_WAIT_S) -> None:
        self.night, self.result = night, Result()
        self._random, self._mean_wait_s = random.Random(seed), mean_wait_s
        self.reference = self._undisturbed()
        self.result.files = len(self.reference)

    def _undisturbed(self) -> dict[str, str]:
        """Return the digests of a run that nobody disturbs; in a folder that is kept, those of before."""
        kept = self.night.place / "undisturbed.json"
        if kept.exists():
            known: dict[str, str] = json.loads(kept.read_text())
            return known
        self.night.forget()
        if self.night.start().wait() != 0:
            raise AssertionError(f"the undisturbed run fails: {self.night.said[-3000:]}")
        found = self.night.digests()
        kept.write_text(json.dumps(found))
        return found

    def run(self, kills: int) -> Result:
        """Kill so many times, in as many nights as that takes, and return what came of it."""
        while len(self.result.kills) < kills:
            self.result.nights += 1
            self.night.forget()
            self._finish_a_night(kills)
            self._compare()
            self._type_it_again()
            done = self.result
            print(
                f"night {done.nights}: {len(done.kills)} kills, {len(done.problems)} problems",
                file=sys.stderr,
                flush=True,
            )
        return self.result

    def _finish_a_night(self, kills: int) -> None:
        while True:
            before = len(self.result.kills)
            code = self._command(kills)
            if code == 0:
                return
            if len(self.result.kills) == before:  # nobody disturbed it
                self.result.problems.append(f"an undisturbed command ends with {code}: {self.night.said[-2000:]}")
                return

    def _command(self, kills: int) -> int | None:
        """Type the command, and kill until it ends; return its exit code, or None where it was ended."""
        process, started = self.night.start(), time.monotonic()
        while len(self.result.kills) < kills:
            try:
                return process.wait(self._random.expovariate(1 / self._mean_wait_s))
            except subprocess.TimeoutExpired:
                target = self._random.choice(TARGETS)
            try:
                rules = kill(process, target, self.night.place, self._random)
            except AssertionError as error:
                self.result.problems.append(str(error))
                return None
            if target == "job" and not rules:
                continue
            self.result.kills.append(Kill(target, round(time.monotonic() - started, 2), rules))
            if target != "job":
                return None
        return process.wait()

    def _compare(self) -> None:
        """Note each file that is missing, new or different from that of the undisturbed run, and what was left."""
        found, number = self.night.digests(), self.result.nights
        for name in sorted(found.keys() | self.reference.keys()):
            if found.get(name) != self.reference.get(name):
                what = "missing" if name not in found else "new" if name not in self.reference else "different"
                self.result.problems.append(f"night {number}: {name} is {what}")
        self.result.problems += [f"night {number}: {name} was left behind" for name in self.night.leftovers()]

    def _type_it_again(self) -> None:
        wall, cpu = time.perf_counter(), sum(os.times()[2:4])
        code = self.night.start().wait()
        wall, cpu = time.perf_counter() - wall, sum(os.times()[2:4]) - cpu
        self.result.second_run_cpu_s = max(self.result.second_run_cpu_s, cpu)
        self.result.second_run_wall_s = max(self.result.second_run_wall_s, wall)
        if code or "Nothing to be done" not in self.night.said:
            self.result.problems.append(f"the second run does something: {self.night.said[-1000:]}")
        if cpu > SECOND_RUN_CPU_S:
            self.result.problems.append(f"the second run takes {cpu:.1f} s of CPU")


def show(result: Result) -> None:
    """Print the kills by target and by rule at work, and the problems."""
    targets = Counter(one.target for one in result.kills)
    rules = Counter(rule for one in result.kills for rule in set(one.rules) or {"start or plan"})
    print(f"{len(result.kills)} kills in {result.nights} nights; {result.files} files compared byte by byte")
    print("what was killed: " + ", ".join(f"{name} {number}" for name, number in targets.most_common()))
    print("at work then: " + ", ".join(f"{name} {number}" for name, number in rules.most_common()))
    print(f"the second run: {result.second_run_cpu_s:.1f} s of CPU, {result.second_run_wall_s:.1f} s of wall at most")
    print(f"{len(result.problems)} problems")
    for problem in result.problems:
        print(f"  {problem}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--small", action="store_true", help="three tiles of 20 antennas instead of the demo night")
    parser.add_argument("--mean-wait", type=float, default=MEAN_WAIT_S, help="mean time between kills [s]")
    parser.add_argument("--folder", type=Path, help="kept, with digests of the undisturbed run; else temporary")
    parser.add_argument("--record", type=Path, help="add a line of JSON to this file")
    given = parser.parse_args(arguments)
    with contextlib.ExitStack() as stack:
        place = given.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="contimg-torture-")))
        place.mkdir(parents=True, exist_ok=True)
        night = Night(place.resolve() / "night", SMALL if given.small else DEMO)
        result = Torture(night, given.seed, given.mean_wait).run(given.kills)
    show(result)
    if given.record:
        with given.record.open("a") as file:
            file.write(json.dumps({"seed": given.seed, "small": given.small} | asdict(result)) + "\n")
    return 1 if result.problems else 0


if __name__ == "__main__":
    sys.exit(main())
