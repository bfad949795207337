"""Trials: a publisher is killed or refused somewhere, then the same command is run again, and all is checked.

Run by hand for the full number::

    python -m tests.faults.harness --trials 1000 [--seed 1] [--url postgresql+psycopg://…] [--root /dev/shm/x]

Every trial has its own mosaic in one common registry and archive. What must be true after the rerun is
known beforehand: the manifest from `gather`, the bytes from the mosaic on the stage.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from contimg import bundle, naming, publish
from contimg.config import Config
from contimg.errors import BusyError, ContimgError
from contimg.publishing import checkpoints
from contimg.reconcile import reconcile
from contimg.registry import queries
from contimg.registry.assembly import gather
from contimg.registry.engine import open_registry
from tests.faults import injection
from tests.registry import factory

CLEAN, REFUSED, LEAKED, KILLED = "clean", "refused", "leaked an exception", "killed"
MAX_RERUN_S = 10.0


@dataclass
class Trial:
    """One trial and what came of it."""

    kind: str
    detail: str
    mosaic: str
    ended: list[str] = field(default_factory=list)
    rerun_s: float = 0.0
    problems: list[str] = field(default_factory=list)


def work(mosaic_id: str, config: Config) -> None:
    """The commands of the two rules."""
    publish.run_register(mosaic_id, config)
    publish.run_publish(mosaic_id, config, waits_s=())


def in_child(action: Callable[[], None], kill_after_s: float | None = None) -> str:
    """Do something in a forked child; return how that ended."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        code = 3
        try:
            action()
            code = 0
        except ContimgError:
            code = 1
        except BaseException:  # noqa: BLE001  what leaks is a finding, reported by the exit code
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    if os.WIFSIGNALED(status):
        return KILLED if os.WTERMSIG(status) == signal.SIGKILL else f"signal {os.WTERMSIG(status)}"
    return {0: CLEAN, 1: REFUSED}.get(os.WEXITSTATUS(status), LEAKED)


def tree(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


class Harness:
    """The trials on one registry and archive."""

    def __init__(self, root: Path, *, url: str | None, seed: int) -> None:
        self.random = random.Random(seed)
        self.config = factory.config_below(root, registry={"url": url}, publish={"claim_s": 600.0})
        self.backend = "sqlite" if url is None else "postgresql"
        self.count = 0
        self.duration_s = 0.2
        self.calls: Counter[str] = Counter()
        self.statements = 60

    def new_mosaic(self) -> tuple[str, dict[str, str]]:
        """Make the next mosaic; return its id and the bytes that its bundle must have."""
        self.count += 1
        first = naming.parse_id(factory.GROUP) + timedelta(seconds=2000 * self.count)
        tiles = [(first + timedelta(seconds=309 * i)).strftime(naming.ID_FORMAT) for i in range(2)]
        mosaic_id = factory.make_mosaic(self.config, tiles=tiles, seed=self.count)
        contents = gather(self.config.layout, mosaic_id)
        expected = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in contents.linked.items()}
        expected |= {name: hashlib.sha256(content).hexdigest() for name, content in contents.generated.items()}
        expected[bundle.MANIFEST] = contents.manifest_sha256
        return mosaic_id, expected

    def measure(self) -> None:
        """Learn from clean runs how long one takes and how often it makes each system call."""
        durations = []
        for _ in range(3):
            mosaic_id, expected = self.new_mosaic()
            started = time.monotonic()
            assert in_child(lambda mosaic_id=mosaic_id: work(mosaic_id, self.config)) == CLEAN
            durations.append(time.monotonic() - started)
            assert not self.check(mosaic_id, expected), self.check(mosaic_id, expected)
        self.duration_s = statistics.median(durations)
        mosaic_id, _ = self.new_mosaic()
        note = self.config.paths.stage / "calls.json"

        def counted() -> None:
            counts = injection.wrap_calls(lambda name, count: None)
            work(mosaic_id, self.config)
            note.write_text(json.dumps(counts))

        assert in_child(counted) == CLEAN
        self.calls = Counter(json.loads(note.read_text()))

    def run(self, trials: int) -> list[Trial]:
        """Run that many trials, all kinds in turn."""
        self.measure()
        kinds = [self.checkpoint_kill, self.random_kill, self.system_call, self.database, self.outer_world]
        results = []
        for number in range(trials):
            results.append(kinds[number % len(kinds)](number // len(kinds)))
        return results

    def trial(self, kind: str, detail: str, *actions: Callable[[str], str]) -> Trial:
        """Make a mosaic, let the actions fail on it, run the command again, check."""
        mosaic_id, expected = self.new_mosaic()
        trial = Trial(kind, detail, mosaic_id)
        for action in actions:
            trial.ended.append(action(mosaic_id))
            trial.problems += self.half_visible(mosaic_id, expected)
        if LEAKED in trial.ended:
            trial.problems.append("an exception that is no ContimgError came out")
        started = time.monotonic()
        again = in_child(lambda: work(mosaic_id, self.config))
        trial.rerun_s = time.monotonic() - started
        if again != CLEAN:
            trial.problems.append(f"the rerun ended: {again}")
        if trial.rerun_s > MAX_RERUN_S:
            trial.problems.append(f"the rerun took {trial.rerun_s:.1f} s")
        trial.problems += self.check(mosaic_id, expected)
        return trial

    def half_visible(self, mosaic_id: str, expected: dict[str, str]) -> list[str]:
        """Under the final name stands nothing, or all of it."""
        final = self.config.layout.bundle(mosaic_id, 1)
        if not final.exists():
            return []
        found = tree(final)
        found.pop(bundle.PUBLICATION, None)
        return [] if found == expected else [f"half visible: {sorted(found.items() ^ expected.items())}"]

    def check(self, mosaic_id: str, expected: dict[str, str]) -> list[str]:
        """Compare disk and registry with what must be true after a successful run."""
        layout, problems = self.config.layout, []
        final = layout.bundle(mosaic_id, 1)
        registry = open_registry(self.config)
        rows, events = queries.versions(registry, mosaic_id), queries.events(registry, mosaic_id)
        if [(row["version"], row["status"]) for row in rows] != [(1, "published")]:
            problems.append(f"rows: {[(row['version'], row['status'], row['error']) for row in rows]}")
        elif rows[0]["sha256"] != expected[bundle.MANIFEST] or rows[0]["published_path"] != str(final):
            problems.append("the row names another manifest or path")
        if sum(event["event"] == "published" for event in events) != 1:
            problems.append(f"events: {[event['event'] for event in events]}")
        found = tree(final) if final.is_dir() else {}
        found.pop(bundle.PUBLICATION, None)
        if found != expected:
            problems.append(f"bytes: {sorted(found.items() ^ expected.items())[:4]}")
        names = sorted(path.name for path in final.parent.glob(f"*{mosaic_id}*"))
        if names != [mosaic_id]:
            problems.append(f"the archive holds {names}")
        for folder, pattern in (
            (layout.products / ".incoming", f"{mosaic_id}*"),
            (layout.stage, f"**/{mosaic_id}/.part*"),
        ):
            problems += [f"left behind: {path}" for path in folder.glob(pattern)]
        marker = layout.twin("published", mosaic_id)
        if not marker.exists() or json.loads(marker.read_text())["manifest_sha256"] != expected[bundle.MANIFEST]:
            problems.append("no marker, or a wrong one")
        problems += [f"not reconciled: {one}" for one in reconcile(registry, layout, mosaic_id, dry_run=True)]
        registry.close()
        return problems

    def checkpoint_kill(self, number: int) -> Trial:
        name = checkpoints.NAMES[number % len(checkpoints.NAMES)]
        occurrence = self.random.randint(1, 10) if name == "publish:file" else 1

        def killed(mosaic_id: str) -> str:
            def action() -> None:
                injection.kill_at(name, occurrence)
                work(mosaic_id, self.config)

            return in_child(action)

        # Every third one is killed twice at the same place: the second kill hits a rerun.
        actions = [killed, killed] if number % 3 == 2 else [killed]
        trial = self.trial("kill at checkpoint", f"{name} {occurrence}", *actions)
        if trial.ended[0] != KILLED:
            trial.problems.append(f"the checkpoint {name} was never passed")
        return trial

    def random_kill(self, number: int) -> Trial:
        delays_s = []

        def killed(mosaic_id: str) -> str:
            delays_s.append(self.random.uniform(0, 1.1 * self.duration_s))
            ended = in_child(lambda: work(mosaic_id, self.config), kill_after_s=delays_s[-1])
            # The load of the machine changes: keep aiming at the time that a run takes now.
            self.duration_s *= 0.85 if ended == CLEAN else 1.05
            return ended

        trial = self.trial("kill at random", "", *[killed] * (1 + number % 3))
        trial.detail = " ".join(f"{delay_s:.4f}" for delay_s in delays_s)
        return trial

    def system_call(self, number: int) -> Trial:
        called = [name for name in injection.CALLS if self.calls[name]]
        name = called[number % len(called)]
        occurrence = self.random.randint(1, self.calls[name])
        error = self.random.choice(injection.ERRORS[name])
        persistent = self.random.random() < 0.5

        def refused(mosaic_id: str) -> str:
            def action() -> None:
                injection.refuse_call(name, occurrence, error, persistent=persistent)
                work(mosaic_id, self.config)

            return in_child(action)

        detail = f"{name} {'from' if persistent else 'at'} call {occurrence}: {os.strerror(error)}"
        return self.trial("refused system call", detail, refused)

    def database(self, number: int) -> Trial:
        when = ("statement", "before commit", "after commit")[number % 3]
        occurrence = self.random.randint(1, self.statements if when == "statement" else 8)

        def refused(mosaic_id: str) -> str:
            def action() -> None:
                injection.refuse_database(occurrence, when=when, backend=self.backend)
                work(mosaic_id, self.config)

            return in_child(action)

        return self.trial("refused by database", f"{when} {occurrence}", refused)

    def outer_world(self, number: int) -> Trial:
        layout = self.config.layout

        def with_action(prepare: Callable[[str], Callable[[], None]]) -> Callable[[str], str]:
            def attempt(mosaic_id: str) -> str:
                def action() -> None:
                    prepare(mosaic_id)()
                    work(mosaic_id, self.config)

                return in_child(action)

            return attempt

        def vanish(mosaic_id: str) -> Callable[[], None]:
            incoming = layout.products / ".incoming"

            def remove() -> None:
                for path in incoming.glob(f"{mosaic_id}.*"):
                    shutil.rmtree(path)

            return lambda: injection.at_checkpoint("publish:file", remove)

        def alter_source(mosaic_id: str) -> Callable[[], None]:
            staged = layout.product("registered", mosaic_id) / "v1" / f"{mosaic_id}.rms.fits"

            def alter() -> None:
                content = bytearray(staged.read_bytes())
                content[-1] ^= 1
                staged.unlink()  # the bundle's copy only: the mosaic keeps its bytes
                staged.write_bytes(content)

            return lambda: injection.at_checkpoint("publish:incoming", alter)

        choices: dict[str, Callable[[str], Callable[[], None]]] = {
            "destination vanished": vanish,
            "source altered during the copy": alter_source,
            "short writes": lambda _: injection.short_writes,
            "wrong byte written": lambda _: lambda: injection.flip_written_bit(self.random.randint(1, 30)),
            "clock a day ahead": lambda _: lambda: injection.jump_clock(86400.0, 1),
            "clock a day back": lambda _: lambda: injection.jump_clock(-86400.0, 1),
        }
        name = list(choices)[number % len(choices)]
        return self.trial("outer world", name, with_action(choices[name]))


def race(harness: Harness, publishers: int, *, kills: int) -> Trial:
    """Let many processes register and publish one mosaic at once, some killed, while a reader looks on.

    Of those that end by themselves one has published, if nobody who was killed had; all others end with
    its result or with one sentence.
    """
    config, (mosaic_id, expected) = harness.config, harness.new_mosaic()
    trial = Trial("race", f"{publishers} publishers, {kills} killed", mosaic_id)
    stop_reader = start_reader(harness, mosaic_id, expected)
    gate_read, gate_write = os.pipe()
    reports = []
    for _ in range(publishers):
        report_read, report_write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(gate_write)
            os.read(gate_read, 1)  # returns when the parent closes its end
            try:
                publish.run_register(mosaic_id, config)
                outcome = publish.run_publish(mosaic_id, config, waits_s=())
                report = "created" if outcome.created else outcome.status
            except ContimgError as error:
                report = "busy" if isinstance(error, BusyError) else str(error)
            except BaseException as error:  # noqa: BLE001  a finding, reported
                report = f"LEAKED {error!r}"
            os.write(report_write, report.encode()[:4000])
            os._exit(0)
        os.close(report_write)
        reports.append((pid, report_read))
    os.close(gate_read)
    os.close(gate_write)
    for pid, _ in harness.random.sample(reports, kills):
        time.sleep(harness.random.uniform(0, harness.duration_s / max(1, kills)))
        os.kill(pid, signal.SIGKILL)
    for pid, report_read in reports:
        with os.fdopen(report_read) as pipe:
            report = pipe.read()
        killed = os.WIFSIGNALED(os.waitpid(pid, 0)[1])
        trial.ended.append(report or (KILLED if killed else "said nothing"))
    counts = Counter(trial.ended)
    strange = set(counts) - {"created", "published", "busy", KILLED}
    if strange:
        trial.problems.append(f"publishers ended: {sorted(strange)}")
    if counts["created"] != 1 and (kills == 0 or counts["created"] > 1):
        trial.problems.append(f"{counts['created']} publishers said that they published")
    started = time.monotonic()
    again = in_child(lambda: work(mosaic_id, config))
    trial.rerun_s = time.monotonic() - started
    if again != CLEAN:
        trial.problems.append(f"the rerun ended: {again}")
    trial.problems += stop_reader() + harness.check(mosaic_id, expected)
    return trial


def start_reader(harness: Harness, mosaic_id: str, expected: dict[str, str]) -> Callable[[], list[str]]:
    """Start a process that reads the published bundle without pause; the returned call stops it and tells."""
    report_read, report_write = os.pipe()
    stop_read, stop_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(stop_write)
        os.close(report_read)
        os.set_blocking(stop_read, False)
        seen, problems = 0, set()
        while True:
            try:
                stopped = os.read(stop_read, 1) == b""
            except BlockingIOError:
                stopped = False
            with contextlib.closing(open_registry(harness.config)) as registry:
                rows = queries.versions(registry, mosaic_id)
            # The row was read before the disk: what it calls published must be there, and whole.
            if (
                any(row["status"] == "published" for row in rows)
                and not harness.config.layout.bundle(mosaic_id, 1).exists()
            ):
                problems.add("the row says published, and there is no bundle")
            problems.update(harness.half_visible(mosaic_id, expected))
            seen += 1
            if stopped:
                break
        os.write(report_write, json.dumps([seen, sorted(problems)]).encode()[:60000])
        os._exit(0)
    os.close(stop_read)
    os.close(report_write)

    def stop() -> list[str]:
        os.close(stop_write)
        with os.fdopen(report_read) as pipe:
            text = pipe.read()
        os.waitpid(pid, 0)
        if not text:
            return ["the reader died"]
        looks, problems = json.loads(text)
        return problems if looks >= 3 else [*problems, f"the reader looked only {looks} times"]

    return stop


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Kill and refuse publishers; check what a rerun makes of it.")
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--races", type=int, default=0, help="races of many publishers, after the trials")
    parser.add_argument("--publishers", type=int, default=32, help="publishers of a race")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--url", help="PostgreSQL instead of SQLite; use an empty database or schema")
    parser.add_argument("--root", type=Path, help="folder for the trials; a temporary one by default")
    parser.add_argument("--json", action="store_true", help="print every trial as JSON")
    options = parser.parse_args(arguments)
    place = options.root or Path("/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir())
    root = Path(tempfile.mkdtemp(prefix="contimg-faults-", dir=place))
    try:
        started = time.monotonic()
        harness = Harness(root, url=options.url, seed=options.seed)
        trials = harness.run(options.trials)
        for number in range(options.races):
            trials.append(race(harness, options.publishers, kills=(0, options.publishers // 4)[number % 2]))
        wall_s = time.monotonic() - started
    finally:
        shutil.rmtree(root)
    return _report(trials, wall_s, as_json=options.json)


def _report(trials: list[Trial], wall_s: float, *, as_json: bool) -> int:
    bad = [trial for trial in trials if trial.problems]
    if as_json:
        print(json.dumps({"trials": [asdict(trial) for trial in trials], "wall_s": round(wall_s, 1)}))
        return 1 if bad else 0
    endings: dict[str, Any] = {}
    for trial in trials:
        endings.setdefault(trial.kind, Counter()).update(trial.ended)
    for kind, counts in endings.items():
        print(f"{kind:22} {sum(t.kind == kind for t in trials):5} trials   {dict(counts)}")
    slowest = max(trial.rerun_s for trial in trials)
    print(f"{len(trials)} trials in {wall_s:.0f} s, slowest rerun {slowest:.2f} s, with problems: {len(bad)}")
    for trial in bad[:20]:
        print(f"  {trial.kind}: {trial.detail}: {trial.ended}: {'; '.join(trial.problems)}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
