"""Mosaics of a known sky with noise of a known rms, and catalogues of that sky."""

from __future__ import annotations

import csv

import numpy as np
from astropy.io import fits

from contimg.mosaic.grid import MosaicGrid
from contimg.products.twin import Twin
from tests.support.fake_tiles import DEC_DEG, Sky
from tests.support.twins import write_with_manifest

MOSAIC_ID = "mosaic_20260211T000000"
CELL = 15.0
BEAM = 60.0
FREQ = 1.405e9


def make_mosaic(root, sky: Sky, *, ra=130.0, rms=1e-3, shift_arcsec=(0.0, 0.0), scale=1.0, size=(360, 640), seed=6):
    """Write a mosaic of a known sky: TAN, noise of a known rms that rises to the edge, blank corners."""
    grid = MosaicGrid((ra % 360, DEC_DEG), CELL / 3600, (size[1] // 2, size[0] // 2), size)
    y, x = np.mgrid[: size[0], : size[1]]
    sigma = BEAM / CELL / 2.3548200450309493
    from scipy.ndimage import gaussian_filter

    white = gaussian_filter(np.random.default_rng(seed).normal(size=size), sigma, mode="wrap")
    profile = 1 + 2 * ((y - size[0] / 2) / (size[0] / 2)) ** 2
    image = white * 2 * np.sqrt(np.pi) * sigma * rms * profile
    wcs = grid.wcs()
    cos = np.cos(np.radians(sky.dec_deg))
    xs, ys = wcs.all_world2pix(sky.ra_deg + shift_arcsec[0] / 3600 / cos, sky.dec_deg + shift_arcsec[1] / 3600, 0)
    for a, b, flux in zip(xs, ys, sky.flux_jy, strict=True):
        if -20 < a < size[1] + 20 and -20 < b < size[0] + 20:
            image += scale * flux * np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * sigma**2))
    blank = np.hypot((x - size[1] / 2) / (size[1] / 2), (y - size[0] / 2) / (size[0] / 2)) > 1.15
    folder = root / MOSAIC_ID
    folder.mkdir(parents=True)
    header = wcs.to_header()
    header["BMAJ"], header["BMIN"], header["BPA"], header["BUNIT"] = BEAM / 3600, BEAM / 3600, 0.0, "Jy/beam"
    header["FREQ"] = FREQ
    for suffix, data in (("", image), (".rms", rms * profile)):
        data = np.where(blank, np.nan, data).astype(np.float32)
        fits.PrimaryHDU(data, header).writeto(folder / f"{MOSAIC_ID}{suffix}.fits")
    twin = Twin(
        kind="mosaic",
        id=MOSAIC_ID,
        verdict="passed",
        facts={
            **dict(tiles=["2026-02-11T00:00:00"], tiles_used=["2026-02-11T00:00:00"], n_images=1),
            "start_mjd": 61082.0,
            "end_mjd": 61082.004,
            "bandwidth_hz": 187.5e6,
            "centre_deg": [ra % 360, DEC_DEG],
            "size_px": [size[1], size[0]],
            "cell_arcsec": CELL,
            "area_deg2": 1.0,
            "files": {
                "image": f"{MOSAIC_ID}.fits",
                "weights": f"{MOSAIC_ID}.weights.fits",
                "rms": f"{MOSAIC_ID}.rms.fits",
                "picture": f"{MOSAIC_ID}.png",
                "tiles": f"{MOSAIC_ID}.tiles.csv",
            },
            "beam": {"bmaj_arcsec": BEAM, "bmin_arcsec": BEAM, "bpa_deg": 0.0},
            "freq_hz": FREQ,
        },
        synthetic=True,
    )
    path = root / f"{MOSAIC_ID}.json"
    write_with_manifest(path, twin)
    return path


def make_catalogue(path, sky: Sky, freq_hz=FREQ, index=-0.7):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("name", "ra_deg", "dec_deg", "flux_jy", "ref_freq_hz", "spectral_index"))
        for i, (ra, dec, flux) in enumerate(zip(sky.ra_deg, sky.dec_deg, sky.flux_jy, strict=True)):
            writer.writerow((f"s{i}", f"{ra:.8f}", f"{dec:.8f}", f"{flux:.8f}", freq_hz, index))
    return path


def lattice(ra=130.0, flux=(0.05, 2.0), n=(8, 5)) -> Sky:
    """Return sources on a grid well inside the mosaic, at odd fractions of pixels."""
    rng = np.random.default_rng(11)
    i, j = np.meshgrid(np.arange(n[0]), np.arange(n[1]))
    scale = np.cos(np.radians(DEC_DEG))
    ra_deg = ra + (i.ravel() - (n[0] - 1) / 2) * 0.27 / scale + rng.uniform(-0.02, 0.02, i.size)
    dec_deg = DEC_DEG + (j.ravel() - (n[1] - 1) / 2) * 0.22 + rng.uniform(-0.02, 0.02, i.size)
    return Sky(ra_deg % 360, dec_deg, np.exp(rng.uniform(*np.log(flux), i.size)))
