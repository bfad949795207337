"""First phase of flagging: a tile is flagged block by block of baselines while it is converted.

The data are not calibrated yet. What a block shows by itself is flagged at once (codes in
`contimg.flagging.flag_codes`):

- invalid samples: not finite, zero, or one constant value on the whole baseline;
- channels at the edges of subbands, if the configuration asks for it;
- samples that AOFlagger finds (strategy ``dsa110.lua``) in the polarisation residual, i.e. what XX and YY do not have
  in common (`contimg.flagging.polarisation_residual`), and that exceed 4 standard deviations. The fringes of several
  bright sources look like interference; they are not in the residual;
- samples more than ``mad_sigma`` standard deviations above the median amplitude of their baseline and polarisation.
  The statistics are over all times and channels, and the standard deviation is the interquartile range over 1.349.

A bright calibrator raises the amplitudes of a baseline as a whole, and its fringes are part of the spread from which
the standard deviation is measured, so that it does not flag itself.

Sums for the searches that need the whole tile are handed to the second phase, `contimg.flagging.whole_tile`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.config import FlagOptions
from contimg.flagging.amplitudes import MIN_NOISE, has_noise, median_and_relative_sigma
from contimg.flagging.aoflagger import AOFlagger
from contimg.flagging.findings import BlockFindings, CellSums, TileAxes
from contimg.flagging.flag_codes import LARGEST_AMPLITUDE, N_CODES, FlagCode, count
from contimg.flagging.polarisation_residual import AntennaPower, residual_amplitude

_AOFLAGGER_SIGMA = 4.0
"""Standard deviations above which a sample found by AOFlagger is flagged at once; others need more baselines."""


class BlockFlagger:
    """Flags a tile block by block of baselines.

    Parameters
    ----------
    options : FlagOptions
    axes : TileAxes
    """

    def __init__(self, options: FlagOptions, axes: TileAxes) -> None:
        self._options, self._axes = options, axes
        self._finished = False
        self._counts = np.zeros((len(axes.subbands), N_CODES), np.int64)
        self._seen = np.zeros(len(axes.subbands), np.int64)
        self._auto_power = np.full((axes.n_antennas, axes.n_pols), np.nan)
        self._n_baselines = self._n_noisy = 0
        self._cells = CellSums.zeros(axes)
        self._antenna_power = AntennaPower(axes.n_times, axes.n_antennas, axes.n_channels)
        self._edges = axes.edge_channels(options.edge_channels)
        search = options.interference and options.aoflagger
        self._aoflagger = AOFlagger(axes.n_times, axes.n_channels) if search else None
        self._aoflagger_found: list[NDArray[np.uint8]] = []

    def add_autocorrelations(self, antennas: NDArray[np.integer[Any]], data: NDArray[np.complex64]) -> None:
        """Note the power of some antennas' autocorrelations, (n_times, len(antennas), nchan, n_pols)."""
        self._refuse_when_finished()
        received = self._axes.received
        if len(antennas) and received.any():
            power = np.abs(data[:, :, received])
            constant = (power == power[:1, :, :1]).all((0, 2))
            median = np.median(np.nan_to_num(power, nan=0.0, posinf=0.0), axis=(0, 2))
            self._auto_power[antennas] = np.where(constant, 0.0, median)

    def flag_block(
        self,
        data: NDArray[np.complex64],
        code: NDArray[np.uint8],
        antenna1: NDArray[np.integer[Any]],
        antenna2: NDArray[np.integer[Any]],
    ) -> None:
        """Flag a block of cross-correlations, in place.

        Parameters
        ----------
        data : (n_times, nbaselines, nchan, n_pols) complex64
            Values that are not finite become 0.
        code : uint8, same shape
            In: `FlagCode` known so far (``NOT_RECEIVED``, ``CORRELATOR``). Out: with what was found.
        antenna1, antenna2 : (nbaselines,) int
            Antennas of the baselines.

        Raises
        ------
        RuntimeError
            After `findings`: a block would be missing from them.
        """
        self._refuse_when_finished()
        amplitude = np.abs(data)
        _flag_no_data(data, amplitude, code, self._axes.received)
        if self._edges.any():
            code[(code == 0) & self._edges[:, None]] = FlagCode.EDGE.value
        if self._options.interference:
            self._search(data, amplitude, code, (antenna1, antenna2))
        self._count(code)

    def findings(self) -> BlockFindings:
        """Return what the second phase needs; no block can be flagged after this."""
        self._finished = True
        return BlockFindings(
            self._axes,
            self._counts,
            self._auto_power,
            self._n_baselines,
            self._n_noisy,
            self._cells,
            self._antenna_power.sums,
            tuple(self._aoflagger_found),
        )

    def _refuse_when_finished(self) -> None:
        if self._finished:
            raise RuntimeError("flag every block before findings() is called: they would lack this one")

    def _search(
        self,
        data: NDArray[np.complex64],
        amplitude: NDArray[np.float32],
        code: NDArray[np.uint8],
        antennas: tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]]],
    ) -> None:
        """Search a block for interference, flag what is found, and add up what the second phase needs."""
        complete = not code.any()
        noisy = has_noise(data, self._axes.received)
        self._n_noisy += int(noisy.sum())
        self._n_baselines += len(noisy)
        if not complete:
            amplitude[code != 0] = np.nan
        median, sigma = median_and_relative_sigma(amplitude, self._axes.received)
        amplitude /= median
        self._cells.valid += len(noisy) if complete else count(code == 0, 1)
        # NaN, where there are no data, exceeds nothing.
        clipped = amplitude > 1 + self._options.mad_sigma * np.maximum(sigma, MIN_NOISE)
        some_clipped = bool(clipped.any())
        steady = None if complete else (code == 0).all(-1)
        if some_clipped:
            steady = ~clipped.any(-1) if steady is None else steady & ~clipped.any(-1)
        residual = residual_amplitude(data, steady)
        if not complete:
            residual[code != 0] = np.nan
        median, sigma = median_and_relative_sigma(residual, self._axes.received)
        residual /= median
        self._antenna_power.add(residual, noisy, *antennas)
        found = self._run_aoflagger(residual, noisy)
        if found is not None and found.any():
            sure = found[..., None] & (residual > 1 + _AOFLAGGER_SIGMA * np.maximum(sigma, MIN_NOISE))
            self._cells.found += count(found[..., None] & ((code == 0) | sure), 1)
            self._cells.found += count(clipped & ~found[..., None], 1)
            code[clipped] = FlagCode.CLIP.value
            code[sure] = FlagCode.AOFLAGGER.value
        elif some_clipped:
            self._cells.found += count(clipped, 1)
            code[clipped] = FlagCode.CLIP.value
        self._add_good(amplitude, code)

    def _run_aoflagger(self, residual: NDArray[np.float32], noisy: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
        """Return what AOFlagger finds (n_times, nbaselines, nchan) and keep it; None where it does not search."""
        if self._aoflagger is None:
            return None
        found = self._aoflagger.run(residual, np.flatnonzero(noisy))
        self._aoflagger_found.append(np.packbits(found, axis=-1))
        return found

    def _add_good(self, amplitude: NDArray[np.float32], code: NDArray[np.uint8]) -> None:
        """Add up the amplitudes of good samples; those of the others become 0, in place."""
        n_baselines = code.shape[1]
        if code.any():
            bad = code != 0
            amplitude[bad] = 0
            self._cells.good += n_baselines - count(bad, 1)
        else:
            self._cells.good += n_baselines
        self._cells.amplitude += amplitude.sum(1)

    def _count(self, code: NDArray[np.uint8]) -> None:
        """Add up the samples of each subband and code."""
        subbands = self._axes.subbands
        for value in range(1, int(code.max(initial=0)) + 1):
            hit = code == value
            if hit.any():
                of_channel = count(hit, 1).sum((0, 2))
                self._counts[:, value] += [of_channel[channels].sum() for channels in subbands]
        per_channel = code.size // code.shape[2]
        self._seen += [per_channel * (channels.stop - channels.start) for channels in subbands]
        self._counts[:, FlagCode.GOOD] = self._seen - self._counts[:, 1:].sum(1)


def _flag_no_data(
    data: NDArray[np.complex64],
    amplitude: NDArray[np.float32],
    code: NDArray[np.uint8],
    received: NDArray[np.bool_],
) -> None:
    """Flag samples that are not finite, zero or constant, in place; values that are not finite become 0."""
    if not (amplitude.min(initial=1) > 0 and amplitude.max(initial=0) < LARGEST_AMPLITUDE):  # NaN is neither
        infinite = ~(amplitude < LARGEST_AMPLITUDE)
        data[infinite] = 0
        code[infinite & (code == 0)] = FlagCode.NOT_FINITE.value
        code[(amplitude == 0) & (code == 0)] = FlagCode.ZERO.value
    channels = np.flatnonzero(received)
    if not len(channels):
        return
    # The first and the last value first: few baselines need the whole comparison.
    first, last = data[0, :, channels[0]], data[-1, :, channels[-1]]
    for baseline, pol in np.argwhere((first == last) & (first != 0)):
        plane = data[:, baseline, channels, pol]
        if (plane == plane[0, 0]).all():
            part = code[:, baseline, :, pol]
            part[part == 0] = FlagCode.CONSTANT.value
