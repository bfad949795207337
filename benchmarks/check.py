"""First light on many simulated files with one fault each: how often `contimg check` names the fault, and false alarms.

Run:  nice -n 19 python -m benchmarks.check campaign RESULTS.jsonl [--count 220] [--seed 1]
      python -m benchmarks.check table RESULTS.jsonl
      python -m benchmarks.check time FOLDER             # one file set of full size

A campaign can be stopped and started again: cases that are in RESULTS.jsonl are not run twice.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from benchmarks.check_kinds import Case, cases
from contimg.commissioning.check import FirstLight, first_light
from contimg.config import default_file, load_files
from contimg.simulate import NightOptions, simulate_night

COMMIT = subprocess.run(
    ["git", "describe", "--always", "--dirty"], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
).stdout.strip()


def judge(case: Case, outcome: FirstLight) -> tuple[bool, list[str]]:
    """Return whether the fault was named rightly, and the findings that are refuted although they hold."""
    alarms = [one.key for one in outcome.refuted if one.key != case.key]
    if case.key is None:
        return not alarms, alarms
    finding = next(one for one in outcome.findings if one.key == case.key)
    said = finding.verdict == ("not measurable" if case.key == "declination" else "refuted")
    right = said and set(case.named) <= set(finding.named)
    if case.value is not None:
        right = right and finding.value is not None and abs(finding.value - case.value[0]) <= case.value[1]
    return right, alarms


def run(case: Case, folder: Path) -> dict[str, Any]:
    """Simulate a case, check it, and return what came out."""
    night = folder / "night"
    record = simulate_night(night, case.options, overwrite=True)
    if case.change is not None:
        case.change([file.path for file in record.files if file.path is not None])
    config = load_files([default_file(), night / "config.yaml"], base=None)
    start = time.perf_counter()
    outcome = first_light([str(night)], config)
    seconds = time.perf_counter() - start
    right, alarms = judge(case, outcome)
    finding = next((one for one in outcome.findings if one.key == case.key), None)
    return {
        "fault": case.fault, "right": bool(right), "alarms": alarms, "seconds": round(seconds, 2),
        "channels": case.options.channels, "antennas": case.options.antennas, "seed": case.options.seed,
        "declination": case.options.declination_deg, "named": case.named, "value": case.value, "commit": COMMIT,
        "said": None if finding is None else f"{finding.verdict}: {finding.text}",
        "false": [one.text for one in outcome.refuted if one.key in alarms],
    }  # fmt: skip


def campaign(results: Path, count: int, seed: int) -> None:
    """Run all cases that are not in the results yet."""
    done = set()
    if results.exists():
        done = {json.loads(line)["case"] for line in results.read_text().splitlines()}
    for name, case in cases(count, seed):
        if name in done:
            continue
        folder = Path(tempfile.mkdtemp(prefix="contimg-check-"))
        try:
            row = {"case": name, **run(case, folder)}
        finally:
            shutil.rmtree(folder)
        with results.open("a") as stream:
            stream.write(json.dumps(row) + "\n")
        if not row["right"] or row["alarms"]:
            print(name, row["said"], row["false"], flush=True)


def table(results: Path) -> None:
    """Print, for each fault, how many were named rightly and how many other findings were refuted."""
    rows = defaultdict(list)
    for line in results.read_text().splitlines():
        row = json.loads(line)
        rows[row["fault"]].append(row)
    print(f"{'fault':22s} {'right':>9s}  false alarms")
    for fault, found in sorted(rows.items()):
        alarms = sum(bool(row["alarms"]) for row in found)
        print(f"{fault:22s} {sum(row['right'] for row in found):4d}/{len(found):<4d}  {alarms}")
    every = [row for found in rows.values() for row in found]
    harmless = [row for row in every if row["said"] is None]
    faulty = [row for row in every if row["said"] is not None]
    print(f"faults named rightly: {sum(row['right'] for row in faulty)} of {len(faulty)}; "
          f"harmless files refuted: {sum(not row['right'] for row in harmless)} of {len(harmless)}")  # fmt: skip


def full_size(folder: Path) -> None:
    """Time a check of 96 antennas, 16 subbands of 48 channels, 24 integrations."""
    night = folder / "night"
    if not (night / "config.yaml").exists():
        simulate_night(night, NightOptions(tiles=1, antennas=96, channels=48, sources=20, calibrator_flux_jy=7.0,
                                           declination_deg=54.57), overwrite=True)  # fmt: skip
    config = load_files([default_file(), night / "config.yaml"], base=None)
    start, cpu = time.perf_counter(), time.process_time()
    outcome = first_light([str(night)], config)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{time.perf_counter() - start:.1f} s, {time.process_time() - cpu:.1f} s of CPU, {memory:.2f} GB")
    for one in outcome.findings:
        print(f"{one.verdict:15s} {one.key:18s} {one.text}")


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    long = commands.add_parser("campaign")
    long.add_argument("results", type=Path)
    long.add_argument("--count", type=int, default=220)
    long.add_argument("--seed", type=int, default=1)
    commands.add_parser("table").add_argument("results", type=Path)
    commands.add_parser("time").add_argument("folder", type=Path)
    given = parser.parse_args()
    if given.command == "campaign":
        campaign(given.results, given.count, given.seed)
    elif given.command == "table":
        table(given.results)
    else:
        full_size(given.folder)


if __name__ == "__main__":
    main()
