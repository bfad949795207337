"""A whole group at the telescope's size, by the workflow itself: what it takes, and how good it is.

    python -m benchmarks.night [--small] [--tiles N] [--cores N] [--folder DIR] [--record FILE]

A group of ten tiles is simulated (96 antennas, 16 x 48 channels, 24 integrations, 3C286 transits in the middle of the
fifth; errors of the gains, interference), 23 GB, and taken to its published mosaic by ``snakemake`` on two cores. Told
are CPU and wall time and memory of each rule, the disk that each kind of product takes at most, the real-time factor
(sky time over wall time), the time from the last subband to each product, and fluxes, places, noise and completeness
against the truth. Everything is removed at the end; a folder that is named is kept, and its data are used again.

Where other programs use the cores meanwhile, wall times say little: beside the measured factor stands the one that a
simulation of the schedule gives for the CPU times that were measured (`contimg.monitoring.schedule`).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.contest import ROOT, judge
from benchmarks.run_sampler import RunSampler, Seen
from contimg import naming
from contimg.config import Config, load_files
from contimg.monitoring import forecast
from contimg.monitoring.benchmark_records import JobRecord, job_records
from contimg.monitoring.schedule import Task, simulate
from contimg.operations.priorities import STEPS as RULES
from contimg.plan.observe import current_plan

TILE_S = 24 * 12.884902
FULL = {"antennas": 96, "channels": 48}
SMALL = {"antennas": 24, "channels": 6, "max_baseline_m": 700.0}
# Sources a tile, and the range of their log-uniform flux densities.
SKY = {"sources": 40, "flux_min_jy": 0.005, "flux_max_jy": 3.0, "seed": 16}
SMALL_SKY = {"sources": 20, "flux_min_jy": 0.03, "flux_max_jy": 2.0, "seed": 16}
RFI = ((3, "line"), (7, "burst"), (11, "broad"))
DISK_OVER_FILES = 2.8
"""Largest space of everything over that of the files: they, MSs and calibrated MSs of most tiles, images."""

GOAL_FACTOR, GOAL_TILE_MIN = 2.5, 6.0


@dataclass
class NightCost:
    """What one run took.

    Attributes
    ----------
    tiles, cores : int
    wall_s, cpu_s : float
        Of the whole command, from its start to its end; CPU time of all its processes.
    seen : Seen
    rules : dict
        ``jobs, cpu_s, wall_s, peak_gb`` by rule: numbers of jobs, medians of a job, largest memory of one.
    tile_min, mosaic_min : float
        From the start of the run (all files are closed) to the first tile's image and the published mosaic [min].
    quiet_wall_s, quiet_tile_s : float
        Wall time of the schedule, and of one tile from its files to its image, by the CPU times of the jobs.
    foretold_cpu_s : (float, float)
        What `contimg plan --forecast` tells of this night: without earlier jobs, and from the records of these.
    quality : dict
        Numbers of the mosaic, and of its comparison with the truth.
    """

    tiles: int
    cores: int
    wall_s: float
    cpu_s: float
    seen: Seen
    rules: dict[str, dict[str, float]]
    tile_min: float
    mosaic_min: float
    quiet_wall_s: float
    quiet_tile_s: float
    foretold_cpu_s: tuple[float, float] = (0.0, 0.0)
    quality: dict[str, Any] = field(default_factory=dict)

    @property
    def real_time_factor(self) -> float:
        """Sky time of the tiles over wall time."""
        return self.tiles * TILE_S / self.wall_s

    @property
    def quiet_factor(self) -> float:
        """The same on cores that nobody else uses."""
        return self.tiles * TILE_S / self.quiet_wall_s


def files_bytes(size: dict[str, Any], tiles: int) -> int:
    """Return the size of the files of some tiles [bytes]: 13 bytes a sample, polarisation and baseline."""
    baselines = size["antennas"] * (size["antennas"] + 1) // 2
    return int(tiles * 16 * 24 * baselines * size["channels"] * 2 * 13)


def require_room(folder: Path, size: dict[str, Any], tiles: int) -> None:
    """Stop with a sentence where the disk has too little room for the night."""
    files = files_bytes(size, tiles)
    needed = files * (DISK_OVER_FILES - (folder / "night" / "truth.json").exists())
    free = shutil.disk_usage(folder).free
    if free < needed:
        sys.exit(
            f"{folder} has {free / 1e9:.1f} GB of room and the night takes up to {needed / 1e9:.0f} GB: "
            "name another folder with --folder, or fewer tiles with --tiles"
        )


def make_night(folder: Path, size: dict[str, Any], sky: dict[str, Any], tiles: int) -> None:
    """Simulate the group in a process of its own, where it is not there yet."""
    if (folder / "truth.json").exists():
        return
    code = (
        "import json, sys; from pathlib import Path; from contimg.simulate import NightOptions, simulate_night; "
        "o = json.loads(sys.argv[2]); o['rfi'] = tuple(map(tuple, o['rfi'])); "
        "simulate_night(Path(sys.argv[1]), NightOptions(**o), overwrite=True)"
    )
    sources = {"sources": sky["sources"] * tiles}
    options = size | sky | sources | {"tiles": tiles, "transit_tile": (tiles - 1) // 2, "rfi": RFI}
    subprocess.run([sys.executable, "-c", code, str(folder), json.dumps(options)], check=True, env=environment())


def environment() -> dict[str, str]:
    """Return the environment of the processes: one thread each, and this library."""
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def run_workflow(night: Path, config: Config, cores: int) -> tuple[float, float, float, Seen]:
    """Run the operator's command; return start [Unix s], wall time [s], CPU time [s] and what was seen."""
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--directory", str(night / "work")]
    command += ["--configfile", str(night / "config.yaml"), "--cores", str(cores), "--quiet", "rules"]
    stage = config.layout.stage
    folders = {name: stage / name for name in ("ms", "calibrated", "calibrations", "images", "mosaics", "registered")}
    folders |= {"inputs": config.layout.incoming, "archive": config.layout.products}
    (night / "work").mkdir(exist_ok=True)
    started, wall, cpu = time.time(), time.perf_counter(), sum(os.times()[2:4])
    with open(night / "run.log", "w") as log:
        process = subprocess.Popen(command, env=environment(), cwd=night, stdout=log, stderr=subprocess.STDOUT)
        with RunSampler(process.pid, folders) as sampler:
            code = process.wait()
    if code:
        sys.exit(f"the workflow ended with {code}:\n{(night / 'run.log').read_text()[-3000:]}")
    return started, time.perf_counter() - wall, sum(os.times()[2:4]) - cpu, sampler.seen


def of_rules(records: Sequence[JobRecord]) -> dict[str, dict[str, float]]:
    """Return numbers of jobs, median times and largest memory by rule, in the order of the workflow."""
    found = {}
    for rule in RULES:
        jobs = [one for one in records if one.rule == rule]
        if jobs:
            found[rule] = {
                "jobs": len(jobs),
                "cpu_s": _median([cpu_of(one) for one in jobs]),
                "wall_s": _median([one.wall_s for one in jobs]),
                "peak_gb": max((one.used_mb for one in jobs if one.used_mb == one.used_mb), default=0.0) / 1e3,
            }
    return found


def cpu_of(job: JobRecord) -> float:
    """Return the CPU time of a job [s]; its wall time where it was too short to be sampled."""
    return job.cpu_s if job.cpu_s == job.cpu_s else job.wall_s


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def tasks_of(records: Sequence[JobRecord]) -> list[Task]:
    """Return the jobs of one group with their CPU times, as a schedule: each waits for what it reads."""
    seconds = {(one.rule, one.name): cpu_of(one) for one in records}
    tiles = sorted(name for rule, name in seconds if rule == "image_tile")
    solved = [f"solve_calibration {name}" for rule, name in seconds if rule == "solve_calibration"]
    after: dict[str, tuple[str, ...]] = {"convert_tile": (), "image_tile": (), "apply_calibration": ()}
    tasks = []
    first = {naming.stem(one.split()[1]) for one in solved}  # its conversion begins before the others'
    order = sorted(seconds, key=lambda one: (-RULES.index(one[0]), naming.stem(one[1]) not in first, one[1]))
    for (rule, name), cpu_s in ((one, seconds[one]) for one in order):
        if rule == "solve_calibration":
            tile = name.removeprefix("cal_").split("_")[0]
            needs: tuple[str, ...] = (f"convert_tile {tile}",) if ("convert_tile", tile) in seconds else ()
        elif rule == "apply_calibration":
            needs = (f"convert_tile {name}", *solved)
        elif rule == "image_tile":
            needs = (f"apply_calibration {name}",)
        elif rule == "mosaic_group":
            needs = tuple(f"image_tile {tile}" for tile in tiles)
        else:
            needs = after.get(rule, ())
        before = RULES.index(rule) - 1
        if rule not in after and RULES[before] in ("mosaic_group", "crossmatch_mosaic", "summarise_mosaic",
                                                   "register_mosaic"):  # fmt: skip
            needs = (f"{RULES[before]} {name}",)
        tasks.append(Task(f"{rule} {name}", rule, cpu_s, needs))
    return tasks


def quality_of(night: Path) -> dict[str, Any]:
    """Return verdict, noise and the comparison with the truth of the night's mosaic."""
    command = [sys.executable, "-c", "from contimg.cli import run; run()", "-c", str(night / "config.yaml"), "report"]
    command += ["--truth", str(night / "truth.csv"), "--json"]
    said = subprocess.run(command, check=True, env=environment(), stdout=subprocess.PIPE, text=True).stdout
    (record,) = json.loads(said)
    truth = record.pop("truth")
    names = ("n_matched", "median_flux_ratio", "flux_ratio_mad", "median_offset_arcsec", "median_offset_beams",
             "completeness", "n_unmatched")  # fmt: skip
    numbers = {name: truth.get(name) for name in names}
    shown = {name: record["qa"].get(name) for name in ("rms_mjy", "noise_ratio")}
    return {"verdict": record["verdict"], "state": record["state"], "reasons": record["reasons"]} | shown | numbers


def measure(night: Path, tiles: int, cores: int) -> NightCost:
    """Run the workflow on a simulated night, and measure."""
    config = load_files([ROOT / "config.yaml", night / "config.yaml"])
    plan = current_plan(config)
    foretold = forecast.forecast(config, plan, night / "work", [cores])
    started, wall, cpu, seen = run_workflow(night, config, cores)
    records = list(job_records(night / "work"))
    costs = forecast.costs_of(config, plan, records)
    again = forecast.cpu_s(costs, foretold.jobs)
    ends = {rule: [one.finished_unix_s for one in records if one.rule == rule] for rule in RULES}
    tasks = tasks_of(records)
    # Starts of processes and Snakemake itself are in no job's own figure.
    overhead = max(0.0, cpu - sum(task.seconds for task in tasks)) / max(len(tasks), 1)
    tile = sum(of_rules(records)[rule]["cpu_s"] for rule in ("convert_tile", "apply_calibration", "image_tile"))
    return NightCost(
        tiles=tiles, cores=cores, wall_s=wall, cpu_s=cpu, seen=seen, rules=of_rules(records),
        tile_min=(min(ends["image_tile"]) - started) / 60, mosaic_min=(max(ends["publish_mosaic"]) - started) / 60,
        quiet_wall_s=simulate(tasks, cores, overhead_s=overhead).end_s, quiet_tile_s=tile + 3 * overhead,
        foretold_cpu_s=(foretold.cpu_h * 3600, again), quality=quality_of(night),
    )  # fmt: skip


def show(cost: NightCost) -> None:
    """Print the tables and the goals."""
    print(f"{'rule':20}{'jobs':>6}{'CPU [s]':>10}{'wall [s]':>10}{'peak [GB]':>11}{'CPU in all [s]':>16}")
    for rule, one in cost.rules.items():
        total = one["jobs"] * one["cpu_s"]
        print(f"{rule:20}{one['jobs']:6}{one['cpu_s']:10.1f}{one['wall_s']:10.1f}{one['peak_gb']:11.2f}{total:16.0f}")
    print(f"the command: {cost.wall_s:.0f} s of wall, {cost.cpu_s:.0f} s of CPU on {cost.cores} cores; ", end="")
    print(f"others kept {cost.seen.others_cores:.2f} cores busy; {cost.seen.memory_bytes / 1e9:.2f} GB at most")
    sizes = ", ".join(f"{name} {size / 1e9:.2f}" for name, size in cost.seen.disk_bytes.items())
    print(f"disk at most [GB]: {sizes}")
    for name, value in cost.quality.items():
        print(f"    {name:24}{value}")
    judge("real-time factor, measured", cost.real_time_factor, "at least", GOAL_FACTOR)
    judge("real-time factor of the schedule, by CPU time", cost.quiet_factor, "at least", GOAL_FACTOR)
    first, again = (one / cost.cpu_s for one in cost.foretold_cpu_s)
    print(f"plan --forecast over the command's CPU time: {first:.2f} without earlier jobs, {again:.2f} from these jobs")
    judge("one tile, files to image, by CPU time [min]", cost.quiet_tile_s / 60, "at most", GOAL_TILE_MIN)
    print(f"from the start, all files closed: first image {cost.tile_min:.1f} min, mosaic {cost.mosaic_min:.1f} min")


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="24 antennas, 16 x 6 channels")
    parser.add_argument("--tiles", type=int, default=10)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="kept; a temporary folder that is removed by default")
    parser.add_argument("--record", type=Path, help="write the numbers as JSON")
    given = parser.parse_args(arguments)
    size, sky = (SMALL, SMALL_SKY) if given.small else (FULL, SKY)
    with contextlib.ExitStack() as stack:
        place = given.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="contimg-night-")))
        place.mkdir(parents=True, exist_ok=True)
        require_room(place, size, given.tiles)
        make_night(place / "night", size, sky, given.tiles)
        cost = measure(place / "night", given.tiles, given.cores)
        show(cost)
        if given.record:
            numbers = asdict(cost) | {"real_time_factor": cost.real_time_factor, "quiet_factor": cost.quiet_factor}
            given.record.write_text(json.dumps(numbers, indent=1) + "\n")


if __name__ == "__main__":
    main()
