"""Simulated tiles for the benchmarks of imaging: a hard sky of known fluxes, with or without errors of the antennas.

    python benchmarks/tiles.py FOLDER [--night] [--antennas N] [--channels N]

writes one tile of a perfect instrument and its Measurement Set in Jy, or with ``--night`` two tiles with gain errors
and interference, the first of which holds the calibrator's transit. The full size (96 antennas, 16 x 48 channels, 24
integrations) is 2.3 GB a tile.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

# What the field holds: the brightest, one at half power, and the range of the others (Jy), within this radius.
BRIGHT_JY, HALF_POWER_JY = 15.0, 1.0
FLUX_RANGE_JY = (0.005, 10.0)
SOURCES = 100
_RADIUS_DEG, _APART_DEG = 1.85, 0.08
# East and north of the tile's centre (deg).
_BRIGHT_AT, _HALF_POWER_AT = (0.35, -0.35), (0.0, 1.33)
_DECLINATION_DEG = 16.3


def make_sky(path: Path, centre_deg: tuple[float, float], seed: int = 5) -> None:
    """Write a sky: `SOURCES` of log-uniform fluxes, evenly over the field, with the two of fixed fluxes and places."""
    rng = np.random.default_rng(seed)
    flux = np.exp(np.linspace(*np.log(FLUX_RANGE_JY), SOURCES))
    places = [_BRIGHT_AT, _HALF_POWER_AT]
    while len(places) < SOURCES + 2:
        radius, angle = _RADIUS_DEG * math.sqrt(rng.uniform()), rng.uniform(0, 2 * math.pi)
        place = (radius * math.sin(angle), radius * math.cos(angle))
        if all(math.dist(place, other) > _APART_DEG for other in places):
            places.append(place)
    names = ["BRIGHT", "HALF", *(f"SIM{number:04d}" for number in range(SOURCES))]
    index = rng.normal(-0.7, 0.2, len(places))
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["name", "ra_deg", "dec_deg", "flux_jy", "ref_freq_hz", "spectral_index"])
        rows = zip(names, places, [BRIGHT_JY, HALF_POWER_JY, *rng.permutation(flux)], index, strict=True)
        for name, (east, north), jy, alpha in rows:
            dec = centre_deg[1] + north
            ra = (centre_deg[0] + east / math.cos(math.radians(dec))) % 360
            writer.writerow([name, f"{ra:.9f}", f"{dec:.9f}", f"{jy:.9g}", "1.4e9", f"{alpha:.6f}"])


def make_tile(folder: Path, *, smearing: bool = False, **size: int) -> Any:
    """Simulate one tile of a perfect instrument; return its record.

    Parameters
    ----------
    folder : Path
        Takes ``incoming/``, ``truth.csv`` and what else the simulator writes.
    smearing : bool
        With what finite channels and integrations take from sources off centre.
    **size
        ``antennas``, ``channels`` (a subband), ``integrations``; the full size by default.
    """
    from contimg.simulate import GainErrors, NightOptions, simulate_night

    options = NightOptions(
        **{"tiles": 1, "antennas": 96, "channels": 48, "declination_deg": _DECLINATION_DEG} | size,
        calibrator="none",
        gains=GainErrors.none(),
        smearing=smearing,
    )
    with tempfile.TemporaryDirectory() as scratch:
        sky = Path(scratch) / "sky.csv"
        probe = replace(options, antennas=3, channels=1, sources=0, smearing=False)
        make_sky(sky, simulate_night(Path(scratch) / "probe", probe).tile_centres_deg[0])
        return simulate_night(folder, replace(options, sky_file=sky))


def files_of(folder: Path, tile: int) -> tuple[str, list[Path]]:
    """Return id and subband files of a tile of what `make_tile` or `make_night` wrote."""
    one = json.loads((folder / "truth.json").read_text())["tiles"][tile]
    names = [f"{time}_sb{subband:02d}.hdf5" for subband, time in enumerate(one["file_times"])]
    return one["tile_id"], [folder / "incoming" / name for name in names]


def convert(folder: Path, tile: int, out: Path) -> tuple[Path, Path]:
    """Convert a tile as the rule does; return the Measurement Set and its twin."""
    from contimg import naming
    from contimg.config import FlagOptions, IngestOptions
    from contimg.convert.convert_tile import convert_tile

    name, files = files_of(folder, tile)
    ms = out / f"{naming.stem(name)}.ms"
    convert_tile(files, ms, ms.with_suffix(".json"), tile_id=name, ingest=IngestOptions(), flag=FlagOptions())
    return ms, ms.with_suffix(".json")


def calibrate_perfectly(ms: Path, twin: Path, folder: Path) -> tuple[Path, Path]:
    """Bring a perfect instrument's tile to Jy and inverse variances, without solving; return MS and twin."""
    from contimg import measurement_set
    from contimg.products.twin import read_twin
    from contimg.simulate.constants import CORRELATOR_UNITS_PER_JY, DEFAULT_SEFD_JY
    from tests.support.twins import write_with_manifest

    vis, tile = measurement_set.read(ms), read_twin(twin)
    vis.data /= np.float32(CORRELATOR_UNITS_PER_JY)
    vis.weight *= np.float32(2 * vis.channel_width_hz * vis.integration_s / DEFAULT_SEFD_JY**2 / 96)
    out = folder / ms.name
    measurement_set.write(out, vis)
    write_with_manifest(out.with_suffix(".json"), tile.model_copy(update={"kind": "calibrated"}))
    return out, out.with_suffix(".json")


def make_night(folder: Path, **size: int) -> Any:
    """Simulate two tiles with gain errors and interference, a 15-Jy calibrator transiting in the first."""
    from contimg.simulate import NightOptions, simulate_night

    options = NightOptions(
        **{"tiles": 2, "antennas": 96, "channels": 48, "declination_deg": _DECLINATION_DEG} | size,
        calibrator_flux_jy=BRIGHT_JY,
        transit_tile=0,
        sources=150,
        flux_min_jy=FLUX_RANGE_JY[0],
        flux_max_jy=FLUX_RANGE_JY[1],
        rfi=tuple((subband, kind) for subband, kind in ((3, "line"), (7, "burst"), (11, "broad"))),
    )
    return simulate_night(folder, options, overwrite=True)


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--night", action="store_true")
    parser.add_argument("--antennas", type=int, default=96)
    parser.add_argument("--channels", type=int, default=48, help="channels per subband [48]")
    parser.add_argument("--smearing", action="store_true", help="with what finite channels and integrations take")
    given = parser.parse_args(arguments)
    size = {"antennas": given.antennas, "channels": given.channels}
    if given.night:
        record = make_night(given.folder, **size)
    else:
        record = make_tile(given.folder, smearing=given.smearing, **size)
    print(record.config)
    if not given.night:
        with tempfile.TemporaryDirectory(dir=given.folder) as scratch:
            (given.folder / "calibrated").mkdir()
            print(*calibrate_perfectly(*convert(given.folder, 0, Path(scratch)), given.folder / "calibrated"))


if __name__ == "__main__":
    main()
