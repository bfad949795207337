"""What a mosaic costs at full size, beside `reproject_and_coadd`, and how the cost grows with the number of tiles.

    python -m benchmarks.mosaic [--small] [--folder DIR]

Tiles of 4800 x 4800 pixels with sources, noise and slightly different beams are emulated, 1.29 deg of right ascension
apart. Ours is the whole rule: files are verified, tiles compared with their neighbours, brought to a common beam, their
noise measured, everything co-added, judged, drawn and written. The peer is given images, weights and grid and co-adds
them (`reproject_interp` with a quintic spline, a tenth as exact as ours), on two of the tiles as it takes minutes.
Ours is timed on the same two as well, with one noise a tile, from the tiles' files to image and weights; that it
compares the tiles with each other on the way, as the peer does not, is printed by itself. Growth is
measured with 10 to 60 tiles of 1200 x 1200 pixels. CPU seconds: the machine may be busy.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import contest

MOSAIC_ID = "mosaic_20260211T000000"
SPACING_DEG = 1.2887
DECLINATION_DEG = 30.0
TILES, PEER_TILES, GROWTH = 10, 2, (10, 30, 60)
SIZE, SMALL_SIZE = 4800, 1200
WIDTH_DEG = 4.0
PB_LIMIT = 0.2
THREADS = 2


def make_tiles(folder: Path, count: int, size: int) -> None:
    """Emulate tiles of 4 deg, each of 30 sources and noise of 1 mJy/beam."""
    from tests.support.fake_tiles import Sky, TileMaker

    cell = WIDTH_DEG * 3600 / size
    rng = np.random.default_rng(1)
    n = 30 * count
    sky = Sky(
        (350 + rng.uniform(-2, SPACING_DEG * count + 2, n)) % 360,
        DECLINATION_DEG + rng.uniform(-1.9, 1.9, n),
        np.exp(rng.uniform(np.log(0.01), 0, n)),
    )
    maker = TileMaker(folder, size=size, cell_arcsec=cell, dec_deg=DECLINATION_DEG)
    for i in range(count):
        beam = (4.5 * cell + 0.1 * cell * (i % 3), 3.6 * cell, 20.0)
        maker.make(i, (350 + SPACING_DEG * i) % 360, sky, beam_arcsec=beam)


def tiles_in(folder: Path) -> list[Path]:
    """Return the twins of the tiles in a folder."""
    return sorted(folder.glob("images/*/*.json"))


def whole_rule(folder: Path, count: int) -> dict[str, Any]:
    """Make the mosaic of the first tiles as the rule does."""
    from contimg.config import MosaicOptions, QaOptions
    from contimg.mosaic.mosaic_group import mosaic_group

    twins = tiles_in(folder)[:count]
    out = Path(tempfile.mkdtemp(prefix="contimg-mosaic-", dir=folder))
    options = MosaicOptions(cell_arcsec=_cell_arcsec(twins[0]))
    made = mosaic_group(
        twins, out / MOSAIC_ID, out / f"{MOSAIC_ID}.json", mosaic_id=MOSAIC_ID, options=options, pb_limit=PB_LIMIT,
        qa=QaOptions(), threads=THREADS,
    )  # fmt: skip
    shutil.rmtree(out)
    return {"tiles": made.facts["n_images"], "size": made.facts["size_px"], "verdict": made.verdict}


def ours(folder: Path) -> dict[str, Any]:
    """Co-add two tiles from their files to image and weights; ``compared_s`` is the CPU time of their comparison."""
    from contimg.mosaic.group_image import coadd_tiles
    from contimg.mosaic.overlap import OverlapComparison

    compare, spent_s = OverlapComparison.add, [0.0]

    def timed(*arguments: Any) -> None:
        start = time.process_time()
        compare(*arguments)
        spent_s[0] += time.process_time() - start

    OverlapComparison.add = timed  # type: ignore[method-assign]
    tiles, options = _read(folder)
    _, made = coadd_tiles(tiles, options, PB_LIMIT)
    if made is None:
        raise RuntimeError("no tile is usable")
    return {"size": list(made.image.shape), "compared_s": spent_s[0]}


def peer(folder: Path) -> dict[str, Any]:
    """Co-add the same two tiles with reproject: the same grid, weights PB^2 / s^2; nothing is convolved or measured."""
    from reproject import reproject_interp
    from reproject.mosaicking import reproject_and_coadd

    from contimg.mosaic.grid import make_grid
    from contimg.mosaic.tile_images import used
    from contimg.products.fits_images import read_image

    tiles, options = _read(folder)
    images = [image for _, image in used(tiles)]
    grid = make_grid([image.footprint for image in images], options.cell_arcsec, options.max_size_px)
    planes, weights = [], []
    for image in images:
        apparent, pb = read_image(image.image), read_image(image.pb)
        planes.append(((apparent.data / pb.data).astype(np.float32), apparent.wcs))
        weights.append((pb.data**2 * (pb.data >= PB_LIMIT) / image.rms_jy**2).astype(np.float32))
    array, _ = reproject_and_coadd(
        planes, grid.wcs(), shape_out=grid.shape, input_weights=weights, reproject_function=reproject_interp,
        order=5, roundtrip_coords=False,
    )  # fmt: skip
    return {"size": list(array.shape)}


def _read(folder: Path) -> tuple[list[Any], Any]:
    """Return two tiles and the options of their mosaic."""
    from contimg.config import MosaicOptions, QaOptions
    from contimg.mosaic.tile_images import read_tiles

    twins = tiles_in(folder)[:PEER_TILES]
    options = MosaicOptions(cell_arcsec=_cell_arcsec(twins[0]), local_noise=False)
    return read_tiles(twins, PB_LIMIT, {"qa": QaOptions()}), options


def _cell_arcsec(twin: Path) -> float:
    from contimg.products.twin import read_twin

    return float(read_twin(twin).facts["cell_arcsec"])


def run(name: str, folder: Path) -> None:
    """Do one job in this process."""
    kind, _, number = name.partition(" ")
    work = {
        "full": lambda: make_tiles(folder, TILES, SIZE),
        "small": lambda: make_tiles(folder, max(GROWTH), SMALL_SIZE),
        "rule": lambda: whole_rule(folder, int(number)),
        "read": lambda: _read(folder) and None,
        "ours": lambda: ours(folder),
        "peer": lambda: peer(folder),
    }
    contest.measure(work[kind])


def measure_growth(folder: Path) -> None:
    """Print the cost of mosaics of 10 to 60 small tiles."""
    contest.in_a_process(__file__, "small", folder)
    costs = {count: contest.in_a_process(__file__, f"rule {count}", folder) for count in GROWTH}
    for count, one in costs.items():
        print(f"{count:3} tiles of {SMALL_SIZE}^2 {one.extra['size']}: {one.cpu_s:7.1f} s CPU {one.peak_gb:6.2f} GB")
    first, last = costs[GROWTH[0]], costs[GROWTH[-1]]
    growth = (last.cpu_s / GROWTH[-1]) / (first.cpu_s / GROWTH[0])
    contest.judge("CPU time a tile, 60 tiles over 10", growth, "at most", 1.2)


def measure_full(folder: Path) -> None:
    """Print the cost of a full mosaic, and of two tiles beside the peer."""
    if not tiles_in(folder):
        contest.in_a_process(__file__, "full", folder)
    rule = contest.in_a_process(__file__, f"rule {TILES}", folder)
    print(f"rule, {TILES} tiles of {SIZE}^2 {rule.extra['size']}: {rule.wall_s:7.1f} s wall {rule.cpu_s:7.1f} s CPU")
    read, two, other = (contest.in_a_process(__file__, name, folder) for name in ("read", "ours", "peer"))
    for words, one in (("ours", two), ("reproject_and_coadd", other)):
        print(f"{PEER_TILES} tiles, {words:22}{one.cpu_s - read.cpu_s:8.1f} s CPU {one.peak_gb:6.2f} GB")
    peer_s, whole_s = other.cpu_s - read.cpu_s, two.cpu_s - read.cpu_s
    alone_s = whole_s - two.extra["compared_s"]
    print(f"{'':9}of ours, comparing the tiles {two.extra['compared_s']:6.1f} s: {peer_s / whole_s:.2f} times with it")
    contest.judge("CPU of reproject_and_coadd over ours, co-adding alone", peer_s / alone_s, "at least", 4)
    contest.judge(f"wall clock of ten tiles with {THREADS} threads [s]", rule.wall_s, "at most", 120)
    contest.judge("peak memory of ten tiles [GB]", rule.peak_gb, "at most", 4)


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="the growth alone, of small tiles")
    parser.add_argument("--folder", type=Path, help="keep the full tiles here, or use those that are here")
    parser.add_argument("--run", nargs=2, metavar=("NAME", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        run(options.run[0], Path(options.run[1]))
        return
    with tempfile.TemporaryDirectory(prefix="contimg-mosaic-") as temporary:
        if not options.small:
            measure_full(options.folder or Path(temporary) / "full")
        measure_growth(Path(temporary) / "small")


if __name__ == "__main__":
    main()
