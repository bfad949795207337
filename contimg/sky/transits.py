"""Transits of calibrators through the beam of a drift scan: times, beam response and apparent flux densities."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contimg.config import BeamOptions, CalibrationOptions
from contimg.sky.calibrators import Calibrator
from contimg.sky.constants import C_M_S, SIDEREAL_DAYS_PER_DAY
from contimg.times import MJD_ZERO_JD

BAND_CENTRE_HZ = 1.405e9
_SIDEREAL_RAD_DAY = 2 * np.pi * SIDEREAL_DAYS_PER_DAY


@dataclass(frozen=True)
class Transit:
    """A calibrator that crosses the meridian within the main beam.

    Attributes
    ----------
    name : str
    time_mjd : float
        UTC.
    offset_deg : float
        Apparent declination of the calibrator less that of the beam.
    beam_response : float
        Of the power beam at transit.
    flux_jy, apparent_flux_jy : float or None
        True, and through the beam; None when no flux is known at the frequency asked for.
    reason : str or None
        Why it is not usable as a calibrator; None when it is.
    dominance : float or None
        Share of the field's apparent flux density that is the calibrator's; None where it was not asked for.
    expected_error : float or None
        Fractional error that gains solved on it can be expected to have; None when it is not usable.
    """

    name: str
    time_mjd: float
    offset_deg: float
    beam_response: float
    flux_jy: float | None
    apparent_flux_jy: float | None
    reason: str | None
    dominance: float | None = None
    expected_error: float | None = None


@dataclass(frozen=True)
class DriftScan:
    """A drift scan on the meridian: the pointing's declination, the time range and the array's location.

    Attributes
    ----------
    dec_app_rad : float
        Apparent declination of the pointing.
    start_mjd, end_mjd : float
        UTC, at most a day apart; a transit exactly at the end is not included.
    longitude_rad, latitude_rad : float
        East longitude and geodetic latitude of the array.
    """

    dec_app_rad: float
    start_mjd: float
    end_mjd: float
    longitude_rad: float
    latitude_rad: float


def transits(
    calibrators: Sequence[Calibrator],
    scan: DriftScan,
    beam: BeamOptions,
    options: CalibrationOptions,
    freq_hz: float = BAND_CENTRE_HZ,
    catalogue: Path | None = None,
) -> list[Transit]:
    """Return the usable calibrators that cross the meridian during a scan, the best first.

    Usable: a flux is known at `freq_hz`, the source is no larger than `options.max_extent_arcsec`, the
    beam's response to it at transit reaches `options.min_beam` and its apparent flux
    `options.min_calibrator_jy`. The best has the smallest `contimg.sky.preference.expected_error`; the field of each
    is looked up in `catalogue` where there is a choice. Other parameters as of `passages`.
    """
    usable = [one for one in passages(calibrators, scan, beam, options, freq_hz) if one.reason is None]
    known = {calibrator.name: calibrator for calibrator in calibrators} if usable else {}
    field = catalogue if len(usable) > 1 else None
    rated = [_rated(one, known[one.name], beam, freq_hz, field) for one in usable]
    return sorted(rated, key=lambda one: (one.expected_error, one.name))


def _rated(one: Transit, calibrator: Calibrator, beam: BeamOptions, freq_hz: float, catalogue: Path | None) -> Transit:
    """Return a transit with its share of the field's flux and the error to be expected."""
    from contimg.sky.preference import dominance, expected_error

    apparent = one.apparent_flux_jy or 0.0
    share = None if catalogue is None else dominance(calibrator, apparent, one.offset_deg, catalogue, beam, freq_hz)
    return replace(one, dominance=share, expected_error=expected_error(calibrator, apparent, share))


def passages(
    calibrators: Sequence[Calibrator],
    scan: DriftScan,
    beam: BeamOptions,
    options: CalibrationOptions,
    freq_hz: float = BAND_CENTRE_HZ,
) -> list[Transit]:
    """Return the calibrators that cross the meridian within the main beam, usable or not, in order of time.

    Parameters
    ----------
    calibrators : sequence of Calibrator
    scan : DriftScan
    beam : BeamOptions
    options : CalibrationOptions
    freq_hz : float
        Frequency at which beam and flux are evaluated.

    Notes
    -----
    Apparent places from IAU 2006/2000A, computed once a day, with aberration and without parallax:
    accurate to 1 arcsec. UT1 is taken as UTC: an error of at most 0.9 s in the time of transit.
    """
    if not calibrators:
        return []
    from contimg.sky.primary_beam import airy_response

    ra_app, dec_app = _apparent_places(tuple(calibrators), int(np.floor(scan.start_mjd)))
    lst = _sidereal_time(scan.start_mjd) + scan.longitude_rad
    wait_days = np.mod(ra_app - lst, 2 * np.pi) / _SIDEREAL_RAD_DAY
    first_null_rad = C_M_S / freq_hz / beam.dish_diameter_m
    found = []
    for i in map(int, np.flatnonzero(wait_days < scan.end_mjd - scan.start_mjd)):
        above_horizon = abs(dec_app[i] - scan.latitude_rad) < np.pi / 2
        offset_rad = float(dec_app[i] - scan.dec_app_rad)
        if not above_horizon or abs(offset_rad) >= first_null_rad:
            continue
        east_rad, north_rad = np.radians(beam.offset)
        response = float(airy_response(math.hypot(offset_rad - north_rad, east_rad), freq_hz, beam))
        for time_mjd in np.arange(scan.start_mjd + wait_days[i], scan.end_mjd, 2 * np.pi / _SIDEREAL_RAD_DAY):
            found.append(_passage(calibrators[i], float(time_mjd), offset_rad, response, options, freq_hz))
    return sorted(found, key=lambda one: (one.time_mjd, one.name))


def _passage(
    calibrator: Calibrator,
    time_mjd: float,
    offset_rad: float,
    response: float,
    options: CalibrationOptions,
    freq_hz: float,
) -> Transit:
    """Return one transit, with the reason if it is not usable as a calibrator."""
    flux = apparent = None
    covered = calibrator.range_hz is None or calibrator.range_hz[0] <= freq_hz <= calibrator.range_hz[1]
    if calibrator.coefficients is not None and covered:
        flux = float(calibrator.flux_jy(freq_hz))
        apparent = response * flux
    reason = None
    if calibrator.coefficients is None:
        reason = calibrator.anchor  # holds the reason why there is no flux
    elif apparent is None:
        reason = f"no flux is known at {freq_hz / 1e9:.3f} GHz"
    elif calibrator.extent_arcsec > options.max_extent_arcsec:
        limit = f"calibration.max_extent_arcsec is {options.max_extent_arcsec:g}"
        reason = f"{calibrator.extent_arcsec:g} arcsec across, {limit}"
    elif response < options.min_beam:
        reason = f"the beam's response is {response:.2f}, calibration.min_beam is {options.min_beam:g}"
    elif apparent < options.min_calibrator_jy:
        reason = f"{apparent:.2f} Jy through the beam, calibration.min_calibrator_jy is {options.min_calibrator_jy:g}"
    return Transit(calibrator.name, time_mjd, float(np.degrees(offset_rad)), response, flux, apparent, reason)


@functools.lru_cache(maxsize=1024)
def _apparent_places(
    calibrators: tuple[Calibrator, ...], day_mjd: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return apparent right ascension and declination (rad) of the equinox of date, at noon of a day."""
    import erfa

    ra = np.radians([c.ra_deg for c in calibrators])
    dec = np.radians([c.dec_deg for c in calibrators])
    zero = np.zeros_like(ra)
    # TT = UTC + about 69 s, which is negligible here
    ra_cirs, dec_cirs, origins = erfa.atci13(ra, dec, zero, zero, zero, zero, MJD_ZERO_JD, day_mjd + 0.5)
    return erfa.anp(ra_cirs - origins), dec_cirs


def _sidereal_time(mjd: float) -> float:
    """Return Greenwich apparent sidereal time (rad), with UT1 = UTC."""
    import erfa

    return float(erfa.gst06a(MJD_ZERO_JD, mjd, MJD_ZERO_JD, mjd + 69.2 / 86400))
