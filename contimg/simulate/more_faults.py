"""Further faults of correlator data: of groups of baselines, of time stamps, of what moves or drifts or is elsewhere.

They are part of `data_faults.FAULTS`, where each has its description.
"""

from __future__ import annotations

import numpy as np

from contimg.simulate import constants as c
from contimg.simulate.fault_files import SubbandData


def mix_polarisations(one: SubbandData, fraction: float) -> None:
    """Add a fraction of YY to XX and of XX to YY, as receivers do whose signals leak into each other."""
    one.data[..., :2] += np.float32(fraction) * one.data[..., 1::-1].copy()


def scale_baseline_group(one: SubbandData, stations: tuple[int, ...], factor: float) -> None:
    """Multiply the baselines within the first half of the stations, as those of one board of the correlator."""
    half = stations[: len(stations) // 2]
    rows = np.isin(one.stations, half).all(1) & one.cross
    one.data[:, rows] *= np.float32(factor)


def freeze_times(one: SubbandData) -> None:
    """Give all integrations the time of the first."""
    one.times_jd = np.full_like(one.times_jd, one.times_jd[0])


def delay_integrations(one: SubbandData, count: int) -> None:
    """Let the data come a number of integrations late; the first ones repeat."""
    count = max(1, count)
    one.data[count:] = one.data[:-count].copy()


def add_to_every_baseline(one: SubbandData, level: float) -> None:
    """Add a real constant to every cross-correlation, which is a source at the phase centre."""
    one.data[:, one.cross] += np.complex64(level)


def add_satellite_trail(one: SubbandData, level: float, rng: np.random.Generator) -> None:
    """Add a point that moves over the sky in six integrations: on each baseline a phase that turns ever faster."""
    first = int(rng.integers(2, max(3, len(one.data) - 8)))
    rates = rng.normal(0.0, 2.0, len(one.stations))
    for step in range(min(6, len(one.data) - first)):
        phase = np.exp(1j * rates * (step + 1) ** 1.5)
        one.data[first + step, one.cross] += (level * phase[one.cross])[:, None, None].astype(np.complex64)


def drift(one: SubbandData, step: float, transit_tile: int) -> None:
    """Multiply by 1 and a step for each tile after the calibrator's, as gains do that fall with the temperature."""
    one.data *= np.float32(1 + step * (one.tile - transit_tile))


def swap_stations(one: SubbandData, a: int, b: int) -> None:
    """Exchange the signals of two stations, as two cables in each other's place do."""
    other = {a: b, b: a}
    row = {tuple(pair): number for number, pair in enumerate(one.stations.tolist())}
    original = one.data.copy()
    for number, pair in enumerate(one.stations.tolist()):
        wanted = tuple(other.get(station, station) for station in pair)
        if wanted in row:
            one.data[:, number] = original[:, row[wanted]]
        else:
            one.data[:, number] = np.conj(original[:, row[wanted[::-1]]])


def take_integrations(one: SubbandData, other: SubbandData, count: int) -> None:
    """Put a number of integrations of another tile into the middle."""
    count = max(1, count)
    first = (len(one.data) - count) // 2
    one.data[first : first + count] = other.data[first : first + count]


def shift_frequencies(one: SubbandData, subbands: float) -> None:
    """Raise the frequencies of the header by a number of subbands' widths."""
    one.frequencies_hz = one.frequencies_hz + subbands * c.SUBBAND_WIDTH_MHZ * 1e6


def drop_integrations(one: SubbandData, lost: int) -> None:
    """Lose a number of integrations after the first third; what follows stands that much too early."""
    first = len(one.data) // 3
    one.data[first:-lost] = one.data[first + lost :].copy()


def flip_bits(one: SubbandData, share: float, rng: np.random.Generator) -> None:
    """Flip a bit in a share of the numbers."""
    numbers = one.data.view(np.uint32).reshape(-1)
    hit = rng.choice(numbers.size, max(1, round(share * numbers.size)), replace=False)
    numbers[hit] ^= np.uint32(1) << rng.integers(20, 31, len(hit)).astype(np.uint32)


def conjugate(one: SubbandData) -> None:
    """Give every visibility the opposite phase, as of baselines that are counted the other way."""
    np.conjugate(one.data, out=one.data)
