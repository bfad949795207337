"""What flagging costs at full size and what takes the time; what it finds, and what it loses.

    python -m benchmarks.flag [--small] [--folder DIR]

Cost: a tile of the real size (96 antennas, 768 channels, 24 integrations, XX and YY) is simulated and converted as the
rule does. Quality: interference of each kind is added to the HDF5 files of a tile of 30 antennas and 768 channels,
under a quiet sky and under one with six sources of 5 to 20 Jy, besides 3C286. Found is the part of the samples in which
it exceeds 5 sigma (of a visibility's real part), lost the part of those without any. --small leaves the cost out.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from benchmarks import contest

N_TIMES, SUBBANDS, WIDTH, ANTENNAS = 24, 16, 48, 30
LEVEL_SIGMA = 7.0
BRIGHT_JY = {"quiet": (), "six sources of 5 to 20 Jy": (20, 12, 9, 7, 6, 5)}
KINDS = ("none", "line", "burst", "broad", "whole band", "satellite", "bad antenna")


def cells(kind: str) -> NDArray[np.bool_]:
    """Return where interference of a kind strikes, (N_TIMES, channels), frequencies ascending."""
    mask = np.zeros((N_TIMES, SUBBANDS * WIDTH), bool)
    if kind == "line":
        mask[:, [137, 400, 401]] = True
    elif kind == "burst":
        mask[8:10, 200:216] = True
    elif kind == "broad":
        mask[15:17, 96:144] = True
    elif kind == "whole band":
        mask[5] = True
    elif kind == "satellite":
        for number in range(N_TIMES):
            mask[number, 560 + 5 * number : 566 + 5 * number] = True
    elif kind == "bad antenna":
        mask[:, 500:540] = True
    return mask


def make_sky(folder: Path, fluxes_jy: tuple[float, ...]) -> None:
    """Simulate a tile of 30 antennas at 3C286 with a quiet sky and some bright sources within 1.5 deg."""
    from contimg.simulate import NightOptions, simulate_night

    rng = np.random.default_rng(3)
    lines = ["name,ra_deg,dec_deg,flux_jy"]
    for number, flux in enumerate((*fluxes_jy, *[0.3] * 20)):
        size, turn = 1.5 * np.sqrt(rng.random()), 2 * np.pi * rng.random()
        ra, dec = 202.785 + size * np.cos(turn) / np.cos(np.radians(30.5)), 30.509 + size * np.sin(turn)
        lines.append(f"S{number},{ra:.6f},{dec:.6f},{flux}")
    folder.mkdir(parents=True)
    (folder / "sky.csv").write_text("\n".join(lines) + "\n")
    simulate_night(
        folder / "night",
        NightOptions(tiles=1, transit_tile=0, antennas=ANTENNAS, channels=WIDTH, sky_file=folder / "sky.csv", seed=5),
    )


def measure_kind(folder: Path, kind: str) -> dict[str, Any]:
    """Add interference of a kind to the files, convert them, and count."""
    from contimg import measurement_set

    incoming = folder / "spoilt"
    shutil.rmtree(incoming, ignore_errors=True)
    shutil.copytree(folder / "night" / "incoming", incoming)
    strength = add_interference(sorted(incoming.glob("*.hdf5")), kind)
    convert(folder, incoming)
    flag = measurement_set.read(folder / "tile.ms").flag.reshape(strength.shape)
    strong, clean = strength > 5, strength == 0
    found = float(flag[strong].mean()) if strong.any() else None
    return {"found": found, "lost": float(flag[clean].mean()), "affected": float(strong.mean())}


def add_interference(files: list[Path], kind: str) -> NDArray[np.float32]:
    """Add it in place; return its amplitude in sigma, (N_TIMES, cross-correlations, channels, 2), as in the MS."""
    mask, rng = cells(kind), np.random.default_rng(9)
    level = LEVEL_SIGMA * rng.uniform(0.7, 1.3, mask.shape) * mask
    strength = None
    for path in files:
        with h5py.File(path, "r+") as file:
            head = file["Header"]
            one, two = (head[f"ant_{i}_array"][:].reshape(N_TIMES, -1)[0] for i in (1, 2))
            cross = one != two
            used = np.unique(one)
            if strength is None:
                heard = np.exp(rng.normal(0, 0.3, (117, 2)) + 2j * np.pi * rng.random((117, 2)))
                pair = heard[one] * heard[two].conj()
                if kind == "bad antenna":
                    pair[(one != used[3]) & (two != used[3])] = 0
                strength = np.zeros((N_TIMES, int(cross.sum()), mask.shape[1], 2), np.float32)
            data = file["Data/visdata"][:, 0].reshape(N_TIMES, len(one), WIDTH, 2)
            difference = np.diff(data[:, cross].real, axis=0)
            sigma = np.median(np.abs(difference), axis=(0, 2)) * 1.4826 / np.sqrt(2)
            subband = int(path.stem[-2:])
            place = slice((SUBBANDS - 1 - subband) * WIDTH, (SUBBANDS - subband) * WIDTH)
            relative = (pair[cross][None, :, None, :] * level[:, None, place, None]).astype(np.complex64)
            strength[:, :, place] = np.abs(relative)
            data[:, cross] += (relative * sigma[None, :, None, :])[:, :, ::-1]  # files descend
            file["Data/visdata"][:, 0] = data.reshape(-1, WIDTH, 2)
    if strength is None:
        raise FileNotFoundError("the simulated tile has no files")
    return strength


def convert(folder: Path, incoming: Path, *, aoflagger: bool = True) -> Any:
    """Convert a tile as the rule does."""
    from contimg.config import FlagOptions, IngestOptions
    from contimg.convert.convert_tile import convert_tile

    tile_id = json.loads((folder / "night" / "truth.json").read_text())["tiles"][0]["tile_id"]
    return convert_tile(
        sorted(incoming.glob("*.hdf5")), folder / "tile.ms", folder / "tile.json", tile_id=tile_id,
        ingest=IngestOptions(), flag=FlagOptions(aoflagger=aoflagger),
    )  # fmt: skip


def cost(folder: Path, *, aoflagger: bool) -> dict[str, Any]:
    """Convert the full tile, and add up what the parts of it took."""
    from contimg.convert import blocks, summary
    from contimg.flagging import block_flagger
    from contimg.measurement_set import Writer

    seconds: dict[str, float] = {}

    def timed(owner: Any, name: str, words: str) -> None:
        work: Callable[..., Any] = getattr(owner, name)

        def run(*arguments: Any, **more: Any) -> Any:
            started = time.thread_time()
            try:
                return work(*arguments, **more)
            finally:
                seconds[words] = seconds.get(words, 0.0) + time.thread_time() - started

        setattr(owner, name, run)

    timed(block_flagger.AOFlagger, "run", "AOFlagger")
    timed(block_flagger, "residual_amplitude", "polarisation residual")
    timed(block_flagger.AntennaPower, "add", "power of antennas")
    timed(block_flagger, "median_and_relative_sigma", "medians and quartiles")
    timed(block_flagger.BlockFlagger, "flag_block", "first phase: all of a block")
    timed(summary, "whole_tile_flags", "second phase: the whole tile")
    timed(blocks.BlockReader, "read", "reading and turning (another thread)")
    timed(Writer, "put", "writing")
    twin = convert(folder, folder / "night" / "incoming", aoflagger=aoflagger)
    shutil.rmtree(folder / "tile.ms")
    return {"seconds": seconds, "flagged": twin.qa["flagged_fraction"]}


def run(name: str, folder: Path) -> None:
    """Do one job in this process."""
    if name.startswith("sky "):
        contest.measure(lambda: make_sky(folder, BRIGHT_JY[name.removeprefix("sky ")]))
    elif name.startswith("kind "):
        contest.measure(lambda: measure_kind(folder, name.removeprefix("kind ")))
    else:
        work = {
            "full": lambda: contest.make_tile(folder, small=False),
            "flagged": lambda: cost(folder, aoflagger=True),
            "unflagged": lambda: cost(folder, aoflagger=False),
        }
        contest.measure(work[name])


def measure_quality(folder: Path) -> None:
    """Print what is found and lost of each kind under each sky."""
    print(f"{'sky':28}{'interference':16}{'above 5 sigma':>15}{'found':>10}{'clean lost':>12}")
    least, most = 1.0, 0.0
    for number, sky in enumerate(BRIGHT_JY):
        place = folder / f"sky{number}"
        contest.in_a_process(__file__, f"sky {sky}", place)
        for kind in KINDS:
            result = contest.in_a_process(__file__, f"kind {kind}", place).extra
            found = result["found"]
            shown = "" if found is None else f"{found:.2%}"
            print(f"{sky:28}{kind:16}{result['affected']:15.3%}{shown:>10}{result['lost']:12.3%}", flush=True)
            least, most = min(least, 1.0 if found is None else found), max(most, result["lost"])
        shutil.rmtree(place)
    contest.judge("least found of what exceeds 5 sigma", least, "at least", 0.95)
    contest.judge("most lost of clean samples", most, "at most", 0.01)


def measure_cost(folder: Path) -> None:
    """Print what the full tile takes."""
    contest.in_a_process(__file__, "full", folder)
    flagged, unflagged = (contest.in_a_process(__file__, name, folder) for name in ("flagged", "unflagged"))
    for words, one in (("with AOFlagger", flagged), ("without", unflagged)):
        print(f"convert_tile {words:16}{one.wall_s:8.1f} s wall{one.cpu_s:8.1f} s CPU{one.peak_gb:8.2f} GB")
    print("of the CPU time:")
    for words, seconds in sorted(flagged.extra["seconds"].items(), key=lambda item: -item[1]):
        print(f"    {words:40}{seconds:8.1f} s")
    contest.judge("wall time of converting and flagging a tile [s]", flagged.wall_s, "at most", 60)


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="the quality alone")
    parser.add_argument("--folder", type=Path, help="keep the full tile here, or use the one that is here")
    parser.add_argument("--run", nargs=2, metavar=("NAME", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        run(options.run[0], Path(options.run[1]))
        return
    with tempfile.TemporaryDirectory(prefix="contimg-flag-") as temporary:
        if not options.small:
            measure_cost(options.folder or Path(temporary) / "full")
        measure_quality(Path(temporary))


if __name__ == "__main__":
    main()
