"""Visibilities of point sources by the direct Fourier transform, bandwidth and time smearing, receiver noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from contimg.simulate import constants as c
from contimg.simulate import frames
from contimg.simulate.beam import CUTOFF_RAD
from contimg.simulate.instrument import Instrument
from contimg.simulate.sky import Source


@dataclass(frozen=True)
class TileSky:
    """Delays, delay rates and beam offsets of the sources during one tile.

    Attributes
    ----------
    sources : tuple of Source
        Those closer to the beam axis than its cutoff at some time.
    delays_s : ndarray
        (integrations, antennas, sources), geometric delay relative to the phase centre, s.
    rates : ndarray
        Its rate of change while the phase centre follows the sky, same shape, s/s.
    offsets_rad : ndarray
        (integrations, sources), angle from the common beam axis, rad.
    towards : ndarray
        (integrations, sources, 3), unit vectors of the apparent places.
    instrument : Instrument
    dispersive_s : ndarray or None
        Change of ``delays_s`` by the ionosphere at 1.4 GHz, same shape; it goes with the inverse square of frequency.
    """

    sources: tuple[Source, ...]
    delays_s: np.ndarray
    rates: np.ndarray
    offsets_rad: np.ndarray
    towards: np.ndarray
    instrument: Instrument
    dispersive_s: np.ndarray | None = None

    def cycles(self, frequency_hz: float) -> np.ndarray:
        """Return the phases of all antennas and sources at a frequency, turns, (integrations, antennas, sources)."""
        cycles = frequency_hz * self.delays_s
        if self.dispersive_s is not None:
            cycles = cycles + c.REFERENCE_FREQUENCY_HZ**2 / frequency_hz * self.dispersive_s
        return cycles


def place_sky(
    sources: tuple[Source, ...],
    times_jd: np.ndarray,
    instrument: Instrument,
    shift_rad: np.ndarray | None = None,
) -> TileSky:
    """Return the apparent places of the sources during a tile as delays and beam offsets.

    Parameters
    ----------
    sources : tuple of Source
    times_jd : ndarray
        True centres of the integrations, UTC Julian dates.
    instrument : Instrument
        Its phase centre is hour angle 0 at its declination throughout.
    shift_rad : ndarray, optional
        (integrations, 2), shift of all sources by the ionosphere, east and north on the sky at 1.4 GHz, rad.
    """
    local_m = instrument.local_m
    if not sources:
        empty = np.zeros((len(times_jd), len(local_m), 0))
        return TileSky((), empty, empty, empty[:, 0], np.zeros((len(times_jd), 0, 3)), instrument)
    ra = np.array([source.ra_deg for source in sources])
    dec = np.array([source.dec_deg for source in sources])
    hour_angle, apparent_dec = frames.apparent_places(ra, dec, times_jd)
    towards = frames.direction_vectors(hour_angle, apparent_dec)
    centre = frames.direction_vectors(np.zeros(()), np.asarray(instrument.stopped_declination_rad))
    relative = towards - centre
    offsets = instrument.offsets_rad(towards)
    near = np.flatnonzero(offsets.min(axis=0) < CUTOFF_RAD)
    # The sky turns about the pole (z): d(x, y)/dt = rate (y, -x), hour angle growing westward.
    motion = np.stack([relative[..., 1], -relative[..., 0], np.zeros_like(offsets)], axis=-1)
    delays = np.einsum("ak,tsk->tas", local_m, relative[:, near]) / c.SPEED_OF_LIGHT_M_S
    wrong_m = local_m - instrument.stopped_m
    if wrong_m.any():  # fringes are stopped for positions that are not the true ones
        delays = delays + (wrong_m @ centre)[None, :, None] / c.SPEED_OF_LIGHT_M_S
    rates = np.einsum("ak,tsk->tas", local_m, motion[:, near]) * c.SIDEREAL_RATE_RAD_S / c.SPEED_OF_LIGHT_M_S
    dispersive = None
    if shift_rad is not None:
        east, north = shift_rad[:, :1], shift_rad[:, 1:]
        shifted = frames.direction_vectors(hour_angle - east / np.cos(apparent_dec), apparent_dec + north)
        dispersive = np.einsum("ak,tsk->tas", local_m, (shifted - towards)[:, near]) / c.SPEED_OF_LIGHT_M_S
    return TileSky(
        tuple(sources[index] for index in near),
        delays,
        rates,
        offsets[:, near],
        towards[:, near],
        instrument,
        dispersive,
    )


def predict(
    sky: TileSky,
    frequencies_hz: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    smearing_width_hz: float | None = None,
) -> np.ndarray:
    """Return the visibilities of all baselines in Stokes I.

    V = sum over sources of S(f) B(t, f) exp(2 pi i f (b . (s - s0)) / c), b = position of antenna 2 minus
    position of antenna 1, as in the correlator's files and in pyuvdata. The phase is a product of one phasor
    per antenna, so that every (time, channel) is one matrix product.

    Parameters
    ----------
    sky : TileSky
    frequencies_hz : ndarray
        (channels,), Hz.
    first, second : ndarray
        Antenna numbers (positions in the correlator order) of the baselines.
    smearing_width_hz : float, optional
        Channel width; when given, bandwidth and time smearing are applied (slower).

    Returns
    -------
    ndarray
        (integrations, baselines, channels), complex64, Jy.
    """
    integrations = sky.offsets_rad.shape[0]
    result = np.zeros((integrations, len(first), len(frequencies_hz)), dtype=np.complex64)
    if not sky.sources:
        return result
    fluxes = np.stack([source.flux_jy(frequencies_hz) for source in sky.sources], axis=-1)
    for channel, frequency in enumerate(frequencies_hz):
        cycles = sky.cycles(frequency)
        # Whole turns are taken off in float64, then single precision is enough (1e-7 of a turn).
        angle = (2 * np.pi * (cycles - np.rint(cycles))).astype(np.float32)
        phasor = np.empty(angle.shape, dtype=np.complex64)
        phasor.real, phasor.imag = np.cos(angle), np.sin(angle)
        if sky.instrument.antenna_beams is None:
            apparent = (fluxes[channel] * sky.instrument.power(sky.offsets_rad, frequency)).astype(np.float32)
        else:  # each antenna's own beam goes with its phasor
            phasor *= sky.instrument.voltages(sky.towards, frequency).astype(np.float32)
            apparent = np.broadcast_to(fluxes[channel], sky.offsets_rad.shape).astype(np.float32)
        if smearing_width_hz is None:
            weighted = np.conj(phasor) * apparent[:, None, :]
            product = weighted @ phasor.transpose(0, 2, 1)
            result[:, :, channel] = product[:, first, second]
        else:
            for index in range(len(sky.sources)):
                loss = _smearing(sky, index, frequency, smearing_width_hz, first, second)
                pair = np.conj(phasor[:, first, index]) * phasor[:, second, index]
                result[:, :, channel] += apparent[:, index, None] * loss * pair
    return result


def _smearing(
    sky: TileSky, index: int, frequency: float, width_hz: float, first: np.ndarray, second: np.ndarray
) -> np.ndarray:
    """Return bandwidth and time smearing of one source, factors <= 1, (integrations, baselines)."""
    delay = sky.delays_s[:, second, index] - sky.delays_s[:, first, index]
    rate = sky.rates[:, second, index] - sky.rates[:, first, index]
    return (np.sinc(width_hz * delay) * np.sinc(frequency * rate * c.INTEGRATION_S)).astype(np.float32)


def noise_sigma_jy(sefd_jy: float, width_hz: float) -> float:
    """Return the radiometer noise of the real and of the imaginary part of one visibility, Jy."""
    return sefd_jy / float(np.sqrt(2 * width_hz * c.INTEGRATION_S))


def add_receivers(
    visibilities: np.ndarray,
    autos: np.ndarray,
    sefd_jy: float,
    sigma_jy: float,
    rng: np.random.Generator,
) -> None:
    """Add system noise power to the autocorrelations and thermal noise to all visibilities, in place.

    Parameters
    ----------
    visibilities : ndarray
        (integrations, baselines, channels, 2), complex64, Jy.
    autos : ndarray
        Indices of the autocorrelations.
    sefd_jy : float
        System equivalent flux density of one antenna, Jy.
    sigma_jy : float
        Noise of the real and of the imaginary part, Jy; zero for none. Autocorrelations are real, with
        sqrt(2) times this noise.
    rng : numpy.random.Generator
    """
    if sigma_jy > 0:
        noise = rng.standard_normal((*visibilities.shape, 2), dtype=np.float32)
        noise *= np.float32(sigma_jy)
        noise[:, autos, ..., 0] *= np.float32(np.sqrt(2))
        noise[:, autos, ..., 1] = 0
        visibilities += noise.view(np.complex64)[..., 0]
    visibilities[:, autos] += np.float32(sefd_jy)
