"""Every way in which the real telescope differs from an ideal one: what `check`, verdicts and final fluxes say of it.

    python benchmarks/real_faults.py run RESULTS.jsonl [--minutes M] [--kind NAME]...
    python benchmarks/real_faults.py table RESULTS.jsonl

simulates a reduced night (3 tiles, a 10-Jy calibrator in the first) with one difference each, checks its raw files,
and takes it to a judged mosaic as the rules would. The table (Markdown, in docs/first-light.md) has the findings that
are refuted, the verdict with its reasons, and the fluxes of the mosaic over truth, median and scatter. Kinds in
RESULTS.jsonl are not run again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from contimg.simulate import (
    ArrayErrors,
    BeamErrors,
    CorrelatorErrors,
    HeaderErrors,
    HostileSky,
    NightOptions,
    TelescopeErrors,
)

SIZE: dict[str, Any] = {
    "tiles": 3, "transit_tile": 0, "antennas": 28, "channels": 4, "declination_deg": 33.2, "sources": 120,
    "flux_min_jy": 0.1, "start": "2026-02-11T08:00:00", "seed": 11,
}  # fmt: skip
LONGEST_M = 500.0  # images of 1000 pixels; a clock is then known to some seconds only
DAY = {"start": "2026-02-11T20:00:00"}


def _with(**errors: Any) -> dict[str, Any]:
    return {"telescope": TelescopeErrors(**errors)}


# Name in the table -> options of the simulated night; and sections of the configuration, where it is not the default.
KINDS: dict[str, tuple[dict[str, Any], dict[str, dict[str, Any]]]] = {
    "none": ({}, {}),
    "beam 0.125 deg off to the north": (_with(beam=BeamErrors(offset_deg=(0.0, 0.125))), {}),
    "the same, `beam.*: auto`": (
        _with(beam=BeamErrors(offset_deg=(0.0, 0.125))),
        {"beam": {"offset_deg": "auto", "fwhm_scale": "auto"}},
    ),
    "beam 10 % wide": (_with(beam=BeamErrors(width=1.1)), {}),
    "the same, `beam.*: auto `": (
        _with(beam=BeamErrors(width=1.1)), {"beam": {"offset_deg": "auto", "fwhm_scale": "auto"}},
    ),
    "dishes' axes scatter by 0.1 deg, widths by 3 %": (
        _with(beam=BeamErrors(antenna_offset_deg=0.1, antenna_width=0.03)), {},
    ),
    "declination rounded to 0.25 deg": (
        _with(header=HeaderErrors(declination_grid=True)) | {"declination_deg": 33.125}, {},
    ),
    "clock 1.8 s early": (_with(correlator=CorrelatorErrors(clock_error_s=-1.8)), {}),
    "clock 15 s late": (_with(correlator=CorrelatorErrors(clock_error_s=15.0)), {}),
    "conjugated": (_with(correlator=CorrelatorErrors(conjugated=True)), {}),
    "two antennas exchanged": (_with(array=ArrayErrors(swapped_antennas=((20, 72),))), {}),
    "one antenna 2 m to the east": (_with(array=ArrayErrors(moved_antennas=((72, 2.0, 0.0),))), {}),
    "positions in the local frame": (_with(array=ArrayErrors(local_positions=True)), {}),
    "X and Y of one antenna exchanged": (_with(correlator=CorrelatorErrors(swapped_polarisations=(72,))), {}),
    "products YY, XX": (_with(correlator=CorrelatorErrors(products=("YY", "XX"))), {}),
    "products XX, XY, YX, YY": (_with(correlator=CorrelatorErrors(products=("XX", "XY", "YX", "YY"))), {}),
    "20 % of one antenna's packets lost": (_with(correlator=CorrelatorErrors(packet_loss=((72, 0.2),))), {}),
    "Sun, 60 and 40 Jy": (_with(sky=HostileSky(sun_jy=(60.0, 40.0))) | DAY, {}),
    "A-team at -30 dB": (_with(sky=HostileSky(ateam_response=1e-3)) | DAY, {}),
    "Iridium and Starlink": (_with(sky=HostileSky(satellites=((4, "starlink"), (9, "iridium")))), {}),
    "ionosphere, 2 arcsec": (_with(sky=HostileSky(ionosphere_arcsec=2.0)), {}),
    "one host's declination 1e-10 rad off": (_with(header=HeaderErrors(host_declination=(5,))), {}),
    "one host's delays": (_with(header=HeaderErrors(host_delays=(5,))), {}),
    "`_spl` files beside": (_with(header=HeaderErrors(spectral_line_files=True)), {}),
    "96 integrations a file": ({"integrations": 96, "channels": 2}, {}),
}  # fmt: skip


def stations() -> tuple[int, ...]:
    """Return the stations of the night, among them those that faults name."""
    from contimg.simulate.array import choose_stations

    chosen = {*choose_stations(SIZE["antennas"], LONGEST_M), 20, 72}
    return tuple(sorted(chosen))


def run(name: str, folder: Path) -> dict[str, Any]:
    """Simulate, check and process a night of one kind."""
    from contimg.commissioning.check import first_light
    from tests.support.whole_nights import WholeNight

    options, changes = KINDS[name]
    merged = SIZE | {"stations": stations()} | options
    merged.pop("antennas")
    started = time.process_time()
    night = WholeNight.simulate(folder / "night", **NightOptions(**merged).__dict__)
    night = WholeNight(folder / "night", changes)
    outcome = first_light([str(night.folder / "incoming")], night.config)
    found = night.process()
    return {
        "kind": name,
        "refuted": [one.key for one in outcome.refuted],
        "said": [one.text for one in outcome.refuted],
        "declination": next(one.text for one in outcome.findings if one.key == "declination"),
        "verdict": found.verdict,
        "codes": sorted(set(found.codes)),
        "left_out": found.left_out,
        "numbers": {key: found.numbers.get(key) for key in (
            "median_flux_ratio", "flux_ratio_mad", "noise_ratio", "completeness", "n_compared", "diagnosis",
        )},
        "cpu_s": round(time.process_time() - started, 1),
    }  # fmt: skip


def campaign(results: Path, minutes: float, kinds: list[str]) -> None:
    """Run what is not in the results, until the time is over."""
    done = {json.loads(line)["kind"] for line in results.read_text().splitlines()} if results.exists() else set()
    start = time.monotonic()
    for name in kinds or KINDS:
        if name in done or time.monotonic() - start > 60 * minutes:
            continue
        folder = Path(tempfile.mkdtemp(prefix="contimg-faults-"))
        try:
            row = run(name, folder)
        finally:
            shutil.rmtree(folder)
        with results.open("a") as stream:
            stream.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)


def table(results: Path) -> None:
    """Print the results as a Markdown table, in the order of the kinds."""
    rows = {row["kind"]: row for row in map(json.loads, results.read_text().splitlines())}
    print("| what differs | `check` refutes | mosaic | reasons | flux over truth (scatter) |\n|---|---|---|---|---|")
    for name in KINDS:
        if name not in rows:
            continue
        row = rows[name]
        flux, scatter = (row["numbers"][key] for key in ("median_flux_ratio", "flux_ratio_mad"))
        fluxes = "not measured" if flux is None else f"{flux:.3f} ({100 * scatter:.1f} %)"
        refuted = ", ".join(f"`{key}`" for key in row["refuted"]) or "nothing"
        codes = ", ".join(f"`{code}`" for code in row["codes"][:4]) + (" ..." if len(row["codes"]) > 4 else "")
        print(f"| {name.replace('auto `', 'auto`')} | {refuted} | {row['verdict']} | {codes} | {fluxes} |")


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    long = commands.add_parser("run")
    long.add_argument("results", type=Path)
    long.add_argument("--minutes", type=float, default=9)
    long.add_argument("--kind", action="append", default=[])
    commands.add_parser("table").add_argument("results", type=Path)
    given = parser.parse_args()
    if given.command == "run":
        campaign(given.results, given.minutes, given.kind)
    else:
        table(given.results)


if __name__ == "__main__":
    main()
