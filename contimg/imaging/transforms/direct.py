"""Between visibilities and a few directions: the exact transform, both ways, without an image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.imaging.visibilities.baselines import Baselines
from contimg.imaging.visibilities.samples import Samples
from contimg.imaging.visibilities.smearing import Fringes
from contimg.measurement_set import Coordinates
from contimg.sky.airy_beam import C_M_S

# Channels at a time; a multiple of the most that are averaged (16), so that no bin is cut.
_BLOCK = 48
_REGULAR_HZ = 1.0


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
    """Looks at visibilities of one tile towards any directions, and predicts them.

    For each time and channel the weighted visibilities are a Hermitian matrix V of antennas, and a source's
    phasors a vector E: ``sum_pq V_pq conj(E_p) E_q`` is a matrix product, which is far cheaper than a
    phasor a sample. Antenna coordinates follow from the baselines by least squares. Samples that are
    means of channels are predicted as such: nothing is lost by averaging.
    """

    def __init__(
        self,
        coordinates: Coordinates,
        samples: Samples,
        weight: NDArray[np.float32],
        log_freq: NDArray[np.float64],
        threads: int = 1,
        fringes: Fringes | None = None,
    ) -> None:
        self._fringes = fringes
        self._baselines = Baselines(coordinates, samples)
        self._samples, self._weight, self._log_freq = samples, weight, log_freq
        self._total = float(weight.sum(dtype=np.float64))
        self._threads = threads
        self._moments = [int(samples.time_index[rows[0]]) for rows in self._baselines.times]
        self._lists = [list(self._by_list(rows)) for rows in self._baselines.times]
        freq_hz = samples.freq_hz
        self._blocks = [slice(a, min(a + _BLOCK, len(freq_hz))) for a in range(0, len(freq_hz), _BLOCK)]
        steps = np.diff(freq_hz)
        self._regular = len(steps) > 0 and float(np.ptp(steps)) * len(steps) < _REGULAR_HZ

    def look(self, vis: NDArray[np.complex64], east: NDArray[np.float64], north: NDArray[np.float64]) -> Seen:
        """Return the dirty image of visibilities (nrow, width) at direction cosines (n,)."""
        out = np.sqrt(1 - east**2 - north**2)
        lmn = np.stack([east, north, out - 1])
        bins, freq_hz, count = self._samples.bins, self._samples.freq_hz, self._baselines.count

        def one_time(index: int) -> tuple[NDArray[np.float64], ...]:
            place = self._baselines.places[index]
            # d(delay)/d(east), d(delay)/d(north): n changes with them.
            rates = [place[:, k, None] - np.outer(place[:, 2], lmn[k] / out) for k in (0, 1)]
            value, first = np.zeros(len(east)), np.zeros(len(east))
            turned = np.zeros((count, len(east)))
            for channels, phasor in self._phasors(place @ lmn):
                matrix = np.zeros((len(phasor), count * count), np.complex64)
                for which, rows, flat in self._lists[index]:
                    columns, there = bins.columns(which, channels.start, channels.stop)
                    weighted = (vis[rows, columns] * self._weight[rows, columns]).T
                    inside = slice(there.start - channels.start, there.stop - channels.start)
                    matrix[inside, flat] = bins.spread(weighted, which, there.stop - there.start)
                matrix = matrix.reshape(-1, count, count)
                matrix += matrix.conj().swapaxes(1, 2)
                product = matrix @ phasor
                product *= phasor.conj()
                real = product.real.sum(1, dtype=np.float64) / 2
                value += real.sum(0)
                first += self._log_freq[channels] @ real
                wave = (2 * np.pi / C_M_S * freq_hz[channels]).astype(np.float32)
                turned += np.tensordot(wave, product.imag, 1)
            return value, first, *((turned * rate).sum(0) for rate in rates)

        value, first, *slope = np.sum(list(self._each_time(one_time)), axis=0) / self._total
        return Seen(value, first, np.stack(slope, 1))

    def predict(
        self, apparent_jy: NDArray[np.float32], east: NDArray[np.float64], north: NDArray[np.float64]
    ) -> NDArray[np.complex64]:
        """Return the visibilities (nrow, width) of sources of apparent fluxes (n, ntime, nchan).

        With `Fringes` they have what coherence channels and integrations leave them.
        """
        model = np.zeros(self._samples.vis.shape, np.complex64)
        lmn = np.stack([east, north, np.sqrt(1 - east**2 - north**2)])
        bins = self._samples.bins

        def one_time(index: int) -> None:
            flux = apparent_jy[:, self._moments[index]].T
            place = self._baselines.places[index]
            for channels, phasor in self._phasors(place @ (lmn - [[0], [0], [1]])):
                nodes = [np.ones((), np.complex64)]
                if self._fringes is not None:
                    middle_hz = float(self._samples.freq_hz[channels].mean())
                    nodes = self._fringes.nodes(place, lmn, self._moments[index], middle_hz)
                seen = flux[channels, None, :] / np.float32(len(nodes))
                product = sum(
                    (phasor * node * seen) @ (phasor * node).conj().swapaxes(1, 2) for node in nodes
                ).reshape(len(phasor), -1)  # fmt: skip
                for which, rows, flat in self._lists[index]:
                    columns, there = bins.columns(which, channels.start, channels.stop)
                    inside = slice(there.start - channels.start, there.stop - channels.start)
                    model[rows, columns] = bins.means(product[inside].take(flat, axis=1), which).T

        if len(east):
            list(self._each_time(one_time))
        return model

    def _each_time(self, work: Callable[[int], Any]) -> Iterator[Any]:
        """Work through the integrations in threads; numpy lets go of the interpreter's lock."""
        self._baselines.places  # noqa: B018  worked out once, before the threads
        with ThreadPoolExecutor(self._threads) as pool:
            yield from pool.map(work, range(len(self._moments)))

    def _by_list(self, rows: NDArray[np.int64]) -> Iterator[tuple[int, slice | NDArray[np.int64], NDArray[np.int64]]]:
        """Yield the lists that rows have, the rows of each, and their places in a matrix of antennas."""
        of_row, baselines = self._samples.bins.of_row[rows], self._baselines
        for which in np.unique(of_row):
            mine = rows[of_row == which]
            flat = baselines.one[mine] * baselines.count + baselines.two[mine]
            whole = int(mine[-1] - mine[0]) == len(mine) - 1
            yield int(which), slice(int(mine[0]), int(mine[-1]) + 1) if whole else mine, flat

    def _phasors(self, delay_m: NDArray[np.float64]) -> Iterator[tuple[slice, NDArray[np.complex64]]]:
        """Yield exp(2 pi i f/c delay) as (n, nant, nsrc), block by block of channels."""
        freq_hz = self._samples.freq_hz
        if self._regular:
            steps = freq_hz[self._blocks[0]] - freq_hz[0]
            powers = _turn(steps[:, None, None] / C_M_S * delay_m)
        for channels in self._blocks:
            if self._regular:
                first = _turn(freq_hz[channels.start] / C_M_S * delay_m)
                yield channels, powers[: channels.stop - channels.start] * first
            else:
                yield channels, _turn(freq_hz[channels, None, None] / C_M_S * delay_m)


def _turn(turns: NDArray[np.float64]) -> NDArray[np.complex64]:
    """Return exp(2 pi i turns); whole turns are taken off in double precision."""
    angle = (2 * np.pi * (turns - np.rint(turns))).astype(np.float32)
    phasor = np.empty(angle.shape, np.complex64)
    phasor.real, phasor.imag = np.cos(angle), np.sin(angle)
    return phasor
