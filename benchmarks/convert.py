"""The speed of converting a tile, against pyuvdata and against reading and writing as many bytes.

    python benchmarks/convert.py [--small] [--repeat N] [--folder DIR]

makes a simulated tile of the real size (96 antennas, 16 x 48 channels, 24 integrations, XX and YY: 2.3 GB) in a
temporary folder, runs each program in a process of its own, one after the other, and prints medians, ratios and peak
memories.
It takes about 8 GB of disk and, for pyuvdata, 9 GB of memory; everything is removed in the end.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONTESTANTS = {
    "flagged": "convert_tile with flagging",
    "unflagged": "convert_tile without RFI search",
    "pyuvdata": "pyuvdata: read, repair, phase, write_ms",
    "bytes": "read the files, write as many bytes",
}
GOALS = (
    ("pyuvdata / convert_tile without RFI search", "at least", 4.0),
    ("convert_tile without RFI search / bytes", "at most", 2.5),
    ("peak memory of convert_tile [GB]", "at most", 0.6),
)


def convert(files: list[Path], tile_id: str, out: Path, *, interference: bool) -> None:
    """Convert the tile as the rule does."""
    from contimg.config import FlagOptions, IngestOptions
    from contimg.convert.convert_tile import convert_tile

    options = FlagOptions(interference=interference)
    convert_tile(files, out / "tile.ms", out / "tile.json", tile_id=tile_id, ingest=IngestOptions(), flag=options)


def with_pyuvdata(files: list[Path], centre_rad: list[float], out: Path) -> None:
    """Convert the tile with pyuvdata: read with repairs, join, phase, reorder, write."""
    import warnings

    from tests.support.reading_reference import read_with_pyuvdata

    uv = read_with_pyuvdata(files, centre_rad)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        uv.write_ms(str(out / "tile.ms"))
    _sync(out)


def read_and_write(files: list[Path], out: Path) -> None:
    """Copy the bytes of the files to one file, and sync it."""
    with open(out / "bytes", "wb", buffering=0) as copy:
        for path in files:
            with open(path, "rb", buffering=0) as file:
                while block := file.read(1 << 24):
                    copy.write(block)
        os.fsync(copy.fileno())


def _sync(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with open(path, "rb") as file:
                os.fsync(file.fileno())


def run_one(name: str, night: Path) -> None:
    """Make the tile, or run one program in this process and print what it cost."""
    if name in ("small", "full"):
        make_tile(night, small=name == "small")
        return
    truth = json.loads((night / "job.json").read_text())
    files = [Path(path) for path in truth["files"]]
    with tempfile.TemporaryDirectory(dir=night) as folder:
        out = Path(folder)
        work: dict[str, Callable[[], None]] = {
            "flagged": lambda: convert(files, truth["tile_id"], out, interference=True),
            "unflagged": lambda: convert(files, truth["tile_id"], out, interference=False),
            "pyuvdata": lambda: with_pyuvdata(files, truth["centre_rad"], out),
            "bytes": lambda: read_and_write(files, out),
        }
        wall, cpu = time.perf_counter(), time.process_time()
        work[name]()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print(json.dumps({"wall_s": wall, "cpu_s": cpu, "peak_gb": peak_gb}))


def make_tile(night: Path, *, small: bool) -> None:
    """Simulate the tile."""
    import numpy as np

    from contimg.simulate import NightOptions, simulate_night

    antennas, channels = (24, 12) if small else (96, 48)
    record = simulate_night(
        night / "night",
        NightOptions(tiles=1, antennas=antennas, channels=channels, declination_deg=54.57, rfi=((4, "line"),)),
    )
    files = sorted((night / "night" / "incoming").glob("*.hdf5"))
    size_gb = sum(path.stat().st_size for path in files) / 1e9
    print(
        f"{len(files)} files, {size_gb:.2f} GB: {antennas} antennas, 16 x {channels} channels, 24 integrations",
        flush=True,
    )
    job = {"files": [str(path) for path in files], "tile_id": record.tile_ids[0]}
    job["centre_rad"] = np.radians(record.tile_centres_deg[0]).tolist()
    (night / "job.json").write_text(json.dumps(job))


def compare(night: Path, repeat: int) -> dict[str, dict[str, float]]:
    """Run all programs in turn, `repeat` times; return medians of times and the largest peaks."""
    costs: dict[str, list[dict[str, float]]] = {name: [] for name in CONTESTANTS}
    for _ in range(repeat):
        for name, cost in costs.items():
            cost.append(json.loads(_in_a_process(name, night).splitlines()[-1]))
    return {
        name: {key: statistics.median(one[key] for one in cost) for key in ("wall_s", "cpu_s")}
        | {"peak_gb": max(one["peak_gb"] for one in cost)}
        for name, cost in costs.items()
    }


def _in_a_process(name: str, night: Path) -> str:
    """Run this file for one job; this process stays small, as a child's peak memory starts from its parent's."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--run", name, str(night)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout


def report(costs: dict[str, dict[str, float]]) -> None:
    """Print the table, the ratios and whether the goals are met."""
    print(f"{'':42}{'wall [s]':>10}{'CPU [s]':>10}{'peak [GB]':>11}")
    for name, text in CONTESTANTS.items():
        cost = costs[name]
        print(f"{text:42}{cost['wall_s']:10.1f}{cost['cpu_s']:10.1f}{cost['peak_gb']:11.2f}")
    wall = {name: cost["wall_s"] for name, cost in costs.items()}
    cpu = {name: cost["cpu_s"] for name, cost in costs.items()}
    peak = max(costs["flagged"]["peak_gb"], costs["unflagged"]["peak_gb"])
    values = (wall["pyuvdata"] / wall["unflagged"], wall["unflagged"] / wall["bytes"], peak)
    for (text, sense, goal), value in zip(GOALS, values, strict=True):
        reached = value >= goal if sense == "at least" else value <= goal
        print(f"{text:45}{value:6.2f}   goal: {sense} {goal:g}   {'reached' if reached else 'MISSED'}")
    print(f"with flagging: pyuvdata / convert_tile {wall['pyuvdata'] / wall['flagged']:.2f} (wall), ", end="")
    print(f"{cpu['pyuvdata'] / cpu['flagged']:.2f} (CPU); without: {cpu['pyuvdata'] / cpu['unflagged']:.2f} (CPU)")


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="a tile of 24 antennas and 16 x 12 channels")
    parser.add_argument("--repeat", type=int, default=3, help="repetitions [3]")
    parser.add_argument("--folder", type=Path, help="where the temporary folder goes")
    parser.add_argument("--run", nargs=2, metavar=("NAME", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        run_one(options.run[0], Path(options.run[1]))
        return
    with tempfile.TemporaryDirectory(prefix="contimg-convert-", dir=options.folder) as folder:
        print(_in_a_process("small" if options.small else "full", Path(folder)), end="", flush=True)
        report(compare(Path(folder), options.repeat))


if __name__ == "__main__":
    main()
