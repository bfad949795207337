"""Apparent places of sources at the array, from astropy, offline and without refraction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from astropy import units as u
from astropy.coordinates import ICRS, EarthLocation, HADec, SkyCoord
from astropy.time import Time
from astropy.utils import iers

from contimg.simulate import constants as c
from contimg.simulate.errors import SimulationError


@contextmanager
def _offline(jd: np.ndarray) -> Iterator[None]:
    """Let astropy use its installed Earth-orientation tables only, without the network.

    They come with the package ``astropy-iers-data``. A date that they do not cover is an error: without UT1
    its positions would be wrong.
    """
    with iers.conf.set_temp("auto_download", False), iers.conf.set_temp("auto_max_age", None):
        covered = iers.earth_orientation_table.get()["MJD"].to_value(u.d)
        mjd = np.asarray(jd) - 2_400_000.5
        if mjd.min() < covered[0] or mjd.max() > covered[-1]:
            first, last = (Time(day, format="mjd").strftime("%Y-%m-%d") for day in (covered[0], covered[-1]))
            raise SimulationError(
                f"--date or --start lies outside the installed Earth-orientation tables: choose {first} to "
                f"{last}, or upgrade astropy-iers-data."
            )
        yield


def _frame(jd: np.ndarray) -> HADec:
    site = EarthLocation.from_geodetic(
        c.SITE_LONGITUDE_RAD * u.rad, c.SITE_LATITUDE_RAD * u.rad, c.SITE_ALTITUDE_M * u.m
    )
    return HADec(obstime=Time(jd, format="jd", scale="utc"), location=site)


def apparent_places(ra_deg: np.ndarray, dec_deg: np.ndarray, jd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return apparent hour angle and declination of sources at given times.

    Parameters
    ----------
    ra_deg, dec_deg : ndarray
        ICRS positions, shape (sources,), deg.
    jd : ndarray
        UTC Julian dates, shape (times,).

    Returns
    -------
    tuple of ndarray
        Hour angle in (-pi, pi] and declination, rad, each (times, sources), in the Earth's own frame
        (precession, nutation, aberration, polar motion and UT1 applied; no refraction).

    Raises
    ------
    SimulationError
        If the installed Earth-orientation tables do not reach the date.
    """
    sky = SkyCoord(np.atleast_1d(ra_deg) * u.deg, np.atleast_1d(dec_deg) * u.deg, frame="icrs")
    with _offline(jd):
        placed = sky[None, :].transform_to(_frame(np.atleast_1d(jd)[:, None]))
    return placed.ha.wrap_at(180 * u.deg).rad, placed.dec.rad


def sun_places(jd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return apparent hour angle in (-pi, pi] and declination of the Sun's centre at UTC Julian dates, rad.

    Topocentric, from astropy's built-in ephemeris (ERFA ``epv00``, good to an arcsecond here).

    Raises
    ------
    SimulationError
        If the installed Earth-orientation tables do not reach the date.
    """
    from astropy.coordinates import get_body, solar_system_ephemeris

    frame = _frame(np.atleast_1d(jd))
    with _offline(jd), solar_system_ephemeris.set("builtin"):
        placed = get_body("sun", frame.obstime, frame.location).transform_to(frame)
    return placed.ha.wrap_at(180 * u.deg).rad, placed.dec.rad


def icrs_of_meridian(dec_rad: np.ndarray | float, jd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (RA, Dec) (ICRS, deg) of hour angle 0 and apparent declination ``dec_rad`` at UTC Julian dates ``jd``."""
    jd = np.atleast_1d(np.asarray(jd, dtype=float))
    dec = np.broadcast_to(np.asarray(dec_rad, dtype=float), jd.shape)
    with _offline(jd):
        sky = SkyCoord(np.zeros(jd.shape) * u.rad, dec * u.rad, frame=_frame(jd)).transform_to(ICRS())
    return sky.ra.deg, sky.dec.deg


def transit_jd(ra_deg: float, dec_deg: float, near_jd: float) -> float:
    """Return the UTC Julian date of the first transit (apparent hour angle 0) at or after ``near_jd``."""
    jd = near_jd
    ha = float(apparent_places(np.array([ra_deg]), np.array([dec_deg]), np.array([jd]))[0][0, 0])
    jd += ((-ha) % (2 * np.pi)) / c.SIDEREAL_RATE_RAD_S / c.SECONDS_PER_DAY
    for _ in range(3):
        ha = float(apparent_places(np.array([ra_deg]), np.array([dec_deg]), np.array([jd]))[0][0, 0])
        jd -= ha / c.SIDEREAL_RATE_RAD_S / c.SECONDS_PER_DAY
    return jd


def stored_uv_angle(dec_rad: float, mjd: float = c.UVW_REFERENCE_MJD) -> float:
    """Return the angle by which the correlator's stored u and v are turned, rad.

    The correlator asks CASA for (u, v, w) in J2000 towards HA 0 at one fixed epoch, so its v axis points to
    the J2000 pole and not to the pole of date: the position angle of the ICRS pole at that point.
    """
    jd = mjd + 2_400_000.5
    ra, dec = icrs_of_meridian(np.array([dec_rad]), np.array([jd]))
    step_deg = 1.0 / 60
    ha, apparent = apparent_places(np.repeat(ra, 2), np.array([dec[0], dec[0] + step_deg]), np.array([jd]))
    east = -(ha[0, 1] - ha[0, 0]) * np.cos(dec_rad)
    return float(np.arctan2(east, apparent[0, 1] - apparent[0, 0]))


def direction_vectors(hour_angle_rad: np.ndarray, dec_rad: np.ndarray) -> np.ndarray:
    """Return unit vectors (..., 3) in the frame of `array.local_positions` for hour angle and declination."""
    cosine = np.cos(dec_rad)
    return np.stack([cosine * np.cos(hour_angle_rad), -cosine * np.sin(hour_angle_rad), np.sin(dec_rad)], axis=-1)
