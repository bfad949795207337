"""The cost of publishing, against `cp` + `sync` + `sha256sum` of the same bundle, and with a large registry.

::

    python -m benchmarks.publish [--size-gb 1] [--rounds 3] [--mosaics 100000] [--url URL] [--root FOLDER] [--json]

Goals: publishing <= 1.5 times the three commands; with 100 000 mosaics, registering and publishing one
costs < 50 ms of database time, `contimg status` and `contimg registry list` answer in < 1 s, and bringing the
archive's tables and gallery up to date costs a second or so.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import math
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from astropy import units as u
from astropy.coordinates import Latitude, Longitude
from sqlalchemy import event, insert

from contimg import naming
from contimg.archive import entries, months, update
from contimg.bundle.bundle import verify
from contimg.config import Config
from contimg.publishing import archive_root, markers
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry import engine, queries, schema
from contimg.registry.rows import new_row
from contimg.storage.atomic import write_json
from contimg.storage.notes import digests_of, write_note
from contimg.times import mjd_from_datetime
from tests.support.mosaics import config_below, make_mosaic

ROOT = Path(__file__).parents[1]


def against_the_commands(root: Path, size_gb: float, rounds: int) -> dict[str, float]:
    """Return the seconds of publishing a bundle and of the commands on it, and their ratio (medians)."""
    plain_s, publish_s, verify_s = [], [], []
    size = 0
    size_px = math.ceil(math.sqrt(size_gb * 1e9 / 3 / 4))  # three float32 planes
    for number in range(rounds):
        place = root / f"round{number}"
        config = config_below(place)
        mosaic_id = make_mosaic(config, size_px=size_px, seed=number)
        bundle = register_mosaic(mosaic_id, config).path
        os.sync()
        target = place / "copy"
        command = f"cp -r {bundle} {target} && sync && find {target} -type f -exec sha256sum {{}} + >/dev/null"
        # The order is changed each round: the second to read finds the source in memory, as does the first.
        steps = {
            "plain": lambda command=command: subprocess.run(command, shell=True, check=True),
            "publish": lambda mosaic_id=mosaic_id, config=config: publish_mosaic(mosaic_id, config),
        }
        for name in sorted(steps, reverse=bool(number % 2)):
            (plain_s if name == "plain" else publish_s).append(seconds(steps[name]))
            os.sync()
        published = config.layout.bundle(mosaic_id, 1)
        verify_s.append(seconds(lambda published=published: verify(published)))
        size = sum(file.stat().st_size for file in published.rglob("*"))
        shutil.rmtree(place)
    plain, took = statistics.median(plain_s), statistics.median(publish_s)
    return {
        "cp_sync_sha256sum_s": plain,
        "publish_s": took,
        "ratio": took / plain,
        "verify_mb_per_s": size / 1e6 / statistics.median(verify_s),
    }


def seconds(action: Callable[[], Any]) -> float:
    """Return the wall time of a call (s)."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def children_cpu_s() -> float:
    """Return the CPU time of all processes that were started and have ended [s]."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def written_mb() -> float:
    """Return what this process has written to files [MB] (proc(5), /proc/pid/io)."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("wchar")).split()[1]) / 1e6


def fill(config: Config, mosaics: int) -> None:
    """Fill an empty registry with published mosaics, and write their group files and markers."""
    first = naming.parse_id("2010-01-01T00:00:00")
    padding = {"facts": {"text": hashlib.sha256(b"x").hexdigest() * 72}}  # metadata of a real mosaic are 5 kB
    registry = engine.open_registry(config)
    layout = config.layout
    archive_root.adopt(registry, layout)
    for start in range(0, mosaics, 2000):
        rows: dict[str, list[dict[str, Any]]] = {name: [] for name in ("data_registry", "mosaic_groups")}
        events = []
        for number in range(start, min(start + 2000, mosaics)):
            group = naming.id_from_datetime(first + timedelta(seconds=3090 * number))
            data_id, digest = naming.mosaic_id(group), hashlib.sha256(group.encode()).hexdigest()
            metadata = {"data_type": "mosaic", "data_id": data_id, "synthetic": True, "verdict": {"verdict": "passed"}}
            row = new_row(layout, metadata | padding, digest, 1, auto_publish=True) | {
                "status": "published",
                "qa_status": "passed",
                "validation_status": "validated",
                "finalization_status": "finalized",
                "published_path": str(layout.bundle(data_id, 1)),
                "published_at": "2026-01-01T00:00:00.000Z",
                "approved_by": None,
            }
            rows["data_registry"].append(row)
            key = {"data_id": data_id, "version": 1}
            rows["mosaic_groups"].append(key | {"group_id": group, "sha256": digest, "verdict": "passed"})
            events += [
                key | {"event": name, "time": row["created_at"], "actor": "a", "host": "h", "pid": 1, "message": name}
                for name in ("registered", "finalized", "published")
            ]
            tile = {"id": group, "name_time": group, "files": []}
            place = layout.group(group)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(json.dumps({"id": group, "tiles": [tile] * 10}))
            keep_entry(layout, row, number)
            marker = layout.twin("published", group)
            marker.parent.mkdir(parents=True, exist_ok=True)
            marker.write_text(json.dumps(markers.published(row)))
        with registry.transaction() as connection:
            for name, content in rows.items():
                connection.execute(insert(schema.metadata.tables[name]), content)
            connection.execute(insert(schema.publish_events), events)
    registry.close()


def keep_entry(layout: naming.Layout, row: dict[str, Any], number: int) -> None:
    """Write the archive's entry of a mosaic, as if its bundle had been read: a field of 15 x 3.5 deg in a strip."""
    from mocpy import MOC

    folder = layout.products / update.GALLERY / months.month_of(row["data_id"])
    folder.mkdir(parents=True, exist_ok=True)
    ra_deg, dec_deg = number * 13 % 360, 10 * (number // 5000 % 8)
    corners = [[(ra_deg + x) % 360, dec_deg + y] for x, y in ((7.5, -1.75), (-7.5, -1.75), (-7.5, 1.75), (7.5, 1.75))]
    sky = layout.products / update.GALLERY / f"{ra_deg}.{dec_deg}.moc.fits"  # one file for all of a field
    if not sky.exists():
        lon, lat = (Longitude([c[0] for c in corners] * u.deg), Latitude([c[1] for c in corners] * u.deg))
        MOC.from_polygon(lon, lat, max_depth=entries.MOC_ORDER).save(str(sky), format="fits")
    os.link(sky, folder / f"{row['data_id']}.moc.fits")
    mjd = mjd_from_datetime(naming.parse_id(row["data_id"]))
    content = {
        "schema": entries.SCHEMA, "manifest_sha256": row["sha256"], "verdict": "passed", "reasons": [],
        "synthetic": True, "centre_deg": [ra_deg, dec_deg], "start_mjd": mjd, "end_mjd": mjd + 0.036,
        "exposure_s": 3090.0, "tile_s": 309.0, "band_hz": [1.315e9, 1.495e9],
        "freq_hz": 1.405e9, "bandwidth_hz": 1.8e8, "bmaj_arcsec": 14.4,
        "bmin_arcsec": 10.8, "rms_mjy": 2.0, "n_images": 10, "calibrators": ["3C286"], "kilobytes": 100_000,
        "thumbnail": None, "page": None, "image": f"data/{row['data_id']}.fits",
        "corners_deg": corners, "shape_px": [18000, 4200], "field_deg": 15.0,
        "moc": f"{row['data_id']}.moc.fits",
    }  # fmt: skip
    content["files"] = digests_of(folder, [content["moc"]])
    write_note(folder / f"{row['data_id']}.json", content)


@contextlib.contextmanager
def database_time() -> Iterator[list[float]]:
    """Measure the time within statements and commits of every database that is opened [s]."""
    spent: list[float] = []
    original = engine._open

    def opened(*args: Any, **kwargs: Any) -> engine.Registry:
        started = time.perf_counter()
        registry = original(*args, **kwargs)
        spent.append(time.perf_counter() - started)
        began: list[float] = []
        event.listen(registry.engine, "before_cursor_execute", lambda *_: began.append(time.perf_counter()))
        event.listen(
            registry.engine, "after_cursor_execute", lambda *_: spent.append(time.perf_counter() - began.pop())
        )
        commit = registry.engine.dialect.do_commit
        registry.engine.dialect.do_commit = lambda connection: spent.append(seconds(lambda: commit(connection)))
        return registry

    engine._open = opened
    try:
        yield spent
    finally:
        engine._open = original


def with_many(root: Path, mosaics: int, url: str | None) -> dict[str, float]:
    """Return the costs with a registry that holds many mosaics already [s]."""
    config = config_below(root / "many", registry={"url": url})
    fill(config, mosaics)
    costs = []
    for hour in range(5):
        tiles = [f"2026-02-11T{hour:02d}:{m:02d}:00" for m in range(0, 50, 5)]
        write_json(
            config.layout.group(tiles[0]),
            {"id": tiles[0], "tiles": [{"id": tile, "name_time": tile, "files": []} for tile in tiles]},
        )
        mosaic_id = make_mosaic(config, tiles=tiles)
        with database_time() as spent:
            register_mosaic(mosaic_id, config)
            publish_mosaic(mosaic_id, config)
        costs.append(sum(spent))
    found = {"register_and_publish_database_s": statistics.median(costs)}
    with contextlib.closing(engine.open_registry(config)) as registry:
        found["archive_first_s"] = seconds(lambda: update.rebuild(registry, config.layout))
        tables = [config.paths.products / name for name in ("obscore.vot", "obscore.fits", "index.html")]
        found |= {f"{table.name}_mb": table.stat().st_size / 1e6 for table in tables}
        found["archive_nothing_new_s"] = seconds(lambda: update.rebuild(registry, config.layout))
        (config.paths.products / update.GALLERY / months.month_of(mosaic_id) / months.SUMMARY).unlink()
        before = written_mb()
        found["archive_at_a_publish_s"] = seconds(
            lambda: update.rebuild(registry, config.layout, mosaic_id, whole=False)
        )
        found["archive_at_a_publish_written_mb"] = written_mb() - before
    file = root / "many.yaml"
    file.write_text(yaml.safe_dump({"paths": config.paths.model_dump(mode="json"), "registry": {"url": url}}))
    with contextlib.closing(engine.open_registry(config)) as registry:
        found["listing_all_s"] = seconds(lambda: queries.listing(registry, with_metadata=False))
    for name, words in {"status": ["status"], "registry_list": ["registry", "list"]}.items():
        command = [sys.executable, "-c", "from contimg.cli import run; run()", "-c", str(file), *words]
        started = children_cpu_s()
        times = [seconds(lambda command=command: run(command)) for _ in range(3)]
        found |= {f"{name}_s": statistics.median(times), f"{name}_cpu_s": (children_cpu_s() - started) / 3}
    return found


def run(command: list[str]) -> None:
    """Run a command from the checkout, its output thrown away."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run(command, check=True, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size-gb", type=float, default=1.0, help="size of the bundle; 0 leaves this part out")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--mosaics", type=int, default=100_000, help="mosaics registered; 0 leaves this part out")
    parser.add_argument("--url", help="an empty PostgreSQL database instead of SQLite")
    parser.add_argument("--root", type=Path, help="folder to work in, on the disk to measure")
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    options = parser.parse_args(arguments)
    root = Path(tempfile.mkdtemp(prefix="contimg-publish-", dir=options.root))
    found: dict[str, float] = {}
    try:
        if options.size_gb > 0:
            found |= against_the_commands(root, options.size_gb, options.rounds)
        if options.mosaics > 0:
            found |= with_many(root, options.mosaics, options.url)
    finally:
        shutil.rmtree(root)
    if options.json:
        print(json.dumps(found, indent=1))
    else:
        for name, value in found.items():
            print(f"{name:34} {value:8.3f}")


if __name__ == "__main__":
    main()
