"""The time and the memory that a tile spends on its catalogue, against the whole survey as CSV.

    python -m benchmarks.catalogue [--small] [--folder DIR]

writes a made-up survey of NVSS's size (1.8 million sources over the sky north of -40 deg) in VizieR's text form, makes
a strip of it and the whole sky in binary form with ``contimg catalogue make``, and reads the field of a tile from each:
as the pipeline does from the binary form, as it does from a CSV of the whole survey with its own columns, and with
pandas and astropy.table from that CSV, which cut out the field themselves. Times include the imports of a new process,
as in a job. About 0.4 GB of disk.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import contest

FIELD = (202.5, 16.3, 10.0)
ROWS, SMALL_ROWS = 1_800_000, 60_000
HEADER = "name,ra_deg,dec_deg,flux_jy,flux_err_jy"
CONTESTANTS = {
    "strip": "ours, strip of 10 deg in binary form",
    "sky": "ours, whole survey in binary form",
    "csv": "ours, whole survey as CSV",
    "pandas": "pandas.read_csv and a cut",
    "astropy": "astropy.table (fast reader) and a cut",
}


def write_survey(folder: Path, rows: int) -> dict[str, Any]:
    """Write the survey as VizieR's text and as a CSV of our columns."""
    rng = np.random.default_rng(1)
    ra = rng.uniform(0, 360, rows)
    dec = np.degrees(np.arcsin(rng.uniform(np.sin(np.radians(-40)), 1, rows)))
    flux = np.minimum(2.5e-3 * (rng.pareto(1.0, rows) + 1), 20.0)
    with open(folder / "survey.tsv", "w") as vizier, open(folder / "survey.csv", "w") as csv:
        vizier.write(
            '#VizieR\nNVSS\tRAJ2000\tDEJ2000\tS1.4\te_S1.4\n\t"h:m:s"\t"d:m:s"\tmJy\tmJy\n---\t---\t---\t---\t---\n'
        )
        csv.write(HEADER + "\n")
        for i, (a, d, s) in enumerate(zip(ra.tolist(), dec.tolist(), flux.tolist(), strict=True)):
            hours, angle = a / 15, abs(d)
            place = f"{int(hours):02} {int(hours * 60) % 60:02} {hours * 3600 % 60:05.2f}"
            place += f"\t{'-' if d < 0 else '+'}{int(angle):02} {int(angle * 60) % 60:02} {angle * 3600 % 60:04.1f}"
            vizier.write(f"S{i}\t{place}\t{1e3 * s:.1f}\t{30 * s:.2f}\n")
            csv.write(f"S{i},{a:.6f},{d:.6f},{s:.6f},{0.03 * s:.6f}\n")
    return {}


def make(folder: Path, strip: tuple[float, float], name: str) -> dict[str, Any]:
    """Make a catalogue in binary form."""
    from contimg.sky.catalogue_making import make_catalogue

    return {"sources": len(make_catalogue([(folder / "survey.tsv", "nvss")], strip, folder / name))}


def ours(path: Path) -> dict[str, Any]:
    """Read the field as `image_tile` does."""
    from contimg.sky.catalogue import read_catalogue

    return {"sources": len(read_catalogue(path, near=FIELD))}


def peer(name: str, path: Path) -> dict[str, Any]:
    """Read the CSV with another library, and cut out the field."""
    from contimg.sky.spherical import separation

    if name == "pandas":
        import pandas

        table: Any = pandas.read_csv(path)
    else:
        from astropy.table import Table

        table = Table.read(path, format="ascii.fast_csv")
    places = (np.radians(np.asarray(table[column])) for column in ("ra_deg", "dec_deg"))
    ra, dec, radius = np.radians(FIELD)
    return {"sources": int(np.count_nonzero(separation(*places, ra, dec) <= radius))}


def run(name: str, folder: Path) -> None:
    """Do one job in this process."""
    work = {
        "write": lambda: write_survey(folder, ROWS),
        "write_small": lambda: write_survey(folder, SMALL_ROWS),
        "make_strip": lambda: make(folder, (11.3, 21.3), "strip.fits"),
        "make_sky": lambda: make(folder, (-90.0, 90.0), "sky.fits"),
        "strip": lambda: ours(folder / "strip.fits"),
        "sky": lambda: ours(folder / "sky.fits"),
        "csv": lambda: ours(folder / "survey.csv"),
        "pandas": lambda: peer("pandas", folder / "survey.csv"),
        "astropy": lambda: peer("astropy", folder / "survey.csv"),
    }
    contest.measure(work[name])


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help=f"a survey of {SMALL_ROWS} sources")
    parser.add_argument("--folder", type=Path, help="keep the survey here, or use the one that is here")
    parser.add_argument("--run", nargs=2, metavar=("NAME", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        run(options.run[0], Path(options.run[1]))
        return
    with tempfile.TemporaryDirectory(prefix="contimg-catalogue-") as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "survey.csv").exists():
            contest.in_a_process(__file__, "write_small" if options.small else "write", folder)
        made = {name: contest.in_a_process(__file__, f"make_{name}", folder) for name in ("strip", "sky")}
        costs = {name: contest.in_a_process(__file__, name, folder) for name in CONTESTANTS}
    print(f"{'':46}" + "".join(f"{head:>12}" for head in ("wall [s]", "CPU [s]", "peak [GB]", "sources")))
    for name, cost in {**{f"make {name}": cost for name, cost in made.items()}, **costs}.items():
        values = (cost.wall_s, cost.cpu_s, cost.peak_gb, cost.extra["sources"])
        print(f"{CONTESTANTS.get(name, name):46}" + "".join(f"{value:12.4g}" for value in values))
    contest.judge("a tile's field from a strip [s of CPU]", costs["strip"].cpu_s, "at most", 0.5)
    contest.judge("a tile's field from the whole survey [s of CPU]", costs["sky"].cpu_s, "at most", 0.5)
    contest.judge("peak memory of it [GB]", costs["sky"].peak_gb, "at most", 0.25)
    contest.judge("sources, fraction of those that pandas finds",
                  costs["sky"].extra["sources"] / costs["pandas"].extra["sources"], "at least", 0.99)  # fmt: skip


if __name__ == "__main__":
    main()
