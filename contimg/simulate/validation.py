"""Checks of the simulator's options."""

from __future__ import annotations

import re
from datetime import date as Date
from datetime import datetime
from pathlib import Path

from contimg.simulate import constants as c
from contimg.simulate.errors import SimulationError
from contimg.simulate.options import CORRUPT_KINDS, RFI_KINDS, NightOptions
from contimg.simulate.telescope_validation import validate_telescope

_FIRST_YEAR = 1973


def validate(options: NightOptions) -> None:
    """Check every option.

    Parameters
    ----------
    options : NightOptions

    Raises
    ------
    SimulationError
        One sentence naming the option and the remedy.
    """
    _check_sizes(options)
    _check_pointing(options)
    _check_times(options)
    _check_sky(options)
    _check_faults(options)
    validate_telescope(options.telescope)


def _check_sizes(options: NightOptions) -> None:
    _within("--tiles", options.tiles, 1, 1000)
    _within("--integrations", options.integrations, 2, 240)
    if options.channels < 1 or c.RAW_CHANNELS_PER_SUBBAND % options.channels:
        raise SimulationError(
            f"--channels {options.channels} does not divide the correlator's 384 raw channels: "
            "choose for example 4, 6, 8, 12, 16, 24 or 48."
        )
    if options.max_baseline_m is not None and not options.max_baseline_m > 0:
        raise SimulationError(f"--max-baseline {options.max_baseline_m:g} must be a positive length in metres.")


def _check_pointing(options: NightOptions) -> None:
    if not options.calibrator_is_builtin:
        _within("--declination", required_declination_deg(options), -40.0, 85.0)
    elif options.declination_deg is not None:
        raise SimulationError(
            f"--declination and --calibrator {options.calibrator_name} exclude each other: drop one, or move "
            "the pointing off the calibrator with --declination-offset."
        )
    _within("--declination-offset", options.declination_offset_deg, -5.0, 5.0)
    _within("--transit-tile", options.transit_index, 0, options.tiles - 1)
    half = options.integrations * c.INTEGRATION_S / 2
    _within("--transit-offset", options.transit_offset_s, -half, half)
    _positive("--calibrator-flux", options.calibrator_flux_jy)


def _check_times(options: NightOptions) -> None:
    parse_date(options.date)
    if options.start is not None:
        parse_start(options.start)
        if options.cross_midnight or options.cross_ra0:
            raise SimulationError(
                "--start fixes the time, so --cross-midnight and --cross-ra0 cannot move it: drop --start."
            )
    for tile in options.restarts:
        _within("--restart", tile, 0, options.tiles - 1)
    for tile, seconds in options.gaps:
        _within("--gap tile", tile, 1, options.tiles - 1)
        _within("--gap seconds", seconds, 0.0, c.SECONDS_PER_DAY)


def _check_sky(options: NightOptions) -> None:
    _within("--sources", options.sources, 0, 5000)
    _positive("--flux-min", options.flux_min_jy)
    if options.flux_max_jy < options.flux_min_jy:
        raise SimulationError(
            f"--flux-max {options.flux_max_jy:g} is below --flux-min {options.flux_min_jy:g}: exchange them."
        )
    if options.sky_file is not None and not Path(options.sky_file).is_file():
        raise SimulationError(
            f"--sky {options.sky_file} is not a file: give a CSV with name, ra_deg, dec_deg, flux_jy."
        )
    _within("--seed", options.seed, 0, 2**63 - 1)
    _positive("--sefd", options.sefd_jy)
    _positive("--rfi-strength", options.rfi_jy)
    gains = options.gains
    _within("--gain-amplitude", gains.amplitude, 0.0, 0.5)
    _within("--gain-delay", gains.delay_ns, 0.0, 1000.0)
    _within("--gain-bandpass", gains.bandpass, 0.0, 0.3)
    _within("--drift-phase", gains.drift_phase_deg, 0.0, 360.0)
    _within("--drift-amplitude", gains.drift_amplitude, 0.0, 0.3)


def _check_faults(options: NightOptions) -> None:
    for name, places in (("--missing", options.missing), ("--late", options.late), ("--corrupt", options.corrupt)):
        for tile, subband, *_ in places:
            _within(f"{name} tile", tile, 0, options.tiles - 1)
            _within(f"{name} subband", subband, 0, c.SUBBANDS - 1)
    for *_, kind in options.corrupt:
        _one_of("--corrupt", kind, CORRUPT_KINDS)
    for subband, kind in options.rfi:
        _within("--rfi subband", subband, 0, c.SUBBANDS - 1)
        _one_of("--rfi", kind, RFI_KINDS)
    absent = set(options.missing)
    clash = [place for place in (*options.late, *(entry[:2] for entry in options.corrupt)) if place in absent]
    if clash:
        tile, subband = clash[0]
        raise SimulationError(f"--missing {tile}:{subband} is also asked for by --late or --corrupt: name it once.")


def required_declination_deg(options: NightOptions) -> float:
    """Return the pointing declination that a run without a built-in calibrator needs, deg.

    Raises
    ------
    SimulationError
        If none was given.
    """
    if options.declination_deg is None:
        raise SimulationError(f"--calibrator {options.calibrator_name} needs a pointing: add --declination.")
    return options.declination_deg


def parse_date(text: str) -> Date:
    """Return the date of ``YYYY-MM-DD`` or raise `SimulationError`."""
    try:
        day = Date.fromisoformat(text)
    except ValueError as error:
        raise SimulationError(f"--date {text} is not a date: write it as YYYY-MM-DD.") from error
    if day.year < _FIRST_YEAR:
        raise SimulationError(f"--date {text} is before Earth orientation was measured: choose {_FIRST_YEAR} or later.")
    return day


def parse_start(text: str) -> datetime:
    """Return the naive UTC time of ``YYYY-MM-DDTHH:MM:SS[.fff]`` or raise `SimulationError`."""
    message = f"--start {text} is not a UTC time: write it as YYYY-MM-DDTHH:MM:SS."
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?", text):
        raise SimulationError(message)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise SimulationError(message) from error
    if moment.year < _FIRST_YEAR:
        raise SimulationError(
            f"--start {text} is before Earth orientation was measured: choose {_FIRST_YEAR} or later."
        )
    return moment


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise SimulationError(f"{name} {value:g} is out of range: choose {low:g} to {high:g}.")


def _positive(name: str, value: float) -> None:
    if not value > 0:
        raise SimulationError(f"{name} {value:g} must be greater than zero.")


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise SimulationError(f"{name} kind {value!r} is unknown: use one of {', '.join(allowed)}.")
