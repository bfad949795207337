"""Terrestrial radio-frequency interference: narrow-band lines, bursts and broad-band pulses."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from contimg.simulate import constants as c
from contimg.simulate.randomness import generator


@dataclass(frozen=True)
class InterferenceEvent:
    """Interference in one file: its kind, the channels and integrations affected, its strength in Jy."""

    tile: int
    subband: int
    kind: str
    channels: tuple[int, ...]
    integrations: tuple[int, ...]
    strength_jy: float

    def describe(self) -> dict[str, object]:
        """Return a JSON-ready description (the mask of the affected cells)."""
        return asdict(self)


def plan_events(
    requests: tuple[tuple[int, str], ...],
    strength_jy: float,
    tiles: int,
    channels: int,
    integrations: int,
    seed: int,
) -> tuple[InterferenceEvent, ...]:
    """Draw the channels and integrations with interference.

    ``line``: a sixteenth of the channels, at least one, in all integrations of the night.
    ``burst``: a third of the channels, in two integrations of each tile.
    ``broad``: all channels of the subband, in one to three integrations of each tile.
    """
    events = []
    for subband, kind in requests:
        steady = generator(seed, f"rfi-{kind}", subband)
        line = np.sort(steady.choice(channels, size=max(1, channels // 16), replace=False))
        for tile in range(tiles):
            rng = generator(seed, f"rfi-{kind}", subband, tile)
            if kind == "line":
                where, when = line, np.arange(integrations)
            elif kind == "burst":
                width = max(1, channels // 3)
                where = np.arange(width) + rng.integers(0, channels - width + 1)
                when = np.sort(rng.choice(integrations, size=min(2, integrations), replace=False))
            else:
                where = np.arange(channels)
                length = int(rng.integers(1, min(3, integrations) + 1))
                when = np.arange(length) + rng.integers(0, integrations - length + 1)
            cells = (tuple(int(value) for value in where), tuple(int(value) for value in when))
            events.append(InterferenceEvent(tile, subband, kind, *cells, strength_jy))
    return tuple(events)


def coupling(antennas: int, seed: int) -> np.ndarray:
    """Return the coupling of each antenna and polarisation to the transmitter, complex, shape (antennas, 2).

    The transmitter and the phase centre (hour angle 0) are both fixed to the Earth, so the interference does
    not fringe: each antenna has one phase for the whole night.
    """
    rng = generator(seed, "rfi-coupling")
    shape = (antennas, len(c.POLARIZATIONS))
    return np.exp(rng.normal(0.0, 0.4, shape)) * np.exp(2j * np.pi * rng.uniform(size=shape))


def add_events(
    visibilities: np.ndarray,
    events: tuple[InterferenceEvent, ...],
    antenna_coupling: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    seed: int,
) -> None:
    """Add the interference of one file in place.

    Parameters
    ----------
    visibilities : ndarray
        (integrations, baselines, channels, 2), Jy.
    events : tuple of InterferenceEvent
        Those of this file.
    antenna_coupling : ndarray
        (antennas, 2).
    first, second : ndarray
        Antennas of each baseline.
    seed : int
    """
    pair = np.conj(antenna_coupling[first]) * antenna_coupling[second]
    for event in events:
        rng = generator(seed, f"rfi-level-{event.kind}", event.tile, event.subband)
        level = event.strength_jy * rng.uniform(0.5, 1.5, (len(event.integrations), len(event.channels)))
        cells = np.ix_(event.integrations, range(len(first)), event.channels)
        visibilities[cells] += level[:, None, :, None] * pair[None, :, None, :]
