"""The response of each receptor (Jones term ``K B G``) on the axes of a tile, and data corrected for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.calibration.caltables import Solutions
from contimg.measurement_set import Coordinates, Visibilities


class Correction:
    """The correction of a tile: factors for its data, and flags for data without a solution.

    ``V / (J_p conj(J_q))`` with ``J = exp(2 pi i delay (f - f0)) B(f) G(t)``, as CASA defines it.

    Parameters
    ----------
    vis : Coordinates
        The tile.
    delays, bandpass : Solutions or None
        None: not applied.
    gains : sequence of Solutions
        Sets that are interpolated in time; empty: not applied.
    """

    def __init__(
        self, vis: Coordinates, delays: Solutions | None, bandpass: Solutions | None, gains: Sequence[Solutions]
    ) -> None:
        self._vis, self._gains = vis, gains
        self._steady, self._lost = steady_response(vis, delays, bandpass)
        self._time: float | None = None

    def apply(self, data: NDArray[np.complex64], flag: NDArray[np.bool_], rows: slice) -> None:
        """Correct the data of some rows of one integration and flag those without a solution, in place.

        Parameters
        ----------
        data, flag : (nrow, nchan, npol)
        rows : slice
            Their rows in the tile.
        """
        time = float(self._vis.time_mjd_s[rows.start])
        if time != self._time:
            self._prepare(time)
        one, two = self._vis.antenna1[rows], self._vis.antenna2[rows]
        factor = np.take(self._inverse, one, axis=0)
        factor *= np.take(self._conjugate, two, axis=0)
        data *= factor
        if (self._some_lost[one] | self._some_lost[two]).any():
            flag |= self._lost_now[one]
            flag |= self._lost_now[two]

    def _prepare(self, time_mjd_s: float) -> None:
        """Evaluate the response at one integration."""
        gain, missing = gains_at(self._gains, time_mjd_s, self._vis)
        response = self._steady * gain
        lost = self._lost | missing | (response == 0)
        response[lost] = 1
        self._inverse = (1 / response).astype(np.complex64)
        self._conjugate = self._inverse.conj()
        self._lost_now, self._some_lost = lost, lost.any((1, 2))
        self._time = time_mjd_s


def correct(
    vis: Visibilities, delays: Solutions | None, bandpass: Solutions | None, gains: Sequence[Solutions]
) -> None:
    """Divide data by the response and flag data without one, in place, one integration at a time."""
    correction = Correction(vis, delays, bandpass, gains)
    baselines = len(vis.uvw_m) // len(vis.times_mjd_s)
    for start in range(0, len(vis.uvw_m), baselines):
        rows = slice(start, start + baselines)
        correction.apply(vis.data[rows], vis.flag[rows], rows)


def steady_response(
    vis: Coordinates, delays: Solutions | None, bandpass: Solutions | None
) -> tuple[NDArray[np.complex128], NDArray[np.bool_]]:
    """Return K times B on a tile's antennas and channels, and where it is missing.

    Of solutions at several times, each cell takes the unflagged one nearest to the middle of the tile.

    Returns
    -------
    response : (nant, nchan, npol) complex128
    missing : (nant, nchan, npol) bool
    """
    shape = (len(vis.antenna_names), len(vis.freq_hz), len(vis.polarisations))
    middle = vis.times_mjd_s.mean()
    response, lost = np.ones(shape, np.complex128), np.zeros(shape, bool)
    if delays is not None:
        values, flag = _nearest_solved(delays, middle)
        antenna = _antenna_index(delays, vis)
        turns = values[antenna] * 1e-9 * (vis.freq_hz[None, :, None] - delays.freq_hz.mean())
        response *= np.exp(2j * np.pi * turns)
        lost |= flag[antenna]
    if bandpass is not None:
        values, flag = _nearest_solved(bandpass, middle)
        antenna, (channel, found) = _antenna_index(bandpass, vis), _channel_index(bandpass, vis)
        response *= values[antenna][:, channel]
        lost |= flag[antenna][:, channel] | ~found[None, :, None]
    return response, lost


def gains_at(
    gains: Sequence[Solutions], time_mjd_s: float, vis: Coordinates
) -> tuple[NDArray[np.complex128], NDArray[np.bool_]]:
    """Return the gains at a time (nant, 1, npol), interpolated over the solutions of all sets.

    Amplitude and phase are interpolated linearly between the nearest unflagged solutions before and after, the phase
    through the smaller angle, after all sets were referred to one reference antenna. Where there is an unflagged
    solution on one side only, that one is taken.

    Returns
    -------
    values : (nant, 1, npol) complex128
    missing : (nant, 1, npol) bool
        Where there is no unflagged solution.
    """
    shape = (len(vis.antenna_names), 1, len(vis.polarisations))
    if not gains:
        return np.ones(shape, np.complex128), np.zeros(shape, bool)
    gains = on_one_reference(gains)
    times = np.concatenate([one.time_mjd_s for one in gains])
    order = np.argsort(times, kind="stable")
    times = times[order]
    values = np.concatenate([one.values[:, _antenna_index(one, vis)] for one in gains])[order]
    good = ~np.concatenate([one.flag[:, _antenna_index(one, vis)] for one in gains])[order]
    count = len(times)
    place = np.arange(count).reshape(-1, 1, 1, 1)
    past = (times <= time_mjd_s).reshape(-1, 1, 1, 1)
    before = np.where(good & past, place, -1).max(0)
    after = np.where(good & ~past, place, count).min(0)
    missing = (before < 0) & (after >= count)
    left = np.where(before >= 0, before, np.where(after < count, after, 0))
    right = np.where(after < count, after, left)
    one = np.take_along_axis(values, left[None], 0)[0]
    two = np.take_along_axis(values, right[None], 0)[0]
    span = times[right] - times[left]
    share = np.where(span > 0, np.clip((time_mjd_s - times[left]) / np.where(span > 0, span, 1), 0, 1), 0)
    size = np.abs(one) + share * (np.abs(two) - np.abs(one))
    turn = np.angle(one) + share * np.angle(two * one.conj())
    return size * np.exp(1j * turn), missing


def on_one_reference(gains: Sequence[Solutions]) -> list[Solutions]:
    """Return sets of gains that refer to one reference antenna, so that their phases can be interpolated.

    Each set has a reference antenna of its own. Another one adds the same angle to the phases of all receptors of a
    polarisation. No parallel-hand visibility depends on that angle, but an interpolation does: it would go through
    zero for some antennas and through 180 degrees for others. The angle is estimated as the argument of the sum over
    antennas of a set's mean gain times the conjugate of that in the set before, and removed.
    """
    ordered = sorted(gains, key=lambda one: one.time_mjd_s[0])
    aligned = ordered[:1]
    for one in ordered[1:]:
        before, place = _mean_gains(aligned[-1]), {name: i for i, name in enumerate(aligned[-1].antenna_names)}
        index = [place[name] for name in one.antenna_names]
        common = (_mean_gains(one) * before[index].conj()).sum(0)
        turn = np.where(common == 0, 1, common.conj() / np.where(common == 0, 1, np.abs(common)))
        aligned.append(replace(one, values=one.values * turn[None, None, None]))
    return aligned


def _mean_gains(gains: Solutions) -> NDArray[np.complex128]:
    """Return the mean over time of each receptor's unflagged gains (nant, npol); 0 where there is none."""
    good = ~gains.flag[:, :, 0]
    return np.where(good, gains.values[:, :, 0], 0).sum(0) / np.maximum(good.sum(0), 1)


def _nearest_solved(solutions: Solutions, time_mjd_s: float) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return for each cell (nant, nchan, npol) the unflagged value nearest in time, and where there is none."""
    order = np.argsort(np.abs(solutions.time_mjd_s - time_mjd_s), kind="stable")
    first = np.argmin(solutions.flag[order], axis=0)
    index = order[first][None]
    values = np.take_along_axis(solutions.values, index, 0)[0]
    return values, np.take_along_axis(solutions.flag, index, 0)[0]


def _antenna_index(solutions: Solutions, vis: Coordinates) -> NDArray[np.intp]:
    """Return the table's index of each of the tile's antennas."""
    place = {name: i for i, name in enumerate(solutions.antenna_names)}
    return np.array([place[name] for name in vis.antenna_names])


def _channel_index(solutions: Solutions, vis: Coordinates) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return the table's channel nearest to each of the tile's, and whether it is the same (within half a channel)."""
    index = np.abs(solutions.freq_hz[None, :] - vis.freq_hz[:, None]).argmin(1)
    return index, np.abs(solutions.freq_hz[index] - vis.freq_hz) < 0.5 * vis.channel_width_hz
