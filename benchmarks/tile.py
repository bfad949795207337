"""From the HDF5 files of one tile to its images, stage by stage: wall clock, CPU and peak memory.

    python benchmarks/tile.py [--folder DIR] [--small] [--selfcal] [--threads N]

simulates two tiles with gain errors and interference (full size: 4.7 GB, and 10 GB of what is made of them), solves the
calibration on the first, in which the calibrator transits, and brings the second to a primary-beam corrected image
with the functions of the rules, each in a process of its own. The sky drifts for 309 s during a tile: the goal
is half of that on two cores. With --folder the data are kept, and used again. The field holds a source of 15 Jy, whose
artefacts are those of the gains' drifts since the transit: --selfcal corrects their phases.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import tiles

TILE_S = 24 * 12.884902
STAGES = {
    "convert_tile": "HDF5 to a flagged MS",
    "apply_calibration": "to Jy, with weights",
    "image_tile": "CLEAN, effective beam, FITS",
}
MADE = ("converted.ms", "calibrated.ms", "images")
SMALL = {"antennas": 24, "channels": 12}
FULL = {"antennas": 96, "channels": 48}


def prepare(folder: Path, threads: int) -> None:
    """Simulate the night and solve its calibration, where that has not been done."""
    from contimg.calibration.solve_calibration import solve_calibration
    from contimg.config import BeamOptions, CalibrationOptions

    job = json.loads((folder / "job.json").read_text())
    night = folder / "night"
    if not (folder / "calibration.json").exists():
        if len(list(night.glob("incoming/*.hdf5"))) < 2 * 16:
            tiles.make_night(night, **job["size"])
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            ms, twin = tiles.convert(night, 0, Path(scratch))
            options = CalibrationOptions(calibrators=str(night / "calibrators.csv"))
            solve_calibration(
                ms, twin, folder / "calibration", folder / "calibration.json", calibrator="SIMCAL", bandpass=None,
                options=options, beam=BeamOptions(), catalogue=night / "catalogue.csv",
            )  # fmt: skip


def run_stage(stage: str, folder: Path, threads: int) -> None:
    """Run one rule's function as its rule does."""
    from contimg.config import (
        BeamOptions,
        CalibrationOptions,
        FlagOptions,
        ImageOptions,
        IngestOptions,
        QaOptions,
        SelfcalOptions,
    )  # fmt: skip

    night, job = folder / "night", json.loads((folder / "job.json").read_text())
    tile_id, files = tiles.files_of(night, 1)
    ms, calibrated, images = (folder / name for name in MADE)
    if stage == "convert_tile":
        from contimg.convert.convert_tile import convert_tile

        twin = convert_tile(
            files, ms, ms.with_suffix(".json"), tile_id=tile_id, ingest=IngestOptions(), flag=FlagOptions()
        )
    elif stage == "apply_calibration":
        from contimg.calibration.apply_calibration import apply_calibration

        twin = apply_calibration(
            ms, ms.with_suffix(".json"), calibrated, calibrated.with_suffix(".json"),
            calibrations=[folder / "calibration.json"], choice={}, options=CalibrationOptions(),
        )  # fmt: skip
    else:
        from contimg.imaging.image_tile import image_tile

        twin = image_tile(
            calibrated, calibrated.with_suffix(".json"), images, images.with_suffix(".json"), tile_id=tile_id,
            options=ImageOptions(**job["image"], selfcal=SelfcalOptions(rounds=3 if job["selfcal"] else 0)),
            beam=BeamOptions(), catalogue=night / "catalogue.csv",
            qa=QaOptions(), threads=threads,
        )  # fmt: skip
    print(json.dumps({"verdict": twin.verdict, "reasons": [reason.message for reason in twin.reasons], "qa": twin.qa}))


def measure(stage: str, folder: Path, threads: int) -> None:
    """Run one stage in this process and print what it cost."""
    with contextlib.redirect_stdout(sys.stderr):
        wall = time.perf_counter()
        (prepare if stage == "prepare" else lambda *given: run_stage(stage, *given))(folder, threads)
        wall = time.perf_counter() - wall
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
    print(json.dumps({"wall_s": wall, "cpu_s": cpu, "peak_gb": max(own.ru_maxrss, children.ru_maxrss) * 1024 / 1e9}))


def in_a_process(stage: str, folder: Path, threads: int) -> dict[str, float]:
    """Run a stage in a process of its own; return its cost, the start of Python and all imports included."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--run", stage, str(folder), "--threads", str(threads)]
    started = time.perf_counter()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    cost = json.loads(done.stdout.splitlines()[-1])
    return cost | {"wall_s": time.perf_counter() - started}


def benchmark(folder: Path, threads: int, *, small: bool, selfcal: bool) -> None:
    """Make what is missing, run the stages, print the table."""
    size = SMALL if small else FULL
    image = {"size_px": 1200, "cell_arcsec": 12.0} if small else {"size_px": 4800, "cell_arcsec": 3.0}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "job.json").write_text(json.dumps({"size": size, "image": image, "selfcal": selfcal}))
    in_a_process("prepare", folder, threads)
    for name in MADE:
        shutil.rmtree(folder / name, ignore_errors=True)
    print(f"one tile of {size['antennas']} antennas, 16 x {size['channels']} channels; ", end="")
    print(f"{os.cpu_count()} cores, {threads} threads; image {image['size_px']} px of {image['cell_arcsec']:g} arcsec")
    print(f"{'':20}{'':30}{'wall [s]':>10}{'CPU [s]':>10}{'peak [GB]':>11}")
    costs = []
    for stage, text in STAGES.items():
        cost = in_a_process(stage, folder, threads)
        costs.append(cost)
        print(f"{stage:20}{text:30}{cost['wall_s']:10.1f}{cost['cpu_s']:10.1f}{cost['peak_gb']:11.2f}", flush=True)
    wall, cpu = (sum(cost[key] for cost in costs) for key in ("wall_s", "cpu_s"))
    print(f"{'in all':50}{wall:10.1f}{cpu:10.1f}{max(cost['peak_gb'] for cost in costs):11.2f}")
    reached = "reached" if wall <= TILE_S / 2 else "MISSED"
    print(f"{TILE_S / wall:.2f} times real time ({TILE_S:.0f} s of sky)   goal: at least 2   {reached}")
    twin = json.loads((folder / "images.json").read_text())
    qa = twin["qa"]
    print(f"verdict {twin['verdict']}; ", end="")
    print(f"rms {qa.get('rms_mjy')} mJy/beam, {qa.get('noise_ratio')} times the radiometer's")
    for reason in twin["reasons"]:
        print(f"  {reason['message']}")


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where the data are kept; a temporary folder by default")
    parser.add_argument("--small", action="store_true", help="24 antennas, 16 x 12 channels, 1200 pixels")
    parser.add_argument("--selfcal", action="store_true", help="correct the antennas' phases too")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--run", nargs=2, metavar=("STAGE", "FOLDER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        measure(given.run[0], Path(given.run[1]), given.threads)
        return
    with contextlib.ExitStack() as stack:
        folder = given.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="contimg-tile-")))
        benchmark(folder.resolve(), given.threads, small=given.small, selfcal=given.selfcal)


if __name__ == "__main__":
    main()
