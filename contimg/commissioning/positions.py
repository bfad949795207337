"""Errors of antenna positions, clock and integration time from residual fringe rates.

An antenna off by e metres to the east leaves the phase 2 pi f/c e s_E(t), with s_E the change of the source's east
component; one off to the north leaves only a curvature, two hundred times smaller. A clock error t rotates the whole
array about the pole: antenna offsets to the east in proportion to x, the distance from the Earth's axis. A wrong
integration time stretches the array to the east.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.commissioning.findings import CONFIRMED, NOT_MEASURABLE, REFUTED, Finding, Verdict, listed, not_measurable
from contimg.commissioning.fits import antenna_values, regress
from contimg.commissioning.fringes import Baselines, FringeModel
from contimg.commissioning.transit import Residuals
from contimg.correlator.clock_epochs import ClockEpoch
from contimg.sky import geometry
from contimg.sky.constants import C_M_S, EARTH_RAD_S

_OUTLIER_SIGMA, _FEW, _LEAST_EAST_M, _MOST_MOVED = 6.0, 8.0, 0.3, 10
_NORTH_SIGMA, _LEAST_NORTH_M = 10.0, 150.0
"""To the north the ionosphere bends phases as an offset of tens of metres does, the more the longer the baselines."""
_WORST_SCATTER_M = 0.5
_SIGMA = 4.0
_SURE = 2.5 / _SIGMA
"""Between 2.5 and 4 errors a clock is neither confirmed nor refuted."""
_IONOSPHERE_ARCSEC_S = 0.25 / 309
"""Rate at which the ionosphere may shift the sky to the north: gradients of 2 arcsec that change in hours."""
_WORST_CLOCK_S = 15.0
_LEAST_STRETCH, _WORST_STRETCH = 1e-3, 1e-3
_STEADY = 0.5


@dataclass(frozen=True)
class Offsets:
    """Apparent offsets of the antennas from the model.

    Attributes
    ----------
    east_m, north_m : (nant,) float64
        East offsets less their median; north offsets less what grows linearly with the place. NaN where not measured.
    own_east_m : (nant,) float64
        East offsets less what clock and integration time explain.
    scatter_m, north_scatter_m : float
        Robust scatter of the own offsets and of the north offsets.
    clock_s, clock_error_s : float
        Header time minus true time, on top of the model's.
    stretch, stretch_error : float
        True over stated integration time, less 1.
    phases : (ntime, nbl) float64
        Residual phases, rad, unwrapped; for the page.
    slopes_m, curvatures_m : (nbl,) float64
        East and north offsets of the baselines.
    used : (nbl,) bool
    """

    east_m: NDArray[np.float64]
    north_m: NDArray[np.float64]
    own_east_m: NDArray[np.float64]
    scatter_m: float
    north_scatter_m: float
    clock_s: float
    clock_error_s: float
    stretch: float
    stretch_error: float
    phases: NDArray[np.float64]
    slopes_m: NDArray[np.float64]
    curvatures_m: NDArray[np.float64]
    used: NDArray[np.bool_]

    @property
    def limit_m(self) -> float:
        """Offset of a single antenna to the east (m) from which it counts as significant."""
        return _limit_m(self.scatter_m, int(np.isfinite(self.own_east_m).sum()))

    @property
    def outliers(self) -> NDArray[np.bool_]:
        """Antennas with a significant offset of their own, to the east or to the north."""
        east = np.abs(self.own_east_m) > self.limit_m
        north = np.abs(self.north_m) > max(_NORTH_SIGMA * self.north_scatter_m, _LEAST_NORTH_M)
        return np.asarray(east | north)


def patterns(model: FringeModel, times_mjd: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the path (ntime,) that one metre to the east and one to the north add, less their means."""
    change = model.change_of_direction(times_mjd) * (-1 if model.conjugated else 1)
    latitude = model.location.latitude_rad
    north = change @ np.array([-np.sin(latitude), 0.0, np.cos(latitude)])
    return change[:, 1] - change[:, 1].mean(), north - north.mean()


def combine(residuals: Sequence[Residuals]) -> tuple[NDArray[np.complex128], float]:
    """Return the products (ntime, nbl) of the whole band, medians over its parts, and the mean frequency (Hz).

    The median is robust against subbands with interference or a wrong label.
    """
    parts = []
    for one in residuals:
        size = np.abs(one.products).mean(axis=1, keepdims=True)
        parts.append(one.products / np.where(size > 0, size, 1))
    stack = np.concatenate(parts)
    middle = np.median(stack.real, axis=0) + 1j * np.median(stack.imag, axis=0)
    return middle, float(np.concatenate([one.freq_hz for one in residuals]).mean())


def measure_offsets(
    residuals: Sequence[Residuals], model: FringeModel, baselines: Baselines, silent: NDArray[np.bool_]
) -> Offsets:
    """Measure the offsets of all antennas, and the part that errors of clock and integration time explain."""
    products, frequency = combine(residuals)
    times = residuals[0].header.times_mjd
    east, north = patterns(model, times)
    lit = np.abs(products).mean(axis=1) > 0
    phases = np.unwrap(np.angle(products), axis=0)
    design = np.stack([np.ones(len(times)), east, north], axis=1) * (2 * np.pi * frequency / C_M_S)
    fitted = np.linalg.lstsq(design[lit], phases[lit], rcond=None)[0]
    left = np.exp(1j * (phases - design @ fitted))
    steady = np.abs(
        (products / np.maximum(np.abs(products), 1e-300) / np.exp(1j * (design @ fitted)))[lit].mean(axis=0)
    )
    used = (steady > _STEADY) & ~silent[baselines.one] & ~silent[baselines.two] & np.isfinite(left).all(axis=0)
    count = len(model.positions_m)
    weights = used.astype(float)
    by_east = antenna_values(fitted[1], baselines, count, weights)
    by_north = antenna_values(fitted[2], baselines, count, weights)
    local = geometry.site_frame(model.positions_m, model.location.longitude_rad)
    known = np.isfinite(by_east)
    line = np.stack([np.ones(count), local[:, 0] - local[:, 0].mean(), local[:, 1] - local[:, 1].mean()], axis=1)
    coefficients, errors, scatter = _without_outliers(line, by_east)
    own = by_east - line @ np.nan_to_num(coefficients)
    # A curvature of the phase that grows with the distance is the ionosphere's.
    bend, _, north_scatter = regress(line, np.where(known, by_north, 0.0), known.astype(float))
    by_north = by_north - line @ np.nan_to_num(bend)
    return Offsets(
        by_east, by_north, own, scatter, north_scatter,
        -coefficients[1] / EARTH_RAD_S, errors[1] / EARTH_RAD_S, coefficients[2], errors[2],
        phases, fitted[1], fitted[2], used,
    )  # fmt: skip


def _without_outliers(
    line: NDArray[np.float64], by_east: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Fit clock and stretch to the offsets of the antennas that stand where they should.

    A distant antenna that was moved would otherwise bias the fit by its leverage.
    """
    known = np.isfinite(by_east)
    values, weights = np.where(known, by_east, 0.0), known.astype(float)
    for _ in range(_MOST_MOVED):
        coefficients, _, scatter = regress(line, values, weights)
        # Residuals are studentised: an antenna of high leverage pulls the fit and has a small residual.
        leverage = np.einsum("ij,jk,ik->i", line, np.linalg.pinv((line * weights[:, None]).T @ line), line)
        own = np.abs(values - line @ np.nan_to_num(coefficients)) / np.sqrt(np.maximum(1 - leverage, 0.05))
        own[weights == 0] = 0.0
        worst = int(np.argmax(own))
        if own[worst] <= _limit_m(scatter, int(weights.sum())):
            break
        rest = weights.copy()
        rest[worst] = 0
        if not np.isfinite(regress(line, values, rest)[2]):
            break
        weights = rest
    return regress(line, values, weights, jackknife=True)


def _limit_m(scatter_m: float, count: int) -> float:
    """Return the offset (m) that is significant; with few antennas their scatter is itself uncertain."""
    return max(_OUTLIER_SIGMA * (1 + _FEW / max(count - 3, 1)) * scatter_m, _LEAST_EAST_M)


def position_finding(offsets: Offsets, names: tuple[str, ...], moved: dict[str, float]) -> Finding:
    """Return the finding on antenna positions.

    Parameters
    ----------
    offsets : Offsets
    names : tuple of str
    moved : dict
        East offsets (m) of antennas that had to be moved in the model already.
    """
    measured = np.isfinite(offsets.own_east_m)
    if measured.sum() < 4 or not offsets.scatter_m < _WORST_SCATTER_M:
        return not_measurable("positions", f"east offsets scatter by {offsets.scatter_m:.2g} m")
    bad = np.flatnonzero(offsets.outliers & measured)
    wrong = {names[a]: float(offsets.own_east_m[a]) + moved.get(names[a], 0.0) for a in bad}
    wrong |= {name: east for name, east in moved.items() if name not in wrong}
    far = {names[a]: float(offsets.north_m[a]) for a in bad if abs(offsets.own_east_m[a]) < _LEAST_EAST_M}
    wrong = {name: east for name, east in wrong.items() if abs(east) > offsets.limit_m or name in far}
    north = f"north is known to {offsets.north_scatter_m:.0f} m only"
    details = {
        "east_m": {names[a]: round(float(offsets.own_east_m[a]) + moved.get(names[a], 0.0), 4)
                   for a in np.flatnonzero(measured)},
        "north_m": {names[a]: round(float(offsets.north_m[a]), 2) for a in np.flatnonzero(measured)},
        "scatter_m": offsets.scatter_m,
        "north_scatter_m": offsets.north_scatter_m,
    }  # fmt: skip
    if not wrong:
        largest = float(np.nanmax(np.abs(offsets.own_east_m)))
        text = f"east offsets scatter by {offsets.scatter_m:.3f} m, the largest is {largest:.2f} m; {north}"
        return Finding("positions", CONFIRMED, text, largest, offsets.scatter_m, "m", (), details)
    worst = max(wrong, key=lambda name: abs(wrong[name]))
    where = listed([f"{name} {far[name]:+.0f} m to the north" if name in far else f"{name} {east:+.2f} m to the east"
                   for name, east in wrong.items()])  # fmt: skip
    text = f"off the header's position: {where} (± {offsets.scatter_m:.2f} m to the east); {north}"
    return Finding("positions", REFUTED, text, wrong[worst], offsets.scatter_m, "m", tuple(wrong), details)


def ionosphere_s(dec_app_rad: float, latitude_rad: float) -> float:
    """Return the clock error (s) that is equivalent to a slow shift of the sky to the north.

    A rate n' turns the phase of a baseline N to the north by n' N cos(latitude - dec) a second, a clock error t by
    w^2 t N sin(latitude) cos(dec) with the Earth's rate w.
    """
    rate = np.radians(_IONOSPHERE_ARCSEC_S / 3600)
    return float(
        rate * np.cos(latitude_rad - dec_app_rad) / (EARTH_RAD_S**2 * np.sin(latitude_rad) * np.cos(dec_app_rad))
    )


def clock_finding(offsets: Offsets, sky_s: float, already_s: float = 0.0, epoch: ClockEpoch | None = None) -> Finding:
    """Return the finding on the clock.

    Parameters
    ----------
    offsets : Offsets
    sky_s : float
        From `ionosphere_s`.
    already_s : float
        Error that the model has taken into account.
    epoch : ClockEpoch, optional
        What is known about the header's clock, for the sentence.
    """
    clock_s, error_s = already_s + offsets.clock_s, offsets.clock_error_s
    size = abs(clock_s)
    verdict: Verdict
    if not np.isfinite(clock_s) or not np.isfinite(error_s):
        return not_measurable("clock", "too few antennas with fringes to tell a clock error from their positions")
    reach_s = _SIGMA * float(np.hypot(error_s, sky_s))
    number = f"± {error_s:.2f} ± {sky_s:.1f} (ionosphere) s"
    if size > reach_s:
        verdict, text = REFUTED, f"the header is {size:.2f} {number} {'late' if clock_s > 0 else 'early'}"
    elif reach_s < _WORST_CLOCK_S and size < _SURE * reach_s:
        verdict = CONFIRMED
        text = f"header minus true time is {clock_s:+.2f} {number}; an error beyond {reach_s:.0f} s would show"
    else:
        verdict = NOT_MEASURABLE
        text = f"header minus true time is {clock_s:+.2f} {number}: only errors beyond {reach_s:.0f} s would show"
    details: dict[str, Any] = {"ionosphere_s": sky_s, "would_show_s": reach_s}
    if epoch is not None:
        text += f" (the clock that is documented for this date: {epoch.clock})"
        details["epoch"] = epoch.facts()
    return Finding("clock", verdict, text, clock_s, float(np.hypot(error_s, sky_s)), "s", (), details)


def integration_finding(offsets: Offsets, stated_s: float, already: float = 0.0) -> Finding:
    """Return the finding on the integration time; a common error of the frequencies or of the scale looks the same.

    Parameters
    ----------
    offsets : Offsets
    stated_s : float
        Integration time in the header.
    already : float
        Stretch that the model has taken into account.
    """
    stretch, error = already + offsets.stretch, offsets.stretch_error
    if not np.isfinite(stretch) or not error < _WORST_STRETCH:
        return not_measurable("integration_time", "too few antennas with fringes along the east")
    measured, accuracy = stated_s * (1 + stretch), stated_s * error
    text = f"measured {measured:.4f} ± {accuracy:.4f} s, stated {stated_s:.4f} s"
    wrong = abs(stretch) > max(_SIGMA * error, _LEAST_STRETCH)
    return Finding("integration_time", REFUTED if wrong else CONFIRMED, text, measured, accuracy, "s")
