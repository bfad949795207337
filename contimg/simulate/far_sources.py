"""Sources outside the main beam: the Sun, the brightest radio sources, and satellites; and the ionosphere's shift.

They are seen through far sidelobes, of which only the apparent flux density is simulated. Bandwidth and time smearing
always apply to them: at tens of degrees from the phase centre they take most of the signal of long baselines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import j1

from contimg.simulate import constants as c
from contimg.simulate import frames
from contimg.simulate.instrument import Instrument
from contimg.simulate.randomness import generator
from contimg.simulate.telescope import HostileSky

SUN_DIAMETER_RAD = np.radians(32 / 60)
SUN_SPECTRAL_INDEX = 0.6
"""Of the quiet Sun at decimetre wavelengths (Benz 2009, Landolt-Boernstein VI/4B 4.1.1.6)."""

# Name, ICRS position (deg), flux density at 1.4 GHz (Jy), spectral index, diameter (arcmin): Perley & Butler 2017
# (ApJS 230, 7) at 1.4 GHz; diameters of the bright parts.
ATEAM = (
    ("Cas A", 350.850, 58.815, 1750.0, -0.77, 5.0),
    ("Cyg A", 299.868, 40.734, 1580.0, -1.07, 1.8),
    ("Tau A", 83.633, 22.014, 830.0, -0.24, 5.0),
    ("Vir A", 187.706, 12.391, 212.0, -0.83, 1.0),
)
_SATELLITE_RATE_RAD_S = {"iridium": np.radians(0.10), "starlink": np.radians(0.40)}
_IONOSPHERE_PERIODS_S = (3600.0, 10_800.0)
"""Of the gradients that shift the sky by arcseconds; travelling waves of shorter periods are ten times smaller."""


@dataclass(frozen=True)
class FarSource:
    """A disc of uniform brightness outside the main beam.

    Attributes
    ----------
    name : str
    hour_angle_rad, dec_rad : ndarray
        Apparent place at each integration, (integrations,).
    apparent_jy : tuple of float
        Through the sidelobes, in XX and YY at 1.4 GHz.
    spectral_index : float
    diameter_rad : float
    """

    name: str
    hour_angle_rad: np.ndarray
    dec_rad: np.ndarray
    apparent_jy: tuple[float, float]
    spectral_index: float
    diameter_rad: float

    @property
    def up(self) -> np.ndarray:
        """Whether it is above the horizon, (integrations,) bool."""
        lat = c.SITE_LATITUDE_RAD
        return np.sin(lat) * np.sin(self.dec_rad) + np.cos(lat) * np.cos(self.dec_rad) * np.cos(self.hour_angle_rad) > 0


def far_sources(sky: HostileSky, times_jd: np.ndarray) -> tuple[FarSource, ...]:
    """Return the requested sources (Sun, brightest radio sources) that are above the horizon."""
    found = []
    if any(sky.sun_jy):
        places = frames.sun_places(times_jd)
        found.append(FarSource("Sun", *places, sky.sun_jy, SUN_SPECTRAL_INDEX, float(SUN_DIAMETER_RAD)))
    if sky.ateam_response > 0:
        ra, dec = (np.array([row[column] for row in ATEAM]) for column in (1, 2))
        hour_angles, decs = frames.apparent_places(ra, dec, times_jd)
        for index, (name, _, _, flux_jy, spectral_index, arcmin) in enumerate(ATEAM):
            apparent = (sky.ateam_response * flux_jy,) * 2
            place = (hour_angles[:, index], decs[:, index])
            found.append(FarSource(name, *place, apparent, spectral_index, float(np.radians(arcmin / 60))))
    return tuple(source for source in found if source.up.any())


def disc_visibility(diameter_rad: float, projected_wavelengths: np.ndarray) -> np.ndarray:
    """Return the visibility of a uniform disc of unit flux density, 2 J1(x) / x with x = pi diameter |uv|."""
    x = np.pi * diameter_rad * projected_wavelengths
    safe = np.where(x < 1e-8, 1.0, x)
    return np.where(x < 1e-8, 1.0, 2 * j1(safe) / safe)


def add_far_sources(
    visibilities: np.ndarray,
    sources: Sequence[FarSource],
    instrument: Instrument,
    baselines: tuple[np.ndarray, np.ndarray],
    frequencies_hz: np.ndarray,
    width_hz: float,
) -> None:
    """Add sources outside the main beam to the visibilities of one file, in place.

    Parameters
    ----------
    visibilities : ndarray
        (integrations, baselines, channels, 2), Jy.
    sources : sequence of FarSource
    instrument : Instrument
    baselines : tuple of ndarray
        Antennas 1 and 2 of each baseline.
    frequencies_hz : ndarray
        (channels,).
    width_hz : float
        Channel width.
    """
    first, second = baselines
    local = instrument.local_m[second] - instrument.local_m[first]
    stopped = instrument.stopped_m[second] - instrument.stopped_m[first]
    centre = frames.direction_vectors(np.zeros(()), np.asarray(instrument.stopped_declination_rad))
    for source in sources:
        towards = frames.direction_vectors(source.hour_angle_rad, source.dec_rad)
        motion = np.stack([towards[:, 1] - centre[1], centre[0] - towards[:, 0], np.zeros(len(towards))], axis=-1)
        delay = (towards @ local.T - stopped @ centre) / c.SPEED_OF_LIGHT_M_S
        rate = motion @ local.T * c.SIDEREAL_RATE_RAD_S / c.SPEED_OF_LIGHT_M_S
        across = np.sqrt(np.maximum((local**2).sum(axis=1) - (towards @ local.T) ** 2, 0))
        for channel, frequency in enumerate(frequencies_hz):
            turns = frequency * delay
            pattern = np.exp(2j * np.pi * (turns - np.rint(turns))) * source.up[:, None]
            pattern *= np.sinc(width_hz * delay) * np.sinc(frequency * rate * c.INTEGRATION_S)
            pattern *= disc_visibility(source.diameter_rad, across * frequency / c.SPEED_OF_LIGHT_M_S)
            scale = (frequency / c.REFERENCE_FREQUENCY_HZ) ** source.spectral_index
            for polarisation, flux_jy in enumerate(source.apparent_jy):
                visibilities[:, :, channel, polarisation] += (flux_jy * scale * pattern).astype(np.complex64)


@dataclass(frozen=True)
class SatelliteBurst:
    """Bursts of a satellite in one file: channels and integrations, direction and motion.

    Attributes
    ----------
    kind : str
        ``iridium`` (one narrow channel range, single integrations) or ``starlink`` (the whole subband, three in a row).
    channels, integrations : ndarray
    towards, motion : ndarray
        (len(integrations), 3), unit vectors of the places and their changes, 1/s.
    """

    kind: str
    channels: np.ndarray
    integrations: np.ndarray
    towards: np.ndarray
    motion: np.ndarray


def plan_burst(kind: str, seed: int, place: tuple[int, int], integrations: int, channels: int) -> SatelliteBurst:
    """Draw the burst of one file; ``place`` is (tile, subband). The satellite's path is the same in all subbands."""
    rng = generator(seed, f"satellite-{kind}", place[0])
    if kind == "iridium":
        width = max(1, channels // 24)
        where = np.arange(width) + int(rng.integers(0, channels - width + 1))
        when = np.sort(rng.choice(integrations, size=min(3, integrations), replace=False))
    else:
        where = np.arange(channels)
        when = np.arange(min(3, integrations)) + int(rng.integers(0, max(1, integrations - 2)))
    azimuth, zenith = rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 0.9)
    along = rng.uniform(0, 2 * np.pi)
    lat = c.SITE_LATITUDE_RAD
    up = np.array([np.cos(lat), 0.0, np.sin(lat)])
    east, north = np.array([0.0, 1.0, 0.0]), np.array([-np.sin(lat), 0.0, np.cos(lat)])
    start = np.cos(zenith) * up + np.sin(zenith) * (np.sin(azimuth) * east + np.cos(azimuth) * north)
    side = np.cross(start, up) / np.linalg.norm(np.cross(start, up))
    course = np.cos(along) * side + np.sin(along) * np.cross(side, start)
    rate = _SATELLITE_RATE_RAD_S[kind]
    angle = rate * c.INTEGRATION_S * (when - when[0])
    towards = np.cos(angle)[:, None] * start + np.sin(angle)[:, None] * course
    motion = rate * (np.cos(angle)[:, None] * course - np.sin(angle)[:, None] * start)
    return SatelliteBurst(kind, where, when, towards, motion)


def add_burst(
    visibilities: np.ndarray,
    burst: SatelliteBurst,
    flux_jy: float,
    instrument: Instrument,
    baselines: tuple[np.ndarray, np.ndarray],
    frequencies_hz: np.ndarray,
) -> None:
    """Add a satellite's bursts to the visibilities of one file, in place; parameters as of `add_far_sources`."""
    first, second = baselines
    local = instrument.local_m[second] - instrument.local_m[first]
    stopped = instrument.stopped_m[second] - instrument.stopped_m[first]
    centre = frames.direction_vectors(np.zeros(()), np.asarray(instrument.stopped_declination_rad))
    delay = (burst.towards @ local.T - stopped @ centre) / c.SPEED_OF_LIGHT_M_S
    rate = burst.motion @ local.T / c.SPEED_OF_LIGHT_M_S
    for channel in burst.channels:
        turns = frequencies_hz[channel] * delay
        loss = np.sinc(frequencies_hz[channel] * rate * c.INTEGRATION_S)
        pattern = flux_jy * loss * np.exp(2j * np.pi * (turns - np.rint(turns)))
        visibilities[burst.integrations, :, channel] += pattern.astype(np.complex64)[..., None]


def ionospheric_shift_rad(arcsec: float, times_jd: np.ndarray, reference_jd: float, seed: int) -> np.ndarray | None:
    """Return the common shift of all sources at 1.4 GHz, (integrations, 2) east and north, rad; None for none.

    Two slow waves in each coordinate whose sum never exceeds the amplitude ``arcsec``.
    """
    if arcsec == 0:
        return None
    rng = generator(seed, "ionosphere")
    seconds = (times_jd - reference_jd) * c.SECONDS_PER_DAY
    shift = np.zeros((len(times_jd), 2))
    for coordinate in range(2):
        for _ in range(2):
            period = np.exp(rng.uniform(*np.log(_IONOSPHERE_PERIODS_S)))
            shift[:, coordinate] += np.sin(2 * np.pi * (seconds / period + rng.uniform()))
    return np.radians(arcsec / 3600) * shift / (2 * np.sqrt(2))
