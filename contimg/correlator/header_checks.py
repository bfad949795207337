"""The table of what a subband file's header must hold, shared by the plan, the conversion and `contimg inspect`.

`CHECKS` has one row a key: type, shape, unit, range, and whether the key may be missing. The functions below it look
at what several keys say together. Each returns a problem in words, or None.

Positions of stations that are in no baseline may be unknown (NaN): the correlator's table lists every station that
was ever built, with blanks, and nothing is computed from those positions. A correlated station needs one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from contimg.correlator.band import SUBBAND_WIDTH_HZ

POLARISATIONS = {-5: "XX", -6: "YY", -7: "XY", -8: "YX"}
"""Codes of linear products in ``polarization_array`` (AIPS memo 117)."""
USED_PRODUCTS = ("XX", "YY")

_OLDEST_JD, _NEWEST_JD = 2_458_849.5, 2_466_154.5  # 2020 to 2040
_STEP_TOLERANCE = 0.01  # of an integration; a float64 Julian date is good to 40 us
_WIDTH_TOLERANCE = 1e-3
# The site is flat to 10 m over 3 km; another latitude or longitude stands the array on its edge.
_MAX_HEIGHT_M, _MAX_SLOPE = 50.0, 0.05
# Latitude and longitude (deg) of telescopes by their name, to the spread of what is written of them.
_SITES = {"OVRO_MMA": (37.233, -118.283)}
_SITE_TOLERANCE_DEG = 0.02
# No land within these of (0, 0): such a latitude and longitude are in radians.
_RADIANS = (np.pi / 2, 2 * np.pi)


@dataclass(frozen=True)
class Check:
    """What one key of the header must hold.

    Attributes
    ----------
    key : str
        Below ``/Header``.
    kind : str
        ``integer`` (of any numeric type), ``number`` (floating, of 32 bits at least: an integer latitude has lost
        what matters), ``double`` (64 bits at least), ``text`` (ASCII), ``any text``, ``names`` (ASCII text, or
        integers).
    shape : tuple
        Numbers, and names of sizes that other keys give: stations, rows; ``*`` for any number. A single number may
        be stored with the shape (1,).
    unit : str
    low, high : float
        Inclusive range.
    needed : bool
    code : str
        The reason code of a value that is not finite or out of range.
    of_stations : bool
        One row a station: values of stations in no baseline may be unknown, and are not looked at.
    """

    key: str
    kind: Literal["integer", "number", "double", "text", "any text", "names"]
    shape: tuple[int | str, ...] = ()
    unit: str = ""
    low: float = -np.inf
    high: float = np.inf
    needed: bool = True
    code: str = "contradiction"
    of_stations: bool = False


CHECKS = {
    check.key: check
    for check in (
        Check("Nbls", "integer", low=1, high=1e6),
        Check("Ntimes", "integer", low=1, high=1e5),
        Check("Nants_data", "integer", low=1, high=1e4),
        Check("Nants_telescope", "integer", low=1, high=1e4),
        Check("latitude", "number", unit="deg", low=-90, high=90),
        Check("longitude", "number", unit="deg", low=-360, high=360),
        Check("altitude", "number", unit="m", low=-500, high=9000),
        # Within a degree of the pole north is not defined well enough to phase to.
        Check("phase_center_app_dec", "number", unit="rad", low=-np.radians(89), high=np.radians(89)),
        Check("extra_keywords/ha_phase_center", "number", unit="rad", low=-1e-6, high=1e-6, needed=False),
        Check("telescope_name", "text"),
        Check("history", "any text"),
        Check("extra_keywords/applied_delays_ns", "any text"),
        Check("extra_keywords/fs_table", "any text", needed=False),  # the writer leaves it out when it has none
        Check("antenna_names", "names", ("stations",)),
        Check("antenna_numbers", "integer", ("stations",), low=0, high=1e6),
        Check("antenna_positions", "number", ("stations", 3), unit="m", low=-1e5, high=1e5, of_stations=True),
        Check("antenna_diameters", "number", ("stations",), unit="m", low=0.1, high=100, of_stations=True),
        Check("ant_1_array", "integer", ("rows",), low=0, high=1e6),
        Check("ant_2_array", "integer", ("rows",), low=0, high=1e6),
        Check("time_array", "double", ("rows",), "JD, UTC", low=_OLDEST_JD, high=_NEWEST_JD, code="clock"),
        Check("integration_time", "number", ("rows",), unit="s", low=0.01, high=1000),
        Check("freq_array", "number", (1, "*"), unit="Hz", low=1e8, high=1e11, code="frequency"),
        Check("channel_width", "number", unit="Hz", low=-1e9, high=1e9, code="frequency"),
        Check("polarization_array", "integer", ("*",), low=-8, high=4, code="polarisations"),
    )
}
"""What is looked at, by key below ``/Header``. All other keys are not read."""


def wrong_values(check: Check, values: NDArray[Any]) -> str | None:
    """Return which of a key's values is not finite or out of range."""
    if check.kind == "integer" and (values != np.rint(values)).any():
        return f"{check.key} holds {_first(values, values != np.rint(values))}, not integers"
    bad = ~((values >= check.low) & (values <= check.high))  # NaN is in no range
    if not bad.any():
        return None
    limits = f"{_text(check.low)} to {_text(check.high)} {check.unit}".strip()
    return f"{check.key} holds {_first(values, bad)}, not {limits}" if values.size > 1 else (
        f"{check.key} is {_first(values, bad)}, not {limits}"
    )  # fmt: skip


def _first(values: NDArray[Any], where: NDArray[np.bool_]) -> str:
    return _text(float(values[where].flat[0]))


def _text(value: float) -> str:
    return f"{value:.10g}"


def wrong_times(stamps_jd: NDArray[np.float64], integration_s: float) -> str | None:
    """Return where integrations do not follow each other in steps of the integration time (s).

    The correlator counts samples: its times are one lattice. A clock that jumps within a file would move the
    middle of the tile, and with it the phase centre.
    """
    steps_s = np.diff(stamps_jd) * 86400
    off = np.abs(steps_s - integration_s) > _STEP_TOLERANCE * integration_s
    if not off.any():
        return None
    at = int(np.flatnonzero(off)[0])
    return (
        f"integration {at + 2} in time_array comes {_text(round(float(steps_s[at]), 3))} s after the one before, "
        f"not integration_time = {_text(round(integration_s, 3))} s"
    )


def wrong_width(width_hz: float, channels: int) -> str | None:
    """Return what is wrong with the channels' width (Hz, of either sign)."""
    expected = SUBBAND_WIDTH_HZ / channels
    if abs(abs(width_hz) - expected) > _WIDTH_TOLERANCE * expected:
        return f"channel_width is {_text(width_hz)} Hz, {channels} channels of a subband are {_text(expected)} Hz wide"
    return None


def wrong_site(telescope: str, latitude_deg: float, longitude_deg: float) -> str | None:
    """Return what is wrong with the place of a known telescope: its longitude is the right ascension of its images."""
    if telescope not in _SITES:
        return None
    latitude, longitude = _SITES[telescope]
    off = max(abs(latitude_deg - latitude), abs((longitude_deg - longitude + 180) % 360 - 180))
    if off <= _SITE_TOLERANCE_DEG:
        return None
    return (
        f"latitude {latitude_deg:.4f} and longitude {longitude_deg:.4f} are not those of {telescope}, "
        f"{latitude} and {longitude} deg"
    )


def wrong_products(codes: list[int]) -> str | None:
    """Return what is wrong with the polarisation products: XX and YY must be there, in any order and company."""
    unknown = sorted(set(codes) - set(POLARISATIONS))
    if unknown:
        return f"polarization_array holds {unknown[0]}, not linear polarisations"
    names = [POLARISATIONS[code] for code in codes]
    if len(set(names)) < len(names):
        return f"polarization_array names a product twice ({' '.join(names)})"
    missing = [name for name in USED_PRODUCTS if name not in names]
    return f"polarization_array has no {' and no '.join(missing)} (only {' '.join(names)})" if missing else None


def wrong_baselines(one: NDArray[np.int64], two: NDArray[np.int64], antennas: int) -> str | None:
    """Return what is wrong with the baselines of an integration: every pair once, autocorrelations included.

    Parameters
    ----------
    one, two : (n_baselines,) int64
        Antennas of each baseline.
    antennas : int
        How many there should be.
    """
    pairs = np.sort(np.stack([one, two]), axis=0)
    found = len(np.unique(pairs))
    if found != antennas:
        return f"ant_1_array and ant_2_array name {found} antennas, Nants_data is {antennas}"
    if len(np.unique(pairs[0] * (pairs.max() + 1) + pairs[1])) != pairs.shape[1]:
        return "ant_1_array and ant_2_array hold a baseline twice"
    return None


def wrong_array(
    positions_m: NDArray[np.float64], diameter_m: float, latitude_deg: float, longitude_deg: float
) -> str | None:
    """Return what is wrong with the positions of the correlated antennas, relative to the array's location.

    They must differ from the location and by a dish's diameter from each other, and lie in its horizontal plane.

    Parameters
    ----------
    positions_m : (nant, 3) float64
        ITRF, relative to the location.
    diameter_m, latitude_deg, longitude_deg : float
    """
    if abs(latitude_deg) <= _RADIANS[0] and abs(longitude_deg) <= _RADIANS[1]:
        return f"latitude {latitude_deg:.4f} and longitude {longitude_deg:.4f} are in radians, or in the Atlantic"
    if (positions_m == 0).all(1).any():
        return "antenna_positions of a correlated antenna are 0"
    apart = np.linalg.norm(positions_m[:, None] - positions_m, axis=2)[~np.eye(len(positions_m), dtype=bool)]
    if apart.min(initial=np.inf) < diameter_m:
        return f"antenna_positions of two antennas are {apart.min():.3g} m apart, their dishes are {diameter_m:.3g} m"
    latitude, longitude = np.radians([latitude_deg, longitude_deg])
    zenith = [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)]
    height = float(np.ptp(positions_m @ zenith))
    if height > _MAX_HEIGHT_M + _MAX_SLOPE * apart.max(initial=0):
        return f"antenna_positions differ by {height:.0f} m in height: latitude, longitude or axes are not theirs"
    return None
