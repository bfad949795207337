"""What visibilities hold towards given directions: the exact transform, without an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contimg.beam import C_M_S
from contimg.image.baselines import Baselines
from contimg.image.samples import Samples
from contimg.measurement_set import Coordinates

_BLOCK = 32


@dataclass(frozen=True)
class Seen:
    """The dirty image at n places; first moment in ln f; slopes along east and north.

    Attributes
    ----------
    value, first : (n,) float64
        Jy/beam.
    slope : (n, 2) float64
        Jy/beam per unit of direction cosine.
    """

    value: NDArray[np.float64]
    first: NDArray[np.float64]
    slope: NDArray[np.float64]


class Towards:
    """Looks at visibilities of one tile towards any directions.

    For each time and channel the weighted visibilities are a matrix V of antennas, and a source's
    phasors a vector E: ``sum_pq V_pq conj(E_p) E_q`` is a matrix product, which is far cheaper than a
    phasor a sample. Antenna coordinates follow from the baselines by least squares.
    """

    def __init__(
        self, coordinates: Coordinates, samples: Samples, weight: NDArray[np.float32], log_freq: NDArray[np.float64]
    ) -> None:
        self._baselines = Baselines(coordinates, samples)
        self._samples, self._weight, self._log_freq = samples, weight, log_freq
        self._total = float(weight.sum(dtype=np.float64))

    def look(self, vis: NDArray[np.complex64], east: NDArray[np.float64], north: NDArray[np.float64]) -> Seen:
        """Return the dirty image of visibilities (nrow, nchan) at direction cosines (n,)."""
        out = np.sqrt(1 - east**2 - north**2)
        lmn = np.stack([east, north, out - 1])
        number = len(east)
        value, first, slope = np.zeros(number), np.zeros(number), np.zeros((2, number))
        freq_hz, baselines = self._samples.freq_hz, self._baselines
        for rows, place in zip(baselines.times, baselines.places, strict=True):
            delay = place @ lmn
            # d(delay)/d(east), d(delay)/d(north): n changes with them.
            rate = [np.outer(place[:, k], np.ones(number)) - np.outer(place[:, 2], lmn[k] / out) for k in (0, 1)]
            rates = np.stack([np.ones_like(delay), *rate], 1).astype(np.float32)
            one, two = baselines.one[rows], baselines.two[rows]
            for start in range(0, len(freq_hz), _BLOCK):
                channels = slice(start, start + _BLOCK)
                wave = freq_hz[channels, None, None] / C_M_S
                turns = wave * delay
                phasor = np.exp(2j * np.pi * (turns - np.rint(turns))).astype(np.complex64)
                matrix = np.zeros((len(phasor), baselines.count, baselines.count), np.complex64)
                matrix[:, one, two] = (vis[rows, channels] * self._weight[rows, channels]).T
                right = (phasor[:, :, None, :] * rates).reshape(len(phasor), baselines.count, -1)
                product = (matrix @ right).reshape(len(phasor), baselines.count, 3, number)
                seen = np.einsum("cas,caks->kcs", phasor.conj(), product, optimize=True)
                turned = np.einsum("cas,aks,cas->kcs", phasor.conj(), rates[:, 1:], product[:, :, 0], optimize=True)
                real = seen[0].real.astype(np.float64)
                value += real.sum(0)
                first += self._log_freq[channels] @ real
                slope += ((turned - seen[1:]).imag * (2 * np.pi * wave[:, :, 0])).sum(1)
        return Seen(value / self._total, first / self._total, slope.T / self._total)
