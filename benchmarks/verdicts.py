"""The campaign of verdicts: what the pipeline says of faults that were put in, and of clean nights.

    python benchmarks/verdicts.py [--folder DIR] [--seeds N] [--kind NAME ...] [--clean N] [--ladders] [--minutes M]
    python benchmarks/verdicts.py --report RECORD ... [--out RECORD]

One clean night a seed is simulated and processed; each kind of fault then goes into a copy of it, of which only what
the fault touches is made again. Each run is a line of ``DIR/record.jsonl``; runs that are there are not repeated.
With ``--clean`` N nights without faults of many declinations, calibrators and skies are processed too, and with
``--ladders`` faults of growing size instead, for the smallest size that is seen. The report is a table of kinds and
verdicts, and for each gate the fractions of clean and of faulty nights beyond its limit (receiver operating
characteristic). ``docs/verdicts.md`` was written from ``docs/records/verdicts.jsonl.gz``.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import verdict_report
from benchmarks.verdict_kinds import KINDS, LADDERS, Kind
from contimg.products.gates import GATES
from contimg.simulate.data_faults import FaultContext
from contimg.simulate.fault_files import SimulatedNight
from contimg.simulate.inject import FaultRequest, inject
from contimg.simulate.options import GainErrors
from contimg.simulate.telescope import HostileSky, TelescopeErrors
from tests.support import product_faults
from tests.support.whole_nights import TILE_KINDS, Outcome, WholeNight

# The smallest night in which a tile after the calibrator's has neighbours on both sides.
SIZE = {"tiles": 4, "antennas": 24, "channels": 2, "max_baseline_m": 400.0, "transit_tile": 0}
DECLINATIONS = (54.0, 16.0, 37.0, -5.0, 70.0)
CALIBRATORS = ("3C286", "3C48", "3C147", "3C138", "3C196")


@dataclass
class Run:
    """One run and what came of it; ``mode`` is clean, data, edited, made, reference or uncatalogued.

    ``tiles`` holds the numbers of the tile with the fault, of a clean night those of all; ``part`` is the subband or
    station that has the fault, and ``part_named`` tells whether a reason or a flag names it.
    """

    kind: str
    mode: str
    value: float
    seed: int
    verdict: str = ""
    right: bool = False
    codes: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, Any] = field(default_factory=dict)
    tiles: dict[str, dict[str, Any]] = field(default_factory=dict)
    part: str = ""
    part_named: bool | None = None
    cpu_s: float = 0.0

    @property
    def key(self) -> str:
        """What makes a run the same as another."""
        return f"{self.kind} {self.mode} {self.value:g} {self.seed}"


def options_of_seed(seed: int) -> dict[str, Any]:
    """Return the options of the night on which the faults of a seed are tried."""
    sky = {"sources": 70, "flux_min_jy": 0.05, "flux_max_jy": 2.0}
    return SIZE | sky | {"declination_deg": DECLINATIONS[seed % len(DECLINATIONS)], "seed": seed + 1}


def clean_options(number: int) -> dict[str, Any]:
    """Return the options of a clean night: what varies from night to night without anything being wrong.

    Declination, calibrator and its flux, number and brightness of sources, number of antennas and tiles, missing
    subbands, interference and satellites, errors and drifts of the gains, sources in the far sidelobes, and a strip
    across right ascension 0 or midnight.
    """
    rng = np.random.default_rng([number, 78])
    found: dict[str, Any] = SIZE | {"tiles": 3, "seed": 1000 + number}
    found |= {"antennas": int(rng.choice([16, 20, 24, 24, 32]))}
    if number % 20 == 19:  # a larger night
        found |= {"tiles": 6, "antennas": 48, "max_baseline_m": 600.0, "transit_tile": 2}
    if number % 4 == 3:
        found |= {"calibrator": str(rng.choice(CALIBRATORS))}
        found |= {"declination_offset_deg": float(np.round(rng.uniform(-0.3, 0.3), 2))}
    else:
        found |= {"declination_deg": float(np.round(rng.uniform(-30, 80), 1))}
        found |= {"calibrator_flux_jy": float(np.round(rng.uniform(4, 20), 1))}
        found |= {"cross_ra0": bool(rng.uniform() < 0.1)}
    # The more sources, the fainter the brightest: the sky has 0.05 sources above 1 Jy a square degree.
    count = max(4, int(rng.choice([0, 4, 15, 40, 80, 120, 200])))
    brightest = float(rng.choice([1.0, 3.0, 8.0] if count <= 40 else [0.5, 1.0, 3.0]))
    found |= {"sources": count, "flux_min_jy": float(rng.choice([0.02, 0.05, 0.1])), "flux_max_jy": brightest}
    if rng.uniform() < 0.3:
        missing = rng.choice(16, int(rng.integers(1, 4)), replace=False)
        found |= {"missing": tuple((int(rng.integers(found["tiles"])), int(subband)) for subband in missing)}
    if rng.uniform() < 0.4:
        kinds = rng.choice(["line", "burst", "broad"], int(rng.integers(1, 3)))
        found |= {"rfi": tuple((int(rng.integers(16)), str(kind)) for kind in kinds)}
    found |= {"gains": _gains(rng), "telescope": TelescopeErrors(sky=_hostile_sky(rng))}
    return found


def _gains(rng: np.random.Generator) -> GainErrors:
    """Return errors of the gains of the usual size: half to twice the default, drifts up to 1 % and 6 deg."""
    return GainErrors(
        amplitude=float(rng.uniform(0.05, 0.25)),
        delay_ns=float(rng.uniform(1, 8)),
        bandpass=float(rng.uniform(0.02, 0.08)),
        drift_phase_deg=float(rng.uniform(1, 6)),
        drift_amplitude=float(rng.uniform(0.002, 0.01)),
    )


def _hostile_sky(rng: np.random.Generator) -> HostileSky:
    """Return a sky with, now and then, satellites in a subband or the brightest sources of the sky at -40 dB."""
    satellites, far = rng.uniform() < 0.15, rng.uniform() < 0.2
    kind = str(rng.choice(["iridium", "starlink"]))
    return HostileSky(
        satellites=((int(rng.integers(16)), kind),) if satellites else (), ateam_response=1e-4 if far else 0.0
    )


class Campaign:
    """The runs below one folder."""

    def __init__(self, folder: Path, minutes: float) -> None:
        self.folder = folder
        self.record = folder / "record.jsonl"
        self.until = time.monotonic() + 60 * minutes
        folder.mkdir(parents=True, exist_ok=True)
        self.done = {run.key for run in read_record(self.record)}

    def runs(self, seeds: range, kinds: list[str], ladders: bool) -> Iterator[tuple[Run, Kind]]:
        """Yield the runs that are to be made, seed by seed."""
        for seed in seeds:
            for name, kind in KINDS.items():
                if kinds and name not in kinds:
                    continue
                if not ladders:
                    for mode in kind.modes:
                        yield Run(name, mode, kind.value, seed), kind
            if ladders:
                for name, mode, values in LADDERS:
                    if kinds and name not in kinds:
                        continue
                    for value in values:
                        yield Run(name, mode, value, seed), KINDS[name]

    def go(self, runs: Iterator[tuple[Run, Kind]]) -> None:
        """Make the runs that are not on record, until the time is over."""
        for run, kind in runs:
            if time.monotonic() > self.until:
                print("the time is over: type the same command again to go on")
                return
            if run.key not in self.done:
                self._write(self._timed(run, kind))

    def clean_nights(self, first: int, count: int) -> None:
        """Process nights without faults; their images are kept, so that another code's mosaics cost little."""
        for number in range(first, first + count):
            run, place = Run("clean", "clean", 0.0, number), self.folder / "clean" / str(number)
            if time.monotonic() > self.until:
                return
            if run.key in self.done:
                continue
            started = time.process_time()
            if (place / "processed").exists():  # its images are there: mosaic and verdict again
                night = WholeNight(place)
                night.forget_mosaics()
            else:
                shutil.rmtree(place, ignore_errors=True)
                night = WholeNight.simulate(place, **clean_options(number))
            outcome = night.process()
            _forget_visibilities(place)
            (place / "processed").write_text(outcome.verdict)
            run.right = outcome.verdict == "passed" and not outcome.left_out
            self._write(_filled(run, outcome, started))

    def _write(self, run: Run) -> None:
        self.done.add(run.key)
        with self.record.open("a") as stream:
            stream.write(json.dumps(asdict(run), default=float) + "\n")
        said = [message[:150] for message in run.messages[:2]] if not run.right else run.codes[:3]
        print(f"{'right' if run.right else 'WRONG':6}{run.verdict:9}{run.cpu_s:6.1f} s  {run.key}  {said}", flush=True)

    def _timed(self, run: Run, kind: Kind) -> Run:
        started = time.process_time()
        base = self._base(run.seed)
        night = base.copy(self.folder / "night")
        tile = self._break(night, run, kind)
        outcome = night.process(lambda found: kind.told(found, tile))
        run.right = kind.told(outcome, tile)
        if run.right and outcome.verdict == "none":
            outcome.verdict = "left out"
        shutil.rmtree(night.folder)
        return _filled(run, outcome, started, tile)

    def _base(self, seed: int) -> WholeNight:
        """Return the clean night of a seed, processed."""
        place = self.folder / f"base{seed}"
        if not (place / "processed").exists():
            shutil.rmtree(place, ignore_errors=True)
            night = WholeNight.simulate(place, **options_of_seed(seed))
            outcome = night.process()
            _forget_visibilities(place)
            self._write(_filled(Run("base", "clean", 0.0, seed, right=outcome.verdict == "passed"), outcome, 0.0))
            (place / "processed").write_text(outcome.verdict)
        return WholeNight(place)

    def _break(self, night: WholeNight, run: Run, kind: Kind) -> str | None:
        """Put a fault into a copy of a night, and remove what is to be made again; return the tile that has it."""
        groups = night.plan().groups
        group = next(iter(groups.values()))
        if run.mode in ("edited", "made"):
            return _break_product(night, run, group)
        if run.mode == "uncatalogued":
            without = {"sky": {"catalogue": None}, "crossmatch": {"enabled": False}}
            night.__init__(night.folder, without)  # type: ignore[misc]
        if run.mode == "reference":
            night.forget_all()
            if kind.changes is not None:
                night.__init__(night.folder, kind.changes(run.value))  # type: ignore[misc]
            else:
                kind.edits(night.folder, run.value)
            return None
        name = kind.fault or run.kind
        if name in product_faults.FAULTS:
            return _break_product(night, run, group)
        tiles = inject(night.folder, FaultRequest(name, run.value), run.seed)
        run.part = _part(night.folder, name, run.seed)
        night.forget_mosaics()
        if len(tiles) == len(group.tiles):
            night.forget_all()
        for tile in tiles:
            for product in TILE_KINDS:
                night.forget(product, group.tiles[tile])
        shutil.rmtree(night.config.layout.stage / "groups", ignore_errors=True)
        known = len(tiles) == 1 and not name.startswith("clock")  # a tile bears the time of its header
        return group.tiles[tiles[0]] if known else None


def _forget_visibilities(place: Path) -> None:
    """Remove the Measurement Sets of a night, as its workflow does with temporary files."""
    for kind in ("ms", "calibrated"):
        for product in (place / "stage" / kind).glob("*/*.ms"):
            shutil.rmtree(product)


def _break_product(night: WholeNight, run: Run, group: Any) -> str | None:
    layout, name = night.config.layout, KINDS[run.kind].fault or run.kind
    made = run.mode != "edited"
    if product_faults.FAULTS[name].kind == "mosaic":
        twin = layout.twin("mosaic", group.mosaic_id)
        product_faults.apply(name, twin, twin, made=made, value=run.value, seed=run.seed)
        night.forget("crossmatch", group.mosaic_id)
        return None
    number = 1 + run.seed % (len(group.tiles) - 2)
    tile, before = group.tiles[number], group.tiles[number - 1]
    twins = layout.twin("image", tile), layout.twin("image", before)
    product_faults.apply(name, *twins, made=made, value=run.value, seed=run.seed)
    night.forget_mosaics()
    return tile


def _part(folder: Path, fault: str, seed: int) -> str:
    """Return the subband or the station that a fault is of, as reasons name it; empty for other faults."""
    context = FaultContext(SimulatedNight.open(folder), 0.0, seed)
    if fault in ("subband_gain", "dead_subband", "subbands_exchanged", "subband_late", "subband_repeated"):
        return f"sb{context.subband():02d}"
    return str(context.antenna()) if fault in ("antenna_gain", "antenna_phase") else ""


def _filled(run: Run, outcome: Outcome, started: float, tile: str | None = None) -> Run:
    """Return a run with its outcome; of the numbers, those that gates judge."""
    run.verdict, run.codes, run.messages = outcome.verdict, outcome.codes, outcome.messages[:4]
    run.left_out, run.numbers = outcome.left_out, _judged_numbers(outcome.numbers)
    run.tiles = {name: _judged_numbers(qa) for name, qa in outcome.tiles.items() if tile in (None, name)}
    if run.part:
        flagged = {name for names in outcome.flagged.values() for name in names}
        run.part_named = run.part in flagged or re.search(rf"\b{run.part}\b", " ".join(outcome.messages)) is not None
    run.cpu_s = round(time.process_time() - started, 1) if started else 0.0
    return run


def _judged_numbers(qa: dict[str, Any]) -> dict[str, Any]:
    """Return the numbers of a twin that gates judge, and their errors, with four digits."""
    keys = dict.fromkeys(key for gate in GATES for key in (gate.key, gate.error) if key in qa)
    found = {key: float(f"{qa[key]:.4g}") for key in keys if isinstance(qa[key], int | float)}
    return found | ({"diagnosis": qa["diagnosis"]} if qa.get("diagnosis") else {})


def read_record(path: Path) -> list[Run]:
    """Return the runs on record; of several with the same key the last."""
    content = path.read_bytes() if path.exists() else b""
    lines = (gzip.decompress(content) if path.suffix == ".gz" else content).decode().splitlines()
    return list({run.key: run for run in (Run(**json.loads(line)) for line in lines)}.values())


def write_record(path: Path, runs: list[Run]) -> None:
    """Write runs as the record that the repository keeps: without empty fields, messages cut, one run a line."""
    lines = []
    for run in sorted(runs, key=lambda one: (one.mode == "clean", one.kind, one.mode, one.value, one.seed)):
        kept = {key: value for key, value in asdict(run).items() if value not in ("", None, [], {})}
        kept["messages"] = [message[:160] for message in run.messages[:2]]
        kept["left_out"] = {tile: why[:80] for tile, why in run.left_out.items()}
        if run.mode in ("edited", "made", "uncatalogued"):
            kept.pop("tiles", None)  # the numbers of a tile before its files were changed
        lines.append(json.dumps(kept, separators=(",", ":")))
    content = ("\n".join(lines) + "\n").encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("verdicts"))
    parser.add_argument("--seeds", type=int, default=0, help="nights on which every kind is tried")
    parser.add_argument("--first-seed", type=int, default=0, help="number of the first of them")
    parser.add_argument("--kind", action="append", default=[], help="only this kind; may be repeated")
    parser.add_argument("--clean", type=int, default=0, help="nights without faults")
    parser.add_argument("--first", type=int, default=0, help="number of the first of them")
    parser.add_argument("--ladders", action="store_true", help="faults of growing size")
    parser.add_argument("--minutes", type=float, default=1e6, help="begin no run after this time")
    parser.add_argument(
        "--report", action="append", type=Path, default=[], metavar="RECORD", help="print what is there"
    )
    parser.add_argument("--out", type=Path, help="write the records of --report as one")
    given = parser.parse_args()
    if given.report:
        runs = list({run.key: run for path in given.report for run in read_record(path)}.values())
        if given.out:
            write_record(given.out, runs)
    else:
        campaign = Campaign(given.folder.resolve(), given.minutes)
        campaign.go(campaign.runs(range(given.first_seed, given.first_seed + given.seeds), given.kind, given.ladders))
        campaign.clean_nights(given.first, given.clean)
        runs = read_record(campaign.record)
    print(verdict_report.report([asdict(run) for run in runs]))


if __name__ == "__main__":
    main()
