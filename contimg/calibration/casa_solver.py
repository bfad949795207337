"""CASA's solvers, called in the one order that this project uses.

Delays first, on the whole tile: some nanoseconds wind the phase by a turn over the band, so nothing
may be averaged over channels before. Then phases every `gain_interval_s`, so that drifts do not smear
the bandpass; then the bandpass per channel with its amplitudes (``solnorm=False``): it carries the flux
scale; then gains in amplitude and phase on top.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from contimg.calibration.caltables import FILES, subtract_mean_phase
from contimg.config import CalibrationOptions

MIN_BASELINES = 4
# One time a table: the nearest. Channels match one to one, and flags with them.
INTERPOLATION = {"K": "nearest", "B": "nearest,nearestflag", "G": "linear"}


def solve_bandpass(
    tasks: ModuleType, ms: Path, output: Path, antennas: Sequence[str], options: CalibrationOptions
) -> None:
    """Solve K, B and G into `output`; a table for which CASA finds no solution is not written."""
    common = _common(ms, antennas, options)
    delays, bandpass, gains = (output / FILES[kind] for kind in "KBG")
    phases = ms.with_name("P.cal")
    tasks.gaincal(**common, caltable=str(delays), gaintype="K", solint="inf", combine="scan")
    if not delays.exists():
        return
    tasks.gaincal(
        **common,
        caltable=str(phases),
        gaintype="G",
        calmode="p",
        solint=f"{options.gain_interval_s:g}s",
        **_on_the_fly({"K": delays}),
    )
    if not phases.exists():
        return
    subtract_mean_phase(phases)
    tasks.bandpass(
        **common,
        caltable=str(bandpass),
        bandtype="B",
        solint="inf",
        combine="scan",
        solnorm=False,
        **_on_the_fly({"K": delays, "G": phases}),
    )
    if bandpass.exists():
        solve_gains(tasks, ms, gains, antennas, options, {"K": delays, "B": bandpass}, "ap", options.gain_interval_s)


def solve_gains(
    tasks: ModuleType,
    ms: Path,
    table: Path,
    antennas: Sequence[str],
    options: CalibrationOptions,
    applied: dict[str, Path],
    mode: str,
    interval_s: float | None,
) -> None:
    """Solve gains on top of other tables; `mode` is ``ap`` or ``p``, `interval_s` None the whole tile."""
    tasks.gaincal(
        **_common(ms, antennas, options),
        caltable=str(table),
        gaintype="G",
        calmode=mode,
        solint="inf" if interval_s is None else f"{interval_s:g}s",
        **_on_the_fly(applied),
    )


def _common(ms: Path, antennas: Sequence[str], options: CalibrationOptions) -> dict[str, Any]:
    return {
        "vis": str(ms),
        "refant": ",".join(antennas),
        "minsnr": options.min_snr,
        "minblperant": MIN_BASELINES,
        "uvrange": f">{options.min_uv_klambda:g}klambda" if options.min_uv_klambda > 0 else "",
        "append": False,
    }


def _on_the_fly(applied: dict[str, Path]) -> dict[str, Any]:
    return {
        "gaintable": [str(path) for path in applied.values()],
        "interp": [INTERPOLATION[kind] for kind in applied],
    }
