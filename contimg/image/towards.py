"""What visibilities hold towards given directions: the exact transform, without an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contimg.beam import C_M_S
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
        antenna1, antenna2 = coordinates.antenna1[samples.rows], coordinates.antenna2[samples.rows]
        names, number = np.unique(np.concatenate([antenna1, antenna2]), return_inverse=True)
        self._one, self._two = number[: len(antenna1)], number[len(antenna1) :]
        self._count = len(names)
        self._samples, self._weight, self._log_freq = samples, weight, log_freq
        self._total = float(weight.sum(dtype=np.float64))
        self._times = [np.flatnonzero(samples.time_index == index) for index in np.unique(samples.time_index)]
        self._places = [self._antennas(rows) for rows in self._times]

    def look(self, vis: NDArray[np.complex64], east: NDArray[np.float64], north: NDArray[np.float64]) -> Seen:
        """Return the dirty image of visibilities (nrow, nchan) at direction cosines (n,)."""
        out = np.sqrt(1 - east**2 - north**2)
        lmn = np.stack([east, north, out - 1])
        number = len(east)
        value, first, slope = np.zeros(number), np.zeros(number), np.zeros((2, number))
        freq_hz = self._samples.freq_hz
        for rows, place in zip(self._times, self._places, strict=True):
            delay = place @ lmn
            # d(delay)/d(east), d(delay)/d(north): n changes with them.
            rate = [np.outer(place[:, k], np.ones(number)) - np.outer(place[:, 2], lmn[k] / out) for k in (0, 1)]
            rates = np.stack([np.ones_like(delay), *rate], 1).astype(np.float32)
            one, two = self._one[rows], self._two[rows]
            for start in range(0, len(freq_hz), _BLOCK):
                channels = slice(start, start + _BLOCK)
                wave = freq_hz[channels, None, None] / C_M_S
                turns = wave * delay
                phasor = np.exp(2j * np.pi * (turns - np.rint(turns))).astype(np.complex64)
                matrix = np.zeros((len(phasor), self._count, self._count), np.complex64)
                matrix[:, one, two] = (vis[rows, channels] * self._weight[rows, channels]).T
                right = (phasor[:, :, None, :] * rates).reshape(len(phasor), self._count, -1)
                product = (matrix @ right).reshape(len(phasor), self._count, 3, number)
                seen = np.einsum("cas,caks->kcs", phasor.conj(), product, optimize=True)
                turned = np.einsum("cas,aks,cas->kcs", phasor.conj(), rates[:, 1:], product[:, :, 0], optimize=True)
                real = seen[0].real.astype(np.float64)
                value += real.sum(0)
                first += self._log_freq[channels] @ real
                slope += ((turned - seen[1:]).imag * (2 * np.pi * wave[:, :, 0])).sum(1)
        return Seen(value / self._total, first / self._total, slope.T / self._total)

    def _antennas(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return antenna coordinates (nant, 3) whose differences are the baselines of one time."""
        incidence = np.zeros((len(rows), self._count))
        incidence[np.arange(len(rows)), self._one[rows]] = 1
        incidence[np.arange(len(rows)), self._two[rows]] -= 1
        normal = incidence.T @ incidence
        return np.linalg.pinv(normal, hermitian=True) @ (incidence.T @ self._samples.uvw_m[rows])
