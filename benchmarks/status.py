"""`contimg status` with a season behind it: how long one look takes, by its parts.

    python -m benchmarks.status [--nights 90] [--open]

Makes a season of nights of 250 tiles as the workflow leaves them: groups, markers, twins of images, MSs and
calibrations with their 96 antennas, rows of the registry, the records of all jobs; the inbox holds the last three
nights. Goal: one second of CPU time for the command where the workflow keeps up. Beside it stands the same with a whole
night of 250 tiles, 4000 files, of which nothing was done yet: all of it is planned at each look.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import subprocess
import sys
import tempfile
from pathlib import Path

from sqlalchemy import insert

from benchmarks.contest import judge
from benchmarks.plan import Season, Templates, cost_of, groups_of, tile_id, write
from contimg import naming
from contimg.config import Config
from contimg.monitoring.overview import overview
from contimg.registry import engine, schema
from contimg.registry.rows import new_row

ANTENNAS = [str(number) for number in range(1, 97)]
JOBS_OF_TILE = ("convert_tile", "apply_calibration", "image_tile")
JOBS_OF_GROUP = ("mosaic_group", "crossmatch_mosaic", "summarise_mosaic", "register_mosaic", "publish_mosaic")
_COLUMNS = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\tresources\tparams"


def make_season(root: Path, nights: int, open_nights: int) -> tuple[Season, Config]:
    """Write a season on disk and in the registry."""
    season = Season(root, nights, open_nights, kept=3)
    templates = root.parent / f"templates{open_nights}"
    templates.mkdir()
    config = season.make(Templates(templates))
    rows = []
    for night in range(nights):
        for members in groups_of(night):
            ids = [tile_id(night, tile) for tile in members]
            _twins(config, ids)
            rows.append(_row(config, ids[0]))
            _records(root / "work", JOBS_OF_TILE, ids)
            _records(root / "work", JOBS_OF_GROUP, [naming.mosaic_id(ids[0])])
    registry = engine.open_registry(config)
    with registry.transaction() as connection:
        connection.execute(insert(schema.metadata.tables["data_registry"]), rows)
    registry.close()
    log = root / "work" / ".snakemake" / "log" / "2026-04-01T000000.snakemake.log"
    log.parent.mkdir(parents=True)
    log.write_text("Building DAG of jobs...\n" + "rule image_tile:\n    input: a\n    output: b\n" * 8000)
    return season, config


def _twins(config: Config, ids: list[str]) -> None:
    """Write the twins of MSs with the flags of their antennas, and add the noise of antennas to the calibrations."""
    flagged = dict.fromkeys(ANTENNAS, 0.123456)
    for one in ids:
        write(config.layout.twin("ms", one), {"id": one, "qa": {"flagged_by_antenna": flagged}, "facts": {}})
    place = config.layout.twin("calibration", naming.calibration_id(ids[(len(ids) - 1) // 2]))
    content = json.loads(place.read_text())
    content["facts"]["sefd_jy"] = {name: [7000.0, 7100.0] for name in ANTENNAS}
    write(place, content)


def _row(config: Config, group: str) -> dict[str, object]:
    """Return the row of a published mosaic."""
    data_id = naming.mosaic_id(group)
    metadata = {"data_type": "mosaic", "data_id": data_id, "synthetic": True, "verdict": {"verdict": "passed"}}
    return new_row(config.layout, metadata, "0" * 64, 1, auto_publish=True) | {
        "status": "published", "qa_status": "passed", "validation_status": "validated",
        "finalization_status": "finalized", "published_path": str(config.layout.bundle(data_id, 1)),
        "published_at": "2026-01-01T00:00:00.000Z", "approved_by": None,
    }  # fmt: skip


def _records(work: Path, rules: tuple[str, ...], names: list[str]) -> None:
    """Write the records of jobs as Snakemake does, with parameters of two kilobytes."""
    row = f"130.1\t0:02:10\t2100.1\t3\t2\t2\t1\t1\t95\t123.4\t{{'mem_mb': 3000, 'runtime': 30}}\t{'x' * 2000}"
    for rule in rules:
        for one in names:
            path = work / "benchmarks" / rule / naming.date(one) / f"{naming.stem(one)}.tsv"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{_COLUMNS}\n{row}\n")


def main() -> None:
    """Make the season, look, print the cost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nights", type=int, default=90)
    parser.add_argument("--open", action="store_true", help="beside it a whole night of which nothing was done yet")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="contimg-status-") as place:
        for open_nights in (0, 1)[: 1 + given.open]:
            season, config = make_season(Path(place) / f"season{open_nights}", given.nights, open_nights)
            command = [sys.executable, "-c", "from contimg.cli import run; run()", "-c", str(season.overlay)]
            command += ["-d", str(season.root / "work"), "status", "--json"]
            for words in ("first", "again"):
                cost, _ = cost_of(lambda words=command: subprocess.run(words, check=True, stdout=subprocess.DEVNULL))
                print(f"{given.nights} nights, {open_nights} open, {words}: {cost} s wall (CPU)")
            judge(f"CPU time of contimg status, {open_nights} nights open [s]", cost.cpu_s, "at most", 1.0)
            profile = cProfile.Profile()
            profile.runcall(overview, config, season.root / "work")
            pstats.Stats(profile).sort_stats("cumulative").print_stats("contimg|registry", 12)


if __name__ == "__main__":
    main()
