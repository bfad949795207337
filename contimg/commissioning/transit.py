"""Reads raw files of one calibrator transit for the checks, in one pass over the data, subband by subband."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contimg.commissioning.fringes import Baselines, FringeModel, Sample, stopped
from contimg.correlator import hdf5
from contimg.correlator.hdf5 import Header

BLOCKS = 4
"""Parts of a subband, each with one fringe rate."""
_STRUCK, _DISTURBED = 0.2, 0.8
"""A subband has interference with more than the first fraction of its cells marked, or less than the second fraction
of the usual fringe power."""
_INTERFERENCE = 0.01
"""Rise of the median autocorrelation above its median in time that marks a cell as interference."""


@dataclass(frozen=True)
class Inputs:
    """The correlator's inputs: which antennas are correlated, and the baselines between them.

    Attributes
    ----------
    rows : (nant,) intp
        Rows of the header's antenna table, ascending.
    names : tuple of str
        Of these antennas.
    order : (nant,) intp
        Places in ``rows`` in the order in which the file has the autocorrelations.
    cross : (nbl,) bool
        Which of the file's baselines are no autocorrelations.
    auto_rows : (nant,) intp
        Row of each antenna's autocorrelation among the baselines.
    baselines : Baselines
        The cross-correlations, in the file's order, as places in ``rows``.
    """

    rows: NDArray[np.intp]
    names: tuple[str, ...]
    order: NDArray[np.intp]
    cross: NDArray[np.bool_]
    auto_rows: NDArray[np.intp]
    baselines: Baselines

    @classmethod
    def of(cls, header: Header) -> Inputs:
        """Return the inputs of a file."""
        rows = np.unique(np.concatenate([header.antenna1, header.antenna2]))
        one, two = np.searchsorted(rows, header.antenna1), np.searchsorted(rows, header.antenna2)
        cross = one != two
        autos = np.flatnonzero(~cross)
        return cls(
            rows,
            tuple(header.antenna_names[row] for row in rows),
            one[autos],
            cross,
            autos[np.argsort(one[autos], kind="stable")],
            Baselines(one[cross], two[cross]),
        )


@dataclass(frozen=True)
class Subband:
    """The normalised data of one file.

    Attributes
    ----------
    header : Header
    vis : (ntime, npol, nbl, nchan) complex64
        Cross-correlations, each channel divided by its rms in time, so that neither gains nor interference weigh;
        0 where flagged, not finite or marked as interference.
    autos : (npol, nant, ntime) float64
        Autocorrelations, mean over channels; 0 where they are not finite.
    course : (npol, nant, ntime) float64
        Autocorrelations over their median in time: median over channels, which is robust against a narrow-band
        transmitter.
    excess : (npol, nbl) float64
        Mean power over the product of the antennas' autocorrelations, median over channels: the radiometer's noise,
        equal on all baselines, and the signals that they have in common.
    struck : float
        Fraction of the cells (integration, channel) with interference.
    """

    header: Header
    vis: NDArray[np.complex64]
    autos: NDArray[np.float64]
    course: NDArray[np.float64]
    excess: NDArray[np.float64]
    struck: float

    def sample(self, channels: int) -> Sample:
        """Return some channels, evenly spaced over the subband."""
        count = len(self.header.freq_hz)
        chosen = np.unique(np.linspace(0, count - 1, min(channels, count)).round().astype(int))
        return Sample(np.ascontiguousarray(self.vis[..., chosen]), self.header.freq_hz[chosen], self.header.subband)


@dataclass(frozen=True)
class Residuals:
    """Residuals of one subband after the calibrator's fringe has been removed.

    Attributes
    ----------
    header : Header
    products : (nblock, ntime, nbl) complex128
        Sum over channels and products of the visibilities times the conjugate of their mean over the other
        integrations: their phase is the departure from the model, free of gains.
    freq_hz : (nblock,) float64
        Mean frequency of each part, as the header labels it.
    slopes : (npol, nbl) complex128
        Sum over channels of the product of neighbours: its phase is the delay times the channel width (descending).
    fraction : (npol, nbl) float64
        Fraction of the power that the steady fringe has.
    autos : (npol, nant, ntime) float64
    course : (npol, nant, ntime) float64
    excess : (npol, nbl) float64
    struck : float
        As in `Subband`.
    """

    header: Header
    products: NDArray[np.complex128]
    freq_hz: NDArray[np.float64]
    slopes: NDArray[np.complex128]
    fraction: NDArray[np.float64]
    autos: NDArray[np.float64]
    course: NDArray[np.float64]
    excess: NDArray[np.float64]
    struck: float


def read_subband(header: Header, inputs: Inputs) -> Subband:
    """Read a file and normalise its visibilities.

    Raises
    ------
    InputError, OSError
        As `contimg.correlator.hdf5.open_data` and its `Data.at`.
    """
    shape = (header.n_times, header.n_pols, header.n_baselines, len(header.freq_hz))
    vis = np.empty(shape, np.complex64)
    with hdf5.open_data(header) as data:
        for time in range(header.n_times):
            plane, flags, _ = data.at(time, 0, header.n_baselines)
            vis[time] = plane
            if flags is not None:
                vis[time][flags] = 0
    vis[~np.isfinite(vis)] = 0
    autos = vis[:, :, inputs.auto_rows].real
    struck = _interference(autos)
    cross = vis[:, :, inputs.cross]
    cross *= ~struck[:, None, None, :]
    rms = np.sqrt(np.einsum("tpbc,tpbc->pbc", cross, cross.conj()).real / len(cross))
    usual = np.median(autos, axis=0)
    pairs = usual[:, inputs.baselines.one] * usual[:, inputs.baselines.two]
    lit = np.maximum((~struck).mean(axis=0), 1e-3)
    excess = np.median(np.where(pairs > 0, rms**2 / lit / np.where(pairs > 0, pairs, 1), 0.0), axis=2)
    cross *= np.where(rms > 0, 1 / np.where(rms > 0, rms, 1), 0).astype(np.float32)
    level = autos.mean(axis=3, dtype=np.float64)
    by_antenna = np.ascontiguousarray(level.transpose(1, 2, 0))
    course = np.median(np.where(usual > 0, autos / np.where(usual > 0, usual, 1), 1.0), axis=3)
    by_time = np.ascontiguousarray(course.transpose(1, 2, 0), dtype=np.float64)
    return Subband(header, cross, by_antenna, by_time, excess.astype(np.float64), float(struck.mean()))


def _interference(autos: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return the integrations and channels (ntime, nchan) in which most antennas receive more than usual."""
    usual = np.median(autos, axis=0)
    ratio = np.where(usual > 0, autos / np.where(usual > 0, usual, 1), 1.0)
    return np.asarray(np.median(ratio, axis=(1, 2)) > 1 + _INTERFERENCE)


def disturbed(found: Sequence[Residuals]) -> NDArray[np.bool_]:
    """Return a mask of subbands with interference: many marked cells, or a far smaller fringe power than usual."""
    parts = np.array([np.median(one.fraction) for one in found])
    struck = np.array([one.struck for one in found])
    return np.asarray((struck > _STRUCK) | (parts < _DISTURBED * max(float(np.median(parts)), 0.0)))


def residuals(subband: Subband, inputs: Inputs, model: FringeModel) -> Residuals:
    """Remove the calibrator's fringe from a subband and average the residuals."""
    header = subband.header
    data = stopped(subband.vis, model.paths_m(header.times_mjd), header.freq_hz, inputs.baselines)
    count = len(data)
    total = data.sum(axis=0)
    products, frequencies = [], []
    for part in np.array_split(np.arange(len(header.freq_hz)), min(BLOCKS, len(header.freq_hz))):
        channels = slice(int(part[0]), int(part[-1]) + 1)
        here = data[..., channels]
        own = np.einsum("tpbc,tpbc->tb", here, here.conj())
        products.append((np.einsum("tpbc,pbc->tb", here, total[..., channels].conj()) - own) / (count - 1))
        frequencies.append(header.freq_hz[channels].mean())
    power = np.einsum("tpbc,tpbc->pb", data, data.conj()).real
    steady = (np.einsum("pbc,pbc->pb", total, total.conj()).real - power) / (count - 1)
    return Residuals(
        header,
        np.array(products, np.complex128),
        np.array(frequencies),
        np.einsum("pbc,pbc->pb", total[..., 1:], total[..., :-1].conj()).astype(np.complex128),
        np.where(power > 0, steady / np.where(power > 0, power, 1), 0.0).astype(np.float64),
        subband.autos,
        subband.course,
        subband.excess,
        subband.struck,
    )
