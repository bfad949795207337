"""The Sun in far sidelobes: noise and fluxes of a daytime tile against the shortest baseline of solving and imaging.

    python benchmarks/sun.py FOLDER [--full] [--sun XX YY]... [--cut SOLVING IMAGING]...

simulates two tiles by day, a 15-Jy calibrator transiting in the first, for each apparent flux of the Sun; solves
on the first and images the second for each pair of ``calibration.min_uv_klambda`` and ``image.min_uv_klambda``; and
prints the verdicts, the noise over the radiometer's and the median flux over truth. Results are kept in
FOLDER/results.jsonl; what is there is not made again.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import tiles

SMALL = {"antennas": 32, "channels": 8}
FULL = {"antennas": 96, "channels": 48}
SUNS_JY = ((0.0, 0.0), (60.0, 40.0), (200.0, 120.0))
CUTS_KLAMBDA = ((0.0, 0.0), (0.1, 0.1), (0.2, 0.2), (0.3, 0.3), (0.5, 0.5), (1.0, 1.0))


def make_night(folder: Path, sun_jy: tuple[float, float], size: dict[str, int]) -> None:
    """Simulate two tiles by day with the Sun (apparent Jy in XX and YY)."""
    from contimg.simulate import HostileSky, NightOptions, TelescopeErrors, simulate_night

    options = NightOptions(
        **{"tiles": 2, "transit_tile": 0, "declination_deg": 33.15, "calibrator_flux_jy": 15.0, "sources": 150} | size,
        start="2026-02-11T20:00:00",
        telescope=TelescopeErrors(sky=HostileSky(sun_jy=sun_jy)),
    )
    simulate_night(folder, options, overwrite=True)


def measure(
    folder: Path, converted: list[tuple[Path, Path]], cut: tuple[float, float], *, full: bool
) -> dict[str, Any]:
    """Solve and image with a pair of cuts; return the numbers."""
    from contimg.calibration.apply_calibration import apply_calibration
    from contimg.calibration.solve_calibration import solve_calibration
    from contimg.config import BeamOptions, CalibrationOptions, ImageOptions, QaOptions
    from contimg.imaging.image_tile import image_tile

    night, work = folder / "night", folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    options = CalibrationOptions(calibrators=str(night / "calibrators.csv"), min_uv_klambda=cut[0])
    solved = solve_calibration(
        *converted[0], work / "calibration", work / "calibration.json", calibrator="SIMCAL", bandpass=None,
        options=options, beam=BeamOptions(), catalogue=night / "catalogue.csv",
    )  # fmt: skip
    found: dict[str, Any] = {"calibration": solved.verdict, "calibration_reasons": [r.code for r in solved.reasons]}
    found |= {key: solved.qa.get(key) for key in ("snr_median", "flagged_fraction", "max_delay_ns", "sefd_jy")}
    if solved.verdict == "failed":
        return found
    apply_calibration(
        *converted[1], work / "tile.ms", work / "tile.json", calibrations=[work / "calibration.json"], choice={},
        options=options,
    )  # fmt: skip
    image = {} if full else {"size_px": 1200, "cell_arcsec": 12.0}
    tile_id = tiles.files_of(night, 1)[0]
    imaged = image_tile(
        work / "tile.ms", work / "tile.json", work / "images", work / "images.json", tile_id=tile_id,
        options=ImageOptions(**image, min_uv_klambda=cut[1]), beam=BeamOptions(),
        catalogue=night / "catalogue.csv", qa=QaOptions(), threads=1,
    )  # fmt: skip
    keys = ("rms_mjy", "expected_rms_mjy", "noise_ratio", "median_flux_ratio", "flux_scale", "e_flux_scale",
            "flux_outliers", "n_compared", "diagnosis")  # fmt: skip
    shutil.rmtree(work)
    return (
        found
        | {"image": imaged.verdict, "reasons": [r.code for r in imaged.reasons]}
        | {key: imaged.qa.get(key, imaged.facts.get(key)) for key in keys}
    )


def campaign(folder: Path, suns: list[tuple[float, float]], cuts: list[tuple[float, float]], *, full: bool) -> None:
    """Measure every pair that is not in the results."""
    folder.mkdir(parents=True, exist_ok=True)
    results = folder / "results.jsonl"
    rows = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    done = {(tuple(row["sun_jy"]), tuple(row["cut_klambda"])) for row in rows}
    for sun in suns:
        left = [cut for cut in cuts if (sun, cut) not in done]
        if not left:
            continue
        with contextlib.redirect_stdout(sys.stderr):
            make_night(folder / "night", sun, FULL if full else SMALL)
            shutil.rmtree(folder / "ms", ignore_errors=True)
            (folder / "ms").mkdir()
            converted = [tiles.convert(folder / "night", tile, folder / "ms") for tile in (0, 1)]
            shutil.rmtree(folder / "night" / "incoming")
        for cut in left:
            with contextlib.redirect_stdout(sys.stderr):
                found = measure(folder, converted, cut, full=full)
            row = {"sun_jy": sun, "cut_klambda": cut, "full": full} | found
            with results.open("a") as stream:
                stream.write(json.dumps(row) + "\n")
            print(json.dumps(row), flush=True)


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--full", action="store_true", help="96 antennas, 16 x 48 channels, 4800 pixels")
    parser.add_argument("--sun", nargs=2, type=float, action="append", metavar=("XX", "YY"))
    parser.add_argument("--cut", nargs=2, type=float, action="append", metavar=("SOLVING", "IMAGING"))
    given = parser.parse_args()
    suns = [(one[0], one[1]) for one in given.sun] if given.sun else list(SUNS_JY)
    cuts = [(one[0], one[1]) for one in given.cut] if given.cut else list(CUTS_KLAMBDA)
    campaign(given.folder.resolve(), suns, cuts, full=given.full)


if __name__ == "__main__":
    main()
