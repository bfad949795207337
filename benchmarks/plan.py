"""Planning at the telescope's scale: how long it takes, and how it grows with the archive and with open work.

    python benchmarks/plan.py [--snakemake] [--quick]

Makes its situations in a temporary folder: seasons of nights of 250 tiles (4000 file names each), whose nights are
published but the last ones, with calibrations and products standing as a finished night leaves them. Files of
published nights are empty, those of open nights are small files that hold a whole header. Prints a table.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import yaml

from contimg import config as configuration
from contimg import naming
from contimg.correlator import probe
from contimg.correlator.hdf5 import read_header
from contimg.plan import frozen
from contimg.plan.observe import current_plan
from contimg.products.twin import Twin
from contimg.simulate import array, band
from contimg.simulate.hdf5 import FileHeader, write_subband
from contimg.times import MJD_ZERO_JD, mjd_from_datetime

ROOT = Path(__file__).resolve().parent.parent
SEASON = datetime(2026, 1, 1, tzinfo=UTC)
TILES, GROUP, SUBBANDS = 250, 10, 16
CADENCE_S, INTEGRATION_S, DEC_DEG = 309.2376, 12.884901888, 54.57
CYCLE_S = 11 * CADENCE_S + 388.0  # eleven tiles, then the correlator restarts


def start_of(night: int, tile: int) -> datetime:
    """Return when a tile starts: 250 tiles a day, as on the telescope."""
    cycle, place = divmod(tile, 11)
    return SEASON + timedelta(days=night, seconds=cycle * CYCLE_S + place * CADENCE_S)


def names_of(night: int, tile: int) -> list[str]:
    """Return the names of a tile's files; hosts disagree by 0-2 s."""
    start = start_of(night, tile).replace(microsecond=0)
    return [str(naming.SubbandName(start + timedelta(seconds=(7 * sb + tile) % 3), sb)) for sb in range(SUBBANDS)]


def tile_id(night: int, tile: int) -> str:
    """Return a tile's id: the centre of its first integration."""
    moment = start_of(night, tile) + timedelta(seconds=INTEGRATION_S / 2)
    return naming.id_from_mjd(mjd_from_datetime(moment))


def groups_of(night: int) -> list[list[int]]:
    """Cut a night's runs of eleven tiles into groups of up to ten."""
    cycles = [list(range(first, min(first + 11, TILES))) for first in range(0, TILES, 11)]
    return [cycle[first : first + GROUP] for cycle in cycles for first in range(0, len(cycle), GROUP)]


class Templates:
    """One small file a subband; copies differ in their times alone."""

    def __init__(self, folder: Path) -> None:
        stations = array.choose_stations(3, None)
        first, second = array.baseline_pairs(3)
        header = FileHeader(
            stations, array.antenna_positions(), np.radians(DEC_DEG), np.zeros((6, 3)), first, second,
            np.zeros((117, 2), int), band.channel_width_hz(2),
        )  # fmt: skip
        frequencies = band.band_frequencies(2)
        self._bytes, self._place = [], []
        for subband in range(SUBBANDS):
            path = folder / "template.hdf5"
            write_subband(path, header, np.zeros(24), frequencies[subband], np.ones((24, 6, 2, 2), np.complex64))
            with h5py.File(path) as file:
                self._place.append(file["Header/time_array"].id.get_chunk_info(0).byte_offset)
            self._bytes.append(path.read_bytes())
            path.unlink()

    def write(self, path: Path, subband: int, start: datetime) -> None:
        """Write the subband file of a tile that starts at `start`."""
        jd = mjd_from_datetime(start) + MJD_ZERO_JD
        times = np.repeat(jd + (np.arange(24) + 0.5) * INTEGRATION_S / 86400, 6).tobytes()
        place = self._place[subband]
        content = self._bytes[subband]
        path.write_bytes(content[:place] + times + content[place + len(times) :])


@dataclass
class Season:
    """A season on disk: ``published`` nights, of which the last ``kept`` are in the inbox, then ``open_nights``."""

    root: Path
    published: int
    open_nights: int
    kept: int | None = None

    def make(self, templates: Templates) -> configuration.Config:
        """Write everything; return the configuration."""
        for name in ("incoming", "stage", "products", "state", "work"):
            (self.root / name).mkdir(parents=True)
        (self.root / "sky.csv").write_text(f"name,ra_deg,dec_deg,flux_jy\nbright,200.0,{DEC_DEG},9.0\n")
        overlay = {
            "paths": {name: str(self.root / name) for name in ("incoming", "stage", "products", "state")},
            "calibration": {"calibrators": str(self.root / "sky.csv")},
            "sky": {"catalogue": str(self.root / "sky.csv")},
            "ingest": {"settle_s": 0.0},
        }
        self.overlay.write_text(yaml.safe_dump(overlay))
        config = configuration.load_files([configuration.default_file(), self.overlay])
        incoming = self.root / "incoming"
        for night in range(self.published):
            if self.kept is None or night >= self.published - self.kept:
                for tile in range(TILES):
                    for name in names_of(night, tile):
                        (incoming / name).touch()
            for members in groups_of(night):
                self._settle(config, night, members)
        for night in range(self.published, self.published + self.open_nights):
            for tile in range(TILES):
                for subband, name in enumerate(names_of(night, tile)):
                    templates.write(incoming / name, subband, start_of(night, tile))
        return config

    @property
    def overlay(self) -> Path:
        """The configuration's overlay."""
        return self.root / "config.yaml"

    @property
    def names(self) -> int:
        """How many files the inbox holds."""
        return (self.published + self.open_nights) * TILES * SUBBANDS

    def _settle(self, config: configuration.Config, night: int, members: list[int]) -> None:
        layout = config.layout
        ids = [tile_id(night, tile) for tile in members]
        tiles = [
            {"id": name, "name_time": min(names_of(night, tile))[:19], "files": names_of(night, tile)}
            for name, tile in zip(ids, members, strict=True)
        ]
        write(layout.group(ids[0]), {"id": ids[0], "tiles": tiles})
        write(
            layout.twin("published", ids[0]),
            {"status": "published", "version": 1, "time": "2026-02-12T00:00:00Z", "data_id": naming.mosaic_id(ids[0])},
        )
        write(
            layout.twin("registered", ids[0]),
            {"status": "registered", "version": 1, "time": "2026-02-12T00:00:00Z", "data_id": naming.mosaic_id(ids[0])},
        )
        for kind, name in [("mosaic", ids[0]), *(("image", name) for name in ids)]:
            write(layout.twin(kind, name), {})
            layout.product(kind, name).mkdir()
        middle = members[(len(members) - 1) // 2]
        start_mjd = mjd_from_datetime(start_of(night, middle))
        bandpass = naming.calibration_id(tile_id(night, groups_of(night)[0][4]))
        own = naming.calibration_id(ids[(len(members) - 1) // 2])
        kind = "bandpass" if own == bandpass else "gains"
        facts = {"type": kind, "tile": naming.iso(own), "mid_mjd": start_mjd + 0.00179, "dec_app_deg": DEC_DEG}
        facts |= {"calibrator": "bright" if kind == "bandpass" else None}
        facts |= {"bandpass": None if kind == "bandpass" else bandpass, "antennas": [str(n) for n in range(96)]}
        twin = Twin(kind="calibration", id=own, verdict="passed", facts=facts, synthetic=True)
        layout.product("calibration", own).mkdir(parents=True)
        write(layout.twin("calibration", own), twin.model_dump(mode="json"))


def write(path: Path, content: object) -> None:
    """Write JSON without fsync, which products would get."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1))


@dataclass(frozen=True)
class Cost:
    """Wall and CPU time, with children, s."""

    wall_s: float
    cpu_s: float

    def __str__(self) -> str:
        return f"{self.wall_s:.2f} ({self.cpu_s:.2f})"


def cost_of(work: Callable[[], Any]) -> tuple[Cost, Any]:
    """Return what a call cost, and what it returned."""

    def cpu_s() -> float:
        times = os.times()
        return times.user + times.system + times.children_user + times.children_system

    begun, used = time.perf_counter(), cpu_s()
    result = work()
    return Cost(time.perf_counter() - begun, cpu_s() - used), result


def dry_run(season: Season) -> tuple[Cost, int]:
    """Return how long `snakemake -n` takes, and how many jobs it lists."""
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--directory"]
    command += [str(season.root / "work"), "--configfile", str(season.overlay), "--cores", "2", "-n", "--quiet"]
    command += ["rules"]
    took, done = cost_of(lambda: subprocess.run(command, capture_output=True, text=True, check=False))
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    jobs = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("total")]
    return took, int(jobs[0])


def full_size_file(folder: Path) -> list[float]:
    """Return the times to probe a file with the telescope's number of rows (96 antennas), and to read its header, s."""
    stations = array.choose_stations(96, None)
    first, second = array.baseline_pairs(96)
    header = FileHeader(
        stations, array.antenna_positions(), np.radians(DEC_DEG), np.zeros((len(first), 3)), first, second,
        np.zeros((117, 2), int), band.channel_width_hz(2),
    )  # fmt: skip
    path = folder / "2026-01-01T00:00:00_sb00.hdf5"
    times = 2_461_041.5 + (np.arange(24) + 0.5) * INTEGRATION_S / 86400
    data = np.ones((24, len(first), 2, 2), np.complex64)
    write_subband(path, header, times, band.band_frequencies(2)[0], data)
    took = [
        min(cost_of(lambda read=read: read(path))[0].wall_s for _ in range(20)) for read in (probe.look, read_header)
    ]
    path.unlink()
    return took


def main() -> None:
    """Make the situations, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="only one night, and a season of five")
    parser.add_argument("--snakemake", action="store_true", help="time `snakemake -n` too")
    chosen = parser.parse_args()
    situations = [(0, 1), (4, 1)] if chosen.quick else [(0, 1), (0, 2), (0, 4), (6, 1), (12, 1), (24, 1)]
    columns = ("published nights", "open nights", "names", "first plan", "plan again", "jobs", "snakemake -n")
    with tempfile.TemporaryDirectory(prefix="contimg-plan-") as place:
        templates = Templates(Path(place))
        probed, read = (took * 1e3 for took in full_size_file(Path(place)))
        print(f"a file with the rows of 96 antennas: probed in {probed:.2f} ms, header read in {read:.2f} ms")
        print("wall (CPU) times in s")
        print(" | ".join(columns))
        for published, open_nights in situations:
            season = Season(Path(place) / f"{published}+{open_nights}", published, open_nights)
            config = season.make(templates)
            first, plan = cost_of(lambda config=config: current_plan(config))
            again, same = cost_of(lambda config=config: current_plan(config))
            groups = open_nights * len(groups_of(0))
            if (plan, len(plan.groups)) != (same, groups):
                raise SystemExit(f"planned {len(plan.groups)} groups, not {groups}, or not the same twice")
            dry = dry_run(season) if chosen.snakemake else ("-", "-")
            frozen.freeze(plan, config)
            row = (published, open_nights, season.names, first, again, dry[1], dry[0])
            print(" | ".join(map(str, row)), flush=True)


if __name__ == "__main__":
    main()
