"""Source finding in a mosaic with PyBDSF, and the table of the sources."""

from __future__ import annotations

import contextlib
import csv
import gc
import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.plotting import matplotlib_cache
from contimg.sky.spherical import unit_vectors

PEAK_SIGMA = 5.0
"""Least peak of a source, in local rms (PyBDSF's ``thresh_pix``)."""
ISLAND_SIGMA = 3.0
"""Level of the island of pixels that a source is fitted in, in local rms (``thresh_isl``)."""


@dataclass(frozen=True)
class Source:
    """One source of a mosaic.

    Attributes
    ----------
    source : int
        1 for the brightest peak.
    ra_deg, dec_deg : float
        Centroid, ICRS; errors in arcsec on the sky.
    total_flux_jy, e_total_flux_jy : float
        Integrated flux density and its error.
    peak_flux_jy_beam, e_peak_flux_jy_beam : float
    bmaj_arcsec, bmin_arcsec, bpa_deg : float
        Fitted size (FWHM), not deconvolved.
    local_rms_jy_beam, snr : float
        Noise measured round it, and peak over that.
    code : str
        PyBDSF's: S one Gaussian, C one of several in an island, M several Gaussians.
    gaussians : int
    """

    source: int
    ra_deg: float
    dec_deg: float
    e_ra_arcsec: float
    e_dec_arcsec: float
    total_flux_jy: float
    e_total_flux_jy: float
    peak_flux_jy_beam: float
    e_peak_flux_jy_beam: float
    bmaj_arcsec: float
    bmin_arcsec: float
    bpa_deg: float
    local_rms_jy_beam: float
    snr: float
    code: str
    gaussians: int


def find_sources(image: Path, rms: NDArray[np.float32], wcs: Any, freq_hz: float) -> list[Source]:
    """Find the sources of a mosaic above 5 sigma, brightest peak first.

    PyBDSF runs in this process, on one core, in a temporary folder. It takes the local rms that it is given, and no
    background. Its total fluxes are sums over pixels of one size, and are corrected here for the solid angle of the
    pixels at the source: on a tangent plane (mosaics of earlier versions) it shrinks as cos^3 of the distance from the
    centre, in an equal-area projection it is the same everywhere.

    Parameters
    ----------
    image : Path
        FITS in Jy/beam with BMAJ, BMIN, BPA; NaN outside the footprint.
    rms : (ny, nx) float32
        Local rms in Jy/beam.
    wcs : astropy.wcs.WCS
        Of the image.
    freq_hz : float
    """
    from astropy.io import fits

    with tempfile.TemporaryDirectory(prefix="contimg-bdsf-") as name:
        folder = Path(name)
        (folder / "mosaic.fits").symlink_to(image.resolve())
        header = wcs.to_header()
        for file, plane in (("mean.fits", np.zeros_like(rms)), ("rms.fits", rms)):
            fits.PrimaryHDU(plane, header).writeto(folder / file)
        with _quiet():
            sources = [_as_source(item, rms, wcs) for item in _run_bdsf(folder, freq_hz)]
            gc.collect()  # PyBDSF leaves files open: closed here, their ResourceWarnings are ignored
    sources.sort(key=lambda s: (-s.peak_flux_jy_beam, s.ra_deg, s.dec_deg))
    return [Source(**{**asdict(s), "source": i}) for i, s in enumerate(sources, start=1)]


def pixel_area(wcs: Any, x: float, y: float) -> float:
    """Return the solid angle of a pixel over the product of the header's pixel sizes.

    Parameters
    ----------
    wcs : astropy.wcs.WCS
    x, y : float
        Its place (0-based).
    """
    sides = wcs.all_pix2world(x + np.array([-0.5, 0.5, 0, 0]), y + np.array([0, 0, -0.5, 0.5]), 0)
    vectors = unit_vectors(np.radians(np.column_stack(sides)))
    normal = np.cross(vectors[1] - vectors[0], vectors[3] - vectors[2])
    return float(np.linalg.norm(normal) / np.prod(np.abs(np.radians(wcs.wcs.cdelt))))


def write_sources(path: Path, sources: Sequence[Source]) -> None:
    """Write sources as CSV, columns as in `Source`."""
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(Source)], lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: rounded(value) for key, value in asdict(s).items()} for s in sources)


def rounded(value: Any) -> Any:
    """Return a number as the tables write it: nine digits, enough for 0.4 mas of right ascension."""
    return f"{value:.9g}" if isinstance(value, float) else value


def _run_bdsf(folder: Path, freq_hz: float) -> list[Any]:
    """Return PyBDSF's sources in ``mosaic.fits`` of a folder, with the rms and mean maps beside it."""
    matplotlib_cache()  # PyBDSF imports matplotlib
    import bdsf

    result = bdsf.process_image(
        str(folder / "mosaic.fits"),
        outdir=str(folder),
        quiet=True,
        ncores=1,
        frequency=freq_hz,
        rms_map=True,
        mean_map="zero",
        rmsmean_map_filename=["mean.fits", "rms.fits"],  # names below the folder of the image
        thresh="hard",
        thresh_pix=PEAK_SIGMA,
        thresh_isl=ISLAND_SIGMA,
    )
    return list(result.sources)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress PyBDSF's messages and warnings, and restore the settings of logging and numpy that it changes."""
    logger = logging.getLogger("PyBDSF")
    handlers, level, disabled = list(logger.handlers), logger.level, logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # it replaces its handlers on each run: they cannot be silenced one by one
    try:
        with warnings.catch_warnings(), np.errstate():
            warnings.simplefilter("ignore")
            yield
    finally:
        for handler in [h for h in logger.handlers if h not in handlers]:
            logger.removeHandler(handler)
            handler.close()
        logger.setLevel(level)
        logging.disable(disabled)


def _as_source(item: Any, rms: NDArray[np.float32], wcs: Any) -> Source:
    """Return a PyBDSF source, with fluxes corrected for the pixels' solid angle on the tangent plane."""
    ra, dec = (float(x) for x in item.posn_sky_centroid)
    e_ra, e_dec = (float(x) * 3600 for x in item.posn_sky_centroidE)
    x, y = (float(v) for v in wcs.all_world2pix(ra, dec, 0))
    column, row = (min(max(round(v), 0), n - 1) for v, n in ((x, rms.shape[1]), (y, rms.shape[0])))
    area = pixel_area(wcs, x, y)
    noise = float(rms[row, column])
    if not np.isfinite(noise):  # the centroid of an island cut by the edge may lie outside
        noise = float(item.rms_isl)
    bmaj, bmin, bpa = (float(v) for v in item.size_sky)
    return Source(
        source=0,
        ra_deg=ra % 360,
        dec_deg=dec,
        e_ra_arcsec=e_ra,
        e_dec_arcsec=e_dec,
        total_flux_jy=float(item.total_flux) * area,
        e_total_flux_jy=float(item.total_fluxE) * area,
        peak_flux_jy_beam=float(item.peak_flux_max),
        e_peak_flux_jy_beam=float(item.peak_flux_maxE),
        bmaj_arcsec=bmaj * 3600,
        bmin_arcsec=bmin * 3600,
        bpa_deg=bpa,
        local_rms_jy_beam=noise,
        snr=float(item.peak_flux_max) / noise,
        code=str(item.code),
        gaussians=len(item.gaussians),
    )
