"""The Sun: its apparent flux density on short baselines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.commissioning.findings import CONFIRMED, NOT_MEASURABLE, REFUTED, Finding
from contimg.commissioning.fringes import Baselines, FringeModel
from contimg.commissioning.transit import Residuals
from contimg.sky import geometry
from contimg.sky.constants import C_M_S
from contimg.sky.sun import SunPlace, sun_apparent
from contimg.statistics import robust_sigma

LONGEST_WAVELENGTHS = 100.0
"""Beyond 130 wavelengths a disc of 32 arcmin is resolved out."""
_DIAMETER_RAD = np.radians(32 / 60)
_SIGMA, _LEAST_JY = 5.0, 3.0


def sun_flux_jy(
    residuals: Sequence[Residuals],
    model: FringeModel,
    baselines: Baselines,
    used: NDArray[np.bool_],
    calibrator_jy: float,
) -> tuple[NDArray[np.float64], float] | None:
    """Return the Sun's apparent flux density in each product and its error, Jy; None without short baselines.

    The Sun adds power on short baselines only. With f the calibrator's part of the power of long baselines and S its
    apparent flux density, a power of x times theirs is that of S sqrt((x - 1) / f); autocorrelations take out gains.

    Parameters
    ----------
    residuals : sequence of Residuals
    model : FringeModel
    baselines : Baselines
    used : (nbl,) bool
        Baselines with steady fringes, of live antennas.
    calibrator_jy : float
        Apparent flux density of the calibrator.
    """
    times = residuals[0].header.times_mjd - model.clock_s / 86400
    local = geometry.site_frame(model.positions_m, model.location.longitude_rad)
    vector = local[baselines.two] - local[baselines.one]
    length = np.linalg.norm(vector, axis=1)
    limit_m = LONGEST_WAVELENGTHS * C_M_S / 1.4e9
    hour_angle, dec = sun_apparent(times, model.location)
    across = _across_m(vector, hour_angle, dec)
    short, long = (across < limit_m) & (length < 3 * limit_m), used & (length > 5 * limit_m)
    if short.sum() < 2 or long.sum() < 10:
        return None
    squares = []
    for one in residuals:
        usual = np.median(one.excess[:, long], axis=1, keepdims=True)
        part = np.median(one.fraction[:, long], axis=1, keepdims=True)
        disc = _disc(across[short] * one.header.freq_hz.mean() / C_M_S)
        power = calibrator_jy**2 / np.maximum(part, 0.02) * (one.excess[:, short] / usual - 1)
        squares.append((power * disc**2).sum(axis=1) / (disc**4).sum())
    values = np.array(squares)
    middle = np.median(values, axis=0)
    flux = np.sqrt(np.maximum(middle, 0))
    scatter = 1.25 * np.array([robust_sigma(column) for column in values.T]) / np.sqrt(len(values))
    error = float((scatter / (2 * np.maximum(flux, np.sqrt(scatter)))).max())
    return flux, error


def _across_m(
    vector: NDArray[np.float64], hour_angle: NDArray[np.float64], dec: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the length (m) of baselines as seen from the Sun."""
    towards = geometry.direction(hour_angle, dec).mean(axis=0)
    return np.asarray(np.sqrt(np.maximum((vector**2).sum(axis=1) - (vector @ towards) ** 2, 0)))


def _disc(wavelengths: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.special import j1

    x = np.maximum(np.pi * _DIAMETER_RAD * wavelengths, 1e-9)
    return np.asarray(2 * j1(x) / x)


def sun_finding(place: SunPlace, measured: tuple[NDArray[np.float64], float] | None) -> Finding:
    """Return the finding on the Sun from its place and its apparent flux."""
    altitude, distance = place.altitude_deg, place.separation_deg
    where = f"altitude {altitude:+.0f}°, {distance:.0f}° from the phase centre"
    details: dict[str, Any] = {"altitude_deg": altitude, "distance_deg": distance}
    if not place.daytime:
        return Finding("sun", CONFIRMED, f"below the horizon: {where}", distance, None, "deg", (), details)
    if measured is None:
        text = f"{where}; no baselines within {LONGEST_WAVELENGTHS:.0f} wavelengths to see it on"
        return Finding("sun", NOT_MEASURABLE, text, distance, None, "deg", (), details)
    flux, error = measured
    size = float(np.abs(flux).max())
    by_receptor = " / ".join(f"{value:.1f}" for value in flux)
    text = f"{where}; apparent {by_receptor} ± {error:.1f} Jy in XX / YY"
    details |= {"apparent_jy": [float(value) for value in flux], "error_jy": error}
    if size > max(_SIGMA * error, _LEAST_JY):
        return Finding("sun", REFUTED, text, size, error, "Jy", ("Sun",), details)
    return Finding("sun", CONFIRMED, text, size, error, "Jy", (), details)
