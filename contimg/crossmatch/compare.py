"""Comparison of a mosaic's sources with a catalogue: matches, flux scale, astrometry, completeness."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.crossmatch.sources import Source, rounded
from contimg.mosaic.noise import SIGMA_PER_MAD
from contimg.sky.catalogue import Catalogue

COMPLETENESS_SNR = 10.0
"""A source is expected, and an unmatched one is suspicious, from this S/N on: far above the 5 sigma of the search."""
OUTLIER = 0.3
"""A flux ratio off the median by more than this fraction is an outlier."""

COUNTS = ("n_sources", "n_catalogue", "n_matched", "n_compared", "n_expected", "n_expected_found", "n_unmatched")
COMPARED_NUMBERS = (
    "median_flux_ratio", "flux_ratio_mad", "flux_ratio_p05", "flux_ratio_p95", "median_peak_ratio", "flux_outliers",
    "median_dra_arcsec", "median_ddec_arcsec", "median_offset_arcsec", "median_offset_beams",
    "systematic_offset_arcsec",
    "scatter_ra_arcsec", "scatter_dec_arcsec", "offset_p95_arcsec",
)  # fmt: skip
NOT_COMPARED = dict.fromkeys((*COUNTS, *COMPARED_NUMBERS, "completeness"))
"""The ``qa`` of a comparison that could not be made."""

MATCH_COLUMNS = (
    "name", "ra_deg", "dec_deg", "catalogue_flux_jy", "local_rms_jy_beam", "expected_snr", "isolated", "source",
    "separation_arcsec", "dra_arcsec", "ddec_arcsec", "flux_jy", "e_flux_jy", "flux_ratio", "peak_ratio", "compared",
)  # fmt: skip


@dataclass(frozen=True)
class Match:
    """Catalogue sources on covered pixels and what was found of them; arrays in the catalogue's order.

    Attributes
    ----------
    catalogue : Catalogue
        Only the covered sources.
    flux_jy : (n,) float64
        Catalogue flux density at the mosaic's frequency.
    local_rms_jy, expected_snr : (n,) float64
        Noise at the source, and `flux_jy` over it.
    isolated : (n,) bool
        No other catalogue source near enough to be confused with it.
    source : (n,) int
        Index of the nearest found source within the radius; -1 without one.
    separation_arcsec, dra_arcsec, ddec_arcsec : (n,) float64
        Found minus catalogue, on the sky (dRA times cos dec); NaN without a match.
    flux_ratio, peak_ratio : (n,) float64
        Found over catalogue, of the integrated flux and of the peak; NaN without a match. The peak of an unresolved
        source is the more precise (1/SNR against sqrt(3)/SNR), but falls with smearing and with size.
    compared : (n,) bool
        Matched, isolated and above the S/N that counts.
    unmatched : (m,) int
        Indices of found sources with S/N >= 10 and no catalogue source within the radius.
    """

    catalogue: Catalogue
    flux_jy: NDArray[np.float64]
    local_rms_jy: NDArray[np.float64]
    expected_snr: NDArray[np.float64]
    isolated: NDArray[np.bool_]
    source: NDArray[np.int64]
    separation_arcsec: NDArray[np.float64]
    dra_arcsec: NDArray[np.float64]
    ddec_arcsec: NDArray[np.float64]
    flux_ratio: NDArray[np.float64]
    peak_ratio: NDArray[np.float64]
    compared: NDArray[np.bool_]
    unmatched: NDArray[np.int64]


def match(
    sources: Sequence[Source],
    catalogue: Catalogue,
    rms: NDArray[np.float32],
    wcs: Any,
    *,
    freq_hz: float,
    beam_deg: float,
    radius_arcsec: float,
    min_snr: float,
) -> Match:
    """Match found sources with a catalogue, on the sphere.

    The S/N that selects is the one *expected* from the catalogue's flux: to select by the measured one
    would prefer sources that noise made brighter, and bias the ratios high.

    Parameters
    ----------
    sources : sequence of Source
    catalogue : Catalogue
        All sky or any part of it.
    rms : (ny, nx) float32
        Local rms of the mosaic (Jy/beam), NaN where it has no coverage.
    wcs : astropy.wcs.WCS
        Of `rms`.
    freq_hz : float
        Frequency of the mosaic, to which the catalogue is scaled with each source's spectral index.
    beam_deg : float
        Major axis of the beam. A catalogue source counts as covered if the mosaic is covered for one beam round it, and
        as isolated if no other one of at least 5 % of its flux lies within twice the larger of radius and beam.
    radius_arcsec : float
        Largest separation of a match.
    min_snr : float
        Smallest expected S/N of a source that is compared.
    """
    covered, noise = _coverage(catalogue, rms, wcs, beam_deg)
    everything = catalogue
    catalogue = catalogue.select(covered)
    flux = catalogue.flux_at(freq_hz)[:, 0]
    found_ra = np.array([s.ra_deg for s in sources])
    found_dec = np.array([s.dec_deg for s in sources])
    n = len(catalogue)
    nearest, separation = np.full(n, -1), np.full(n, np.nan)
    dra, ddec, ratio, peak_ratio = (np.full(n, np.nan) for _ in range(4))
    if n and sources:
        index, distance = _nearest(catalogue.ra_deg, catalogue.dec_deg, found_ra, found_dec)
        hit = distance <= radius_arcsec
        nearest[hit], separation[hit] = index[hit], distance[hit]
        chosen = index[hit]
        dra[hit] = (
            3600 * _wrap_deg(found_ra[chosen] - catalogue.ra_deg[hit]) * np.cos(np.radians(catalogue.dec_deg[hit]))
        )
        ddec[hit] = 3600 * (found_dec[chosen] - catalogue.dec_deg[hit])
        ratio[hit] = np.array([sources[i].total_flux_jy for i in chosen]) / flux[hit]
        peak_ratio[hit] = np.array([sources[i].peak_flux_jy_beam for i in chosen]) / flux[hit]
    unmatched = np.array([i for i, s in enumerate(sources) if s.snr >= COMPLETENESS_SNR], dtype=np.int64)
    if len(unmatched) and len(everything):
        _, distance = _nearest(found_ra[unmatched], found_dec[unmatched], everything.ra_deg, everything.dec_deg)
        unmatched = unmatched[distance > radius_arcsec]
    expected = flux / noise[covered]
    isolated = _isolated(everything, covered, freq_hz, 2 * max(radius_arcsec, beam_deg * 3600))
    return Match(
        catalogue=catalogue,
        flux_jy=flux,
        local_rms_jy=noise[covered],
        expected_snr=expected,
        isolated=isolated,
        source=nearest,
        separation_arcsec=separation,
        dra_arcsec=dra,
        ddec_arcsec=ddec,
        flux_ratio=ratio,
        peak_ratio=peak_ratio,
        compared=(nearest >= 0) & isolated & (expected >= min_snr),
        unmatched=unmatched,
    )


def measure(matched: Match, n_sources: int, min_matches: int, beam_arcsec: float) -> dict[str, Any]:
    """Measure flux scale, astrometry and completeness.

    Parameters
    ----------
    matched : Match
    n_sources : int
        Sources found.
    min_matches : int
        With fewer compared (or expected) sources a number is None: not measured.
    beam_arcsec : float
        Geometric mean of the beam's axes, which offsets are compared with.

    Returns
    -------
    dict
        The twin's ``qa``.
    """
    use = matched.compared
    n = int(use.sum())
    strong = matched.expected_snr >= COMPLETENESS_SNR
    n_expected = int(strong.sum())
    n_found = int((strong & (matched.source >= 0)).sum())
    measured: dict[str, Any] = {
        "n_sources": n_sources,
        "n_catalogue": len(matched.catalogue),
        "n_matched": int((matched.source >= 0).sum()),
        "n_compared": n,
        "n_expected": n_expected,
        "n_expected_found": n_found,
        "n_unmatched": len(matched.unmatched),
    }
    if n < min_matches:
        measured |= dict.fromkeys(COMPARED_NUMBERS)
    else:
        measured |= _flux_numbers(matched.flux_ratio[use], matched.peak_ratio[use]) | _offset_numbers(
            matched, use, beam_arcsec
        )
    measured["completeness"] = None if n_expected < min_matches else round(n_found / n_expected, 5)
    return measured


def write_matches(path: Path, matched: Match, sources: Sequence[Source]) -> None:
    """Write one line for each covered catalogue source as CSV; empty fields where nothing was found."""
    with open(path, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(MATCH_COLUMNS)
        for i in range(len(matched.catalogue)):
            source = sources[matched.source[i]] if matched.source[i] >= 0 else None
            row: list[Any] = [
                str(matched.catalogue.name[i]),
                float(matched.catalogue.ra_deg[i]),
                float(matched.catalogue.dec_deg[i]),
                float(matched.flux_jy[i]),
                float(matched.local_rms_jy[i]),
                float(matched.expected_snr[i]),
                "yes" if matched.isolated[i] else "no",
            ]
            if source is None:
                row += [""] * 8
            else:
                row += [
                    source.source,
                    float(matched.separation_arcsec[i]),
                    float(matched.dra_arcsec[i]),
                    float(matched.ddec_arcsec[i]),
                    source.total_flux_jy,
                    source.e_total_flux_jy,
                    float(matched.flux_ratio[i]),
                    float(matched.peak_ratio[i]),
                ]
            writer.writerow([rounded(value) for value in row] + ["yes" if matched.compared[i] else "no"])


def _flux_numbers(ratio: NDArray[np.float64], peak_ratio: NDArray[np.float64]) -> dict[str, float]:
    middle = float(np.median(ratio))
    numbers = {
        "median_flux_ratio": middle,
        "flux_ratio_mad": SIGMA_PER_MAD * np.median(np.abs(ratio - middle)),
        "flux_ratio_p05": np.percentile(ratio, 5),
        "flux_ratio_p95": np.percentile(ratio, 95),
        "median_peak_ratio": np.median(peak_ratio),
        "flux_outliers": np.mean(np.abs(ratio / middle - 1) > OUTLIER),
    }
    return {key: round(float(value), 5) for key, value in numbers.items()}


def _offset_numbers(matched: Match, use: NDArray[np.bool_], beam_arcsec: float) -> dict[str, float]:
    dra, ddec, offset = matched.dra_arcsec[use], matched.ddec_arcsec[use], matched.separation_arcsec[use]
    middle = np.median(dra), np.median(ddec)
    numbers = {
        "median_dra_arcsec": middle[0],
        "median_ddec_arcsec": middle[1],
        "median_offset_arcsec": np.median(offset),
        "median_offset_beams": np.median(offset) / beam_arcsec,
        "systematic_offset_arcsec": np.hypot(*middle),
        "scatter_ra_arcsec": SIGMA_PER_MAD * np.median(np.abs(dra - middle[0])),
        "scatter_dec_arcsec": SIGMA_PER_MAD * np.median(np.abs(ddec - middle[1])),
        "offset_p95_arcsec": np.percentile(offset, 95),
    }
    return {key: round(float(value), 5) for key, value in numbers.items()}


def _coverage(
    catalogue: Catalogue, rms: NDArray[np.float32], wcs: Any, beam_deg: float
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return which catalogue sources lie on the mosaic, one beam or more from its edge, and the noise there."""
    from contimg.sky.spherical import separation

    noise = np.full(len(catalogue), np.nan)
    # Half the sky projects to nowhere; what is not within the plane's reach is not asked.
    ra0, dec0 = np.radians(wcs.wcs.crval)
    near = separation(np.radians(catalogue.ra_deg), np.radians(catalogue.dec_deg), ra0, dec0) < np.radians(60)
    if near.any():
        x, y = wcs.all_world2pix(catalogue.ra_deg[near], catalogue.dec_deg[near], 0)
        reach = round(beam_deg / abs(float(wcs.wcs.cdelt[0])))
        noise[near] = [_noise_at(rms, round(b), round(a), reach) for a, b in zip(x, y, strict=True)]
    return np.isfinite(noise), noise


def _noise_at(rms: NDArray[np.float32], row: int, column: int, reach: int) -> float:
    ny, nx = rms.shape
    if not (reach <= row < ny - reach and reach <= column < nx - reach):
        return np.nan
    around = rms[row - reach : row + reach + 1, column - reach : column + reach + 1]
    return float(rms[row, column]) if np.isfinite(around).all() else np.nan


def _isolated(
    everything: Catalogue, covered: NDArray[np.bool_], freq_hz: float, distance_arcsec: float
) -> NDArray[np.bool_]:
    """Return for each covered source whether no other of at least 5 % of its flux lies within a distance."""
    import astropy.units as u
    from astropy.coordinates import SkyCoord, search_around_sky

    origin = np.nonzero(covered)[0]
    catalogue = everything.select(origin)
    result = np.ones(len(catalogue), bool)
    if not len(catalogue):
        return result
    here = SkyCoord(catalogue.ra_deg, catalogue.dec_deg, unit="deg")
    there = SkyCoord(everything.ra_deg, everything.dec_deg, unit="deg")
    one, other, _, _ = search_around_sky(here, there, distance_arcsec * u.arcsec)
    flux, other_flux = catalogue.flux_at(freq_hz)[:, 0], everything.flux_at(freq_hz)[:, 0]
    result[one[(origin[one] != other) & (other_flux[other] >= 0.05 * flux[one])]] = False
    return result


def _nearest(
    ra_deg: NDArray[np.float64],
    dec_deg: NDArray[np.float64],
    ra2_deg: NDArray[np.float64],
    dec2_deg: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return for each direction the index of the nearest of the second set, and its distance (arcsec)."""
    from astropy.coordinates import SkyCoord

    index, separation, _ = SkyCoord(ra_deg, dec_deg, unit="deg").match_to_catalog_sky(
        SkyCoord(ra2_deg, dec2_deg, unit="deg")
    )
    return np.asarray(index, dtype=np.int64), separation.arcsec


def _wrap_deg(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    return (angle + 180) % 360 - 180
