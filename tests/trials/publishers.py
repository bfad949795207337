"""Publishers, persons and readers on one PostgreSQL, killed and cut off, with the times of all that they do on record.

::

    python -m tests.trials.publishers [--url postgresql+psycopg://…] [--seconds 20] [--processes 4] [--seed 1]

Without a URL the server is one of its own, which crashes now and then, too.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from contimg.errors import ContimgError, UnknownIdError
from contimg.publishing import decisions
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.reconcile import reconcile
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry import queries
from contimg.registry.engine import open_registry
from contimg.trials import mosaics, promises
from contimg.trials.machine import Machine
from contimg.trials.world import World, config_below
from tests.support.own_server import OwnServer
from tests.trials.orders import Operation, explained

GROUPS = tuple(f"2026-02-11T{hour:02d}:26:49" for hour in range(6))
VERDICTS = ("passed", "passed", "warning")
DECISIONS = {"approve": 2, "reject": 1, "withdraw": 4, "restore": 4}
_CLASS = {"staging": "under way", "publishing": "under way", "superseded": "rejected"}


def state_of(registry, mosaic_id: str) -> str:
    """Return what a reader sees of a mosaic."""
    try:
        status = queries.get(registry, mosaic_id)["status"]
    except UnknownIdError:
        return "absent"
    return _CLASS.get(status, status)


class Publisher:
    """One process: it does one operation after the other, and writes when each began and ended."""

    def __init__(self, config, log: Path, seed: int) -> None:
        self.config, self.log, self.random = config, log.open("a", buffering=1), random.Random(seed)
        self.registry = open_registry(config)

    def note(self, **content) -> None:
        self.log.write(json.dumps(content) + "\n")

    def run(self) -> None:
        number = 0
        while True:
            number += 1
            mosaic_id = mosaic_of(self.random.choice(GROUPS))
            names = ["read", "work", "read", *DECISIONS]
            name = self.random.choices(names, [6, 6, 2, *DECISIONS.values()])[0]
            key = f"{os.getpid()}-{number}"
            self.note(key=key, name=name, mosaic=mosaic_id, start=time.monotonic())
            result = self.result(name, mosaic_id, key)
            self.note(key=key, end=time.monotonic(), result=result)
            time.sleep(self.random.expovariate(50))

    def result(self, name: str, mosaic_id: str, key: str) -> str | None:
        """Do an operation; return its result, None where nothing is known of its effect."""
        try:
            if name == "read":
                return state_of(self.registry, mosaic_id)
            if name == "work":
                register_mosaic(mosaic_id, self.config)
                return publish_mosaic(mosaic_id, self.config, waits_s=()).status
            getattr(decisions, name)(self.registry, self.config.layout, mosaic_id, f"reason {key}")
            return "ok"
        except UnknownIdError:
            return "absent"
        except ContimgError as error:
            said = re.search(r" is (\w+): only what is", str(error))
            if said is not None:
                return _CLASS.get(said[1], said[1])
            if "decisions that the registry does not know" in str(error):
                return "nothing"
            return None


def mosaic_of(group: str) -> str:
    return f"mosaic_{group.replace('-', '').replace(':', '')}"


def start(config, folder: Path, seed: int) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            Publisher(config, folder / f"{os.getpid()}.jsonl", seed).run()
        finally:
            os._exit(1)
    return pid


def operations(folder: Path) -> dict[str, list[Operation]]:
    """Return what was recorded, by mosaic."""
    begun: dict[str, dict] = {}
    for path in folder.glob("*.jsonl"):
        for line in path.read_text().splitlines():
            with contextlib.suppress(ValueError):  # the last line of a killed process
                one = json.loads(line)
                begun.setdefault(one["key"], {}).update(one)
    found: dict[str, list[Operation]] = {}
    for one in begun.values():
        result = one.get("result")
        end = one["end"] if result is not None else math.inf
        found.setdefault(one["mosaic"], []).append(Operation(one["name"], one["start"], end, result))
    return {mosaic: sorted(some, key=lambda one: one.start) for mosaic, some in found.items()}


def trouble(options, config, logs: Path, backends, server: OwnServer | None) -> dict[str, int]:
    """Let publishers work for a while; kill some, cut connections, and let a server of one's own crash."""
    dice, counts = random.Random(options.seed), {"killed": 0, "cut": 0, "crashed": 0}
    pids = [start(config, logs, 1000 * options.seed + number) for number in range(options.processes)]
    try:
        deadline = time.monotonic() + options.seconds
        while time.monotonic() < deadline:
            time.sleep(dice.uniform(0.1, 0.6))
            if dice.random() < 0.4:
                number = dice.randrange(len(pids))
                os.kill(pids[number], signal.SIGKILL)
                os.waitpid(pids[number], 0)
                pids[number] = start(config, logs, dice.randrange(1 << 30))
                counts["killed"] += 1
            elif server is not None and dice.random() < 0.2:
                server.crash()
                time.sleep(dice.choice((0.0, 0.0, 1.0)))
                server.start()
                counts["crashed"] += 1
            else:
                counts["cut"] += backends(dice)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return counts


def cutter(url: str, mark: str):
    """Return a function that cuts one connection of our publishers, by chance; it returns how many it cut."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)  # the server may have crashed since

    def cut(dice: random.Random) -> int:
        with engine.connect() as connection:
            query = "SELECT pid FROM pg_stat_activity WHERE application_name = :mark ORDER BY pid"
            pids = list(connection.execute(text(query), {"mark": mark}).scalars())
            if not pids:
                return 0
            connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": dice.choice(pids)})
            return 1

    return cut


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK) else None))
    folder.chmod(0o755)  # another user may run the server
    mark = f"publishers{os.getpid()}"
    server = OwnServer(folder / "server") if options.url is None else None
    url = options.url if server is None else server.url
    try:
        marked = f"{url}{'&' if '?' in url else '?'}application_name={mark}"
        said = try_out(options, folder, marked, cutter(url, mark), server)
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(folder)
    print(json.dumps(said))
    return 1 if said["unexplained"] or said["problems"] else 0


def try_out(options, folder: Path, url: str, backends, server: OwnServer | None) -> dict:
    config = config_below(folder / "world", url)
    registry = open_registry(config)
    world = World(config, Machine(options.seed), registry)
    registered = {}
    for number, group in enumerate(GROUPS):
        verdict = VERDICTS[number % len(VERDICTS)]
        world.lay(mosaics.make(config.layout, group, 1, verdict))
        registered[mosaic_of(group)] = "under way" if verdict == "passed" else "held"
    registry.close()  # before processes are made that would share its connections
    logs = folder / "logs"
    logs.mkdir()
    counts = trouble(options, config, logs, backends, server)
    history = operations(logs)
    end = time.monotonic()
    reconcile(registry, config.layout)
    left = reconcile(registry, config.layout)
    for mosaic_id, some in history.items():  # what is so in the end was decided by somebody
        some.append(Operation("read", end, time.monotonic(), state_of(registry, mosaic_id)))
    world.ledger.asked = _approved(registry)
    problems = promises.settled(world, left) + [one.message for one in left]
    registry.close()
    unexplained = {name: len(some) for name, some in history.items() if not explained(some, registered[name])}
    everything = [one for some in history.values() for one in some]
    unknown = sum(one.result is None for one in everything)
    return counts | {
        "operations": len(everything),
        "unknown": unknown,
        "unexplained": unexplained,
        "problems": problems,
    }


def _approved(registry) -> list:
    from contimg.trials.world import Asked

    rows = {(row["data_id"], row["version"]): row for row in queries.listing(registry, latest_only=False)}
    events = [event for data_id, _ in rows for event in queries.events(registry, data_id)]
    return [
        Asked(
            one["data_id"], one["version"], rows[one["data_id"], one["version"]]["sha256"], one["event"], one["message"]
        )
        for one in events
        if one["event"] == "approved"
    ]


if __name__ == "__main__":
    sys.exit(main())
