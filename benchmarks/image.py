"""Our imager against WSClean (and, on request, CASA's tclean), in one run on the same Measurement Set.

    python benchmarks/image.py [--folder DIR] [--small] [--smearing] [--threads N] [--tclean] [--only NAME ...]

simulates one tile of a perfect instrument (full size: 96 antennas, 16 x 48 channels, 24 integrations, 2.3 GB; 102
sources of 5 mJy to 15 Jy), images it with each program in a process of its own, and prints what each costs and how
true its image is. All image 4800 x 4800 pixels of 3 arcsec, Briggs 0.5, and CLEAN to 3 sigma. With --folder the data
and images are kept, and used again; `benchmarks/image.py --folder DIR --report` only prints the table of what is there.

Truth is what the simulator put in, through its own beam, at each time and channel: apparent fluxes are its mean with
the imaging weights, true ones the spectrum at the image's frequency.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import math
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import tiles

FULL = {"antennas": 96, "channels": 48, "size_px": 4800, "cell_arcsec": 3.0}
SMALL = {"antennas": 32, "channels": 12, "size_px": 1440, "cell_arcsec": 10.0}
CONTESTANTS = {"contimg": "contimg", "wsclean": "WSClean", "tclean": "CASA tclean"}
THRESHOLD_SIGMA, MASK_SIGMA = 3.0, 5.0
_LEAST_BEAM, _STRONG_SNR = 0.3, 50.0


def with_contimg(tile: Path, out: Path, job: dict, threads: int) -> None:
    """Image the tile as the rule does."""
    from contimg.config import BeamOptions, ImageOptions, QaOptions
    from contimg.imaging.image_tile import image_tile
    from contimg.products.twin import read_twin

    options = ImageOptions(
        **job["image"], smearing=job["smearing"], threshold_sigma=THRESHOLD_SIGMA, auto_mask_sigma=MASK_SIGMA
    )
    twin = tile.with_suffix(".json")
    image_tile(
        tile, twin, out / "tile", out / "tile.json", tile_id=read_twin(twin).id,
        options=options, beam=BeamOptions(), catalogue=Path(job["catalogue"]),
        qa=QaOptions(), threads=threads,
    )  # fmt: skip
    for name in ("image", "residual", "pb", "pbcor"):
        next((out / "tile").glob(f"*.{name}.fits")).rename(out / f"{name}.fits")


def with_wsclean(tile: Path, out: Path, job: dict, threads: int) -> None:
    """Image the tile with WSClean's w-gridder and automatic masks."""
    size, cell = str(job["image"]["size_px"]), f"{job['image']['cell_arcsec']}asec"
    command = [
        "wsclean", "-name", str(out / "tile"), "-temp-dir", str(out), "-j", str(threads), "-size", size, size,
        "-scale", cell, "-pol", "I", "-data-column", "DATA", "-weight", "briggs", "0.5", "-use-wgridder",
        "-no-update-model-required", "-niter", "1000000", "-mgain", "0.8", "-auto-mask", str(MASK_SIGMA),
        "-auto-threshold", str(THRESHOLD_SIGMA), str(tile),
    ]  # fmt: skip
    subprocess.run(command, check=True, stdout=sys.stderr)
    for name in ("image", "residual"):
        (out / f"tile-{name}.fits").rename(out / f"{name}.fits")


def with_tclean(tile: Path, out: Path, job: dict, threads: int) -> None:
    """Image the tile with CASA: w-projection, Hogbom, masked by the automatic multi-threshold."""
    from contimg.calibration.casa import tasks

    name = str(out / "tile")
    with tasks(out / "casa.log") as casatasks:
        casatasks.tclean(
            vis=str(tile), imagename=name, datacolumn="data", imsize=job["image"]["size_px"],
            cell=f"{job['image']['cell_arcsec']}arcsec", specmode="mfs", gridder="wproject", wprojplanes=64,
            deconvolver="hogbom", weighting="briggs", robust=0.5, niter=200000, nsigma=MASK_SIGMA, pblimit=0.02,
            stokes="I", usemask="user", pbcor=False, nmajor=8,  # the moving beam leaves it no end of its own
        )  # fmt: skip
        for kind in ("image", "residual"):
            casatasks.exportfits(f"{name}.{kind}", str(out / f"{kind}.fits"), dropstokes=True, dropdeg=True)


def run_one(name: str, folder: Path, threads: int) -> None:
    """Run one program in this process and print what it cost."""
    job = json.loads((folder / "job.json").read_text())
    out = folder / name
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    work = {"contimg": with_contimg, "wsclean": with_wsclean, "tclean": with_tclean}[name]
    with contextlib.redirect_stdout(sys.stderr):
        wall = time.perf_counter()
        work(Path(job["tile"]), out, job, threads)
        wall = time.perf_counter() - wall
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
    cost = {"wall_s": wall, "cpu_s": cpu, "peak_gb": max(own.ru_maxrss, children.ru_maxrss) * 1024 / 1e9}
    (out / "cost.json").write_text(json.dumps(cost))


def prepare(folder: Path, *, small: bool, smearing: bool) -> None:
    """Make the tile, where it is not there."""
    size = SMALL if small else FULL
    if not (folder / "calibrated").exists():
        arguments = ["--antennas", str(size["antennas"]), "--channels", str(size["channels"])]
        tiles.main([str(folder), *arguments, *(["--smearing"] if smearing else [])])
    tile = next((folder / "calibrated").glob("*.ms"))
    image = {key: size[key] for key in ("size_px", "cell_arcsec")}
    job = {"tile": str(tile), "image": image, "catalogue": str(folder / "catalogue.csv")}
    job["smearing"] = smearing
    (folder / "job.json").write_text(json.dumps(job))


def truth(folder: Path) -> dict:
    """Return the truth of the sources: positions (deg), true and apparent fluxes (Jy), and the expected noise."""
    from astropy.coordinates import SkyCoord

    from contimg import measurement_set
    from contimg.imaging.grid import TileGrid
    from contimg.imaging.visibilities.samples import stokes_i
    from contimg.imaging.visibilities.weights import briggs, expected_rms, time_channel_weights
    from contimg.simulate.beam import power_beam

    job = json.loads((folder / "job.json").read_text())
    vis = measurement_set.read(Path(job["tile"]))
    samples = stokes_i(vis)
    cell_rad = math.radians(job["image"]["cell_arcsec"] / 3600)
    weight = briggs(samples, TileGrid(job["image"]["size_px"], cell_rad, tuple(vis.phase_centre_rad)), 0.5)
    samples.unit_sigma_jy = np.ones(len(samples.rows))  # the weights are the simulator's inverse variances
    sums = time_channel_weights(samples, weight, len(vis.times_mjd_s))
    share, freq_hz = sums / sums.sum(), vis.freq_hz
    rows = list(csv.DictReader((folder / "truth.csv").open()))
    ra, dec, flux, index, ref = (
        np.array([float(row[key]) for row in rows])
        for key in ("ra_deg", "dec_deg", "flux_jy", "spectral_index", "ref_freq_hz")
    )
    axes = SkyCoord(*vis.pointing_rad.T, unit="rad")
    apart = SkyCoord(ra, dec, unit="deg")[:, None].separation(axes[None]).rad
    beam = np.stack([power_beam(apart, one) for one in freq_hz], axis=-1)  # (source, time, channel)
    spectra = flux[:, None] * (freq_hz / ref[:, None]) ** index[:, None]
    mean_hz = float(share.sum(0) @ freq_hz)
    return {
        "name": [row["name"] for row in rows],
        "ra": ra,
        "dec": dec,
        "beam": np.einsum("stc,tc->s", beam, share),
        "true_jy": flux * (mean_hz / ref) ** index,
        "apparent_jy": np.einsum("stc,sc,tc->s", beam, spectra, share),
        "noise_jy": expected_rms(samples, weight),
    }


def fit(image: np.ndarray, x: float, y: float, shape: np.ndarray) -> tuple[float, float, float]:
    """Fit a Gaussian of the restoring beam's shape (exponents per pixel^2) by peak and place; return them."""
    from scipy.optimize import least_squares

    reach = max(2, math.ceil(0.6 * math.sqrt(math.log(2) / np.linalg.eigvalsh(shape)[0])))
    x0, y0 = round(x), round(y)
    ys, xs = np.mgrid[y0 - reach : y0 + reach + 1, x0 - reach : x0 + reach + 1]
    spot = image[ys, xs].astype(float)

    def misfit(p: np.ndarray) -> np.ndarray:
        dx, dy = xs - p[1], ys - p[2]
        exponent = shape[0, 0] * dx**2 + 2 * shape[0, 1] * dx * dy + shape[1, 1] * dy**2
        return (p[0] * np.exp(-exponent) - spot).ravel()

    peak, px, py = least_squares(misfit, (spot.max(), x, y), x_scale=(abs(spot.max()) + 1e-9, 1, 1)).x
    return peak, px, py


def beam_shape(head) -> np.ndarray:
    """Return the exponents (per pixel^2, x and y) of the header's beam."""
    cell = abs(head["CDELT2"])
    major, minor = 4 * math.log(2) * (cell / head["BMAJ"]) ** 2, 4 * math.log(2) * (cell / head["BMIN"]) ** 2
    angle = math.radians(head["BPA"])
    axis = np.array([-math.sin(angle), math.cos(angle)])  # x runs west
    return minor * np.eye(2) + (major - minor) * np.outer(axis, axis)


def assess(out: Path, true: dict) -> dict:
    """Return the errors of an image against the truth: noise, fluxes and positions."""
    from astropy.io import fits
    from astropy.wcs import WCS

    def plane(name: str) -> np.ndarray:
        return fits.getdata(out / f"{name}.fits").squeeze()

    head = fits.getheader(out / "image.fits")
    image, residual = plane("image"), plane("residual")
    rms = 1.4826 * float(np.nanmedian(np.abs(residual - np.nanmedian(residual))))  # tclean blanks
    x, y = WCS(head).celestial.all_world2pix(true["ra"], true["dec"], 0)
    shape, width = beam_shape(head), math.sqrt(head["BMAJ"] * head["BMIN"]) / abs(head["CDELT2"])
    inside = (np.minimum(x, y) > 5 * width) & (np.maximum(x, y) < len(image) - 5 * width)
    snr = np.abs(true["apparent_jy"]) / true["noise_jy"]
    chosen = np.flatnonzero(inside & (true["beam"] >= _LEAST_BEAM) & (snr > _STRONG_SNR))
    found = np.array([fit(image, x[i], y[i], shape) for i in chosen])
    apparent = found[:, 0] / true["apparent_jy"][chosen] - 1
    offset = np.hypot(found[:, 1] - x[chosen], found[:, 2] - y[chosen]) / width
    result = {
        "rms_mjy": rms * 1e3,
        "over_radiometer": rms / true["noise_jy"],
        "sources": len(chosen),
        "apparent_bias": float(np.median(apparent)),
        "apparent_worst": float(np.abs(apparent).max()),
        "offset_median": float(np.median(offset)),
        "offset_worst": float(offset.max()),
        "fluxes": dict(zip([true["name"][i] for i in chosen], found.tolist(), strict=True)),
    }
    for name in ("BRIGHT", "HALF"):
        i = true["name"].index(name)
        reach = round(20 * width)
        box = residual[round(y[i]) - reach : round(y[i]) + reach + 1, round(x[i]) - reach : round(x[i]) + reach + 1]
        result[f"range_{name.lower()}"] = float(true["apparent_jy"][i] / np.nanstd(box))
        result[f"range_over_noise_{name.lower()}"] = float(np.nanstd(box) / true["noise_jy"])
    if (out / "pbcor.fits").exists():
        pbcor = plane("pbcor")
        ratio = np.array([fit(pbcor, x[i], y[i], shape)[0] for i in chosen]) / true["true_jy"][chosen] - 1
        beam = true["beam"][chosen]
        error = np.hypot(1 / snr[chosen], 0.003)  # noise, and what pixels and spectra leave
        slope, cov = np.polyfit(beam, ratio, 1, w=1 / error, cov="unscaled")
        result |= {
            "true_bias": float(np.median(ratio)),
            "true_worst": float(np.abs(ratio).max()),
            "slope": float(slope[0]),
            "slope_error": float(math.sqrt(cov[0, 0])),
        }
    return result


def report(folder: Path) -> None:
    """Print the table of all programs that have run."""
    true = truth(folder)
    names = [name for name in CONTESTANTS if (folder / name / "cost.json").exists()]
    costs = {name: json.loads((folder / name / "cost.json").read_text()) for name in names}
    found = {name: assess(folder / name, true) for name in names}
    peaks = [true["apparent_jy"][true["name"].index(name)] for name in ("BRIGHT", "HALF")]
    print(f"radiometer, from the SEFD and the imaging weights: {true['noise_jy'] * 1e3:.4f} mJy/beam; ", end="")
    print(f"sources above {_STRONG_SNR:g} sigma where the beam is above {_LEAST_BEAM:g}: {found[names[0]]['sources']}")
    print(f"{'':52}" + "".join(f"{CONTESTANTS[name]:>14}" for name in names))

    def line(text: str, values: dict, form: str) -> None:
        cells = (format(values[name], form) if values.get(name) is not None else "-" for name in names)
        print(f"{text:52}" + "".join(f"{cell:>14}" for cell in cells))

    line("wall [s]", {n: costs[n]["wall_s"] for n in names}, ".1f")
    ours = costs.get("contimg", {}).get("wall_s")
    line("  times ours", {n: costs[n]["wall_s"] / ours for n in names} if ours else {}, ".2f")
    line("CPU [s]", {n: costs[n]["cpu_s"] for n in names}, ".1f")
    line("peak memory [GB]", {n: costs[n]["peak_gb"] for n in names}, ".2f")
    for text, key, form in (
        ("residual rms [mJy/beam]", "rms_mjy", ".4f"),
        ("  times the radiometer's", "over_radiometer", ".3f"),
        ("apparent flux: median error", "apparent_bias", "+.2%"),
        ("  worst", "apparent_worst", ".2%"),
        ("true flux (pbcor): median error", "true_bias", "+.2%"),
        ("  worst", "true_worst", ".2%"),
        ("  slope with the beam, 0.3 to 1", "slope", "+.4f"),
        ("  its error", "slope_error", ".4f"),
        ("median offset [beams]", "offset_median", ".4f"),
        ("  worst", "offset_worst", ".4f"),
        (f"dynamic range round 15 Jy ({peaks[0]:.2f} apparent)", "range_bright", ".0f"),
        ("  rms there, times the radiometer's", "range_over_noise_bright", ".2f"),
        (f"dynamic range round 1 Jy ({peaks[1]:.2f} apparent)", "range_half", ".0f"),
        ("  rms there, times the radiometer's", "range_over_noise_half", ".2f"),
    ):
        line(text, {name: found[name].get(key) for name in names}, form)
    for name in names[1:]:
        _agreement(CONTESTANTS[name], found[names[0]], found[name], folder / names[0])
    (folder / "report.json").write_text(json.dumps({"costs": costs, "found": found}, indent=1))


def _agreement(text: str, ours: dict, other: dict, folder: Path) -> None:
    from astropy.io import fits

    head = fits.getheader(folder / "image.fits")
    width = math.sqrt(head["BMAJ"] * head["BMIN"]) / abs(head["CDELT2"])
    # Where the other's noise, mostly artefacts of the moving beam, is 1 % of the flux or less.
    names = [name for name, (peak, *_) in ours["fluxes"].items() if peak > 100 * other["rms_mjy"] / 1e3]
    if not names:
        print(f"{text} against contimg: no source above 100 times its rms")
        return
    one, two = (np.array([found["fluxes"][name] for name in names]) for found in (ours, other))
    ratio = two[:, 0] / one[:, 0] - 1
    apart = np.hypot(*(two[:, 1:] - one[:, 1:]).T) / width
    print(f"{text} against contimg, {len(names)} sources above 100 times its rms: apparent fluxes ", end="")
    print(f"{np.median(ratio):+.2%} (median), {np.abs(ratio).max():.2%} (worst)")
    print(f"  positions {np.median(apart):.4f} beams (median), {apart.max():.4f} (worst)")


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where data and images are kept; a temporary folder by default")
    parser.add_argument("--small", action="store_true", help="32 antennas, 16 x 12 channels, 1440 pixels")
    parser.add_argument("--smearing", action="store_true", help="simulate what finite channels and integrations take")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tclean", action="store_true", help="run CASA's tclean too (slow)")
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, help="run these, and report on all that have run")
    parser.add_argument("--report", action="store_true", help="run nothing")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        run_one(given.run, given.folder, given.threads)
        return
    with contextlib.ExitStack() as stack:
        folder = given.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="contimg-image-")))
        folder = folder.resolve()
        prepare(folder, small=given.small, smearing=given.smearing)
        contestants = given.only or ["contimg", "wsclean", *(["tclean"] if given.tclean else [])]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        for name in [] if given.report else contestants:
            command = [sys.executable, __file__, "--run", name, "--folder", str(folder)]
            command += ["--threads", str(given.threads)]
            with (folder / f"{name}.log").open("w") as log:
                # CASA leaves temporary files where it runs.
                subprocess.run(command, check=True, env=environment, stdout=log, stderr=log, cwd=folder)
        report(folder)


if __name__ == "__main__":
    main()
