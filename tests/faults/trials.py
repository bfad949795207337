"""Trials: a publisher is killed or refused somewhere, then the same command is run again, and all is checked.

Every trial has its own mosaic in one common registry and archive. What must be true after the rerun is
known beforehand: the manifest from `gather`, the bytes from the mosaic on the stage.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import statistics
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from contimg import naming
from contimg.bundle import bag, bundle
from contimg.bundle.assembly import gather
from contimg.config import Config
from contimg.errors import ContimgError
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.reconcile import reconcile
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry import queries
from contimg.registry.engine import open_registry
from tests.faults import injection
from tests.support import mosaics

CLEAN, REFUSED, LEAKED, KILLED = "clean", "refused", "leaked an exception", "killed"
MAX_RERUN_S = 10.0


@dataclass
class Trial:
    """One trial and what came of it; `struck` is how often its fault took place."""

    fault: str
    detail: str
    mosaic: str
    struck: int = 0
    ended: list[str] = field(default_factory=list)
    rerun_s: float = 0.0
    problems: list[str] = field(default_factory=list)


def work(mosaic_id: str, config: Config) -> None:
    """The commands of the two rules."""
    register_mosaic(mosaic_id, config)
    publish_mosaic(mosaic_id, config, waits_s=())


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


class Bench:
    """One registry and archive, on which trials are made."""

    def __init__(self, root: Path, *, url: str | None, seed: int) -> None:
        self.random = random.Random(seed)
        self.config = mosaics.config_below(root, registry={"url": url}, publish={"claim_s": 600.0})
        self.backend = "sqlite" if url is None else "postgresql"
        self.count = 0
        self.duration_s = 0.2
        self.calls: Counter[str] = Counter()
        self.database_calls: Counter[str] = Counter()

    def new_mosaic(self) -> tuple[str, dict[str, str]]:
        """Make the next mosaic; return its id and the bytes that its bundle must have."""
        self.count += 1
        first = naming.parse_id(mosaics.GROUP) + timedelta(seconds=2000 * self.count)
        tiles = [naming.id_from_datetime(first + timedelta(seconds=309 * i)) for i in range(2)]
        mosaic_id = mosaics.make_mosaic(self.config, tiles=tiles, seed=self.count)
        contents = gather(self.config.layout, mosaic_id)
        expected = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in contents.linked.items()}
        expected |= {name: hashlib.sha256(content).hexdigest() for name, content in contents.generated.items()}
        expected[bundle.MANIFEST] = contents.manifest_sha256
        sizes = {name: path.stat().st_size for name, path in contents.linked.items()}
        sizes |= {name: len(content) for name, content in contents.generated.items()}
        tags = bag.tag_files(contents.metadata, sizes, contents.manifest, mosaic_id, None)
        expected |= {name: hashlib.sha256(content).hexdigest() for name, content in tags.items()}
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
            calls = injection.wrap_calls(lambda name, count: None)
            database_calls = injection.count_database()
            work(mosaic_id, self.config)
            note.write_text(json.dumps([calls, database_calls]))

        assert in_child(counted) == CLEAN
        self.calls, self.database_calls = map(Counter, json.loads(note.read_text()))

    def trial(self, fault: str, detail: str, *actions: Callable[[str], str]) -> Trial:
        """Make a mosaic, let the actions fail on it, run the command again, check."""
        mosaic_id, expected = self.new_mosaic()
        trial = Trial(fault, detail, mosaic_id)
        before = injection.strikes()
        for action in actions:
            trial.ended.append(action(mosaic_id))
            trial.problems += self.half_visible(mosaic_id, expected)
        trial.struck = injection.strikes() - before or trial.ended.count(KILLED)
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
            (layout.stage, f"**/{mosaic_id}/.*part-*"),
        ):
            problems += [f"left behind: {path}" for path in folder.glob(pattern)]
        marker = layout.twin("published", mosaic_id)
        if not marker.exists() or json.loads(marker.read_text())["manifest_sha256"] != expected[bundle.MANIFEST]:
            problems.append("no marker, or a wrong one")
        problems += [f"not reconciled: {one}" for one in reconcile(registry, layout, mosaic_id, dry_run=True)]
        registry.close()
        return problems
