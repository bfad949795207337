"""The direct Fourier transform between visibilities and a few point sources, both ways, without an image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.imaging.visibilities.baselines import Baselines
from contimg.imaging.visibilities.samples import Samples
from contimg.imaging.visibilities.smearing import SmearingPhases
from contimg.measurement_set import Coordinates
from contimg.sky.constants import C_M_S

# Channels at a time; a multiple of the largest averaging factor (16), so that no sample is divided.
_BLOCK = 48
_REGULAR_HZ = 1.0
# The part of a source's flux that summing channels may take, where a step need not be exact.
_LOSS = 0.05


@dataclass(frozen=True)
class DirtyValues:
    """The dirty image at n positions: its values, its first moments in ln f, and its gradients.

    Attributes
    ----------
    value : (n,) float64
        Jy/beam.
    first : (n,) float64
        Mean of the visibilities times ln(f / reference frequency), Jy/beam.
    slope : (n, 2) float64
        Derivatives with respect to the direction cosines east and north (Jy/beam).
    """

    value: NDArray[np.float64]
    first: NDArray[np.float64]
    slope: NDArray[np.float64]


class DirectTransform:
    """Direct Fourier transforms of one tile: the dirty image at given positions, and visibilities of point sources.

    For each time and channel the weighted visibilities form a Hermitian matrix V over antennas, and the phases of
    a source a vector E: ``sum_pq V_pq conj(E_p) E_q`` is a matrix product, which is far cheaper than one
    phasor per visibility. Antenna coordinates follow from the baselines by least squares. Samples that are
    means over channels are predicted as such: averaging loses nothing.
    """

    def __init__(
        self,
        coordinates: Coordinates,
        samples: Samples,
        weight: NDArray[np.float32],
        log_freq: NDArray[np.float64],
        threads: int = 1,
        smearing: SmearingPhases | None = None,
    ) -> None:
        """Prepare.

        Parameters
        ----------
        coordinates : Coordinates
        samples : Samples
        weight : (nrow, width) float32
            Imaging weights.
        log_freq : (nchan,) float64
            ln(f / reference frequency) of the band's channels.
        threads : int
        smearing : SmearingPhases, optional
            With it, predicted visibilities have the smearing of channels and integrations.
        """
        self._smearing = smearing
        self._baselines = Baselines(coordinates, samples)
        self._samples, self._weight, self._log_freq = samples, weight, log_freq
        self._total = float(weight.sum(dtype=np.float64))
        self._threads = threads
        by_time = self._baselines.rows_by_time
        self._times = [int(samples.time_index[rows[0]]) for rows in by_time]
        self._layouts = [list(self._by_layout(rows)) for rows in by_time]
        freq_hz = samples.freq_hz
        self._blocks = [slice(a, min(a + _BLOCK, len(freq_hz))) for a in range(0, len(freq_hz), _BLOCK)]
        steps = np.diff(freq_hz)
        self._ordered = bool((self._baselines.antenna1 <= self._baselines.antenna2).all())
        self._regular = len(steps) > 0 and float(np.ptp(steps)) * len(steps) < _REGULAR_HZ

    def dirty_at(
        self,
        vis: NDArray[np.complex64],
        east: NDArray[np.float64],
        north: NDArray[np.float64],
        *,
        exact: bool = True,
    ) -> DirtyValues:
        """Return the dirty image of visibilities (nrow, width) at direction cosines (n,).

        With ``exact=False`` up to four channels are summed before: values are then too small by some `_LOSS`, which
        a step towards the sources' true fluxes may be.
        """
        together = 1 if exact else self._together(east, north)

        def one_time(index: int) -> tuple[NDArray[np.float64], ...]:
            return self._dirty_of_time(index, vis, east, north, together)

        value, first, *slope = np.sum(list(self._each_time(one_time)), axis=0) / self._total
        return DirtyValues(value, first, np.stack(slope, 1))

    def _together(self, east: NDArray[np.float64], north: NDArray[np.float64]) -> int:
        """Return how many channels can be summed with little loss: at the rms of distances and baselines."""
        if not self._regular or not len(east):
            return 1
        share = self._weight.sum(1, dtype=np.float64)
        rms_m = np.sqrt(share @ (self._samples.uvw_m[:, :2] ** 2).sum(1) / share.sum()) if share.any() else 0.0
        step_hz = abs(float(self._samples.freq_hz[1] - self._samples.freq_hz[0]))
        turns = step_hz / C_M_S * float(rms_m) * float(np.sqrt(np.mean(east**2 + north**2)))
        return next((number for number in (4, 2) if 1 - np.sinc(number * turns) < _LOSS), 1)

    def _dirty_of_time(
        self,
        index: int,
        vis: NDArray[np.complex64],
        east: NDArray[np.float64],
        north: NDArray[np.float64],
        together: int,
    ) -> tuple[NDArray[np.float64], ...]:
        """Return the weighted sums (n,) over one integration: value, first moment, slopes along east and north."""
        out = np.sqrt(1 - east**2 - north**2)
        lmn = np.stack([east, north, out - 1])
        uvw_m = self._baselines.antenna_uvw_m[index]
        # d(delay)/d(east) and d(delay)/d(north): n changes with them.
        rates = [uvw_m[:, k, None] - np.outer(uvw_m[:, 2], lmn[k] / out) for k in (0, 1)]
        value, first = np.zeros(len(east)), np.zeros(len(east))
        turned = np.zeros((self._baselines.n_antennas, len(east)))
        for channels, phasor in self._phasors(uvw_m @ lmn, together):
            product = _sums(self._antenna_matrix(index, vis, channels), together) @ phasor
            product *= phasor.conj()
            real = product.real.sum(1, dtype=np.float64) / 2
            value += real.sum(0)
            first += _means(self._log_freq[channels], together) @ real
            wave = (2 * np.pi / C_M_S * _means(self._samples.freq_hz[channels], together)).astype(np.float32)
            turned += np.tensordot(wave, product.imag, 1)
        return value, first, *((turned * rate).sum(0) for rate in rates)

    def _antenna_matrix(self, index: int, vis: NDArray[np.complex64], channels: slice) -> NDArray[np.complex64]:
        """Return the weighted visibilities of one integration as Hermitian matrices (nchan, nant, nant)."""
        averaging, count = self._samples.averaging, self._baselines.n_antennas
        flat = np.zeros((channels.stop - channels.start, count * count), np.complex64)
        for layout, rows, elements in self._layouts[index]:
            columns, covered = averaging.columns(layout, channels.start, channels.stop)
            weighted = (vis[rows, columns] * self._weight[rows, columns]).T
            inside = slice(covered.start - channels.start, covered.stop - channels.start)
            flat[inside, elements] = averaging.distribute(weighted, layout, covered.stop - covered.start)
        matrix = flat.reshape(-1, count, count)
        matrix += matrix.conj().swapaxes(1, 2)
        return matrix

    def predict(
        self, apparent_jy: NDArray[np.float32], east: NDArray[np.float64], north: NDArray[np.float64]
    ) -> NDArray[np.complex64]:
        """Return the visibilities (nrow, width) of point sources.

        Parameters
        ----------
        apparent_jy : (n, ntime, nchan) float32
            Flux densities times the primary beam (Jy).
        east, north : (n,) float64
            Direction cosines.
        """
        model = np.zeros(self._samples.vis.shape, np.complex64)
        lmn = np.stack([east, north, np.sqrt(1 - east**2 - north**2)])

        def one_time(index: int) -> None:
            self._predict_time(index, apparent_jy, lmn, model)

        if len(east):
            list(self._each_time(one_time))
        return model

    def _predict_time(
        self,
        index: int,
        apparent_jy: NDArray[np.float32],
        lmn: NDArray[np.float64],
        model: NDArray[np.complex64],
    ) -> None:
        """Write the visibilities of one integration into the model (nrow, width)."""
        averaging, time = self._samples.averaging, self._times[index]
        flux = apparent_jy[:, time].T
        uvw_m = self._baselines.antenna_uvw_m[index]
        for channels, phasor in self._phasors(uvw_m @ (lmn - [[0], [0], [1]])):
            share, nodes = flux[channels, None, :], [np.ones((), np.complex64)]
            if self._smearing is not None:
                middle_hz = float(self._samples.freq_hz[channels].mean())
                nodes = self._smearing.quadrature(uvw_m, lmn, time, middle_hz)
                share = share / np.float32(len(nodes))
            product = np.zeros((len(phasor), *[self._baselines.n_antennas] * 2), np.complex64)
            for node in nodes:
                _add_matrix(product, phasor * node, share)
            if not self._ordered:
                product += np.triu(product, 1).conj().swapaxes(1, 2)
            product = product.reshape(len(phasor), -1)
            for layout, rows, elements in self._layouts[index]:
                columns, covered = averaging.columns(layout, channels.start, channels.stop)
                inside = slice(covered.start - channels.start, covered.stop - channels.start)
                model[rows, columns] = averaging.average(product[inside].take(elements, axis=1), layout).T

    def _each_time(self, work: Callable[[int], Any]) -> Iterator[Any]:
        """Work through the integrations in threads; numpy releases the interpreter's lock."""
        self._baselines.antenna_uvw_m  # noqa: B018  computed once, before the threads
        with ThreadPoolExecutor(self._threads) as pool:
            yield from pool.map(work, range(len(self._times)))

    def _by_layout(self, rows: NDArray[np.int64]) -> Iterator[tuple[int, slice | NDArray[np.int64], NDArray[np.int64]]]:
        """Yield the channel layouts that rows have, the rows of each, and their elements in a flat antenna matrix."""
        layouts, baselines = self._samples.averaging.layout_of_row[rows], self._baselines
        for layout in np.unique(layouts):
            mine = rows[layouts == layout]
            elements = baselines.antenna1[mine] * baselines.n_antennas + baselines.antenna2[mine]
            contiguous = int(mine[-1] - mine[0]) == len(mine) - 1
            yield int(layout), slice(int(mine[0]), int(mine[-1]) + 1) if contiguous else mine, elements

    def _phasors(
        self, delay_m: NDArray[np.float64], together: int = 1
    ) -> Iterator[tuple[slice, NDArray[np.complex64]]]:
        """Yield exp(2 pi i f/c delay) as (n, nant, nsrc), for one block of channels after another.

        With `together` above 1, at the mean frequencies of so many channels.
        """
        blocks = [_means(self._samples.freq_hz[channels], together) for channels in self._blocks]
        if self._regular:
            powers = _phasor((blocks[0] - blocks[0][0])[:, None, None] / C_M_S * delay_m)
        for channels, freq_hz in zip(self._blocks, blocks, strict=True):
            # A last block whose channels leave a rest has another step from the mean of that to the one before.
            if self._regular and (channels.stop - channels.start) % together == 0:
                first = _phasor(freq_hz[0] / C_M_S * delay_m)
                yield channels, powers[: len(freq_hz)] * first
            else:
                yield channels, _phasor(freq_hz[:, None, None] / C_M_S * delay_m)


def _sums(values: NDArray[Any], together: int) -> NDArray[Any]:
    """Return the sums over so many successive values of the first axis; the last one over what is left."""
    return values if together == 1 else np.add.reduceat(values, np.arange(0, len(values), together), axis=0)


def _means(values: NDArray[np.float64], together: int) -> NDArray[np.float64]:
    """Return the means over so many successive values; the last one over what is left."""
    count = np.minimum(together, len(values) - np.arange(0, len(values), together))
    return np.asarray(_sums(values, together) / count, np.float64)


def _add_matrix(total: NDArray[np.complex64], phasor: NDArray[np.complex64], flux_jy: NDArray[np.float32]) -> None:
    """Add the visibilities between antennas p <= q of sources to matrices (n, nant, nant).

    Parameters
    ----------
    total : (n, nant, nant) complex64
        What is below the diagonal is left as it is.
    phasor : (n, nant, nsrc) complex64
    flux_jy : (n, 1, nsrc) float32

    Notes
    -----
    The matrix ``X X^H`` with X = phasor sqrt(flux) is Hermitian, and BLAS's ``cherk`` computes one half of it. A
    measured beam may be negative in its sidelobes: such fluxes are subtracted in a second product.
    """
    from scipy.linalg.blas import cherk

    for sign in (1.0, -1.0):
        part = np.maximum(np.float32(sign) * flux_jy, 0)
        if not part.any():
            continue
        root = phasor * np.sqrt(part)
        for matrix, one in zip(total, root, strict=True):
            # Of the transposes, which BLAS takes without copies, this is the conjugate of the lower half.
            cherk(sign, one.T, beta=1.0, c=matrix.T, trans=2, lower=1, overwrite_c=1)


def _phasor(turns: NDArray[np.float64]) -> NDArray[np.complex64]:
    """Return exp(2 pi i turns); whole turns are subtracted in double precision."""
    angle = (2 * np.pi * (turns - np.rint(turns))).astype(np.float32)
    phasor = np.empty(angle.shape, np.complex64)
    phasor.real, phasor.imag = np.cos(angle), np.sin(angle)
    return phasor
