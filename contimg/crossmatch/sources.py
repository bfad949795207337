"""The sources of a mosaic in world coordinates, and their table."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.crossmatch.islands import SkyImage, noise_correlation
from contimg.crossmatch.source_finder import Component, find_components
from contimg.sky.restoring_beam import RestoringBeam
from contimg.sky.spherical import unit_vectors


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
        Integrated flux density and its error; of a source that is not resolved those of its peak.
    peak_flux_jy_beam, e_peak_flux_jy_beam : float
    bmaj_arcsec, bmin_arcsec, bpa_deg : float
        Fitted size (FWHM), not deconvolved; the beam's where the source is not resolved.
    local_rms_jy_beam, snr : float
        Local noise, and peak over local noise.
    code : str
        S for the only source of an island of bright pixels, C for one of several. (M, several Gaussians in a source,
        stands in tables of earlier versions.)
    gaussians : int
        1; several in tables of earlier versions.
    compactness : float
        Peak over total flux of a fit with a free shape; NaN where none was made.
    e_flux_scale_jy, e_flux_beam_jy, e_flux_position_jy : float
        Systematic errors of the flux density, which the errors above do not hold: of the flux scale, of the primary
        beam and the gains at the source's place, and by tiles that are shifted against each other; NaN where not
        measured (see `source_errors`).
    e_place_arcsec : float
        Systematic error of the position.
    doubt : str
        Why it may be no source, or not this one (see `reliability`); empty for a reliable one.
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
    compactness: float = float("nan")
    e_flux_scale_jy: float = float("nan")
    e_flux_beam_jy: float = float("nan")
    e_flux_position_jy: float = float("nan")
    e_place_arcsec: float = float("nan")
    doubt: str = ""

    @property
    def reliable(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.doubt


def find_sources(data: NDArray[np.floating], rms: NDArray[np.floating], wcs: Any, beam: RestoringBeam) -> list[Source]:
    """Find the sources of a mosaic above 5 sigma, brightest peak first.

    Total fluxes are corrected for the solid angle of the pixels at the source: on a tangent plane (mosaics of earlier
    versions) it shrinks as cos^3 of the distance from the centre, in an equal-area projection it is constant.

    Parameters
    ----------
    data, rms : (ny, nx) array
        Image and local rms in Jy/beam; NaN outside the footprint.
    wcs : astropy.wcs.WCS
        Of the image.
    beam : RestoringBeam
        Of the image's header.
    """
    scale = np.diag(1 / np.radians(wcs.wcs.cdelt))  # pixels from (east, north)
    covariance = scale @ beam.covariance() @ scale
    image = SkyImage(data, rms, covariance, noise_correlation(data, rms, covariance))
    sources = [_as_source(component, wcs, beam) for component in find_components(image)]
    sources.sort(key=lambda s: (-s.peak_flux_jy_beam, s.ra_deg, s.dec_deg))
    return [replace(source, source=i) for i, source in enumerate(sources, start=1)]


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


def _as_source(component: Component, wcs: Any, beam: RestoringBeam) -> Source:
    """Return a fitted component in world coordinates."""
    around = np.array([[0.0, 0.5, -0.5, 0, 0], [0, 0, 0, 0.5, -0.5]])
    ra, dec = wcs.all_pix2world(component.x + around[0], component.y + around[1], 0)
    east = ((ra - ra[0] + 180) % 360 - 180) * np.cos(np.radians(dec[0]))
    # Change of (east, north) in arcsec for one pixel along x and along y.
    slopes = 3600 * np.array([[east[1] - east[2], east[3] - east[4]], [dec[1] - dec[2], dec[3] - dec[4]]])
    e_ra, e_dec = np.sqrt(np.diag(slopes @ component.place_covariance @ slopes.T))
    size = beam
    if component.resolved:
        cell = np.diag(np.radians(wcs.wcs.cdelt))
        size = RestoringBeam.from_covariance(cell @ component.shape @ cell)
    area = pixel_area(wcs, component.x, component.y) if component.resolved else 1.0
    return Source(
        source=0,
        ra_deg=float(ra[0]) % 360,
        dec_deg=float(dec[0]),
        e_ra_arcsec=float(e_ra),
        e_dec_arcsec=float(e_dec),
        total_flux_jy=component.total_jy * area,
        e_total_flux_jy=component.e_total_jy * area,
        peak_flux_jy_beam=component.peak_jy,
        e_peak_flux_jy_beam=component.e_peak_jy,
        bmaj_arcsec=size.bmaj_deg * 3600,
        bmin_arcsec=size.bmin_deg * 3600,
        bpa_deg=size.bpa_deg,
        local_rms_jy_beam=component.rms_jy,
        snr=component.peak_jy / component.rms_jy,
        code="S" if component.alone else "C",
        gaussians=1,
        compactness=component.compactness,
    )
