"""Phase self-calibration: the antennas' phases, corrected by the tile's own bright sources.

Gains come from a calibrator up to half an hour away; meanwhile the electronics drift by degrees, and
sources of 1 Jy are surrounded by artefacts of 1 %. The model of the bright sources gives one phase per
antenna, hand and interval of time. Amplitudes stay: the flux scale is the calibrator's. Positions stay
as well, see `SelfCalibration._anchored`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.beam import C_M_S
from contimg.image.baselines import Baselines
from contimg.image.samples import Samples, stokes_i
from contimg.measurement_set import Visibilities

_MAX_ROUNDS = 3
# Phases are applied, or an interval is halved, if they change by this many times their errors (rms).
# Fitting noise raises the flux of the sources in the model by (error in rad)^2: 0.25 % at an S/N of 20.
_SIGNIFICANT = 2.0
# A later round that changes phases by less than this fraction of their errors is not worth applying.
_CONVERGED = 0.3
# An antenna with less than this fraction of the signal-to-noise ratio that the median needs keeps its phase.
_HELD = 0.5
# Predicted visibilities are no better than this, so no scatter about them is less.
_ACCURACY = 1e-5
_MAX_ITERATIONS = 200
_TOLERANCE_RAD = 1e-7


@dataclass(frozen=True)
class Phases:
    """Phases of antennas.

    Attributes
    ----------
    phase_rad : (ninterval, nhand, nant) float64
    snr : (ninterval, nhand, nant) float64
        1 / (error in rad); 0 where there is nothing to solve with.
    """

    phase_rad: NDArray[np.float64]
    snr: NDArray[np.float64]

    def median_snr(self) -> float:
        """Return the median over the antennas that have any data."""
        return float(np.median(self.snr[self.snr > 0])) if (self.snr > 0).any() else 0.0

    def over_errors(self, before_rad: NDArray[np.float64] | float = 0.0) -> float:
        """Return the rms of the phases, less others, over their errors."""
        used = self.snr > 0
        return _rms(((self.phase_rad - before_rad) * self.snr)[used])


class SelfCalibration:
    """Corrects the phases of one tile's visibilities, in place, round by round."""

    def __init__(self, vis: Visibilities, samples: Samples, weight: NDArray[np.float32], min_snr: float) -> None:
        """Prepare.

        Parameters
        ----------
        vis : Visibilities
            XX and YY; its data are changed.
        samples : Samples
            Its Stokes I; ``vis`` and ``unit_sigma_jy`` are changed with the data.
        weight : (nrow, nchan) float32
            Imaging weights.
        min_snr : float
            Least median signal-to-noise ratio of an antenna in a hand and an interval.
        """
        self._vis: Visibilities | None = vis
        self._samples, self._min_snr = samples, min_snr
        self._baselines = Baselines(vis, samples)
        self._leverage = self._leverages(weight)
        sigma = samples.unit_sigma_jy
        known = sigma is not None and bool((sigma > 0).all())
        self._unit_weight = 1 / sigma**2 if known else np.ones(len(samples.rows))
        shape = (len(self._baselines.times), len(vis.polarisations), self._baselines.count)
        self._total_rad = np.zeros(shape)
        self._solved: Phases | None = None
        self._rounds, self._why = 0, ""

    def improve(self, model_vis: NDArray[np.complex64], others_vis: NDArray[np.complex64] | None = None) -> bool:
        """Correct the visibilities by a model of the bright sources.

        Parameters
        ----------
        model_vis : (nrow, nchan) complex64
            What the samples would be of the bright sources alone (Jy).
        others_vis : (nrow, nchan) complex64, optional
            The same of sources that are seen but not to be relied on: subtracted before solving.

        Returns
        -------
        bool
            Whether anything was changed. After the first time that nothing was, nothing will be: the
            visibilities are let go.
        """
        if self._vis is not None and not self._improve(model_vis, others_vis):
            self._vis = None
        return self._vis is not None

    def _improve(self, model_vis: NDArray[np.complex64], others_vis: NDArray[np.complex64] | None) -> bool:
        if self._rounds == _MAX_ROUNDS:
            return False
        data, power = self._statistics(model_vis, others_vis)
        if self._rounds == 0:
            found = self._first(data, power)
        else:
            found = self._solve(data, power, len(self._solved.snr))
            if found.over_errors() < _CONVERGED:
                found = None
        if found is None:
            return False
        self._rounds += 1
        self._apply(self._at_times(found.phase_rad))
        self._solved = found
        return True

    def facts(self) -> dict[str, Any]:
        """Return what was done, for the twin."""
        found, applied = self._solved, self._rounds > 0
        rms_rad = _rms(self._total_rad) if applied else _rms(found.phase_rad[found.snr > 0])
        snr = found.median_snr()
        return {
            "applied": applied,
            "rounds": self._rounds,
            "intervals": len(found.snr),
            "phase_rms_deg": round(math.degrees(rms_rad), 4),
            "phase_error_deg": round(math.degrees(1 / snr), 4) if snr > 0 else None,
            "snr_median": round(snr, 2),
        }

    def notes(self) -> list[str]:
        """Return why the tile was left as it is, for the twin."""
        return [self._why] if self._why else []

    def _first(self, data: NDArray[np.complex128], power: NDArray[np.float64]) -> Phases | None:
        """Return the phases of the first round in as short intervals as they call for; None to leave them."""
        self._solved = found = self._solve(data, power, 1)
        if found.median_snr() < self._min_snr:
            self._why = (
                f"not self-calibrated: the bright sources give the median antenna a signal-to-noise ratio of "
                f"{found.median_snr():.3g}, and image.selfcal_min_snr is {self._min_snr:g}"
            )
            return None
        if found.over_errors() < _SIGNIFICANT:
            return None
        while 2 * len(found.snr) <= len(data):
            finer = self._solve(data, power, 2 * len(found.snr))
            before_rad = np.repeat(found.phase_rad, 2, axis=0)
            # The phases of a half have half their variance in common with those of the whole.
            if finer.median_snr() < self._min_snr or finer.over_errors(before_rad) * math.sqrt(2) < _SIGNIFICANT:
                break
            found = finer
        return found

    def _leverages(self, weight: NDArray[np.float32]) -> list[NDArray[np.float64]]:
        """Return for each integration the sums (nhand, n) of each row's weights in the image times 2 pi f/c."""
        bins = self._samples.bins
        wave = 2 * np.pi * bins.freq_hz() / C_M_S
        sums = []
        for rows in self._baselines.times:
            total = self._samples.weight[rows]
            per_unit = np.divide(weight[rows], total, out=np.zeros_like(total), where=total > 0)
            per_unit *= wave[bins.of_row[rows]]
            sums.append(np.einsum("rch,rc->hr", self._hands(rows)[1], per_unit))
        return sums

    def _hands(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
        """Return data and weights (n, nchan, nhand) of rows of the samples, 0 where flagged."""
        there = self._samples.rows[rows]
        data, weight = self._vis.data[there], self._vis.weight[there]
        usable = ~self._vis.flag[there] & np.isfinite(data) & np.isfinite(weight) & (weight > 0)
        return np.where(usable, data, 0), np.where(usable, weight, 0)

    def _statistics(
        self, model_vis: NDArray[np.complex64], others_vis: NDArray[np.complex64] | None
    ) -> tuple[NDArray[np.complex128], NDArray[np.float64]]:
        """Return the sums over channels of w V conj(M) and w |M|^2, (ntime, nhand, nant, nant).

        They are all that least squares need of gains that are constant over the channels: nothing is
        averaged that turns.
        """
        baselines = self._baselines
        shape = (*self._total_rad.shape, baselines.count)
        data, power = np.zeros(shape, np.complex128), np.zeros(shape)
        for time, rows in enumerate(baselines.times):
            vis, weight = self._hands(rows)
            model = model_vis[rows]
            if others_vis is not None:
                vis = vis - others_vis[rows, :, None]
            product = (vis * weight * model.conj()[:, :, None]).sum(1).T * self._unit_weight[rows]
            squared = np.einsum("rch,rc->hr", weight, model.real**2 + model.imag**2) * self._unit_weight[rows]
            one, two = baselines.one[rows], baselines.two[rows]
            # A baseline may have several rows, each a part of the band.
            for hand in range(len(product)):
                np.add.at(data[time][hand], (one, two), product[hand])
                np.add.at(power[time][hand], (one, two), squared[hand])
        data += data.conj().swapaxes(-1, -2)
        power += power.swapaxes(-1, -2)
        return data, power

    def _solve(self, data: NDArray[np.complex128], power: NDArray[np.float64], intervals: int) -> Phases:
        """Return the phases of intervals of equal numbers of integrations."""
        edges = self._edges(intervals)
        data, power = np.add.reduceat(data, edges), np.add.reduceat(power, edges)
        snr = signal_to_noise(data, power, antenna_gains(data))
        held = snr < _HELD * self._min_snr
        data = np.where(held[..., None] | held[..., None, :], 0, data)
        phase = np.angle(antenna_gains(data))
        phase = np.where(held, 0, self._anchored(phase, intervals))
        return Phases(phase, snr)

    def _anchored(self, phase_rad: NDArray[np.float64], intervals: int) -> NDArray[np.float64]:
        """Return phases without what would shift the sources in the image.

        A phase gradient over the array is a shift of the sky, and the fit of the sources' positions has
        taken its share of it already. So the gradient, one for all hands and intervals, that the image
        would see (least squares with its weights) is removed: positions remain those of the
        calibrator's phases. What hands and intervals differ by is no shift of the image; it stays.
        """
        at_times, baselines = self._at_times(phase_rad), self._baselines
        normal, right = np.zeros((2, 2)), np.zeros(2)
        wave = 2 * np.pi * float(self._samples.freq_hz.mean()) / C_M_S
        for phase, leverage, rows in zip(at_times, self._leverage, baselines.times, strict=True):
            uv = self._samples.uvw_m[rows, :2]
            difference = phase[:, baselines.one[rows]] - phase[:, baselines.two[rows]]
            normal += wave * (uv.T * leverage.sum(0)) @ uv
            right += uv.T @ (leverage * difference).sum(0)
        shift = np.linalg.pinv(normal, hermitian=True) @ right
        edges = self._edges(intervals)
        uv = np.stack([places[:, :2] for places in baselines.places])
        uv = np.add.reduceat(uv, edges) / np.diff([*edges, len(uv)])[:, None, None]
        phase_rad = phase_rad - wave * (uv @ shift)[:, None]
        return phase_rad - phase_rad.mean(-1, keepdims=True)

    def _edges(self, intervals: int) -> NDArray[np.int64]:
        return np.arange(intervals) * len(self._baselines.times) // intervals

    def _at_times(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the values (ninterval, ...) of each integration's interval."""
        edges = self._edges(len(values))
        return np.repeat(values, np.diff([*edges, len(self._baselines.times)]), axis=0)

    def _apply(self, phase_rad: NDArray[np.float64]) -> None:
        """Correct the data by phases (ntime, nhand, nant), and Stokes I with them."""
        baselines, samples = self._baselines, self._samples
        for phase, rows in zip(phase_rad, baselines.times, strict=True):
            difference = phase[:, baselines.one[rows]] - phase[:, baselines.two[rows]]
            self._vis.data[samples.rows[rows]] *= np.exp(-1j * difference.T).astype(np.complex64)[:, None]
        self._total_rad += phase_rad
        corrected = stokes_i(self._vis)
        samples.vis, samples.unit_sigma_jy = corrected.vis, corrected.unit_sigma_jy


def antenna_gains(data: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Return the gains of modulus 1 (..., nant) that best turn a model into the data.

    Parameters
    ----------
    data : (..., nant, nant) complex128
        Hermitian: weighted sums of ``V conj(M)`` of each baseline, 0 on the diagonal.

    Notes
    -----
    Alternating least squares, ``g_p = sum_q data_pq g_q / |...|``, with every second step halved:
    StEFCal (Salvini & Wijnholds 2014, A&A 571, A97) for gains of fixed modulus. The phase common to
    all antennas, which is arbitrary, is that of their mean. An antenna without data has gain 1.
    """
    gains = np.ones(data.shape[:-1], np.complex128)
    for iteration in range(_MAX_ITERATIONS):
        new = _unit((data @ gains[..., None])[..., 0])
        change = float(np.abs(new - gains).max(initial=0))
        gains = _unit(new + gains) if iteration % 2 else new
        if change < _TOLERANCE_RAD:
            break
    there = (data != 0).any(-1)
    mean = np.where(there, gains, 0).sum(-1, keepdims=True)
    return np.where(there, gains * _unit(mean).conj(), 1)


def signal_to_noise(
    data: NDArray[np.complex128], power: NDArray[np.float64], gains: NDArray[np.complex128]
) -> NDArray[np.float64]:
    """Return each antenna's signal-to-noise ratio (ninterval, nhand, nant), 1 / (error of its phase in rad).

    The noise is the baselines' scatter about the solution: receiver noise, and what of the sky and of
    the amplitudes the model lacks. 0 where there are not more baselines than phases to solve for.
    """
    one, two = np.triu_indices(data.shape[-1], 1)
    expected = power[..., one, two]
    off = data[..., one, two] - gains[..., one] * gains[..., two].conj() * expected
    scatter = np.divide(np.abs(off) ** 2, expected, out=np.zeros_like(expected), where=expected > 0).sum()
    per_antenna = power.sum(-1)
    unknowns = np.count_nonzero(per_antenna) - np.count_nonzero(per_antenna.any(-1))
    freedom = 2 * np.count_nonzero(expected) - unknowns
    if unknowns == 0 or freedom <= 0:
        return np.zeros_like(per_antenna)
    variance = max(scatter / freedom, _ACCURACY**2 * float(expected.max()))
    return np.sqrt(per_antenna / variance)


def _unit(values: NDArray[np.complex128]) -> NDArray[np.complex128]:
    size = np.abs(values)
    return np.where(size > 0, values / np.where(size > 0, size, 1), 1)


def _rms(values: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(values**2))) if values.size else 0.0
