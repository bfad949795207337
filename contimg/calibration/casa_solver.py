"""CASA's solvers, called in the one order that this project uses.

Delays first, on the whole tile: a delay of some nanoseconds turns the phase by a cycle over the band, so that no
channels may be averaged before. Then phases every `gain_interval_s`, so that their drifts do not decorrelate the
bandpass. Then the bandpass per channel, with its amplitudes (``solnorm=False``), as it carries the flux scale. Then
gains in amplitude and phase on top.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from contimg.calibration.caltables import FILES, subtract_mean_phase
from contimg.config import CalibrationOptions

_LOG = logging.getLogger(__name__)

MIN_BASELINES = 4
# K and B hold one time; the channels of B match those of the data one to one, and so do its flags.
INTERPOLATION = {"K": "nearest", "B": "nearest,nearestflag", "G": "linear"}


@dataclass(frozen=True)
class Solver:
    """CASA's solvers on one working copy.

    Attributes
    ----------
    tasks : module
        `casatasks`, from `contimg.calibration.casa.tasks`.
    ms : Path
        The working copy, with its model.
    antennas : sequence of str
        Reference antennas, best first.
    options : CalibrationOptions
    klambda : (float, float)
        Shortest and longest baseline that the calibrator may be used on [thousands of wavelengths].
    """

    tasks: ModuleType
    ms: Path
    antennas: Sequence[str]
    options: CalibrationOptions
    klambda: tuple[float, float] = (0.0, math.inf)

    def solve_bandpass(self, output: Path) -> None:
        """Solve K, B and G into the folder `output`; a table for which CASA finds no solution is not written."""
        delays, bandpass, gains = (output / FILES[kind] for kind in "KBG")
        phases = self.ms.with_name("P.cal")
        interval_s = self.options.gain_interval_s
        self.tasks.gaincal(**self._common(delays), gaintype="K", solint="inf", combine="scan")
        if not delays.exists():
            return
        self.solve_gains(phases, {"K": delays}, "p", interval_s)
        if not phases.exists():
            return
        subtract_mean_phase(phases)
        self.tasks.bandpass(
            **self._common(bandpass),
            bandtype="B",
            solint="inf",
            combine="scan",
            solnorm=False,
            **_on_the_fly({"K": delays, "G": phases}),
        )
        if bandpass.exists():
            self.solve_gains(gains, {"K": delays, "B": bandpass}, "ap", interval_s)

    def solve_gains(self, table: Path, applied: Mapping[str, Path], mode: str, interval_s: float | None) -> None:
        """Solve gains on top of other tables.

        Parameters
        ----------
        table : Path
            Where they go; not written where CASA finds no solution.
        applied : mapping of kind to Path
            Tables that are applied on the fly.
        mode : ``ap`` or ``p``
            Amplitudes and phases, or phases.
        interval_s : float or None
            Time of one solution; None for the whole tile.
        """
        self.tasks.gaincal(
            **self._common(table),
            gaintype="G",
            calmode=mode,
            solint="inf" if interval_s is None else f"{interval_s:g}s",
            **_on_the_fly(applied),
        )

    def _common(self, table: Path) -> dict[str, Any]:
        _LOG.info("CASA solves %s", table.name)
        shortest, longest = max(self.options.min_uv_klambda, self.klambda[0]), self.klambda[1]
        return {
            "vis": str(self.ms),
            "caltable": str(table),
            "refant": ",".join(self.antennas),
            "minsnr": self.options.min_snr,
            "minblperant": MIN_BASELINES,
            "uvrange": uv_range(shortest, longest),
            "append": False,
        }


def uv_range(shortest: float, longest: float) -> str:
    """Return CASA's selection of baselines between two lengths [thousands of wavelengths], '' for all of them."""
    if math.isfinite(longest):
        return f"{shortest:g}~{longest:g}klambda" if shortest > 0 else f"<{longest:g}klambda"
    return f">{shortest:g}klambda" if shortest > 0 else ""


def _on_the_fly(applied: Mapping[str, Path]) -> dict[str, Any]:
    return {
        "gaintable": [str(path) for path in applied.values()],
        "interp": [INTERPOLATION[kind] for kind in applied],
    }
