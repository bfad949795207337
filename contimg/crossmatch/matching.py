"""Cross-matching of the sources of a mosaic with a catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.crossmatch.sources import Source
from contimg.sky.catalogue import Catalogue

COMPLETENESS_SNR = 10.0
"""S/N above which a catalogue source must be found, and a found source must be in the catalogue.

It is far above the 5 sigma of the source finder, so that noise has no effect on completeness."""
_CONFUSING = 0.05
"""Flux of a neighbour, as a fraction of a source's flux, above which the source is not isolated."""
_PLANE_REACH_RAD = np.radians(60)
"""Largest distance from the tangent point at which pixels are computed: the other hemisphere has no projection."""


@dataclass(frozen=True)
class Match:
    """The catalogue sources on covered pixels and the found sources matched to them, in the catalogue's order.

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
        Found over catalogue, of the integrated flux, and that times the ratio of peak and integrated flux of a fit with
        a free shape, which falls with smearing and with size; NaN without a match.
    e_log_ratio : (n,) float64
        Standard error of ln `flux_ratio`: of the measured flux and, where the catalogue gives it, of its own.
    e_offset_arcsec : (n,) float64
        Standard error of `dra_arcsec` and `ddec_arcsec`, from the noise of the mosaic.
    compared : (n,) bool
        Matched, isolated and above the S/N that counts.
    unmatched : (m,) int
        Indices of found sources with S/N >= 10 and no catalogue source within the radius.
    unmatched_flux_jy : (m,) float64
        Their integrated fluxes.
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
    e_log_ratio: NDArray[np.float64]
    e_offset_arcsec: NDArray[np.float64]
    compared: NDArray[np.bool_]
    unmatched: NDArray[np.int64]
    unmatched_flux_jy: NDArray[np.float64]


@dataclass(frozen=True)
class MatchLimits:
    """The limits of a match and of the comparison.

    Attributes
    ----------
    radius_arcsec : float
        Largest separation of a match.
    min_snr : float
        Smallest expected S/N of a source that is compared.
    """

    radius_arcsec: float
    min_snr: float


def match(  # two lists of sources, and the image that one of them was found in
    sources: Sequence[Source],
    catalogue: Catalogue,
    rms: NDArray[np.float32],
    wcs: Any,
    *,
    freq_hz: float,
    beam_deg: float,
    limits: MatchLimits,
) -> Match:
    """Match found sources with a catalogue, on the sphere.

    Sources are selected for the comparison by the S/N *expected* from the catalogue's flux: selection by the measured
    S/N would prefer sources that noise made brighter, and bias the flux ratios high.

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
    limits : MatchLimits
    """
    covered, noise = _coverage(catalogue, rms, wcs, beam_deg)
    known = catalogue.select(covered)
    flux = known.flux_at(freq_hz)[:, 0]
    pairs = _pair(sources, known, flux, limits.radius_arcsec)
    expected = flux / noise[covered]
    unmatched = _unmatched(sources, catalogue, limits.radius_arcsec)
    isolated = _isolated(catalogue, covered, freq_hz, 2 * max(limits.radius_arcsec, beam_deg * 3600))
    return Match(
        catalogue=known,
        flux_jy=flux,
        local_rms_jy=noise[covered],
        expected_snr=expected,
        isolated=isolated,
        compared=(pairs["source"] >= 0) & isolated & (expected >= limits.min_snr),
        unmatched=unmatched,
        unmatched_flux_jy=np.array([sources[i].total_flux_jy for i in unmatched], np.float64),
        **pairs,
    )


def _pair(
    sources: Sequence[Source], known: Catalogue, flux_jy: NDArray[np.float64], radius_arcsec: float
) -> dict[str, NDArray[Any]]:
    """Return for each catalogue source the nearest found one within the radius, and how it differs.

    Returns
    -------
    dict
        ``source``, ``separation_arcsec``, ``dra_arcsec``, ``ddec_arcsec``, ``flux_ratio``, ``peak_ratio``,
        ``e_log_ratio`` and ``e_offset_arcsec`` as in `Match`.
    """
    n = len(known)
    nearest = np.full(n, -1)
    separation, dra, ddec, ratio, peak_ratio, e_log_ratio, e_offset = (np.full(n, np.nan) for _ in range(7))
    if n and sources:
        found_ra, found_dec = _places(sources)
        index, distance = _nearest(known.ra_deg, known.dec_deg, found_ra, found_dec)
        hit = distance <= radius_arcsec
        chosen = index[hit]
        nearest[hit], separation[hit] = chosen, distance[hit]
        dra[hit] = 3600 * _wrap_deg(found_ra[chosen] - known.ra_deg[hit]) * np.cos(np.radians(known.dec_deg[hit]))
        ddec[hit] = 3600 * (found_dec[chosen] - known.dec_deg[hit])
        total = np.array([sources[i].total_flux_jy for i in chosen])
        ratio[hit] = total / flux_jy[hit]
        compact = np.array([sources[i].compactness for i in chosen])
        peak = np.array([sources[i].peak_flux_jy_beam for i in chosen])
        peak_ratio[hit] = np.where(np.isfinite(compact), compact * total, peak) / flux_jy[hit]
        of_catalogue = np.nan_to_num(known.flux_err_jy[hit] / known.flux_jy[hit], nan=0.0)
        e_log_ratio[hit] = np.hypot(np.array([sources[i].e_total_flux_jy for i in chosen]) / total, of_catalogue)
        e_offset[hit] = np.sqrt(np.array([sources[i].e_ra_arcsec * sources[i].e_dec_arcsec for i in chosen]))
    return {
        "source": nearest,
        "separation_arcsec": separation,
        "dra_arcsec": dra,
        "ddec_arcsec": ddec,
        "flux_ratio": ratio,
        "peak_ratio": peak_ratio,
        "e_log_ratio": e_log_ratio,
        "e_offset_arcsec": e_offset,
    }


def _unmatched(sources: Sequence[Source], catalogue: Catalogue, radius_arcsec: float) -> NDArray[np.int64]:
    """Return the indices of bright found sources without any catalogue source within the radius."""
    bright = np.array([i for i, source in enumerate(sources) if source.snr >= COMPLETENESS_SNR], dtype=np.int64)
    if not len(bright) or not len(catalogue):
        return bright
    found_ra, found_dec = _places(sources)
    _, distance = _nearest(found_ra[bright], found_dec[bright], catalogue.ra_deg, catalogue.dec_deg)
    return bright[distance > radius_arcsec]


def _places(sources: Sequence[Source]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return right ascensions and declinations of found sources (deg)."""
    return np.array([s.ra_deg for s in sources]), np.array([s.dec_deg for s in sources])


def _coverage(
    catalogue: Catalogue, rms: NDArray[np.float32], wcs: Any, beam_deg: float
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return which catalogue sources lie on the mosaic, one beam or more from its edge, and the noise there."""
    from contimg.sky.spherical import separation

    noise = np.full(len(catalogue), np.nan)
    ra0, dec0 = np.radians(wcs.wcs.crval)
    near = separation(np.radians(catalogue.ra_deg), np.radians(catalogue.dec_deg), ra0, dec0) < _PLANE_REACH_RAD
    if near.any():
        x, y = wcs.all_world2pix(catalogue.ra_deg[near], catalogue.dec_deg[near], 0)
        reach = round(beam_deg / abs(float(wcs.wcs.cdelt[0])))
        noise[near] = [_noise_at(rms, round(b), round(a), reach) for a, b in zip(x, y, strict=True)]
    return np.isfinite(noise), noise


def _noise_at(rms: NDArray[np.float32], row: int, column: int, reach: int) -> float:
    """Return the rms at a pixel; NaN where a pixel within `reach` of it has no coverage."""
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
    result[one[(origin[one] != other) & (other_flux[other] >= _CONFUSING * flux[one])]] = False
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
    """Return angles (deg) in [-180, 180)."""
    return (angle + 180) % 360 - 180
