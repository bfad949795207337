"""Flux calibrators: the built-in list, users' lists, fluxes, and transits through the beam.

Light on purpose: the plan asks for the transits of tens of thousands of tiles.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from contimg.config import BeamOptions, CalibrationOptions
from contimg.errors import InputError, UnknownIdError

MJD_ZERO_JD = 2400000.5
BAND_CENTRE_HZ = 1.405e9
SIDEREAL_RATE_RAD_DAY = 2 * np.pi * 1.00273790935  # Earth rotation against the equinox (IERS Conventions)


@dataclass(frozen=True)
class Calibrator:
    """A source whose flux is known.

    Attributes
    ----------
    name : str
    ra_deg, dec_deg : float
        ICRS.
    coefficients : tuple of float, or None
        ``log10(S / Jy) = sum_i a_i log10(f / GHz)^i``; None when no flux is known.
    range_hz : (float, float), or None
        Where the coefficients hold; None when the list does not say.
    anchor : str
        What the flux rests on, for the twins.
    extent_arcsec : float
        Largest angular size; 0 when the list does not say.
    notes : str
    """

    name: str
    ra_deg: float
    dec_deg: float
    coefficients: tuple[float, ...] | None
    range_hz: tuple[float, float] | None
    anchor: str
    extent_arcsec: float = 0.0
    notes: str = ""

    def flux_jy(self, freq_hz: ArrayLike) -> NDArray[np.float64]:
        """Return the flux density (Jy), in the shape of `freq_hz`.

        Raises
        ------
        InputError
            If the calibrator has no flux, or a frequency lies outside its range.
        """
        if self.coefficients is None:
            raise InputError(f"calibrator '{self.name}' has no flux: give it one in calibration.calibrators")
        freq = np.asarray(freq_hz, dtype=np.float64)
        if self.range_hz is not None and (np.min(freq) < self.range_hz[0] or np.max(freq) > self.range_hz[1]):
            low, high = (f"{edge / 1e9:g}" for edge in self.range_hz)
            raise InputError(
                f"calibrator '{self.name}' has a known flux from {low} to {high} GHz only, "
                f"not at {np.min(freq) / 1e9:.4g} to {np.max(freq) / 1e9:.4g} GHz: choose another calibrator"
            )
        return 10 ** np.polynomial.polynomial.polyval(np.log10(freq / 1e9), self.coefficients)


@dataclass(frozen=True)
class Transit:
    """A calibrator that crosses the meridian within the beam's main lobe.

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
        Why it cannot calibrate; None when it can.
    """

    name: str
    time_mjd: float
    offset_deg: float
    beam_response: float
    flux_jy: float | None
    apparent_flux_jy: float | None
    reason: str | None


# Perley & Butler 2017, ApJS 230, 7: coefficients of Table 6 (GHz), ranges and largest angular sizes of
# the text and Table 1. Epoch 2016; 3C48, 3C138, 3C147 and 3C380 vary by some per cent over the years.
# Positions: ICRF where the source is in it, else the CASA list of flux standards (2 arcsec or better).
_P = "Perley & Butler 2017, epoch 2016"
_PERLEY_BUTLER = (
    ("J0133-3629", 23.490417, -36.493333, (1.0440, -0.6619, -0.2252), (0.2, 4), 840, "double lobed"),
    ("3C48", 24.4220809, 33.1597592, (1.3253, -0.7553, -0.1914, 0.0498), (0.05, 50), 1.2, "varies slowly"),
    ("Fornax A", 50.674121, -37.208200, (2.2175, -0.6606), (0.2, 0.5), 3300, "double lobed"),
    ("3C123", 69.268230, 29.670505, (1.8017, -0.7884, -0.1035, -0.0248, 0.0090), (0.05, 50), 44, "double"),
    ("J0444-2809", 71.157083, -28.165278, (0.9710, -0.8938, -0.1176), (0.2, 2), 120, "double"),
    (
        "3C138", 80.2911918, 16.6394587,
        (1.0088, -0.4981, -0.1552, -0.0102, 0.0223), (0.2, 50), 0.7, "varies, flares above 10 GHz",
    ),
    ("Pictor A", 79.957179, -45.778847, (1.9380, -0.7470, -0.0739), (0.2, 4), 500, "double lobed"),
    ("Taurus A", 83.633208, 22.014472, (2.9516, -0.2173, -0.0473, -0.0674), (0.05, 4), 480, "supernova remnant"),
    (
        "3C147", 85.6505746, 49.8520093,
        (1.4516, -0.6961, -0.2007, 0.0640, -0.0464, 0.0289), (0.05, 50), 0.9, "varies slowly",
    ),
    ("3C196", 123.400138, 48.217378, (1.2872, -0.8530, -0.1534, -0.0200, 0.0201), (0.05, 50), 7, "close double"),
    ("Hydra A", 139.523620, -12.095542, (1.7795, -0.9176, -0.0843, -0.0139, 0.0295), (0.05, 12), 480, "lobes"),
    ("Virgo A", 187.7059308, 12.3911233, (2.4466, -0.8116, -0.0483), (0.05, 3), 840, "halo"),
    ("3C286", 202.7845329, 30.5091550, (1.2481, -0.4507, -0.1798, 0.0357), (0.05, 50), 3, "steady"),
    ("3C295", 212.8360321, 52.2025392, (1.4701, -0.7658, -0.2780, -0.0347, 0.0399), (0.05, 50), 5, "steady"),
    ("Hercules A", 252.783946, 4.992589, (1.8298, -1.0247, -0.0951), (0.2, 12), 190, "double lobed"),
    ("3C353", 260.117279, -0.979756, (1.8627, -0.6938, -0.0998, -0.0732), (0.2, 4), 320, "double lobed"),
    (
        "3C380", 277.382430, 48.746156,
        (1.2320, -0.7909, 0.0947, 0.0976, -0.1794, -0.1566), (0.05, 4), 20, "core and halo, varies",
    ),
    ("Cygnus A", 299.868152, 40.733916, (3.3498, -1.0022, -0.2246, 0.0227, 0.0425), (0.05, 12), 120, "double lobed"),
    ("3C444", 333.607300, -17.026747, (1.1064, -1.0052, -0.0750, -0.0767), (0.2, 12), 120, "double lobed"),
    ("Cassiopeia A", 350.850000, 58.815000, (3.3584, -0.7518, -0.0347, -0.0705), (0.2, 4), 480, "fades 0.7 % a year"),
)  # fmt: skip


@functools.cache
def builtin() -> tuple[Calibrator, ...]:
    """Return the twenty sources of Perley & Butler 2017."""
    return tuple(
        Calibrator(name, ra, dec, coefficients, (low * 1e9, high * 1e9), _P, extent, notes)
        for name, ra, dec, coefficients, (low, high), extent, notes in _PERLEY_BUTLER
    )


def load(source: str | Path) -> tuple[Calibrator, ...]:
    """Read a list of calibrators.

    Parameters
    ----------
    source : str or Path
        ``builtin`` for Perley & Butler 2017; a CSV, VOTable or FITS file with the columns
        ``name, ra_deg, dec_deg, flux_jy`` and optional ``ref_freq_hz``, ``spectral_index``; or the VLA
        calibrator list in its text form (.txt). A source without a flux is kept: asked for its flux, it raises.

    Raises
    ------
    InputError
        If the file is missing or a column is missing or wrong.
    """
    if str(source) == "builtin":
        return builtin()
    path = Path(source)
    return _load_file(str(path), path.stat().st_mtime_ns if path.exists() else 0)


@functools.lru_cache(maxsize=8)
def _load_file(path: str, _modified_ns: int) -> tuple[Calibrator, ...]:
    from contimg.catalogue import read_catalogue
    from contimg.vla_list import is_vla_list, read_vla_list

    if is_vla_list(Path(path)):
        return read_vla_list(Path(path))
    table = read_catalogue(Path(path), allow_missing_flux=True)
    assumed = " (spectral index assumed)" if "spectral_index" in table.assumed else ""
    listed = []
    for i, name in enumerate(table.name):
        flux, index, reference = table.flux_jy[i], table.spectral_index[i], table.ref_freq_hz[i]
        known = bool(np.isfinite(flux))
        anchor = f"{Path(path).name}: {flux:g} Jy at {reference / 1e9:g} GHz, index {index:g}{assumed}"
        listed.append(
            Calibrator(
                name=str(name),  # a numpy string would look like a changed parameter to the workflow
                ra_deg=float(table.ra_deg[i]),
                dec_deg=float(table.dec_deg[i]),
                coefficients=(
                    (float(np.log10(flux) - index * np.log10(reference / 1e9)), float(index)) if known else None
                ),
                range_hz=None,
                anchor=anchor if known else f"{Path(path).name}: no flux",
            )
        )
    return tuple(listed)


def find(calibrators: Sequence[Calibrator], name: str) -> Calibrator:
    """Return the calibrator of that name; spaces and case do not matter.

    Raises
    ------
    UnknownIdError
        If there is none.
    """
    wanted = _plain(name)
    for calibrator in calibrators:
        if _plain(calibrator.name) == wanted:
            return calibrator
    raise UnknownIdError(f"calibrator '{name}' is not in the list of calibrators: see calibration.calibrators")


def _plain(name: str) -> str:
    return "".join(name.split()).casefold()


def transits(
    calibrators: Sequence[Calibrator],
    dec_app_rad: float,
    start_mjd: float,
    end_mjd: float,
    longitude_rad: float,
    latitude_rad: float,
    beam: BeamOptions,
    options: CalibrationOptions,
    freq_hz: float = BAND_CENTRE_HZ,
) -> list[Transit]:
    """Return the usable calibrators that cross the meridian during a tile, brightest first.

    Usable: a flux is known at `freq_hz`, the source is no larger than `options.max_extent_arcsec`, the
    beam's response to it at transit reaches `options.min_beam` and its apparent flux
    `options.min_calibrator_jy`. Parameters as of `passages`.
    """
    found = passages(calibrators, dec_app_rad, start_mjd, end_mjd, longitude_rad, latitude_rad, beam, options, freq_hz)
    usable = [one for one in found if one.reason is None]
    return sorted(usable, key=lambda one: (-(one.apparent_flux_jy or 0.0), one.name))


def passages(
    calibrators: Sequence[Calibrator],
    dec_app_rad: float,
    start_mjd: float,
    end_mjd: float,
    longitude_rad: float,
    latitude_rad: float,
    beam: BeamOptions,
    options: CalibrationOptions,
    freq_hz: float = BAND_CENTRE_HZ,
) -> list[Transit]:
    """Return the calibrators that cross the meridian within the beam's main lobe, usable or not, in order of time.

    Parameters
    ----------
    dec_app_rad : float
        Apparent declination that the dishes point at, on the meridian.
    start_mjd, end_mjd : float
        UTC, at most a day apart; a transit at the end belongs to what comes next.
    longitude_rad, latitude_rad : float
        East longitude and latitude of the array.
    freq_hz : float
        Frequency at which beam and flux are evaluated.

    Notes
    -----
    Apparent places from IAU 2006/2000A, computed once a day, with aberration and without parallax:
    good to 1 arcsec. UT1 is taken as UTC: at most 0.9 s in the time of transit.
    """
    if not calibrators:
        return []
    from contimg.beam import airy_power

    ra_app, dec_app = _apparent_places(tuple(calibrators), int(np.floor(start_mjd)))
    lst = _sidereal_time(start_mjd) + longitude_rad
    wait_days = np.mod(ra_app - lst, 2 * np.pi) / SIDEREAL_RATE_RAD_DAY
    first_null_rad = 299_792_458.0 / freq_hz / beam.dish_diameter_m
    found = []
    for i in np.flatnonzero(wait_days < end_mjd - start_mjd):
        above_horizon = abs(dec_app[i] - latitude_rad) < np.pi / 2
        offset_rad = float(dec_app[i] - dec_app_rad)
        if not above_horizon or abs(offset_rad) >= first_null_rad:
            continue
        response = float(airy_power(offset_rad, freq_hz, beam.dish_diameter_m, beam.blockage_diameter_m))
        for time_mjd in np.arange(start_mjd + wait_days[i], end_mjd, 2 * np.pi / SIDEREAL_RATE_RAD_DAY):
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
    """Judge one crossing."""
    flux = apparent = None
    covered = calibrator.range_hz is None or calibrator.range_hz[0] <= freq_hz <= calibrator.range_hz[1]
    if calibrator.coefficients is not None and covered:
        flux = float(calibrator.flux_jy(freq_hz))
        apparent = response * flux
    reason = None
    if calibrator.coefficients is None:
        reason = calibrator.anchor  # says why no flux is known
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
    # TT = UTC + about 69 s: nothing here moves in that time
    ra_cirs, dec_cirs, origins = erfa.atci13(ra, dec, zero, zero, zero, zero, MJD_ZERO_JD, day_mjd + 0.5)
    return erfa.anp(ra_cirs - origins), dec_cirs


def _sidereal_time(mjd: float) -> float:
    """Return Greenwich apparent sidereal time (rad), with UT1 = UTC."""
    import erfa

    return float(erfa.gst06a(MJD_ZERO_JD, mjd, MJD_ZERO_JD, mjd + 69.2 / 86400))
