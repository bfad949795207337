"""`contimg watch` for a while, with all that goes wrong: small tiles come at speed, and what came of each is counted.

    python -m benchmarks.soak [--tiles 100] [--seed 1] [--folder DIR] [--record FILE]

A night of small tiles is simulated, and its files are moved into the inbox tile by tile while `contimg watch` follows
it. Some subbands are missing, torn or late; the clock of all processes jumps ahead by two days and back (libfaketime);
the stage stands on a disk of its own that is too small for all tiles at once, and is filled, first below
``watch.min_free_gb`` and then to the last byte while jobs run; the watch is killed and started again, and paused; what
is held is approved. At the end every tile has to be in a mosaic that is published or held, or waits for a reason that
was put in; nothing half-made is left, the watch has not grown, and ends at SIGTERM. Needs root, for the disk (tmpfs),
and ``apt-get install libfaketime``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.watched_night import WATCH, WatchedNight

SIZE = ("--antennas", "12", "--channels", "2", "--sources", "6", "--max-baseline", "400")
# A hundred tiles do not fit: images and staged bundles of finished groups have to go while later groups are made.
STAGE_MB = 700
RETENTION = {"image": {"days": None, "gb": 0.1}, "bundle": {"days": None, "gb": 0.05}}
GROWTH_MB = 30.0


@dataclass
class Outcome:
    """What came of the soak.

    ``mosaics`` counts states; ``resident_mb`` is the watch's memory, at first and at last; ``stop_s`` how long it
    took to end; ``seen`` the states that the watch went through, ``calls`` the alarms of which its hook was told.
    """

    tiles: int
    wall_s: float = 0.0
    mosaics: dict[str, int] = field(default_factory=dict)
    tiles_in_mosaics: int = 0
    runs: int = 0
    resident_mb: tuple[float, float] = (0.0, 0.0)
    stop_s: float = 0.0
    seen: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@contextlib.contextmanager
def disk(place: Path, size_mb: int) -> Iterator[None]:
    """Give a folder a disk of its own, in memory, during a block.

    Raises
    ------
    subprocess.CalledProcessError
        Without the rights of root.
    """
    place.mkdir(parents=True, exist_ok=True)
    words = ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "tmpfs", str(place)]
    subprocess.run(words, check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place: Path, leave_mb: float) -> Path:
    """Fill a disk so that so much room is left (0: to the last byte), and return the file that does."""
    path = place / "filling"
    block = bytes(100_000)
    with open(path, "wb", buffering=0) as file, contextlib.suppress(OSError):  # full: what was wanted
        while shutil.disk_usage(place).free > leave_mb * 1e6 or leave_mb == 0:
            file.write(block)
    return path


def soak(night: WatchedNight, seed: int) -> Outcome:
    """Let all tiles come, with what goes wrong in between, and see what became of them."""
    random_ = random.Random(seed)
    tiles = night.tiles()
    outcome = Outcome(len(tiles))
    began = time.monotonic()
    late: list[Path] = []
    events = _events(night, outcome, len(tiles))
    night.start()
    for number, files in enumerate(tiles):
        chosen = random_.random()
        if chosen < 0.05:
            files[3].write_bytes(files[3].read_bytes()[:1000])  # torn
        elif chosen < 0.10:
            files.pop(5).unlink()  # never written
        elif chosen < 0.15:
            late.append(files.pop(7))
        night.bring(files)
        for event in events.get(number, ()):
            event()
        if late and random_.random() < 0.1:
            night.bring([late.pop()])
        if number % 10 == 9:
            approve_what_is_held(night)
        time.sleep(random_.uniform(0.0, 4.0))
    night.bring(late)
    _wait_for_the_end(night, outcome, len(tiles))
    outcome.resident_mb = (outcome.resident_mb[0], night.resident_mb)
    outcome.stop_s = night.stop()
    outcome.wall_s = time.monotonic() - began
    return _judge(night, outcome)


def _events(night: WatchedNight, outcome: Outcome, tiles: int) -> dict[int, list[Callable[[], None]]]:
    """Return what happens after which tile."""
    stage = night.place / "stage"

    def first_memory() -> None:
        outcome.resident_mb = (night.resident_mb, 0.0)

    def little_room() -> None:
        path = fill(stage, leave_mb=40)
        night.wait(lambda: night.state.get("state") == "low_disk", 180, "the pause for want of room")
        if night.state["alarms"].keys() != {"low_disk"} and "failed" in night.state["alarms"]:
            outcome.problems.append("something broke before the pause for want of room")
        path.unlink()

    def no_room() -> None:
        night.wait(lambda: night.state.get("state") == "running", 300, "a run")
        path = fill(stage, leave_mb=0)
        time.sleep(15)
        path.unlink()

    def clock_ahead() -> None:
        night.set_clock("+2d")

    def clock_back() -> None:
        night.set_clock("+0")

    def killed() -> None:
        night.kill()
        night.start()

    def paused() -> None:
        night.command("pause", "--reason", "soak")
        night.wait(lambda: night.state.get("state") == "paused", 180, "the pause")
        night.command("resume")

    share = tiles / 100
    return {
        round(12 * share): [first_memory],
        round(25 * share): [little_room],
        round(40 * share): [clock_ahead],
        round(50 * share): [clock_back],
        round(60 * share): [no_room],
        round(70 * share): [killed],
        round(80 * share): [paused],
    }


def _wait_for_the_end(night: WatchedNight, outcome: Outcome, tiles: int) -> None:
    """Wait until the watch is idle and nothing changed for a while."""

    def done() -> bool:
        approve_what_is_held(night)
        count = sum(len(json.loads(path.read_text())["tiles"]) for path in _groups(night))
        idle = night.state.get("state") in ("idle", "waiting")
        return idle and count == tiles and len(night.settled()) == len(_groups(night))

    try:
        night.wait(done, 1200 + 15 * tiles, "the end of the work")
    except TimeoutError as error:
        outcome.problems.append(str(error))


def approve_what_is_held(night: WatchedNight) -> None:
    """Do what the operator would: so few antennas leave verdicts that a person decides about, and room is short."""
    for name, state in night.settled().items():
        if state == "held":
            night.command("publish", "approve", name, "--reason", "soak")


def _groups(night: WatchedNight) -> list[Path]:
    return sorted((night.place / "stage" / "groups").glob("*.json"))


def _judge(night: WatchedNight, outcome: Outcome) -> Outcome:
    """Count what became of the tiles, and look for what must not be."""
    states = night.settled()
    outcome.mosaics = {state: list(states.values()).count(state) for state in sorted(set(states.values()))}
    outcome.tiles_in_mosaics = sum(len(json.loads(path.read_text())["tiles"]) for path in _groups(night))
    outcome.runs = night.said.count(" running: run ")
    outcome.seen = sorted({line.split(" ")[1].rstrip(":") for line in night.said.splitlines() if line[:2] == "20"})
    called = night.place / "called"
    outcome.calls = called.read_text().split() if called.exists() else []
    if not set(states.values()) <= {"published", "held"}:
        outcome.problems.append(f"states {states}")
    if outcome.tiles_in_mosaics != outcome.tiles:
        outcome.problems.append(f"{outcome.tiles_in_mosaics} of {outcome.tiles} tiles are in mosaics")
    for root in ("stage", "products", "state"):
        outcome.problems += [f"{path} was left behind" for path in (night.place / root).rglob(".*part-*")]
    outcome.problems += [f"{path} was left behind" for path in (night.place / "stage").glob("ms/*/*.ms")]
    if outcome.resident_mb[1] > outcome.resident_mb[0] + GROWTH_MB:
        outcome.problems.append(f"the watch grew from {outcome.resident_mb[0]:.0f} to {outcome.resident_mb[1]:.0f} MB")
    if night.state.get("state") != "stopped":
        outcome.problems.append(f"the watch ended in the state {night.state.get('state')}")
    if "Traceback" in night.said:
        outcome.problems.append("a traceback in what the watch printed")
    return outcome


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiles", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="kept; a temporary folder that is removed by default")
    parser.add_argument("--record", type=Path, help="add a line of JSON to this file")
    given = parser.parse_args(arguments)
    with contextlib.ExitStack() as stack:
        place = given.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="contimg-soak-")))
        place.mkdir(parents=True, exist_ok=True)
        options = ("--tiles", str(given.tiles), *SIZE, "--seed", str(given.seed))
        night = WatchedNight(place.resolve() / "night", options, WATCH, {"retention": RETENTION})
        stack.enter_context(disk(night.place / "stage", STAGE_MB))
        try:
            outcome = soak(night, given.seed)
        finally:
            night.kill()
    print(json.dumps(asdict(outcome), indent=1))
    if given.record:
        with given.record.open("a") as file:
            file.write(json.dumps(asdict(outcome)) + "\n")
    return 1 if outcome.problems else 0


if __name__ == "__main__":
    sys.exit(main())
