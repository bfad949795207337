"""The noise that errors of the gains leave in an image beside bright sources."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contimg.imaging.grid import TileGrid
from contimg.imaging.visibilities.samples import Samples
from contimg.measurement_set import Coordinates
from contimg.sky.constants import C_M_S

DRIFT = 0.01
"""Largest scatter of the antennas' amplitudes, and of their phases in rad, that is expected between a tile and its
calibrator: more is a fault."""
_PLACES = 12
"""The noise is computed at this number of rows and columns of places, evenly spaced over the image."""
_MOST_SOURCES = 30
"""The brightest sources; the others are fainter than all of these and count at the mean of their distances."""


@dataclass(frozen=True)
class GainErrors:
    """Errors of the gains that a tile was calibrated with.

    Attributes
    ----------
    bandpass : float
        Of amplitude (fraction) and phase (rad), averaged over the band; independent from channel to channel.
    amplitude : float
        Scatter of the antennas' amplitudes that all channels and integrations share.
    phase : float
        The same of their phases (rad).
    """

    bandpass: float = 0.0
    amplitude: float = 0.0
    phase: float = 0.0


@dataclass(frozen=True)
class Baselines:
    """The baselines of a tile with data, (n,) each.

    Attributes
    ----------
    uv : (n, 2) float64
        In the middle of tile and band (wavelengths).
    turn : (n, 2) float64
        Change of that during the tile.
    weight : (n,) float64
        Sums of the imaging weights.
    band : float
        Bandwidth over frequency.
    """

    uv: NDArray[np.float64]
    turn: NDArray[np.float64]
    weight: NDArray[np.float64]
    band: float

    @classmethod
    def of(cls, coordinates: Coordinates, samples: Samples, weight: NDArray[np.float32]) -> Baselines:
        """Return the baselines of samples with their imaging weights (nrow, width)."""
        row_weight = weight.sum(1, dtype=np.float64)
        pair = coordinates.antenna1[samples.rows].astype(np.int64) << 32 | coordinates.antenna2[samples.rows]
        _, number, count = np.unique(pair, return_inverse=True, return_counts=True)
        first = np.full(len(count), len(pair))
        last = np.full(len(count), -1)
        np.minimum.at(first, number, np.arange(len(pair)))  # rows are in the order of time
        np.maximum.at(last, number, np.arange(len(pair)))
        freq_hz = samples.freq_hz
        middle_hz = float((freq_hz[0] + freq_hz[-1]) / 2)
        steps = samples.time_index[last] - samples.time_index[first]
        change = samples.uvw_m[last, :2] - samples.uvw_m[first, :2]
        change *= ((steps + 1) / np.maximum(steps, 1))[:, None]
        middle = (samples.uvw_m[last, :2] + samples.uvw_m[first, :2]) / 2
        per_metre = middle_hz / C_M_S
        return cls(
            middle * per_metre,
            change * per_metre,
            np.bincount(number, row_weight, len(count)).astype(np.float64),
            float(freq_hz[-1] - freq_hz[0]) / middle_hz,
        )


def gain_noise_jy(
    errors: GainErrors, apparent_jy: NDArray[np.float64], directions: NDArray[np.float64], tile: Baselines,
    grid: TileGrid,
) -> float:  # fmt: skip
    """Return the noise (Jy/beam) that errors of the antennas' gains leave away from the bright sources.

    A baseline of weight W whose visibility of a source of S is wrong by ``d S`` leaves a fringe of amplitude ``W d S``
    over the sum of the weights; d is the sum of two antennas' errors, and fringes of many baselines add like noise. Of
    errors e of both amplitude and phase that are independent in each channel that is
    ``S e sqrt(2 sum W^2) / sum W``, ``2 S e / N`` for N antennas of one weight (Perley 1999, ASP Conf. 180, 275). An
    error that channels share leaves fringes that lie in phase at the source and run apart with the distance from it:
    there they are weaker by ``sinc(band u.r)``, with u the baseline in wavelengths and r the place from the source; all
    fringes are weaker by ``sinc(turn.r)``, turn the change of u during the tile. The noise is the median over the
    image, as that of images is measured robustly; sources add in quadrature.

    Parameters
    ----------
    errors : GainErrors
        Of the amplitudes and phases that all channels share, `DRIFT` at most counts.
    apparent_jy : (n,) float64
        Flux densities of the bright sources through the beam (Jy).
    directions : (n, 2) float64
        Their direction cosines, east and north.
    tile : Baselines
    grid : TileGrid
        Of the image.
    """
    total = tile.weight.sum()
    if not len(apparent_jy) or not total > 0:
        return 0.0
    relative = (tile.weight / total) ** 2
    shared = min(errors.amplitude, DRIFT) ** 2 + min(errors.phase, DRIFT) ** 2
    order = np.argsort(-apparent_jy, kind="stable")
    step = (np.arange(_PLACES) + 0.5) * grid.size_px / _PLACES
    places = np.stack([plane.ravel() for plane in grid.cosines(*np.meshgrid(step, step))], axis=1)
    variance = np.zeros(len(places))
    for i in order[:_MOST_SOURCES]:
        away = places - directions[i]
        over_band, over_time = np.sinc(tile.band * tile.uv @ away.T), np.sinc(tile.turn @ away.T)
        variance += apparent_jy[i] ** 2 * (relative @ ((2 * errors.bandpass**2 + shared * over_band**2) * over_time**2))
    rest = order[_MOST_SOURCES:]
    if len(rest):
        variance *= 1 + (apparent_jy[rest] ** 2).sum() / (apparent_jy[order[:_MOST_SOURCES]] ** 2).sum()
    return float(np.sqrt(np.median(variance)))
