"""Self-calibration of antenna phases, and on request amplitudes, with the tile's own bright sources as the model.

Gains come from a calibrator observed up to half an hour away; meanwhile the electronics drift by degrees, and
sources of 1 Jy are surrounded by artefacts of 1 %. The model of the bright sources gives one phase per
antenna, receptor and solution interval. Amplitudes stay, or keep their mean: the flux scale is the
calibrator's. Positions stay as well (`GainSolver` removes the shift). A correction that does not lower the noise is
undone.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.config import SelfcalOptions
from contimg.imaging.selfcal.antenna_gains import PhaseSolution, rms
from contimg.imaging.selfcal.baseline_sums import BaselineSums, Summation
from contimg.imaging.selfcal.solver import GainSolver
from contimg.imaging.visibilities.samples import Samples, stokes_i
from contimg.measurement_set import Visibilities

_LOG = logging.getLogger(__name__)

# A later round that changes phases by less than this fraction of their errors is not worth applying.
_CONVERGED = 0.3


@dataclass(frozen=True)
class SelfcalState:
    """What self-calibration has done so far.

    Attributes
    ----------
    phase_rad : (ntime, nreceptor, nant) float64
        Total of the phases applied.
    amplitude : (nreceptor, nant) float64
        Amplitudes applied.
    solution : PhaseSolution
        The last one, applied or not.
    rounds : int
        Rounds of phases that were applied and kept.
    phases_finished, amplitudes_finished : bool
        No further correction of that kind will be made.
    last_gains : (ntime, nreceptor, nant) complex128, or None
        The last correction, which `SelfCalibration.undo` reverses.
    note : str
        Why the tile was left as it is; empty when it was not.
    """

    phase_rad: NDArray[np.float64]
    amplitude: NDArray[np.float64]
    solution: PhaseSolution
    rounds: int = 0
    phases_finished: bool = False
    amplitudes_finished: bool = False
    last_gains: NDArray[np.complex128] | None = None
    note: str = ""

    @classmethod
    def initial(cls, shape: tuple[int, int, int]) -> SelfcalState:
        """Return the state before the first round, for (ntime, nreceptor, nant)."""
        nothing = np.zeros((1, *shape[1:]))
        return cls(np.zeros(shape), np.ones(shape[1:]), PhaseSolution(nothing, nothing))


class SelfCalibration:
    """Corrects the gains of one tile's visibilities, in place, round by round."""

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
        weight : (nrow, width) float32
            Imaging weights.
        options : SelfcalOptions
        """
        self._samples, self._options = samples, options
        self._solver = GainSolver.of(vis, samples, weight, options)
        baselines = self._solver.baselines
        self._summation = Summation.of(baselines, samples)
        self._vis: Visibilities | None = vis  # released when nothing is left to correct
        shape = (len(baselines.rows_by_time), len(vis.polarisations), baselines.n_antennas)
        self._state = SelfcalState.initial(shape)

    def improve(self, model_vis: NDArray[np.complex64], others_vis: NDArray[np.complex64] | None = None) -> bool:
        """Correct the visibilities with a model of the bright sources.

        Parameters
        ----------
        model_vis : (nrow, width) complex64
            Visibilities of the bright sources alone (Jy).
        others_vis : (nrow, width) complex64, optional
            Visibilities of sources that are seen but are no part of a reliable model: subtracted before solving.

        Returns
        -------
        bool
            Whether anything was changed. Once nothing was, nothing will be: the visibilities are released.
        """
        vis, state, amplitudes = self._vis, self._state, self._options.mode == "amplitude"
        if vis is None:
            return False
        if state.phases_finished and (state.amplitudes_finished or not amplitudes):
            self._vis = None
            return False
        sums = self._summation.sums(vis, model_vis, others_vis)
        state, gains = self._next_phases(state, sums)
        if gains is None:
            state = replace(state, phases_finished=True)
            if amplitudes and not state.amplitudes_finished:
                state, gains = self._next_amplitudes(state, sums)
        self._state = replace(state, last_gains=gains)
        if gains is None:
            self._vis = None
            return False
        self._divide(vis, gains)
        _LOG.info(
            "self-calibration, round %d: gains changed by %.3f deg and %.3f %% rms",
            self._state.rounds, np.degrees(rms(np.angle(gains))), 100 * rms(np.abs(gains) - 1),
        )  # fmt: skip
        return True

    def _next_phases(
        self, state: SelfcalState, sums: BaselineSums
    ) -> tuple[SelfcalState, NDArray[np.complex128] | None]:
        """Return the state after the next round of phases, and its gains (ntime, nreceptor, nant); None for none."""
        if state.phases_finished or state.rounds == self._options.rounds:
            return state, None
        if state.rounds == 0:
            found, why = self._solver.first_phases(sums)
            if why is not None:
                return replace(state, solution=found, note=why), None
        else:
            found = self._solver.phases(sums, len(state.solution.snr))
            if found.rms_over_errors() < _CONVERGED:
                return state, None
        phase_rad = self._solver.at_times(found.phase_rad)
        state = replace(state, solution=found, rounds=state.rounds + 1, phase_rad=state.phase_rad + phase_rad)
        return state, np.exp(1j * phase_rad)

    def _next_amplitudes(
        self, state: SelfcalState, sums: BaselineSums
    ) -> tuple[SelfcalState, NDArray[np.complex128] | None]:
        """Return the state after the amplitudes, one per antenna and receptor for the tile, and their gains."""
        amplitude = self._solver.amplitudes(sums)
        if amplitude is None:
            return replace(state, amplitudes_finished=True), None
        gains = np.broadcast_to(amplitude, state.phase_rad.shape).astype(np.complex128)
        return replace(state, amplitude=amplitude, amplitudes_finished=True), gains

    def undo(self) -> None:
        """Reverse the last correction, after which the image was no better, and make no other of its kind."""
        vis, last_gains = self._vis, self._state.last_gains
        if vis is None or last_gains is None:
            raise RuntimeError("there is no correction to undo")
        self._divide(vis, 1 / last_gains)
        kind = "amplitudes" if self._state.amplitudes_finished else "last phases"
        note = f"the {kind} of self-calibration are not kept: noise or dynamic range got worse"
        state = replace(self._state, note=note, last_gains=None)
        if state.amplitudes_finished:
            self._state = replace(state, amplitude=np.ones_like(state.amplitude))
        else:
            self._state = replace(
                state,
                phase_rad=state.phase_rad - np.angle(last_gains),
                rounds=state.rounds - 1,
                phases_finished=True,
            )

    def facts(self) -> dict[str, Any]:
        """Return what was done, for the twin."""
        state, found = self._state, self._state.solution
        rms_rad = rms(state.phase_rad) if state.rounds > 0 else rms(found.phase_rad[found.snr > 0])
        snr = found.median_snr()
        return {
            "applied": state.rounds > 0,
            "rounds": state.rounds,
            "intervals": len(found.snr),
            "phase_rms_deg": round(math.degrees(rms_rad), 4),
            "phase_error_deg": round(math.degrees(1 / snr), 4) if snr > 0 else None,
            "snr_median": round(snr, 2),
            "amplitude_rms": round(rms(state.amplitude - 1), 5),
        }

    def notes(self) -> list[str]:
        """Return why the tile was left as it is, for the twin."""
        return [self._state.note] if self._state.note else []

    def _divide(self, vis: Visibilities, gains: NDArray[np.complex128]) -> None:
        """Divide the visibilities by the gains (ntime, nreceptor, nant) of their antennas, and Stokes I with them."""
        baselines, samples = self._solver.baselines, self._samples
        for gain, rows in zip(gains, baselines.rows_by_time, strict=True):
            pair = gain[:, baselines.antenna1[rows]] * gain[:, baselines.antenna2[rows]].conj()
            vis.data[samples.rows[rows]] *= (1 / pair.T).astype(np.complex64)[:, None]
        corrected = stokes_i(vis)
        samples.vis, samples.unit_sigma_jy = corrected.vis, corrected.unit_sigma_jy
