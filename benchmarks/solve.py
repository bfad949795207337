"""The time and the errors of solving a calibration, against plain calls of CASA's tasks on the same tile.

    python -m benchmarks.solve [--small] [--folder DIR]

simulates and converts a tile of the real size (96 antennas, 768 channels, 24 integrations, XX and YY) in which 3C286
transits among 60 fainter sources, and solves it in two ways, each in a process of its own: as the rule does, and with
phaseshift, setjy (a point of Perley & Butler's flux), gaincal, bandpass and gaincal, as a tutorial would. Errors are
those of the solved gains over the simulator's. About 8 GB of disk. With --folder the tile is kept there, and reused.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import contest

CONTESTANTS = {"ours": "solve_calibration", "casa": "phaseshift, setjy, gaincal, bandpass, gaincal"}


def ours(folder: Path) -> dict[str, Any]:
    """Solve as the rule does."""
    from contimg.calibration.solve_calibration import solve_calibration
    from contimg.config import BeamOptions, CalibrationOptions

    twin = solve_calibration(
        folder / "0.ms", folder / "0.json", folder / "ours", folder / "ours.json", calibrator=contest.CALIBRATOR,
        bandpass=None, options=CalibrationOptions(), beam=BeamOptions(), catalogue=folder / "night" / "catalogue.csv",
    )  # fmt: skip
    return {"refant": twin.facts["refant"], "verdict": twin.verdict, "lost_antennas": twin.qa["lost_antennas"]}


def casa(folder: Path) -> dict[str, Any]:
    """Solve with plain calls, on a copy at the calibrator's phase centre, and tell the time of the solvers alone."""
    from contimg import measurement_set
    from contimg.calibration import casa
    from contimg.products.twin import read_twin
    from contimg.sky import calibrator_lists, calibrators

    refant = read_twin(folder / "ours.json").facts["refant"]
    calibrator = calibrator_lists.find(calibrators.builtin(), contest.CALIBRATOR)
    freq_hz = measurement_set.read_coordinates(folder / "0.ms").freq_hz
    low, high = (float(calibrator.flux_jy(freq_hz[end])) for end in (0, -1))
    index = float(np.log(high / low) / np.log(freq_hz[-1] / freq_hz[0]))
    out = folder / "casa"
    out.mkdir()
    vis = str(out / "shifted.ms")
    phases, bandpass, gains = (str(out / f"{kind}.cal") for kind in "PBG")
    with casa.tasks() as tasks:
        centre = f"ICRS {calibrator.ra_deg}deg {calibrator.dec_deg}deg"
        tasks.phaseshift(str(folder / "0.ms"), outputvis=vis, phasecenter=centre, datacolumn="data")
        flux = {"fluxdensity": [low, 0, 0, 0], "spix": [index], "reffreq": f"{freq_hz[0]}Hz"}
        tasks.setjy(vis, standard="manual", usescratch=False, **flux)
        started = time.perf_counter()
        tasks.gaincal(vis, phases, gaintype="G", calmode="p", solint="60s", refant=refant)
        tasks.bandpass(vis, bandpass, solint="inf", combine="scan", refant=refant, gaintable=[phases])
        tasks.gaincal(vis, gains, gaintype="G", calmode="ap", solint="60s", refant=refant, gaintable=[bandpass])
        solvers_s = time.perf_counter() - started
    return {"refant": refant, "solvers_s": solvers_s}


def quality(folder: Path, name: str) -> dict[str, Any]:
    """Compare solutions with the simulator's gains."""
    from contimg.products.twin import read_twin
    from tests.support.calibration_nights import Night, gain_errors

    tables = {kind: folder / name / f"{kind}.cal" for kind in "KBG" if (folder / name / f"{kind}.cal").exists()}
    night = Night(folder, (read_twin(folder / "0.json").id,))
    ratio = gain_errors(night, 0, tables, read_twin(folder / "ours.json").facts["refant"])
    return {
        "amplitude": float(np.sqrt(np.nanmean((np.abs(ratio) - 1) ** 2))),
        "phase_deg": float(np.degrees(np.sqrt(np.nanmean(np.angle(ratio) ** 2)))),
        "flux_scale": float(np.nanmean(np.abs(ratio)) ** 2),
        "lost": float(np.isnan(ratio).mean()),
    }


def run(name: str, folder: Path) -> None:
    """Do one job in this process."""
    work = {
        "small": lambda: contest.make_tile(folder, small=True),
        "full": lambda: contest.make_tile(folder, small=False),
        "ours": lambda: ours(folder),
        "casa": lambda: casa(folder),
        "quality_ours": lambda: quality(folder, "ours"),
        "quality_casa": lambda: quality(folder, "casa"),
    }
    contest.measure(work[name])


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="a tile of 24 antennas and 192 channels")
    parser.add_argument("--folder", type=Path, help="keep the tile here, or use the one that is here")
    parser.add_argument("--run", nargs=2, metavar=("NAME", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        run(options.run[0], Path(options.run[1]))
        return
    with tempfile.TemporaryDirectory(prefix="contimg-solve-") as temporary:
        folder = options.folder or Path(temporary)
        made = contest.in_a_process(__file__, "small" if options.small else "full", folder).extra
        print(f"{made['antennas']} antennas, {made['channels']} channels, 24 integrations, XX and YY")
        for name in CONTESTANTS:
            shutil.rmtree(folder / name, ignore_errors=True)
        costs = {name: contest.in_a_process(__file__, name, folder, threads=2) for name in CONTESTANTS}
        truth = {name: contest.in_a_process(__file__, f"quality_{name}", folder).extra for name in CONTESTANTS}
        for name in CONTESTANTS:
            shutil.rmtree(folder / name)
    heads = ("wall [s]", "CPU [s]", "peak [GB]", "amplitude", "phase [deg]", "flux scale", "lost")
    print(f"{'':46}" + "".join(f"{head:>12}" for head in heads))
    for name, cost in costs.items():
        values = (cost.wall_s, cost.cpu_s, cost.peak_gb, *truth[name].values())
        print(f"{CONTESTANTS[name]:46}" + "".join(f"{value:12.4g}" for value in values))
    print(f"of CASA's wall time, its three solvers: {costs['casa'].extra['solvers_s']:.1f} s")
    contest.judge("wall time of solve_calibration [s]", costs["ours"].wall_s, "at most", 150)
    contest.judge("rms error of the amplitudes", truth["ours"]["amplitude"], "at most", 0.01)
    contest.judge("rms error of the phases [deg]", truth["ours"]["phase_deg"], "at most", 1.0)
    contest.judge("error of the flux scale", abs(truth["ours"]["flux_scale"] - 1), "at most", 0.01)
    contest.judge("good antennas dropped", len(costs["ours"].extra["lost_antennas"]), "at most", 0)


if __name__ == "__main__":
    main()
