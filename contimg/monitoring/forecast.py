"""What the open work will take: jobs, CPU hours, disk and wall time (``contimg plan --forecast``).

Times of a rule are the medians of its past jobs in this working directory. Where it has none yet they are those that
were measured on full-size data, scaled with what the rule's time grows with: the samples of a tile, or the pixels of an
image.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from contimg import naming
from contimg.config import Config
from contimg.monitoring.benchmark_records import JobRecord, job_records
from contimg.monitoring.schedule import Task, simulate
from contimg.operations.priorities import OF_GROUPS, priorities
from contimg.operations.resources import MS_OVER_FILES, mosaic_sizes, tile_sizes
from contimg.plan.model import Plan

FULL_FILES_BYTES = 16 * 24 * 4656 * 48 * 2 * 13
FULL_IMAGE_PX = 4800**2
FULL_MOSAIC_PX = 16824 * 4800
FULL_SIZE_S = {
    "convert_tile": 27.0, "solve_calibration": 164.0, "apply_calibration": 6.0, "image_tile": 140.0,
    "mosaic_group": 57.0, "crossmatch_mosaic": 47.0, "summarise_mosaic": 2.0, "register_mosaic": 2.0,
    "publish_mosaic": 3.0,
}  # fmt: skip
"""CPU time of each rule on a full-size tile, or mosaic of ten tiles, on one core [s]: images with 140 to 180 bright
sources, which take half of an image's time, and a round of self-calibration (`benchmarks/night.py`)."""

START_S = 2.5
"""What a job takes whatever its data: start of Python, imports [s]."""
SCHEDULED_S = 0.3
"""What Snakemake takes for a job beside what the job's own record has: its process and the plan [s of CPU]."""
RUN_S = 4.0
"""What a run takes before its first job: Snakemake and the graph [s of CPU]."""

_IMAGE_BYTES_PX, _MOSAIC_BYTES_PX = 24, 48


@dataclass(frozen=True)
class Cost:
    """Median wall and CPU time of a rule's jobs with their start [s]; number of those measured (0: scaled)."""

    wall_s: float
    cpu_s: float
    measured: int


@dataclass(frozen=True)
class Forecast:
    """Jobs by rule, CPU time [h], largest growth of the disk [GB], wall time [h] by number of cores, and the costs."""

    jobs: dict[str, int]
    cpu_h: float
    disk_peak_gb: float
    wall_h: dict[int, float]
    costs: dict[str, Cost]

    def to_json(self) -> dict[str, object]:
        """Return the content for programs."""
        return asdict(self)


def forecast(config: Config, plan: Plan, work: Path, cores: Sequence[int] = (1, 2, 4, 8, 16)) -> Forecast:
    """Foretell what a plan will take on some numbers of cores.

    Parameters
    ----------
    config : Config
    plan : Plan
    work : Path
        Snakemake's working directory with the benchmark files of earlier jobs.
    cores : sequence of int
    """
    records = list(job_records(work, last_dates=3))
    costs = costs_of(config, plan, records)
    tasks = tasks_of(config, plan, costs)
    runs = {number: simulate(tasks, number) for number in cores}
    count = Counter(task.rule for task in tasks)
    rules = {rule: count[rule] for rule in FULL_SIZE_S if rule in count}  # in the order of a tile's way
    return Forecast(
        jobs=rules,
        cpu_h=cpu_s(costs, rules) / 3600,
        disk_peak_gb=max((run.peak_bytes for run in runs.values()), default=0.0) / 1e9,
        wall_h={number: (run.end_s + RUN_S * bool(tasks)) / 3600 for number, run in runs.items()},
        costs={rule: costs[rule] for rule in rules},
    )


def cpu_s(costs: Mapping[str, Cost], jobs: Mapping[str, int]) -> float:
    """Return the CPU time of a run with some numbers of jobs [s]; nothing where there are none."""
    return sum(costs[rule].cpu_s * number for rule, number in jobs.items()) + RUN_S * bool(jobs)


def costs_of(config: Config, plan: Plan, records: Iterable[JobRecord]) -> dict[str, Cost]:
    """Return the cost of each rule: measured where there are records, else scaled from full size."""
    walls: dict[str, list[float]] = {}
    cpus: dict[str, list[float]] = {}
    for one in records:
        if one.wall_s == one.wall_s:  # not NaN
            walls.setdefault(one.rule, []).append(one.wall_s)
            cpus.setdefault(one.rule, []).append(one.cpu_s if one.cpu_s == one.cpu_s else one.wall_s)
    scale = _scales(config, plan)
    found = {}
    for rule, seconds in FULL_SIZE_S.items():
        if rule in walls:
            wall, cpu = statistics.median(walls[rule]), statistics.median(cpus[rule])
            found[rule] = Cost(wall + SCHEDULED_S, cpu + SCHEDULED_S, len(walls[rule]))
        else:
            scaled = START_S + seconds * scale[rule]
            found[rule] = Cost(scaled, scaled, 0)
    return found


def _scales(config: Config, plan: Plan) -> Mapping[str, float]:
    """Return the size of the plan's data over full size, by rule."""
    tiles = [tile_sizes(config, tile) for tile in plan.tiles.values()]
    files = statistics.fmean(tile.files_bytes for tile in tiles) / FULL_FILES_BYTES if tiles else 1.0
    pixels = tiles[0].image_px / FULL_IMAGE_PX if tiles else 1.0
    mosaics = [mosaic_sizes(config, plan, group).mosaic_px for group in plan.groups]
    mosaic = statistics.fmean(mosaics) / FULL_MOSAIC_PX if mosaics else 1.0
    by_files = dict.fromkeys(("convert_tile", "solve_calibration", "apply_calibration"), files)
    by_pixels = dict.fromkeys(("mosaic_group", "crossmatch_mosaic"), mosaic)
    rest = dict.fromkeys(("summarise_mosaic", "register_mosaic", "publish_mosaic"), mosaic)
    return by_files | by_pixels | rest | {"image_tile": (files + pixels) / 2}


def tasks_of(config: Config, plan: Plan, costs: Mapping[str, Cost]) -> list[Task]:
    """Return the jobs of a plan whose products are not there, with what they need and leave on the disk.

    They are in the order in which they begin where cores are scarce.
    """
    layout, urgency = config.layout, priorities(plan)
    tasks: list[tuple[int, Task]] = []

    def add(rule: str, name: str, after: Sequence[str] = (), disk: float = 0.0, frees: Sequence[str] = ()) -> None:
        task = Task(f"{rule} {name}", rule, costs[rule].wall_s, tuple(after), disk, tuple(frees))
        tasks.append((urgency.get((rule, naming.stem(name)), 0), task))

    grouped = [tile for group in plan.groups.values() for tile in group.tiles]
    open_tiles = [tile for tile in dict.fromkeys(grouped) if not layout.product("image", tile).exists()]
    to_solve = [one for one in plan.calibrations.values() if not layout.twin("calibration", one.id).exists()]
    for tile in dict.fromkeys([*open_tiles, *(one.tile for one in to_solve)]):
        if not layout.product("ms", tile).exists():
            size = tile_sizes(config, plan.tiles[tile]).files_bytes * MS_OVER_FILES
            add("convert_tile", tile, disk=size)
    for one in to_solve:
        needs = [f"convert_tile {one.tile}"] + ([f"solve_calibration {one.bandpass}"] if one.bandpass else [])
        add("solve_calibration", one.id, needs, frees=[] if "ms" in config.keep else [f"convert_tile {one.tile}"])
    for tile in open_tiles:
        used = [f"solve_calibration {one}" for one in plan.choices[tile].calibrations]
        sizes = tile_sizes(config, plan.tiles[tile])
        ms = f"convert_tile {tile}"
        gone = [] if "ms" in config.keep else [ms]
        add("apply_calibration", tile, [ms, *used], sizes.files_bytes * MS_OVER_FILES, gone)
        calibrated = f"apply_calibration {tile}"
        gone = [] if "calibrated" in config.keep else [calibrated]
        add("image_tile", tile, [calibrated], sizes.image_px * _IMAGE_BYTES_PX, gone)
    for group in plan.groups.values():
        if layout.twin("published", group.id).exists():
            continue
        disk = mosaic_sizes(config, plan, group.id).mosaic_px * _MOSAIC_BYTES_PX
        before = [f"image_tile {tile}" for tile in group.tiles]
        for rule in OF_GROUPS:
            if rule != "crossmatch_mosaic" or config.crossmatch.enabled:
                add(rule, group.id, before, disk if rule == "mosaic_group" else 0.0)
                before = [f"{rule} {group.id}"]
    return [task for _, task in sorted(tasks, key=lambda one: -one[0])]
