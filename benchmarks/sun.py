"""The Sun in far sidelobes: noise and fluxes of a daytime tile against the shortest baseline of solving and imaging.

    python benchmarks/sun.py FOLDER [--size small|array|full] [--sun XX YY]... [--cut SOLVING IMAGING]...
                             [--no-peel] [--ateam RESPONSE]

simulates two tiles by day, a 15-Jy calibrator transiting in the first, for each apparent flux of the Sun; solves
on the first and images the second for each pair of ``calibration.min_uv_klambda`` and ``image.min_uv_klambda`` (also
with the Sun), with or without ``image.peel_far_sources``; and prints the verdicts, the noise, what was peeled and the
median flux over truth. With ``--ateam`` the brightest radio sources are in far sidelobes of that power response.
Results are in FOLDER/results.jsonl; nights, calibrations and results that are there are not made again.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import resource
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import tiles
from contimg.simulate.constants import DEFAULT_SEFD_JY

SMALL = {"antennas": 32, "channels": 8}
# The whole array; fewer channels, of lower noise: that of an image is the same.
ARRAY = {"antennas": 96, "channels": 8, "sefd_jy": DEFAULT_SEFD_JY / math.sqrt(6)}
FULL = {"antennas": 96, "channels": 48}
SIZES: dict[str, dict[str, Any]] = {"small": SMALL, "array": ARRAY, "full": FULL}
IMAGES = {"small": {"size_px": 1200, "cell_arcsec": 12.0}, "array": {"size_px": 2400, "cell_arcsec": 6.0}, "full": {}}
SUNS_JY = ((0.0, 0.0), (60.0, 40.0), (200.0, 120.0))
CUTS_KLAMBDA = ((0.0, 0.0), (0.1, 0.1), (0.2, 0.2), (0.3, 0.3), (0.5, 0.5), (1.0, 1.0))


def make_night(folder: Path, sun_jy: tuple[float, float], ateam: float, size: dict[str, Any]) -> None:
    """Simulate two tiles by day with the Sun (apparent Jy in XX and YY) and the response to the brightest sources."""
    from contimg.simulate import HostileSky, NightOptions, TelescopeErrors, simulate_night

    options = NightOptions(
        **{"tiles": 2, "transit_tile": 0, "declination_deg": 33.15, "calibrator_flux_jy": 15.0, "sources": 150} | size,
        start="2026-02-11T20:00:00",
        telescope=TelescopeErrors(sky=HostileSky(sun_jy=sun_jy, ateam_response=ateam)),
    )
    simulate_night(folder, options, overwrite=True)


@dataclass(frozen=True)
class Night:
    """A simulated night of two tiles in a folder of its own, made step by step: what is there is not made again."""

    folder: Path
    sun_jy: tuple[float, float]
    ateam: float
    size: str

    def converted(self, tile: int) -> tuple[Path, Path]:
        """Return the Measurement Set of a tile, and its twin."""
        night, places = self.folder / "night", self.folder / f"ms{tile}"
        if not (self.folder / "simulated").exists():
            make_night(night, self.sun_jy, self.ateam, SIZES[self.size])
            (self.folder / "simulated").touch()
        done = self.folder / f"converted{tile}"
        if not done.exists():
            shutil.rmtree(places, ignore_errors=True)
            places.mkdir()
            ms, twin = tiles.convert(night, tile, places)
            done.write_text(f"{ms}\n{twin}")
        ms, twin = (Path(line) for line in done.read_text().splitlines())
        return ms, twin

    def calibrated(self, cut_klambda: float) -> tuple[Any, tuple[Path, Path]]:
        """Return the twin of the calibration with a shortest baseline, and the second tile calibrated with it."""
        from contimg.calibration.apply_calibration import apply_calibration
        from contimg.calibration.solve_calibration import solve_calibration
        from contimg.config import BeamOptions, CalibrationOptions
        from contimg.products.twin import read_twin

        night, place = self.folder / "night", self.folder / f"solved{cut_klambda:g}"
        options = CalibrationOptions(calibrators=str(night / "calibrators.csv"), min_uv_klambda=cut_klambda)
        place.mkdir(exist_ok=True)
        twin, tile = place / "calibration.json", (place / "tile.ms", place / "tile.json")
        if not twin.exists():
            ms, start = self.converted(0), time.process_time()
            solve_calibration(
                *ms, place / "calibration", twin, calibrator="SIMCAL", bandpass=None, options=options,
                beam=BeamOptions(), catalogue=night / "catalogue.csv",
            )  # fmt: skip
            peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
            print(f"solved in {time.process_time() - start:.0f} s of CPU, peak {peak_gb:.2f} GB", file=sys.stderr)
        solved = read_twin(twin)
        if solved.verdict != "failed" and not tile[1].exists():
            shutil.rmtree(tile[0], ignore_errors=True)
            apply_calibration(*self.converted(1), *tile, calibrations=[twin], choice={}, options=options)
        return solved, tile


def measure(night: Night, cut: tuple[float, float], *, peel: bool) -> dict[str, Any]:
    """Solve and image with a pair of cuts; return the numbers."""
    from contimg.config import BeamOptions, ImageOptions, QaOptions
    from contimg.imaging.image_tile import image_tile

    solved, calibrated = night.calibrated(cut[0])
    found: dict[str, Any] = {"calibration": solved.verdict, "calibration_reasons": [r.code for r in solved.reasons]}
    found |= {key: solved.qa.get(key) for key in ("snr_median", "flagged_fraction", "max_delay_ns", "sefd_jy")}
    if solved.verdict == "failed":
        return found
    options = ImageOptions(
        **IMAGES[night.size], min_uv_klambda=cut[1], sun_min_uv_klambda=cut[1], peel_far_sources=peel
    )
    place = night.folder / "images"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    start = time.process_time()
    imaged = image_tile(
        *calibrated, place / "tile", place / "tile.json", tile_id=tiles.files_of(night.folder / "night", 1)[0],
        options=options, beam=BeamOptions(), catalogue=night.folder / "night" / "catalogue.csv", qa=QaOptions(),
        threads=1,
    )  # fmt: skip
    found["image_cpu_s"] = round(time.process_time() - start, 1)
    keys = ("rms_mjy", "radiometer_rms_mjy", "gain_rms_mjy", "expected_rms_mjy", "noise_ratio", "median_flux_ratio",
            "flux_scale", "e_flux_scale", "flux_outliers", "n_compared", "sun_jy", "far_sources")  # fmt: skip
    return (
        found
        | {"image": imaged.verdict, "reasons": [r.code for r in imaged.reasons]}
        | {key: imaged.qa.get(key, imaged.facts.get(key)) for key in keys}
    )


def campaign(nights: list[Night], cuts: list[tuple[float, float]], results: Path, *, peel: bool) -> None:
    """Measure every pair that is not in the results."""
    rows = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    keys = ("sun_jy", "ateam", "cut_klambda", "peel")
    done = {json.dumps([row[key] for key in keys]) for row in rows}
    for night in nights:
        for cut in cuts:
            if json.dumps([night.sun_jy, night.ateam, cut, peel]) in done:
                continue
            night.folder.mkdir(exist_ok=True)
            with contextlib.redirect_stdout(sys.stderr):
                found = measure(night, cut, peel=peel)
            row = {"sun_jy": night.sun_jy, "ateam": night.ateam, "cut_klambda": cut, "peel": peel} | found
            with results.open("a") as stream:
                stream.write(json.dumps(row | {"size": night.size}) + "\n")
            print(json.dumps(row), flush=True)


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--full", dest="size", action="store_const", const="full",
                        help="96 antennas, 16 x 48 channels, 4800 pixels")  # fmt: skip
    parser.add_argument("--size", choices=SIZES, help="array: 96 antennas, 16 x 8 channels")
    parser.add_argument("--sun", nargs=2, type=float, action="append", metavar=("XX", "YY"))
    parser.add_argument("--cut", nargs=2, type=float, action="append", metavar=("SOLVING", "IMAGING"))
    parser.add_argument("--no-peel", action="store_true", help="image.peel_far_sources: false")
    parser.add_argument("--ateam", type=float, default=0.0, help="power response of far sidelobes")
    parser.set_defaults(size="small")
    given = parser.parse_args()
    suns = [(one[0], one[1]) for one in given.sun] if given.sun else list(SUNS_JY)
    cuts = [(one[0], one[1]) for one in given.cut] if given.cut else list(CUTS_KLAMBDA)
    folder = given.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    nights = [Night(folder / f"sun{sun[0]:g}-{sun[1]:g}-{given.ateam:g}", sun, given.ateam, given.size) for sun in suns]
    campaign(nights, cuts, folder / "results.jsonl", peel=not given.no_peel)


if __name__ == "__main__":
    main()
