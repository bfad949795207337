"""Stations, antenna positions, thinning, and the correlator's order of baselines."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from astropy import units as u
from astropy.coordinates import EarthLocation

from contimg.simulate import constants as c
from contimg.simulate.errors import SimulationError

_ORDER_SEED = 110
"""The real correlator order is fixed but not published; a fixed permutation takes its place."""

_FIRST_OUTRIGGER = 103


@dataclass(frozen=True)
class Station:
    """One row of the station table (WGS84, deg and m)."""

    number: int
    latitude_deg: float
    longitude_deg: float
    elevation_m: float
    arm: str
    active: bool


@cache
def load_stations() -> tuple[Station, ...]:
    """Return the 117 stations in number order.

    The table is ``DSA110_Station_Coordinates.csv`` of ``dsa110-antpos`` (2022-02-15); the blank elevation of
    station 117 is 1182.6 m as there. ``active`` marks the 96 antennas in the file header of 2026-01-25.
    """
    text = files("contimg.simulate").joinpath("stations.csv").read_text(encoding="utf-8")
    return tuple(
        Station(
            int(row["station"]),
            float(row["latitude_deg"]),
            float(row["longitude_deg"]),
            float(row["elevation_m"]),
            row["arm"],
            row["active"] == "1",
        )
        for row in csv.DictReader(text.splitlines())
    )


@cache
def active_stations() -> tuple[int, ...]:
    """Return the numbers of the 96 stations with a working antenna."""
    return tuple(station.number for station in load_stations() if station.active)


def antenna_positions() -> np.ndarray:
    """Return the geocentric (ITRF) offsets of all stations from the site's reference point.

    Returns
    -------
    ndarray
        Shape (117, 3), m, row = station number - 1.
    """
    stations = load_stations()
    lat = np.array([station.latitude_deg for station in stations])
    lon = np.array([station.longitude_deg for station in stations])
    height = np.array([station.elevation_m for station in stations])
    site = (np.degrees(c.SITE_LATITUDE_RAD), np.degrees(c.SITE_LONGITUDE_RAD), c.SITE_ALTITUDE_M)
    return _geocentric(lat, lon, height) - _geocentric(*(np.array([value]) for value in site))


def _geocentric(lat_deg: np.ndarray, lon_deg: np.ndarray, height_m: np.ndarray) -> np.ndarray:
    location = EarthLocation.from_geodetic(lon_deg * u.deg, lat_deg * u.deg, height_m * u.m, ellipsoid="WGS84")
    return np.stack([location.x.to_value(u.m), location.y.to_value(u.m), location.z.to_value(u.m)], axis=-1)


def local_positions(geocentric_m: np.ndarray) -> np.ndarray:
    """Rotate geocentric vectors by the site's longitude.

    Returns
    -------
    ndarray
        Same shape (..., 3), m: x towards the meridian on the equator, y east, z towards the pole.
    """
    sine, cosine = np.sin(c.SITE_LONGITUDE_RAD), np.cos(c.SITE_LONGITUDE_RAD)
    x, y, z = np.moveaxis(np.asarray(geocentric_m), -1, 0)
    return np.stack([cosine * x + sine * y, -sine * x + cosine * y, z], axis=-1)


def correlator_order(stations: tuple[int, ...]) -> tuple[int, ...]:
    """Return ``stations`` in the (unsorted, fixed) order in which the correlator holds them."""
    shuffled = np.random.default_rng(_ORDER_SEED).permutation(c.TELESCOPE_STATIONS) + 1
    wanted = set(stations)
    return tuple(int(number) for number in shuffled if number in wanted)


def baseline_pairs(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions in the correlator order of antennas 1 and 2 of every baseline.

    Rows run ``for i: for j <= i: (j, i)``, autocorrelations included.

    Returns
    -------
    tuple of ndarray
        Two integer arrays of shape (count (count + 1) / 2,).
    """
    second, first = np.tril_indices(count)
    return first, second


def meridian_uvw(local_m: np.ndarray, declination_rad: float) -> np.ndarray:
    """Return (u, v, w) of baselines towards hour angle 0, apparent declination ``declination_rad``.

    Parameters
    ----------
    local_m : ndarray
        Baselines in the frame of `local_positions`, shape (..., 3), m.
    declination_rad : float
        Apparent declination, rad.

    Returns
    -------
    ndarray
        Shape (..., 3), m.
    """
    x, y, z = np.moveaxis(np.asarray(local_m), -1, 0)
    sine, cosine = np.sin(declination_rad), np.cos(declination_rad)
    return np.stack([y, -sine * x + cosine * z, cosine * x + sine * z], axis=-1)


def rotate_uv(uvw_m: np.ndarray, angle_rad: float) -> np.ndarray:
    """Rotate u and v by a position angle (w unchanged), as in the correlator's J2000 frame."""
    u_m, v_m, w_m = np.moveaxis(uvw_m, -1, 0)
    sine, cosine = np.sin(angle_rad), np.cos(angle_rad)
    return np.stack([u_m * cosine - v_m * sine, u_m * sine + v_m * cosine, w_m], axis=-1)


def longest_baseline_m(stations: tuple[int, ...]) -> float:
    """Return the longest distance between two of ``stations``, m."""
    chosen = antenna_positions()[np.array(stations) - 1]
    return float(np.linalg.norm(chosen[:, None] - chosen[None], axis=-1).max())


def choose_stations(count: int, max_baseline_m: float | None = None) -> tuple[int, ...]:
    """Choose a subset of the real array with good uv coverage.

    Starting from the two most distant stations, each step adds the station whose new baselines lie farthest
    (in the uv plane, distances capped) from those already there. Outriggers keep at most the share they have
    in the full array. Evenly spaced stations of the arms, which lie on a grid of 5.75 m, would repeat
    baselines and cause grating lobes within the primary beam.

    Parameters
    ----------
    count : int
        Antennas wanted, 3 to 96.
    max_baseline_m : float, optional
        Keep every baseline at or below this length, m.

    Returns
    -------
    tuple of int
        Station numbers in ascending order.

    Raises
    ------
    SimulationError
        If the array has not that many active antennas within ``max_baseline_m``.
    """
    candidates = np.array(active_stations())
    local = local_positions(antenna_positions()[candidates - 1])
    if max_baseline_m is not None:
        allowed = _compact_subset(local, max_baseline_m)
        candidates, local = candidates[allowed], local[allowed]
    if not 3 <= count <= len(candidates):
        limit = "" if max_baseline_m is None else f" with --max-baseline {max_baseline_m:g} m"
        raise SimulationError(f"--antennas {count} is out of range: choose 3 to {len(candidates)}{limit}.")
    if count == len(candidates):
        return tuple(int(number) for number in candidates)
    outrigger = candidates >= _FIRST_OUTRIGGER
    share = max(2, round(count * outrigger.mean()))
    return tuple(sorted(int(candidates[index]) for index in _spread(local[:, 1:], count, outrigger, share)))


def _compact_subset(local: np.ndarray, max_baseline_m: float) -> np.ndarray:
    """Return indices of stations with all mutual distances within the limit, added outwards from the median."""
    distances = np.linalg.norm(local[:, None] - local[None], axis=-1)
    core = np.median(local, axis=0)
    kept: list[int] = []
    for index in np.argsort(np.linalg.norm(local - core, axis=-1), kind="stable"):
        if all(distances[index, other] <= max_baseline_m for other in kept):
            kept.append(int(index))
    return np.array(sorted(kept))


def _spread(
    plane: np.ndarray, count: int, outrigger: np.ndarray, most_outriggers: int, scale_m: float = 12.0
) -> list[int]:
    """Return ``count`` rows of ``plane``, chosen greedily for distinct baselines (see `choose_stations`)."""
    separation = np.linalg.norm(plane[:, None] - plane[None], axis=-1)
    chosen = [int(index) for index in np.unravel_index(np.argmax(separation), separation.shape)]
    baseline = plane[chosen[1]] - plane[chosen[0]]
    covered = np.stack([baseline, -baseline])
    while len(chosen) < count:
        full = outrigger[chosen].sum() >= most_outriggers
        best, best_score = -1, -1.0
        for index in range(len(plane)):
            if index in chosen or (full and outrigger[index]):
                continue
            new = plane[index] - plane[chosen]
            gaps = np.linalg.norm(new[:, None] - covered[None], axis=-1).min(axis=1)
            score = float(np.minimum(gaps, scale_m).sum())
            if score > best_score:
                best, best_score = index, score
        new = plane[best] - plane[chosen]
        covered = np.concatenate([covered, new, -new])
        chosen.append(best)
    return chosen
