"""A history: nights that are planned, registered, published and decided about, while a seed lets everything fail.

The code of plan, register, publish, decisions and reconcile is the real one. What comes before publishing (conversion,
imaging) is replaced by tiny mosaics, headers of raw files by facts, and the machine below by `contimg.trials.machine`,
`disk` and `database`.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from contimg import naming
from contimg.correlator.facts import FileFacts
from contimg.correlator.inbox import arrange
from contimg.errors import ContimgError
from contimg.plan.frozen import freeze
from contimg.plan.make_plan import make_plan
from contimg.plan.model import Plan
from contimg.plan.observe import committed_groups
from contimg.registry import queries
from contimg.times import mjd_from_datetime
from contimg.trials import mosaics, promises
from contimg.trials.bench import Bench
from contimg.trials.database import Database
from contimg.trials.disasters import Disasters
from contimg.trials.disk import Disk
from contimg.trials.machine import START_UNIX_S, Machine, Process
from contimg.trials.world import DECISIONS, World

_REFUSALS = {
    "write": (errno.ENOSPC, errno.EIO), "fsync": (errno.EIO, errno.ENOSPC), "renameat2": (errno.EIO, errno.ENOSPC),
    "open": (errno.EIO, errno.EMFILE), "mkdir": (errno.ENOSPC,), "rename": (errno.EIO,), "unlink": (errno.EIO,),
    "readv": (errno.EIO,), "listdir": (errno.EIO,),
}  # fmt: skip
_TROUBLES = {
    errno.ENOSPC: {"write", "fsync", "mkdir", "link", "symlink", "sendfile", "copy_file_range"},
    errno.EROFS: {"mkdir", "rename", "replace", "renameat2", "unlink", "remove", "rmdir", "link", "symlink", "fchmod"},
    errno.EIO: {"readv", "listdir"},
    errno.EMFILE: {"open"},
}  # what a disk that is full, read-only or unreadable refuses for a while, and the kernel when too much is open
_GATES = 700  # that a process of one mosaic passes, about
_DAY_S = 86400.0


@dataclass
class Outcome:
    """What came of a seed.

    Attributes
    ----------
    seed : int
    nights, gates : int
        Simulated nights, and calls at which something could happen.
    problems : list of str
        Broken promises.
    digest : str
        SHA-256 of everything that happened: the same whenever the seed is repeated.
    story : list of str
        What was done and what failed, in order.
    """

    seed: int
    nights: int = 0
    gates: int = 0
    problems: list[str] = field(default_factory=list)
    digest: str = ""
    story: list[str] = field(default_factory=list)


class History:
    """One seed's history, on a bench that was cleared; the seed decides whether it has replicas, if nobody does."""

    def __init__(self, seed: int, bench: Bench, *, replicated: bool | None = None) -> None:
        self.machine = Machine(seed, self._gate)
        self.random = self.machine.random
        drawn = self.random.random() < 0.25
        policy = self.random.choice(bench.replicated)
        self.config = policy if (drawn if replicated is None else replicated) else bench.config
        self.world = World(self.config, self.machine, bench.registry)
        self.config.paths.products.mkdir()
        replicas = [Path(one.url) for one in self.config.publish.replicas]
        for place in replicas:
            place.mkdir()
        self.disk = Disk((self.config.paths.stage, self.config.paths.products, *replicas))
        self.database = Database(self.config.layout.registry_file)
        self.outcome = Outcome(seed)
        self.facts: dict[str, FileFacts] = {}
        self.makings: dict[str, mosaics.Making] = {}
        self.disasters = Disasters(self.world, self.disk, self.database)
        self.events: list[tuple[int, str]] = []
        self.stopped: list[Process] = []
        self.switching = 0.0
        self.trouble, self.trouble_until = 0, 0
        self.cut = False

    def run(self, nights: int) -> Outcome:
        """Let some nights pass, and return what came of it."""
        try:
            with self.world.installed(self.disk, self.database):
                self._adopt_replicas()
                for night in range(nights):
                    self._night(night)
                self._settle()
                self.outcome.nights = nights
        finally:
            self.machine.reboot()
        self.outcome.digest = hashlib.sha256("\n".join(self.machine.trace + self.outcome.story).encode()).hexdigest()
        return self.outcome

    def _adopt_replicas(self) -> None:
        if self.config.publish.replicas:
            self.world.adopt_replicas()
            self.disk.adopt()
            self.database.adopt()

    def _say(self, text: str) -> None:
        self.outcome.story.append(f"{self.machine.now_s - START_UNIX_S:12.3f} s  {text}")

    def _found(self, when: str, problems: list[str]) -> None:
        for text in problems:
            self._say(f"BROKEN {when}: {text}")
            self.outcome.problems.append(f"{when}: {text}")

    # What happens.

    def _night(self, night: int) -> None:
        self.machine.now_s = max(self.machine.now_s, START_UNIX_S + night * _DAY_S + _DAY_S / 2)
        self._tiles_arrive(night)
        self._draw_failures()
        planned = self._process("plan", self._plan)
        self._schedule([planned])
        plan = planned.result if planned.ended == "clean" else Plan()
        self._work(plan)
        for done in self.disasters.back_up():
            self._say(done)
        if self.random.random() < 0.5:  # later in the night: persons decide about what is registered by now
            if self.random.random() < 0.3:
                self._disaster()
            self._work(plan)
        if self.random.random() < 0.15:
            self._disaster()

    def _work(self, plan: Plan) -> None:
        """Let mosaics be made, registered and published, persons decide and somebody reconcile, all at once."""
        for group in list(plan.groups):
            self._make(group)
        actions: list[tuple[str, Callable[[], Any]]] = [("work on", self._worker(group)) for group in plan.groups]
        actions += [("work on", actions[0][1])] if actions and self.random.random() < 0.2 else []
        actions += self._persons()
        if self.random.random() < 0.2:
            actions.append(("reconcile", self.world.reconcile))
        if self.random.random() < 0.1:
            actions.append(("verify", self.world.verify))
        if self.config.publish.replicas and self.random.random() < 0.3:
            actions.append(("sync replicas", self.world.sync_replicas))
        self._schedule([self._process(name, action) for name, action in actions])

    def _tiles_arrive(self, night: int) -> None:
        moment = datetime.fromtimestamp(START_UNIX_S + night * _DAY_S, UTC) + timedelta(seconds=1609)
        for _ in range(self.random.choice((1, 1, 2))):
            for subband in range(2):
                path = f"{self.config.paths.incoming}/{naming.SubbandName(moment, subband)}"
                mid = mjd_from_datetime(moment)
                self.facts[path] = FileFacts(
                    size=1000, mtime_ns=0, start_mjd=mid, end_mjd=mid + 23 * 12.884902 / 86400, integration_s=12.884902,
                    dec_app_deg=37.1, longitude_rad=-2.064, latitude_rad=0.6498,
                )  # fmt: skip
            moment += timedelta(seconds=309)

    def _plan(self) -> Plan:
        listing = arrange(sorted(self.facts), self.config.ingest)
        committed = committed_groups(self.config)
        now = datetime.fromtimestamp(self.machine.now_s, UTC)
        plan = make_plan(listing, self.facts, committed, (), lambda _tile: "3C286", self.config, now)
        freeze(plan, self.config)
        return plan

    def _make(self, group: str) -> None:
        """Make the mosaic of a group as its rule would: where there is none, or now and then anew with other pixels."""
        before = self.makings.get(group)
        if before is not None and self.random.random() < 0.8:
            return
        number = 1 if before is None else before.number + 1
        verdict = self.random.choices(("passed", "warning", "failed"), (6, 1, 1))[0]
        making = mosaics.make(self.config.layout, group, number, verdict)
        self.makings[group] = making
        self.world.lay(making)
        self.disk.adopt(making.files)
        self._say(f"{making.mosaic_id} is made (making {number}, {verdict})")

    def _worker(self, group: str) -> Callable[[], str]:
        return lambda: self.world.work(naming.mosaic_id(group))

    def _persons(self) -> list[tuple[str, Callable[[], Any]]]:
        rows = queries.listing(self.world.registry, latest_only=False)
        found: list[tuple[str, Callable[[], Any]]] = []
        while rows and self.random.random() < 0.6:
            command, row = self.random.choice(DECISIONS), self.random.choice(rows)
            name = f"{command} {row['data_id']} version {row['version']} ({row['status']})"
            found.append((name, self.world.decision(command, row)))
        return found

    def _disaster(self) -> None:
        self._say(self.disasters.strike(self._end_stopped))

    def _end_stopped(self) -> None:
        """End what is stopped: who replaces a registry ends its processes first, as docs/operations.md says."""
        for process in self.stopped:
            self.machine.kill(process)
        self.stopped.clear()

    # What fails.

    def _draw_failures(self) -> None:
        draw, base = self.random.random, self.outcome.gates
        self.switching = self.random.choice((0.0, 0.0, 0.01, 0.1))
        shares = (("kill", 0.4), ("kill", 0.2), ("cut", 0.35), ("refuse", 0.3), ("stop", 0.15), ("trouble", 0.15))
        kinds = [kind for kind, share in shares if draw() < share]
        self.events = sorted((base + self.random.randrange(2 * _GATES), kind) for kind in kinds)

    def _gate(self, process: Process, call: str) -> None:
        self.outcome.gates += 1
        if self.outcome.gates < self.trouble_until and call in _TROUBLES[self.trouble]:
            raise OSError(self.trouble, "injected", f"injected into {call}")
        if self.events and self.events[0][0] <= self.outcome.gates:
            kind = self.events[0][1]
            # Nobody can take SQLite's lock from a stopped process; and only some calls have errors to refuse with.
            if not (kind == "refuse" and call not in _REFUSALS) and not (kind == "stop" and process.transactions):
                self.events.pop(0)
                self._fail(kind, process, call)
        if self.switching and self.random.random() < self.switching:
            self.machine.pause()

    def _fail(self, kind: str, process: Process, call: str) -> None:
        if kind == "trouble":
            self.trouble = self.random.choice(sorted(_TROUBLES))
            self.trouble_until = self.outcome.gates + self.random.randrange(_GATES)
            self._say(f"from now on {errno.errorcode[self.trouble]}")
            return
        number = self.random.choice(_REFUSALS[call]) if kind == "refuse" else 0
        self._say(f"{errno.errorcode[number] if number else kind} at {call} of process {process.owner.pid}")
        if kind == "refuse":
            raise OSError(number, "injected", f"injected into {call}")
        if kind == "kill":
            self.machine.kill(process)
        if kind == "stop":
            self.stopped.append(process)
        self.cut = kind == "cut"
        self.machine.pause()

    # Who works when.

    def _process(self, name: str, action: Callable[[], Any]) -> Process:
        process = self.machine.start(action)
        self._say(f"process {process.owner.pid}: {name}")
        return process

    def _schedule(self, processes: list[Process]) -> None:
        """Let processes work, in turns by chance, until all have ended or the power is cut."""
        while running := [one for one in processes if one.ended is None and one not in self.stopped]:
            ready = [one for one in running if one.wake_s <= self.machine.now_s]
            if not ready:
                self.machine.now_s = min(one.wake_s for one in running)
                continue
            process = self.random.choice(ready)
            if self.machine.resume(process):
                result = f", {process.result}" if isinstance(process.result, str) else ""
                ended = f"{process.ended}{result}".replace(f"{self.world.root}/", "")  # the same in any folder
                self._say(f"process {process.owner.pid} ended: {ended}"[:300])
                if str(process.ended).startswith("leaked"):
                    self._found("an error that is no sentence", [str(process.ended)])
            elif self.cut:
                self.lose_power()
                return
            if process.ended == "killed":
                self._found("after a kill", promises.at_any_time(self.world))

    def lose_power(self) -> None:
        """Cut the power, let it come back, and look what is left."""
        self.cut = False
        self.stopped.clear()
        self.machine.reboot()
        self.disk.cut(self.random)
        self.world.registry.engine.dispose()
        self.database.cut(self.random)
        self._say("the power was cut, and came back")
        self._found("after a power cut", promises.at_any_time(self.world) + promises.sure(self.world))
        if not self.disasters.harmed:
            self._found("after a power cut", promises.synced(self.world))

    # What must be true in the end.

    def _settle(self) -> None:
        """Finish everything by the same commands: while some processes are still stopped, and after these went on."""
        self.events, self.switching, self.trouble_until = [], 0.0, 0
        self.machine.now_s += 2 * self.config.publish.claim_s
        if self.stopped:
            self.finish("while some are stopped")
            stopped, self.stopped = self.stopped, []
            self._schedule(stopped)
        self.finish("in the end")

    def finish(self, when: str) -> None:
        """Reconcile, finish all work by the same commands, and look whether every promise holds."""
        try:
            self.world.reconcile()
            self.world.ledger.rotten.clear()
            left = self.world.reconcile()
        except ContimgError as error:
            self._found(f"reconciling {when}", [str(error)])
            return
        self._found(f"second reconciling {when}", [one.message for one in left if not one.needs_person])
        if not self.disasters.harmed:
            self._found(f"nothing was lost, and a person is needed {when}", [one.message for one in left])
            self._found(when, promises.synced(self.world))
        idle = not self.stopped  # a stopped process may have left something that it will remove
        self._found(when, promises.settled(self.world, left, idle=idle))
        stuck = {one.data_id for one in left}
        for group in sorted(self.makings):
            if naming.mosaic_id(group) in stuck:
                continue
            process = self._process(f"work on {group}", self._worker(group))
            self._schedule([process])
            if process.ended != "clean":
                self._found(f"the same command does not finish {when}", [str(process.ended)])
            else:
                self._found(when, self._unfinished(group))
        self._found(when, promises.settled(self.world, left, idle=idle))
        if self.config.publish.replicas:
            self._found(f"{when}, of replicas", self._replicate(left))

    def _replicate(self, left: list[Any]) -> list[str]:
        """Bring replicas up to date by the same commands; return what is wrong with them then."""
        try:
            if self.disasters.harmed:  # a registry that was lost before its first publication is another one now
                self.world.adopt_replicas()
            self.world.verify_replicas()  # notes what is damaged
            if not self.stopped:  # else what one of them has half written may be damaged, and takes its name later
                self.world.ledger.rotten_copies.clear()
            self.world.heed_replicas(self.world.sync_replicas())
            done = self.world.sync_replicas() + self.world.verify_replicas()
        except ContimgError as error:
            return [str(error)]
        stuck = {(one.data_id, one.version) for one in left}
        rest = [one for one in done if one.what != "whole" and (one.data_id, one.version) not in stuck]
        found = [f"{one.what}: {one.message}" for one in rest]
        if not self.stopped:  # what a stopped process is writing stands beside
            found += promises.replicated(self.world, stuck)
        return found + promises.at_any_time(self.world, stuck)

    def _unfinished(self, group: str) -> list[str]:
        """Return what is wrong with the newest version of a mosaic after its rules were run without a fault."""
        making = self.makings[group]
        row = queries.get(self.world.registry, making.mosaic_id)
        expected = {"passed": "published", "warning": "held", "failed": "held"}[making.verdict]
        decided = any(
            (one.data_id, one.version) == (row["data_id"], row["version"]) and one.word != "cited"
            for one in self.world.ledger.asked
        )
        # Held by design: the version before, which it would be compared with, was lost; or a process that was stopped
        # has made what somebody had rejected or withdrawn.
        codes = ["decided_before", *(["poorer_unknown"] if self.disasters.harmed else [])]
        alone = row["status"] == "held" and any(code in (row["held_json"] or "") for code in codes)
        if row["status"] == expected or decided or alone:
            return []
        return [f"{making.mosaic_id} version {row['version']} is {row['status']}: {row['error']} {row['held_json']}"]


def run(seed: int, bench: Bench, nights: int = 2) -> Outcome:
    """Return what came of a seed."""
    bench.clear()
    return History(seed, bench).run(nights)
