"""Self-calibration: the antennas' phases, and on request amplitudes, corrected by the tile's own bright sources.

Gains come from a calibrator up to half an hour away; meanwhile the electronics drift by degrees, and
sources of 1 Jy are surrounded by artefacts of 1 %. The model of the bright sources gives one phase per
antenna, hand and interval of time. Amplitudes stay, or keep their mean: the flux scale is the
calibrator's. Positions stay as well, see `SelfCalibration._anchored`. What does not lower the noise is undone.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.config import SelfcalOptions
from contimg.imaging.selfcal.antenna_gains import Phases, antenna_amplitudes, antenna_gains, rms, signal_to_noise
from contimg.imaging.visibilities.baselines import Baselines
from contimg.imaging.visibilities.samples import Samples, hands, stokes_i
from contimg.measurement_set import Visibilities
from contimg.sky.airy_beam import C_M_S

# Phases are applied, or an interval is halved, if they change by this many times their errors (rms).
# Fitting noise raises the flux of the sources in the model by (error in rad)^2: 0.25 % at an S/N of 20.
_SIGNIFICANT = 2.0
# A later round that changes phases by less than this fraction of their errors is not worth applying.
_CONVERGED = 0.3
# An antenna with less than this fraction of the signal-to-noise ratio that the median needs keeps its phase.
_HELD = 0.5


class SelfCalibration:
    """Corrects the phases of one tile's visibilities, in place, round by round."""

    def __init__(
        self, vis: Visibilities, samples: Samples, weight: NDArray[np.float32], options: SelfcalOptions
    ) -> None:
        """Prepare.

        Parameters
        ----------
        vis : Visibilities
            XX and YY; its data are changed.
        samples : Samples
            Its Stokes I; ``vis`` and ``unit_sigma_jy`` are changed with the data.
        weight : (nrow, nchan) float32
            Imaging weights.
        options : SelfcalOptions
        """
        self._vis: Visibilities | None = vis
        self._samples, self._min_snr, self._options = samples, options.min_snr, options
        self._integration_s = vis.integration_s
        self._baselines = Baselines(vis, samples)
        self._leverage = self._leverages(weight)
        sigma = samples.unit_sigma_jy
        known = sigma is not None and bool((sigma > 0).all())
        self._unit_weight = 1 / sigma**2 if known else np.ones(len(samples.rows))
        shape = (len(self._baselines.times), len(vis.polarisations), self._baselines.count)
        self._total_rad = np.zeros(shape)
        self._solved: Phases | None = None
        self._rounds, self._why = 0, ""
        self._amplitude = np.ones(shape[1:])
        self._phases_done = self._amplitudes_done = False
        self._last: NDArray[np.complex128] | None = None

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
        amplitudes = self._options.mode == "amplitude" and not self._amplitudes_done
        if self._phases_done and not amplitudes:
            return False
        data, power = self._statistics(model_vis, others_vis)
        if not self._phases_done and self._improve_phases(data, power):
            return True
        self._phases_done = True
        return amplitudes and self._improve_amplitudes(data, power)

    def _improve_phases(self, data: NDArray[np.complex128], power: NDArray[np.float64]) -> bool:
        if self._rounds == self._options.rounds:
            return False
        if self._rounds == 0:
            found = self._first(data, power)
        else:
            found = self._solve(data, power, len(self._solved.snr))
            if found.over_errors() < _CONVERGED:
                found = None
        if found is None:
            return False
        self._rounds += 1
        at_times = self._at_times(found.phase_rad)
        self._apply(np.exp(1j * at_times))
        self._total_rad += at_times
        self._solved = found
        return True

    def _improve_amplitudes(self, data: NDArray[np.complex128], power: NDArray[np.float64]) -> bool:
        """Correct one amplitude per antenna and hand, for the whole tile; say whether they were significant."""
        self._amplitudes_done = True
        amplitude = antenna_amplitudes(data.sum(0).real, power.sum(0))
        snr = signal_to_noise(data.sum(0)[None], power.sum(0)[None], amplitude[None].astype(complex))[0]
        used = snr > _HELD * self._min_snr
        if not used.any() or rms(((self._scaled(amplitude) - 1) * snr)[used]) < _SIGNIFICANT:
            return False
        self._amplitude = amplitude = self._scaled(np.where(used, amplitude, 1))
        self._apply(np.broadcast_to(amplitude, self._total_rad.shape).astype(np.complex128))
        return True

    def _scaled(self, amplitude: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return amplitudes (nhand, nant) whose products have the mean 1 over the image: the flux scale stays."""
        kept = total = 0.0
        for leverage, rows in zip(self._leverage, self._baselines.times, strict=True):
            pair = amplitude[:, self._baselines.one[rows]] * amplitude[:, self._baselines.two[rows]]
            kept, total = kept + float((leverage * pair).sum()), total + float(leverage.sum())
        return amplitude * math.sqrt(total / kept)

    def undo(self) -> None:
        """Take the last correction back, as it did no good, and make no other of its kind."""
        self._apply(1 / self._last)
        if self._amplitudes_done:
            self._amplitude = np.ones_like(self._amplitude)
            self._why = "the amplitudes of self-calibration are not kept: noise or dynamic range got worse"
        else:
            self._total_rad -= np.angle(self._last)
            self._rounds -= 1
            self._phases_done = True
            self._why = "the last phases of self-calibration are not kept: noise or dynamic range got worse"

    def facts(self) -> dict[str, Any]:
        """Return what was done, for the twin."""
        found, applied = self._solved, self._rounds > 0
        rms_rad = rms(self._total_rad) if applied else rms(found.phase_rad[found.snr > 0])
        snr = found.median_snr()
        return {
            "applied": applied,
            "rounds": self._rounds,
            "intervals": len(found.snr),
            "phase_rms_deg": round(math.degrees(rms_rad), 4),
            "phase_error_deg": round(math.degrees(1 / snr), 4) if snr > 0 else None,
            "snr_median": round(snr, 2),
            "amplitude_rms": round(rms(self._amplitude - 1), 5),
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
                f"{found.median_snr():.3g}, and image.selfcal.min_snr is {self._min_snr:g}"
            )
            return None
        if found.over_errors() < _SIGNIFICANT:
            return None
        if self._options.solint is not None:
            tile_s = len(data) * self._integration_s
            intervals = max(1, min(len(data), round(tile_s / self._options.solint)))
            return self._solve(data, power, intervals)
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
        return hands(self._vis, self._samples.rows[rows])

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
        shift = np.linalg.pinv(normal, rcond=1e-10, hermitian=True) @ right
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

    def _apply(self, gains: NDArray[np.complex128]) -> None:
        """Divide the data by gains (ntime, nhand, nant), and Stokes I with them."""
        baselines, samples = self._baselines, self._samples
        for gain, rows in zip(gains, baselines.times, strict=True):
            pair = gain[:, baselines.one[rows]] * gain[:, baselines.two[rows]].conj()
            self._vis.data[samples.rows[rows]] *= (1 / pair.T).astype(np.complex64)[:, None]
        self._last = gains
        corrected = stokes_i(self._vis)
        samples.vis, samples.unit_sigma_jy = corrected.vis, corrected.unit_sigma_jy
