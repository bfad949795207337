"""The harness: trials of every kind of fault, and races of many publishers, while a reader looks on.

Run by hand for the full number::

    python -m tests.faults.harness --trials 1000 [--seed 1] [--url postgresql+psycopg://…] [--root /dev/shm/x]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from contimg.registry.engine import open_registry
from tests.faults.contention import race, start_reader
from tests.faults.kinds import run
from tests.faults.trials import Bench, Trial


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
        bench = Bench(root, url=options.url, seed=options.seed)
        open_registry(bench.config).close()
        stop_reader = start_reader(bench)
        trials = run(bench, options.trials) if options.trials else []
        for number in range(options.races):
            trials.append(race(bench, options.publishers, kills=(0, options.publishers // 4)[number % 2]))
        seen = stop_reader()
        wall_s = time.monotonic() - started
    finally:
        shutil.rmtree(root)
    return _report(trials, seen, wall_s, as_json=options.json)


def _report(trials: list[Trial], seen: list[str], wall_s: float, *, as_json: bool) -> int:
    bad = [trial for trial in trials if trial.problems]
    if as_json:
        content = {"trials": [asdict(trial) for trial in trials], "reader": seen, "wall_s": round(wall_s, 1)}
        print(json.dumps(content))
        return 1 if bad or seen else 0
    by_fault: dict[str, list[Trial]] = {}
    for trial in trials:
        by_fault.setdefault(trial.fault, []).append(trial)
    for fault, some in sorted(by_fault.items()):
        endings = Counter(ending for trial in some for ending in trial.ended)
        struck = sum(trial.struck > 0 for trial in some)
        print(f"{fault:32} {len(some):4} trials, struck in {struck:4}   {dict(endings)}")
    slowest = max(trial.rerun_s for trial in trials)
    print(f"{len(trials)} trials in {wall_s:.0f} s, slowest rerun {slowest:.2f} s, with problems: {len(bad)}")
    for trial in bad[:20]:
        print(f"  {trial.fault}: {trial.detail}: {trial.ended}: {'; '.join(trial.problems)}")
    print(f"the reader found: {seen or 'nothing wrong'}")
    return 1 if bad or seen else 0


if __name__ == "__main__":
    sys.exit(main())
