"""Antenna gains by least squares from sums over baselines: phases, amplitudes, and their signal-to-noise ratios."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Relative accuracy of predicted visibilities: no measured scatter about them is less.
_MODEL_ACCURACY = 1e-5
_MAX_ITERATIONS = 200
_TOLERANCE_RAD = 1e-7


@dataclass(frozen=True)
class PhaseSolution:
    """Antenna phases, one per solution interval, receptor and antenna.

    Attributes
    ----------
    phase_rad : (ninterval, nreceptor, nant) float64
    snr : (ninterval, nreceptor, nant) float64
        1 / (error in rad); 0 where there is nothing to solve with.
    """

    phase_rad: NDArray[np.float64]
    snr: NDArray[np.float64]

    def median_snr(self) -> float:
        """Return the median signal-to-noise ratio of the antennas that have any data."""
        return float(np.median(self.snr[self.snr > 0])) if (self.snr > 0).any() else 0.0

    def rms_over_errors(self, before_rad: NDArray[np.float64] | float = 0.0) -> float:
        """Return the rms of the phases, minus others, in units of their errors."""
        used = self.snr > 0
        return rms(((self.phase_rad - before_rad) * self.snr)[used])


def antenna_gains(data: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Return the gains of modulus 1 (..., nant) that best bring a model to the data.

    Parameters
    ----------
    data : (..., nant, nant) complex128
        Hermitian: weighted sums of ``V conj(M)`` of each baseline, 0 on the diagonal.

    Notes
    -----
    Alternating least squares, ``g_p = sum_q data_pq g_q / |...|``, where every second iterate is averaged with the
    one before: StEFCal (Salvini & Wijnholds 2014, A&A 571, A97) for gains of fixed modulus. The phase common to
    all antennas, which is arbitrary, is that of their mean. An antenna without data has gain 1.
    """
    gains = np.ones(data.shape[:-1], np.complex128)
    for iteration in range(_MAX_ITERATIONS):
        new = _unit((data @ gains[..., None])[..., 0])
        change = float(np.abs(new - gains).max(initial=0))
        gains = _unit(new + gains) if iteration % 2 else new
        if change < _TOLERANCE_RAD:
            break
    has_data = (data != 0).any(-1)
    mean = np.where(has_data, gains, 0).sum(-1, keepdims=True)
    return np.where(has_data, gains * _unit(mean).conj(), 1)


def antenna_amplitudes(data: NDArray[np.float64], power: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the amplitudes (nreceptor, nant) that best scale a model to the data.

    Parameters
    ----------
    data, power : (nreceptor, nant, nant) float64
        Weighted sums of ``Re V conj(M)`` and of ``|M|^2`` of each baseline, 0 on the diagonal.

    Notes
    -----
    StEFCal (Salvini & Wijnholds 2014, A&A 571, A97) for real gains. An antenna without data has amplitude 1.
    """
    has_data = power.any(-1)
    gains = np.ones(data.shape[:-1])
    for iteration in range(_MAX_ITERATIONS):
        expected = (power @ (gains**2)[..., None])[..., 0]
        new = np.divide((data @ gains[..., None])[..., 0], expected, out=np.ones_like(gains), where=has_data)
        change = float(np.abs(new - gains).max(initial=0))
        gains = (new + gains) / 2 if iteration % 2 else new
        if change < _TOLERANCE_RAD:
            break
    return np.where(has_data, gains, 1)


def signal_to_noise(
    data: NDArray[np.complex128], power: NDArray[np.float64], gains: NDArray[np.complex128]
) -> NDArray[np.float64]:
    """Return the signal-to-noise ratio (ninterval, nreceptor, nant) of each antenna, 1 / (error of its phase in rad).

    The noise is the baselines' scatter about the solution: receiver noise, and what the model lacks of the sky and
    of the amplitudes. 0 where the baselines' real and imaginary parts are no more than the phases to solve for.
    """
    one, two = np.triu_indices(data.shape[-1], 1)
    expected = power[..., one, two]
    residual = data[..., one, two] - gains[..., one] * gains[..., two].conj() * expected
    scatter = np.divide(np.abs(residual) ** 2, expected, out=np.zeros_like(expected), where=expected > 0).sum()
    per_antenna = power.sum(-1)
    unknowns = np.count_nonzero(per_antenna) - np.count_nonzero(per_antenna.any(-1))
    degrees_of_freedom = 2 * np.count_nonzero(expected) - unknowns
    if unknowns == 0 or degrees_of_freedom <= 0:
        return np.zeros_like(per_antenna)
    variance = max(scatter / degrees_of_freedom, _MODEL_ACCURACY**2 * float(expected.max()))
    return np.sqrt(per_antenna / variance)


def _unit(values: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Return values divided by their moduli; 1 where a value is 0."""
    size = np.abs(values)
    return np.where(size > 0, values / np.where(size > 0, size, 1), 1)


def rms(values: NDArray[np.float64]) -> float:
    """Return the root mean square; 0 for an empty array."""
    return float(np.sqrt(np.mean(values**2))) if values.size else 0.0
