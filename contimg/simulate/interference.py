"""Radio-frequency interference: steady lines, bursts and broad-band flashes of terrestrial origin."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from contimg.simulate import constants as c
from contimg.simulate.randomness import generator


@dataclass(frozen=True)
class Event:
    """Interference in one file: its kind, the channels and integrations it covers, its strength in Jy."""

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
) -> tuple[Event, ...]:
    """Decide where interference strikes.

    ``line``: one channel (of eight), always. ``burst``: a third of the channels for two integrations in each
    tile. ``broad``: the whole subband for one to three integrations in each tile.
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
            events.append(Event(tile, subband, kind, *cells, strength_jy))
    return tuple(events)


def coupling(antennas: int, seed: int) -> np.ndarray:
    """Return how each antenna and polarisation hears the transmitter, complex, shape (antennas, 2).

    A transmitter stands still in the Earth's frame, and so does the phase centre: no fringes, one phase per
    antenna for the whole night.
    """
    rng = generator(seed, "rfi-coupling")
    shape = (antennas, len(c.POLARIZATIONS))
    return np.exp(rng.normal(0.0, 0.4, shape)) * np.exp(2j * np.pi * rng.uniform(size=shape))


def add_events(
    visibilities: np.ndarray,
    events: tuple[Event, ...],
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
    events : tuple of Event
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
