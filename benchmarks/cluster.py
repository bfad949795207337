"""A day and a season on 1, 4 and 16 nodes: a simulation of the schedule, from the costs that were measured.

    python -m benchmarks.cluster [--record NIGHT.json] [--cores-per-node 8] [--json]

Tiles arrive every 309 s, all day; ten of them are a group, which is begun when it is whole, by `contimg watch`: a run
at a time, with all groups that are whole when it starts. A job takes one core for the CPU time that was measured at
full size (`contimg.monitoring.forecast.FULL_SIZE_S`, or the record of `python -m benchmarks.night --record`). On one
node jobs are seen to end at once; on a cluster after a minute, as Snakemake asks Slurm for states every 50 to 180 s.
Told are the share of the cores that is used, the time from the last subband to the tile's image and to the mosaic, and
whether it keeps up; and for a season that is processed again, all data being there, how long that takes.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from contimg.monitoring.forecast import FULL_SIZE_S, START_S
from contimg.monitoring.schedule import Task, simulate
from contimg.operations.priorities import OF_GROUPS

TILE_S = 309.2376
GROUP = 10
DAY_S = 86400.0
DAY_TILES = 280
SEASON_DAYS = 90
OF_TILE = ("convert_tile", "apply_calibration", "image_tile")
RUN_START_S = 15.0
"""From the last file to the first job: the plan, and the start of Snakemake."""
QUIET_S = 60.0
"""The watch waits until the inbox has been quiet for so long (``watch.quiet_s``), and files settle meanwhile."""
NOTICE_S = 60.0


@dataclass(frozen=True)
class Day:
    """What came of some days of tiles.

    Attributes
    ----------
    cores : int
    used : float
        Work over what the cores could do in the time of the data.
    tile_min, mosaic_min : (float, float)
        From the last subband of a tile, or of a group, to its image and its published mosaic: median and largest [min].
    behind_h : float
        From the end of the data to the last mosaic [h]; what grows from day to day where it does not keep up.
    """

    cores: int
    used: float
    tile_min: tuple[float, float]
    mosaic_min: tuple[float, float]
    behind_h: float


def tasks_of_group(number: int, tiles: int, seconds: Mapping[str, float], *, not_before_s: float = 0.0) -> list[Task]:
    """Return the jobs of a group: each tile's, one calibration on its fifth tile, and those of its mosaic."""
    name = f"g{number}"
    solved = f"solve_calibration {name}"
    tasks = []
    for tile in range(tiles):
        one = f"{name}t{tile}"
        tasks.append(Task(f"convert_tile {one}", "convert_tile", seconds["convert_tile"], not_before_s=not_before_s))
    middle = f"convert_tile {name}t{(tiles - 1) // 2}"
    tasks.append(Task(solved, "solve_calibration", seconds["solve_calibration"], (middle,)))
    for tile in range(tiles):
        one = f"{name}t{tile}"
        before: tuple[str, ...] = (f"convert_tile {one}", solved)
        for rule in OF_TILE[1:]:
            tasks.append(Task(f"{rule} {one}", rule, seconds[rule], before))
            before = (f"{rule} {one}",)
    before = tuple(f"image_tile {name}t{tile}" for tile in range(tiles))
    for rule in OF_GROUPS:
        tasks.append(Task(f"{rule} {name}", rule, seconds[rule], before))
        before = (f"{rule} {name}",)
    return tasks


def follow_the_telescope(
    tiles: int, cores: int, seconds: Mapping[str, float], *, notice_s: float = 0.0, quiet_s: float = QUIET_S
) -> Day:
    """Let tiles arrive and run the watch: one run at a time, with all groups that are whole when it starts."""
    whole = [((first + GROUP) * TILE_S + quiet_s, first) for first in range(0, tiles - GROUP + 1, GROUP)]
    now, work, last = 0.0, 0.0, 0.0
    of_tiles: list[float] = []
    of_mosaics: list[float] = []
    while whole:
        now = max(now, whole[0][0])
        chosen = [first for moment, first in whole if moment <= now]
        whole = whole[len(chosen) :]
        tasks = [task for first in chosen for task in tasks_of_group(first, GROUP, seconds)]
        done = simulate(tasks, cores, notice_s=notice_s)
        work += done.work_s
        begun = now + RUN_START_S
        for first in chosen:
            arrived = [(first + tile + 1) * TILE_S for tile in range(GROUP)]
            ends = [begun + done.ends[f"image_tile g{first}t{tile}"] for tile in range(GROUP)]
            of_tiles += [end - moment for end, moment in zip(ends, arrived, strict=True)]
            last = begun + done.ends[f"publish_mosaic g{first}"]
            of_mosaics.append(last - arrived[-1])
        now = begun + done.end_s
    span = tiles * TILE_S
    return Day(cores, work / (span * cores), _minutes(of_tiles), _minutes(of_mosaics), (max(now, last) - span) / 3600)


def _minutes(values: Sequence[float]) -> tuple[float, float]:
    ordered = sorted(values)
    middle = len(ordered) // 2
    median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    return median / 60, ordered[-1] / 60


def process_again(groups: int, cores: int, seconds: Mapping[str, float], *, notice_s: float = 0.0) -> float:
    """Return how long groups take whose data are all there [h]: runs of fifty groups, two days, one after another."""
    total, left = 0.0, groups
    while left > 0:
        share = min(left, 50)
        tasks = [task for number in range(share) for task in tasks_of_group(number, GROUP, seconds)]
        total += RUN_START_S + simulate(tasks, cores, notice_s=notice_s).end_s
        left -= share
    return total / 3600


def costs(record: Path | None) -> dict[str, float]:
    """Return the time of each rule on one core [s]: of a measured night, or of the table in the library."""
    if record is None:
        return {rule: START_S + cpu_s for rule, cpu_s in FULL_SIZE_S.items()}
    measured = json.loads(record.read_text())["rules"]
    return {rule: START_S + measured[rule]["cpu_s"] for rule in FULL_SIZE_S}


def study(seconds: Mapping[str, float], cores_per_node: int, nodes: Sequence[int] = (1, 4, 16)) -> list[dict[str, Any]]:
    """Return a row for each number of nodes."""
    rows = []
    for number in nodes:
        cores, notice_s = number * cores_per_node, 0.0 if number == 1 else NOTICE_S
        day = follow_the_telescope(DAY_TILES, cores, seconds, notice_s=notice_s)
        groups = math.ceil(SEASON_DAYS * DAY_TILES / GROUP)
        season_h = process_again(groups, cores, seconds, notice_s=notice_s)
        rows.append({"nodes": number} | asdict(day) | {"season_again_days": season_h / 24})
    return rows


def main() -> None:
    """Parse the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", type=Path, help="what `python -m benchmarks.night --record` wrote")
    parser.add_argument("--cores-per-node", type=int, default=8)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    seconds = costs(given.record)
    rows = study(seconds, given.cores_per_node)
    if given.json:
        print(json.dumps(rows, indent=1))
        return
    load = (
        sum(seconds[rule] for rule in OF_TILE)
        + (seconds["solve_calibration"] + sum(map(seconds.get, OF_GROUPS))) / GROUP
    )
    print(f"a tile takes {load:.0f} s on one core with its share of the group: {load / TILE_S:.2f} cores keep up")
    print("| nodes | cores | cores used | tile to image, median (largest) [min] | group to mosaic [min] | behind [h] | "
          "season again [days] |\n|---|---|---|---|---|---|---|")  # fmt: skip
    for row in rows:
        tile, mosaic = ("{:.0f} ({:.0f})".format(*row[key]) for key in ("tile_min", "mosaic_min"))
        print(f"| {row['nodes']} | {row['cores']} | {row['used']:.1%} | {tile} | {mosaic} | {row['behind_h']:.1f} | "
              f"{row['season_again_days']:.1f} |")  # fmt: skip


if __name__ == "__main__":
    main()
