"""Many publishers of one mosaic at once, and a reader who looks on without pause."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable

from sqlalchemy import select

from contimg.bundle import bundle
from contimg.errors import ContimgError
from contimg.naming import Layout
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry.engine import Registry, open_registry
from contimg.registry.schema import data_registry
from tests.faults.trials import CLEAN, KILLED, Bench, Trial, in_child, work


def race(bench: Bench, publishers: int, *, kills: int) -> Trial:
    """Let many processes register and publish one mosaic at once, some killed, while a reader looks on.

    Of those that end by themselves one has published, if nobody who was killed had; all others end with
    its result: they wait for it.
    """
    config, (mosaic_id, expected) = bench.config, bench.new_mosaic()
    trial = Trial("publishers at once", f"{publishers}, {kills} killed", mosaic_id, struck=publishers)
    stop_reader = start_reader(bench)
    gate_read, gate_write = os.pipe()
    reports = []
    for _ in range(publishers):
        report_read, report_write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(gate_write)
            os.read(gate_read, 1)  # returns when the parent closes its end
            try:
                register_mosaic(mosaic_id, config)
                outcome = publish_mosaic(mosaic_id, config, waits_s=(0.1,))
                report = "created" if outcome.created else outcome.status
            except ContimgError as error:
                report = str(error)
            except BaseException as error:  # noqa: BLE001  a finding, reported
                report = f"LEAKED {error!r}"
            os.write(report_write, report.encode()[:4000])
            os._exit(0)
        os.close(report_write)
        reports.append((pid, report_read))
    os.close(gate_read)
    os.close(gate_write)
    for pid, _ in bench.random.sample(reports, kills):
        time.sleep(bench.random.uniform(0, bench.duration_s / max(1, kills)))
        os.kill(pid, signal.SIGKILL)
    for pid, report_read in reports:
        with os.fdopen(report_read) as pipe:
            report = pipe.read()
        killed = os.WIFSIGNALED(os.waitpid(pid, 0)[1])
        trial.ended.append(report or (KILLED if killed else "said nothing"))
    counts = Counter(trial.ended)
    strange = set(counts) - {"created", "published", KILLED}
    if strange:
        trial.problems.append(f"publishers ended: {sorted(strange)}")
    if counts["created"] != 1 and (kills == 0 or counts["created"] > 1):
        trial.problems.append(f"{counts['created']} publishers said that they published")
    started = time.monotonic()
    again = in_child(lambda: work(mosaic_id, config))
    trial.rerun_s = time.monotonic() - started
    if again != CLEAN:
        trial.problems.append(f"the rerun ended: {again}")
    trial.problems += stop_reader() + bench.check(mosaic_id, expected)
    return trial


def start_reader(bench: Bench) -> Callable[[], list[str]]:
    """Start a process that reads the newest bundles without pause; the returned call stops it and tells.

    It compares every byte under a final name with the manifest beside it and that with the registry.
    """
    report_read, report_write = os.pipe()
    stop_read, stop_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(stop_write)
        os.close(report_read)
        os.set_blocking(stop_read, False)
        looks, problems = 0, set()
        with contextlib.closing(open_registry(bench.config)) as registry:
            while True:
                try:
                    stopped = os.read(stop_read, 1) == b""
                except BlockingIOError:
                    stopped = False
                problems.update(look(registry, bench.config.layout))
                looks += 1
                if stopped:
                    break
        os.write(report_write, json.dumps([looks, sorted(problems)]).encode()[:60000])
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


def look(registry: Registry, layout: Layout) -> list[str]:
    """Return what a reader finds wrong with the two newest mosaics."""
    table, problems = data_registry, []
    query = select(table.c.data_id, table.c.version, table.c.status, table.c.sha256)
    with registry.read() as connection:
        rows = list(connection.execute(query.order_by(table.c.data_id.desc()).limit(2)).mappings())
    for row in rows:
        # The row was read before the disk: what it calls published must be there, and whole.
        final = layout.bundle(row["data_id"], row["version"])
        if not final.exists():
            if row["status"] == "published":
                problems.append(f"{final}: the row says published, and there is no bundle")
            continue
        verification = bundle.verify(final, expected=row["sha256"])
        problems += [f"a reader saw: {problem.message}" for problem in verification.problems]
    return problems
