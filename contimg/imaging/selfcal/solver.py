"""Solutions of self-calibration: antenna phases per interval, without a shift of the image, and amplitudes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contimg.config import SelfcalOptions
from contimg.imaging.selfcal.antenna_gains import (
    PhaseSolution,
    antenna_amplitudes,
    antenna_gains,
    rms,
    signal_to_noise,
)
from contimg.imaging.selfcal.baseline_sums import BaselineSums
from contimg.imaging.visibilities.baselines import Baselines
from contimg.imaging.visibilities.samples import Samples, usable_data
from contimg.measurement_set import Visibilities
from contimg.sky.constants import C_M_S

# Phases are applied, or a solution interval is halved, if they change by this many times their errors (rms).
# Fitting noise raises the flux of the sources in the model by (error in rad)^2: 0.25 % at an S/N of 20.
SIGNIFICANT = 2.0
# An antenna with less than this fraction of the signal-to-noise ratio that the median needs keeps its gain.
_MIN_SNR_FRACTION = 0.5


@dataclass(frozen=True)
class GainSolver:
    """Solves for the gains of one tile's antennas.

    Attributes
    ----------
    baselines : Baselines
    uvw_m : (nrow, 3) float64
        Of the samples (m).
    freq_hz : float
        Middle of the band.
    phase_weight : list of (nreceptor, n) float64
        For each integration the derivative of its rows' contribution to the image with respect to their phase: the
        sum over channels of the imaging weight times 2 pi f / c (1/m).
    integration_s : float
    options : SelfcalOptions
    """

    baselines: Baselines
    uvw_m: NDArray[np.float64]
    freq_hz: float
    phase_weight: list[NDArray[np.float64]]
    integration_s: float
    options: SelfcalOptions

    @classmethod
    def of(
        cls, vis: Visibilities, samples: Samples, weight: NDArray[np.float32], options: SelfcalOptions
    ) -> GainSolver:
        """Return the solver of a tile; `weight` (nrow, width) are the imaging weights."""
        baselines = Baselines(vis, samples)
        return cls(
            baselines=baselines,
            uvw_m=samples.uvw_m,
            freq_hz=float(samples.freq_hz.mean()),
            phase_weight=_phase_weights(vis, samples, baselines, weight),
            integration_s=vis.integration_s,
            options=options,
        )

    def first_phases(self, sums: BaselineSums) -> tuple[PhaseSolution, str | None]:
        """Return the phases of the first round, in intervals as short as their changes call for.

        Returns
        -------
        solution : PhaseSolution
        left : str or None
            Why they are not to be applied, '' when there is nothing to correct; None when they are.
        """
        found, ntime = self.phases(sums, 1), len(sums.data)
        if found.median_snr() < self.options.min_snr:
            return found, (
                f"not self-calibrated: the bright sources give the median antenna a signal-to-noise ratio of "
                f"{found.median_snr():.3g}, and image.selfcal.min_snr is {self.options.min_snr:g}"
            )
        if found.rms_over_errors() < SIGNIFICANT:
            return found, ""
        if self.options.solint is not None:
            intervals = max(1, min(ntime, round(ntime * self.integration_s / self.options.solint)))
            return self.phases(sums, intervals), None
        while 2 * len(found.snr) <= ntime:
            finer = self.phases(sums, 2 * len(found.snr))
            before_rad = np.repeat(found.phase_rad, 2, axis=0)
            # The phases of a half have half their variance in common with those of the whole.
            change = finer.rms_over_errors(before_rad) * math.sqrt(2)
            if finer.median_snr() < self.options.min_snr or change < SIGNIFICANT:
                break
            found = finer
        return found, None

    def phases(self, sums: BaselineSums, intervals: int) -> PhaseSolution:
        """Return the phases of solution intervals of equal numbers of integrations."""
        summed = sums.over_intervals(self._edges(intervals))
        snr = signal_to_noise(summed.data, summed.power, antenna_gains(summed.data))
        weak = snr < _MIN_SNR_FRACTION * self.options.min_snr
        data = np.where(weak[..., None] | weak[..., None, :], 0, summed.data)
        phase = np.angle(antenna_gains(data))
        return PhaseSolution(np.where(weak, 0, self._without_shift(phase)), snr)

    def amplitudes(self, sums: BaselineSums) -> NDArray[np.float64] | None:
        """Return amplitudes (nreceptor, nant) for the whole tile that keep the flux scale; None if insignificant."""
        summed = sums.over_all()
        amplitude = antenna_amplitudes(summed.data[0].real, summed.power[0])
        snr = signal_to_noise(summed.data, summed.power, amplitude[None].astype(complex))[0]
        used = snr > _MIN_SNR_FRACTION * self.options.min_snr
        if not used.any() or rms(((self._normalised(amplitude) - 1) * snr)[used]) < SIGNIFICANT:
            return None
        return self._normalised(np.where(used, amplitude, 1))

    def at_times(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the values (ninterval, ...) of each integration's solution interval, (ntime, ...)."""
        edges = self._edges(len(values))
        return np.repeat(values, np.diff([*edges, len(self.baselines.rows_by_time)]), axis=0)

    def _edges(self, intervals: int) -> NDArray[np.int64]:
        """Return the first integration of each solution interval."""
        return np.arange(intervals) * len(self.baselines.rows_by_time) // intervals

    def _normalised(self, amplitude: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return amplitudes (nreceptor, nant) whose products have the mean 1 over the image: the flux scale stays."""
        kept = total = 0.0
        for weight, rows in zip(self.phase_weight, self.baselines.rows_by_time, strict=True):
            pair = amplitude[:, self.baselines.antenna1[rows]] * amplitude[:, self.baselines.antenna2[rows]]
            kept, total = kept + float((weight * pair).sum()), total + float(weight.sum())
        return amplitude * math.sqrt(total / kept)

    def _without_shift(self, phase_rad: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return phases (ninterval, nreceptor, nant) without the phase gradient that would shift the image.

        A phase gradient over the array is a shift of the sky, and the fit of the sources' positions has
        absorbed its part of it already. So the gradient, one for all receptors and intervals, that the image
        would see (least squares with its weights) is removed: positions remain those of the
        calibrator's phases. Differences between receptors or intervals do not shift the image; they stay.
        """
        at_times, baselines = self.at_times(phase_rad), self.baselines
        normal, right = np.zeros((2, 2)), np.zeros(2)
        wave = 2 * np.pi * self.freq_hz / C_M_S
        for phase, weight, rows in zip(at_times, self.phase_weight, baselines.rows_by_time, strict=True):
            uv = self.uvw_m[rows, :2]
            difference = phase[:, baselines.antenna1[rows]] - phase[:, baselines.antenna2[rows]]
            normal += wave * (uv.T * weight.sum(0)) @ uv
            right += uv.T @ (weight * difference).sum(0)
        shift = np.linalg.pinv(normal, rcond=1e-10, hermitian=True) @ right
        edges = self._edges(len(phase_rad))
        uv = np.stack([uvw_m[:, :2] for uvw_m in baselines.antenna_uvw_m])
        uv = np.add.reduceat(uv, edges) / np.diff([*edges, len(uv)])[:, None, None]
        phase_rad = phase_rad - wave * (uv @ shift)[:, None]
        return phase_rad - phase_rad.mean(-1, keepdims=True)


def _phase_weights(
    vis: Visibilities, samples: Samples, baselines: Baselines, weight: NDArray[np.float32]
) -> list[NDArray[np.float64]]:
    """Return `GainSolver.phase_weight` of a tile with imaging weights (nrow, width)."""
    averaging = samples.averaging
    wave = 2 * np.pi * averaging.freq_hz() / C_M_S
    sums = []
    for rows in baselines.rows_by_time:
        total = samples.weight[rows]
        per_unit = np.divide(weight[rows], total, out=np.zeros_like(total), where=total > 0)
        per_unit *= wave[averaging.layout_of_row[rows]]
        sums.append(np.einsum("rch,rc->hr", usable_data(vis, samples.rows[rows])[1], per_unit))
    return sums
