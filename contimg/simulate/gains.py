"""Antenna-based errors: delays, bandpasses, amplitudes, phases and slow drifts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from contimg.simulate import constants as c
from contimg.simulate.options import GainErrors
from contimg.simulate.randomness import generator

CONVENTION = (
    "visdata[ant1, ant2] = conj(g[ant1]) * g[ant2] * V * units_per_jy, with "
    "g = amplitudes * exp(i phases) * bandpass * drifts * exp(2 pi i delays_ns 1e-9 (f - delay_reference_hz)); "
    "pyuvdata's write_ms conjugates the data, so these g are the gains as CASA defines them. "
    "Axes: antenna (see stations, correlator order), polarisation (XX, YY), subband, channel, tile, integration."
)
_DEAD_AMPLITUDE = 0.05
_RIPPLE_PERIODS_MHZ = (30.0, 200.0)
_RIPPLES = 4
_DRIFT_PERIODS_S = (3600.0, 10_800.0)


@dataclass(frozen=True)
class Gains:
    """Complex antenna gains as a product of delays, amplitudes, phases, bandpasses and drifts.

    Attributes
    ----------
    delays_s : ndarray
        (antennas, 2), s, phase zero at ``reference_hz``.
    amplitudes, phases : ndarray
        (antennas, 2), dimensionless and rad.
    bandpass : ndarray
        (antennas, 2, 16, channels), complex.
    drifts : ndarray
        (antennas, 2, tiles, integrations), complex.
    frequencies_hz : ndarray
        (16, channels).
    reference_hz : float
    """

    delays_s: np.ndarray
    amplitudes: np.ndarray
    phases: np.ndarray
    bandpass: np.ndarray
    drifts: np.ndarray
    frequencies_hz: np.ndarray
    reference_hz: float

    def of(self, tile: int, subband: int) -> np.ndarray:
        """Return the gains of one file, shape (integrations, antennas, channels, 2), complex128."""
        offset_hz = self.frequencies_hz[subband] - self.reference_hz
        steady = (self.amplitudes * np.exp(1j * self.phases))[:, :, None] * self.bandpass[:, :, subband]
        steady = steady * np.exp(2j * np.pi * self.delays_s[:, :, None] * offset_hz)
        return np.einsum("apf,apt->tafp", steady, self.drifts[:, :, tile])

    def save(self, path: Path, stations: tuple[int, ...], times_jd: np.ndarray, units_per_jy: float) -> None:
        """Write the factors, their axes and their sign convention as NPZ."""
        np.savez(
            path,
            convention=np.array(CONVENTION),
            stations=np.array(stations),
            polarizations=np.array(c.POLARIZATIONS),
            frequencies_hz=self.frequencies_hz,
            times_jd=times_jd,
            delay_reference_hz=np.array(self.reference_hz),
            delays_ns=self.delays_s * 1e9,
            amplitudes=self.amplitudes,
            phases=self.phases,
            bandpass=self.bandpass,
            drifts=self.drifts,
            units_per_jy=np.array(units_per_jy),
        )


def make_gains(
    errors: GainErrors,
    stations: tuple[int, ...],
    dead: tuple[int, ...],
    frequencies_hz: np.ndarray,
    times_jd: np.ndarray,
    seed: int,
) -> Gains:
    """Draw the antenna gains of a night.

    Parameters
    ----------
    errors : GainErrors
    stations, dead : tuple of int
        Antennas in correlator order, and those among them that receive no sky signal (gain amplitude 0.05).
    frequencies_hz : ndarray
        (16, channels), Hz.
    times_jd : ndarray
        (tiles, integrations), UTC Julian dates.
    seed : int
    """
    shape = (len(stations), len(c.POLARIZATIONS))
    rng = generator(seed, "gains")
    amplitudes = 1 + errors.amplitude * np.clip(rng.standard_normal(shape), -3, 3)
    amplitudes = np.maximum(amplitudes, 0.1)
    amplitudes[np.isin(stations, dead)] = _DEAD_AMPLITUDE
    phases = rng.uniform(-np.pi, np.pi, shape) * errors.random_phase
    delays_s = rng.standard_normal(shape) * errors.delay_ns * 1e-9
    mega_hertz = frequencies_hz / 1e6
    ripple_amplitude = _ripples(rng, shape, mega_hertz, _RIPPLE_PERIODS_MHZ, _RIPPLES)
    ripple_phase = _ripples(rng, shape, mega_hertz, _RIPPLE_PERIODS_MHZ, _RIPPLES)
    bandpass = (1 + errors.bandpass * ripple_amplitude) * np.exp(1j * errors.bandpass * ripple_phase)
    seconds = (times_jd - times_jd.flat[0]) * c.SECONDS_PER_DAY
    drift_amplitude = _ripples(rng, shape, seconds, _DRIFT_PERIODS_S, 1)
    drift_phase = _ripples(rng, shape, seconds, _DRIFT_PERIODS_S, 1)
    drifts = (1 + errors.drift_amplitude * drift_amplitude) * np.exp(
        1j * np.radians(errors.drift_phase_deg) * drift_phase
    )
    reference = float(frequencies_hz.mean())
    return Gains(delays_s, amplitudes, phases, bandpass, drifts, frequencies_hz, reference)


def _ripples(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    axis: np.ndarray,
    periods: tuple[float, float],
    count: int,
) -> np.ndarray:
    """Return sums of ``count`` sinusoids of unit rms along ``axis``, shape (*shape, *axis.shape)."""
    low, high = np.log(periods)
    total = np.zeros((*shape, *axis.shape))
    for _ in range(count):
        period = np.exp(rng.uniform(low, high, shape))[(..., *[None] * axis.ndim)]
        start = rng.uniform(0, 2 * np.pi, shape)[(..., *[None] * axis.ndim)]
        total += np.sin(2 * np.pi * axis / period + start)
    return total * np.sqrt(2 / count)
