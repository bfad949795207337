"""The arms of the array against each other: delay, phase and amplitude of one arm that changed after the calibrator.

Antennas of an arm share a trunk of fibres and a part of the clock's distribution, so that one fault delays them all.
Baselines within an arm see nothing of it. Those between arms have a phase that runs with frequency.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.statistics import robust_fit

ARMS: Mapping[str, range] = {
    "east-west arm": range(1, 52),
    "north-south arm": range(52, 103),
    "outriggers": range(103, 118),
}
"""Station numbers of DSA-110, which are the antennas' names."""
PAIRS = len(ARMS) ** 2
"""Pairs of arms, in both orders; `pairs_of_arms` gives a number beyond to baselines of antennas without an arm."""
KEYS = ("arm_delay_ns", "arm_phase_deg", "arm_gain")
_DELAYS_NS = np.arange(-42.0, 42.01, 0.25)
"""Delays that are tried: subbands of 11.7 MHz tell delays of up to 1 / (2 x 11.7 MHz) apart."""
_MIN_SUBBANDS = 5
_MIN_SNR = 20.0
"""Least S/N of the visibilities of the bright sources on the baselines of an arm to the others."""
_GAIN_FLOOR = 0.01
"""Systematic error of the amplitude between two arms, as of sources that their baselines resolve differently."""
_REFINEMENTS = 3
_MIN_PAIRS = 3


@dataclass(frozen=True)
class ArmSums:
    """Sums over the samples of pairs of arms by subband, first arm before the second as in `ARMS`.

    Attributes
    ----------
    product : (3, 3, n) complex128
        Weighted data times conjugate model; zero below the diagonal.
    power : (3, 3, n) float64
        Weighted squared model; the variance of the product's real and imaginary parts.
    freq_hz : (n,) float64
    """

    product: NDArray[np.complex128]
    power: NDArray[np.float64]
    freq_hz: NDArray[np.float64]


def pairs_of_arms(names: Sequence[str], antenna1: NDArray[np.int32], antenna2: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return for each row the number of its pair of arms, ``3 first + second``; 9 where an antenna is in no arm."""
    arm = np.array([_arm_of(name) for name in names], np.int64)
    first, second = arm[antenna1], arm[antenna2]
    return np.where((first < 0) | (second < 0), PAIRS, len(ARMS) * first + second)


def _arm_of(name: str) -> int:
    number = int(name) if name.isdecimal() else 0
    return next((i for i, numbers in enumerate(ARMS.values()) if number in numbers), -1)


def arm_sums(product: NDArray[np.complex128], power: NDArray[np.float64], freq_hz: NDArray[np.float64]) -> ArmSums:
    """Return the sums by pairs of arms in one order from those in both, (10, n) by `pairs_of_arms`."""
    count = len(ARMS)
    both = product[:PAIRS].reshape(count, count, -1)
    powers = power[:PAIRS].reshape(count, count, -1)
    upper = np.triu(np.ones((count, count)))[..., None]
    strictly = np.triu(np.ones((count, count)), 1)[..., None]
    return ArmSums(
        both * upper + both.swapaxes(0, 1).conj() * strictly,
        powers * upper + powers.swapaxes(0, 1) * strictly,
        freq_hz,
    )


def arm_numbers(sums: ArmSums, least_gain: float = 0.0) -> dict[str, Any]:
    """Return how one arm deviates from the others.

    Parameters
    ----------
    sums : ArmSums
    least_gain : float
        Least amplitude over the model's, between the arms and once delay and phase are corrected, with which they count
        as measured.

    Returns
    -------
    dict
        ``arm_delay_ns``, ``arm_phase_deg`` (in the middle of the band) and ``arm_gain`` of the arm whose deviation
        explains the visibilities best, with errors ``e_...`` and the arm in ``..._of``. None where fewer than two arms,
        five subbands or a S/N of 20 are there.
    """
    found: dict[str, Any] = dict.fromkeys(name for key in KEYS for name in (key, f"e_{key}", f"{key}_of"))
    used = (sums.power.sum((0, 1)) > 0).nonzero()[0]
    there = [i for i in range(len(ARMS)) if _across(sums, i)[1].sum() > 0]
    if len(there) < 2 or len(used) < _MIN_SUBBANDS:
        return found
    sums = ArmSums(sums.product[..., used], sums.power[..., used], sums.freq_hz[used])
    fits = [(_fit_phase(sums, arm), arm) for arm in (there if len(there) > 2 else there[-1:])]
    known = [(fit, arm) for fit, arm in fits if fit is not None and fit.gain >= least_gain]
    if not known:
        return found
    best, arm = max(known, key=lambda one: one[0].improvement)
    found |= {
        "arm_delay_ns": round(best.delay_ns, 4), "e_arm_delay_ns": round(best.e_delay_ns, 5),
        "arm_phase_deg": round(best.phase_deg, 3), "e_arm_phase_deg": round(best.e_phase_deg, 4),
        "arm_delay_ns_of": _words(arm, there), "arm_phase_deg_of": _words(arm, there),
    }  # fmt: skip
    amplitude = _fit_gain(_corrected(sums, arm, best), there)
    if amplitude is not None:
        gain, e_gain, louder = amplitude
        found |= {"arm_gain": round(gain, 5), "e_arm_gain": round(e_gain, 6), "arm_gain_of": _words(louder, there)}
    return found


def _words(arm: int, there: Sequence[int]) -> str:
    """Return an arm in words; of two arms nothing tells which is wrong."""
    names = list(ARMS)
    against = "the others" if len(there) > 2 else f"the {names[there[0] if arm != there[0] else there[1]]}"
    return f"the {names[arm]} against {against}"


@dataclass(frozen=True)
class _PhaseFit:
    """Delay and phase of one arm with their errors, by how much they raise the visibilities' coherent sum, and the
    amplitude over the model's that they leave.
    """

    delay_ns: float
    e_delay_ns: float
    phase_deg: float
    e_phase_deg: float
    improvement: float
    gain: float


def _across(sums: ArmSums, arm: int) -> tuple[NDArray[np.complex128], NDArray[np.float64]]:
    """Return product and power (n,) of the baselines from one arm to all others."""
    # Sums of the others alone: what is left of all but one is not exactly zero where there are no others.
    product = sums.product[arm, arm + 1 :].sum(0) + sums.product[:arm, arm].conj().sum(0)
    power = sums.power[arm, arm + 1 :].sum(0) + sums.power[:arm, arm].sum(0)
    return product, power


def _fit_phase(sums: ArmSums, arm: int) -> _PhaseFit | None:
    """Fit a delay and a phase to one arm's baselines to the others; None with too little signal."""
    product, power = _across(sums, arm)
    seen = power > 0  # averaged channels of short baselines stand for several subbands
    if np.count_nonzero(seen) < _MIN_SUBBANDS:
        return None
    product, power, freq_hz = product[seen], power[seen], sums.freq_hz[seen]
    middle_hz = float((power * freq_hz).sum() / power.sum())
    turns = (freq_hz - middle_hz) * 1e-9  # of a ns
    trial = np.exp(-2j * np.pi * np.outer(_DELAYS_NS, turns)) @ product
    delay = float(_DELAYS_NS[int(np.argmax(np.abs(trial)))])
    if np.abs(trial).max() < _MIN_SNR * math.sqrt(float(power.sum())):
        return None
    phase = e_delay = e_phase = 0.0
    for _ in range(_REFINEMENTS):
        turned = product * np.exp(-2j * np.pi * delay * turns)
        phase = float(np.angle(turned.sum()))
        error = np.sqrt(power) / np.maximum(np.abs(product), 1e-300)
        design = np.stack([np.ones(len(turns)), 2 * np.pi * turns], axis=1)
        fit = robust_fit(design, np.angle(turned * np.exp(-1j * phase)), error)
        phase += float(fit.coefficients[0])
        delay += float(fit.coefficients[1])
        e_phase, e_delay = (float(one) for one in fit.errors)
    model = np.exp(-1j * (2 * np.pi * delay * turns + phase))
    corrected = float((product * model).real.sum())
    phase_deg = math.degrees((phase + np.pi) % (2 * np.pi) - np.pi)
    return _PhaseFit(
        delay,
        e_delay,
        phase_deg,
        math.degrees(e_phase),
        corrected - float(product.real.sum()),
        corrected / float(power.sum()),
    )


def _corrected(sums: ArmSums, arm: int, fit: _PhaseFit) -> ArmSums:
    """Return the sums without the delay and phase of one arm."""
    _, power = _across(sums, arm)
    middle_hz = float((power * sums.freq_hz).sum() / power.sum())
    turn = np.exp(-1j * (2 * np.pi * fit.delay_ns * (sums.freq_hz - middle_hz) * 1e-9 + math.radians(fit.phase_deg)))
    product = sums.product.copy()
    product[arm] *= turn
    product[:, arm] *= turn.conj()  # of the arm with itself: both, that is nothing
    return ArmSums(product, sums.power, sums.freq_hz)


def _fit_gain(sums: ArmSums, there: Sequence[int]) -> tuple[float, float, int] | None:
    """Return the amplitude of one arm over that of the others, its error, and the arm that explains most.

    The amplitude of two arms is the product of theirs, and the model's own scale is free. None with too few pairs.
    """
    pairs = [(i, j) for i in there for j in there if i <= j and sums.power[i, j].sum() > 0]
    if len(pairs) < _MIN_PAIRS:
        return None
    amplitude = np.array([abs(sums.product[pair].sum()) / sums.power[pair].sum() for pair in pairs])
    error = np.hypot(np.array([sums.power[pair].sum() ** -0.5 for pair in pairs]) / amplitude, _GAIN_FLOOR)
    logs = np.log(amplitude)
    fits = []
    for arm in there if len(there) > 2 else there[-1:]:
        design = np.array([[1.0, float(i == arm) + float(j == arm)] for i, j in pairs])
        fit = robust_fit(design, logs, error)
        fits.append((float((((logs - design @ fit.coefficients) / error) ** 2).sum()), arm, fit))
    _, arm, best = min(fits, key=lambda one: one[:2])
    gain = math.exp(float(best.coefficients[1]))
    return gain, gain * float(best.errors[1]), arm
