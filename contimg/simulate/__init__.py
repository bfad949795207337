"""Simulated nights in the correlator's own file format, with the truth beside them.

The simulator shares no geometry, beam, naming, frequency or gain code with the pipeline that it tests.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from contimg.simulate.errors import SimulationError
from contimg.simulate.options import GainErrors, NightOptions

if TYPE_CHECKING:
    from contimg.simulate.record import NightRecord

__all__ = ["GainErrors", "NightOptions", "SimulationError", "simulate_night"]


def simulate_night(
    out: Path,
    options: NightOptions,
    overwrite: bool = False,
    progress: Callable[[int, int, str], None] | None = None,
) -> NightRecord:
    """Write a simulated stretch of night into ``out``.

    Parameters
    ----------
    out : Path
        Folder to fill: ``incoming/``, ``late/``, ``truth.csv``, ``truth.json``, ``truth_gains.npz``,
        ``catalogue.csv``, ``config.yaml`` and, with a synthetic calibrator, ``calibrators.csv``.
    options : NightOptions
    overwrite : bool
        Replace a night that the simulator wrote there before.
    progress : callable, optional
        Called with (files done, files in all, what is being written).

    Returns
    -------
    NightRecord

    Raises
    ------
    SimulationError
        One sentence naming the option that cannot be honoured and the remedy.
    """
    from contimg.simulate.night import run

    return run(out, options, overwrite, progress)
