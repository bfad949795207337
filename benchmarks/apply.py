"""The speed of applying a calibration to a tile, against CASA's applycal and split, which do the same in two steps.

    python -m benchmarks.apply [--small] [--repeat N] [--folder DIR]

simulates and converts a tile of the real size (96 antennas, 768 channels, 24 integrations, XX and YY), solves a
calibration on it, applies it in both ways, each in a process of its own, compares the results sample by sample, and
prints medians, ratios and peak memories.
About 12 GB of disk. With --folder the tile is kept there, and used again.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import contest

CONTESTANTS = {"ours": "apply_calibration", "casa": "applycal + split"}
INTERPOLATION = ["nearest", "nearest,nearestflag", "linear"]


def prepare(folder: Path, *, small: bool) -> dict[str, Any]:
    """Make the tile and its calibration."""
    from contimg.calibration.solve_calibration import solve_calibration
    from contimg.config import BeamOptions, CalibrationOptions

    made = contest.make_tile(folder, small=small)
    if not (folder / "cal0.json").exists():
        solve_calibration(
            folder / "0.ms", folder / "0.json", folder / "cal0", folder / "cal0.json", calibrator=contest.CALIBRATOR,
            bandpass=None, options=CalibrationOptions(), beam=BeamOptions(),
            catalogue=folder / "night" / "catalogue.csv",
        )  # fmt: skip
    return made


def ours(folder: Path) -> dict[str, Any]:
    """Apply it as the rule does."""
    from contimg.calibration.apply_calibration import apply_calibration
    from contimg.config import CalibrationOptions

    twin = apply_calibration(
        folder / "0.ms", folder / "0.json", folder / "ours.ms", folder / "ours.json",
        calibrations=[folder / "cal0.json"], choice={}, options=CalibrationOptions(),
    )  # fmt: skip
    return {"verdict": twin.verdict}


def casa(folder: Path) -> dict[str, Any]:
    """Apply it with CASA; ``casa_input.ms`` is a copy, since applycal writes into what it is given."""
    from contimg.calibration import casa

    vis = str(folder / "casa_input.ms")
    tables = [str(folder / "cal0" / f"{kind}.cal") for kind in "KBG"]
    with casa.tasks() as tasks:
        tasks.applycal(
            vis=vis, gaintable=tables, interp=INTERPOLATION, calwt=False, flagbackup=False, parang=False,
        )  # fmt: skip
        tasks.split(vis=vis, outputvis=str(folder / "casa.ms"), datacolumn="corrected")
    contest.sync(folder / "casa.ms")
    return {}


def compare(folder: Path) -> dict[str, Any]:
    """Return the largest relative difference of good samples, and how many flags differ."""
    import numpy as np

    from contimg import measurement_set

    largest, flags = 0.0, 0
    both = (measurement_set.blocks(folder / f"{name}.ms", 2000) for name in CONTESTANTS)
    for (_, mine, my_flag, _), (_, theirs, their_flag, _) in zip(*both, strict=True):
        flags += int(np.count_nonzero(my_flag != their_flag))
        good = ~my_flag & ~their_flag & (theirs != 0)
        if good.any():
            largest = max(largest, float((np.abs(mine - theirs)[good] / np.abs(theirs)[good]).max()))
    return {"difference": largest, "flags": flags}


def run(name: str, folder: Path) -> None:
    """Do one job in this process."""
    work = {
        "small": lambda: prepare(folder, small=True),
        "full": lambda: prepare(folder, small=False),
        "ours": lambda: ours(folder),
        "casa": lambda: casa(folder),
        "compare": lambda: compare(folder),
    }
    contest.measure(work[name])


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="a tile of 24 antennas and 192 channels")
    parser.add_argument("--repeat", type=int, default=3, help="repetitions [3]")
    parser.add_argument("--folder", type=Path, help="keep the tile here, or use the one that is here")
    parser.add_argument("--run", nargs=2, metavar=("NAME", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        run(options.run[0], Path(options.run[1]))
        return
    with tempfile.TemporaryDirectory(prefix="contimg-apply-") as temporary:
        folder = options.folder or Path(temporary)
        made = contest.in_a_process(__file__, "small" if options.small else "full", folder).extra
        print(f"{made['antennas']} antennas, {made['channels']} channels, 24 integrations, XX and YY")
        costs: dict[str, list[contest.Cost]] = {name: [] for name in CONTESTANTS}
        for _ in range(options.repeat):
            for name, cost in costs.items():
                _clear(folder)
                if name == "casa":
                    shutil.copytree(folder / "0.ms", folder / "casa_input.ms")
                cost.append(contest.in_a_process(__file__, name, folder))
        contest.in_a_process(__file__, "ours", folder)
        result = contest.in_a_process(__file__, "compare", folder).extra
        _clear(folder)
    print(f"{'':42}{'wall [s]':>10}{'CPU [s]':>10}{'peak [GB]':>11}")
    wall = {}
    for name, cost in costs.items():
        wall[name] = statistics.median(one.wall_s for one in cost)
        cpu, peak = statistics.median(one.cpu_s for one in cost), max(one.peak_gb for one in cost)
        print(f"{CONTESTANTS[name]:42}{wall[name]:10.1f}{cpu:10.1f}{peak:11.2f}")
    contest.judge("applycal + split / apply_calibration (wall)", wall["casa"] / wall["ours"], "at least", 2.5)
    contest.judge("peak memory of apply_calibration [GB]", max(one.peak_gb for one in costs["ours"]), "at most", 0.6)
    contest.judge("largest relative difference of a sample", result["difference"], "at most", 1e-5)
    contest.judge("flags that differ", result["flags"], "at most", 0)


def _clear(folder: Path) -> None:
    for name in ("ours.ms", "casa.ms", "casa_input.ms"):
        shutil.rmtree(folder / name, ignore_errors=True)


if __name__ == "__main__":
    main()
