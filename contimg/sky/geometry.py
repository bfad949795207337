"""Geometry of a meridian drift-scan array: apparent places, baselines (u, v, w), and phase rotation.

Frames. *Earth frame of the site*: x towards the meridian on the equator, y east, z towards the pole:
ITRF rotated by the longitude of the file's header. A direction of hour angle 0 and declination d is fixed in it.
*Apparent* places (hour angle, declination) are topocentric places of date: precession, nutation,
aberration, polar motion and UT1, no refraction; hour angle is apparent sidereal time minus right ascension
(ERFA's ``atco13`` and ``gst06a``, as in pyuvdata). All ICRS directions are derived from them. Earth
orientation comes from the tables installed with astropy-iers-data, never from the network.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from contimg.errors import InputError
from contimg.sky.constants import C_M_S
from contimg.times import MJD_ZERO_JD

_POLE_STEP_RAD = np.pi / 360
_ARCSEC_RAD = np.pi / 180 / 3600
_RANK = 1e-10
_CLOSURE_M = 1e-5


@dataclass(frozen=True)
class Location:
    """A place on Earth: WGS84 geodetic latitude and longitude (rad, east positive), height (m)."""

    latitude_rad: float
    longitude_rad: float
    height_m: float

    def itrf(self) -> NDArray[np.float64]:
        """Return geocentric ITRF coordinates, (3,) m."""
        import erfa

        return np.asarray(erfa.gd2gc(1, self.longitude_rad, self.latitude_rad, self.height_m))

    @classmethod
    def from_itrf(cls, itrf_m: NDArray[np.float64]) -> Location:
        """Return the place of geocentric ITRF coordinates, (3,) m."""
        import erfa

        longitude, latitude, height = erfa.gc2gd(1, np.asarray(itrf_m, np.float64))
        return cls(float(latitude), float(longitude), float(height))


@dataclass(frozen=True)
class _Orientation:
    """Earth orientation at some times, in the form that ERFA takes."""

    mjd: NDArray[np.float64]
    dut1_s: NDArray[np.float64]
    pole_x_rad: NDArray[np.float64]
    pole_y_rad: NDArray[np.float64]
    sidereal_rad: NDArray[np.float64]
    origins_rad: NDArray[np.float64]


def site_frame(itrf_m: NDArray[np.float64], longitude_rad: float) -> NDArray[np.float64]:
    """Turn ITRF vectors (..., 3) into the Earth frame of the site (x on the meridian, y east, z pole)."""
    cos, sin = np.cos(longitude_rad), np.sin(longitude_rad)
    x, y, z = np.moveaxis(np.asarray(itrf_m, np.float64), -1, 0)
    return np.stack([cos * x + sin * y, cos * y - sin * x, z], axis=-1)


def direction(hour_angle_rad: ArrayLike, dec_rad: ArrayLike) -> NDArray[np.float64]:
    """Return unit vectors (..., 3) in the Earth frame of the site; hour angle grows westward."""
    ha, dec = np.broadcast_arrays(np.asarray(hour_angle_rad, np.float64), np.asarray(dec_rad, np.float64))
    return np.stack([np.cos(dec) * np.cos(ha), -np.cos(dec) * np.sin(ha), np.sin(dec)], axis=-1)


def sidereal_rad(times_mjd: ArrayLike, location: Location) -> NDArray[np.float64]:
    """Return the local apparent sidereal time (rad, 0 to 2 pi) at UTC times."""
    return np.mod(_last(_orientation(times_mjd), location), 2 * np.pi)


def apparent_from_icrs(
    icrs_rad: ArrayLike, times_mjd: ArrayLike, location: Location
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return apparent hour angle in (-pi, pi] and declination (rad) of ICRS directions at UTC times.

    Parameters
    ----------
    icrs_rad : (..., 2) array_like
        Right ascension and declination.
    times_mjd : array_like
        UTC, broadcast against the directions.
    location : Location

    Raises
    ------
    InputError
        For a time beyond the installed Earth-orientation tables.
    """
    import erfa

    icrs = np.asarray(icrs_rad, np.float64)
    earth = _orientation(times_mjd)
    _, _, _, dec, ra, origins = erfa.atco13(icrs[..., 0], icrs[..., 1], 0.0, 0.0, 0.0, 0.0, *_observer(earth, location))
    # atco13's right ascension counts from the CIO; the sidereal time from the equinox.
    ha = _last(earth, location) - (ra - origins)
    return np.pi - np.mod(np.pi - ha, 2 * np.pi), dec


def icrs_from_apparent(
    hour_angle_rad: ArrayLike, dec_rad: ArrayLike, times_mjd: ArrayLike, location: Location
) -> NDArray[np.float64]:
    """Return the ICRS directions (..., 2) rad of apparent places; the inverse of `apparent_from_icrs`."""
    import erfa

    earth = _orientation(times_mjd)
    ra = _last(earth, location) - np.asarray(hour_angle_rad, np.float64)
    icrs = erfa.atoc13("r", ra + earth.origins_rad, np.asarray(dec_rad), *_observer(earth, location))
    return np.stack([np.mod(icrs[0], 2 * np.pi), icrs[1]], axis=-1)


def meridian_icrs(times_mjd: ArrayLike, dec_app_rad: float, location: Location) -> NDArray[np.float64]:
    """Return the ICRS directions (..., 2) rad that are on the meridian at an apparent declination.

    This is where a drift-scan dish points, and the direction for which the correlator stops the fringes.
    """
    return icrs_from_apparent(0.0, dec_app_rad, times_mjd, location)


def basis(centre_icrs_rad: ArrayLike, times_mjd: ArrayLike, location: Location) -> NDArray[np.float64]:
    """Return the unit vectors u, v, w of an ICRS phase centre in the Earth frame of the site.

    w points to the centre's apparent place; v to the ICRS north pole as projected on the sky, u to the
    east of it. The position angle of ICRS north is taken over one degree of the apparent meridian through
    the centre, as pyuvdata defines it (`calc_frame_pos_angle`).

    Returns
    -------
    (ntime, 3, 3) float64
        ``basis[t] @ b`` is the (u, v, w) of the vector b at time t.
    """
    import erfa

    times = np.atleast_1d(np.asarray(times_mjd, np.float64))
    ha, dec = apparent_from_icrs(centre_icrs_rad, times, location)
    if np.any(np.abs(dec) > np.pi / 2 - _POLE_STEP_RAD):
        raise ValueError("a phase centre within half a degree of the celestial pole has no stable north")
    south = icrs_from_apparent(ha, dec - _POLE_STEP_RAD, times, location)
    north = icrs_from_apparent(ha, dec + _POLE_STEP_RAD, times, location)
    angle = erfa.pas(south[..., 0], south[..., 1], north[..., 0], north[..., 1])
    east = np.stack([np.sin(ha), np.cos(ha), np.zeros_like(ha)], axis=-1)
    up = np.stack([-np.sin(dec) * np.cos(ha), np.sin(dec) * np.sin(ha), np.cos(dec)], axis=-1)
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    return np.stack([cos * east + sin * up, cos * up - sin * east, direction(ha, dec)], axis=1)


def uvw(
    positions_itrf_m: NDArray[np.float64], centre_icrs_rad: ArrayLike, times_mjd: ArrayLike, location: Location
) -> NDArray[np.float64]:
    """Return (u, v, w) of antenna positions towards an ICRS phase centre, (ntime, nant, 3) m.

    Differences of two antennas are a baseline's u, v, w: file sense ``[antenna 2] - [antenna 1]``,
    Measurement Set sense the opposite (see `contimg.measurement_set`).
    """
    local = site_frame(positions_itrf_m, location.longitude_rad)
    return np.einsum("tij,aj->tai", basis(centre_icrs_rad, times_mjd, location), local)


def antenna_uvw(
    uvw_m: NDArray[np.float64], one: NDArray[np.intp], two: NDArray[np.intp], count: int
) -> NDArray[np.float64]:
    """Return antenna coordinates (count, 3) whose differences, first less second, are the baselines' uvw (m).

    Parameters
    ----------
    uvw_m : (nrow, 3)
        Of one integration, any baselines in any order.
    one, two : (nrow,) int
        The antennas of each row, from 0 to ``count - 1``.
    count : int

    Raises
    ------
    ValueError
        If the baselines do not close to 10 micrometres: then uvw are not those of antennas.

    Notes
    -----
    Least squares with the graph's Laplacian. What baselines do not determine, such as the mean position,
    has an eigenvalue of 0; rounding makes it up to 1e-14 of the largest, and numpy's default limit is half that.
    """
    laplacian, right = np.zeros((count, count)), np.zeros((count, 3))
    for rows, columns, sign in ((one, one, 1), (two, two, 1), (one, two, -1), (two, one, -1)):
        np.add.at(laplacian, (rows, columns), sign)
    np.add.at(right, one, uvw_m)
    np.add.at(right, two, -uvw_m)
    antennas = np.linalg.pinv(laplacian, rcond=_RANK, hermitian=True) @ right
    miss = np.abs(antennas[one] - antennas[two] - uvw_m).max(initial=0)
    if miss > _CLOSURE_M:
        raise ValueError(f"baselines do not close: uvw miss those of antennas by up to {miss:.2g} m")
    return antennas


def rotation_m(
    positions_itrf_m: NDArray[np.float64],
    centre_icrs_rad: ArrayLike,
    dec_app_rad: float,
    times_mjd: ArrayLike,
    location: Location,
) -> NDArray[np.float64]:
    """Return each antenna's path difference between an ICRS centre and the meridian, (ntime, nant) m.

    Data fringe-stopped to (HA 0, `dec_app_rad`) become data with that centre when each baseline of the
    file (antenna 2 minus antenna 1) is multiplied by ``exp(-2 pi i f/c (d[antenna 2] - d[antenna 1]))``.
    """
    local = site_frame(positions_itrf_m, location.longitude_rad)
    ha, dec = apparent_from_icrs(centre_icrs_rad, np.atleast_1d(times_mjd), location)
    return (direction(ha, dec) - direction(0.0, dec_app_rad)) @ local.T


def phasors(path_m: NDArray[np.float64], freq_hz: NDArray[np.float64]) -> NDArray[np.complex64]:
    """Return ``exp(-2 pi i f/c path)``, (..., nchan), computed in float64."""
    turns = np.asarray(path_m)[..., None] * (np.asarray(freq_hz) / C_M_S)
    angle = -2 * np.pi * (turns - np.rint(turns))
    result = np.empty(angle.shape, np.complex64)
    result.real, result.imag = np.cos(angle), np.sin(angle)
    return result


@functools.cache
def _earth_orientation() -> NDArray[np.float64]:
    """Return MJD, pole x and y (arcsec) and UT1-UTC (s) from the installed IERS table, (4, ndays).

    Bulletin B where it has values, else bulletin A with its predictions. The columns are those of
    ``finals2000A.all`` (IERS readme.finals2000A). Astropy's reader of the same file takes 3 s.
    """
    import astropy_iers_data

    days = []
    with open(astropy_iers_data.IERS_A_FILE) as file:
        for line in file:
            bulletin_a = (line[18:27], line[37:46], line[58:68])
            bulletin_b = (line[134:144], line[144:154], line[154:165])
            if all(text.strip() for text in bulletin_a):
                best = [b if b.strip() else a for a, b in zip(bulletin_a, bulletin_b, strict=True)]
                days.append([float(text) for text in (line[7:15], *best)])
    return np.array(days).T


def _orientation(times_mjd: ArrayLike) -> _Orientation:
    """Return the Earth orientation at UTC times; raise InputError outside the installed tables."""
    import erfa

    mjd = np.asarray(times_mjd, np.float64)
    days, pole_x, pole_y, dut1 = _earth_orientation()
    if np.any((mjd < days[0]) | (mjd >= days[-1])):
        raise InputError(
            f"MJD {float(np.max(mjd)):.1f} lies outside the installed Earth-orientation tables "
            f"(MJD {days[0]:.0f} to {days[-1]:.0f}): upgrade the package astropy-iers-data, or correct the file's time"
        )
    # A leap second makes UT1-UTC jump by one at midnight; in between it runs on.
    day = np.searchsorted(days, mjd, side="right") - 1
    step = dut1[day + 1] - dut1[day]
    seconds = dut1[day] + (step - np.rint(step)) * (mjd - days[day])
    pole = [np.interp(mjd, days, one) * _ARCSEC_RAD for one in (pole_x, pole_y)]
    tai = erfa.utctai(MJD_ZERO_JD, mjd)
    terrestrial = erfa.taitt(*tai)
    universal = erfa.utcut1(MJD_ZERO_JD, mjd, seconds)
    matrix = erfa.pnm06a(*terrestrial)
    locator = erfa.s06(*terrestrial, *erfa.bpn2xy(matrix))
    return _Orientation(
        mjd=mjd,
        dut1_s=seconds,
        pole_x_rad=pole[0],
        pole_y_rad=pole[1],
        sidereal_rad=erfa.gst06a(*universal, *terrestrial) + erfa.sp00(*terrestrial),
        origins_rad=erfa.eors(matrix, locator),
    )


def _last(earth: _Orientation, location: Location) -> NDArray[np.float64]:
    """Return the local apparent sidereal time (rad)."""
    return earth.sidereal_rad + location.longitude_rad


def _observer(earth: _Orientation, location: Location) -> tuple[Any, ...]:
    """Return the arguments that ERFA's observed-place routines share; pressure 0 switches refraction off."""
    return (
        MJD_ZERO_JD, earth.mjd, earth.dut1_s, location.longitude_rad, location.latitude_rad, location.height_m,
        earth.pole_x_rad, earth.pole_y_rad, 0.0, 0.0, 0.0, 0.0,
    )  # fmt: skip
