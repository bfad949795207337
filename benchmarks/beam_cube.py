"""The beam in 16 bands from simulated nights whose dishes are tapered: how true the cube of `beam measure` is.

    python benchmarks/beam_cube.py FOLDER [--nights N] [--tiles N] [--passes N] [--until SECONDS]

Each night has other sources and another hour of the sky. Its tiles are perfectly calibrated, imaged in 16 channel
groups as `image_tile` does (with the Airy pattern, in a second pass with the cube of the first), and measured by
what ``contimg beam measure --cube`` calls, for 1, 2, ... nights together. Printed is the error of the cube over the
true power, in 8 directions down to a fifth of the peak. What is made is not made again.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import tiles

GROUPS = 16
SIZE_PX, CELL_ARCSEC = 1400, 12.0


def make_night(folder: Path, number: int, count: int) -> list[tuple[str, Path, Path]]:
    """Simulate a night and calibrate its tiles; return their ids, Measurement Sets and twins."""
    from contimg.simulate import BeamErrors, GainErrors, NightOptions, TelescopeErrors, simulate_night

    options = NightOptions(
        tiles=count, antennas=24, channels=4, declination_deg=33.15, calibrator="none", sources=60 * count,
        flux_min_jy=0.15, flux_max_jy=3.0, gains=GainErrors.none(), seed=100 + number,
        start=f"2026-02-{11 + number:02d}T{(2 * number) % 24:02d}:00:00",
        telescope=TelescopeErrors(beam=BeamErrors(pattern="tapered")),
    )  # fmt: skip
    done = folder / "calibrated.json"
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        simulate_night(folder, options, overwrite=True)
        (folder / "ms").mkdir()
        (folder / "calibrated").mkdir()
        made = []
        for tile in range(count):
            ms, twin = tiles.calibrate_perfectly(*tiles.convert(folder, tile, folder / "ms"), folder / "calibrated")
            made.append([tiles.files_of(folder, tile)[0], str(ms), str(twin)])
        shutil.rmtree(folder / "ms")
        shutil.rmtree(folder / "incoming")
        done.write_text(json.dumps(made))
    return [(name, Path(ms), Path(twin)) for name, ms, twin in json.loads(done.read_text())]


def join_catalogues(folder: Path, nights: list[Path]) -> Path:
    """Write the catalogues of nights as one."""
    lines = []
    for number, night in enumerate(nights):
        head, *rows = (night / "catalogue.csv").read_text().splitlines()
        lines += [f"n{number}{row}" for row in rows]
    (folder / "catalogue.csv").write_text("\n".join([head, *lines]) + "\n")
    return folder / "catalogue.csv"


def config_of(folder: Path, catalogue: Path, cube: Path | None) -> Any:
    """Return the configuration whose stage is in a folder."""
    from contimg.config import default_file, load_files

    folder.mkdir(parents=True, exist_ok=True)
    paths = {name: str(folder / name) for name in ("incoming", "stage", "products", "state")}
    chosen = {
        "paths": paths,
        "sky": {"catalogue": str(catalogue)},
        "image": {"size_px": SIZE_PX, "cell_arcsec": CELL_ARCSEC, "channel_groups": GROUPS},
        "beam": {"cube": None if cube is None else str(cube)},
    }
    (folder / "config.yaml").write_text(json.dumps(chosen))
    return load_files([default_file(), folder / "config.yaml"], base=None)


def image_night(config: Any, made: list[tuple[str, Path, Path]]) -> str:
    """Image the tiles of a night and write the membership of its group, as the plan does; return the mosaic's id."""
    from contimg import naming
    from contimg.imaging.image_tile import image_tile

    for name, ms, twin in made:
        place = config.layout.twin("image", name)
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            image_tile(
                ms, twin, place.with_suffix(""), place, tile_id=name, options=config.image, beam=config.beam,
                catalogue=Path(config.sky.catalogue), threads=1,
            )  # fmt: skip
    group = config.layout.group(made[0][0])
    group.parent.mkdir(parents=True, exist_ok=True)
    members = [{"id": name, "name_time": name, "files": []} for name, _, _ in made]
    group.write_text(json.dumps({"id": made[0][0], "tiles": members}))
    return naming.mosaic_id(made[0][0])


def errors_of(cube: Path, found: Any) -> dict[str, float]:
    """Return the errors of a cube against the simulator's pattern (fractions)."""
    from contimg.simulate.beam import tapered_voltage
    from contimg.sky.beam_cube import read_cube

    measured, bands = read_cube(cube), []
    east0, north0 = np.radians(found.offset_deg)
    for band in found.bands:
        radius, angle = np.meshgrid(np.radians(np.linspace(0.05, 2.2, 87)), np.radians(45 * np.arange(8)))
        true = tapered_voltage(radius, np.array(band.freq_hz)) ** 2
        seen = measured.power(radius * np.sin(angle) - east0, radius * np.cos(angle) - north0, band.freq_hz)
        off = (seen / true - 1)[true >= 0.2]
        bands.append((float(np.sqrt((off**2).mean())), float(np.abs(off).max())))
    rms, worst = np.array(bands).T
    return {
        "rms_all": round(float(np.sqrt((rms**2).mean())), 5), "rms_median": round(float(np.median(rms)), 5),
        "rms_worst_band": round(float(rms.max()), 5), "worst": round(float(worst.max()), 5),
        "bands_below_1_percent": int((rms <= 0.01).sum()),
        "fluxes": min(band.n_fluxes for band in found.bands),
    }  # fmt: skip


def main() -> None:
    """Parse the command line."""
    from contimg.operations.beam_bands import measure_cube

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--nights", type=int, default=4)
    parser.add_argument("--tiles", type=int, default=3)
    parser.add_argument("--passes", type=int, default=1)
    parser.add_argument("--until", type=float, default=1e9, help="begin no night after this time [s]")
    given = parser.parse_args()
    folder, start = given.folder.resolve(), time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    cube: Path | None = None
    for one in range(1, given.passes + 1):
        made = []
        for number in range(given.nights):
            if time.monotonic() - start > given.until:
                return
            with contextlib.redirect_stdout(sys.stderr):
                made.append(make_night(folder / f"night{number}", number, given.tiles))
                catalogue = join_catalogues(folder, [folder / f"night{k}" for k in range(number + 1)])
                config = config_of(folder / f"pass{one}", catalogue, cube)
                image_night(config, made[-1])
                target = folder / f"cube{one}-{number + 1}.fits"
                target.unlink(missing_ok=True)
                found = measure_cube(config, (), target)
            print(json.dumps({"pass": one, "nights": number + 1, "tiles": found.n_tiles} | errors_of(target, found)),
                  flush=True)  # fmt: skip
        cube = target


if __name__ == "__main__":
    main()
